// Commits changes beside a full round that cannot be finished, as long as the checkpoint is good.
import type { DeltaPage } from '../rules/decode.ts';
import { leavesCheckpoint } from '../rules/stuck.ts';
import { beginRound, type Round } from '../store/stage/rounds.ts';
import { beganEarlier } from './choose-round.ts';
import { isFromGraph } from './compare-links.ts';
import type { RoundOutcome } from './first-page.ts';
import type { CycleInputs, StreamContext, StreamParts, StreamResult } from './stream.ts';
import { runRound } from './walk.ts';

/**
 * Walks and commits the later round of a stream whose full round failed with `failure` and stays open. Returns
 * undefined if none is allowed, or if Graph fails it too. Throws every other error.
 */
export async function runRoundBeside<Page extends DeltaPage>(
  context: StreamContext,
  parts: StreamParts<Page>,
  failure: unknown,
): Promise<StreamResult | undefined> {
  const { dryRun, resync, underWay } = context;
  // A person who asked for a full round gets its failure.
  if (dryRun || resync || !isFromGraph(failure)) return undefined;
  const inputs = await context.rereadInputs();
  if (!allowsRoundBeside(inputs, parts)) return undefined;
  const full = underWay.round;
  try {
    let committed: Round | undefined;
    const walked = await runLaterRound(context, parts, inputs, (round) => {
      committed = round;
    });
    const { checkpoint, beside } = inputs.streams[parts.stream];
    context.log.warn({ stream: parts.stream }, 'full round not finished, changes committed beside it');
    const begunAt = beside && committed?.round_id === beside.round_id ? beganEarlier(beside) : {};
    return {
      ...walked,
      report: { ...walked.report, ...begunAt },
      round: committed,
      checkpointAgeMs: checkpoint?.age_ms,
      unfinished: failure,
    };
  } catch (error) {
    context.signal.throwIfAborted();
    if (!isFromGraph(error)) throw error;
    underWay.round = full;
    return undefined;
  }
}

function allowsRoundBeside<Page extends DeltaPage>(
  { settings, streams, narrowing }: CycleInputs,
  { stream }: StreamParts<Page>,
): boolean {
  const { open, checkpoint } = streams[stream];
  const narrows = stream === 'users' ? narrowing.users !== undefined : narrowing.groups;
  // With another mapping or a wider scope, only a full round may be applied (rule 17).
  const mayFollow = checkpoint?.fingerprint === settings.fingerprints[stream] || narrows;
  return open?.kind === 'full' && leavesCheckpoint(open.reason) && mayFollow;
}

async function runLaterRound<Page extends DeltaPage>(
  context: StreamContext,
  parts: StreamParts<Page>,
  inputs: CycleInputs,
  advance: (round: Round) => void,
): Promise<RoundOutcome> {
  const { settings, streams } = inputs;
  const { database, lease } = context;
  const { checkpoint, beside } = streams[parts.stream];
  const fingerprint = settings.fingerprints[parts.stream];
  const fits = beside?.settings_version === settings.version && beside.fingerprint === fingerprint;
  const walk = async (kept: typeof beside) => {
    const round =
      kept ??
      (await beginRound(database, lease, {
        ...{ stream: parts.stream, dryRun: false, kind: 'incremental', reason: 'changes', fingerprint },
        settingsVersion: settings.version,
      }));
    advance(round);
    return runRound(context, parts, inputs, checkpoint, round, undefined, advance);
  };
  if (!fits) return walk(undefined);
  // A failing kept link: the round starts over from the checkpoint.
  return walk(beside).catch((error: unknown) => {
    context.signal.throwIfAborted();
    if (!isFromGraph(error)) throw error;
    return walk(undefined);
  });
}
