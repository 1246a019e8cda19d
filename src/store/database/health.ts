// The server's state and each tenant's freshness, for `doctor` and metrics.
import { escapeIdentifier } from 'pg';
import type { ConnectionLimits } from '../../rules/connections.ts';
import { judgedLimits, type TimeLimit } from '../../rules/time-limits.ts';
import { type Blocker, findBlockers } from './blockers.ts';
import { type Database, inTransaction, isPooled, rows, sqlState } from './pool.ts';
import { rememberLimits } from './pool-sizes.ts';

export type Server = {
  readonly version: string;
  readonly major: number;
  readonly now: Date;
  readonly standby: boolean;
  /** True also on a standby. */
  readonly readOnly: boolean;
};

/** Returns the server's version, time and whether it takes writes. */
export async function readServer(database: Database): Promise<Server> {
  const [server] = await rows<Server>(
    database,
    `select current_setting('server_version') as version, current_setting('server_version_num')::int / 10000 as major,
            clock_timestamp() as now, pg_is_in_recovery() as standby,
            current_setting('transaction_read_only')::boolean as "readOnly"`,
  );
  if (!server) throw new Error('the server returned no version');
  return server;
}

/** Returns the time limits of new sessions, each with the statement that lifts it. */
export async function readTimeLimits(database: Database): Promise<TimeLimit[]> {
  // Not in a transaction: there this program sets its own limits.
  const found = await rows<Omit<TimeLimit, 'lift'> & { role: string; database: string }>(
    database,
    `select name, current_setting(name) as value,
            (extract(epoch from current_setting(name)::interval) * 1000)::float8 as ms,
            source, session_user as role, current_database() as database
       from pg_settings where name = any(:names::text[]) order by name`,
    { names: judgedLimits },
  );
  return found.map(({ role, database: of, ...limit }) => ({
    ...limit,
    lift: `alter role ${escapeIdentifier(role)} in database ${escapeIdentifier(of)} set ${limit.name} = 0`,
  }));
}

/** Returns how many connections the database grants to this role; undefined behind a pooler, which has limits of its own. */
export async function readConnectionLimits(database: Database): Promise<ConnectionLimits | undefined> {
  if (await isPooled(database)) return undefined;
  const [limits] = await rows<ConnectionLimits>(
    database,
    `select current_setting('max_connections')::int as server,
            case when r.rolsuper then 0
                 else current_setting('superuser_reserved_connections')::int
                      -- From Postgres 16 on.
                      + coalesce(current_setting('reserved_connections', true)::int, 0) end as reserved,
            case when not r.rolsuper then nullif(r.rolconnlimit, -1) end as role,
            case when not r.rolsuper then nullif(d.datconnlimit, -1) end as database
       from pg_roles r, pg_database d where r.rolname = session_user and d.datname = current_database()`,
  );
  if (limits) rememberLimits(limits);
  return limits;
}

/**
 * Writes and drops a megabyte that no other session sees. Throws the server's error, such as a full disk. Returns false
 * if the role may create no temporary tables.
 */
export async function tryWriting(database: Database): Promise<boolean> {
  try {
    await inTransaction(database, async (transaction) => {
      // Test the disk of the database, not one that is set for temporary tables.
      await transaction.raw("set local temp_tablespaces = ''");
      await transaction.raw(
        `create temp table entra_sync_room on commit drop as
           select repeat(md5(n::text), 60) as filler from generate_series(1, 500) n`,
      );
    });
    return true;
  } catch (error) {
    if (sqlState(error) === '42501') return false;
    throw error;
  }
}

/** `blockers`: the sessions that hold the lock that the backend waits for. */
export type StatementState = {
  readonly pid: number;
  readonly forLock: boolean;
  readonly blockers: readonly Blocker[];
};

const askTimeoutMs = 3_000;

/**
 * Returns which of these backends wait for a lock, and their blockers. Throws when the server does not answer in 3 s.
 */
