// Runs the streams of a cycle at the same time. Each commits by itself, so a tenant without rights to groups gets its users.
import { exitCodeOf } from '../errors.ts';
import type { GraphReader } from '../graph/reader.ts';
import { type Stream, streams } from '../rules/streams.ts';
import type { ChangeSample } from '../store/commit/change-sample.ts';
import type { StreamReport } from '../store/cycle/cycles.ts';
import { tellDatabaseError } from '../store/database/pool.ts';
import { dropDryRun } from '../store/stage/rounds.ts';
import { groupsStream } from './groups.ts';
import { reportOfFailure, type StreamFailure } from './reports.ts';
import { runStream } from './run-stream.ts';
import type { CycleInputs, RoundReport, StreamContext, StreamResult } from './stream.ts';
import { usersStream } from './users.ts';
import { keepWordsOfNew } from './words.ts';

/** The context that both streams of a cycle share. */
export type CycleContext = Omit<StreamContext, 'reader' | 'memberships' | 'underWay'>;

export type StreamsRun = {
  readonly reports: Readonly<Record<Stream, StreamReport>>;
  /** Errors that stopped a stream. */
  readonly failures: readonly StreamFailure[];
  /** Failures of a full round beside which changes were committed. */
  readonly unfinished: readonly StreamFailure[];
  /** Both checkpoints moved without a round. */
  readonly idle: boolean;
  /** Age of the oldest checkpoint at the start of the cycle; undefined for the first cycle. */
  readonly sinceMs: number | undefined;
  /** The first thousand changes of each stream in a dry run. */
  readonly sample: readonly ChangeSample[];
};

/** Runs both streams to their end; a failed one is part of the result. `stopping` aborts when this process ends. */
export async function runStreams(
  context: CycleContext,
  reader: GraphReader,
  stopping: AbortSignal,
): Promise<StreamsRun> {
  const { database, lease, dryRun, inputs } = context;
  const readers = { users: reader.fork('users'), groups: reader.fork('groups') };
  const underWay = {
    users: { round: roundReportOf(inputs, 'users') },
    groups: { round: roundReportOf(inputs, 'groups') },
  };
  const contextOf = (stream: Stream) => ({ ...context, reader: readers[stream], underWay: underWay[stream] });
  const groupsEnded = settled(
    runStream({ ...contextOf('groups'), memberships: Promise.resolve(undefined) }, groupsStream),
  );
  const memberships = groupsEnded.then((ended) => (dryRun && 'result' in ended ? ended.result.round : undefined));
  const [groups, users] = await Promise.all([
    groupsEnded,
    settled(runStream({ ...contextOf('users'), memberships }, usersStream)).then(async (ended) => {
      // Beside the groups: people are shown before they are found by their words.
      if (!dryRun) await keepWordsOfNew(context);
      return ended;
    }),
  ]);
  // The caller needs the error of the dry run. The next cycle drops the stage.
  if (dryRun) await dropDryRun(database, lease).catch(() => {});
  const ended = { users, groups };
  const errors = new Map<Stream, unknown>();
  for (const stream of streams) {
    const one = ended[stream];
    if (!('thrown' in one)) continue;
    const error = await tellDatabaseError(database, one.thrown);
    // Cancelled because this process ends: no failure of the database.
    errors.set(stream, stopping.aborted && exitCodeOf(error) === 7 ? stopping.reason : error);
  }
  const reportOf = (stream: Stream): StreamReport => {
    const one = ended[stream];
    return 'result' in one
      ? one.result.report
      : reportOfFailure(errors.get(stream), underWay[stream].round, readers[stream].requestCount());
  };
  const results = streams.flatMap((stream) => {
    const one = ended[stream];
    return 'result' in one ? [{ stream, ...one.result }] : [];
  });
  const ages = results.flatMap(({ checkpointAgeMs }) => checkpointAgeMs ?? []);
  return {
    reports: { users: reportOf('users'), groups: reportOf('groups') },
    failures: [...errors].map(([stream, error]) => ({ stream, error })),
    unfinished: results.flatMap(({ stream, unfinished: error }) => (error === undefined ? [] : [{ stream, error }])),
    idle: results.length === streams.length && results.every(({ round }) => round === undefined),
    sinceMs: ages.length > 0 ? Math.max(...ages) : undefined,
    sample: results.flatMap(({ sample }) => sample),
  };
}

type Ended = { readonly result: StreamResult } | { readonly thrown: unknown };

function settled(running: Promise<StreamResult>): Promise<Ended> {
  return running.then(
    (result) => ({ result }),
    (thrown: unknown) => ({ thrown }),
  );
}

// For a stream that fails before its round is chosen.
function roundReportOf({ streams }: CycleInputs, stream: Stream): RoundReport {
  const { checkpoint, open } = streams[stream];
  const round = open?.kind ?? (checkpoint ? 'incremental' : 'full');
  return { round, reason: open?.reason ?? (checkpoint ? 'changes' : 'first'), pages: 0, seen: 0 };
}
