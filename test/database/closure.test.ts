// The closure of nested groups after any history of commits. Its cost follows the change, whatever the planner estimates.
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type GroupColumns, groupColumns } from '../../src/rules/groups.ts';
import { keepClosure } from '../../src/store/commit/closure.ts';
import { commitRound } from '../../src/store/commit/round.ts';
import type { Lease } from '../../src/store/cycle/lease.ts';
import { inTransaction, rows, type Transaction } from '../../src/store/database/pool.ts';
import { settingsVersion } from '../../src/store/settings/versions.ts';
import { stageGroupsPage } from '../../src/store/stage/groups.ts';
import { beginRound } from '../../src/store/stage/rounds.ts';
import { driftOfEffective } from '../../src/store/verify-effective.ts';
import { rowsOf, runsOf } from '../support/deep.ts';
import { drawn } from '../support/histories.ts';
import { ask, leasedTenant, objectId, openStore, type Store } from '../support/stage.ts';

let store: Store;

beforeEach(async () => {
  store = await openStore();
});

afterEach(() => store.close());

type State = 'live' | 'deleted_restorable' | 'deleted';
type Edge = { holder: number; held: number; removed?: boolean };
type Round = {
  kind?: 'full' | 'incremental';
  groups: ReadonlyMap<number, State>;
  edges?: readonly Edge[];
  name?: string;
  dryRun?: boolean;
  retentionMs?: number;
};

/** Reads and commits a groups round like a cycle. */
async function sync(lease: Lease, { kind = 'incremental', groups, edges = [], name = 'Group', ...rest }: Round) {
  const { database } = store;
  const begun = {
    stream: 'groups',
    dryRun: rest.dryRun ?? false,
    kind,
    reason: 'test',
    fingerprint: 'groups',
  } as const;
  const settings = await settingsVersion(database, lease.tenantId);
  const round = await beginRound(database, lease, { ...begun, settingsVersion: settings });
  const source = { displayName: name, securityEnabled: true, mailEnabled: false };
  const columns: GroupColumns = groupColumns(source);
  const staged = await stageGroupsPage(database, lease, round, {
    urls: [`https://graph.example/groups/delta?round=${round.round_id}`],
    link: { delta: `https://graph.example/groups/delta?after=${round.round_id}` },
    problems: [],
    seen: groups.size,
    occurrences: [...groups.keys()].map((n) => ({ id: objectId(n), patch: {} })),
    merge: () =>
      [...groups].map(([n, state]) => {
        const removed = state === 'live' ? null : state;
        return { id: objectId(n), source, removed, doubt: null, copied: true, ...columns };
      }),
    members: [
      edges.map(({ holder, held, removed = false }) => ({
        groupId: objectId(holder),
        memberId: objectId(held),
        type: 'g',
        removed,
      })),
    ],
  });
  const limits = { removals: { max: 1_000_000, percent: 100, floor: 1_000_000 }, retentionMs: 86_400_000 };
  const scope = { match: [], scopeGroups: [], groupsJudged: false, cycleId: null, actor: 'test' };
  return commitRound(database, lease, { stream: 'groups', round: staged, dryRun: false, ...limits, ...scope, ...rest });
}

const liveOnes = (...numbers: number[]) => new Map(numbers.map((n): [number, State] => [n, 'live']));

/** The stored closure of a tenant, as sorted pairs "ancestor descendant" of group_no. */
async function storedClosure({ tenantId }: Lease): Promise<string[]> {
  const found = await ask<{ pair: string }>(
    store,
    `select c.ancestor_no || ' ' || c.descendant_no as pair from entra_sync.group_closure c
       join entra_sync.groups g on g.group_no in (c.ancestor_no, c.descendant_no) and g.tenant_id = :tenantId
      group by 1`,
    { tenantId },
  );
  return found.map(({ pair }) => pair).sort();
}

