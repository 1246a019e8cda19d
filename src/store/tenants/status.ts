// Reads the state of tenants: counts, checkpoints, cycles, objects set aside.
import type { Stream } from '../../rules/streams.ts';
import { type Database, rows } from '../database/pool.ts';
import { intervalOf, naturally } from '../database/vocabulary.ts';
import type { TenantRow } from './tenants.ts';

/** A tenant's state with the number of its accounts, for which all of them are read. */
export type TenantStatus = TenantState & { accounts: number; suspended: number; removed: number };

export type TenantState = TenantRow & {
  running: boolean;
  /** As `failing` and `stale` of {@link statusFilters}. */
  failing: boolean;
  stale: boolean;
  last_outcome: string | null;
  last_kind: string | null;
  last_finished_at: Date | null;
  /** Also that of the database, which does not become the tenant's error. */
  last_cycle_error_code: string | null;
  last_cycle_error_message: string | null;
  /** Failures in a row of the tenant itself; three put it in quarantine. */
  failures: number;
  /** When a worker erases the tenant, which is disconnected; null if none will. */
  erase_at: Date | null;
  /** The number of paths to nested members where these are not kept (rule 30); null where all are. */
  nested_left_out: string | null;
  /** The application permissions of the last access token; null before the first that was noted. */
  permissions: string[] | null;
  /** When a token first showed exactly these. */
  permissions_since: Date | null;
  /** The kind of credential that the token was got with: secret, certificate, federated or managed_identity. */
  credential_kind: string | null;
  /** When its certificate ends; null for every other kind, which does not tell. */
  credential_ends_at: Date | null;
  /** Pages that open full rounds have read, for provisional tenants. */
  first_round_pages: number;
  /** Streams whose round, committed by the last cycle, an earlier cycle had begun: when. */
  older_rounds: Partial<Record<Stream, string>>;
  /** How far the first load is; null unless the tenant is provisional. */
  first_load: Record<Stream, FirstLoadState> | null;
};

/** How far one stream of a provisional tenant is. */
export type FirstLoadState = {
  /** Its first full round is committed. */
  readonly done: boolean;
  /** Its listing is under way, and nothing of it is shown. */
  readonly listing: boolean;
  /** Listed groups whose members are not all read. */
  readonly lists_left: number;
  /** Users, or groups, are shown. */
  readonly shown: boolean;
  /** Objects and member lists that the last listing could not read. */
  readonly unread: number;
  /** Pages that its open full round has read. */
  readonly pages: number;
};

/**
 * Filters of `status --only`. `failing`: the last cycle failed in some stream or was cut off, or the tenant is in
 * quarantine. `held`: removals wait for a person. `stale`: connected, not paused, and for more than two intervals
 * without a success.
 */
export const statusFilters = ['failing', 'held', 'stale'] as const;

export type StatusFilter = (typeof statusFilters)[number];

// A process that ended may have committed both streams and only not closed the row.
const leftOpen = "(c.outcome = 'running' and not coalesce(h.alive, false))";
const wholeCommitted = `((c.streams #>> '{users,outcome}' = 'committed'
            and c.streams #>> '{groups,outcome}' = 'committed') is true)`;

/** The SQL condition of each filter, over directory.tenants as `t` and {@link lastCycle}. */
export const isOf: Readonly<Record<StatusFilter, string>> = {
  failing: `t.status <> 'disconnected' and (t.status = 'quarantined' or c.outcome in ('failed', 'partial')
            or (${leftOpen} and not ${wholeCommitted}))`,
  held: 't.held_removals > 0',
  stale: `t.status <> 'disconnected' and not t.paused and
          coalesce(t.last_success_at, (select added_at from entra_sync.tenants n where n.tenant_id = t.tenant_id))
          < clock_timestamp() - 2 * ${intervalOf('t.tenant_id')}`,
};

/**
 * Joins the last cycle of tenant `t` as `c`, and whether its process is alive as `h`. The view of cycles would sort all that
 * are kept of each tenant, months of them.
 */
export const lastCycle = `left join lateral (
         select outcome, streams, kind, finished_at, error_code, error_message from entra_sync.cycles
          where tenant_id = t.tenant_id and kind <> 'on_demand' order by cycle_id desc limit 1) c on true
       left join lateral (
         select expires_at > clock_timestamp() as alive from entra_sync.heartbeats
          where tenant_id = t.tenant_id) h on true`;

