// The users stream of one cycle: choose or continue the round, pull its pages into the stage, ask about the doubtful, commit.
import { ExpectedError } from '../errors.ts';
import { DeadToken, type GraphReader } from '../graph/reader.ts';
import { countUsers, firstUsersUrl, readUsers, userPages } from '../graph/users.ts';
import type { Log } from '../logger.ts';
import type { Problem, SelectedProperties } from '../rules/decode.ts';
import { userProperties } from '../rules/graph-properties.ts';
import { type Field, mapUser, selectedProperties, userKeys } from '../rules/mapping.ts';
import { type MergedUser, mergeUsers, overlay } from '../rules/merge.ts';
import type { Settings } from '../settings.ts';
import { type ChangeSample, commitUsers } from '../store/commit-users.ts';
import type { StreamReport } from '../store/cycles.ts';
import type { Lease } from '../store/lease.ts';
import type { Database } from '../store/pool.ts';
import {
  beginRound,
  type Checkpoint,
  doubtfulUsers,
  dropRehearsal,
  dropRound,
  type Round,
  readCheckpoint,
  readRound,
  type StagedUser,
  settleDoubts,
  stagePage,
} from '../store/rounds.ts';

/** Where a stream stands, for a progress bar. `total` is there when Graph or the last rounds let it be guessed. */
export type Progress = {
  stream: 'users';
  phase: 'pull' | 'ask' | 'commit';
  pages: number;
  objects: number;
  total: number | undefined;
};

export type StreamContext = {
  readonly database: Database;
  readonly lease: Lease;
  readonly reader: GraphReader;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly actor: string;
  readonly cycleId: string | null;
  readonly dryRun: boolean;
  /** A full round is asked for, whatever the checkpoint says. */
  readonly resync: boolean;
  readonly settings: () => Promise<Settings>;
  readonly onProgress: (progress: Progress) => void;
};

export type StreamResult = { report: StreamReport; sample: ChangeSample[]; checkpointAgeMs: number | undefined };

/**
 * Runs the stream's round to its commit. A dead link begins the same round anew, a dead checkpoint a full round, each
 * once (rules 14, 15); settings that changed on the way begin the round anew once (rule 17).
 */
export async function runUsersStream(context: StreamContext): Promise<StreamResult> {
  const { database, lease, dryRun } = context;
  await dropRehearsal(database, lease, 'users');
  try {
    return await runRounds(context);
  } finally {
    // What stopped the dry run is what has to reach the caller; a stage that stays is dropped by the next cycle.
    if (dryRun) await dropRehearsal(database, lease, 'users').catch(() => {});
  }
}

async function runRounds(context: StreamContext): Promise<StreamResult> {
  const { lease } = context;
  const requestsBefore = context.reader.requestCount();
  const checkpoint = await readCheckpoint(context.database, lease.tenantId, 'users');
  const once = new Set<string>();
  const firstTime = (what: string) => !once.has(what) && once.add(what) !== undefined;
  let fullBecause: string | undefined = context.resync ? 'resync' : undefined;
  let anew = false;
  for (;;) {
    const settings = await context.settings();
    let round = await openRound(context, settings, checkpoint, fullBecause, anew);
    try {
      const walk = await walkRound(context, settings, checkpoint, round, (advanced) => {
        round = advanced;
      });
      const report = { ...walk.report, requests: context.reader.requestCount() - requestsBefore };
      return { report, sample: walk.sample, checkpointAgeMs: checkpoint?.age_ms };
    } catch (error) {
      if (error instanceof DeadToken) {
        context.log.info(
          { stream: 'users', round: round.kind, pages: round.pages, requestId: error.requestId },
          'dead token',
        );
        if (round.pages > 0 && firstTime('round restarted')) anew = true;
        else if (round.kind === 'incremental' && firstTime('full round')) fullBecause = 'token_expired';
        else throw deadAgain(error);
      } else if (error instanceof ExpectedError && error.code === 'round_changed' && firstTime('settings changed')) {
        anew = true;
      } else {
        // Gone on with, a round whose links lead in a circle would end at the same page for ever.
        if (error instanceof ExpectedError && error.code === 'round_endless')
          await dropRound(context.database, lease, round.round_id);
        throw error;
      }
    }
  }
}

function deadAgain(error: DeadToken): ExpectedError {
  return new ExpectedError(
    'graph_answer_invalid',
    `Graph calls links dead that it has only just handed out (${error.message})`,
    {
      cure: 'run the command again later; nothing was changed',
      ...(error.requestId !== null && { detail: `request-id ${error.requestId}` }),
    },
  );
}

