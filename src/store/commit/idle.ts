// The commit of a later round whose only page was empty: the checkpoint moves, without a round.
import { noCounts } from '../../rules/counts.ts';
import type { Stream } from '../../rules/streams.ts';
import { noteReport, reportOfCommit, type StreamReport } from '../cycle/cycles.ts';
import { type Lease, lockFenced } from '../cycle/lease.ts';
import { type Database, rows, type Transaction } from '../database/pool.ts';
import { inReportedTransaction } from '../feed/receipts.ts';
import { tenantDisconnected } from '../tenants/tenants.ts';
import type { CommitBindings } from './bindings.ts';
import { readUnderOthers } from './stored-scope.ts';

export type IdleRound = {
  readonly stream: Stream;
  /** The checkpoint's link. */
  readonly asked: string;
  /** The empty page's delta link. */
  readonly delta: string;
  readonly settingsVersion: number;
  readonly fingerprint: string;
  readonly cycleId: string | null;
  /** How many requests the stream has sent, for the cycle's row. */
  readonly requests: number;
};

/** Returns the report of an idle round. */
export function reportOfIdle(requests: number): StreamReport {
  const round = { kind: 'incremental', reason: 'changes', pages: 1, seen: 0 } as const;
  return reportOfCommit(round, { ...noCounts, set_aside: 0 }, requests);
}

/**
 * Moves the checkpoint and returns true. Returns false, with nothing changed, if a commit would do or ask for anything
 * more, a round is open, or checkpoint or settings have changed (rule 17). Throws `lease_lost` or
 * `tenant_disconnected`.
 */
export async function commitIdle(database: Database, lease: Lease, round: IdleRound): Promise<boolean> {
  return inReportedTransaction(database, async (transaction) => {
    const { status } = await lockFenced(transaction, lease);
    if (status === 'disconnected') throw tenantDisconnected();
    // A separate statement, so that it sees what was committed before the locks were taken.
    const report = JSON.stringify(reportOfIdle(round.requests));
    const bind = { ...round, tenant: lease.tenantId, cycle: round.cycleId, report };
    const [done] = await rows<{ moved: boolean }>(transaction, moveAndNote, bind);
    return done?.moved === true;
  });
}

/**
 * Whether a later round only moves the checkpoint, as most do. All other work comes from the stage, from objects set
 * aside, held or kept by a decision, or from a due purge.
 */
export async function isIdle(transaction: Transaction, bind: CommitBindings): Promise<boolean> {
  const [state] = await rows<{ idle: boolean }>(transaction, findWork, bind);
  return state?.idle === true;
}

const none = (from: string) => `not exists (select from entra_sync.${from})`;

/** No work besides what the round staged. */
const idleConditions = [
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

const newest = (settings: string) =>
  `coalesce((select version from entra_sync.settings where ${settings} order by version desc limit 1), 0)`;

const moveCheckpoint = `
update entra_sync.checkpoints c
   set delta_link = :delta, settings_version = :settingsVersion, committed_at = now(), provisional = false
 where c.tenant_id = :tenant and c.stream = :stream and c.delta_link = :asked and c.fingerprint = :fingerprint
   and greatest(${newest('tenant_id is null')}, ${newest('tenant_id = :tenant')}) = :settingsVersion
   and not exists (select from entra_sync.rounds where tenant_id = :tenant and stream = :stream and not dry_run)
   and not exists (select from entra_sync.tenants where tenant_id = :tenant and provisional)
   and not exists (select from entra_sync.deleted_strangers where tenant_id = :tenant and stream = :stream and is_back
                    and exists (select from entra_sync.checkpoints where tenant_id = :tenant and stream = 'groups'))
   and not entra_sync.assigning_due(:tenant)
   and not (c.stream = 'users' and ${readUnderOthers(':settingsVersion')})
   and ${idleConditions}`;

// One statement, because most rounds are idle.
const moveAndNote = `
with moved as (${moveCheckpoint} returning true), noted as (${noteReport} and exists (select from moved))
select exists (select from moved) as moved`;
