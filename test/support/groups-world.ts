// Worlds with named groups, altered pages of groups/delta, and the expectations at the end.
import { expect } from 'vitest';
import { driftOfEffective } from '../../src/store/verify-effective.ts';
import { groupsSeen, groupTruth, membershipPairs, replayMemberships } from './groups-truth.ts';
import { setSettings } from './settings.ts';
import { accountsOf, openWorld, type World } from './system.ts';

export type Item = Record<string, unknown> & { id: string; 'members@delta'?: Record<string, unknown>[] };

export const ofGroups = (url: string) => url.startsWith('/v1.0/groups/delta');
export const ofUsers = (url: string) => url.startsWith('/v1.0/users/delta');
export const down = { status: 503, body: {} };
export const notFound = { status: 404, body: { error: { code: 'Request_ResourceNotFound', message: 'not there' } } };
export const forbidden = { status: 403, body: { error: { code: 'Authorization_RequestDenied', message: 'no' } } };

/** A Microsoft 365 group: it is soft-deleted and can be restored. */
export const unified = { groupTypes: ['Unified'], mailEnabled: true, securityEnabled: false };

/** Alters the objects of every page of groups/delta. Returns the function that ends it. */
export function alterPages(world: World, alter: (item: Item) => Item): () => void {
  return world.simulator.transform(({ url }, body) =>
    ofGroups(url) ? { ...body, value: (body as { value: Item[] }).value.map(alter) } : body,
  );
}

/** Full rounds may or may not show former members; this one's first page does not. */
export function forgetLeavers(world: World): void {
  world.simulator.transform(({ url }, body) => {
    if (!ofGroups(url) || !url.includes('$select')) return body;
    const stayed = (item: Item) => (item['members@delta'] ?? []).filter((one) => !one['@removed']);
    return {
      ...body,
      value: (body as { value: Item[] }).value.map((item) => ({ ...item, 'members@delta': stayed(item) })),
    };
  });
}

/** Opens a world whose groups have these members: users by number, groups by name. */
export async function groupsWorld(
  members: Record<string, (number | string)[]>,
  options: Parameters<typeof openWorld>[0] = {},
  properties: Record<string, unknown> = unified,
) {
  const world = await openWorld(options);
  const { tenant } = world;
  const people = tenant.users().map((user) => user.id);
  const ids = new Map(
    Object.keys(members).map((name) => [name, tenant.createGroup({ displayName: name, ...properties })]),
  );
  const person = (number: number): string => people[number] ?? expect.unreachable('too few people');
  const group = (name: string): string => ids.get(name) ?? expect.unreachable('no such group');
  for (const [name, list] of Object.entries(members))
    for (const one of list) tenant.addMember(group(name), typeof one === 'number' ? person(one) : group(one));
  return { world, tenant, person, group };
}

export async function setScope(
  { database }: World,
  scope: { accountEnabled?: boolean; groups?: string[] },
): Promise<void> {
  await setSettings(database, { scope: { userType: 'any', ...scope } });
}

export async function isLive({ database, tenant }: World, id: string): Promise<boolean> {
  return (await accountsOf(database, tenant.tenantId))[id] !== undefined;
}

/** Expects that the views show the tenant's truth, that the feed replayed from empty does too, and that kept rows equal a walk. */
export async function expectGroups({ tenant, database }: World): Promise<void> {
  expect(await groupsSeen(database, tenant.tenantId)).toEqual(groupTruth(tenant));
  expect(await replayMemberships(database, tenant.tenantId)).toEqual(await membershipPairs(database, tenant.tenantId));
  expect(await driftOfEffective(database, tenant.tenantId)).toEqual([]);
}

/** Makes the next round of this stream a full one by its age. */
export async function makeFullDue({ database }: World, stream: 'users' | 'groups'): Promise<void> {
  await database.raw("update entra_sync.checkpoints set full_at = now() - interval '30 days' where stream = :stream", {
    stream,
  });
}
