// The commit of a users round: one transaction, a handful of statements over whole sets (rules 1 to 4, 6, 7, 12, 19).
import { ExpectedError } from '../errors.ts';
import { type Lease, requireFence } from './lease.ts';
import { type Database, inTransaction, isConnectionLost, rowCount, rows, type Transaction } from './pool.ts';
import type { Round } from './rounds.ts';
import { settingsVersion } from './settings.ts';
import { lockTenant } from './tenants.ts';

export type CommitCounts = {
  distinct: number;
  created: number;
  updated: number;
  suspended: number;
  resumed: number;
  removed: number;
  restored: number;
  purged: number;
  set_aside: number;
};

export type ChangeSample = { kind: string; account_id: string; before: unknown; after: unknown };

export type CommitResult = { counts: CommitCounts; sample: ChangeSample[] };

export type CommitOptions = {
  round: Round;
  cycleId: string | null;
  actor: string;
  retentionMs: number;
  dryRun: boolean;
};

type Scope = {
  tenant: string;
  round: string;
  full: boolean;
  batch: string;
  cycle: string | null;
  actor: string;
  retentionMs: number;
};

/**
 * Makes the staged round the truth and moves the checkpoint, in one transaction. A dry run is the same transaction,
 * rolled back. When the answer to COMMIT is lost, the checkpoint tells whether it happened before anything is said.
 */
export async function commitUsers(database: Database, lease: Lease, options: CommitOptions): Promise<CommitResult> {
  await analyzeStage(database, options.round.round_id);
  let result: CommitResult | undefined;
  try {
    await inTransaction(database, async (transaction) => {
      result = undefined;
      const done = await applyRound(transaction, lease, options);
      result = done;
      if (options.dryRun) throw new Rehearsed(done);
    });
  } catch (error) {
    if (error instanceof Rehearsed) return error.result;
    if (!result || !isConnectionLost(error) || !(await wasCommitted(database, lease.tenantId, options.round.round_id)))
      throw error;
  }
  if (!result) throw new Error('the commit returned nothing');
  return result;
}

class Rehearsed extends Error {
  readonly result: CommitResult;
  constructor(result: CommitResult) {
    super('rolled back');
    this.result = result;
  }
}

async function wasCommitted(database: Database, tenantId: string, roundId: string): Promise<boolean> {
  const found = await rows(
    database,
    "select from entra_sync.checkpoints where tenant_id = :tenantId and stream = 'users' and round_id = :roundId",
    { tenantId, roundId },
  );
  return found.length > 0;
}

// Measured: without statistics the planner takes a large stage for empty, and the commit takes six times as long.
async function analyzeStage(database: Database, roundId: string): Promise<void> {
  const [size] = await rows<{ large: boolean }>(
    database,
    'select count(*) > 2000 as large from (select from entra_sync.stage_users where round_id = :roundId limit 2001) s',
    { roundId },
  );
  if (size?.large) await database.raw('analyze entra_sync.stage_users');
}

