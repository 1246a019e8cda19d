// The truth of a simulated tenant: its current state, and when each part changed. Delta answers are derived from it.

import { createRandom, type Random } from './random.ts';

export type State = 'live' | 'soft' | 'hard';
export type Properties = Readonly<Record<string, unknown>>;

/** A membership, present or ended; ended ones stay because delta still reports them. */
export type Link = { type: string; present: boolean; changedAt: number };

/** Times are numbers of the tenant's edit sequence; 0: made with the tenant. */
export type Entity = {
  readonly id: string;
  /** The position in the order of creation. */
  readonly index: number;
  readonly createdAt: number;
  state: State;
  /** Never contains null. Every change replaces the object, so a reference is a snapshot. */
  properties: Properties;
  /** The time of each property's last change; a missing name: unchanged since creation. */
  changedAt: ReadonlyMap<string, number>;
  stateAt: number;
  restoredAt: number;
  touchedAt: number;
  /** The object's state before its last change. */
  earlier: { state: State; properties: Properties } | undefined;
  /** Groups only (users share one empty map): member id -> link. */
  readonly links: Map<string, Link>;
  linksAt: number;
  /** In order of time: `manager` was the manager until the edit `until`. */
  readonly formerManagers: { until: number; manager: string | undefined }[];
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
  /** The domain of new principal names. */
  domain: string;
  readonly seed: number;
  /** Whether deleted security groups of the cloud can be restored. */
  readonly securityGroupsRestorable: boolean;
  readonly random: Random;
  now: number;
  /** Whether the tenant is still being made; new objects are not changes then. */
  making: boolean;
  readonly users: Stream;
  readonly groups: Stream;
  /** Member id -> its groups, now. */
  readonly memberOf: Map<string, Set<string>>;
  /** User principal name in lower case -> id, except of permanently deleted users. */
  readonly principals: Map<string, string>;
  /** Mail nickname -> the next number to try, so that names are never reused. */
  readonly nicknames: Map<string, number>;
  /** User id -> which photo of the user is shown; without an entry: none. */
  readonly photos: Map<string, number>;
  /** How often a photo was changed. */
  drawn: number;
  /** How tokens of each past epoch are refused; the current epoch is this list's length. */
  readonly expiries: ('410' | '400')[];
};

const noLinks: Map<string, Link> = new Map();
const noChanges: ReadonlyMap<string, number> = new Map();

const emptyStream = (): Stream => ({ records: new Map(), order: [], log: [] });

/** Returns a tenant without users and groups. */
export function createTruth(
  options: Pick<Truth, 'tenantId' | 'name' | 'domain' | 'seed' | 'securityGroupsRestorable'>,
): Truth {
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
    photos: new Map(),
    drawn: 0,
    expiries: [],
  };
}

/** Adds a live object. Once the tenant is made, this is an edit and logged. */
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
    formerManagers: [],
  };
  stream.records.set(id, entity);
  stream.order.push(entity);
  if (!truth.making) {
    stream.log.push({ at: truth.now, entity });
  }
  return entity;
}

/** Starts an edit: advances the time, logs the change and returns the time. */
export function record(truth: Truth, stream: Stream, entity: Entity): number {
  truth.now += 1;
  stream.log.push({ at: truth.now, entity });
  return truth.now;
}

/** Returns the objects that changed after a time, each once, in order of their last change. */
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

/** Returns the live objects of a stream in order of creation. */
export function liveOf(stream: Stream): Entity[] {
  return stream.order.filter((entity) => entity.state === 'live');
}
