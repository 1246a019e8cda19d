// The mark of a database that the demo made: it holds no person's data, so `web --local` asks for no name there.
import { type Database, rows } from '../database/pool.ts';

const mark = 'made by entra-sync demo';

/** Marks the database as the demo's. */
export async function markAsDemo(database: Database): Promise<void> {
  await database.raw(
    `do $$ begin execute format('comment on database %I is %L', current_database(), '${mark}'); end $$`,
  );
}

/** Returns whether the demo made this database. */
export async function isOfDemo(database: Database): Promise<boolean> {
  const [found] = await rows<{ mark: string | null }>(
    database,
    `select shobj_description(oid, 'pg_database') as mark from pg_database where datname = current_database()`,
  );
  return found?.mark === mark;
}
