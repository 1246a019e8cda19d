// Where a text is stored.
import { expect } from 'vitest';
import { type Database, rows } from '../../src/store/database/pool.ts';

/** Returns "table.column" for every column of our tables and views that contains the text in any case. */
export async function placesOf(database: Database, text: string): Promise<string[]> {
  const relations = await rows<{ name: string; columns: number }>(
    database,
    `select format('%I.%I', table_schema, table_name) as name, count(*)::int as columns from information_schema.columns
      where table_schema like 'entra_sync%' or table_schema = 'directory' group by 1 order by 1`,
  );
  expect(relations.reduce((sum, { columns }) => sum + columns, 0)).toBeGreaterThan(150);
  // A look at each column by itself plans the larger views thirty times.
  const looks = relations.map(
    ({ name }) =>
      `select distinct '${name}' as relation, cell.key as column
         from ${name} as line cross join lateral jsonb_each_text(to_jsonb(line)) as cell
        where strpos(lower(cell.value), lower(:text)) > 0`,
  );
  const found = await rows<{ relation: string; column: string }>(database, looks.join(' union all '), { text });
  return found.map(({ relation, column }) => `${relation.replace(/^.*\./, '')}.${column}`).sort();
}
