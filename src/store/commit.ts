// The commit of a round: one transaction that makes what was staged the truth and moves the checkpoint (rules 1, 2, 12).

import { ExpectedError } from '../errors.ts';
import type { RemovalLimits } from '../rules/guard.ts';
import type { MatchKey } from '../rules/mapping.ts';
import type { ScopeGap } from '../rules/scope.ts';
import { closeBatch, nextBatch } from './batches.ts';
import { countReleased } from './connection.ts';
import { type Aside, forgetFaults, leavingOutFaults, setAsideStaged, unitsOfCommit } from './data-faults.ts';
import { objectOfKey } from './doubts.ts';
import { type Lease, lockFenced } from './lease.ts';
import { type Database, rowCount, rows, type Transaction } from './pool.ts';
import { inRehearsal } from './receipts.ts';
import type { Round, Stream } from './rounds.ts';
import { settingsVersion } from './settings.ts';
import { analyzeStage, analyzeTables, type StageSizes } from './statistics.ts';
import { doubtWhatIsOlder } from './stream-failures.ts';
import { tenantDisconnected } from './tenants.ts';

/** What a stream's commit did, in objects. */
export type StreamCounts = {
  distinct: number;
  created: number;
  adopted: number;
  updated: number;
  suspended: number;
  resumed: number;
  removed: number;
  restored: number;
  purged: number;
  held: number;
  memberships_added: number;
  memberships_removed: number;
  /** Groups of the scope whose members are not known: while there are any, nobody is removed for being in none of them. */
  scope_gaps?: readonly ScopeGap[];
  /** Where a reconnect is rehearsed: live accounts that were managed once and would still be manual. */
  still_manual?: number;
};

export type CommitCounts = StreamCounts & { set_aside: number };

export type ChangeSample = {
  kind: string;
  account_id: string | null;
  group_id: string | null;
  display_name: string | null;
  /** Of a membership, the group that holds the member. */
  group_name: string | null;
  before: unknown;
  after: unknown;
};

export type CommitResult = { counts: CommitCounts; sample: ChangeSample[] };

export type CommitOptions = {
  stream: Stream;
  round: Round;
  cycleId: string | null;
  actor: string;
  retentionMs: number;
  /** Beyond which removals wait for a person (rule 10). */
  removals: RemovalLimits;
  /** How manual accounts are recognised, in order. */
  match: readonly MatchKey[];
  /** Object ids of the groups that the scope names; empty: everybody is in scope. */
  scopeGroups: readonly string[];
  /** The groups stream has committed a full round for these scope groups: only then does absence from them remove (rule 23). */
  groupsJudged: boolean;
  dryRun: boolean;
  /** What {@link analyzeStage} told before the doubtful were asked about. */
  analyzed?: StageSizes;
  /** In a dry run, the groups that the scope is judged on: what the same dry run read of them. */
  rehearsal?: Rehearsal | undefined;
};

/** A round of groups that a dry run staged, and what applies it. */
export type Rehearsal = { readonly round: Round; readonly apply: Apply };

/** The values that every statement of a commit may bind. */
export type CommitScope = {
  tenant: string;
  stream: Stream;
  round: string;
  full: boolean;
  batch: string;
  cycle: string | null;
  actor: string;
  retentionMs: number;
  removals: RemovalLimits;
  match: readonly MatchKey[];
  scopeGroups: readonly string[];
  groupsJudged: boolean;
  /** A read of one person, or a listing: it removes, sweeps and purges nobody. */
  onDemand: boolean;
  /** A quick first load, which suspends nobody either: the guard judges that in the first round. */
  listing?: true;
};

/** Makes a stream's staged rows the truth; the part of the transaction that differs between streams. */
export type Apply = (transaction: Transaction, scope: CommitScope) => Promise<StreamCounts>;

/**
 * Makes the staged round the truth and moves the checkpoint, in one transaction. A dry run is the same transaction,
 * rolled back. When the answer to COMMIT is lost, it is known whether it happened before anything is said.
 */
export async function commitRound(
  database: Database,
  lease: Lease,
  options: CommitOptions,
  apply: Apply,
): Promise<CommitResult> {
  const { round, stream } = options;
  await analyzeStage(database, round, options.analyzed);
  const result = await leavingOutFaults(database, lease, round.round_id, {
    units: () =>
      unitsOfCommit(database, { tenant: lease.tenantId, round: round.round_id, stream, full: round.kind === 'full' }),
    attempt: (aside, rehearse) =>
      inRehearsal(database, options.dryRun || rehearse, (transaction) =>
        applyRound(transaction, lease, options, apply, aside),
      ),
  });
  if (!options.dryRun) await analyzeTables(database, options.stream, result.counts);
  return result;
}

