// The edits that the demo makes in its simulated tenant.
import type { Tenant } from '../../simulator/index.ts';

type NamedGroup = { id: string; name: string };
type Nested = readonly [nested: NamedGroup, outer: NamedGroup];

/** Edits the simulated tenant as its administrator would, and returns a line for each edit. */
export function editTenant(
  tenant: Tenant,
  [nested, outer]: Nested,
  [promoted, unlisted, leaver]: readonly [string, string, string],
): string[] {
  const name = (id: string) => String(tenant.findUser(id)?.properties.displayName);
  const hired = [1, 2, 3].map(() => name(tenant.createUser()));
  const job = String(tenant.findUser(promoted)?.properties.jobTitle ?? 'no title');
  tenant.updateUser(promoted, { jobTitle: 'Chief Happiness Officer', department: 'Board' });
  tenant.updateUser(unlisted, { mobilePhone: null });
  const newName = 'Friends of the Customer';
  const told = [
    `${hired.join(', ')} are hired`,
    `${name(promoted)} (${job}) becomes Chief Happiness Officer`,
    `${name(unlisted)} no longer has a mobile phone`,
    `${name(leaver)} is deleted`,
    `the group ${nested.name}, nested in ${outer.name}, is renamed to ${newName}, and ${name(promoted)} and ${name(unlisted)} join it`,
  ];
  tenant.updateGroup(nested.id, { displayName: newName });
  for (const id of [promoted, unlisted]) tenant.addMember(nested.id, id);
  tenant.deleteUser(leaver);
  return told;
}

/** Returns a group and the group that contains it; nests one if needed. */
export function nestedGroups(tenant: Tenant): Nested {
  const groups = tenant.groups();
  const named = (group: (typeof groups)[number]) => ({ id: group.id, name: String(group.properties.displayName) });
  for (const outer of groups) {
    const nested = groups.find((group) => group.id !== outer.id && outer.members.has(group.id));
    if (nested) return [named(nested), named(outer)];
  }
  const [nested, outer] = groups;
  if (!nested || !outer) throw new Error('the simulated tenant has too few groups');
  tenant.addMember(outer.id, nested.id);
  return [named(nested), named(outer)];
}
