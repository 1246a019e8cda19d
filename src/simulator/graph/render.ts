// What one object looks like in a delta answer, derived from the truth and the moment that the client's token stands for.
import type { StreamName } from '../tenant/properties.ts';
import type { Entity, Properties, State, Truth } from '../tenant/truth.ts';

export type View = {
  stream: StreamName;
  /** The tracked properties; without `id` and links. */
  select: readonly string[];
  /** The tracked link (`members` of groups, `manager` of users), if selected. */
  link: string | undefined;
  /** The moment of the delta token; undefined in a first round. */
  since: number | undefined;
  /** The moment the round began. */
  start: number;
};

/** One occurrence of an object in a round. */
export type Item = {
  entity: Entity;
  /** An earlier state shown before the latest one; undefined = the state at the time of serving. */
  frozen: { state: State; properties: Properties } | undefined;
  /** What an earlier occurrence in the same round has shown. */
  shownBefore: Properties | undefined;
  /** Groups: the members told in this occurrence. */
  members: readonly string[];
  minimal: boolean;
};

/** True when the object is to be shown whole: it is new to this token, or it came back. */
export function isWhole(entity: Entity, view: View): boolean {
  return view.since === undefined || entity.createdAt > view.since || entity.restoredAt > view.since;
}

function hasChanged(entity: Entity, view: View, name: string): boolean {
  return (entity.changedAt.get(name) ?? -1) > (view.since ?? view.start);
}

function managerLinks(entity: Entity, properties: Properties, view: View): Record<string, unknown> {
  const type = { '@odata.type': '#microsoft.graph.user' };
  if (!isWhole(entity, view) && !hasChanged(entity, view, 'manager')) {
    return {};
  }
  if (properties.manager !== undefined) {
    return { 'manager@delta': [{ ...type, id: properties.manager }] };
  }
  const former = entity.earlier?.properties.manager;
  return former ? { 'manager@delta': [{ ...type, id: former, '@removed': { reason: 'deleted' } }] } : {};
}

function memberLinks(truth: Truth, item: Item): Record<string, unknown> {
  const entries: Record<string, unknown>[] = [];
  for (const id of item.members) {
    const link = item.entity.links.get(id);
    const member = truth.users.records.get(id) ?? truth.groups.records.get(id);
    // Members that are gone for good are never told of (microsoft-graph-docs issues 14708, 7115, 18628).
    if (link === undefined || member?.state === 'hard') {
      continue;
    }
    const entry = { '@odata.type': link.type, id };
    entries.push(link.present || item.frozen ? entry : { ...entry, '@removed': { reason: 'deleted' } });
  }
  return entries.length > 0 ? { 'members@delta': entries } : {};
}

/**
 * The object as it stands in `value`. In later rounds a property that lost its value since the token is null; one that
 * never had a value is absent; the minimal form leaves out what did not change.
 */
export function renderItem(truth: Truth, view: View, item: Item, minimal: boolean): Record<string, unknown> {
  const { entity } = item;
  const { state, properties } = item.frozen ?? entity;
  if (state !== 'live') {
    return { id: entity.id, '@removed': { reason: state === 'soft' ? 'changed' : 'deleted' } };
  }
  const whole = isWhole(entity, view);
  // Somebody may have missed the clearing of a property because the object was deleted at that time.
  const cameBack = entity.restoredAt > (view.since ?? view.start);
  const body: Record<string, unknown> = {};
  for (const name of view.select) {
    const value = properties[name];
    const changed = hasChanged(entity, view, name);
    if (value !== undefined) {
      if (whole || changed || item.shownBefore?.[name] !== undefined || !(minimal || item.minimal)) {
        body[name] = value;
      }
    } else if (changed || item.shownBefore?.[name] !== undefined || (cameBack && entity.changedAt.has(name))) {
      body[name] = null;
    }
  }
  body.id = entity.id;
  if (view.link === 'manager') {
    Object.assign(body, managerLinks(entity, properties, view));
  } else if (view.link === 'members') {
    Object.assign(body, memberLinks(truth, item));
  }
  return body;
}