async function applyRound(
  transaction: Transaction,
  lease: Lease,
  options: CommitOptions,
  apply: Apply,
  aside: Aside,
): Promise<CommitResult> {
  const { round, stream } = options;
  const { status } = await lockFenced(transaction, lease);
  // A reconnect is rehearsed while the tenant is still disconnected.
  if (status === 'disconnected' && !options.dryRun) throw tenantDisconnected();
  await requireWholeRound(transaction, round);
  await requireSettings(transaction, lease.tenantId, round);
  const scope: CommitScope = {
    tenant: lease.tenantId,
    stream,
    round: round.round_id,
    full: round.kind === 'full',
    batch: await nextBatch(transaction),
    cycle: options.cycleId,
    actor: options.actor,
    retentionMs: options.retentionMs,
    removals: options.removals,
    match: options.match,
    scopeGroups: options.scopeGroups,
    groupsJudged: options.groupsJudged,
    onDemand: false,
  };
  await setAsideStaged(transaction, scope, aside);
  if (options.dryRun && options.rehearsal) await applyRehearsal(transaction, options.rehearsal, scope);
  await transaction.raw(scope.full ? planForAll : planForFew);
  const mayBeIdle = !scope.full && round.seen === 0 && scope.scopeGroups.length === 0;
  const idle = mayBeIdle && (await isIdle(transaction, scope));
  const counts = idle ? nothingDone : await apply(transaction, scope);
  const setAside = idle ? 0 : await keepSetAside(transaction, scope);
  await transaction.raw(moveCheckpoint, scope);
  await transaction.raw(endProvisional, scope);
  const sample = options.dryRun ? await sampleOf(transaction, scope) : [];
  const stillManual =
    status === 'disconnected' && stream === 'users' ? await countReleased(transaction, lease.tenantId) : undefined;
  await closeBatch(transaction, scope);
  if (!scope.full && !idle) await doubtWhatIsOlder(transaction, scope);
  await transaction.raw(endRounds, scope);
  return {
    counts: { ...counts, set_aside: setAside, ...(stillManual !== undefined && { still_manual: stillManual }) },
    sample,
  };
}

// Changes that were read beside a full round are older than its checkpoint once it is committed.
const endRounds = `
delete from entra_sync.rounds
 where round_id = :round
    or :full::boolean and tenant_id = :tenant and stream = :stream and kind = 'incremental' and not dry_run`;

/**
 * For statements over a whole tenant. To compile one that runs once costs more than it gives. A full round's sets fit in
 * memory then, instead of being written to files and read again; a database that gives more keeps it.
 */
export const planForAll = `
select set_config('jit', 'off', true),
       case when pg_size_bytes(current_setting('work_mem')) < pg_size_bytes('64MB') then set_config('work_mem', '64MB', true) end`;

// A later round looks up what it touches, and does not walk through what is there. It keeps the full round that is open
// beside it (doubtWhatIsOlder), which a trigger ends where the previous release commits (migrations/0034).
const planForFew = `
select set_config('jit', 'off', true), set_config('entra_sync.keeps_full_round', 'on', true),
       case when current_setting('random_page_cost')::float8 > 1.1 then set_config('random_page_cost', '1.1', true) end`;

/**
 * Whether a later round has nothing to do but move the checkpoint, as most have. Everything that a commit does comes from
 * what is staged, from what was set aside or is held or kept by a decision, or from a time of purge that has come.
 */
async function isIdle(transaction: Transaction, scope: CommitScope): Promise<boolean> {
  const [state] = await rows<{ idle: boolean }>(transaction, findWork, scope);
  return state?.idle === true;
}

const none = (from: string) => `not exists (select from entra_sync.${from})`;

/** That a commit has nothing to do beside what its round brought. */
export const idleConditions = [
  none('set_aside where tenant_id = :tenant and stream = :stream'),
  ...['held_removals', 'held_memberships', 'kept_memberships'].map((table) =>
    none(`${table} where tenant_id = :tenant`),
  ),
  ...['accounts', 'groups'].map((table) => none(`${table} where tenant_id = :tenant and purge_at <= now()`)),
].join(' and ');

const findWork = `select ${[
  ...['users', 'groups', 'members', 'slices', 'whole_lists', 'holders', 'set_aside'].map((stage) =>
    none(`stage_${stage} where round_id = :round`),
  ),
  idleConditions,
].join(' and ')} as idle`;

/** What a round did that had nothing to do. */
export const nothingDone: StreamCounts = {
  distinct: 0,
  created: 0,
  adopted: 0,
  updated: 0,
  suspended: 0,
  resumed: 0,
  removed: 0,
  restored: 0,
  purged: 0,
  held: 0,
  memberships_added: 0,
  memberships_removed: 0,
};

