// groups/delta of the simulated tenant, over real sockets: groups, and members in slices.
import { afterEach, expect, test } from 'vitest';
import {
  createTenant,
  type Simulator,
  type SimulatorSettings,
  startSimulator,
  type TenantOptions,
} from '../../../src/simulator/index.ts';
import { createReader } from './client.ts';

const started: Simulator[] = [];
const first = '/v1.0/groups/delta?$select=displayName,members';
const user = { '@odata.type': '#microsoft.graph.user' };

async function start(tenantOptions: Partial<TenantOptions> = {}, settings: Partial<SimulatorSettings> = {}) {
  const tenant = createTenant({ seed: 21, users: 12, ...tenantOptions });
  const simulator = await startSimulator({ tenants: [tenant], ...settings });
  started.push(simulator);
  const people = tenant.users().map((person) => person.id);
  return { tenant, simulator, people, ...createReader(simulator) };
}

afterEach(async () => {
  await Promise.all(started.splice(0).map((simulator) => simulator.close()));
});

type Entry = Record<string, unknown>;
const members = (entry: Entry | undefined) => (entry?.['members@delta'] ?? []) as Entry[];
const told = (entries: readonly Entry[], groupId: string) =>
  entries.filter((entry) => entry.id === groupId).flatMap(members);

test('a group without members has no members@delta, one with members has type and id of each', async () => {
  const { tenant, people, round } = await start();
  const [a = '', b = ''] = people;
  const empty = tenant.createGroup({ displayName: 'Empty' });
  const outer = tenant.createGroup({ displayName: 'Outer' });
  tenant.addMember(outer, a);
  tenant.addMember(outer, empty);
  tenant.addMember(outer, '11111111-2222-4333-8444-555555555555');
  tenant.addMember(outer, b, '#microsoft.graph.user');
  expect((await round(first)).value).toEqual([
    { displayName: 'Empty', id: empty },
    {
      displayName: 'Outer',
      id: outer,
      'members@delta': [
        { ...user, id: a },
        { '@odata.type': '#microsoft.graph.group', id: empty },
        { '@odata.type': '#microsoft.graph.device', id: '11111111-2222-4333-8444-555555555555' },
        { ...user, id: b },
      ],
    },
  ]);
});

test('a large group comes in slices on several pages, each with the same properties', async () => {
  const { tenant, people, round } = await start({}, { memberSlice: 5 });
  const id = tenant.createGroup({ displayName: 'Large' });
  for (const person of people) {
    tenant.addMember(id, person);
  }
  const { pages, value } = await round(first);
  expect(pages.map((page) => page.value.map((entry) => members(entry).length))).toEqual([[5], [5], [2]]);
  expect(value.every((entry) => entry.displayName === 'Large')).toBe(true);
  expect(new Set(told(value, id).map((member) => member.id))).toEqual(new Set(people));
});

test('a later round shows changes of membership: plain for added, deleted for removed', async () => {
  const { tenant, people, round } = await start();
  const [a = '', b = '', c = ''] = people;
  const id = tenant.createGroup({ displayName: 'Team' });
  tenant.addMember(id, a);
  tenant.addMember(id, b);
  const { deltaLink } = await round(first);
  tenant.removeMember(id, a);
  tenant.addMember(id, c);
  const next = await round(deltaLink);
  expect(next.value).toEqual([
    {
      displayName: 'Team',
      id,
      'members@delta': [
        { ...user, id: a, '@removed': { reason: 'deleted' } },
        { ...user, id: c },
      ],
    },
  ]);
  tenant.updateGroup(id, { displayName: 'Renamed' });
  expect((await round(next.deltaLink)).value).toEqual([{ displayName: 'Renamed', id }]);
});

test('a full round shows former members as removed', async () => {
  const { tenant, people, round } = await start();
  const [a = ''] = people;
  const id = tenant.createGroup();
  tenant.addMember(id, a);
  tenant.removeMember(id, a);
  expect(told((await round(first)).value, id)).toEqual([{ ...user, id: a, '@removed': { reason: 'deleted' } }]);
});

