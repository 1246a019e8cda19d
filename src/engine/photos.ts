// One pass through the due photos of a tenant, beside its cycles: each `$batch` is committed by itself, so that a process that
// dies has lost one of them.
import { setTimeout as wait } from 'node:timers/promises';
import { ExpectedError, errorCodeOf } from '../errors.ts';
import { batchSize } from '../graph/batch.ts';
import { readPhotos } from '../graph/photos.ts';
import { lacksPermission, type PhotoAnswer, photosCure, photosPerSecond } from '../rules/photos.ts';
import { tellDatabaseError } from '../store/database/pool.ts';
import { commitPhotos, removePhotos } from '../store/photos/commit.ts';
import { countDue, type DuePhoto, duePhotos } from '../store/photos/due.ts';
import {
  claimLane,
  claimMs,
  keepLane,
  type LaneTrouble,
  type PhotoLane,
  releaseLane,
  restMs,
  wantsPhotos,
} from '../store/photos/lanes.ts';
import { settingsInForce } from '../store/settings/versions.ts';
import type { CycleParts } from './cycle.ts';

export type PhotosOptions = {
  readonly tenantId: string;
  readonly signal: AbortSignal;
  /** The pass ends after so long, and another one goes on; without it, when nothing is due. */
  readonly turnMs?: number | undefined;
  /** How long to wait for a lane that another process has; 0 by default. */
  readonly patienceMs?: number | undefined;
  /** Called once, after two seconds of waiting for that process, with the longest time that is left. */
  readonly onWait?: ((leftMs: number) => void) | undefined;
  /** The tenant's share of requests; {@link photosPerSecond} by default. */
  readonly perSecond?: number | undefined;
  readonly onProgress?: ((report: PhotosReport) => void) | undefined;
};

/** The counts of a pass so far. */
export type PhotosReport = {
  readonly asked: number;
  readonly photos: number;
  /** Accounts without a photo. */
  readonly none: number;
  /** Photos that were set aside. */
  readonly faults: number;
  /** Accounts that have another photo than before, or none any more. */
  readonly changed: number;
  /** Photos that went because `photos.read` is false. */
  readonly removed: number;
  /** Photos that are still due. */
  readonly left: number;
  readonly requests: number;
  readonly seconds: number;
};

type Counts = Omit<PhotosReport, 'requests' | 'seconds'>;

type Pass = {
  readonly parts: CycleParts;
  readonly options: PhotosOptions;
  readonly lane: PhotoLane;
  readonly signal: AbortSignal;
  readonly settings: Awaited<ReturnType<typeof settingsInForce>>;
  /** By `performance.now()`. */
  readonly startedAt: number;
};

/**
 * Asks for the photos that are due, oldest first, or removes all if `photos.read` is false. Returns undefined if another process
 * has the lane. Throws what reading throws, and `permission_missing` where the application may read no photo; the lane keeps the
 * reason, and what was read stays.
 */
export async function runPhotos(parts: CycleParts, options: PhotosOptions): Promise<PhotosReport | undefined> {
  const { database } = parts;
  const { tenantId } = options;
  const lane = await claimPatiently(parts, options);
  if (!lane) return undefined;
  const lost = new AbortController();
  // A process that cannot tell the database that it lives finds out when it commits.
  const beat = setInterval(() => {
    void keepLane(database, lane).then(
      (kept) => kept || lost.abort(laneLost()),
      () => {},
    );
  }, claimMs / 4);
  const signal = AbortSignal.any([options.signal, lost.signal]);
  try {
    const settings = await settingsInForce(database, tenantId, parts.defaults);
    const pass: Pass = { parts, options, lane, signal, settings, startedAt: performance.now() };
    const report = settings.photos.read ? await readDue(pass) : await removeAll(pass);
    await releaseLane(database, lane, report.left > 0 ? restMs.turn : restMs.done, null);
    return report;
  } catch (thrown) {
    const error = await tellDatabaseError(database, thrown);
    // The claim ends by itself where the database does not answer.
    await release(parts, lane, options.signal, error).catch(() => {});
    throw error;
  } finally {
    clearInterval(beat);
  }
}

const waitToldAfterMs = 2_000;

async function claimPatiently(
  { database }: CycleParts,
  { tenantId, patienceMs = 0, signal, onWait }: PhotosOptions,
): Promise<PhotoLane | undefined> {
  const until = performance.now() + patienceMs;
  let tellAt = performance.now() + waitToldAfterMs;
  for (;;) {
    const lane = await claimLane(database, tenantId);
    const now = performance.now();
    if (lane || now >= until) return lane;
    if (now >= tellAt) {
      tellAt = Number.POSITIVE_INFINITY;
      onWait?.(until - now);
    }
    await wait(Math.min(500, patienceMs), undefined, { signal });
  }
}

async function release(
  { database }: CycleParts,
  lane: PhotoLane,
  interrupted: AbortSignal,
  error: unknown,
): Promise<void> {
  if (interrupted.aborted) return releaseLane(database, lane, restMs.turn, 'as before');
  const code = errorCodeOf(error);
  const trouble: LaneTrouble = {
    code,
    message: error instanceof ExpectedError ? error.message : 'a defect: see the log of the worker at that time',
  };
  return releaseLane(database, lane, code === 'permission_missing' ? restMs.refused : restMs.failed, trouble);
}

