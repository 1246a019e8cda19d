// Compares the rows of the views with the types that the package ships: not-null columns and words.
import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { relations } from '../../scripts/directory-columns.ts';
import { packageFile } from '../../src/package-files.ts';
import { type Database, rows } from '../../src/store/database/pool.ts';

/**
 * Expects that every row of every view, of one tenant if it is given, fits directory.d.ts, and returns the names of the views
 * without rows.
 */
export async function expectTrueTypes(database: Database, tenantId?: string): Promise<string[]> {
  const text = await readFile(packageFile('directory.d.ts'), 'utf8');
  const empty: string[] = [];
  const views = await rows<{ name: string; has_tenant: boolean }>(
    database,
    `select relname as name, exists (
              select from pg_attribute where attrelid = c.oid and attname = 'tenant_id') as has_tenant
       from pg_class c where relnamespace = 'directory'::regnamespace and relkind = 'v' order by 1`,
  );
  for (const { name, has_tenant } of views) {
    const columns = columnsOf(text, relations[name]?.type ?? expect.unreachable(name));
    expect(columns.length, name).toBeGreaterThan(0);
    const all = tenantId === undefined || !has_tenant;
    const shown = await rows<Record<string, unknown>>(
      database,
      `select * from directory.${name}${all ? '' : ' where tenant_id = :tenantId or tenant_id is null'}`,
      { tenantId },
    );
    if (shown.length === 0) empty.push(name);
    expect(misfits(text, columns, shown), name).toEqual([]);
  }
  return empty;
}

/** Returns the values that a column's type does not allow. */
function misfits(text: string, columns: readonly Typed[], shown: readonly Record<string, unknown>[]): unknown[] {
  return columns.flatMap(({ column, type, isNullable }) => {
    const words = wordsOf(text, type);
    const values = shown.map((row) => row[column]);
    const fits = (value: unknown) => (value === null ? isNullable : !words || words.includes(value as string));
    return values.filter((value) => value === undefined || !fits(value)).map((value) => ({ column, value }));
  });
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