// An expression of FirstLoadState by stream, over an expression of the tenant.
const firstLoadOf = (tenant: string) => `
  select jsonb_object_agg(s.stream, jsonb_build_object(
    'done', exists (select from entra_sync.checkpoints c where c.tenant_id = ${tenant} and c.stream = s.stream),
    'listing', l.round_id is not null,
    'lists_left', case s.stream when 'groups' then (
      select count(*) from entra_sync.stage_groups g
        left join entra_sync.stage_lists m on m.round_id = g.round_id and m.group_object_id = g.entra_object_id
       where g.round_id = l.round_id and (m.group_object_id is null or m.next_link is not null)) else 0 end,
    'shown', case s.stream
      when 'users' then exists (select from entra_sync.accounts a
                                 where a.tenant_id = ${tenant} and a.state = 'managed' and a.removed_at is null)
      else exists (select from entra_sync.groups g where g.tenant_id = ${tenant} and g.removed_at is null) end,
    'unread', coalesce((select (y.streams -> s.stream ->> 'set_aside')::int from entra_sync.cycles y
                         where y.tenant_id = ${tenant} and y.kind = 'first_load' and y.finished_at is not null
                         order by y.cycle_id desc limit 1), 0),
    'pages', coalesce((select r.pages from entra_sync.rounds r where r.tenant_id = ${tenant}
                        and r.stream = s.stream and r.kind = 'full' and not r.dry_run), 0)))
    from (values ('users'), ('groups')) s (stream)
    left join entra_sync.rounds l on l.tenant_id = ${tenant} and l.stream = s.stream and l.kind = 'listing'`;

const countsOfAccounts = `
       left join lateral (
         select count(*) filter (where removed_at is null)::int as accounts,
                count(*) filter (where removed_at is null and not enabled)::int as suspended,
                count(*) filter (where removed_at is not null)::int as removed
           from entra_sync.accounts where tenant_id = t.tenant_id) a on true`;

/** Returns all tenants, one, or those of a filter, each with its number of accounts and last cycle. */
export async function readStatus(
  database: Database,
  tenantId: string | null,
  only: StatusFilter | null = null,
): Promise<TenantStatus[]> {
  return rows<TenantStatus>(
    database,
    selectStates(only, { columns: 'a.accounts, a.suspended, a.removed,', joins: countsOfAccounts }),
    {
      tenantId,
    },
  );
}

/** Returns the state of one tenant; undefined if it is not registered. */
export async function readState(database: Database, tenantId: string): Promise<TenantState | undefined> {
  const [tenant] = await rows<TenantState>(database, selectStates(null, { columns: '', joins: '' }), { tenantId });
  return tenant;
}

const selectStates = (only: StatusFilter | null, { columns, joins }: { columns: string; joins: string }) => `
     select t.*, ${columns} coalesce(c.outcome = 'running' and h.alive, false) as running,
            (${isOf.failing}) is true as failing, (${isOf.stale}) is true as stale,
            case when not ${leftOpen} then c.outcome
                 when not ${wholeCommitted} then 'cut off'
                 when t.held_removals > 0 then 'held'
                 else 'committed' end as last_outcome,
            c.kind as last_kind, c.finished_at as last_finished_at, c.error_code as last_cycle_error_code,
            c.error_message as last_cycle_error_message, p.failures, p.erase_at, p.nested_left_out,
            p.permissions, p.permissions_since, p.credential_kind, p.credential_ends_at,
            (select coalesce(sum(r.pages), 0)::int from entra_sync.rounds r
              where r.tenant_id = t.tenant_id and r.kind = 'full' and not r.dry_run) as first_round_pages,
            coalesce((select jsonb_object_agg(s.key, s.value ->> 'begun_at') from jsonb_each(c.streams) s
                       where s.value ->> 'outcome' = 'committed' and jsonb_exists(s.value, 'begun_at')), '{}')
              as older_rounds,
            case when t.provisional then (${firstLoadOf('t.tenant_id')}) end as first_load
       from directory.tenants t
       join entra_sync.tenants p on p.tenant_id = t.tenant_id ${joins}
       ${lastCycle}
      where (:tenantId::uuid is null or t.tenant_id = :tenantId) and ${only === null ? 'true' : isOf[only]}
      order by ${naturally('t.name')}, t.tenant_id`;

export type StreamState = { stream: string; committed_at: Date; full_at: Date; open_pages: number | null };

