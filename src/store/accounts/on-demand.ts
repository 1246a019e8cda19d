// Stages and commits one user read on demand, in one transaction without a lease. A cycle may run: this takes the
// tenant's lock, moves no checkpoint and removes no account. What an older round overwrites, the next later round
// returns again.

import type { CommitCounts, StreamCounts } from '../../rules/counts.ts';
import { dataFaultOf, reasonOf } from '../../rules/data-faults.ts';
import type { Problem } from '../../rules/decode.ts';
import type { Member } from '../../rules/groups.ts';
import type { MatchKey } from '../../rules/mapping.ts';
import { type CommitBindings, keepSetAside, requireSettings } from '../commit/bindings.ts';
import { type ChangeSample, sampleOf } from '../commit/change-sample.ts';
import { insideGroups } from '../commit/group-scope.ts';
import { applyUsers } from '../commit/users.ts';
import { type Database, rows, type Transaction } from '../database/pool.ts';
import { isErased } from '../database/vocabulary.ts';
import { closeFeedBatch, nextFeedBatch } from '../feed/batches.ts';
import { inDryRun } from '../feed/receipts.ts';
import { stageWholeList } from '../stage/members.ts';
import { stageProblems } from '../stage/problems.ts';
import { type StagedUser, stageUsers } from '../stage/users.ts';
import { lockTenant, tenantDisconnected } from '../tenants/tenants.ts';
import { accountOfObject, type KnownAccount } from './find-accounts.ts';

export type OnDemandRead = {
  readonly tenantId: string;
  readonly entraObjectId: string;
  /** As read by GET, or why to set it aside. */
  readonly seen: StagedUser | Problem;
  /** The groups that hold the user directly; undefined if not read. */
  readonly memberOf: readonly Member[] | undefined;
  /** Other unreadable parts, which the next cycle asks for again. */
  readonly problems: readonly Problem[];
  readonly settingsVersion: number;
  readonly match: readonly MatchKey[];
  readonly scopeGroups: readonly string[];
  readonly groupsJudged: boolean;
  readonly actor: string;
  /** The database's time before Graph was asked. */
  readonly askedAt: Date;
  readonly requests: number;
  readonly dryRun: boolean;
};

export type OnDemandCommit = {
  readonly cycleId: string | null;
  readonly counts: StreamCounts;
  readonly changes: ChangeSample[];
  readonly before: KnownAccount | undefined;
  readonly after: KnownAccount | undefined;
  /** By properties and groups; undefined if set aside. */
  readonly inScope: boolean | undefined;
  /** Null if staged. */
  readonly aside: string | null;
  /** The user was erased on the person's request, and gets no account. */
  readonly erased: boolean;
};

/** Commits one user as read, or sets it aside at once if the database refuses it. A dry run is rolled back. */
export async function commitPerson(database: Database, read: OnDemandRead): Promise<OnDemandCommit> {
  const commit = (one: OnDemandRead) =>
    inDryRun(database, one.dryRun, (transaction) => applyOnDemandUser(transaction, one));
  try {
    return await commit(read);
  } catch (error) {
    const fault = dataFaultOf(error);
    if (!fault || 'reason' in read.seen) throw error;
    const { entraObjectId } = read;
    const seen = { key: entraObjectId, id: entraObjectId, reason: reasonOf(fault) };
    return commit({ ...read, seen, memberOf: undefined, problems: [] });
  }
}

