// The planner's statistics and settings around a commit.
import type { CommitCounts } from '../../rules/counts.ts';
import { type Stream, tableOf } from '../../rules/streams.ts';
import { type Database, rows } from '../database/pool.ts';
import type { Round } from './rounds.ts';

const largeStage = 2_000;

// Told of several thousand rows, the planner scans whole tables instead of looking up rows. Measured with 7,000 of
// 100,000 users: five scans of all accounts.
const largeLaterStage = 20_000;

/** Rows per stage when its statistics were last made. */
export type StageSizes = Readonly<Record<string, number>>;

// Without columns of documents, which take longest to sort.
const plannedBy = {
  stage_users: 'round_id, entra_object_id, removed, in_scope',
  stage_groups: 'round_id, entra_object_id, removed',
  stage_members: 'round_id, group_object_id, member_object_id, removed',
  stage_slices: 'round_id, group_object_id',
};

// Measured: without statistics a large stage counts as empty, and the commit takes six times as long. Statistics are
// not worth a wait, so a locked table is skipped.
/** Updates the statistics of large stages that have grown. Returns the new sizes. */
export async function analyzeStage(
  database: Database,
  round: Pick<Round, 'round_id' | 'kind'>,
  before: StageSizes = {},
): Promise<StageSizes> {
  const [sizes] = await rows<StageSizes>(
    database,
    `select ${Object.keys(plannedBy)
      .map((stage) => `(select count(*)::int from entra_sync.${stage} where round_id = :roundId) as ${stage}`)
      .join(', ')}`,
    { roundId: round.round_id },
  );
  const large = round.kind === 'incremental' ? largeLaterStage : largeStage;
  const after: Record<string, number> = { ...before };
  for (const [stage, columns] of Object.entries(plannedBy)) {
    const size = sizes?.[stage] ?? 0;
    if (size <= large || size < 2 * (before[stage] ?? 0)) continue;
    await database.raw(`analyze (skip_locked) entra_sync.${stage} (${columns})`);
    after[stage] = size;
  }
  return after;
}

// A row of member_groups holds about ten memberships.
const partThatCounts: Readonly<Record<string, number>> = {
  accounts: 0.1,
  groups: 0.1,
  member_groups: 1,
  effective_members: 0.1,
};

// Else the planner plans for the empty tables of a new tenant.
/** Updates the statistics of tables of which a commit wrote a large part, and notes which tenants are large. */
export async function analyzeTables(database: Database, stream: Stream, counts: CommitCounts): Promise<void> {
  const objects = counts.created + counts.updated + counts.restored + counts.removed;
  const written = {
    [tableOf[stream]]: objects,
    member_groups: counts.memberships_added + counts.memberships_removed,
    effective_members: counts.memberships_added + counts.memberships_removed,
  };
  const large = Object.entries(written).filter(([, size]) => size > largeStage);
  if (large.length === 0) return;
  const known = await rows<{ table: string; size: number }>(
    database,
    `select relname as table, reltuples::float8 as size from pg_class
      where relnamespace = 'entra_sync'::regnamespace and relname = any(:tables::text[])`,
    { tables: large.map(([table]) => table) },
  );
  for (const [table, size] of large) {
    const before = known.find((one) => one.table === table)?.size ?? 0;
    if (size >= (partThatCounts[table] ?? 0) * before)
      await database.raw(`analyze (skip_locked) entra_sync.${table} ${analyzedColumns[table] ?? ''}`);
  }
  await noteLargeTenants(database);
}

/** Notes, by the planner's statistics, the tenants whose memberships the views read whole (rule 39). */
export async function noteLargeTenants(database: Database): Promise<void> {
  await database.raw('select entra_sync.note_large_tenants()');
}

const analyzedColumns: Readonly<Record<string, string>> = {
  accounts: '(tenant_id, entra_object_id, state, enabled, removed_at, removed_reason, purge_at, suspended_at)',
  member_groups: '(tenant_id, member_object_id)',
};

/**
 * Settings for statements over a whole tenant: compiling a statement that runs once never pays, and the sets of a full
 * round fit in this much memory. A larger setting stays.
 */
export const planForAll = `
select set_config('jit', 'off', true),
       case when pg_size_bytes(current_setting('work_mem')) < pg_size_bytes('64MB')
            then set_config('work_mem', '64MB', true) end`;

/**
 * Settings for a later round, whose statements look up rows. The flag keeps an open full round ({@link
 * doubtWhatIsOlder} updates it), which a trigger drops at a commit of the previous release (migrations/0034).
 */
export const planForFew = `
select set_config('jit', 'off', true), set_config('entra_sync.keeps_full_round', 'on', true),
       case when current_setting('random_page_cost')::float8 > 1.1
            then set_config('random_page_cost', '1.1', true) end`;
