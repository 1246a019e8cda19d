// Statements over whole sets, without statistics and with little memory: none compares each row of one set with all of
// another. Most had a plan that took a hundred times as long at this size.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findAccountsByWord } from '../../src/store/accounts/find-accounts.ts';
import type { CommitBindings } from '../../src/store/commit/bindings.ts';
import { insideGroups } from '../../src/store/commit/group-scope.ts';
import { followManagers } from '../../src/store/commit/managers.ts';
import { noticeMassChange } from '../../src/store/commit/notice.ts';
import { type Database, inTransaction, openDatabase, rows, type Transaction } from '../../src/store/database/pool.ts';
import { keepReturnedUsers } from '../../src/store/stage/deleted-elsewhere.ts';
import { groupsToSweep, membersToEnd } from '../../src/store/stage/sweep.ts';
import { countStaged, driftOfMemberships } from '../../src/store/verify.ts';
import { isDeep } from '../support/deep.ts';
import { rowsRead } from '../support/rows-read.ts';
import { ask, objectId, openStore, type Store } from '../support/stage.ts';

const people = 6_000;
const groups = 3_000;
const tenant = randomUUID();
const object = (n: string) => `('00000000-0000-4000-8000-' || lpad((${n})::text, 12, '0'))::uuid`;

let store: Store;
let database: Database;
let round: string;

/** Every user is a member of two groups, every group of one; all are staged, and half of the users are soft-deleted. */
beforeAll(async () => {
  store = await openStore();
  const bind = { tenant, people, groups };
  await ask(store, "insert into entra_sync.tenants (tenant_id, name) values (:tenant, 'Large')", bind);
  await ask(
    store,
    `insert into entra_sync.accounts (tenant_id, entra_object_id, state, enabled, source, mapped, removed_at, removed_reason, purge_at)
     select :tenant, ${object('n')}, 'managed', true, '{}', '{}', away, case when away is not null then 'deleted_restorable' end, away
       from generate_series(1, :people::int) n, lateral (select case when n % 2 = 0 then now() end as away) a`,
    bind,
  );
  await ask(
    store,
    `insert into entra_sync.groups (tenant_id, entra_object_id, state, kind, is_dynamic, source)
     select :tenant, ${object('1000000 + n')}, 'managed', 'security', false, '{}' from generate_series(1, :groups::int) n order by n`,
    bind,
  );
  await ask(
    store,
    `with numbered as (select group_no, row_number() over (order by group_no) as n from entra_sync.groups where tenant_id = :tenant),
     first as (select min(group_no) as no from entra_sync.groups where tenant_id = :tenant)
     insert into entra_sync.member_groups (tenant_id, member_object_id, member_type, group_nos)
     select :tenant::uuid, ${object('p')}, 'u'::"char", array[f.no + p % :groups::int, f.no + (p + 1) % :groups::int]
       from generate_series(1, :people::int) p, first f
     union all
     select :tenant::uuid, ${object('1000000 + n')}, 'g', array[f.no] from numbered, first f where n > 1`,
    bind,
  );
  await ask(
    store,
    `insert into entra_sync.group_closure (ancestor_no, descendant_no)
     select group_no, group_no from entra_sync.groups where tenant_id = :tenant
     union select (select min(group_no) from entra_sync.groups where tenant_id = :tenant), group_no from entra_sync.groups where tenant_id = :tenant`,
    bind,
  );
  const [begun] = await ask<{ round_id: string }>(
    store,
    `insert into entra_sync.rounds (tenant_id, stream, dry_run, kind, reason, settings_version, fingerprint)
     values (:tenant, 'groups', false, 'full', 'test', 1, 'f') returning round_id`,
    bind,
  );
  round = begun?.round_id ?? '0';
  const staged = { ...bind, round };
  await ask(
    store,
    `insert into entra_sync.stage_users (round_id, entra_object_id, source, mapped, enabled)
     select :round, ${object('n')}, '{}', '{}', true from generate_series(1, :people::int) n`,
    staged,
  );
  await ask(
    store,
    `insert into entra_sync.stage_groups (round_id, entra_object_id, source, kind, is_dynamic, attributes)
     select :round, entra_object_id, '{}', 'security', false, '{}' from entra_sync.groups where tenant_id = :tenant`,
    staged,
  );
  await ask(
    store,
    `insert into entra_sync.stage_members (round_id, group_object_id, member_object_id, member_type, removed)
     select :round, g.entra_object_id, m.member_object_id, m.member_type, false
       from entra_sync.memberships m join entra_sync.groups g on g.group_no = m.group_no where m.tenant_id = :tenant`,
    staged,
  );
  const name = new URL(store.url).pathname.slice(1);
  await ask(store, `alter database ${name} set work_mem = '64kB'`);
  await ask(store, `alter database ${name} set statement_timeout = '10s'`);
  database = openDatabase(store.url);
});

afterAll(async () => {
  await database.destroy();
  const name = new URL(store.url).pathname.slice(1);
  await ask(store, `alter database ${name} reset all`);
  await store.close();
});

