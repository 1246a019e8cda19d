// Edits of groups and memberships. Each takes effect at once and is logged for delta.
import { makeGroup } from './group-names.ts';
import { isAgent } from './kinds.ts';
import { type Entity, insert, type Properties, record, type Truth } from './truth.ts';
import { changeState, entityIn, forgetMember, newProperties, patchEntity } from './user-edits.ts';

/**
 * Whether a deleted group can be restored: a Microsoft 365 group, and a security group of the cloud where the tenant has
 * that. Distribution, mail-enabled and synced groups are gone at once.
 */
function isRestorable(truth: Truth, { properties }: Entity): boolean {
  const { groupTypes, mailEnabled, onPremisesSyncEnabled } = properties;
  if (Array.isArray(groupTypes) && groupTypes.includes('Unified')) return true;
  return truth.securityGroupsRestorable && mailEnabled !== true && onPremisesSyncEnabled !== true;
}

/** Adds a group without members, by default an assigned security group. Makes up the properties that are not given. */
export function createGroup(truth: Truth, given: Properties = {}): Entity {
  const id = typeof given.id === 'string' ? given.id : truth.random.guid();
  if (truth.users.records.has(id) || truth.groups.records.has(id)) throw new Error(`The id ${id} is taken.`);
  const name = typeof given.displayName === 'string' ? given.displayName : undefined;
  const properties = newProperties('groups', makeGroup(truth, 'security', name), given);
  return insert(truth, truth.groups, id, { groupTypes: [], ...properties });
}

export function updateGroup(truth: Truth, id: string, patch: Properties): void {
  patchEntity(truth, 'groups', entityIn(truth.groups, id, ['live']), patch);
}

export function deleteGroup(truth: Truth, id: string): void {
  const group = entityIn(truth.groups, id, ['live']);
  if (isRestorable(truth, group)) {
    changeState(truth, truth.groups, group, 'soft');
  } else {
    purgeGroup(truth, id);
  }
}

/** Permanently deletes a group and its memberships in both directions. */
export function purgeGroup(truth: Truth, id: string): void {
  const group = entityIn(truth.groups, id, ['live', 'soft']);
  for (const memberId of group.links.keys()) {
    truth.memberOf.get(memberId)?.delete(id);
  }
  group.links.clear();
  forgetMember(truth, id);
  changeState(truth, truth.groups, group, 'hard');
}

export function restoreGroup(truth: Truth, id: string): void {
  changeState(truth, truth.groups, entityIn(truth.groups, id, ['soft']), 'live');
}

function typeOf(truth: Truth, memberId: string): string {
  const [user, group] = [truth.users.records.get(memberId), truth.groups.records.get(memberId)];
  const entity = user ?? group;
  if (entity === undefined) return '#microsoft.graph.device';
  if (entity.state !== 'live') throw new Error(`${memberId} is deleted and cannot become a member.`);
  if (user && isAgent(user)) return '#microsoft.graph.agentUser';
  return user ? '#microsoft.graph.user' : '#microsoft.graph.group';
}

/** Adds a direct member, if it is not one already. An id that belongs to no user or group counts as a device. */
export function addMember(truth: Truth, groupId: string, memberId: string, type?: string): void {
  const group = entityIn(truth.groups, groupId, ['live']);
  if (group.links.get(memberId)?.present) return;
  const link = { type: type ?? typeOf(truth, memberId), present: true, changedAt: 0 };
  if (!truth.making) {
    link.changedAt = record(truth, truth.groups, group);
    group.linksAt = link.changedAt;
  }
  group.links.set(memberId, link);
  const groups = truth.memberOf.get(memberId);
  if (groups) {
    groups.add(groupId);
  } else {
    truth.memberOf.set(memberId, new Set([groupId]));
  }
}

/** Ends a direct membership, if there is one. */
export function removeMember(truth: Truth, groupId: string, memberId: string): void {
  const group = entityIn(truth.groups, groupId, ['live']);
  const link = group.links.get(memberId);
  if (!link?.present) return;
  const changedAt = truth.making ? 0 : record(truth, truth.groups, group);
  group.links.set(memberId, { type: link.type, present: false, changedAt });
  group.linksAt = changedAt;
  truth.memberOf.get(memberId)?.delete(groupId);
}
