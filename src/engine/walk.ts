// Runs one round to its commit: stages pages, asks for objects in doubt, commits.
import { gatherPages, totalOf } from '../graph/pages.ts';
import { choosesGroups, leftOutOf } from '../rules/copied-groups.ts';
import { type DeltaPage, objectsOf } from '../rules/decode.ts';
import { outsideOf } from '../rules/scope.ts';
import type { Settings } from '../settings/settings.ts';
import { commitRound } from '../store/commit/round.ts';
import type { CopiesGroup } from '../store/commit/stored-groups.ts';
import type { NarrowerScope } from '../store/commit/stored-scope.ts';
import { reportOfCommit } from '../store/cycle/cycles.ts';
import { unfoldSlices } from '../store/stage/members.ts';
import { type Checkpoint, type Round, readCheckpoint } from '../store/stage/rounds.ts';
import { analyzeStage } from '../store/stage/statistics.ts';
import { inSpan } from '../tracing.ts';
import { openPages, type Pages, type RoundOutcome } from './first-page.ts';
import type { CycleInputs, Progress, StreamContext, StreamParts } from './stream.ts';

/** Whether groups decide who is in scope. */
export function hasScopeGroups({ scope }: Settings): boolean {
  return scope.groups.length > 0;
}

function narrowerScope({ scope, disabledAccounts }: Settings, places: readonly number[]): NarrowerScope {
  return { places, outsideOf: (user) => outsideOf(user, scope, disabledAccounts) };
}

function copiesOf({ groups }: Settings): CopiesGroup {
  return (id, name) => leftOutOf(groups, id, name) === null;
}

/**
 * Resumes `begun` and commits it. `begunPages` continue an earlier request for the first page. Calls `advance` after
 * each page. Throws what reading, staging and the commit throw.
 */
export async function runRound<Page extends DeltaPage>(
  context: StreamContext,
  parts: StreamParts<Page>,
  { settings, narrowing }: Pick<CycleInputs, 'settings' | 'narrowing'>,
  checkpoint: Checkpoint | undefined,
  begun: Round,
  begunPages: Pages<Page> | undefined,
  advance: (round: Round) => void,
): Promise<RoundOutcome> {
  const { database, lease, reader, dryRun } = context;
  const { stream } = parts;
  const total = begun.kind === 'full' ? totalOf(reader, stream) : undefined;
  const tell = (phase: Progress['phase'], round: Round) =>
    context.onProgress({ stream, phase, pages: round.pages, objects: round.seen, total: total?.now });
  let round = begun;
  tell('pull', round);
  if (round.kind === 'full' && round.pages === 0) await parts.beforeFullRound?.(context);
  if (round.delta_link === null) {
    const start = round.resume_link ?? (round.kind === 'incremental' ? checkpoint?.delta_link : undefined);
    const pages = begunPages ?? openPages(context, parts, settings, round.kind, start);
    await inSpan('pull', { 'entra_sync.stream': stream }, async () => {
      for await (const fetchedPages of gatherPages(pages, parts.pagesTogether)) {
        context.signal.throwIfAborted();
        const last = fetchedPages.at(-1);
        if (!last) continue;
        const page = parts.join(
          fetchedPages.map((fetched) => fetched.page),
          last.page,
        );
        round = await parts.stage(context, settings, round, page, {
          urls: fetchedPages.map((fetched) => fetched.url),
          link: page.link,
          problems: page.problems,
          seen: objectsOf(page),
        });
        advance(round);
        tell('pull', round);
        context.log.debug({ stream, page: round.pages, seen: round.seen, aside: page.problems.length }, 'page staged');
      }
    });
  }
  tell('ask', round);
  if (stream === 'groups' && round.seen > 0) await unfoldSlices(database, lease, round.round_id);
  const analyzed = await analyzeStage(database, round);
  await inSpan('ask', { 'entra_sync.stream': stream }, () => parts.ask(context, settings, round));
  context.signal.throwIfAborted();
  tell('commit', round);
  // Memberships of accounts that the commit creates count with the users, so a dry run applies its groups first.
  const dryRunGroups = dryRun || hasScopeGroups(settings) ? await context.memberships : undefined;
  const judged = dryRunGroups ?? (await readCheckpoint(database, lease.tenantId, 'groups'));
  const commit = () =>
    commitRound(database, lease, {
      stream,
      round,
      cycleId: context.cycleId,
      actor: context.actor,
      retentionMs: settings.retentionMs,
      removals: settings.removals,
      match: settings.match,
      scopeGroups: settings.scope.groups,
      groupsJudged: judged?.fingerprint === settings.fingerprints.groups,
      dryRun,
      requests: reader.requestCount(),
      analyzed,
      dryRunGroups,
      narrower:
        stream === 'users' && round.kind !== 'full' && narrowing.users
          ? narrowerScope(settings, narrowing.users)
          : undefined,
      copies: stream === 'groups' && choosesGroups(settings.groups) ? copiesOf(settings) : undefined,
    });
  const { counts, sample } = await inSpan('commit', { 'entra_sync.stream': stream }, commit);
  const report = reportOfCommit(round, counts, reader.requestCount());
  return { report: dryRun ? { ...report, outcome: 'dry_run' } : report, sample };
}
