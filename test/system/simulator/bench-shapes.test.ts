// The bench's own Graph answers in the simulator's shapes: the same links, properties and types, page by page.
import { expect, onTestFinished, test } from 'vitest';
import { makeDirectory } from '../../../bench/directory.ts';
import { firstGroups, firstUsers, laterRound, makeRound, planningMix, userPages } from '../../../bench/pages.ts';
import { firstGroupsUrl } from '../../../src/graph/groups.ts';
import { firstUsersUrl } from '../../../src/graph/users.ts';
import { selectedProperties } from '../../../src/rules/mapping.ts';
import { loadDefaults, resolveSettings } from '../../../src/settings/settings.ts';
import { createTenant, startSimulator } from '../../../src/simulator/index.ts';
import { type Body, createReader } from './client.ts';

const size = { users: 500, groups: 40, memberships: 2_000 };

type Shape = Record<string, string>;

/** Returns each key with the types of its values. */
function shapeOf(objects: readonly Record<string, unknown>[]): Shape {
  const types = new Map<string, Set<string>>();
  for (const object of objects) {
    for (const [key, value] of Object.entries(object)) {
      const type = Array.isArray(value) ? 'array' : typeof value;
      types.set(key, (types.get(key) ?? new Set()).add(type));
    }
  }
  return Object.fromEntries([...types].map(([key, found]) => [key, [...found].sort().join(' or ')]).sort());
}

const parse = (pages: readonly Buffer[]) => pages.map((page) => JSON.parse(page.toString()) as Body);
const entries = (pages: readonly Body[]) => pages.flatMap((page) => page.value);
const members = (pages: readonly Body[]) =>
  entries(pages).flatMap((entry) => (entry['members@delta'] ?? []) as Record<string, unknown>[]);

test('full rounds of users and groups, their links, and tombstones', async () => {
  const tenant = createTenant({ seed: 3, users: 500, groups: 40 });
  const simulator = await startSimulator({ tenants: [tenant] });
  onTestFinished(() => simulator.close());
  const { round } = createReader(simulator, tenant.tenantId);
  const settings = resolveSettings([loadDefaults()], 1);
  const told = {
    users: (await round(firstUsersUrl(simulator.origin, selectedProperties(settings)))).pages,
    groups: (await round(firstGroupsUrl(simulator.origin))).pages,
  };
  const { origin } = simulator;
  const directory = makeDirectory(1, size);
  const made = {
    users: parse(makeRound(origin, 'users', 0, userPages(firstUsers(directory)))),
    groups: parse(makeRound(origin, 'groups', 0, firstGroups(directory))),
  };
  for (const stream of ['users', 'groups'] as const) {
    expect(shapeOf(made[stream]), stream).toEqual(shapeOf(told[stream]));
    // The bench may lack properties, but must not differ in a type.
    const [ours, theirs] = [shapeOf(entries(made[stream])), shapeOf(entries(told[stream]))];
    for (const [key, type] of Object.entries(ours)) expect({ [key]: theirs[key] }).toEqual({ [key]: type });
    const link = (page: Body | undefined) => String(page?.['@odata.nextLink'] ?? page?.['@odata.deltaLink']);
    const form = (text: string) => text.replace(/token=.*$/, 'token=');
    expect(form(link(made[stream].at(-1)))).toBe(form(link(told[stream].at(-1))));
  }
  expect(leadsOn(made.users)).toBe(leadsOn(told.users));
  // Only the simulator shows former members.
  const present = members(told.groups).filter((member) => !('@removed' in member));
  expect(shapeOf(members(made.groups))).toEqual(shapeOf(present));
  expect(Math.max(...made.groups.map((page) => members([page]).length))).toBeLessThanOrEqual(500);
  expect(Math.max(...made.users.map((page) => page.value.length))).toBe(200);
  const later = laterRound(directory, 1, planningMix).users.map((text) => JSON.parse(text));
  expect(later.filter((entry) => '@removed' in entry)).toHaveLength(5);
  expect(later.find((entry) => '@removed' in entry)).toEqual({
    id: directory.userIds[0],
    '@removed': { reason: 'changed' },
  });
});

// The first page's next link, without its token.
const leadsOn = (pages: readonly Body[]) => String(pages[0]?.['@odata.nextLink']).replace(/token=.*$/, 'token=');