test('members are tracked only if selected, or without $select', async () => {
  const { tenant, people, round } = await start();
  const id = tenant.createGroup();
  tenant.addMember(id, people[0] ?? '');
  const without = await round('/v1.0/groups/delta?$select=displayName');
  const standard = await round('/v1.0/groups/delta');
  expect(without.value[0]).not.toHaveProperty(['members@delta']);
  expect(members(standard.value[0])).toHaveLength(1);
  tenant.addMember(id, people[1] ?? '');
  expect((await round(without.deltaLink)).value).toEqual([]);
  expect(told((await round(standard.deltaLink)).value, id)).toEqual([{ ...user, id: people[1] }]);
});

test('soft-deleted users keep their memberships, although members@delta does not show them', async () => {
  const { tenant, people, round } = await start();
  const [a = '', b = ''] = people;
  const id = tenant.createGroup();
  tenant.addMember(id, a);
  tenant.addMember(id, b);
  const { deltaLink } = await round(first);
  tenant.deleteUser(a);
  const next = await round(deltaLink);
  expect(next.value).toEqual([]);
  expect(told((await round(first)).value, id)).toEqual([{ ...user, id: b }]);
  tenant.restoreUser(a);
  expect((await round(next.deltaLink)).value).toEqual([]);
  expect(tenant.findGroup(id)?.members.has(a)).toBe(true);
});

test('permanently deleted users leave their groups, and members@delta does not show it', async () => {
  const { tenant, people, round } = await start();
  const [a = '', b = ''] = people;
  const id = tenant.createGroup();
  tenant.addMember(id, a);
  tenant.addMember(id, b);
  tenant.removeMember(id, b);
  const { deltaLink } = await round(first);
  tenant.purgeUser(a);
  tenant.purgeUser(b);
  expect((await round(deltaLink)).value).toEqual([]);
  expect(told((await round(first)).value, id)).toEqual([]);
  expect(tenant.findGroup(id)?.members.size).toBe(0);
});

test.each([
  { displayName: 'M365', groupTypes: ['Unified'], mailEnabled: true },
  { displayName: 'Of any tenant', groupTypes: ['Unified'], mailEnabled: true, of: { securityGroupsRestorable: false } },
  { displayName: 'Security' },
])('a soft-deleted group comes back whole: $displayName', async ({ of, ...properties }) => {
  const { tenant, people, round, simulator } = await start(of);
  const group = tenant.createGroup(properties);
  tenant.addMember(group, people[0] ?? '');
  const { deltaLink } = await round(first);
  tenant.deleteGroup(group);
  const gone = await round(deltaLink);
  expect(gone.value).toEqual([{ id: group, '@removed': { reason: 'changed' } }]);
  tenant.restoreGroup(group);
  const whole = { displayName: properties.displayName, id: group };
  const withMembers = { ...whole, 'members@delta': [{ ...user, id: people[0] }] };
  expect((await round(gone.deltaLink)).value).toEqual([withMembers]);
  simulator.options.restoredMembers = false;
  expect((await round(gone.deltaLink)).value).toEqual([whole]);
  tenant.purgeGroup(group);
  expect(tenant.findGroup(group)).toMatchObject({ deleted: 'hard' });
});

test.each([
  { displayName: 'Distribution', mailEnabled: true, securityEnabled: false },
  { displayName: 'Mail-enabled security', mailEnabled: true },
  { displayName: 'Synced', onPremisesSyncEnabled: true },
  { displayName: 'Of a tenant of today', of: { securityGroupsRestorable: false } },
])('a group of another kind is permanently deleted at once: $displayName', async ({ of, ...properties }) => {
  const { tenant, round } = await start(of);
  const group = tenant.createGroup(properties);
  const { deltaLink } = await round(first);
  tenant.deleteGroup(group);
  expect((await round(deltaLink)).value).toEqual([{ id: group, '@removed': { reason: 'deleted' } }]);
  expect(() => tenant.restoreGroup(group)).toThrow('hard');
});

test('repeated groups first show removed members as added, and slices may be scattered over the round', async () => {
  const { tenant, people, round, simulator } = await start({}, { memberSlice: 4, repeats: 1, shuffle: true });
  const id = tenant.createGroup();
  const { deltaLink } = await round(first);
  for (const person of people) {
    tenant.addMember(id, person);
  }
  tenant.removeMember(id, people[0] ?? '');
  const { value } = await round(deltaLink);
  expect(value.length).toBe(6);
  const ofFirst = told(value, id).filter((member) => member.id === people[0]);
  expect(ofFirst.map((member) => '@removed' in member)).toEqual([false, true]);
  simulator.options.repeats = 0;
  expect((await round(deltaLink)).value.length).toBe(3);
});
