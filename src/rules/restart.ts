// The next try of a stream whose round was stopped (rules 14, 15, 17). Each try is made once a cycle.
import type { RoundKind } from './merge.ts';
import { type FailuresBefore, isCheckpointStuck, isLinkStuck } from './stuck.ts';

/** A round that was stopped, and the failure that stopped it. */
export type Stopped = {
  /**
   * `link_refused`: the answer at a link was of no use. `link_failed`: any other failure that may be the link's own.
   * `settings_changed`: while the round was read. `other`: no other link would help.
   */
  readonly failure: 'dead_token' | 'settings_changed' | 'link_refused' | 'link_failed' | 'other';
  readonly kind: RoundKind;
  readonly pages: number;
  /** The link that failed was kept by an earlier cycle, with the pages before it. */
  readonly keptLink: boolean;
  /** Every page is staged: no link was asked. */
  readonly pulled: boolean;
  /** The link belongs to the Graph that is configured: with another one the configuration may be wrong. */
  readonly ofThisGraph: boolean;
  readonly dryRun: boolean;
  /** An operator asked for a full round, and is not sent to the same failing link a third time. */
  readonly resync: boolean;
  readonly before: FailuresBefore;
};

/** The tries of which a cycle makes each once. */
export type Once = 'restart' | 'new_settings' | 'full_round';

export type NextTry = {
  readonly once: Once;
  /** `restart`: the same round from its own beginning. `full_round`: a full one, for the reason named. */
  readonly next: 'restart' | 'full_round';
  readonly reason: 'token_expired' | 'checkpoint_refused' | undefined;
  /**
   * The link that has to answer while the failed one still fails; undefined: the try needs no proof. `start` is where the
   * round began: its checkpoint, else the first URL.
   */
  readonly ifAnswers: 'start' | 'first_url' | undefined;
};

const restart = { once: 'restart', next: 'restart', reason: undefined, ifAnswers: undefined } as const;
const full = { once: 'full_round', next: 'full_round', ifAnswers: undefined } as const;

const table: readonly (readonly [applies: (stopped: Stopped) => boolean, next: NextTry])[] = [
  [({ failure, pages }) => failure === 'dead_token' && pages > 0, restart],
  [({ failure, kind }) => failure === 'dead_token' && kind === 'incremental', { ...full, reason: 'token_expired' }],
  [({ failure }) => failure === 'settings_changed', { ...restart, once: 'new_settings' }],
  // From its own beginning the round may well succeed; from the kept link it never would.
  [({ failure, keptLink }) => failure === 'link_refused' && keptLink, restart],
  [
    (stopped) => mayBeTheLink(stopped) && stopped.keptLink && isLinkGivenUp(stopped),
    { ...restart, ifAnswers: 'start' },
  ],
  [
    (stopped) => mayBeTheLink(stopped) && stopped.kind === 'incremental' && isCheckpointStuck(stopped.before),
    { ...full, reason: 'checkpoint_refused', ifAnswers: 'first_url' },
  ],
];

/** Returns the next try that the cycle has not made yet. `give_up`: there is none, and the failure is reported. */
export function nextTry(stopped: Stopped, tried: ReadonlySet<Once>): NextTry | 'give_up' {
  return table.find(([applies, { once }]) => applies(stopped) && !tried.has(once))?.[1] ?? 'give_up';
}

function mayBeTheLink({ failure, dryRun, pulled, ofThisGraph }: Stopped): boolean {
  return (failure === 'link_refused' || failure === 'link_failed') && !dryRun && !pulled && ofThisGraph;
}

function isLinkGivenUp({ kind, before, resync }: Stopped): boolean {
  return isLinkStuck(kind, before) || (resync && before.round > 0);
}
