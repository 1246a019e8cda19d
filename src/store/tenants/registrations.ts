// Facts of an application that sign-ins have shown: whether its id tokens contain directory roles, and which of its redirect
// addresses work.
import { type Database, rows, written } from '../database/pool.ts';

export type Registration = {
  /** The last id token had the claim `wids`. */
  readonly tells_roles: boolean;
  readonly seen_at: Date;
};

/** Stores whether an id token contained directory roles. */
export async function rememberRegistration(database: Database, clientId: string, tellsRoles: boolean): Promise<void> {
  await database.raw(
    `insert into entra_sync.registrations (client_id, tells_roles) values (:clientId, :tellsRoles)
     on conflict (client_id) do update set tells_roles = excluded.tells_roles, seen_at = excluded.seen_at`,
    { clientId, tellsRoles },
  );
}

/** Returns what the last sign-in showed; undefined before the first. */
export async function readRegistration(database: Database, clientId: string): Promise<Registration | undefined> {
  const [found] = await rows<Registration>(
    database,
    'select tells_roles, seen_at from entra_sync.registrations where client_id = :clientId',
    { clientId },
  );
  return found;
}

/** Facts of a redirect address that sign-ins have shown. */
export type SignInAddress = {
  readonly redirect_uri: string;
  /** The last sign-in that came back; null before the first. */
  readonly worked_at: Date | null;
  /** The last refusal for lack of an administrator's consent, with Microsoft's code. */
  readonly consent_wanted_at: Date | null;
  readonly consent_code: string | null;
};

type Address = { readonly clientId: string; readonly redirectUri: string };

// People sign in at the same time, so a row is not written at each sign-in.
const seldom = "interval '1 minute'";

/** Stores that a sign-in came back to this address. */
export async function rememberSignIn(database: Database, address: Address): Promise<void> {
  await written(
    database,
    `insert into entra_sync.sign_in_addresses as a (client_id, redirect_uri, worked_at)
     values (:clientId, :redirectUri, clock_timestamp())
     on conflict (client_id, redirect_uri) do update set worked_at = excluded.worked_at
      where a.worked_at is null or a.worked_at < excluded.worked_at - ${seldom}`,
    address,
  );
}

/** Stores that a sign-in was refused because only an administrator may allow the application. */
export async function rememberConsentWanted(database: Database, address: Address & { code: string }): Promise<void> {
  await written(
    database,
    `insert into entra_sync.sign_in_addresses as a (client_id, redirect_uri, consent_wanted_at, consent_code)
     values (:clientId, :redirectUri, clock_timestamp(), :code)
     on conflict (client_id, redirect_uri) do update
        set consent_wanted_at = excluded.consent_wanted_at, consent_code = excluded.consent_code
      where a.consent_wanted_at is null or a.consent_wanted_at < excluded.consent_wanted_at - ${seldom}`,
    address,
  );
}

/** Returns what sign-ins to an application have shown of its redirect addresses. */
export async function readSignInAddresses(database: Database, clientId: string): Promise<SignInAddress[]> {
  return rows<SignInAddress>(
    database,
    `select redirect_uri, worked_at, consent_wanted_at, consent_code from entra_sync.sign_in_addresses
      where client_id = :clientId order by redirect_uri`,
    { clientId },
  );
}
