// Decodes groups and the slices of members on a page, and maps a group to its columns (rules 4, 8, 9).
import {
  asGuid,
  cleanKey,
  type DeltaPage,
  decodeObject,
  decodePageOf,
  type Json,
  joinPages,
  type Occurrence,
  type Problem,
  type SelectedProperties,
  type Source,
} from './decode.ts';

/** Selected properties of a group. The first URL adds `members`: without it memberships are not tracked. */
export const groupProperties: SelectedProperties = new Map([
  ['displayName', 'string'],
  ['description', 'string'],
  ['mail', 'string'],
  ['mailEnabled', 'boolean'],
  ['mailNickname', 'string'],
  ['securityEnabled', 'boolean'],
  ['groupTypes', 'string[]'],
  ['visibility', 'string'],
  ['classification', 'string'],
  ['onPremisesSyncEnabled', 'boolean'],
]);

// If one of these is unreadable, so is the group: its name, and the properties that decide its kind.
const groupKeys: ReadonlySet<string> = new Set(['displayName', 'mailEnabled', 'securityEnabled', 'groupTypes']);

/** Decodes one group of a page, or the answer to GET /groups/{id}, without its members. */
export function decodeGroup(item: unknown): Occurrence | Problem {
  return decodeObject(item, groupProperties, groupKeys);
}

/** Properties that every group has: an unknown group without one of them came in part. */
export const requiredGroupProperties: readonly string[] = ['displayName', 'mailEnabled', 'securityEnabled'];

/** The type of a member in Graph: user, group, device, contact, service principal, or other. */
export type MemberType = 'u' | 'g' | 'd' | 'c' | 's' | 'x';

/**
 * One entry of members@delta. `removed` means from the group; the member itself lives on (concepts/delta-query-groups).
 */
export type Member = {
  readonly groupId: string;
  readonly memberId: string;
  readonly type: MemberType;
  readonly removed: boolean;
};

/** A part of a group's member list. `next` is the link to the next part; null: this is the last readable one. */
export type PartOfMemberList = {
  readonly groupId: string;
  readonly members: readonly Member[];
  readonly problems: readonly Problem[];
  readonly next: string | null;
};

export type GroupsPage = DeltaPage & {
  /** The last entry on the page for each membership. */
  readonly members: readonly Member[];
  /** The same for each earlier page that was joined with it. */
  readonly earlier?: readonly (readonly Member[])[];
};

// A map, because an object would also have a value for "constructor".
const memberTypes: ReadonlyMap<string, MemberType> = new Map([
  ['#microsoft.graph.user', 'u'],
  ['#microsoft.graph.agentuser', 'u'],
  ['#microsoft.graph.group', 'g'],
  ['#microsoft.graph.device', 'd'],
  ['#microsoft.graph.orgcontact', 'c'],
  ['#microsoft.graph.serviceprincipal', 's'],
]);

/**
 * Decodes a page of groups/delta. A group may come on many pages, each with a slice of its members. Members of unknown
 * types are kept; one whose id is not a GUID is a problem of its own. Members are returned even if the group's own
 * properties are unreadable.
 */
export function decodeGroupsPage(body: unknown): GroupsPage | { readonly malformed: string } {
  const members = new Map<string, Map<string, Member>>();
  const problems: Problem[] = [];
  const page = decodePageOf(body, (item): Occurrence | Problem => {
    const decoded = decodeGroup(item);
    if (decoded.id === undefined || 'removed' in decoded) return decoded;
    const slice = decodeMembers(decoded.id, (item as Record<string, unknown>)['members@delta']);
    if (slice.length === 0) return decoded;
    const ofGroup = members.get(decoded.id) ?? new Map<string, Member>();
    members.set(decoded.id, ofGroup);
    for (const member of slice) {
      if ('reason' in member) problems.push(member);
      else ofGroup.set(member.memberId, member);
    }
    return decoded;
  });
  if ('malformed' in page) return page;
  return { ...page, problems: [...page.problems, ...problems], members: wordsOf(members) };
}

/** Joins pages in the given order. */
export function joinGroupsPages(pages: readonly GroupsPage[], last: GroupsPage): GroupsPage {
  const earlier = pages.slice(0, -1).map((page) => page.members);
  return { ...joinPages(pages, last), members: last.members, earlier };
}

function wordsOf(members: ReadonlyMap<string, ReadonlyMap<string, Member>>): Member[] {
  return [...members.values()].flatMap((ofGroup) => [...ofGroup.values()]);
}

function decodeMembers(groupId: string, slice: unknown): (Member | Problem)[] {
  if (slice === undefined || slice === null) return [];
  if (!Array.isArray(slice)) return [{ key: groupId, id: groupId, reason: 'its members@delta is not a list' }];
  return slice.map((entry: unknown) => decodeMember(groupId, entry));
}

/** Decodes one entry of members@delta, or of a listing of members. */
export function decodeMember(groupId: string, entry: unknown): Member | Problem {
  const {
    id,
    '@odata.type': type,
    '@removed': removed,
  } = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>;
  const memberId = typeof id === 'string' ? asGuid(id) : undefined;
  if (!memberId) {
    return {
      key: cleanKey(`${groupId}/${typeof id === 'string' ? id : '(no id)'}`, 100),
      reason: 'the id of a member is not a GUID',
    };
  }
  const known = typeof type === 'string' ? memberTypes.get(type.toLowerCase()) : undefined;
  return { groupId, memberId, type: known ?? 'x', removed: removed !== undefined && removed !== null };
}

export type GroupKind = 'security' | 'microsoft365' | 'distribution' | 'mail_enabled_security';

export type GroupColumns = {
  displayName: string | null;
  description: string | null;
  mail: string | null;
  kind: GroupKind;
  isDynamic: boolean;
  attributes: { [property: string]: Json };
};

const attributeProperties = ['visibility', 'mailNickname', 'classification', 'onPremisesSyncEnabled'] as const;

/** Returns a group's columns from its source document (learn.microsoft.com/graph/api/resources/groups-overview). */
export function groupColumns(source: Source): GroupColumns {
  const types = Array.isArray(source.groupTypes) ? source.groupTypes : [];
  const mailEnabled = source.mailEnabled === true;
  const securityEnabled = source.securityEnabled === true;
  const attributes: { [property: string]: Json } = {};
  for (const property of attributeProperties) {
    const value = source[property];
    if (value !== undefined) attributes[property] = value;
  }
  return {
    displayName: text(source.displayName),
    description: text(source.description),
    mail: text(source.mail),
    kind: types.includes('Unified')
      ? 'microsoft365'
      : mailEnabled
        ? securityEnabled
          ? 'mail_enabled_security'
          : 'distribution'
        : 'security',
    isDynamic: types.includes('DynamicMembership'),
    attributes,
  };
}

function text(value: Json | undefined): string | null {
  return typeof value === 'string' ? value : null;
}
