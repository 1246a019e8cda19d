// How the server finds what accounts get, where its statistics are from before most accounts came.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, openStore, type Store } from '../support/stage.ts';

type Plan = { 'Relation Name'?: string; 'Index Cond'?: string; Filter?: string; Plans?: Plan[] };

let store: Store;

beforeAll(async () => {
  store = await openStore();
});

afterAll(() => store.close());

const scans = (plan: Plan): Plan[] => [
  ...(plan['Relation Name'] === undefined ? [] : [plan]),
  ...(plan.Plans ?? []).flatMap(scans),
];

test.each([1, 5])(
  'accounts and groups are looked up by their numbers or ids, never by a tenant that statistics take for one with %i accounts',
  async (accounts) => {
    const tenants = Array.from({ length: 40 }, () => randomUUID());
    await ask(store, 'delete from entra_sync.accounts');
    await ask(
      store,
      `with added as (
         insert into entra_sync.tenants (tenant_id, name) select t, t from unnest(:tenants::uuid[]) t returning tenant_id
       ), grouped as (
         insert into entra_sync.groups (tenant_id, entra_object_id, state, kind, is_dynamic, source)
         select tenant_id, gen_random_uuid(), 'managed', 'security', false, '{}' from added)
       insert into entra_sync.accounts (tenant_id, entra_object_id, state, mapped)
       select tenant_id, gen_random_uuid(), 'managed', '{}' from added, generate_series(1, :accounts::int)`,
      { tenants, accounts },
    );
    await ask(store, 'analyze entra_sync.accounts, entra_sync.groups');
    await ask(
      store,
      `insert into entra_sync.accounts (tenant_id, entra_object_id, state, mapped)
       select :tenant::uuid, gen_random_uuid(), 'manual', '{}' from generate_series(1, 3000)`,
      { tenant: tenants[0] },
    );
    const client = await store.connect();
    // The settings of entra_sync.keep_assigned.
    await client.query(`set enable_nestloop = off; set enable_seqscan = off; set plan_cache_mode = force_generic_plan;
      prepare won (uuid, integer[], entra_sync.assignments[], jsonb) as
        select * from entra_sync.assigned_by($1, $2, $3, $4)`);
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
      `explain (format json) execute won ('${tenants[0]}', '{1}', '{}', '{}')`,
    );
    const found = rows.flatMap((row) => row['QUERY PLAN'].flatMap(({ Plan: plan }) => scans(plan)));
    expect(found.map((scan) => scan['Relation Name']).sort()).toEqual([
      ...['accounts', 'accounts', 'accounts'],
      ...['effective_members', 'groups'],
    ]);
    for (const scan of found) {
      expect(scan.Filter, JSON.stringify(scan)).toBeUndefined();
      expect(scan['Index Cond'] ?? '').not.toContain('tenant_id');
    }
    await client.end();
  },
);
