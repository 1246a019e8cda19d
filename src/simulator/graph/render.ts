// One object in a delta answer, derived from the truth and the time of the client's token.
import { isAgent } from '../tenant/kinds.ts';
import { managerAt } from '../tenant/managers.ts';
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
  /** Users that are soft-deleted when a full round begins: it shows no link to them. */
  hidden: ReadonlySet<string>;
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
  /** Whether it shows the manager and nothing else of the object, or all but the manager. */
  manager: 'with' | 'alone' | 'without';
  /** Whether a replaced manager is shown as removed. */
  tellsFormer: boolean;
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

// Graph shows no deleted manager in a full round, as in a list of members (undocumented for managers).
function managerLinks(truth: Truth, item: Item, properties: Properties, view: View): Record<string, unknown> {
  const { entity } = item;
  const type = { '@odata.type': '#microsoft.graph.user' };
  const before = item.shownBefore?.manager ?? (view.since === undefined ? undefined : managerAt(entity, view.since));
  const isTold = isWhole(entity, view) || hasChanged(entity, view, 'manager') || item.shownBefore !== undefined;
  if (!isTold) return {};
  const state = (id: unknown) => truth.users.records.get(String(id))?.state;
  const isShown = (id: unknown) => state(id) !== 'hard' && !view.hidden.has(String(id));
  const { manager } = properties;
  const shown = manager !== undefined && isShown(manager) ? [{ ...type, id: manager }] : [];
  const isFormer = before !== undefined && before !== manager && state(before) !== 'hard';
  const former =
    isFormer && (manager === undefined || item.tellsFormer)
      ? [{ ...type, id: before, '@removed': { reason: 'deleted' } }]
      : [];
  const entries = [...shown, ...former];
  return entries.length > 0 ? { 'manager@delta': entries } : {};
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
  for (const name of item.manager === 'alone' ? [] : view.select) {
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
  if (view.link === 'manager' && item.manager !== 'without') {
    Object.assign(body, managerLinks(truth, item, properties, view));
  } else if (view.link === 'members') {
    Object.assign(body, memberLinks(truth, item));
  }
  return body;
}
