// Compares the rows of the views with the types that the package ships: not-null columns and words.
import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { relations } from '../../scripts/directory-columns.ts';
import { packageFile } from '../../src/package-files.ts';
import { type Database, rows } from '../../src/store/database/pool.ts';

/** Expects that every row of every view fits directory.d.ts, and returns the names of the views without rows. */
export async function expectTrueTypes(database: Database): Promise<string[]> {
  const text = await readFile(packageFile('directory.d.ts'), 'utf8');
  const empty: string[] = [];
  const views = await rows<{ name: string }>(
    database,
    "select relname as name from pg_class where relnamespace = 'directory'::regnamespace and relkind = 'v' order by 1",
  );
  for (const { name } of views) {
    const columns = columnsOf(text, relations[name]?.type ?? expect.unreachable(name));
    expect(columns.length, name).toBeGreaterThan(0);
    const shown = await rows<Record<string, unknown>>(database, `select * from directory.${name}`);
    if (shown.length === 0) empty.push(name);
    for (const { column, type, isNullable } of columns) {
      const words = wordsOf(text, type);
      for (const row of shown) {
        const value = row[column];
        if (!isNullable) expect(value, `${name}.${column}`).not.toBeNull();
        if (words && value !== null) expect(words, `${name}.${column}`).toContain(value);
      }
    }
  }
  return empty;
}

type Typed = { readonly column: string; readonly type: string; readonly isNullable: boolean };

function columnsOf(text: string, type: string): Typed[] {
  const [, body = ''] = text.split(`export interface ${type} {\n`);
  return [...(body.split('\n}')[0] ?? '').matchAll(/^ {2}(\w+): (.+?)( \| null)?;$/gm)].map(
    ([, column = '', plain = '', isNull]) => ({ column, type: plain, isNullable: isNull !== undefined }),
  );
}

/** Returns the words of a union; undefined for any other type. */
function wordsOf(text: string, type: string): string[] | undefined {
  const [, rest] = text.split(`export type ${type} =`);
  return rest === undefined
    ? undefined
    : [...(rest.split(';')[0] ?? '').matchAll(/'([^']+)'/g)].map(([, word = '']) => word);
}
