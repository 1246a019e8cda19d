// The commit of a round: one transaction applies the stage and moves the checkpoint (rules 1, 2, 12).
import { ExpectedError } from '../../errors.ts';
import { type CommitCounts, noCounts } from '../../rules/counts.ts';
import { noteCommit, reportOfCommit } from '../cycle/cycles.ts';
import { type Lease, lockFenced } from '../cycle/lease.ts';
import { type Database, rows, type Transaction } from '../database/pool.ts';
import { liveManaged } from '../database/vocabulary.ts';
import { closeFeedBatch, nextFeedBatch } from '../feed/batches.ts';
import { inDryRun } from '../feed/receipts.ts';
import {
  forgetFaults,
  type SetAsideReasons,
  setAsideStaged,
  unitsOfCommit,
  withoutCulprits,
} from '../stage/culprits.ts';
import { doubtWhatIsOlder } from '../stage/older.ts';
import type { Round } from '../stage/rounds.ts';
import { analyzeStage, analyzeTables, planForAll, planForFew, type StageSizes } from '../stage/statistics.ts';
import { countReleased } from '../tenants/disconnect.ts';
import { tenantDisconnected } from '../tenants/tenants.ts';
import { apply } from './apply.ts';
import { type CommitBindings, keepSetAside, requireSettings } from './bindings.ts';
import { type ChangeSample, sampleOf } from './change-sample.ts';
import { applyDryRunGroups } from './dry-run.ts';
import { isIdle } from './idle.ts';
import { noticeMassChange } from './notice.ts';
import { type CopiesGroup, countNotCopied, judgeStoredGroups } from './stored-groups.ts';
import { countOutside, judgeStored, type NarrowerScope } from './stored-scope.ts';

export type CommitResult = { readonly counts: CommitCounts; readonly sample: readonly ChangeSample[] };

export type CommitOptions = Pick<
  CommitBindings,
  'stream' | 'actor' | 'retentionMs' | 'removals' | 'match' | 'scopeGroups' | 'groupsJudged'
> & {
  readonly round: Round;
  readonly cycleId: string | null;
  readonly dryRun: boolean;
  /** How many requests the stream has sent, for the cycle's row. */
  readonly requests?: number;
  /** The result of {@link analyzeStage} before objects in doubt were asked for. */
  readonly analyzed?: StageSizes;
  /** The groups round of the same dry run: it decides the scope, and the memberships of accounts that are created. */
  readonly dryRunGroups?: Round | undefined;
  /** The scope that the stored documents are judged by, where it was narrowed since the last commit. */
  readonly narrower?: NarrowerScope | undefined;
  /** The groups that are copied, for the groups stream; undefined: all. */
  readonly copies?: CopiesGroup | undefined;
};

/**
 * Applies the staged round and moves the checkpoint, in one transaction; a dry run rolls it back. Finds out whether a
 * COMMIT without an answer happened.
 */
export async function commitRound(database: Database, lease: Lease, options: CommitOptions): Promise<CommitResult> {
  const { round, stream } = options;
  await analyzeStage(database, round, options.analyzed);
  const result = await withoutCulprits(database, lease, round.round_id, {
    units: () =>
      unitsOfCommit(database, { tenant: lease.tenantId, round: round.round_id, stream, full: round.kind === 'full' }),
    attempt: (aside, trial) =>
      inDryRun(database, options.dryRun || trial, (transaction) =>
        applyRound(transaction, lease, options, aside, options.dryRun || trial),
      ),
  });
  if (!options.dryRun) await analyzeTables(database, options.stream, result.counts);
  return result;
}

