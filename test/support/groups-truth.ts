// Groups and memberships as they must be, computed from the tenant by brute force, and as applications see them.
import type { Tenant, User } from '../../src/simulator/index.ts';
import { type Database, rows } from '../../src/store/database/pool.ts';

export type Graph = {
  /** Group object id -> its visible fields. */
  groups: Record<
    string,
    { displayName: unknown; description: unknown; mail: unknown; kind: string; isDynamic: boolean }
  >;
  /** "group member" by object ids, both live. */
  direct: string[];
  /** "group user direct|nested" by object ids. */
  effective: string[];
};

function kindOf(properties: Record<string, unknown>): string {
  if (Array.isArray(properties.groupTypes) && properties.groupTypes.includes('Unified')) return 'microsoft365';
  if (properties.mailEnabled !== true) return 'security';
  return properties.securityEnabled === true ? 'mail_enabled_security' : 'distribution';
}

/**
 * Computes direct memberships between live ends, and for each group all users in it and its nested groups. Groups that are not
 * copied are on the way alone.
 */
export function groupTruth(
  tenant: Tenant,
  isTaken: (user: User) => boolean = () => true,
  isCopied: (id: string, name: string) => boolean = () => true,
): Graph {
  const users = new Set(
    tenant
      .users()
      .filter(isTaken)
      .map((user) => user.id),
  );
  const groups = new Map(tenant.groups().map((group) => [group.id, group]));
  const copied = new Map(
    [...groups].filter(([id, { properties }]) => isCopied(id, String(properties.displayName ?? ''))),
  );
  const direct: string[] = [];
  const effective: string[] = [];
  for (const group of copied.values()) {
    for (const member of group.members.keys())
      if (users.has(member) || copied.has(member)) direct.push(`${group.id} ${member}`);
    const met = new Set([group.id]);
    const people = new Set<string>();
    for (const id of met) {
      for (const member of groups.get(id)?.members.keys() ?? []) {
        if (groups.has(member)) met.add(member);
        if (users.has(member)) people.add(member);
      }
    }
    for (const person of people)
      effective.push(`${group.id} ${person} ${group.members.has(person) ? 'direct' : 'nested'}`);
  }
  return {
    groups: Object.fromEntries(
      [...copied.values()].map(({ id, properties }) => [
        id,
        {
          displayName: properties.displayName ?? null,
          description: properties.description ?? null,
          mail: properties.mail ?? null,
          kind: kindOf(properties),
          isDynamic: Array.isArray(properties.groupTypes) && properties.groupTypes.includes('DynamicMembership'),
        },
      ]),
    ),
    direct: direct.sort(),
    effective: effective.sort(),
  };
}

/** Returns the same from the views of the contract. */
export async function groupsSeen(database: Database, tenantId: string): Promise<Graph> {
  const groups = await rows<Record<string, unknown>>(
    database,
    'select entra_object_id, display_name, description, mail, kind, is_dynamic from directory.groups where tenant_id = :tenantId',
    { tenantId },
  );
  const direct = await rows<{ pair: string }>(
    database,
    `select g.entra_object_id || ' ' || coalesce(a.entra_object_id, n.entra_object_id) as pair
       from directory.memberships m join directory.groups g using (group_id)
       left join directory.accounts a on a.account_id = m.account_id
       left join directory.groups n on n.group_id = m.member_group_id where m.tenant_id = :tenantId`,
    { tenantId },
  );
  const effective = await rows<{ pair: string }>(
    database,
    `select g.entra_object_id || ' ' || a.entra_object_id || case when m.is_direct then ' direct' else ' nested' end as pair
       from directory.effective_memberships m join directory.groups g using (group_id)
       join directory.accounts a using (account_id) where m.tenant_id = :tenantId`,
    { tenantId },
  );
  return {
    groups: Object.fromEntries(
      groups.map((one) => [
        one.entra_object_id,
        {
          displayName: one.display_name,
          description: one.description,
          mail: one.mail,
          kind: one.kind,
          isDynamic: one.is_dynamic,
        },
      ]),
    ) as Graph['groups'],
    direct: direct.map((row) => row.pair).sort(),
    effective: effective.map((row) => row.pair).sort(),
  };
}

/** Replays the feed from empty; returns the memberships that it leaves, as "group_id member". */
export async function replayMemberships(database: Database, tenantId: string): Promise<string[]> {
  const changes = await rows<{ kind: string; group_id: string; member: string }>(
    database,
    `select kind, group_id, coalesce(account_id, member_group_id)::text as member
       from directory.read_changes(null, 1000000) where kind like 'membership.%' and tenant_id = :tenantId`,
    { tenantId },
  );
  const there = new Set<string>();
  for (const { kind, group_id: group, member } of changes) {
    const pair = `${group} ${member}`;
    if (kind === 'membership.added' ? there.has(pair) : !there.has(pair)) throw new Error(`${kind} of ${pair} twice`);
    if (kind === 'membership.added') there.add(pair);
    else there.delete(pair);
  }
  return [...there].sort();
}

/** Returns the direct memberships of the view as "group_id member". */
export async function membershipPairs(database: Database, tenantId: string): Promise<string[]> {
  const found = await rows<{ pair: string }>(
    database,
    `select group_id || ' ' || coalesce(account_id, member_group_id) as pair from directory.memberships where tenant_id = :tenantId`,
    { tenantId },
  );
  return found.map((row) => row.pair).sort();
}
