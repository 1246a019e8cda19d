// A function of the reading role, in a condition on a view, is asked about the rows that the view shows and about no other, however
// cheap it says it is.
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Filled, filledTenant } from '../support/granted.ts';
import { type EditStore, openEditStore } from '../support/people-edit.ts';
import { ask } from '../support/stage.ts';

let store: EditStore;
let mine: Filled;
let theirs: Filled;
let views: string[];

beforeAll(async () => {
  store = await openEditStore();
  mine = await filledTenant(store);
  theirs = await filledTenant(store);
  const found = await ask<{ name: string }>(
    store,
    // No grant gives the audit.
    `select relname as name from pg_class
      where relnamespace = 'directory'::regnamespace and relkind = 'v' and relname <> 'audit' order by 1`,
  );
  views = found.map(({ name }) => name);
});

afterAll(() => store.close());

/** What the function was asked about, in the condition of a question. */
async function askedAbout(reader: Client, sql: (tells: string) => string): Promise<{ told: string[]; shown: number }> {
  const told: string[] = [];
  const note = ({ message }: { message?: string | undefined }) => told.push(message ?? '');
  reader.on('notice', note);
  await reader.query(
    `create or replace function pg_temp.tells(id uuid) returns boolean language plpgsql cost 0.0001 as $$
     begin raise notice '%', id; return true; end $$`,
  );
  const { rowCount } = await reader.query(sql('pg_temp.tells'));
  reader.off('notice', note);
  return { told, shown: rowCount ?? 0 };
}

const questions = (view: string) => [
  (tells: string) => `select from directory.${view} where ${tells}(tenant_id)`,
  (tells: string) => `select from directory.${view} v join (values (1), (2)) x (n) on ${tells}(v.tenant_id)`,
  (tells: string) => `select from (values (1)) x (n) left join directory.${view} v on ${tells}(v.tenant_id)`,
  (tells: string) => `select from directory.${view} v where ${tells}((to_jsonb(v) ->> 'tenant_id')::uuid)`,
  (tells: string) => `select case when ${tells}(tenant_id) then 1 end from directory.${view} order by 1 limit 1`,
];

// Without an index the tenant is one condition of several, and the cheapest comes first.
const plans = [
  ['as it is planned', 'select'],
  ['without indexes', 'set enable_indexscan = off; set enable_indexonlyscan = off; set enable_bitmapscan = off'],
  ['without joins by hash', 'set enable_hashjoin = off; set enable_mergejoin = off'],
] as const;

describe.each(plans)('rule 28: a function of the role in a condition, %s', (_plan, settings) => {
  test.each(['for good', 'by name'])('is asked about no row of another tenant (bound %s)', async (bound) => {
    const grant = bound === 'for good' ? { tenant: mine.tenant } : 'tenant-bound';
    const reader = await (await store.application({ grant })).connect();
    await reader.query(settings);
    if (bound === 'by name') await reader.query(`set directory.tenant = '${mine.tenant}'`);
    for (const noted of [[], [mine.tenant, theirs.tenant]]) {
      await ask(store, 'delete from entra_sync.large_tenants');
      await ask(store, 'insert into entra_sync.large_tenants select unnest(:noted::uuid[])', { noted });
      for (const view of views)
        for (const question of questions(view)) {
          const { told, shown } = await askedAbout(reader, question);
          expect([view, shown]).toEqual([view, expect.toSatisfy((n) => n > 0)]);
          expect([view, [...new Set(told)]]).toEqual([view, [mine.tenant]]);
        }
    }
  });

  test('is asked about no removed account or group', async () => {
    const reader = await (await store.application({ grant: { tenant: mine.tenant } })).connect();
    await reader.query(settings);
    for (const [view, id] of [
      ['accounts', 'account_id'],
      ['groups', 'group_id'],
    ] as const) {
      const { rows } = await reader.query(`select ${id} as id from directory.${view} order by 1`);
      const { told } = await askedAbout(reader, (tells) => `select from directory.${view} where ${tells}(${id})`);
      expect([view, told.sort()]).toEqual([view, rows.map((row) => row.id)]);
    }
  });
});

test('rule 28: every view of the contract is a barrier that Postgres does not take apart', async () => {
  const open = await ask<{ name: string }>(
    store,
    `select c.relname as name from pg_class c
      where c.relnamespace = 'directory'::regnamespace and c.relkind = 'v'
        and (not c.reloptions @> array['security_barrier=true'] or c.reloptions is null or pg_get_viewdef(c.oid) ~ '\\n(UNION|INTERSECT|EXCEPT)')`,
  );
  expect(open).toEqual([]);
});