async function applyRound(transaction: Transaction, lease: Lease, options: CommitOptions): Promise<CommitResult> {
  const { round } = options;
  await lockTenant(transaction, lease.tenantId);
  await requireFence(transaction, lease);
  await requireWholeRound(transaction, round);
  await requireSettings(transaction, lease.tenantId, round);
  const [next] = await rows<{ batch: string }>(
    transaction,
    "select nextval(pg_get_serial_sequence('entra_sync.batches', 'batch_id')) as batch",
  );
  const scope: Scope = {
    tenant: lease.tenantId,
    round: round.round_id,
    full: round.kind === 'full',
    batch: next?.batch ?? '0',
    cycle: options.cycleId,
    actor: options.actor,
    retentionMs: options.retentionMs,
  };
  await transaction.raw(lockTouched, scope);
  const updates = await rows<{ kind: string; count: number }>(transaction, updateChanged, scope);
  const count = (kind: string) => updates.find((row) => row.kind === kind)?.count ?? 0;
  const counts: CommitCounts = {
    distinct:
      (
        await rows<{ count: number }>(
          transaction,
          'select count(*)::int as count from entra_sync.stage_users where round_id = :round',
          scope,
        )
      )[0]?.count ?? 0,
    updated: count('account.updated'),
    suspended: count('account.suspended'),
    resumed: count('account.resumed'),
    restored: await rowCount(transaction, restore, scope),
    created: await rowCount(transaction, create, scope),
    removed: await rowCount(transaction, remove, scope),
    purged: 0,
    set_aside: 0,
  };
  await transaction.raw(hardenTombstones, scope);
  counts.purged = await purge(transaction, scope);
  counts.set_aside = await keepSetAside(transaction, scope);
  await transaction.raw(moveCheckpoint, { ...scope });
  const sample = options.dryRun ? await rows<ChangeSample>(transaction, sampleChanges, scope) : [];
  await transaction.raw(closeBatch, scope);
  await transaction.raw('delete from entra_sync.rounds where round_id = :round', scope);
  return { counts, sample };
}

async function requireWholeRound(transaction: Transaction, round: Round): Promise<void> {
  const [state] = await rows<{ pages: number; staged: number; done: boolean; doubtful: number }>(
    transaction,
    `select r.pages, r.delta_link is not null as done,
            (select count(*)::int from entra_sync.stage_pages p where p.round_id = r.round_id) as staged,
            (select count(*)::int from entra_sync.stage_users s where s.round_id = r.round_id and s.doubt is not null) as doubtful
       from entra_sync.rounds r where r.round_id = :roundId for update`,
    { roundId: round.round_id },
  );
  if (!state?.done || state.pages !== state.staged || state.pages !== round.pages || state.doubtful > 0) {
    throw new ExpectedError('round_changed', 'the stage of this round is not whole', {
      cure: 'run the command again: the round begins anew',
    });
  }
}

// A round belongs to one settings version (rule 17); the tenant's row is locked, so no other can come into force now.
async function requireSettings(transaction: Transaction, tenantId: string, round: Round): Promise<void> {
  if ((await settingsVersion(transaction, tenantId)) === round.settings_version) return;
  throw new ExpectedError('round_changed', 'the settings changed while this round was read', {
    cure: 'run the command again: the round begins anew',
  });
}

// What of an account the directory owns, and whether a staged document says anything else.
const differs = `(a.source, a.mapped, a.user_principal_name, a.mail, a.enabled)
  is distinct from (s.source, s.mapped, s.user_principal_name, s.mail, s.enabled)`;

const staged = `entra_sync.stage_users s
  join entra_sync.accounts a on a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id and a.state = 'managed'`;

// Live accounts that a full round did not meet. What was set aside was met: a body that cannot be read removes nobody.
const notSeen = `entra_sync.accounts a
 where :full::boolean and a.tenant_id = :tenant and a.state = 'managed' and a.removed_at is null and a.entra_object_id is not null
   and not exists (select from entra_sync.stage_users s where s.round_id = :round and s.entra_object_id = a.entra_object_id)
   and not exists (select from entra_sync.stage_set_aside p where p.round_id = :round and p.object_key = a.entra_object_id::text)`;

// Past the retention and, for all that is known, still absent: what came back with a bad body is there.
const toPurge = `entra_sync.accounts a
 where a.tenant_id = :tenant and a.removed_at is not null and a.purge_at <= now()
   and not exists (select from entra_sync.stage_set_aside p where p.round_id = :round and p.object_key = a.entra_object_id::text)`;

// In id order, so that two writers cannot wait for each other; before and after are computed by later statements.
const lockTouched = `
select from entra_sync.accounts where account_id in (
  select a.account_id from ${staged}
   where s.round_id = :round and case when s.removed is null then a.removed_at is not null or ${differs} else a.removed_at is null end
  union all
  select a.account_id from ${notSeen}
  union all
  select a.account_id from ${toPurge}
) order by account_id for update`;