async function applyOnDemandUser(transaction: Transaction, read: OnDemandRead): Promise<OnDemandCommit> {
  const { tenantId, entraObjectId } = read;
  if ((await lockTenant(transaction, tenantId)) === 'disconnected') throw tenantDisconnected();
  await requireSettings(transaction, tenantId, { settings_version: read.settingsVersion });
  const before = await accountOfObject(transaction, tenantId, entraObjectId);
  const bind = await openBindings(transaction, read);
  await stagePerson(transaction, bind.round, read);
  const counts = await applyUsers(transaction, bind);
  const setAside = await keepSetAside(transaction, bind);
  await transaction.raw(
    `update entra_sync.accounts set read_live_at = :askedAt
      where tenant_id = :tenantId and entra_object_id = :entraObjectId and removed_at is null`,
    { tenantId, entraObjectId, askedAt: read.askedAt },
  );
  const changes = await sampleOf(transaction, bind);
  const [staged] = await rows<{ in_scope: boolean; erased: boolean }>(
    transaction,
    `select s.in_scope and (cardinality(:scopeGroups::uuid[]) = 0 or ${insideGroups('s.entra_object_id')}) as in_scope,
            ${isErased('s.entra_object_id')} as erased
       from entra_sync.stage_users s where s.round_id = :round`,
    bind,
  );
  const [aside] = await rows<{ reason: string }>(
    transaction,
    'select reason from entra_sync.stage_set_aside where round_id = :round and object_key = :entraObjectId',
    { ...bind, entraObjectId },
  );
  await closeFeedBatch(transaction, bind);
  await transaction.raw('delete from entra_sync.rounds where round_id = :round', bind);
  if (bind.cycle !== null) await closeCycle(transaction, bind.cycle, read, { ...counts, set_aside: setAside });
  return {
    cycleId: bind.cycle,
    counts,
    changes,
    before,
    after: await accountOfObject(transaction, tenantId, entraObjectId),
    inScope: staged?.in_scope,
    aside: staged ? null : (aside?.reason ?? null),
    erased: staged?.erased === true,
  };
}

async function openBindings(transaction: Transaction, read: OnDemandRead): Promise<CommitBindings> {
  const { tenantId, settingsVersion, actor, askedAt } = read;
  const [round] = await rows<{ round_id: string }>(
    transaction,
    `insert into entra_sync.rounds (tenant_id, stream, dry_run, kind, reason, settings_version, fingerprint, started_at)
     values (:tenantId, 'users', :dryRun, 'on_demand', 'on_demand', :settingsVersion, '', :askedAt) returning round_id`,
    { tenantId, settingsVersion, askedAt, dryRun: read.dryRun },
  );
  // Committed as finished, so that no session sees it running. No lease has fence 0.
  const [cycle] = read.dryRun
    ? []
    : await rows<{ cycle_id: string }>(
        transaction,
        `insert into entra_sync.cycles (tenant_id, kind, actor, fence, settings_version, started_at, outcome)
         values (:tenantId, 'on_demand', :actor, 0, :settingsVersion, :askedAt, 'committed') returning cycle_id`,
        { tenantId, actor, settingsVersion, askedAt },
      );
  return {
    tenant: tenantId,
    stream: 'users',
    round: round?.round_id ?? '0',
    full: false,
    batch: await nextFeedBatch(transaction),
    cycle: cycle?.cycle_id ?? null,
    actor,
    // Nothing is removed.
    retentionMs: 0,
    removals: { max: 0, percent: 0, floor: 0 },
    match: read.match,
    scopeGroups: read.scopeGroups,
    groupsJudged: read.groupsJudged,
    onDemand: true,
  };
}

async function stagePerson(transaction: Transaction, roundId: string, read: OnDemandRead): Promise<void> {
  const { seen, memberOf, entraObjectId, askedAt } = read;
  if ('reason' in seen) {
    await stageProblems(transaction, roundId, [seen]);
    return;
  }
  await stageUsers(transaction, roundId, [seen]);
  await stageProblems(transaction, roundId, read.problems);
  if (memberOf) await stageWholeList(transaction, roundId, entraObjectId, 'user', memberOf, askedAt);
}

async function closeCycle(
  transaction: Transaction,
  cycleId: string,
  read: OnDemandRead,
  counts: CommitCounts,
): Promise<void> {
  const report = { outcome: 'committed', round: 'on_demand', reason: 'on_demand', pages: 0, seen: 1, ...counts };
  await transaction.raw(
    'update entra_sync.cycles set finished_at = clock_timestamp(), streams = :streams::jsonb where cycle_id = :cycleId',
    { cycleId, streams: JSON.stringify({ users: { ...report, requests: read.requests } }) },
  );
}
