// The joins that a developer writes first, on 1,000 accounts and 60 groups: before ANALYZE and after it, with plans for any
// parameter, by a role that sees all tenants and by one that is bound to the tenant it names.
import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answersOf, asked, handed } from '../support/natural-joins.ts';
import { type EditStore, openEditStore } from '../support/people-edit.ts';
import { rowsRead } from '../support/plans.ts';
import { readingWorld } from '../support/reading-world.ts';
import { ask } from '../support/stage.ts';

const tenant = randomUUID();
const other = randomUUID();

// A join whose plan walks through a view for each row of another takes minutes, a good one a hundredth of this on an idle machine.
const limit = '3s';

let store: EditStore;
const readers = new Map<string, Client>();

beforeAll(async () => {
  store = await openEditStore();
  for (const sql of readingWorld) await ask(store, sql, { tenant, people: 1_000, groups: 60, each: 8 });
  for (const sql of readingWorld) await ask(store, sql, { tenant: other, people: 20, groups: 6, each: 2 });
  for (const grant of ['open', 'tenant-bound'] as const) {
    const client = await (await store.application({ grant })).connect();
    await client.query(`set statement_timeout = '${limit}'; set plan_cache_mode = force_generic_plan`);
    if (grant === 'tenant-bound') await client.query(`set directory.tenant = '${tenant}'`);
    readers.set(grant, client);
  }
});

afterAll(() => store.close());

describe.each(['before ANALYZE', 'after ANALYZE'])('%s', (when) => {
  beforeAll(async () => {
    if (when === 'after ANALYZE') await store.database.raw('analyze');
  });

  test.each(['open', 'tenant-bound'])(
    `rule 30: each of ten joins takes less than ${limit} (role: %s)`,
    async (grant) => {
      const found = await answersOf(readers.get(grant) ?? expect.unreachable());
      expect(Object.keys(found)).toHaveLength(10);
      const own = Number(found['in no group']);
      expect(own).toBe(grant === 'open' ? 51 : 50);
      expect(found['first page by name, with groups']).toBe(50);
    },
  );

  test.each(['open', 'tenant-bound'])(
    'a join that hands ids into a view reads the members alone (role: %s)',
    async (grant) => {
      const reader = readers.get(grant) ?? expect.unreachable();
      const { rows: groups } = await reader.query(
        'select group_id, count(*)::int as members from directory.effective_memberships group by 1 order by 2 desc limit 1',
      );
      const [{ group_id, members }] = groups;
      for (const { name, sql } of handed) {
        const { rows } = await reader.query({
          text: `explain (analyze, timing off, format json) ${asked(sql)}`,
          values: sql.includes('$1') ? [group_id] : [],
        });
        const read = rowsRead(rows[0]['QUERY PLAN'][0].Plan);
        // The page itself is the first 50 of all accounts by name.
        if (name.includes('page'))
          expect([name, read.get('effective_members')]).toEqual([name, expect.toSatisfy((n) => n < 1_000)]);
        else expect([name, read.get('accounts')]).toEqual([name, expect.toSatisfy((n) => n > 0 && n <= 2 * members)]);
      }
    },
  );
});
