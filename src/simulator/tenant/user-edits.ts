// Edits of users as an administrator makes them. Each takes effect at once and is logged for delta.
import { forgetManager, managerOf } from './managers.ts';
import { makePerson } from './people.ts';
import { isKnownProperty, type StreamName, schemas } from './properties.ts';
import { type Entity, insert, type Properties, record, type Stream, type Truth } from './truth.ts';

function refuseNames(stream: StreamName, patch: Properties): void {
  for (const name of Object.keys(patch)) {
    if (!isKnownProperty(stream, name) || name === 'id' || name === 'members') {
      throw new Error(`'${name}' is not a property of ${schemas[stream].type} that can be set.`);
    }
  }
}

/** Applies a patch to a live object; null clears a property (a collection becomes empty). */
export function patchEntity(truth: Truth, stream: StreamName, entity: Entity, patch: Properties): void {
  refuseNames(stream, patch);
  const properties: Record<string, unknown> = { ...entity.properties };
  const changedAt = new Map(entity.changedAt);
  const changed: string[] = [];
  for (const [name, wanted] of Object.entries(patch)) {
    const value = wanted ?? (schemas[stream].collections.has(name) ? [] : undefined);
    if (JSON.stringify(properties[name]) === JSON.stringify(value)) continue;
    changed.push(name);
    if (value === undefined) {
      delete properties[name];
    } else {
      properties[name] = structuredClone(value);
    }
  }
  if (changed.length === 0) return;
  entity.earlier = { state: entity.state, properties: entity.properties };
  const now = record(truth, truth[stream], entity);
  for (const name of changed) {
    changedAt.set(name, now);
  }
  if (changed.includes('manager')) {
    entity.formerManagers.push({ until: now, manager: managerOf(entity) });
  }
  entity.properties = properties;
  entity.changedAt = changedAt;
}

export function changeState(truth: Truth, stream: Stream, entity: Entity, state: Entity['state']): void {
  entity.earlier = { state: entity.state, properties: entity.properties };
  entity.stateAt = record(truth, stream, entity);
  entity.state = state;
  if (state === 'live') {
    entity.restoredAt = entity.stateAt;
  }
}

/** Returns the object with this id; throws unless it is in one of these states. */
export function entityIn(stream: Stream, id: string, states: readonly Entity['state'][]): Entity {
  const entity = stream.records.get(id);
  if (entity === undefined || !states.includes(entity.state)) {
    throw new Error(`No ${states.join(' or ')} object ${id}${entity ? ` (it is ${entity.state})` : ''}.`);
  }
  return entity;
}

/** Returns the given properties over the generated ones; null removes one. */
export function newProperties(stream: StreamName, generated: Properties, given: Properties): Properties {
  const properties: Record<string, unknown> = { ...generated };
  for (const [name, value] of Object.entries(given)) {
    if (!isKnownProperty(stream, name)) throw new Error(`'${name}' is not a property of ${schemas[stream].type}.`);
    if (value === null || value === undefined) {
      delete properties[name];
    } else {
      properties[name] = structuredClone(value);
    }
  }
  delete properties.id;
  return properties;
}

function principalOf(properties: Properties): string | undefined {
  const principal = properties.userPrincipalName;
  return typeof principal === 'string' ? principal.toLowerCase() : undefined;
}

function claimPrincipal(truth: Truth, id: string, properties: Properties): void {
  const principal = principalOf(properties);
  if (principal === undefined) throw new Error('A user needs a userPrincipalName.');
  const holder = truth.principals.get(principal);
  if (holder !== undefined && holder !== id && truth.users.records.get(holder)?.state === 'live') {
    throw new Error(`Another user (${holder}) has this userPrincipalName already.`);
  }
  truth.principals.set(principal, id);
  const [nickname = ''] = principal.split('@');
  truth.nicknames.set(nickname, truth.nicknames.get(nickname) ?? 2);
}

function releasePrincipal(truth: Truth, id: string, properties: Properties): void {
  const principal = principalOf(properties);
  if (principal !== undefined && truth.principals.get(principal) === id) {
    truth.principals.delete(principal);
  }
}

/** Adds a user; makes up the properties that are not given. */
export function createUser(truth: Truth, given: Properties = {}): Entity {
  const id = typeof given.id === 'string' ? given.id : truth.random.guid();
  if (truth.users.records.has(id) || truth.groups.records.has(id)) throw new Error(`The id ${id} is taken.`);
  const generated = makePerson(truth);
  // A user with a given address must not keep the generated one.
  const mail = given.mail === undefined ? given.userPrincipalName : given.mail;
  if (typeof mail === 'string') {
    Object.assign(generated, { mail, proxyAddresses: [`SMTP:${mail}`] });
  }
  const properties = { businessPhones: [], ...newProperties('users', generated, given) };
  claimPrincipal(truth, id, properties);
  return insert(truth, truth.users, id, properties);
}

export function updateUser(truth: Truth, id: string, patch: Properties): void {
  const user = entityIn(truth.users, id, ['live']);
  const before = user.properties;
  refuseNames('users', patch);
  claimPrincipal(truth, id, { ...before, ...patch });
  patchEntity(truth, 'users', user, patch);
  if (principalOf(before) !== principalOf(user.properties)) {
    releasePrincipal(truth, id, before);
  }
}

export function deleteUser(truth: Truth, id: string): void {
  changeState(truth, truth.users, entityIn(truth.users, id, ['live']), 'soft');
}

/** Permanently deletes a user. groups/delta does not report the end of its memberships, as observed. */
export function purgeUser(truth: Truth, id: string): void {
  const user = entityIn(truth.users, id, ['live', 'soft']);
  releasePrincipal(truth, id, user.properties);
  forgetMember(truth, id);
  forgetManager(truth, id);
  changeState(truth, truth.users, user, 'hard');
}

/** Restores a soft-deleted user with all properties and memberships. */
export function restoreUser(truth: Truth, id: string): void {
  const user = entityIn(truth.users, id, ['soft']);
  claimPrincipal(truth, id, user.properties);
  changeState(truth, truth.users, user, 'live');
}

/** The next round reports the user again with nothing changed (Graph: "replays"). */
export function touchUser(truth: Truth, id: string): void {
  const user = entityIn(truth.users, id, ['live']);
  user.touchedAt = record(truth, truth.users, user);
}

/** Ends every membership of a permanently deleted object without a change entry. */
export function forgetMember(truth: Truth, id: string): void {
  for (const groupId of truth.memberOf.get(id) ?? []) {
    truth.groups.records.get(groupId)?.links.delete(id);
  }
  truth.memberOf.delete(id);
}
