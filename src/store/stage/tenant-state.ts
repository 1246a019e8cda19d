// All that a cycle decides by at its begin, read in one statement.
import type { Stream } from '../../rules/streams.ts';
import type { Settings, SettingsDocument } from '../../settings/settings.ts';
import { type StreamFailures, streamFailures } from '../cycle/stream-failures.ts';
import { type Database, rows } from '../database/pool.ts';
import { resolveStored, type StoredVersion } from '../settings/versions.ts';
import { tenantGone } from '../tenants/tenants.ts';
import { type Checkpoint, checkpointColumns, type Round, roundColumns } from './rounds.ts';

/** A round with its age by the database's clock, and the time when it began. */
export type OpenRound = Round & { readonly age_ms: number; readonly begun_at: string };

export type StreamInputs = {
  readonly checkpoint: Checkpoint | undefined;
  /** The open round, never a dry run's; of two the full one. */
  readonly open: OpenRound | undefined;
  /** The open later round beside it. */
  readonly beside: OpenRound | undefined;
  readonly failures: StreamFailures;
  /** Absences are held that another full round can confirm or lift (rule 10). */
  readonly wantsFull: boolean;
};

export type TenantState = {
  readonly status: string;
  readonly name: string;
  readonly streams: Readonly<Record<Stream, StreamInputs>>;
  /** Returns the settings in force. Throws if they do not fit together. */
  settings(defaults: SettingsDocument): Settings;
};

type Row = {
  status: string;
  name: string;
  stream: Stream;
  settings: Pick<StoredVersion, 'version' | 'document'>[];
  checkpoint: Checkpoint | null;
  open: OpenRound[];
  failures: StreamFailures;
  wants_full: boolean;
};

/** Returns the state of a tenant. Throws `unknown_name` if there is none. */
export async function readTenantState(database: Database, tenantId: string): Promise<TenantState> {
  const found = await rows<Row>(database, findState, { tenantId });
  const [first] = found;
  if (!first) throw tenantGone(tenantId);
  const of = (stream: Stream): StreamInputs => {
    const row = found.find((one) => one.stream === stream);
    const full = row?.open.find(({ kind }) => kind === 'full');
    const other = row?.open.find(({ kind }) => kind !== 'full');
    return {
      checkpoint: row?.checkpoint ?? undefined,
      open: full ?? other,
      beside: full && other,
      failures: row?.failures ?? { checkpoint: 0, round: 0 },
      wantsFull: row?.wants_full === true,
    };
  };
  return {
    status: first.status,
    name: first.name,
    streams: { users: of('users'), groups: of('groups') },
    settings: (defaults) => resolveStored(first.settings, defaults),
  };
}

/**
 * The condition that absences are held that another full round can confirm or lift: at once after the first, then
 * daily.
 */
const isFullWanted = (tenantId: string, stream: string) => `exists (
  select from (select tenant_id, list_id, reason, held_since from entra_sync.held_removals
               union all select tenant_id, list_id, 'not_seen', held_since from entra_sync.held_memberships) h
    join entra_sync.removal_lists l on l.list_id = h.list_id and l.stream = ${stream}
    join entra_sync.checkpoints c on c.tenant_id = h.tenant_id and c.stream = ${stream}
   where h.tenant_id = ${tenantId} and h.reason = 'not_seen'
     and (c.full_at <= h.held_since or c.full_at < clock_timestamp() - interval '1 day'))`;

const findState = `
select t.status, t.name, s.stream, v.settings, c.checkpoint, r.open,
       ${isFullWanted('t.tenant_id', 's.stream')} as wants_full,
       ${streamFailures('t.tenant_id', 's.stream')} as failures
  from entra_sync.tenants t
 cross join (values ('users'), ('groups')) s (stream)
 cross join lateral (
   select coalesce(jsonb_agg(jsonb_build_object('version', n.version, 'document', n.document)
                             order by n.tenant_id nulls first), '[]') as settings
     from (select distinct on (tenant_id) tenant_id, version, document from entra_sync.settings
            where tenant_id is null or tenant_id = t.tenant_id order by tenant_id, version desc) n) v
  left join lateral (
    select to_jsonb(f) as checkpoint from (
      select ${checkpointColumns} from entra_sync.checkpoints
       where tenant_id = t.tenant_id and stream = s.stream) f) c on true
  cross join lateral (
    select coalesce(jsonb_agg(to_jsonb(f) || jsonb_build_object('round_id', f.round_id::text)), '[]') as open from (
      select ${roundColumns}, (extract(epoch from clock_timestamp() - started_at) * 1000)::float8 as age_ms,
             started_at as begun_at
        from entra_sync.rounds
       where tenant_id = t.tenant_id and stream = s.stream and not dry_run) f) r
 where t.tenant_id = :tenantId`;