const updateChanged = `
with pair as materialized (
  select a.account_id, entra_sync.account_facts(a) as old_facts, s.*
    from ${staged}
   where s.round_id = :round and s.removed is null and a.removed_at is null and ${differs}
), written as (
  update entra_sync.accounts a
     set source = p.source, mapped = p.mapped, user_principal_name = p.user_principal_name, mail = p.mail, enabled = p.enabled,
         updated_at = case when (a.mapped, a.user_principal_name, a.mail, a.enabled)
                       is distinct from (p.mapped, p.user_principal_name, p.mail, p.enabled) then now() else a.updated_at end
    from pair p where a.account_id = p.account_id
  returning a.account_id, entra_sync.account_facts(a) as new_facts
), fact as (
  select p.account_id, entra_sync.differing_facts(p.old_facts, w.new_facts) as before,
         entra_sync.differing_facts(w.new_facts, p.old_facts) as after
    from pair p join written w using (account_id)
), change as (
  insert into entra_sync.changes (batch_id, tenant_id, cycle_id, actor, kind, account_id, before, after)
  select :batch, :tenant, :cycle, :actor, k.kind, f.account_id, k.before, k.after
    from fact f cross join lateral (values
      (case when f.after -> 'enabled' = 'false' then 'account.suspended' else 'account.resumed' end,
       jsonb_build_object('enabled', f.before -> 'enabled'), jsonb_build_object('enabled', f.after -> 'enabled'), jsonb_exists(f.after, 'enabled')),
      ('account.updated', f.before - 'enabled', f.after - 'enabled', f.after - 'enabled' <> '{}')
    ) as k (kind, before, after, applies)
   where k.applies
  returning kind
)
select kind, count(*)::int as count from change group by kind`;

const restore = `
with pair as materialized (
  select a.account_id, a.removed_reason, s.*
    from ${staged}
   where s.round_id = :round and s.removed is null and a.removed_at is not null
), written as (
  update entra_sync.accounts a
     set source = p.source, mapped = p.mapped, user_principal_name = p.user_principal_name, mail = p.mail, enabled = p.enabled,
         removed_at = null, removed_reason = null, purge_at = null, updated_at = now()
    from pair p where a.account_id = p.account_id
  returning a.account_id, entra_sync.account_facts(a) as new_facts
)
insert into entra_sync.changes (batch_id, tenant_id, cycle_id, actor, kind, account_id, before, after)
select :batch, :tenant, :cycle, :actor, 'account.restored', account_id, jsonb_build_object('removed', p.removed_reason), w.new_facts
  from pair p join written w using (account_id)`;

const create = `
with written as (
  insert into entra_sync.accounts (tenant_id, entra_object_id, state, enabled, user_principal_name, mail, source, mapped)
  select :tenant, s.entra_object_id, 'managed', s.enabled, s.user_principal_name, s.mail, s.source, s.mapped
    from entra_sync.stage_users s
   where s.round_id = :round and s.removed is null
     and not exists (select from entra_sync.accounts a where a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id)
  returning account_id, entra_object_id, state, enabled, user_principal_name, mail, profile
)
insert into entra_sync.changes (batch_id, tenant_id, cycle_id, actor, kind, account_id, after)
select :batch, :tenant, :cycle, :actor, 'account.created', account_id,
       jsonb_build_object('entra_object_id', entra_object_id, 'state', state, 'enabled', enabled,
         'user_principal_name', user_principal_name, 'mail', mail, 'profile', profile)
  from written`;

