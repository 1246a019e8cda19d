// Whether an application's id tokens contain directory roles, as sign-ins on the consent page showed.
import { type Database, rows } from '../database/pool.ts';

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
