// A delta round: its objects, their order and their pages. The plan is fixed when the round begins; each object is shown
// as it is when its page is served.
import { randomBytes } from 'node:crypto';
import type { SimulatorOptions } from '../options.ts';
import { createRandom, type Random, shuffled } from '../tenant/random.ts';
import { changedSince, type Entity, type Truth } from '../tenant/truth.ts';
import { type Item, isWhole, type View } from './render.ts';

export type Round = {
  readonly id: string;
  readonly view: View;
  /** The $select of the request, for the next token and the context. */
  readonly select: readonly string[] | undefined;
  readonly pages: readonly (readonly Item[])[];
};

type Shelf = {
  readonly boot: string;
  count: number;
  size: number;
  rounds: Map<string, Round>;
  byToken: Map<string, string>;
};

const shelves = new WeakMap<Truth, Shelf>();
/** The planned occurrences kept per tenant; beyond that the oldest rounds' skip tokens die. */
const shelfLimit = 3_000_000;

function shelfOf(truth: Truth): Shelf {
  const existing = shelves.get(truth);
  if (existing) return existing;
  // Tokens of an earlier process must not match rounds of this one.
  const shelf = { boot: randomBytes(4).toString('hex'), count: 0, size: 0, rounds: new Map(), byToken: new Map() };
  shelves.set(truth, shelf);
  return shelf;
}

/** Returns the round of a skip token, unless it was dropped. */
export function findRound(truth: Truth, id: string): Round | undefined {
  return shelfOf(truth).rounds.get(id);
}

/** Returns the objects of a round: all of them in a full round, else those whose tracked data changed. */
function newsOf(truth: Truth, view: View): Entity[] {
  const stream = truth[view.stream];
  const { since } = view;
  if (since === undefined) return stream.order;
  const tracked = view.link === 'manager' ? [...view.select, 'manager'] : view.select;
  return changedSince(stream, since).filter(
    (entity) =>
      Math.max(entity.createdAt, entity.stateAt, entity.touchedAt) > since ||
      (view.link === 'members' && entity.linksAt > since) ||
      tracked.some((name) => (entity.changedAt.get(name) ?? -1) > since),
  );
}

/** Returns the members that a group shows. A full round omits soft-deleted members, as a member list does. */
function memberNews(truth: Truth, view: View, group: Entity, options: SimulatorOptions): string[] {
  if (view.link !== 'members' || group.state !== 'live') return [];
  const whole = isWhole(group, view);
  const told: string[] = [];
  for (const [id, link] of group.links) {
    const since = view.since ?? -1;
    const isRestoredOnly = whole && view.since !== undefined && group.createdAt <= since && !options.restoredMembers;
    if (link.changedAt > since || (whole && !isRestoredOnly)) {
      const member = truth.users.records.get(id) ?? truth.groups.records.get(id);
      if (view.since !== undefined || member?.state !== 'soft') {
        told.push(id);
      }
    }
  }
  return told;
}

type Asked = Pick<View, 'stream' | 'select' | 'link' | 'since'>;

function hiddenManagers(truth: Truth, { link, since }: Asked): ReadonlySet<string> {
  if (link !== 'manager' || since !== undefined) return new Set();
  return new Set(truth.users.order.flatMap(({ id, state }) => (state === 'soft' ? id : [])));
}

function slices(members: readonly string[], size: number): (readonly string[])[] {
  const cut: (readonly string[])[] = [];
  for (let from = 0; from < members.length; from += size) {
    cut.push(members.slice(from, from + size));
  }
  return cut.length > 0 ? cut : [[]];
}

