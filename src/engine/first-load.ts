// The quick first load: lists users, groups and members of a new tenant in parallel and shows them before the first
// round, which corrects them. It creates and updates only, and moves no checkpoint. The round begins after the listing
// is committed: older pages would undo its values or sweep its accounts.

import { ExpectedError } from '../errors.ts';
import { openPacer } from '../graph/paced.ts';
import type { GraphReader } from '../graph/reader.ts';
import type { Log } from '../logger.ts';
import { type CycleOutcome, outcomeOf } from '../rules/outcome.ts';
import { type Stream, streams } from '../rules/streams.ts';
import type { Settings } from '../settings/settings.ts';
import { commitListing } from '../store/commit/listing.ts';
import { closeFirstLoad, openCycle, reportOfCommit, type StreamReport } from '../store/cycle/cycles.ts';
import type { Lease } from '../store/cycle/lease.ts';
import { type Database, describeDatabaseError } from '../store/database/pool.ts';
import { type Listings, openListings } from '../store/stage/listings.ts';
import type { RequiredProperties } from '../store/stage/partial-objects.ts';
import type { Round } from '../store/stage/rounds.ts';
import { requiredOfGroups } from './groups.ts';
import { listGroups, listUsersQuickly } from './listing.ts';
import { cycleErrorOf, type FirstLoad, isInterruption, reportOfFailure, type StreamFailure } from './reports.ts';
import type { Progress } from './stream.ts';
import { requiredOfUsers } from './users.ts';
import { keepWordsOfNew } from './words.ts';

export type FirstLoadContext = {
  readonly database: Database;
  readonly lease: Lease;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly actor: string;
  /** Opens a reader with a budget of waits of its own. */
  readonly openReader: (log: Log) => GraphReader;
  readonly settings: () => Promise<Settings>;
  readonly onProgress: (progress: Progress) => void;
};

/**
 * Lists a tenant that was never read, or resumes its listing, and shows the result. Returns undefined if no first load
 * is due. The stream of a failed listing waits for the first round. Throws only what ends the cycle: an interruption,
 * or a lost lease.
 */
export async function runFirstLoad(context: FirstLoadContext): Promise<FirstLoad | undefined> {
  const load = await begin(context);
  if (!load) return undefined;
  const loaded = await runListings(load);
  const outcome = outcomeOf({
    ran: Object.keys(loaded.reports).length,
    failed: loaded.failures.length,
    cancelled: context.signal.aborted,
    held: false,
  });
  return close(load, loaded, outcome);
}

type Load = FirstLoadContext & {
  readonly cycleId: string;
  readonly reader: GraphReader;
  readonly before: Settings;
  readonly listings: Listings;
  /** By `performance.now()`. */
  readonly startedAt: number;
};

async function begin(context: FirstLoadContext): Promise<Load | undefined> {
  const { database, lease, actor } = context;
  const startedAt = performance.now();
  const before = await context.settings();
  const listings = await openListings(database, lease, wantedOf(before));
  if (streams.every((stream) => listings[stream] === undefined)) return undefined;
  const cycleId = await openCycle(database, lease, { kind: 'first_load', actor, settingsVersion: before.version });
  const log = context.log.child({ cycleId });
  log.info({ streams: Object.keys(listings) }, 'first load started');
  return { ...context, log, reader: context.openReader(log), cycleId, before, listings, startedAt };
}

async function runListings(load: Load): Promise<ListedStream> {
  const loaded = await loadStreams(load, load.before, load.listings);
  if (load.signal.aborted || !loaded.failures.some(({ error }) => isCode(error, 'round_changed'))) return loaded;
  // The settings have changed (rule 17): list what is not shown yet again, once.
  const settings = await load.settings();
  const listings = await openListings(load.database, load.lease, wantedOf(settings));
  const again = await loadStreams(load, settings, listings);
  return { reports: { ...loaded.reports, ...again.reports }, failures: again.failures };
}