async function removeAll({ parts, lane, signal, startedAt }: Pass, counts: Counts = nothing): Promise<PhotosReport> {
  let removed = 0;
  for (;;) {
    signal.throwIfAborted();
    const lot = await removePhotos(parts.database, lane);
    if (!lot) throw laneLost();
    removed += lot.removed;
    if (!lot.left) return { ...counts, removed, left: 0, requests: 0, seconds: secondsSince(startedAt) };
  }
}

const nothing: Counts = { asked: 0, photos: 0, none: 0, faults: 0, changed: 0, removed: 0, left: 0 };

async function readDue(pass: Pass): Promise<PhotosReport> {
  const { parts, options, lane, signal, settings, startedAt } = pass;
  const { database } = parts;
  const { refreshMs } = settings.photos;
  const reader = parts.openReader({ tenantId: lane.tenantId, settings, signal, log: parts.log });
  let counts: Counts = { ...nothing, left: await countDue(database, lane, refreshMs) };
  const report = (): PhotosReport => ({
    ...counts,
    requests: reader.requestCount(),
    seconds: secondsSince(startedAt),
  });
  let first: string | undefined;
  let { refused } = lane;
  for (;;) {
    const due = await duePhotos(database, lane, refreshMs);
    // Photos that were read are not due, so the list begins with others (rule 14).
    if (due[0] && due[0].account_id === first) throw new Error('photos that were read are due again');
    first = due[0]?.account_id;
    if (due.length === 0) {
      counts = { ...counts, left: 0 };
      return report();
    }
    for (let start = 0; start < due.length; start += batchSize) {
      signal.throwIfAborted();
      const began = performance.now();
      // A pass may take hours, and what is read after a no would stay until the next one.
      if (!(await wantsPhotos(database, lane.tenantId)))
        return { ...(await removeAll(pass, counts)), requests: reader.requestCount() };
      const lot = due.slice(start, start + batchSize);
      const read = await readLot(pass, reader, lot, { ever: counts.photos + counts.none > 0, refused });
      refused = read.photos + read.none > 0 ? 0 : refused + read.faults;
      counts = added(counts, lot.length, read);
      options.onProgress?.(report());
      await restAfter(lot.length, began, options.perSecond ?? photosPerSecond, signal);
      // The rest is due at once, and another tenant may have its turn.
      if (options.turnMs !== undefined && performance.now() - startedAt >= options.turnMs && counts.left > 0)
        return report();
    }
  }
}

async function readLot(
  { parts, lane, signal }: Pass,
  reader: ReturnType<CycleParts['openReader']>,
  lot: readonly DuePhoto[],
  answered: { readonly ever: boolean; readonly refused: number },
) {
  const answers = new Map<string, PhotoAnswer>();
  const commit = (taken: (answer: PhotoAnswer) => boolean) =>
    commitPhotos(
      parts.database,
      lane,
      lot.flatMap((account) => {
        const answer = answers.get(account.entra_object_id);
        return answer && taken(answer) ? [{ account, answer }] : [];
      }),
    );
  const ids = lot.map((one) => one.entra_object_id);
  try {
    await readPhotos(reader, ids, lane.size, answers);
  } catch (error) {
    // Else one that Graph throttles for good would keep back the others of its lot.
    if (!signal.aborted && answers.size > 0) await commit((answer) => !('fault' in answer));
    throw error;
  }
  if (lacksPermission([...answers.values()], answered.ever || lane.answered, answered.refused))
    throw permissionMissing();
  const committed = await commit(() => true);
  if (!committed) throw laneLost();
  return committed;
}

function added(counts: Counts, asked: number, more: Awaited<ReturnType<typeof readLot>>): Counts {
  return {
    ...counts,
    asked: counts.asked + asked,
    photos: counts.photos + more.photos,
    none: counts.none + more.none,
    faults: counts.faults + more.faults,
    changed: counts.changed + more.changed,
    left: Math.max(0, counts.left - asked),
  };
}

// One `$batch` after another, each no earlier than the share of the tenant's requests allows.
async function restAfter(asked: number, began: number, perSecond: number, signal: AbortSignal): Promise<void> {
  const restMs = (asked * 1_000) / perSecond - (performance.now() - began);
  if (restMs > 0) await wait(restMs, undefined, { signal });
}

const secondsSince = (startedAt: number) => Math.round(performance.now() - startedAt) / 1000;

/** Returns the error of an application that may read no photo of a tenant. */
export function permissionMissing(): ExpectedError {
  return new ExpectedError('permission_missing', 'Graph refuses the photos of this tenant (403)', {
    cure: photosCure,
  });
}

function laneLost(): ExpectedError {
  return new ExpectedError(
    'lease_lost',
    'the photos of this tenant are read by another process now, or it disconnected',
    {
      cure: 'nothing to do: what was read is stored',
    },
  );
}