/** The pairs found by walking the stored memberships from each live group. */
async function walkedClosure({ tenantId }: Lease): Promise<string[]> {
  const groups = await ask<{ no: string; id: string }>(
    store,
    'select group_no as no, entra_object_id as id from entra_sync.groups where tenant_id = :tenantId and removed_at is null',
    { tenantId },
  );
  const numberOf = new Map(groups.map(({ no, id }) => [id, no]));
  const facts = await ask<{ holder: string; held: string }>(
    store,
    'select group_no as holder, member_object_id as held from entra_sync.memberships where tenant_id = :tenantId',
    { tenantId },
  );
  const pairs: string[] = [];
  for (const { no } of groups) {
    const met = new Set([no]);
    for (const one of met)
      for (const { holder, held } of facts) {
        const number = numberOf.get(held);
        if (holder === one && number !== undefined) met.add(number);
      }
    pairs.push(...[...met].map((other) => `${no} ${other}`));
  }
  return pairs.sort();
}

const size = 7;
const people = 3;
const firstPerson = 100;

/** Stores accounts of users that histories put into groups. */
const storePeople = ({ tenantId }: Lease) =>
  ask(
    store,
    `insert into entra_sync.accounts (tenant_id, entra_object_id, state)
     select :tenantId, id, 'managed' from unnest(:ids::uuid[]) as id`,
    { tenantId, ids: Array.from({ length: people }, (_, n) => objectId(firstPerson + n)) },
  );

/** The count of kept rows that are not direct, beside the stored one, and how the kept rows differ from a walk. */
async function keptOf({ tenantId }: Lease): Promise<unknown> {
  const [counted] = await ask(
    store,
    `select t.nested_members = (select count(*) from entra_sync.effective_members e
              join entra_sync.accounts a on a.account_no = e.account_no and a.tenant_id = t.tenant_id
             where not e.is_direct) as counted
       from entra_sync.tenants t where t.tenant_id = :tenantId`,
    { tenantId },
  );
  return { ...counted, drift: await driftOfEffective(store.database, tenantId) };
}

const some = fc.nat(size - 1);
const act = fc.record({
  what: fc.constantFrom(
    ...(['link', 'link', 'link', 'link', 'unlink', 'unlink', 'join', 'join', 'join', 'leave'] as const),
    ...(['birth', 'death', 'end', 'rename'] as const),
  ),
  one: some,
  other: some,
});
const commitDrawn = fc.record({
  tenant: fc.nat(1),
  kind: fc.constantFrom(...Array.from({ length: 8 }, () => 'incremental' as const), 'full' as const),
  acts: fc.array(act, { minLength: 1, maxLength: 3 }),
  dryRun: fc.constantFrom(false, false, false, true),
  retentionMs: fc.constantFrom(86_400_000, 86_400_000, 0),
});
// The bound of kept rows that are not direct: none, a few, or out of reach.
const most = fc.constantFrom(1_000, 4, 0);
// Accounts are compared one by one, or all at once.
const many = fc.constantFrom(1_000, 0);
const histories = runsOf(3, 40);

async function expectWalked(lease: Lease): Promise<void> {
  expect(await storedClosure(lease)).toEqual(await walkedClosure(lease));
  expect(await keptOf(lease)).toEqual({ counted: true, drift: [] });
}

