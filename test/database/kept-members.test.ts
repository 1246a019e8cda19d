// Kept effective memberships where the histories of the closure's test do not go: beyond the bound, written by hand, and erased.
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Lease } from '../../src/store/cycle/lease.ts';
import { disconnectTenant, purgeTenant } from '../../src/store/tenants/disconnect.ts';
import { readStatus } from '../../src/store/tenants/status.ts';
import { driftOfEffective } from '../../src/store/verify-effective.ts';
import { readingWorld } from '../support/reading-world.ts';
import { ask, leasedTenant, openStore, type Store } from '../support/stage.ts';
import { keeping } from '../support/stored-memberships.ts';

let store: Store;
let lease: Lease;
let tenantId: string;

beforeEach(async () => {
  store = await openStore();
  lease = await leasedTenant(store);
  tenantId = lease.tenantId;
  // Twelve groups, of which every fifth is in the one before it; 38 of 40 accounts are in three groups each.
  for (const sql of readingWorld.slice(1)) await ask(store, sql, { tenant: tenantId, people: 40, groups: 12, each: 3 });
});

afterEach(() => store.close());

async function kept(): Promise<{ direct: number; nested: number }> {
  const [found] = await ask<{ direct: number; nested: number }>(
    store,
    `select count(*) filter (where is_direct)::int as direct, count(*) filter (where not is_direct)::int as nested
       from directory.effective_memberships where tenant_id = :tenantId`,
    { tenantId },
  );
  return found ?? expect.unreachable();
}

const setBound = (most: number) =>
  ask(
    store,
    `create or replace function entra_sync.most_nested_members() returns bigint language sql immutable as 'select ${most}::bigint'`,
  );

const leftOut = async () => (await readStatus(store.database, tenantId))[0]?.nested_left_out;

/** Nests the group at this place in the last one, or takes it out, in one transaction with its closure, as a commit does. */
const nest = (place: number) =>
  ask(
    store,
    `with g as (select group_no, row_number() over (order by group_no) as n from entra_sync.groups where tenant_id = :tenantId)
     insert into entra_sync.group_closure (ancestor_no, descendant_no)
     select h.group_no, d.group_no from g h, g d where h.n = 12 and d.n = :place`,
    { tenantId, place },
  );

const takeOut = (place: number) =>
  ask(
    store,
    `with g as (select group_no, row_number() over (order by group_no) as n from entra_sync.groups where tenant_id = :tenantId)
     delete from entra_sync.group_closure c using g h, g d
      where h.n = 12 and d.n = :place and c.ancestor_no = h.group_no and c.descendant_no = d.group_no`,
    { tenantId, place },
  );

/** Writes the batch of a commit that changes a membership of one account. */
const changeOne = () =>
  ask(
    store,
    `with batch as (
       insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id, group_id)
       select nextval(pg_get_serial_sequence('entra_sync.batches', 'batch_id')), :tenantId, 'test', 'membership.added', a.account_id, g.group_id
         from entra_sync.accounts a, entra_sync.groups g where a.tenant_id = :tenantId and g.tenant_id = :tenantId limit 1
       returning batch_id
     ) insert into entra_sync.batches (batch_id, tenant_id) select batch_id, :tenantId from batch`,
    { tenantId },
  );

test('rule 30: beyond the bound the commit goes on, direct rows stay, status says what is left out, and below it all come back', async () => {
  const before = await kept();
  expect(before.nested).toBeGreaterThan(5);
  expect(await leftOut()).toBeNull();
  await setBound(before.nested + 2);
  await nest(1);
  expect(await kept()).toEqual({ direct: before.direct, nested: 0 });
  expect(Number(await leftOut())).toBeGreaterThan(before.nested + 2);
  await changeOne();
  expect(await kept()).toEqual({ direct: before.direct, nested: 0 });
  expect(await driftOfEffective(store.database, tenantId)).toEqual([]);
  await takeOut(1);
  await changeOne();
  expect(await kept()).toEqual(before);
  expect(await leftOut()).toBeNull();
});

test('rule 30: a nested group that leaves another takes no account along that another path leads to', async () => {
  await ask(
    store,
    `with g as (select group_no, row_number() over (order by group_no) as n from entra_sync.groups where tenant_id = :tenantId)
     update entra_sync.member_groups set group_nos = array(select group_no from g where n in (2, 3))
      where tenant_id = :tenantId and member_type = 'u'`,
    { tenantId },
  );
  await ask(store, keeping);
  await nest(2);
  const before = await kept();
  await nest(3);
  await takeOut(3);
  expect(await kept()).toEqual(before);
});

