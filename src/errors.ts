// Expected errors: each is one line with its cure. Anything else that is thrown is a defect.

/** The codes of expected errors, each with the exit code of the command line (docs/commands.md, "Exit codes"). */
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
  proxy_refused: 5,
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
 * An error that a person can act on, shown as one line. `message` says what happened, `cure` names the command or
 * setting that helps, `detail` (`--verbose`) has the rest, and `list` the items that the message only counts. None of
 * them may hold a secret, a token or a personal value (rule 18).
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

/** Returns the error for a round whose links never end (rule 14). */
export function roundEndless(why: string): ExpectedError {
  return new ExpectedError('round_endless', `the links of this round form a loop: ${why}`, {
    cure: 'nothing was changed; run the command again, which restarts the round, or entra-sync resync if that fails too',
  });
}

/** Returns the exit code for any thrown error: 1 for a defect. */
export function exitCodeOf(error: unknown): number {
  return error instanceof ExpectedError ? exitCodes[error.code] : 1;
}

/** Returns the error's code for `cycles.error_code`: `defect` for an unexpected error. */
export function errorCodeOf(error: unknown): string {
  return error instanceof ExpectedError ? error.code : 'defect';
}

/**
 * Describes a defect for a bug report: its kind, the safe part of its message, and its stack. Messages of the database
 * and of JSON.parse quote values, which may be personal (rule 18), so only codes and schema names are kept, and quotes
 * are cut.
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
    withoutPassword(error.message.slice(0, 2_000))
      // The name of a missing property is our own.
      .replaceAll(/(reading '\w{1,60}')|(["'`])(?:(?!\2).)*(?:\2|$)/gs, (_quoted, own?: string) => own ?? '…')
      .replaceAll(/\S+@\S+/g, '…')
      .replaceAll(/[\w+/=.~-]{40,}/g, '…')
      .replaceAll(/\s+/g, ' ')
      .slice(0, 300)
  );
}

// From the word with the first colon to the last @: a password may hold blanks, and more of both.
function withoutPassword(text: string): string {
  const [colon, end] = [text.indexOf(':'), text.lastIndexOf('@')];
  if (colon < 0 || end < colon) return text;
  return `${text.slice(0, colon).replace(/\S+$/, '')}…${text.slice(end).replace(/^\S+/, '')}`;
}
