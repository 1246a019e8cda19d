// Effective memberships of 1,000 nested groups in chains, diamonds and loops, with 40,000 memberships, compared with a
// brute-force walk. Neither query of an application reads the whole table.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keepClosure } from '../../src/store/commit/closure.ts';
import { inTransaction } from '../../src/store/database/pool.ts';
import { isDeep } from '../support/deep.ts';
import { ask, objectId, openStore, type Store } from '../support/stage.ts';
import { keeping, storing, takingOut } from '../support/stored-memberships.ts';

const groupCount = 1_000;
const peopleCount = 4_000;
const membershipCount = 40_000;
const tenant = randomUUID();

const groupObject = (n: number) => objectId(1_000_000 + n);

/** The children of each group by number: chains of ten, a diamond over each, and a loop in every fifth block of ten. */
const children = new Map<number, number[]>();
for (let n = 0; n < groupCount; n += 1) {
  const place = n % 10;
  const block = n - place;
  const held = place < 9 ? [n + 1] : [];
  if (place === 0) held.push(block + 4, block + 7);
  if (place === 9 && (block / 10) % 5 === 0) held.push(block);
  if (place === 5 && block + 10 < groupCount && (block / 10) % 7 === 0) held.push(block + 10);
  children.set(n, held);
}

/** Direct memberships, spread by two strides: groups differ in size, users in number of groups. */
const direct = new Map<number, Set<number>>();
for (let k = 0; k < membershipCount; k += 1) {
  const group = (k * 7 + Math.floor(k / groupCount)) % groupCount;
  const person = (k * 31 + Math.floor(k / peopleCount) * 17) % peopleCount;
  const people = direct.get(group) ?? new Set();
  direct.set(group, people.add(person));
}

const removedGroups = new Set([14, 503]);
const isRemoved = (person: number) => person % 1_000 === 7;

let store: Store;

beforeAll(async () => {
  store = await openStore();
  await ask(store, "insert into entra_sync.tenants (tenant_id, name) values (:tenant, 'Large')", { tenant });
  await ask(
    store,
    `insert into entra_sync.accounts (tenant_id, entra_object_id, state, enabled, source, mapped, removed_at, removed_reason, purge_at)
     select :tenant, ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'managed', true, '{}', '{}',
            case when n % 1000 = 7 then now() end, case when n % 1000 = 7 then 'deleted_restorable' end, case when n % 1000 = 7 then now() end
       from generate_series(0, :people::int - 1) n`,
    { tenant, people: peopleCount },
  );
  await ask(
    store,
    `insert into entra_sync.groups (tenant_id, entra_object_id, state, display_name, kind, is_dynamic, source, removed_at, removed_reason, purge_at)
     select :tenant, ('00000000-0000-4000-8000-' || lpad((1000000 + n)::text, 12, '0'))::uuid, 'managed', 'Group ' || n, 'security', false, '{}',
            case when n = any(:removed::int[]) then now() end, case when n = any(:removed::int[]) then 'deleted_restorable' end,
            case when n = any(:removed::int[]) then now() end
       from generate_series(0, :groups::int - 1) n`,
    { tenant, groups: groupCount, removed: [...removedGroups] },
  );
  const pairs = [
    ...[...direct].flatMap(([group, people]) => [...people].map((person) => [group, objectId(person), 'u'] as const)),
    ...[...children].flatMap(([group, held]) => held.map((child) => [group, groupObject(child), 'g'] as const)),
  ];
  await ask(
    store,
    storing(
      `select g.tenant_id, g.group_no, p.member as member_object_id, p.type as member_type
         from unnest(:groups::uuid[], :members::uuid[], :types::"char"[]) as p (object, member, type)
         join entra_sync.groups g on g.entra_object_id = p.object`,
    ),
    {
      groups: pairs.map(([group]) => groupObject(group)),
      members: pairs.map(([, member]) => member),
      types: pairs.map(([, , type]) => type),
    },
  );
  await renew();
  await ask(store, keeping);
  for (const table of ['accounts', 'groups', 'member_groups', 'group_closure', 'effective_members'])
    await ask(store, `analyze entra_sync.${table}`);
});

afterAll(() => store.close());

/** Compares the whole tenant like a full round, and writes the differences. */
const renew = () =>
  inTransaction(store.database, (transaction) => keepClosure(transaction, { tenant, batch: '0', full: true }));

/** The live groups inside a live group, with itself. */
function heldBy(group: number): Set<number> {
  const met = new Set(removedGroups.has(group) ? [] : [group]);
  for (const one of met) for (const child of children.get(one) ?? []) if (!removedGroups.has(child)) met.add(child);
  return met;
}

/** "user direct|nested" of all users that a walk from the group finds. */
function peopleOf(group: number): string[] {
  const people = new Set([...heldBy(group)].flatMap((one) => [...(direct.get(one) ?? [])]));
  return [...people]
    .filter((person) => !isRemoved(person))
    .map((person) => `${objectId(person)} ${direct.get(group)?.has(person) ? 'direct' : 'nested'}`)
    .sort();
}

