// One object in a delta answer, derived from the truth and the time of the client's token.
import { isAgent } from '../tenant/kinds.ts';
import type { StreamName } from '../tenant/properties.ts';
import type { Entity, Properties, State, Truth } from '../tenant/truth.ts';

export type View = {
  stream: StreamName;
  /** The tracked properties, without `id` and links. */
  select: readonly string[];
  /** The tracked link (`members` of groups, `manager` of users), if selected. */
  link: string | undefined;
  /** The time of the delta token; undefined in a full round. */
  since: number | undefined;
  start: number;
};

/** One occurrence of an object in a round. */
export type Item = {
  entity: Entity;
  /** An earlier state, shown before the latest one; undefined: the current state. */
  frozen: { state: State; properties: Properties } | undefined;
  /** The properties that earlier occurrences in this round showed. */
  shownBefore: Properties | undefined;
  members: readonly string[];
  minimal: boolean;
};

/** Graph names the type of an object that is more than its collection's. */
export const agentType = '#microsoft.graph.agentUser';

/** Whether all properties are shown: the object is new to this token, or was restored. */
export function isWhole(entity: Entity, view: View): boolean {
  return view.since === undefined || entity.createdAt > view.since || entity.restoredAt > view.since;
}

function hasChanged(entity: Entity, view: View, name: string): boolean {
  return (entity.changedAt.get(name) ?? -1) > (view.since ?? view.start);
}

function managerLinks(entity: Entity, properties: Properties, view: View): Record<string, unknown> {
  const type = { '@odata.type': '#microsoft.graph.user' };
  if (!isWhole(entity, view) && !hasChanged(entity, view, 'manager')) return {};
  if (properties.manager !== undefined) return { 'manager@delta': [{ ...type, id: properties.manager }] };
  const former = entity.earlier?.properties.manager;
  return former ? { 'manager@delta': [{ ...type, id: former, '@removed': { reason: 'deleted' } }] } : {};
}

function memberLinks(truth: Truth, item: Item): Record<string, unknown> {
  const entries: Record<string, unknown>[] = [];
  for (const id of item.members) {
    const link = item.entity.links.get(id);
    const member = truth.users.records.get(id) ?? truth.groups.records.get(id);
    // Permanently deleted members are never shown (microsoft-graph-docs issues 14708, 7115, 18628).
    if (link === undefined || member?.state === 'hard') continue;
    const entry = { '@odata.type': link.type, id };
    entries.push(link.present || item.frozen ? entry : { ...entry, '@removed': { reason: 'deleted' } });
  }
  return entries.length > 0 ? { 'members@delta': entries } : {};
}

/**
 * Returns the object as it stands in `value`. In later rounds a property that lost its value since the token is null, and
 * one that never had a value is absent. The minimal form omits unchanged properties.
 */
export function renderItem(truth: Truth, view: View, item: Item, minimal: boolean): Record<string, unknown> {
  const { entity } = item;
  const { state, properties } = item.frozen ?? entity;
  if (state !== 'live') return { id: entity.id, '@removed': { reason: state === 'soft' ? 'changed' : 'deleted' } };
  const whole = isWhole(entity, view);
  // The client may have missed a cleared property while the object was deleted.
  const cameBack = entity.restoredAt > (view.since ?? view.start);
  const body: Record<string, unknown> = isAgent({ properties }) ? { '@odata.type': agentType } : {};
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
