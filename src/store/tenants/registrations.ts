// The consent page keeps whether an application's id tokens tell the directory roles of the person who signs in.
import { type Database, rows } from '../database/pool.ts';

export type Registration = {
  /** The last id token had the claim `wids`. */
  readonly tells_roles: boolean;
  readonly seen_at: Date;
};

/** Keeps what the id token of a sign-in told. */
export async function rememberRegistration(database: Database, clientId: string, tellsRoles: boolean): Promise<void> {
  await database.raw(
    `insert into entra_sync.registrations (client_id, tells_roles) values (:clientId, :tellsRoles)
     on conflict (client_id) do update set tells_roles = excluded.tells_roles, seen_at = excluded.seen_at`,
    { clientId, tellsRoles },
  );
}

/** The registration as the last sign-in showed it; undefined before the first one. */
export async function readRegistration(database: Database, clientId: string): Promise<Registration | undefined> {
  const [found] = await rows<Registration>(
    database,
    'select tells_roles, seen_at from entra_sync.registrations where client_id = :clientId',
    { clientId },
  );
  return found;
}
