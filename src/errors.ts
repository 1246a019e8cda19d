// Expected errors: each is one line that says what happened and what cures it. Anything else that is thrown is a defect.

/** What may go wrong without a defect, and the exit code of the command line for it (docs/commands.md, "Exit codes"). */
export const exitCodes = {
  usage: 2,
  settings_invalid: 2,
  unknown_name: 2,
  tenant_exists: 2,
  tenant_disconnected: 2,
  never_synced: 2,
  credential_refused: 3,
  sign_in_failed: 3,
  credential_missing: 3,
  clock_skewed: 3,
  consent_missing: 3,
  consent_waiting: 3,
  role_refused: 3,
  permission_missing: 3,
  delta_unsupported: 3,
  property_refused: 3,
  removals_held: 4,
  graph_unavailable: 5,
  graph_throttled: 5,
  graph_answer_invalid: 5,
  foreign_link: 5,
  round_endless: 5,
  cycle_running: 6,
  lease_lost: 6,
  round_changed: 6,
  database_unreachable: 7,
  database_refused: 7,
  database_unable: 7,
  database_locked: 7,
  schema_not_current: 7,
  schema_newer: 7,
  drift_found: 8,
  checkpoint_too_old: 8,
  interrupted: 130,
} as const satisfies Record<string, number>;

export type ErrorCode = keyof typeof exitCodes;

/**
 * An error that a user can act on: shown as one line, never with a stack.
 * `message` says what happened, `cure` which command or setting mends it, `detail` (shown by `--verbose`) the rest,
 * Graph's request id among it, `list` the single things that the message only counts: shown below it, one a line. None of them may hold a secret, a token or a personal value (rule 18).
 */
export class ExpectedError extends Error {
  readonly code: ErrorCode;
  readonly cure: string | undefined;
  readonly detail: string | undefined;
  readonly list: readonly string[];

  constructor(
    code: ErrorCode,
    message: string,
    options: { cure?: string; detail?: string; list?: readonly string[]; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'ExpectedError';
    this.code = code;
    this.cure = options.cure;
    this.detail = options.detail;
    this.list = options.list ?? [];
  }
}

/** A round whose links lead nowhere (rule 14). */
export function roundEndless(why: string): ExpectedError {
  return new ExpectedError('round_endless', `Graph leads this round in a circle: ${why}`, {
    cure: 'nothing was changed; run the command again, the round begins anew, and entra-sync resync if that fails too',
  });
}

/** The exit code that an error thrown by any part means: 1 for a defect. */
export function exitCodeOf(error: unknown): number {
  return error instanceof ExpectedError ? exitCodes[error.code] : 1;
}

/** The code under which an error is kept in `cycles.error_code`: `defect` for what nobody expected. */
export function errorCodeOf(error: unknown): string {
  return error instanceof ExpectedError ? error.code : 'defect';
}

/**
 * A defect for people and their reports: its kind, what may be told of its words, and where it happened. The words of the
 * database quote rows, those of JSON.parse quote texts: such words may be somebody's name (rule 18), so of the first only
 * codes and names of the schema are told, and whatever is quoted is left out of the rest.
 */
export function describeDefect(error: unknown): string {
  if (!(error instanceof Error)) return `a thrown ${typeof error}`;
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return [`${error.name}: ${wordsOf(error)}`, ...frames].join('\n');
}

function wordsOf(error: Error): string {
  const { severity, code, schema, table, column, constraint, routine } = error as unknown as Record<string, unknown>;
  if (typeof severity === 'string' && typeof code === 'string') {
    const named = Object.entries({ schema, table, column, constraint, routine })
      .filter(([, value]) => typeof value === 'string')
      .map(([name, value]) => ` ${name} ${value}`);
    return `SQLSTATE ${code}${named.join(',')}`;
  }
  return (
    error.message
      .slice(0, 2_000)
      // The name of a property that was missing is the program's own.
      .replaceAll(/(reading '\w{1,60}')|(["'`])(?:(?!\2).)*(?:\2|$)/gs, (_quoted, own?: string) => own ?? '…')
      .replaceAll(/\S+@\S+/g, '…')
      .replaceAll(/[\w+/=.~-]{40,}/g, '…')
      .replaceAll(/\s+/g, ' ')
      .slice(0, 300)
  );
}