/** Returns a tenant's checkpoints, with the pages of an open round. */
export async function readStreams(database: Database, tenantId: string): Promise<StreamState[]> {
  return rows<StreamState>(
    database,
    `select stream, c.committed_at, c.full_at, r.pages as open_pages
       from entra_sync.checkpoints c
       full join (select stream, max(pages) as pages, tenant_id from entra_sync.rounds
                   where tenant_id = :tenantId and not dry_run group by tenant_id, stream) r using (tenant_id, stream)
      where tenant_id = :tenantId order by stream`,
    { tenantId },
  );
}

export type CycleRow = {
  cycle_id: string;
  kind: string;
  started_at: Date;
  finished_at: Date | null;
  outcome: string;
  streams: Record<string, Record<string, unknown>>;
  error_message: string | null;
};

/** Returns a tenant's newest cycles, without on-demand reads. */
export async function readCycles(database: Database, tenantId: string, limit: number): Promise<CycleRow[]> {
  return rows<CycleRow>(
    database,
    `select cycle_id, kind, started_at, finished_at, outcome, streams, error_message
       from entra_sync.cycles where tenant_id = :tenantId and kind <> 'on_demand' order by cycle_id desc limit :limit`,
    { tenantId, limit },
  );
}

/** Returns a cycle by its number, with its tenant; undefined if it is not kept. */
export async function readCycle(
  database: Database,
  cycleId: string,
): Promise<(CycleRow & { tenant_id: string; tenant_name: string }) | undefined> {
  const [cycle] = await rows<CycleRow & { tenant_id: string; tenant_name: string }>(
    database,
    `select c.cycle_id, c.kind, c.started_at, c.finished_at, c.outcome, c.streams, c.error_message, c.tenant_id,
            t.name as tenant_name
       from directory.cycles c join entra_sync.tenants t using (tenant_id) where c.cycle_id = :cycleId`,
    { cycleId },
  );
  return cycle;
}

export type SetAsideRow = {
  tenant_id: string;
  stream: string;
  entra_object_id: string;
  reason: string;
  first_seen_at: Date;
  last_seen_at: Date;
};

/** Returns what is set aside (rule 19), of one tenant or all. */
export async function readSetAside(database: Database, tenantId: string | null): Promise<SetAsideRow[]> {
  return rows<SetAsideRow>(
    database,
    `select * from directory.set_aside where :tenantId::uuid is null or tenant_id = :tenantId
      order by tenant_id, stream, last_seen_at desc, entra_object_id`,
    { tenantId },
  );
}

export type AccountRow = {
  account_id: string;
  entra_object_id: string | null;
  state: string;
  enabled: boolean;
  user_principal_name: string | null;
  display_name: string | null;
  profile: Record<string, unknown>;
};

/** Returns the live account of an object, as in directory.accounts. */
export async function readAccount(
  database: Database,
  tenantId: string,
  entraObjectId: string,
): Promise<AccountRow | undefined> {
  const [account] = await rows<AccountRow>(
    database,
    `select account_id, entra_object_id, state, enabled, user_principal_name, display_name, profile
       from directory.accounts where tenant_id = :tenantId and entra_object_id = :entraObjectId`,
    { tenantId, entraObjectId },
  );
  return account;
}

export type NamedGroup = { entra_object_id: string; name: string };

/** Returns live groups of a tenant by display name, ignoring case. */
export async function groupsByName(
  database: Database,
  tenantId: string,
  names: readonly string[],
): Promise<NamedGroup[]> {
  return rows<NamedGroup>(
    database,
    `select g.entra_object_id, n.name
       from unnest(:names::text[]) as n (name)
       join directory.groups g
         on g.tenant_id = :tenantId and entra_sync.folded(g.display_name) = entra_sync.folded(n.name)
      order by 1`,
    { tenantId, names },
  );
}

/** Returns the groups among these object ids that are open to all, or that fill themselves. */
export async function openGroups(
  database: Database,
  tenantId: string,
  ids: readonly string[],
): Promise<(NamedGroup & { dynamic: boolean })[]> {
  return rows<NamedGroup & { dynamic: boolean }>(
    database,
    `select g.entra_object_id, coalesce(g.display_name, '') as name, g.is_dynamic as dynamic
       from entra_sync.groups g
      where g.tenant_id = :tenantId and g.entra_object_id = any(:ids::uuid[])
        and (g.is_dynamic or lower(g.source ->> 'visibility') = 'public') order by 2, 1`,
    { tenantId, ids },
  );
}