async function close(load: Load, { reports, failures }: ListedStream, outcome: CycleOutcome): Promise<FirstLoad> {
  const { database, lease, cycleId, log, signal, startedAt } = load;
  const seconds = Math.round(performance.now() - startedAt) / 1000;
  log.info({ seconds, outcome, ...reports }, 'first load finished');
  const [failure] = failures;
  const closed = closeFirstLoad(database, lease, cycleId, {
    outcome,
    streams: reports,
    error: failure ? cycleErrorOf(failure) : null,
  });
  if (signal.aborted) {
    await closed.catch(() => {});
    throw signal.reason;
  }
  await closed;
  return { cycleId, kind: 'first_load', outcome, seconds, streams: reports, failures };
}

type ListedStream = {
  readonly reports: { readonly [stream in Stream]?: StreamReport };
  readonly failures: readonly StreamFailure[];
};

const parts: Record<Stream, { list: typeof listUsersQuickly; wholeness(settings: Settings): RequiredProperties }> = {
  users: { list: listUsersQuickly, wholeness: requiredOfUsers },
  groups: { list: listGroups, wholeness: () => requiredOfGroups },
};

async function loadStreams(context: Load, settings: Settings, listings: Listings): Promise<ListedStream> {
  const given = new AbortController();
  const signal = AbortSignal.any([context.signal, given.signal]);
  const pacer = openPacer(signal);
  const readers = { users: context.reader.fork('users'), groups: context.reader.fork('groups') };
  const reports = new Map<Stream, StreamReport>();
  const failures: StreamFailure[] = [];

  const show = async (stream: Stream, begun: Round, before: Promise<void>): Promise<void> => {
    const reader = readers[stream];
    let now = begun;
    const advance = (round: Round) => {
      now = round;
    };
    try {
      const round = await parts[stream].list({ ...context, signal, settings, reader: pacer(reader), advance }, begun);
      await before;
      // Without memberships the scope is unknown.
      if (byGroups && failures[0]) throw failures[0].error;
      context.onProgress({ stream, phase: 'show', pages: round.pages, objects: round.seen, total: undefined });
      context.signal.throwIfAborted();
      const counts = await commitListing(context.database, context.lease, {
        stream,
        round,
        cycleId: context.cycleId,
        requests: reader.requestCount(),
        actor: context.actor,
        removals: settings.removals,
        match: settings.match,
        scopeGroups: settings.scope.groups,
        wholeness: parts[stream].wholeness(settings),
      });
      reports.set(stream, reportOfCommit(round, counts, reader.requestCount()));
      if (stream === 'users') await keepWordsOfNew(context);
    } catch (thrown) {
      const error = describeDatabaseError(thrown);
      failures.push({ stream, error });
      const told = { round: 'listing', reason: now.reason, pages: now.pages, seen: now.seen } as const;
      reports.set(stream, reportOfFailure(error, told, reader.requestCount()));
      tellFailure(context.log, stream, error);
      if (byGroups) given.abort(error);
    }
  };
  // Each stream is shown once it is listed; with scope groups, users wait for the memberships.
  const byGroups = settings.scope.groups.length > 0;
  const { users, groups } = listings;
  const groupsShown = groups ? show('groups', groups, Promise.resolve()) : Promise.resolve();
  await Promise.all([groupsShown, users && show('users', users, byGroups ? groupsShown : Promise.resolve())]);
  const inOrder = streams.filter((stream) => reports.has(stream));
  return {
    reports: Object.fromEntries(inOrder.map((stream) => [stream, reports.get(stream)])),
    failures: inOrder.flatMap((stream) => failures.filter((one) => one.stream === stream)),
  };
}

// A defect's message may contain personal values (rule 18), so log its stack frames only.
function tellFailure(log: Log, stream: Stream, error: unknown): void {
  const at =
    error instanceof ExpectedError || !(error instanceof Error) ? [] : (error.stack ?? '').split('\n').slice(1, 6);
  const level = isInterruption(error) ? 'info' : 'warn';
  log[level]({ stream, ...cycleErrorOf({ stream, error }), at }, 'listing given up: the first round reads it');
}

function wantedOf({ version, fingerprints }: Settings) {
  return { settingsVersion: version, fingerprints };
}

function isCode(error: unknown, code: ExpectedError['code']): boolean {
  return error instanceof ExpectedError && error.code === code;
}
