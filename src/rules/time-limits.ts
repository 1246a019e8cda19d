// Judges the server's time limits for our sessions: whether they end cycles, where each is set, and its cure.

export type TimeLimit = {
  readonly name: string;
  /** The server's notation: `40ms`. */
  readonly value: string;
  /** 0: no limit. */
  readonly ms: number;
  /** `source` of pg_settings. */
  readonly source: string;
  /** The statement that lifts it for the session's role in this database. */
  readonly lift: string;
};

export type LimitsJudgement = {
  /** `fatal`: hardly any cycle succeeds. `short`: cycles of large tenants may fail. */
  readonly state: 'fine' | 'short' | 'fatal';
  readonly says: string;
  readonly cure: string | undefined;
};

/** Sufficient values, in milliseconds. The time of a cycle's statement grows with its tenant. */
const enoughMs: Readonly<Record<string, number>> = {
  statement_timeout: 600_000,
  transaction_timeout: 600_000,
  idle_in_transaction_session_timeout: 10_000,
};

/** The names of the judged settings. */
export const judgedLimits: readonly string[] = Object.keys(enoughMs);

const fatalMs = 1_000;

const ended: Readonly<Record<string, string>> = {
  statement_timeout: 'statements that take longer are ended',
  transaction_timeout: 'transactions that take longer are ended',
  idle_in_transaction_session_timeout: 'transactions that pause longer are ended',
};

/** Judges the limits of new sessions. They apply to cycles; migrations lift them. */
export function judgeLimits(limits: readonly TimeLimit[]): LimitsJudgement {
  const short = limits.filter(({ name, ms }) => ms > 0 && ms < (enoughMs[name] ?? 0));
  if (short.length === 0)
    return { state: 'fine', says: 'the server gives a cycle the time that it needs', cure: undefined };
  return {
    state: short.some(({ ms }) => ms < fatalMs) ? 'fatal' : 'short',
    says: short
      .map(({ name, value, source }) => `${name} is ${value}, set ${placeOf(source)}: ${ended[name] ?? ''}`)
      .join('; '),
    cure: short.map(cureOf).join('; '),
  };
}

const places: Readonly<Record<string, string>> = {
  user: 'for the role',
  database: 'for the database',
  'database user': 'for the role in this database',
  global: 'for all roles',
  client: 'by DATABASE_URL, PGOPTIONS or a pooler in between',
  // Not by us: a new session sets none of them.
  session: 'by a pooler in between',
};

const placeOf = (source: string) => places[source] ?? 'for the server';

// A role's setting for one database overrides every other setting on the server.
function cureOf({ name, source, lift }: TimeLimit): string {
  if (source === 'client') return `take ${name} out of DATABASE_URL, PGOPTIONS or the configuration of the pooler`;
  if (source === 'session') return `take ${name} out of the configuration of the pooler`;
  return lift;
}
