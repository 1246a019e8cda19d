// The truth of a simulated tenant: plain state, and per object when what changed. Delta answers are derived from it.

import { createRandom, type Random } from './random.ts';

export type State = 'live' | 'soft' | 'hard';
export type Properties = Readonly<Record<string, unknown>>;

/** A membership, present or ended; ended ones stay because delta still has to tell of them. */
export type Link = { type: string; present: boolean; changedAt: number };

/** Times are numbers of the tenant's edit sequence; 0 = part of the tenant as it was made. */
export type Entity = {
  readonly id: string;
  /** The place in the order of creation. */
  readonly index: number;
  readonly createdAt: number;
  state: State;
  /** Never holds null; replaced whole on every change, so that a reference to it is a snapshot. */
  properties: Properties;
  /** When a property last changed; a missing name = not since creation. */
  changedAt: ReadonlyMap<string, number>;
  stateAt: number;
  restoredAt: number;
  touchedAt: number;
  /** What the object was like before its last change. */
  earlier: { state: State; properties: Properties } | undefined;
  /** Groups only (users share one empty map): member id -> link. */
  readonly links: Map<string, Link>;
  linksAt: number;
};

export type Stream = {
  readonly records: Map<string, Entity>;
  readonly order: Entity[];
  /** One entry per change, in order of time. */
  readonly log: { at: number; entity: Entity }[];
};

export type Truth = {
  readonly tenantId: string;
  readonly name: string;
  readonly domain: string;
  readonly seed: number;
  readonly random: Random;
  now: number;
  /** While the tenant is being made, new objects are no news. */
  making: boolean;
  readonly users: Stream;
  readonly groups: Stream;
  /** member id -> the groups that hold it now. */
  readonly memberOf: Map<string, Set<string>>;
  /** user principal name in lower case -> id, of users that are not gone for good. */
  readonly principals: Map<string, string>;
  /** Mail nicknames given out -> the number to try next, so that generated names stay unique for ever. */
  readonly nicknames: Map<string, number>;
  /** How tokens of each past epoch are refused; the current epoch is the length of this list. */
  readonly expiries: ('410' | '400')[];
};

const noLinks: Map<string, Link> = new Map();
const noChanges: ReadonlyMap<string, number> = new Map();

const emptyStream = (): Stream => ({ records: new Map(), order: [], log: [] });

/** A tenant without users and groups. */
export function createTruth(options: { tenantId: string; name: string; domain: string; seed: number }): Truth {
  return {
    ...options,
    random: createRandom(`tenant ${options.seed}`),
    now: 0,
    making: true,
    users: emptyStream(),
    groups: emptyStream(),
    memberOf: new Map(),
    principals: new Map(),
    nicknames: new Map(),
    expiries: [],
  };
}

/** Adds a new live object; once the tenant is made this is an edit and logged. */
export function insert(truth: Truth, stream: Stream, id: string, properties: Properties): Entity {
  if (!truth.making) {
    truth.now += 1;
  }
  const entity: Entity = {
    id,
    index: stream.order.length,
    createdAt: truth.now,
    state: 'live',
    properties,
    changedAt: noChanges,
    stateAt: truth.now,
    restoredAt: -1,
    touchedAt: -1,
    earlier: undefined,
    links: stream === truth.groups ? new Map() : noLinks,
    linksAt: 0,
  };
  stream.records.set(id, entity);
  stream.order.push(entity);
  if (!truth.making) {
    stream.log.push({ at: truth.now, entity });
  }
  return entity;
}

/** Starts an edit of an object: time moves on and the change is logged. */
export function record(truth: Truth, stream: Stream, entity: Entity): number {
  truth.now += 1;
  stream.log.push({ at: truth.now, entity });
  return truth.now;
}

/** The objects that changed after a time, each once, in the order of their last change. */
export function changedSince(stream: Stream, time: number): Entity[] {
  let [low, high] = [0, stream.log.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((stream.log[middle]?.at ?? 0) > time) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  const found = new Set<Entity>();
  for (let index = stream.log.length - 1; index >= low; index -= 1) {
    const entry = stream.log[index];
    if (entry !== undefined) {
      found.add(entry.entity);
    }
  }
  return [...found].reverse();
}

/** The live objects of a stream, in the order of their creation. */
export function liveOf(stream: Stream): Entity[] {
  return stream.order.filter((entity) => entity.state === 'live');
}
