// Limits on time that a server sets for the sessions of this program: which of them ends cycles, where it is set, its cure.

export type TimeLimit = {
  readonly name: string;
  /** As the server shows it: `40ms`. */
  readonly value: string;
  /** 0: there is none. */
  readonly ms: number;
  /** `source` of pg_settings. */
  readonly source: string;
  /** The statement that lifts it for the role of this session in this database. */
  readonly lift: string;
};

export type LimitsJudgement = {
  /** `fatal`: hardly a cycle ends well. `short`: those of large tenants may not. */
  readonly state: 'fine' | 'short' | 'fatal';
  readonly says: string;
  readonly cure: string | undefined;
};

/** Values that {@link judgeLimits} asks for, in milliseconds. A statement of a cycle grows with its tenant. */
const enoughMs: Readonly<Record<string, number>> = {
  statement_timeout: 600_000,
  transaction_timeout: 600_000,
  idle_in_transaction_session_timeout: 10_000,
};

/** The settings that are judged. */
export const judgedLimits: readonly string[] = Object.keys(enoughMs);

const fatalMs = 1_000;

const ended: Readonly<Record<string, string>> = {
  statement_timeout: 'statements that take longer are ended',
  transaction_timeout: 'transactions that take longer are ended',
  idle_in_transaction_session_timeout: 'transactions that pause longer are ended',
};

/** Judges the limits that hold for new sessions. A cycle obeys them; migrations lift them. */
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
  // A session that this program has just begun sets none of them.
  session: 'by a pooler in between',
};

const placeOf = (source: string) => places[source] ?? 'for the server';

// What a role has in one database goes before all that is set elsewhere on the server.
function cureOf({ name, source, lift }: TimeLimit): string {
  if (source === 'client') return `take ${name} out of DATABASE_URL, PGOPTIONS or the configuration of the pooler`;
  if (source === 'session') return `take ${name} out of the configuration of the pooler`;
  return lift;
}