test('a full round whose lists name every member has no group to sweep and no membership to end', async () => {
  expect(await groupsToSweep(database, tenant, round)).toEqual([]);
  expect(await membersToEnd(database, tenant, round)).toEqual([]);
});

test('the listing is compared with what is stored', async () => {
  const drift = await driftOfMemberships(database, { tenantId: tenant, roundId: round, ids: null });
  expect(drift).toEqual([]);
  expect(await countStaged(database, tenant, { users: round, groups: round })).toMatchObject({
    groups,
    memberships: 2 * people + groups - 1,
    memberships_not_shown: people,
  });
});

test('restored members are found among the deleted ones', async () => {
  await inTransaction(database, async (transaction) => {
    await transaction.raw(keepReturnedUsers, { tenant, round });
    const kept = await rows(transaction, 'select from entra_sync.deleted_strangers where tenant_id = :tenant', {
      tenant,
    });
    expect(kept).toHaveLength(people / 2);
  });
});

test('a scope group that contains all groups is looked up once per user', async () => {
  const [found] = await rows<{ count: number }>(
    database,
    `select count(*)::int as count from entra_sync.stage_users s where s.round_id = :round and ${insideGroups('s.entra_object_id')}`,
    { tenant, round, scopeGroups: ['00000000-0000-4000-8000-000001000001'] },
  );
  expect(found?.count).toBe(people);
});

test('an account is found by its id or address without reading the others', async () => {
  await ask(store, 'analyze entra_sync.accounts');
  const [some] = await ask<{ account_id: string; entra_object_id: string }>(
    store,
    'select account_id, entra_object_id from directory.accounts where tenant_id = :tenant limit 1',
    { tenant },
  );
  for (const [word, count] of [
    [some?.account_id, 1],
    [some?.entra_object_id.toUpperCase(), 1],
    ['ann@contoso.example', 0],
  ] as const) {
    await inTransaction(database, async (transaction) => {
      const before = await rowsRead(transaction, 'accounts');
      expect(await findAccountsByWord(transaction, tenant, word ?? '')).toHaveLength(count);
      expect((await rowsRead(transaction, 'accounts')) - before).toBeLessThan(5);
    });
  }
});

test.runIf(isDeep)(
  'the changes of a batch are read a few times each, whatever the statistics of earlier batches say',
  async () => {
    const live = people / 2;
    const manager = objectId(1);
    await ask(
      store,
      `update entra_sync.accounts set source = jsonb_build_object('displayName', 'Ann', 'manager', :manager::text)
      where tenant_id = :tenant and removed_at is null`,
      { tenant, manager },
    );
    await ask(
      store,
      `insert into entra_sync.field_rules (tenant_id, field, owner, editable_by, manual_editable_by, value_type, manager_path)
     values (:tenant, 'managerName', 'directory', '{}', '{}', 'text', '{displayName}')`,
      { tenant },
    );
    await ask(
      store,
      `insert into entra_sync.checkpoints (tenant_id, stream, delta_link, round_id, settings_version, provisional, fingerprint, full_at)
     select t.tenant_id, 'users', 'link', r.round_id, r.settings_version, t.provisional, 'f', now()
       from entra_sync.tenants t join entra_sync.rounds r on r.tenant_id = t.tenant_id where t.tenant_id = :tenant`,
      { tenant },
    );
    // The statistics know some batches as large, so that they expect next to nothing of another.
    const write = (first: number, last: number) =>
      ask(
        store,
        `with batch as (
         insert into entra_sync.batches (batch_id, tenant_id) select n, :tenant from generate_series(:first::int, :last::int) n
         returning batch_id)
       insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id, before, after)
       select b.batch_id, :tenant, 'test', k.kind, a.account_id, k.before, k.after
         from batch b
        cross join entra_sync.accounts a
        cross join (values ('account.updated', '{"profile": {"phone": "1"}}'::jsonb, '{"profile": {"phone": "2"}}'::jsonb),
                           ('account.created', null, '{}')) k (kind, before, after)
        where a.tenant_id = :tenant and a.removed_at is null`,
        { tenant, first, last },
      );
    await write(1, 4);
    await ask(store, 'analyze entra_sync.changes');
    await write(1_000, 1_000);
    const asked: Readonly<Record<string, (transaction: Transaction, bind: CommitBindings) => Promise<unknown>>> = {
      'the notice of a mass change': (transaction, bind) => noticeMassChange(transaction, bind, live),
      'the fields of managers': (transaction, bind) => followManagers(transaction, { ...bind, full: true }),
    };
    for (const [name, ask] of Object.entries(asked)) {
      await inTransaction(database, async (transaction) => {
        const before = await rowsRead(transaction, 'changes');
        await ask(transaction, { tenant, batch: '1000', round, actor: 'test', cycle: null } as CommitBindings);
        const read = (await rowsRead(transaction, 'changes')) - before;
        expect(read, name).toBeGreaterThan(0);
        expect(read, name).toBeLessThan(20 * 2 * live);
      });
    }
  },
);