async function applyRound(
  transaction: Transaction,
  lease: Lease,
  options: CommitOptions,
  aside: SetAsideReasons,
  rolledBack: boolean,
): Promise<CommitResult> {
  const { round, stream } = options;
  const { status } = await lockFenced(transaction, lease);
  // A dry run of a reconnect reads a disconnected tenant.
  if (status === 'disconnected' && !options.dryRun) throw tenantDisconnected();
  await requireWholeRound(transaction, round);
  await requireSettings(transaction, lease.tenantId, round);
  const bind: CommitBindings = {
    tenant: lease.tenantId,
    stream,
    round: round.round_id,
    full: round.kind === 'full',
    batch: await nextFeedBatch(transaction),
    cycle: options.cycleId,
    actor: options.actor,
    retentionMs: options.retentionMs,
    removals: options.removals,
    match: options.match,
    scopeGroups: options.scopeGroups,
    groupsJudged: options.groupsJudged,
    onDemand: false,
    rolledBack,
  };
  await setAsideStaged(transaction, bind, aside);
  if (options.dryRun && options.dryRunGroups) await applyDryRunGroups(transaction, options.dryRunGroups, bind);
  await transaction.raw(bind.full ? planForAll : planForFew);
  const judged =
    (options.narrower ? await judgeStored(transaction, bind, options.narrower) : 0) +
    (options.copies ? await judgeStoredGroups(transaction, bind, options.copies) : 0);
  const mayBeIdle = !bind.full && round.seen === 0 && judged === 0 && bind.scopeGroups.length === 0;
  const idle = mayBeIdle && (await isIdle(transaction, bind));
  const counts = idle ? noCounts : await apply[stream](transaction, bind);
  const setAside = idle ? 0 : await keepSetAside(transaction, bind);
  const notice = stream === 'users' ? await noticeMassChange(transaction, bind, counts.updated) : undefined;
  await transaction.raw(moveCheckpoint, bind);
  await transaction.raw(endProvisional, bind);
  const sample = options.dryRun ? await sampleOf(transaction, bind) : [];
  const stillManual =
    status === 'disconnected' && stream === 'users' ? await countReleased(transaction, lease.tenantId) : undefined;
  await closeFeedBatch(transaction, bind);
  if (!bind.full && !idle) await doubtWhatIsOlder(transaction, bind);
  await transaction.raw(endRounds, bind);
  const outside = stream === 'users' && !idle ? await countOutside(transaction, bind) : undefined;
  const notCopied = options.copies && !idle ? await countNotCopied(transaction, lease.tenantId) : 0;
  const all = {
    ...counts,
    // The others were not shown by the round.
    distinct: counts.distinct - judged,
    set_aside: setAside,
    ...(outside && { outside }),
    ...(notCopied > 0 && { not_copied: notCopied }),
    ...(notice !== undefined && { notice }),
    ...(stillManual !== undefined && { still_manual: stillManual }),
  };
  await noteCommit(transaction, options.cycleId, stream, reportOfCommit(round, all, options.requests ?? 0));
  return { counts: all, sample };
}

// The checkpoint of a full round is newer than a later round open beside it.
const endRounds = `
delete from entra_sync.rounds
 where round_id = :round
    or :full::boolean and tenant_id = :tenant and stream = :stream and kind = 'incremental' and not dry_run`;

async function requireWholeRound(transaction: Transaction, round: Round): Promise<void> {
  const [state] = await rows<{ pages: number; staged: number; done: boolean; doubtful: number }>(
    transaction,
    `select r.pages, r.delta_link is not null as done,
            (select count(*)::int from entra_sync.stage_pages p where p.round_id = r.round_id) as staged,
            (select count(*)::int from entra_sync.stage_users s where s.round_id = r.round_id and s.doubt is not null)
            + (select count(*)::int from entra_sync.stage_groups s
                where s.round_id = r.round_id and s.doubt is not null) as doubtful
       from entra_sync.rounds r where r.round_id = :roundId for update`,
    { roundId: round.round_id },
  );
  if (!state?.done || state.pages !== state.staged || state.pages !== round.pages || state.doubtful > 0) {
    throw new ExpectedError('round_changed', 'the stage of this round is not whole', {
      cure: 'run the command again: the round starts over',
    });
  }
}

const moveCheckpoint = `
insert into entra_sync.checkpoints
       (tenant_id, stream, delta_link, fingerprint, settings_version, round_id, committed_at, full_at, provisional)
select r.tenant_id, r.stream, r.delta_link, r.fingerprint, r.settings_version, r.round_id, now(), now(), t.provisional
  from entra_sync.rounds r join entra_sync.tenants t using (tenant_id) where r.round_id = :round
on conflict (tenant_id, stream) do update
   set delta_link = excluded.delta_link, fingerprint = excluded.fingerprint,
       settings_version = excluded.settings_version,
       provisional = excluded.provisional, round_id = excluded.round_id, committed_at = excluded.committed_at,
       full_at = case when :full::boolean then excluded.full_at else entra_sync.checkpoints.full_at end`;

// A tenant is provisional until each listed stream has committed a round. A stream without live rows had nothing
// listed.
const endProvisional = `
with forgotten as (${forgetFaults})
update entra_sync.tenants t set provisional = false
 where t.tenant_id = :tenant and t.provisional
   and (exists (select from entra_sync.checkpoints c where c.tenant_id = t.tenant_id and c.stream = 'users')
        or not exists (select from entra_sync.accounts a
                        where a.tenant_id = t.tenant_id and ${liveManaged('a')}))
   and (exists (select from entra_sync.checkpoints c where c.tenant_id = t.tenant_id and c.stream = 'groups')
        or not exists (select from entra_sync.groups g where g.tenant_id = t.tenant_id))`;
