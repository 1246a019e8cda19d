// Where a text is stored.
import { expect } from 'vitest';
import { type Database, rows } from '../../src/store/database/pool.ts';

/** Returns "table.column" for every column of our tables and views that contains the text in any case. */
export async function placesOf(database: Database, text: string): Promise<string[]> {
  const columns = await rows<{ schema: string; table: string; column: string }>(
    database,
    `select table_schema as schema, table_name as table, column_name as column from information_schema.columns
      where table_schema like 'entra_sync%' or table_schema = 'directory' order by 1, 2, ordinal_position`,
  );
  expect(columns.length).toBeGreaterThan(150);
  const looks = columns.map(
    ({ schema, table, column }) =>
      `select '${table}.${column}' as place where exists (
         select from ${schema}."${table}" where strpos(lower(cast("${column}" as text)), lower(:text)) > 0)`,
  );
  const found = await rows<{ place: string }>(database, looks.join(' union all '), { text });
  return found.map((one) => one.place);
}