test(`rules 9 and 30: after any history the closure and the kept members equal what a walk finds (${histories} histories)`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(commitDrawn, { minLength: 6, maxLength: 14 }), most, many, async (commits, bound, at) => {
      await ask(
        store,
        `create or replace function entra_sync.most_nested_members() returns bigint language sql immutable as 'select ${bound}::bigint';
         create or replace function entra_sync.many_accounts() returns integer language sql immutable as 'select ${at}'`,
      );
      const leases = [await leasedTenant(store), await leasedTenant(store)];
      const all = Array.from({ length: size }, (_, n) => n);
      const states = leases.map((): ReadonlyMap<number, State> => liveOnes(...all));
      const chain = [...all.slice(1, 4).map((held) => ({ holder: held - 1, held })), { holder: 3, held: firstPerson }];
      for (const lease of leases) {
        await storePeople(lease);
        await sync(lease, { kind: 'full', groups: liveOnes(...all), edges: chain });
        await expectWalked(lease);
      }
      for (const { tenant, kind, acts, dryRun, retentionMs } of commits) {
        const lease = leases[tenant] as Lease;
        const state = new Map(states[tenant]);
        const groups = new Map<number, State>();
        const edges: Edge[] = [];
        for (const { what, one, other } of acts) {
          if (what === 'join' || what === 'leave')
            edges.push({ holder: one, held: firstPerson + (other % people), removed: what === 'leave' });
          else if (what === 'link' || what === 'unlink')
            edges.push({ holder: one, held: other, removed: what === 'unlink' });
          else if (what === 'birth' || (what === 'rename' && state.get(one) === 'live')) groups.set(one, 'live');
          else if (what === 'death') groups.set(one, 'deleted_restorable');
          else if (what === 'end') groups.set(one, 'deleted');
        }
        for (const [n, is] of groups) state.set(n, is);
        if (kind === 'full') for (const [n, is] of state) if (is === 'live') groups.set(n, is);
        await sync(lease, { kind, groups, edges, dryRun, retentionMs });
        if (!dryRun) states[tenant] = state;
        for (const each of leases) await expectWalked(each);
      }
      for (const lease of leases) await lease.release();
    }),
    // A first load whose accounts are kept all at once.
    { ...drawn, examples: [[[], 1_000, 0]], numRuns: histories },
  );
});

/** Stores groups of a new tenant by SQL with the change rows of one commit. `chained`: each is in the one before. */
async function storeGroups(lease: Lease, count: number, chained: boolean): Promise<string> {
  const bind = { tenant: lease.tenantId, count, chained };
  const [batch] = await ask<{ batch_id: string }>(
    store,
    `with batch as (select nextval(pg_get_serial_sequence('entra_sync.batches', 'batch_id')) as batch_id),
     born as (
       insert into entra_sync.groups (tenant_id, entra_object_id, state, kind, is_dynamic, source)
       select :tenant, ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'managed', 'security', false, '{}'
         from generate_series(1, :count::int) n order by n
       returning group_no, group_id, entra_object_id
     ), held as (
       insert into entra_sync.member_groups (tenant_id, member_object_id, member_type, group_nos)
       select :tenant, entra_object_id, 'g', array[group_no - 1] from born
        where :chained::boolean and group_no > (select min(group_no) from born)
     ), told as (
       insert into entra_sync.changes (batch_id, tenant_id, actor, kind, group_id)
       select batch_id, :tenant, 'test', 'group.created', group_id from born, batch
     )
     select batch_id from batch`,
    bind,
  );
  return batch?.batch_id ?? '0';
}

/** Runs `work` with little memory and time. */
function pressed<Answer>(limit: string, work: (transaction: Transaction) => Promise<Answer>): Promise<Answer> {
  return inTransaction(store.database, async (transaction) => {
    await transaction.raw(`set local work_mem = '64kB'; set local statement_timeout = '${limit}'`);
    return work(transaction);
  });
}

const closureSize = async ({ tenantId: tenant }: Lease) => {
  const [found] = await ask<{ count: number }>(
    store,
    `select count(*)::int as count from entra_sync.group_closure c
       join entra_sync.groups g on g.group_no = c.descendant_no and g.tenant_id = :tenant`,
    { tenant },
  );
  return found?.count;
};

const oneMore = '1000000';

const bearOne = `
with one as (
  insert into entra_sync.groups (tenant_id, entra_object_id, state, kind, is_dynamic, source)
  values (:tenant, gen_random_uuid(), 'managed', 'security', false, '{}') returning group_id
)
insert into entra_sync.changes (batch_id, tenant_id, actor, kind, group_id)
select ${oneMore}, :tenant, 'test', 'group.created', group_id from one`;

