// Edits of users as an administrator makes them: each takes effect at once and is logged for delta.
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

/** Applies a patch where null clears (a collection becomes empty) to an object that is live. */
export function patchEntity(truth: Truth, stream: StreamName, entity: Entity, patch: Properties): void {
  refuseNames(stream, patch);
  const properties: Record<string, unknown> = { ...entity.properties };
  const changedAt = new Map(entity.changedAt);
  const changed: string[] = [];
  for (const [name, wanted] of Object.entries(patch)) {
    const value = wanted ?? (schemas[stream].collections.has(name) ? [] : undefined);
    if (JSON.stringify(properties[name]) === JSON.stringify(value)) {
      continue;
    }
    changed.push(name);
    if (value === undefined) {
      delete properties[name];
    } else {
      properties[name] = structuredClone(value);
    }
  }
  if (changed.length === 0) {
    return;
  }
  entity.earlier = { state: entity.state, properties: entity.properties };
  const now = record(truth, truth[stream], entity);
  for (const name of changed) {
    changedAt.set(name, now);
  }
  entity.properties = properties;
  entity.changedAt = changedAt;
}

/** Moves an object to another state of life; its properties stay. */
export function changeState(truth: Truth, stream: Stream, entity: Entity, state: Entity['state']): void {
  entity.earlier = { state: entity.state, properties: entity.properties };
  entity.stateAt = record(truth, stream, entity);
  entity.state = state;
  if (state === 'live') {
    entity.restoredAt = entity.stateAt;
  }
}

/** The object with this id; throws when there is none in one of the given states. */
export function entityIn(stream: Stream, id: string, states: readonly Entity['state'][]): Entity {
  const entity = stream.records.get(id);
  if (entity === undefined || !states.includes(entity.state)) {
    throw new Error(`No ${states.join(' or ')} object ${id}${entity ? ` (it is ${entity.state})` : ''}.`);
  }
  return entity;
}

/** Properties for a new object: the given ones over the generated ones, null meaning none. */
export function newProperties(stream: StreamName, generated: Properties, given: Properties): Properties {
  const properties: Record<string, unknown> = { ...generated };
  for (const [name, value] of Object.entries(given)) {
    if (!isKnownProperty(stream, name)) {
      throw new Error(`'${name}' is not a property of ${schemas[stream].type}.`);
    }
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
  if (principal === undefined) {
    throw new Error('A user needs a userPrincipalName.');
  }
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

/** Adds a user; what is not given is made up. */
export function createUser(truth: Truth, given: Properties = {}): Entity {
  const id = typeof given.id === 'string' ? given.id : truth.random.guid();
  if (truth.users.records.has(id) || truth.groups.records.has(id)) {
    throw new Error(`The id ${id} is taken.`);
  }
  const generated = makePerson(truth);
  // A person made by hand under another address must not keep the generated one.
  const mail = given.mail === undefined ? given.userPrincipalName : given.mail;
  if (typeof mail === 'string') {
    Object.assign(generated, { mail, proxyAddresses: [`SMTP:${mail}`] });
  }
  const properties = { businessPhones: [], ...newProperties('users', generated, given) };
  claimPrincipal(truth, id, properties);
  return insert(truth, truth.users, id, properties);
}

/** Changes properties of a live user; null clears one. */
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

/** Deletes a user softly: it can be restored and keeps its memberships. */
export function deleteUser(truth: Truth, id: string): void {
  changeState(truth, truth.users, entityIn(truth.users, id, ['live']), 'soft');
}

/** Deletes a user for good. Its memberships end without a word in groups/delta, as people have seen it happen. */
export function purgeUser(truth: Truth, id: string): void {
  const user = entityIn(truth.users, id, ['live', 'soft']);
  releasePrincipal(truth, id, user.properties);
  forgetMember(truth, id);
  changeState(truth, truth.users, user, 'hard');
}

/** Brings a softly deleted user back, with all it had. */
export function restoreUser(truth: Truth, id: string): void {
  const user = entityIn(truth.users, id, ['soft']);
  claimPrincipal(truth, id, user.properties);
  changeState(truth, truth.users, user, 'live');
}

/** Has the user reported again in the next round with nothing changed (Graph: "replays"). */
export function touchUser(truth: Truth, id: string): void {
  const user = entityIn(truth.users, id, ['live']);
  user.touchedAt = record(truth, truth.users, user);
}

/** Ends every membership of an object that is gone for good, silently. */
export function forgetMember(truth: Truth, id: string): void {
  for (const groupId of truth.memberOf.get(id) ?? []) {
    truth.groups.records.get(groupId)?.links.delete(id);
  }
  truth.memberOf.delete(id);
}
