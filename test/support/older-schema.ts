// A database as an older release left it.
import { readdir, readFile } from 'node:fs/promises';
import { packageFile } from '../../src/package-files.ts';
import type { Database } from '../../src/store/database/pool.ts';

/** Takes the migrations after the first `kept` back, with all that they made. */
export async function undoMigrations(on: Database, kept: number): Promise<void> {
  const files = (await readdir(packageFile('migrations'))).filter((file) => file.endsWith('.sql')).sort();
  await on.raw(
    'drop schema if exists entra_sync cascade; drop schema if exists directory cascade; create schema entra_sync',
  );
  await on.raw(
    'create table entra_sync.migrations (id serial primary key, name text, batch int, migration_time timestamptz)',
  );
  for (const file of files.slice(0, kept)) {
    await on.raw((await readFile(packageFile('migrations', file), 'utf8')).replaceAll('?', '\\?'));
    await on.raw('insert into entra_sync.migrations (name, batch, migration_time) values (?, 1, now())', [file]);
  }
}