/** Applies the groups that a dry run read, under a batch of their own; the caller's transaction is rolled back. */
export async function applyRehearsal(
  transaction: Transaction,
  { round, apply }: Rehearsal,
  scope: CommitScope,
): Promise<void> {
  const full = round.kind === 'full';
  const batch = await nextBatch(transaction);
  const groups: CommitScope = { ...scope, stream: 'groups', round: round.round_id, full, batch };
  await apply(transaction, groups);
  await keepSetAside(transaction, groups);
}

async function requireWholeRound(transaction: Transaction, round: Round): Promise<void> {
  const [state] = await rows<{ pages: number; staged: number; done: boolean; doubtful: number }>(
    transaction,
    `select r.pages, r.delta_link is not null as done,
            (select count(*)::int from entra_sync.stage_pages p where p.round_id = r.round_id) as staged,
            (select count(*)::int from entra_sync.stage_users s where s.round_id = r.round_id and s.doubt is not null)
            + (select count(*)::int from entra_sync.stage_groups s where s.round_id = r.round_id and s.doubt is not null) as doubtful
       from entra_sync.rounds r where r.round_id = :roundId for update`,
    { roundId: round.round_id },
  );
  if (!state?.done || state.pages !== state.staged || state.pages !== round.pages || state.doubtful > 0) {
    throw new ExpectedError('round_changed', 'the stage of this round is not whole', {
      cure: 'run the command again: the round begins anew',
    });
  }
}

/** A round belongs to one settings version (rule 17); the tenant's row is locked, so no other can come into force now. */
export async function requireSettings(
  transaction: Transaction,
  tenantId: string,
  round: Pick<Round, 'settings_version'>,
): Promise<void> {
  if ((await settingsVersion(transaction, tenantId)) === round.settings_version) return;
  throw new ExpectedError('round_changed', 'the settings changed while this round was read', {
    cure: 'run the command again: the round begins anew',
  });
}

/** Keeps what could not be taken, lets go of what could be taken now, and returns how many this round set aside. */
export async function keepSetAside(transaction: Transaction, scope: CommitScope): Promise<number> {
  const kept = await rowCount(
    transaction,
    `insert into entra_sync.set_aside (tenant_id, stream, object_key, reason)
     select :tenant, :stream, p.object_key, p.reason from entra_sync.stage_set_aside p where p.round_id = :round
     on conflict (tenant_id, stream, object_key) do update set reason = excluded.reason, last_seen_at = now()`,
    scope,
  );
  // A full round has met everything there is, so what it did not set aside is no longer.
  await transaction.raw(
    `delete from entra_sync.set_aside a
      where a.tenant_id = :tenant and a.stream = :stream
        and not exists (select from entra_sync.stage_set_aside p where p.round_id = :round and p.object_key = a.object_key offset 0)
        and (:full::boolean
             or exists (select from entra_sync.stage_users s where s.round_id = :round and s.entra_object_id = ${objectOfKey('a.object_key')} offset 0)
             or exists (select from entra_sync.stage_groups s where s.round_id = :round and s.entra_object_id = ${objectOfKey('a.object_key')} offset 0))`,
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

// The rounds of the streams that were listed are done. A tenant that shows no groups had none listed, nor people likewise.
const endProvisional = `
with forgotten as (${forgetFaults})
update entra_sync.tenants t set provisional = false
 where t.tenant_id = :tenant and t.provisional
   and (exists (select from entra_sync.checkpoints c where c.tenant_id = t.tenant_id and c.stream = 'users')
        or not exists (select from entra_sync.accounts a
                        where a.tenant_id = t.tenant_id and a.state = 'managed' and a.removed_at is null))
   and (exists (select from entra_sync.checkpoints c where c.tenant_id = t.tenant_id and c.stream = 'groups')
        or not exists (select from entra_sync.groups g where g.tenant_id = t.tenant_id))`;

/** The first changes of a batch. What ends comes first: it is what a dry run is made for. */
export async function sampleOf(transaction: Transaction, scope: CommitScope): Promise<ChangeSample[]> {
  return rows<ChangeSample>(transaction, sampleChanges, scope);
}

const sampleChanges = `
select c.kind, c.account_id, c.group_id,
       coalesce(a.profile ->> 'displayName', a.user_principal_name, g.display_name, h.display_name) as display_name,
       case when c.kind like 'membership.%' then h.display_name end as group_name, c.before, c.after
  from entra_sync.change_rows c
  left join entra_sync.accounts a on a.account_id = c.account_id
  left join entra_sync.groups g on g.group_id = c.member_group_id
  left join entra_sync.groups h on h.group_id = c.group_id
 where c.batch_id = :batch
 order by c.kind not like '%.removed', c.kind like 'membership.%', c.change_id limit 1000`;
