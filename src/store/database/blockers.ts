// Finds and describes the sessions that hold a lock which another session waits for.
import { ExpectedError } from '../../errors.ts';

/** At the end of a chain of lock waits: holds a lock and waits for none. */
export type Blocker = {
  /** 0: a prepared transaction, which has no session. Role and age are then those of the oldest in this database. */
  readonly pid: number;
  readonly role: string | null;
  readonly application: string | null;
  /** False: another role's session, whose details only members of pg_read_all_stats see. */
  readonly visible: boolean;
  readonly transactionMs: number | null;
  /** Null while a statement runs, or when not visible. */
  readonly idleMs: number | null;
  /** A session of the current role. */
  readonly own: boolean;
};

/**
 * Finds the blockers of backend `$1`. Never reads the text of statements, which may contain personal data (rule 18).
 */
export const findBlockers = `
with recursive chain (pid) as (
  select unnest(pg_blocking_pids($1::int))
  union
  select b from chain c cross join lateral unnest(pg_blocking_pids(c.pid)) b where c.pid <> 0
)
select c.pid, coalesce(a.usename, p.owner) as role, nullif(a.application_name, '') as application,
       a.state is not null as visible,
       (extract(epoch from clock_timestamp() - coalesce(a.xact_start, p.prepared)) * 1000)::float8 as "transactionMs",
       case when a.state like 'idle%'
            then (extract(epoch from clock_timestamp() - a.state_change) * 1000)::float8 end as "idleMs",
       coalesce(a.usename = current_user, false) as own
  from chain c left join pg_stat_activity a on a.pid = c.pid
  left join lateral (select owner, prepared from pg_prepared_xacts
                      where c.pid = 0 and database = current_database() order by prepared limit 1) p on true
 where c.pid = 0 or cardinality(pg_blocking_pids(c.pid)) = 0
 order by a.xact_start nulls last, c.pid`;

/** Whether the blocker is a working writer of this program, idle for less than `freshMs`. */
export function isAtWork({ own, visible, idleMs }: Blocker, freshMs: number): boolean {
  return own && visible && (idleMs === null || idleMs < freshMs);
}

/** Describes the first blocker and counts the others. */
export function describeBlockers([first, ...others]: readonly Blocker[]): string {
  if (!first) return 'a session that could not be found';
  const more = others.length > 0 ? ` and ${others.length} more` : '';
  const { role, application, visible, transactionMs, idleMs } = first;
  if (first.pid === 0) {
    if (role === null || transactionMs === null) return `a prepared transaction${more}`;
    return `a prepared transaction (the oldest is of role ${JSON.stringify(role)}, prepared ${describeTime(transactionMs)} ago)${more}`;
  }
  const facts = [
    role === null ? 'a process of the server' : `role ${JSON.stringify(role)}`,
    application === null ? 'no application_name' : `application ${JSON.stringify(application)}`,
    ...(transactionMs === null ? [] : [`transaction open for ${describeTime(transactionMs)}`]),
    ...(idleMs === null ? [] : [`idle in transaction for ${describeTime(idleMs)}`]),
    ...(visible && idleMs === null ? ['a statement is running'] : []),
    ...(visible || role === null ? [] : ['open since a time that only members of pg_read_all_stats see']),
  ];
  return `pid ${first.pid} (${facts.join(', ')})${more}`;
}

export type LockWait = { readonly blockers: readonly Blocker[]; readonly waitedMs: number };

/** Describes a long wait in one line. */
export function describeWait({ blockers, waitedMs }: LockWait): string {
  return `a lock in the database has not been free for ${describeTime(waitedMs)} so far; it is held by ${describeHolders(blockers)}`;
}

/** Describes the holders of a lock, and the cure, as part of a line. */
export function describeHolders(blockers: readonly Blocker[]): string {
  return `${describeBlockers(blockers)} -> ${cureOf(blockers)}`;
}

/** Returns the error of a wait given up after `waitedMs`. */
export function databaseLocked(blockers: readonly Blocker[], waitedMs: number, cause: unknown): ExpectedError {
  return new ExpectedError(
    'database_locked',
    `a lock in the database was not free for ${describeTime(waitedMs)}; it is held by ${describeBlockers(blockers)}; nothing was changed`,
    { cure: `${cureOf(blockers)}, then run the command again; a worker tries again by itself`, cause },
  );
}

/** Returns the error of an unwatched wait. */
export function unwatchedLock(cause: unknown): ExpectedError {
  return new ExpectedError('database_locked', 'a lock in the database was not free within lock_timeout', {
    cure: 'find the session that holds it in pg_locks and pg_stat_activity, let it end, then run the command again',
    cause,
  });
}

/** The application_name of `migrate`. While a migration runs, the session with its lock is idle in transaction. */
export const migrating = 'entra-sync migrate';

function cureOf([first]: readonly Blocker[]): string {
  if (!first) return 'find the session in pg_locks and pg_stat_activity and end its transaction';
  if (first.pid === 0)
    return 'find its gid in pg_prepared_xacts, then, as its owner or a superuser, commit prepared or rollback prepared it';
  // A role may end its own sessions; ending others takes a superuser or pg_signal_backend.
  const who = first.own ? '' : ' as a superuser or a member of pg_signal_backend';
  const end = `end the session${who} with select pg_terminate_backend(${first.pid})`;
  const works = first.visible && (first.idleMs === null || (first.own && first.application === migrating));
  return works ? `wait until it is done, or ${end}` : `end its transaction where it was begun, or ${end}`;
}

function describeTime(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}
