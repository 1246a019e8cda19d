// Finds how many concurrent requests and resource units Graph allows a listing, by additive increase and multiplicative
// decrease. The figures and their sources are in docs/graph.md.

export type RequestKind = 'page' | 'batch';

export type Pace = {
  /** Maximum number of requests in flight. */
  readonly atOnce: number;
  /** Number of good answers since `atOnce` last changed. */
  readonly answers: number;
  /** The time of the last decrease of `atOnce`. Answers to earlier requests do not shrink it again. */
  readonly shrankAtMs: number;
  /** No request starts before this time, because Graph asked to wait. */
  readonly notBeforeMs: number;
  /** The fastest answer so far for each kind of request. */
  readonly fastestMs: { readonly [kind in RequestKind]?: number };
  /** Resource units available at `unitsAtMs`. */
  readonly units: number;
  readonly unitsAtMs: number;
};

const firstAtOnce = 6;
const maxAtOnce = 16;

// An application has 3,500 to 8,000 units per ten seconds in a tenant. Leave some for its other work.
const maxUnits = 3_000;
const unitsPerSecond = 500;

// Graph slows down from about 100 ms to about a second before it throttles.
const slowFactor = 3;
const slowMs = 300;

/** Returns the pace of a listing that starts now. All times come from one clock of the caller. */
export function openPace(nowMs: number): Pace {
  return {
    atOnce: firstAtOnce,
    answers: 0,
    shrankAtMs: nowMs,
    notBeforeMs: nowMs,
    fastestMs: {},
    units: maxUnits,
    unitsAtMs: nowMs,
  };
}

/** Spends `units`, or returns how long the request has to wait; Infinity: until another request is answered. */
export function spend(
  pace: Pace,
  units: number,
  inFlight: number,
  nowMs: number,
): { readonly pace: Pace } | { readonly waitMs: number } {
  if (inFlight >= pace.atOnce) return { waitMs: Number.POSITIVE_INFINITY };
  if (nowMs < pace.notBeforeMs) return { waitMs: pace.notBeforeMs - nowMs };
  const there = Math.min(maxUnits, pace.units + (Math.max(0, nowMs - pace.unitsAtMs) / 1000) * unitsPerSecond);
  // A request that costs more than the maximum is sent once the maximum is available.
  const lacking = Math.min(units, maxUnits) - there;
  if (lacking > 0) return { waitMs: Math.ceil((lacking / unitsPerSecond) * 1000) };
  return { pace: { ...pace, units: Math.max(0, there - units), unitsAtMs: nowMs } };
}

/** Updates the pace after a good answer: more requests at once after enough good answers, fewer after a slow one. */
export function answered(pace: Pace, kind: RequestKind, startedMs: number, nowMs: number): Pace {
  const ms = nowMs - startedMs;
  const fastest = Math.min(ms, pace.fastestMs[kind] ?? ms);
  const known = { ...pace, fastestMs: { ...pace.fastestMs, [kind]: fastest } };
  if (ms > fastest * slowFactor && ms > fastest + slowMs) return shrink(known, 0.75, startedMs, nowMs);
  const answers = pace.answers + 1;
  return answers < pace.atOnce
    ? { ...known, answers }
    : { ...known, answers: 0, atOnce: Math.min(maxAtOnce, pace.atOnce + 1) };
}

/** Updates the pace after a 429 for a request or a `$batch` item: half as many, after the wait that Graph asked for. */
export function throttled(pace: Pace, waitMs: number, startedMs: number, nowMs: number): Pace {
  const shrunk = shrink(pace, 0.5, startedMs, nowMs);
  return { ...shrunk, notBeforeMs: Math.max(pace.notBeforeMs, nowMs + waitMs) };
}

// Requests in flight together report the same moment, so they count once.
function shrink(pace: Pace, factor: number, startedMs: number, nowMs: number): Pace {
  if (startedMs < pace.shrankAtMs) return pace;
  return { ...pace, answers: 0, atOnce: Math.max(1, Math.floor(pace.atOnce * factor)), shrankAtMs: nowMs };
}