export async function statementStates(database: Database, pids: readonly number[]): Promise<StatementState[]> {
  const late = new Promise<never>((_resolve, reject) => {
    setTimeout(() => reject(new Error('the database does not answer')), askTimeoutMs).unref();
  });
  return Promise.race([askStates(database, pids), late]);
}

async function askStates(database: Database, pids: readonly number[]): Promise<StatementState[]> {
  const found = await rows<{ pid: number; forLock: boolean }>(
    database,
    `select pid, wait_event_type is not distinct from 'Lock' as "forLock"
       from pg_stat_activity where pid = any(:pids::int[])`,
    { pids },
  );
  const states: StatementState[] = [];
  for (const one of found) {
    const blockers = one.forLock ? await rows<Blocker>(database, findBlockers.replace('$1', ':pid'), one) : [];
    states.push({ ...one, blockers });
  }
  return states;
}

export type CheckpointAge = { readonly stream: string; readonly ageMs: number };

/** Returns the ages of a tenant's checkpoints. */
export async function checkpointAges(database: Database, tenantId: string): Promise<CheckpointAge[]> {
  return rows<CheckpointAge>(
    database,
    `select stream, (extract(epoch from clock_timestamp() - committed_at) * 1000)::float8 as "ageMs"
       from entra_sync.checkpoints where tenant_id = :tenantId order by stream desc`,
    { tenantId },
  );
}

export type TenantHealth = {
  readonly tenant_id: string;
  readonly name: string;
  readonly ref: string | null;
  readonly status: string;
  readonly paused: boolean;
  readonly running: boolean;
  readonly last_success_at: Date | null;
  /** Null after a success. */
  readonly error_code: string | null;
  /** Seconds since the last success, or since the tenant was added. */
  readonly stale_s: number;
  /** 0 when not due. */
  readonly late_s: number;
  readonly held: number;
  readonly set_aside: number;
  /** A mass change was noticed, and no person has acknowledged it. */
  readonly noticed: boolean;
  /** Null before the first round is committed. */
  readonly users_age_s: number | null;
  readonly groups_age_s: number | null;
  readonly users_full_age_s: number | null;
  readonly groups_full_age_s: number | null;
};

/** Returns every tenant's health, by the database's clock. */
export async function readHealth(database: Database): Promise<TenantHealth[]> {
  return rows<TenantHealth>(
    database,
    `with now as (select clock_timestamp() as at),
     held as (
       select tenant_id, count(*)::int as held
         from (select tenant_id from entra_sync.held_removals
               union all
               select tenant_id from entra_sync.held_memberships) h
        group by 1),
     aside as (select tenant_id, count(*)::int as set_aside from entra_sync.set_aside group by 1),
     points as (
       select tenant_id,
              max(extract(epoch from at - committed_at)) filter (where stream = 'users') as users_age_s,
              max(extract(epoch from at - committed_at)) filter (where stream = 'groups') as groups_age_s,
              max(extract(epoch from at - full_at)) filter (where stream = 'users') as users_full_age_s,
              max(extract(epoch from at - full_at)) filter (where stream = 'groups') as groups_full_age_s
         from entra_sync.checkpoints, now group by 1)
     select t.tenant_id, t.name, t.external_ref as ref, t.status, t.paused,
            t.notice is not null and coalesce(t.notice_at > at - interval '7 days', false) as noticed,
            coalesce(b.expires_at > at, false) as running, t.last_success_at, t.last_error_code as error_code,
            greatest(0, extract(epoch from at - coalesce(t.last_success_at, t.added_at)))::float8 as stale_s,
            greatest(0, extract(epoch from at - t.next_cycle_at), 0)::float8 as late_s,
            coalesce(held, 0) as held, coalesce(set_aside, 0) as set_aside,
            users_age_s::float8, groups_age_s::float8, users_full_age_s::float8, groups_full_age_s::float8
       from entra_sync.tenants t cross join now
       left join held using (tenant_id)
       left join aside using (tenant_id)
       left join points using (tenant_id)
       left join entra_sync.heartbeats b using (tenant_id)
      order by t.tenant_id`,
  );
}
