// Looks for what must be nowhere: in texts, in every column of a database, in files.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Database, rows } from '../../src/store/database/pool.ts';

/** What must not be found, by kind. A pattern stands for whatever it matches. */
export type Secrets = ReadonlyMap<string, ReadonlySet<string> | RegExp>;

/** The kinds of secrets that a text holds. */
export function kindsIn(text: string, secrets: Secrets): string[] {
  return [...secrets].flatMap(([kind, those]) => {
    const found = those instanceof RegExp ? those.test(text) : [...those].some((value) => text.includes(value));
    return found ? [kind] : [];
  });
}

/** Expects a text to hold none of the secrets. */
export function expectNone(place: string, text: string, secrets: Secrets): void {
  expect(kindsIn(text, secrets), `${place} holds what it must not`).toEqual([]);
}

/** Every column of every table that holds secrets, as `schema.table.column: kind`, whatever its type. */
export async function columnsHolding(database: Database, secrets: Secrets): Promise<string[]> {
  const columns = await rows<{ table: string; column: string }>(
    database,
    `select quote_ident(n.nspname) || '.' || quote_ident(c.relname) as "table", quote_ident(a.attname) as "column"
       from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
      where c.relkind in ('r', 'p', 'm') and a.attnum > 0 and not a.attisdropped
        and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1, 2`,
  );
  expect(columns.length).toBeGreaterThan(100);
  const holding: string[] = [];
  for (const { table, column } of columns) {
    const [all] = await rows<{ text: string | null }>(
      database,
      `select string_agg(${column}::text, E'\\n') as text from ${table}`,
    );
    for (const kind of kindsIn(all?.text ?? '', secrets)) holding.push(`${table}.${column}: ${kind}`);
  }
  return holding;
}

/** The text of every file below a directory, by its path. */
export async function filesBelow(directory: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found.set(path, await readFile(path, 'latin1'));
  }
  return found;
}