/** The round to walk: the open one where it can be continued, else a new one of the kind that is due. */
async function openRound(
  context: StreamContext,
  settings: Settings,
  checkpoint: Checkpoint | undefined,
  fullBecause: string | undefined,
  anew: boolean,
): Promise<Round> {
  const { database, lease, dryRun } = context;
  const full = fullBecause ?? whyFull(checkpoint, settings);
  const open = dryRun ? undefined : await readRound(database, lease.tenantId, 'users', false);
  const fits = open?.settings_version === settings.version && open.fingerprint === settings.fingerprint;
  if (open && fits && !anew && (open.kind === 'full' || full === undefined)) return open;
  return beginRound(database, lease, {
    stream: 'users',
    dryRun,
    // Begun anew for another cause, an open full round stays one: what made it due still holds.
    kind: full !== undefined || open?.kind === 'full' ? 'full' : 'incremental',
    reason: full ?? (open?.kind === 'full' ? open.reason : 'changes'),
    settingsVersion: settings.version,
    fingerprint: settings.fingerprint,
  });
}

function whyFull(checkpoint: Checkpoint | undefined, settings: Settings): string | undefined {
  if (!checkpoint) return 'first';
  if (checkpoint.fingerprint !== settings.fingerprint) return 'mapping_changed';
  return checkpoint.full_age_ms > settings.fullEveryMs ? 'due' : undefined;
}

async function walkRound(
  context: StreamContext,
  settings: Settings,
  checkpoint: Checkpoint | undefined,
  begun: Round,
  advance: (round: Round) => void,
): Promise<{ report: StreamReport; sample: ChangeSample[] }> {
  const { database, lease, reader, dryRun } = context;
  const properties = selectedProperties(settings.fields);
  const selected = withTypes(properties);
  const total = begun.kind === 'full' ? await countUsers(reader) : undefined;
  const tell = (phase: Progress['phase'], round: Round) =>
    context.onProgress({ stream: 'users', phase, pages: round.pages, objects: round.seen, total });
  let round = begun;
  tell('pull', round);
  if (round.delta_link === null) {
    const start = round.resume_link ?? (round.kind === 'incremental' ? checkpoint?.delta_link : undefined);
    const pages = userPages(reader, {
      start: start ?? firstUsersUrl(reader.origin, properties),
      startCarriesToken: start !== undefined,
      selected,
      // Asks Graph to throttle a walk of everything before anybody's small reads (learn.microsoft.com/graph/throttling-limits).
      headers: round.kind === 'full' ? { 'x-ms-throttle-priority': 'low' } : {},
    });
    for await (const { url, page } of pages) {
      context.signal.throwIfAborted();
      const { kind } = round;
      round = await stagePage(database, lease, round, {
        url,
        link: page.link,
        problems: page.problems,
        seen: page.occurrences.length + page.problems.length,
        ids: [...new Set(page.occurrences.map((occurrence) => occurrence.id))],
        merge: (known) => mergeUsers(kind, known, page.occurrences).map((user) => withMapping(user, settings.fields)),
      });
      advance(round);
      tell('pull', round);
      context.log.debug(
        { stream: 'users', page: round.pages, seen: round.seen, aside: page.problems.length },
        'page staged',
      );
    }
  }
  tell('ask', round);
  await askAboutDoubtful(context, round, settings.fields, properties, selected);
  context.signal.throwIfAborted();
  tell('commit', round);
  const { counts, sample } = await commitUsers(database, lease, {
    round,
    cycleId: context.cycleId,
    actor: context.actor,
    retentionMs: settings.retentionMs,
    dryRun,
  });
  return {
    report: {
      ...counts,
      outcome: dryRun ? 'rehearsed' : 'committed',
      round: round.kind,
      reason: round.reason,
      requests: 0,
      pages: round.pages,
      seen: round.seen,
      held: 0,
    },
    sample,
  };
}

/** Rule 22: what came in a doubtful way is read singly before anything rests on it. */
async function askAboutDoubtful(
  context: StreamContext,
  round: Round,
  fields: readonly Field[],
  properties: readonly string[],
  selected: SelectedProperties,
): Promise<void> {
  const { database, lease, reader } = context;
  const ids = await doubtfulUsers(database, lease.tenantId, round.round_id);
  if (ids.length === 0) return;
  const answers = await readUsers(reader, ids, properties, selected);
  const live: StagedUser[] = [];
  const problems: Problem[] = [];
  const gone: string[] = [];
  for (const [id, answer] of answers) {
    if (answer === 'gone') gone.push(id);
    else if ('reason' in answer) problems.push(answer);
    else live.push(withMapping({ id, source: overlay({}, answer.patch), removed: null, doubt: null }, fields));
  }
  await settleDoubts(database, lease, round.round_id, { live, problems, gone });
  context.log.debug(
    { stream: 'users', asked: ids.length, live: live.length, gone: gone.length, aside: problems.length },
    'doubtful objects read',
  );
}

function withMapping(user: MergedUser, fields: readonly Field[]): StagedUser {
  return { ...user, mapped: mapUser(user.source, fields), ...userKeys(user.source) };
}

function withTypes(properties: readonly string[]): SelectedProperties {
  return new Map(
    properties.flatMap((property) => {
      const known = Object.hasOwn(userProperties, property) ? userProperties[property] : undefined;
      return known && property !== 'id' ? [[property, known.type] as const] : [];
    }),
  );
}