const remove = `
with gone as (
  select a.account_id, s.removed as reason from ${staged}
   where s.round_id = :round and s.removed is not null and a.removed_at is null
  union all
  select a.account_id, 'not_seen' from ${notSeen}
), written as (
  update entra_sync.accounts a
     set removed_at = now(), removed_reason = g.reason, purge_at = now() + :retentionMs * interval '1 millisecond', updated_at = now()
    from gone g where a.account_id = g.account_id
  returning a.account_id, a.removed_reason
)
insert into entra_sync.changes (batch_id, tenant_id, cycle_id, actor, kind, account_id, after)
select :batch, :tenant, :cycle, :actor, 'account.removed', account_id, jsonb_build_object('removed', removed_reason)
  from written`;

// Restorable until now, deleted for good now: nothing visible changes but the reason.
const hardenTombstones = `
update entra_sync.accounts a set removed_reason = 'deleted'
  from entra_sync.stage_users s
 where s.round_id = :round and s.removed = 'deleted' and a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id
   and a.removed_reason in ('deleted_restorable', 'not_seen')`;

/** Erases who is past the retention and still absent after this round: the row goes, its values are blanked elsewhere. */
async function purge(transaction: Transaction, scope: Scope): Promise<number> {
  const gone = await rows<{ account_id: string; entra_object_id: string | null }>(
    transaction,
    `delete from ${toPurge} returning a.account_id, a.entra_object_id`,
    scope,
  );
  if (gone.length === 0) return 0;
  const ids = gone.map((row) => row.account_id);
  await transaction.raw(
    'update entra_sync.changes set before = null, after = null where tenant_id = :tenant and account_id = any(:ids::uuid[])',
    { ...scope, ids },
  );
  await transaction.raw(
    "delete from entra_sync.set_aside where tenant_id = :tenant and stream = 'users' and object_key = any(:objects::text[])",
    { ...scope, objects: gone.flatMap((row) => row.entra_object_id ?? []) },
  );
  return rowCount(
    transaction,
    `insert into entra_sync.changes (batch_id, tenant_id, cycle_id, actor, kind, account_id)
     select :batch, :tenant, :cycle, :actor, 'account.purged', id from unnest(:ids::uuid[]) as id`,
    { ...scope, ids },
  );
}

/** Keeps what could not be taken, lets go of what could be taken now, and returns how many this round set aside. */
async function keepSetAside(transaction: Transaction, scope: Scope): Promise<number> {
  const kept = await rowCount(
    transaction,
    `insert into entra_sync.set_aside (tenant_id, stream, object_key, reason)
     select :tenant, 'users', p.object_key, p.reason from entra_sync.stage_set_aside p where p.round_id = :round
     on conflict (tenant_id, stream, object_key) do update set reason = excluded.reason, last_seen_at = now()`,
    scope,
  );
  // A full round has met everything there is, so what it did not set aside is no longer.
  await transaction.raw(
    `delete from entra_sync.set_aside a
      where a.tenant_id = :tenant and a.stream = 'users'
        and not exists (select from entra_sync.stage_set_aside p where p.round_id = :round and p.object_key = a.object_key)
        and (:full::boolean or exists (select from entra_sync.stage_users s where s.round_id = :round and s.entra_object_id::text = a.object_key))`,
    scope,
  );
  return kept;
}

const moveCheckpoint = `
insert into entra_sync.checkpoints (tenant_id, stream, delta_link, fingerprint, settings_version, round_id, committed_at, full_at)
select r.tenant_id, r.stream, r.delta_link, r.fingerprint, r.settings_version, r.round_id, now(), now()
  from entra_sync.rounds r where r.round_id = :round
on conflict (tenant_id, stream) do update
   set delta_link = excluded.delta_link, fingerprint = excluded.fingerprint, settings_version = excluded.settings_version,
       round_id = excluded.round_id, committed_at = excluded.committed_at,
       full_at = case when :full::boolean then excluded.full_at else entra_sync.checkpoints.full_at end`;

const sampleChanges = `
select kind, account_id, before, after from entra_sync.changes where batch_id = :batch order by change_id limit 1000`;

const closeBatch = `
insert into entra_sync.batches (batch_id, tenant_id)
select :batch, :tenant where exists (select from entra_sync.changes where batch_id = :batch)`;