const seenOfGroup = `select a.entra_object_id || case when m.is_direct then ' direct' else ' nested' end as fact
  from directory.effective_memberships m join directory.accounts a using (account_id)
 where m.group_id = (select group_id from entra_sync.groups where entra_object_id = :object)`;

const seenOfAccount = `select g.entra_object_id || case when m.is_direct then ' direct' else ' nested' end as fact
  from directory.effective_memberships m join directory.groups g using (group_id)
 where m.account_id = (select account_id from entra_sync.accounts where entra_object_id = :object)`;

const facts = async (sql: string, object: string) =>
  (await ask<{ fact: string }>(store, sql, { object })).map((row) => row.fact).sort();

test('there are 40,000 memberships, and loops, diamonds and chains among the groups', () => {
  expect([...direct.values()].reduce((sum, people) => sum + people.size, 0)).toBe(membershipCount);
  expect(heldBy(0).size).toBeGreaterThan(10);
  expect(heldBy(9)).toContain(0);
  expect(heldBy(10), 'the removed group 14 parts the chain, the diamond goes past it').not.toContain(14);
  expect(heldBy(10)).toContain(19);
});

const sampleGroups = [0, 3, 5, 9, 10, 13, 14, 15, 49, 50, 350, 355, 500, 503, 504, 700, 777, 999];

test.each(sampleGroups)('the accounts of group %i are those that a walk finds', async (group) => {
  const expected = peopleOf(group);
  expect(expected.length > 0).toBe(!removedGroups.has(group));
  expect(await facts(seenOfGroup, groupObject(group))).toEqual(expected);
});

test.each([0, 1, 7, 1_007, 1_321, 2_999, 3_999])(
  'the groups of account %i are those that lead to it',
  async (person) => {
    const expected = isRemoved(person)
      ? []
      : Array.from({ length: groupCount }, (_, group) => group)
          .filter((group) => [...heldBy(group)].some((one) => direct.get(one)?.has(person)))
          .map((group) => `${groupObject(group)} ${direct.get(group)?.has(person) ? 'direct' : 'nested'}`)
          .sort();
    expect(expected.length > 0).toBe(!isRemoved(person));
    expect(await facts(seenOfAccount, objectId(person))).toEqual(expected);
  },
);

type Plan = { 'Node Type': string; 'Relation Name'?: string; Plans?: Plan[] };
const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];

test.each([
  ['accounts of one group', 'group_id', 'groups', groupObject(5)],
  ['groups of one account', 'account_id', 'accounts', objectId(1_321)],
])('%s: the memberships are found by index', async (question, column, table, object) => {
  const [one] = await ask<{ id: string }>(
    store,
    `select ${column} as id from entra_sync.${table} where entra_object_id = :object`,
    { object },
  );
  const sql = `select * from directory.effective_memberships where ${column} = '${one?.id}'`;
  const [explained] = await ask<{ 'QUERY PLAN': [{ Plan: Plan; 'Execution Time': number }] }>(
    store,
    `explain (analyze, format json) ${sql}`,
  );
  const [root] = explained?.['QUERY PLAN'] ?? [];
  const nodes = root ? nodesOf(root.Plan) : [];
  const read = nodes.filter((node) => node['Relation Name'] === 'effective_members').map((node) => node['Node Type']);
  expect(read.length).toBeGreaterThan(0);
  expect(read.filter((type) => type.includes('Seq Scan'))).toEqual([]);
  const times: number[] = [];
  for (let run = 0; run < 5; run += 1) {
    const started = performance.now();
    await ask(store, sql);
    times.push(performance.now() - started);
  }
  process.stdout.write(
    `${question}: ${Math.min(...times).toFixed(1)} ms (${root?.['Execution Time'].toFixed(1)} ms in Postgres)\n`,
  );
});

test.runIf(isDeep)('the closure updated by differences equals a new closure', async () => {
  const closure = () => ask(store, 'select ancestor_no, descendant_no from entra_sync.group_closure order by 1, 2');
  const before = await closure();
  const parent = '(select group_no from entra_sync.groups where entra_object_id = :parent)';
  const ends = { parent: groupObject(3), child: groupObject(4) };
  await ask(store, takingOut(parent, ':child'), ends);
  await renew();
  const cut = await closure();
  expect(cut.length).toBeLessThan(before.length);
  await ask(store, 'delete from entra_sync.group_closure');
  await renew();
  expect(await closure()).toEqual(cut);
  await ask(
    store,
    storing(
      "select tenant_id, group_no, :child::uuid as member_object_id, 'g' as member_type from entra_sync.groups where entra_object_id = :parent",
    ),
    ends,
  );
  await renew();
  expect(await closure()).toEqual(before);
});