test('rule 30: a membership that would exceed the bound is kept as a direct one', async () => {
  const before = await kept();
  await setBound(before.nested);
  await ask(
    store,
    `update entra_sync.member_groups m set group_nos = array(select group_no::bigint from entra_sync.groups where tenant_id = :tenantId)
      where m.tenant_id = :tenantId and m.member_type = 'u'`,
    { tenantId },
  );
  await ask(
    store,
    `select entra_sync.keep_effective(:tenantId, array(select account_no from entra_sync.accounts where tenant_id = :tenantId))`,
    { tenantId },
  );
  expect(await kept()).toEqual({ direct: 38 * 12, nested: 0 });
});

test('rule 30: an account that is removed by hand is in no group, and an erased tenant leaves no row', async () => {
  await disconnectTenant(store.database, tenantId, { actor: 'test', dryRun: false });
  const before = await kept();
  const [one] = await ask<{ account_id: string }>(
    store,
    'select account_id from directory.effective_memberships where tenant_id = :tenantId limit 1',
    { tenantId },
  );
  await ask(store, "select directory.remove_account(:id, 'test', 'manager')", { id: one?.account_id });
  expect((await kept()).direct).toBe(before.direct - 3);
  expect(await driftOfEffective(store.database, tenantId)).toEqual([]);
  await purgeTenant(store.database, tenantId);
  expect(await ask(store, 'select from entra_sync.effective_members')).toEqual([]);
});

test('rule 30: verify finds a row that is missing, one too many, and one of the wrong kind', async () => {
  await ask(
    store,
    `with doomed as (select ctid from entra_sync.effective_members where is_direct limit 1)
     delete from entra_sync.effective_members e using doomed d where e.ctid = d.ctid`,
  );
  await ask(
    store,
    `insert into entra_sync.effective_members
     select a.account_no, g.group_no, true from entra_sync.accounts a, entra_sync.groups g
      where not exists (select from entra_sync.member_groups m where m.member_object_id = a.entra_object_id) limit 1`,
  );
  await ask(
    store,
    `with wrong as (select ctid from entra_sync.effective_members where not is_direct limit 1)
     update entra_sync.effective_members e set is_direct = true from wrong w where e.ctid = w.ctid`,
  );
  const drift = await driftOfEffective(store.database, tenantId);
  expect(drift.map(({ kind, what }) => `${kind} ${what}`).sort()).toEqual([
    'effective different',
    'effective extra',
    'effective missing',
  ]);
});

test('rule 30: many accounts are compared at once, with the same rows and the same count as one by one', async () => {
  const values = { tenantId, seed: 0 };
  const all = 'array(select account_no from entra_sync.accounts where tenant_id = :tenantId)';
  for (const nested of [true, false, true]) {
    values.seed += 0.1;
    await ask(
      store,
      `with seeded as materialized (select setseed(:seed)), gone as (
         delete from entra_sync.effective_members e using seeded where random() < 0.3 returning e.account_no
       )
       update entra_sync.effective_members e set is_direct = not is_direct
        where random() < 0.3 and not exists (select from gone g where g.account_no = e.account_no)`,
      values,
    );
    await ask(
      store,
      `insert into entra_sync.effective_members
       select a.account_no, g.group_no, random() < 0.5 from entra_sync.accounts a, entra_sync.groups g
        where a.tenant_id = :tenantId and g.tenant_id = :tenantId and random() < 0.2 on conflict do nothing`,
      values,
    );
    const keep = async () =>
      (
        await ask<{ n: string }>(
          store,
          `select entra_sync.keep_effective_of_many(:tenantId, ${all}, ${nested}) as n`,
          values,
        )
      )[0]?.n;
    const before = await kept();
    const change = await keep();
    const after = await kept();
    expect(Number(change)).toBe(after.nested - before.nested);
    expect(await keep()).toBe('0');
    const drift = await driftOfEffective(store.database, tenantId);
    expect(drift.filter(({ what }) => nested || what !== 'missing')).toEqual([]);
    if (!nested) expect(after.nested).toBe(0);
  }
});
