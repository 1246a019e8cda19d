// Chooses the round that a stream walks: the open one, else a new one of the kind that is due.
import { isOfOrigin } from '../graph/client.ts';
import type { RoundKind } from '../rules/merge.ts';
import { roundLastsMs } from '../rules/stuck.ts';
import type { StreamReport } from '../store/cycle/cycles.ts';
import type { OpenRound, StreamInputs } from '../store/stage/tenant-state.ts';

export type NewRound = { readonly kind: RoundKind; readonly reason: string };

export type RoundRequest = {
  readonly fingerprint: string;
  readonly settingsVersion: number;
  readonly fullEveryMs: number;
  /** Origin of the configured Graph. */
  readonly origin: string;
  readonly dryRun: boolean;
  /** The settings only narrow the scope of the last round, which the commit judges on the stored documents. */
  readonly narrows: boolean;
  /** The reason for a full round, whatever the checkpoint says. */
  readonly fullReason: string | undefined;
  /** The open round cannot be resumed. */
  readonly restart: boolean;
};

/** Returns the open round to resume, or the kind and reason of a new one. */
export function chooseRound(inputs: StreamInputs, request: RoundRequest): { open: OpenRound } | { begin: NewRound } {
  const { fingerprint, fullReason, restart } = request;
  const due = fullReason ?? whyFull(inputs, request);
  const full = due ?? (inputs.wantsFull ? 'removals_held' : undefined);
  const open = request.dryRun ? undefined : inputs.open;
  const fits = open?.settings_version === request.settingsVersion && open.fingerprint === fingerprint;
  // A full round of another Graph cannot be resumed, and dropping it loses nothing.
  const foreign = open?.kind === 'full' && open.resume_link !== null && !isOfOrigin(open.resume_link, request.origin);
  // Links that old may fail for ever, and the stage is out of date.
  const outdated = open !== undefined && open.age_ms > roundLastsMs;
  // A requested full round is a new one: an open round for another reason may be stuck.
  const asked = fullReason === undefined || open?.reason === fullReason;
  if (open && fits && !restart && !foreign && !outdated && asked && (open.kind === 'full' || full === undefined))
    return { open };
  return {
    begin: {
      // A full round that restarts stays full: it is still due.
      kind: full !== undefined || open?.kind === 'full' ? 'full' : 'incremental',
      reason: full ?? (open?.kind === 'full' ? open.reason : 'changes'),
    },
  };
}

/** Returns, for the report, when an open round began of which pages were read already; nothing for one without pages. */
export function beganEarlier({ pages, begun_at: begun }: OpenRound): Pick<StreamReport, 'begun_at'> {
  return pages > 0 ? { begun_at: new Date(begun).toISOString() } : {};
}

function whyFull(
  { checkpoint }: StreamInputs,
  { fingerprint, fullEveryMs, narrows }: RoundRequest,
): string | undefined {
  if (!checkpoint) return 'first';
  if (checkpoint.fingerprint !== fingerprint && !narrows) return 'settings_changed';
  return checkpoint.full_age_ms > fullEveryMs ? 'due' : undefined;
}
