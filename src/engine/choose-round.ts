// Which round a stream walks: the open one where it can be continued, else a new one of the kind that is due.
import { isOfOrigin } from '../graph/client.ts';
import type { RoundKind } from '../rules/merge.ts';
import { roundLastsMs } from '../rules/stuck.ts';
import type { Round } from '../store/stage/rounds.ts';
import type { StreamInputs } from '../store/stage/tenant-state.ts';

export type NewRound = { readonly kind: RoundKind; readonly reason: string };

export type RoundRequest = {
  readonly fingerprint: string;
  readonly settingsVersion: number;
  readonly fullEveryMs: number;
  /** The Graph that is configured. */
  readonly origin: string;
  readonly dryRun: boolean;
  /** Why the round has to be full, whatever the checkpoint says. */
  readonly fullReason: string | undefined;
  /** The open round cannot be gone on with. */
  readonly anew: boolean;
};

/** The round to walk, by where the stream stands. */
export function chooseRound(standing: StreamInputs, wishes: RoundRequest): { open: Round } | { begin: NewRound } {
  const { fingerprint, fullReason, anew } = wishes;
  const due = fullReason ?? whyFull(standing, fingerprint, wishes.fullEveryMs);
  const full = due ?? (standing.wantsFull ? 'removals_held' : undefined);
  const open = wishes.dryRun ? undefined : standing.open;
  const fits = open?.settings_version === wishes.settingsVersion && open.fingerprint === fingerprint;
  // A full round begun against another Graph cannot be gone on with, and nothing of it would be missed.
  const foreign = open?.kind === 'full' && open.resume_link !== null && !isOfOrigin(open.resume_link, wishes.origin);
  // Links that old may fail for ever, and what was read that long ago is old news.
  const outdated = open !== undefined && open.age_ms > roundLastsMs;
  // A full round that somebody asks for is that somebody's: one that is open for another cause may be what is stuck.
  const asked = fullReason === undefined || open?.reason === fullReason;
  if (open && fits && !anew && !foreign && !outdated && asked && (open.kind === 'full' || full === undefined))
    return { open };
  return {
    begin: {
      // Begun anew for another cause, an open full round stays one: what made it due still holds.
      kind: full !== undefined || open?.kind === 'full' ? 'full' : 'incremental',
      reason: full ?? (open?.kind === 'full' ? open.reason : 'changes'),
    },
  };
}

function whyFull({ checkpoint }: StreamInputs, fingerprint: string, fullEveryMs: number): string | undefined {
  if (!checkpoint) return 'first';
  if (checkpoint.fingerprint !== fingerprint) return 'settings_changed';
  return checkpoint.full_age_ms > fullEveryMs ? 'due' : undefined;
}
