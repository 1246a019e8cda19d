// The rules of webhooks: which changes an address is sent, and what follows from its answer (rules 52 and 53).
import { matchesGlob } from './glob.ts';

// A receiver that keeps values has to forget them, whatever it asked for.
const always: ReadonlySet<string> = new Set(['account.purged']);

/** Returns a test of kinds against these globs, such as `account.*`; without one every kind fits. */
export function kindsFilter(globs: readonly string[]): (kind: string) => boolean {
  return (kind) => globs.length === 0 || always.has(kind) || globs.some((glob) => matchesGlob(kind, glob));
}

/** Returns whether a glob of kinds is written as one: words with dots, and stars. */
export const isKindGlob = (text: string) => /^[a-z_.*]{1,60}$/.test(text);

/** A change of a lot. Values of private fields are left out. */
export type ToldChange = {
  readonly change_id: string;
  readonly tenant_id: string;
  readonly at: Date;
  readonly cycle_id: string | null;
  readonly actor: string;
  readonly kind: string;
  readonly account_id: string | null;
  readonly group_id: string | null;
  readonly member_group_id: string | null;
  readonly before: unknown;
  readonly after: unknown;
};

/** A change is told by its ids alone, with the names of its fields too, or with its values and actor too. */
export type Told = 'none' | 'names' | 'all';

/** The answer of an address: its HTTP status, or none with the reason. */
export type Attempt = {
  readonly status: number | null;
  /** Seconds that the answer asks to wait (Retry-After). */
  readonly retryAfter?: number | undefined;
};

export type Outcome =
  | { readonly kind: 'taken' }
  | { readonly kind: 'again'; readonly inMs: number }
  | { readonly kind: 'paused'; readonly because: 'gone' | 'failing' };

const firstWaitMs = 5_000;
const longestWaitMs = 3_600_000;
const givenUpAfterMs = 5 * 24 * 3_600_000;

/**
 * Returns what follows from an attempt: 2xx takes the lot, 410 pauses at once, and everything else, redirects too, is tried
 * again after 5 s, twice as long each time, at most an hour; after five days of it the webhook is paused. `failures`: how many
 * attempts failed before this one; `failingMs`: since the first of them; `random`: 0 to 1, spreads the waits.
 */
export function outcomeOf(
  { status, retryAfter = 0 }: Attempt,
  { failures, failingMs, random }: { readonly failures: number; readonly failingMs: number; readonly random: number },
): Outcome {
  if (status !== null && status >= 200 && status < 300) return { kind: 'taken' };
  if (status === 410) return { kind: 'paused', because: 'gone' };
  if (failures > 0 && failingMs >= givenUpAfterMs) return { kind: 'paused', because: 'failing' };
  const doubled = Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(failures, 20));
  const spread = doubled * (0.75 + random / 4);
  return { kind: 'again', inMs: Math.round(Math.min(longestWaitMs, Math.max(spread, retryAfter * 1_000))) };
}

/** The forms of notices of troubles. */
export const noticeForms = ['json', 'slack', 'teams', 'mail'] as const;

/** `contact`: mail to a contact of a tenant, which `notify add` does not make. */
export type NoticeForm = (typeof noticeForms)[number] | 'contact';

/** The changes of one lot at most. */
export const lotSize = 100;

/** The characters of the values in one lot, beyond which it ends: receivers refuse messages that are too large. */
const lotCharacters = 500_000;

/** Returns the first changes that one lot holds, at least one. `values`: their values are sent. */
export function lotOf<Change extends { readonly before: unknown; readonly after: unknown }>(
  changes: readonly Change[],
  values: boolean,
): Change[] {
  const most = changes.slice(0, lotSize);
  if (!values) return most;
  let characters = 0;
  const end = most.findIndex(({ before, after }) => {
    characters += JSON.stringify([before, after]).length;
    return characters > lotCharacters;
  });
  return end < 0 ? most : most.slice(0, Math.max(1, end));
}