// The same change row serves to remove the edge: it names the member group.
const close = `
with edge as (
  select p.group_no, p.group_id, c.group_id as held_id, c.entra_object_id from entra_sync.groups p, entra_sync.groups c
   where p.tenant_id = :tenant and p.entra_object_id = :last and c.tenant_id = :tenant and c.entra_object_id = :first
), stored as (
  insert into entra_sync.member_groups (tenant_id, member_object_id, member_type, group_nos)
  select :tenant, entra_object_id, 'g', array[group_no] from edge
)
insert into entra_sync.changes (batch_id, tenant_id, actor, kind, group_id, member_group_id)
select ${oneMore}, :tenant, 'test', 'membership.added', group_id, held_id from edge`;

/** This connection's work on the closure so far: written rows and scans. */
async function work(transaction: Transaction): Promise<{ added: number; deleted: number; scans: number }> {
  const [found] = await rows<{ added: number; deleted: number; scans: number }>(
    transaction,
    `select n_tup_ins::int as added, n_tup_del::int as deleted, (seq_scan + coalesce(idx_scan, 0))::int as scans
       from pg_stat_xact_user_tables where relname = 'group_closure'`,
  );
  return found ?? { added: 0, deleted: 0, scans: 0 };
}

test.each(rowsOf([true, false], (full) => full))(
  'rule 9: 20,000 groups without nested groups commit in seconds (full: %s), and one more costs as much as one',
  async (full) => {
    const lease = await leasedTenant(store);
    const tenant = lease.tenantId;
    const batch = await storeGroups(lease, 20_000, false);
    // Estimates that are far too high are as bad as ones that are far too low.
    if (full) await store.database.raw('analyze entra_sync.groups; analyze entra_sync.member_groups');
    await pressed('20s', (transaction) => keepClosure(transaction, { tenant, batch, full }));
    expect(await closureSize(lease)).toBe(20_000);
    await pressed('20s', (transaction) => keepClosure(transaction, { tenant, batch, full }));
    const one = await inTransaction(store.database, async (transaction) => {
      await rows(transaction, bearOne, { tenant });
      const before = await work(transaction);
      await keepClosure(transaction, { tenant, batch: oneMore, full: false });
      const after = await work(transaction);
      return {
        added: after.added - before.added,
        deleted: after.deleted - before.deleted,
        scans: after.scans - before.scans,
      };
    });
    expect(one).toEqual({ added: 1, deleted: 0, scans: 2 });
  },
);

test('rule 9: a chain of 300 groups is closed to a ring and opened again in seconds', async () => {
  const lease = await leasedTenant(store);
  const tenant = lease.tenantId;
  const full = { tenant, batch: await storeGroups(lease, 300, true), full: true };
  await store.database.raw('analyze entra_sync.groups; analyze entra_sync.member_groups');
  await pressed('20s', (transaction) => keepClosure(transaction, full));
  expect(await closureSize(lease)).toBe((300 * 301) / 2);
  const one = { tenant, batch: oneMore, full: false };
  const bind = { tenant, first: objectId(1), last: objectId(300) };
  await pressed('20s', async (transaction) => {
    await transaction.raw(close, bind);
    await keepClosure(transaction, one);
  });
  expect(await closureSize(lease)).toBe(300 * 300);
  await pressed('20s', async (transaction) => {
    await transaction.raw(
      'delete from entra_sync.member_groups where tenant_id = :tenant and member_object_id = :first',
      bind,
    );
    await keepClosure(transaction, one);
  });
  expect(await closureSize(lease)).toBe((300 * 301) / 2);
});

test('rule 9: neither a rename nor a user’s membership touches the closure', async () => {
  const lease = await leasedTenant(store);
  await sync(lease, { kind: 'full', groups: liveOnes(1, 2), edges: [{ holder: 1, held: 2 }] });
  const other = await store.connect();
  await other.query('begin');
  await other.query('lock table entra_sync.group_closure in access exclusive mode');
  // A commit that used the table would wait here for ever.
  await sync(lease, { groups: liveOnes(1), name: 'Renamed', edges: [{ holder: 2, held: 77 }] });
  await other.query('rollback');
  expect(await ask(store, "select from entra_sync.groups where display_name = 'Renamed'")).toHaveLength(1);
});