function planItems(truth: Truth, view: View, options: SimulatorOptions, random: Random): Item[] {
  const entities = newsOf(truth, view);
  const keyed: { key: number; item: Item }[] = [];
  for (const entity of options.shuffle ? shuffled(random, entities) : entities) {
    const isMinimal = options.form === 'minimal' || (options.form === 'mixed' && random.chance(0.5));
    for (const members of slices(memberNews(truth, view, entity, options), options.memberSlice)) {
      const key = options.shuffle ? random.next() * entities.length : keyed.length;
      const latest: Item = {
        entity,
        frozen: undefined,
        shownBefore: undefined,
        members,
        minimal: view.since !== undefined && isMinimal,
        manager: 'with',
        tellsFormer: view.link === 'manager' && random.chance(options.formerManagers),
      };
      const isApart = view.link === 'manager' && random.chance(options.managersApart);
      if (isApart && entity.state === 'live') {
        keyed.push({ key, item: { ...latest, manager: 'without' } });
        const later = key + random.next() * Math.max(1, entities.length - key);
        keyed.push({ key: later + 0.5, item: { ...latest, manager: 'alone' } });
      } else if (options.repeats > 0 && random.chance(options.repeats)) {
        const frozen = entity.earlier ?? { state: entity.state, properties: entity.properties };
        keyed.push({ key, item: { ...latest, frozen } });
        const later = key + random.next() * Math.max(1, entities.length - key);
        keyed.push({ key: later + 0.5, item: latest });
      } else {
        keyed.push({ key, item: latest });
      }
    }
  }
  // Sorting is stable: an earlier state stays before the latest one.
  keyed.sort((left, right) => left.key - right.key);
  const items = keyed.map((entry) => entry.item);
  return options.repeats > 0 ? carryShown(items) : items;
}

/** Later occurrences show null for lost properties that an earlier state showed. */
function carryShown(items: readonly Item[]): Item[] {
  const shown = new Map<Entity, Item['shownBefore']>();
  return items.map((item) => {
    const before = shown.get(item.entity);
    if (item.frozen?.state === 'live') {
      shown.set(item.entity, { ...before, ...item.frozen.properties });
    }
    return before ? { ...item, shownBefore: before } : item;
  });
}

function cutPages(items: readonly Item[], options: SimulatorOptions, random: Random): Item[][] {
  const pages: Item[][] = [];
  let page: Item[] = [];
  let members = 0;
  const addEmpty = () => {
    for (let count = 0; count < 3 && options.emptyPages > 0 && random.chance(options.emptyPages); count += 1) {
      pages.push([]);
    }
  };
  for (const item of items) {
    const isFull = page.length >= options.pageSize || members + item.members.length > options.memberSlice;
    if (page.length > 0 && isFull) {
      addEmpty();
      pages.push(page);
      [page, members] = [[], 0];
    }
    page.push(item);
    members += item.members.length;
  }
  addEmpty();
  pages.push(page);
  return pages;
}

/**
 * Begins a round. A delta token that is used again before another edit gets its first round again, so the same link
 * returns the same page.
 */
export function beginRound(
  truth: Truth,
  asked: Asked,
  select: readonly string[] | undefined,
  token: string | undefined,
  options: SimulatorOptions,
): Round {
  const shelf = shelfOf(truth);
  const { pageSize, memberSlice, repeats, emptyPages, shuffle, form, restoredMembers } = options;
  const { managersApart, formerManagers } = options;
  const known = JSON.stringify([
    token,
    truth.now,
    pageSize,
    memberSlice,
    repeats,
    emptyPages,
    shuffle,
    form,
    restoredMembers,
    managersApart,
    formerManagers,
  ]);
  const begun = token === undefined ? undefined : shelf.rounds.get(shelf.byToken.get(known) ?? '');
  if (begun) return begun;
  shelf.count += 1;
  const random = createRandom(`round ${truth.seed} ${shelf.count}`);
  const view: View = { ...asked, start: truth.now, hidden: hiddenManagers(truth, asked) };
  const pages = cutPages(planItems(truth, view, options, random), options, random);
  const round: Round = { id: `${shelf.boot}${shelf.count}`, view, select, pages };
  shelf.rounds.set(round.id, round);
  if (token !== undefined) {
    shelf.byToken.set(known, round.id);
  }
  shelf.size += sizeOf(round);
  for (const [id, oldest] of shelf.rounds) {
    if (shelf.size <= shelfLimit || id === round.id) break;
    shelf.rounds.delete(id);
    shelf.size -= sizeOf(oldest);
  }
  return round;
}

// An empty round takes memory too.
const sizeOf = (round: Round) => round.pages.reduce((sum, page) => sum + page.length + 1, 50);
