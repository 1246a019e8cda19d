// How fast a listing asks: as many requests at once and as many resource units as Graph bears, found out on the way.
// Additive increase, multiplicative decrease, as TCP does it; the figures and their sources are in docs/graph.md.

export type RequestKind = 'page' | 'batch';

export type Pace = {
  /** Most requests in flight. */
  readonly atOnce: number;
  /** Good answers since `atOnce` last changed. */
  readonly answers: number;
  /** When `atOnce` last shrank: answers to requests from before tell nothing new. */
  readonly shrankAtMs: number;
  /** No request starts before: Graph asked to wait. */
  readonly notBeforeMs: number;
  /** The fastest answer of each kind so far. */
  readonly fastestMs: { readonly [kind in RequestKind]?: number };
  /** Resource units that may be spent at once, as of `unitsAtMs`. */
  readonly units: number;
  readonly unitsAtMs: number;
};

const firstAtOnce = 6;
const mostAtOnce = 16;

// Of the 3,500 to 8,000 units in ten seconds that an application has in a tenant, others may want some.
const mostUnits = 3_000;
const unitsPerSecond = 500;

// Before it refuses, Graph slows down from about 100 ms to about a second.
const slowFactor = 3;
const slowMs = 300;

/** The pace of a listing that begins now. All times are by one clock of the caller's. */
export function openPace(nowMs: number): Pace {
  return {
    atOnce: firstAtOnce,
    answers: 0,
    shrankAtMs: nowMs,
    notBeforeMs: nowMs,
    fastestMs: {},
    units: mostUnits,
    unitsAtMs: nowMs,
  };
}

/** The pace with `units` spent, or how long a request that costs them has to wait; Infinity: until one is answered. */
export function spend(
  pace: Pace,
  units: number,
  inFlight: number,
  nowMs: number,
): { readonly pace: Pace } | { readonly waitMs: number } {
  if (inFlight >= pace.atOnce) return { waitMs: Number.POSITIVE_INFINITY };
  if (nowMs < pace.notBeforeMs) return { waitMs: pace.notBeforeMs - nowMs };
  const there = Math.min(mostUnits, pace.units + (Math.max(0, nowMs - pace.unitsAtMs) / 1000) * unitsPerSecond);
  // Whatever costs more than there can ever be is sent when all is there.
  const lacking = Math.min(units, mostUnits) - there;
  if (lacking > 0) return { waitMs: Math.ceil((lacking / unitsPerSecond) * 1000) };
  return { pace: { ...pace, units: Math.max(0, there - units), unitsAtMs: nowMs } };
}

/** After a good answer: one more at once when as many came in time, fewer when answers have become slow. */
export function answered(pace: Pace, kind: RequestKind, startedMs: number, nowMs: number): Pace {
  const ms = nowMs - startedMs;
  const fastest = Math.min(ms, pace.fastestMs[kind] ?? ms);
  const known = { ...pace, fastestMs: { ...pace.fastestMs, [kind]: fastest } };
  if (ms > fastest * slowFactor && ms > fastest + slowMs) return shrink(known, 0.75, startedMs, nowMs);
  const answers = pace.answers + 1;
  return answers < pace.atOnce
    ? { ...known, answers }
    : { ...known, answers: 0, atOnce: Math.min(mostAtOnce, pace.atOnce + 1) };
}

/** After a 429, of a request or of an item in a batch: half as many, and none before the time that Graph asked for. */
export function throttled(pace: Pace, waitMs: number, startedMs: number, nowMs: number): Pace {
  const shrunk = shrink(pace, 0.5, startedMs, nowMs);
  return { ...shrunk, notBeforeMs: Math.max(pace.notBeforeMs, nowMs + waitMs) };
}

// Requests that were under way together tell of one and the same moment, so they count once.
function shrink(pace: Pace, factor: number, startedMs: number, nowMs: number): Pace {
  if (startedMs < pace.shrankAtMs) return pace;
  return { ...pace, answers: 0, atOnce: Math.max(1, Math.floor(pace.atOnce * factor)), shrankAtMs: nowMs };
}
