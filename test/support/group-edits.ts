// Random edits of a tenant's groups, members and users.
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { Tenant } from '../../src/simulator/index.ts';

export type Edit = { act: (typeof acts)[number]; one: number; other: number };
const acts = [
  'join',
  'join',
  'join',
  'join',
  'nest',
  'nest',
  'nest',
  'leave',
  'leave',
  'device',
  'contact',
  'create',
  'rename',
  'delete',
  'purge',
  'restore',
  'hire',
  'kind',
  'leaver',
  'leaverForGood',
  'comeback',
] as const;

export const edit: fc.Arbitrary<Edit> = fc.record({
  act: fc.constantFrom(...acts),
  one: fc.nat(40),
  other: fc.nat(40),
});
export const pick = <Item>(items: readonly Item[], index: number): Item | undefined =>
  items[index % Math.max(1, items.length)];

/** Restorable after a deletion: the first, the second in tenants that can restore it, the others never. */
const kinds = [
  { groupTypes: ['Unified'], mailEnabled: true, securityEnabled: true },
  { mailEnabled: false, securityEnabled: true },
  { mailEnabled: true, securityEnabled: true },
  { mailEnabled: true, securityEnabled: false },
  { mailEnabled: false, securityEnabled: true, onPremisesSyncEnabled: true },
];

function edited(tenant: Tenant, { act, one, other }: Edit): unknown {
  const groups = tenant.groups();
  const users = tenant.users();
  const group = pick(groups, one);
  const user = pick(users, other);
  const gone = pick(tenant.deletedUsers(), one);
  switch (act) {
    case 'join':
      return group && user && tenant.addMember(group.id, user.id);
    case 'nest': {
      const nested = pick(groups, other);
      return group && nested && nested.id !== group.id ? tenant.addMember(group.id, nested.id) : undefined;
    }
    case 'leave': {
      const member = group && pick([...group.members.keys()], other);
      return group && member ? tenant.removeMember(group.id, member) : undefined;
    }
    case 'device':
      return group && tenant.addMember(group.id, randomUUID(), '#microsoft.graph.device');
    case 'contact':
      return group && tenant.addMember(group.id, randomUUID(), '#microsoft.graph.somethingNew');
    case 'create':
      return tenant.createGroup({ displayName: `Team ${one}`, ...pick(kinds, one) });
    case 'rename':
      return (
        group &&
        tenant.updateGroup(group.id, {
          displayName: `Renamed ${other}`,
          description: other % 2 ? null : `About ${other}`,
        })
      );
    case 'delete':
      return group && tenant.deleteGroup(group.id);
    case 'purge':
      return group && one % 3 === 0 ? tenant.purgeGroup(group.id) : undefined;
    case 'restore':
      return restoreSomeGroup(tenant, one);
    case 'hire':
      return tenant.createUser();
    case 'kind':
      return (
        group &&
        tenant.addMember(
          group.id,
          tenant.createKind(pick(['agent', 'guest', 'external', 'room'] as const, one) ?? 'agent'),
        )
      );
    case 'leaver':
      return user && tenant.deleteUser(user.id);
    case 'leaverForGood':
      return user && tenant.purgeUser(user.id);
    case 'comeback':
      return gone && tenant.restoreUser(gone.id);
  }
}

const deletedGroups = new WeakMap<Tenant, string[]>();
function restoreSomeGroup(tenant: Tenant, one: number): void {
  const known = deletedGroups.get(tenant) ?? [];
  const id = pick(known, one);
  if (id === undefined) return;
  try {
    tenant.restoreGroup(id);
  } catch {
    // It lives, or is permanently deleted.
  }
}

/** Whether deleted security groups can be restored in a history's tenant: half of the histories draw each. */
export const restorableOf = (seed: number): boolean => Math.floor(seed / 2) % 2 === 0;

/** Makes an edit, where the tenant has an object for it. */
export function makeEdit(tenant: Tenant, edit: Edit): void {
  const before = tenant.groups().map((group) => group.id);
  edited(tenant, edit);
  const after = new Set(tenant.groups().map((group) => group.id));
  deletedGroups.set(tenant, [...(deletedGroups.get(tenant) ?? []), ...before.filter((id) => !after.has(id))]);
}
