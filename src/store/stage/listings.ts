// The stage of a quick first load: per stream a listing, a round of its own kind, with the progress of its member
// lists.

import type { PartOfMemberList } from '../../rules/groups.ts';
import { type Stream, streams } from '../../rules/streams.ts';
import { type Lease, requireFence } from '../cycle/lease.ts';
import { type Database, inTransaction, rows, type Transaction } from '../database/pool.ts';
import { inDryRun } from '../feed/receipts.ts';
import { shareTenant } from '../tenants/tenants.ts';
import { membersKey, withoutCulprits } from './culprits.ts';
import { stageMembers } from './members.ts';
import { stageProblems } from './problems.ts';
import { type Round, roundColumns } from './rounds.ts';

/** The listings to read or to resume. */
export type Listings = { readonly [stream in Stream]?: Round };

/**
 * Begins the listings of a first load, or resumes open ones; with other settings they start over (rule 17). Returns
 * none if the tenant has a checkpoint, an open round (older than a listing), committed listings, or accounts of an
 * earlier connection.
 */
export async function openListings(
  database: Database,
  lease: Lease,
  wanted: { settingsVersion: number; fingerprints: Record<Stream, string> },
): Promise<Listings> {
  return inTransaction(database, async (transaction) => {
    await shareTenant(transaction, lease.tenantId);
    await requireFence(transaction, lease);
    const open = await rows<Round & { stream: Stream }>(
      transaction,
      `select stream, ${roundColumns} from entra_sync.rounds
        where tenant_id = :tenantId and not dry_run and kind <> 'on_demand'`,
      { tenantId: lease.tenantId },
    );
    const listings = open.filter((round) => round.kind === 'listing');
    const due = listings.length > 0 || (open.length === 0 && (await isNew(transaction, lease.tenantId)));
    const wantedStreams = listings.length > 0 ? listings.map((round) => round.stream) : streams;
    const found: [Stream, Round][] = [];
    for (const stream of due ? wantedStreams : []) {
      const there = listings.find((round) => round.stream === stream);
      const fits =
        there?.settings_version === wanted.settingsVersion && there.fingerprint === wanted.fingerprints[stream];
      found.push([stream, there && fits ? there : await begin(transaction, lease, stream, wanted)]);
    }
    return Object.fromEntries(found);
  });
}

async function isNew(transaction: Transaction, tenantId: string): Promise<boolean> {
  const [tenant] = await rows<{ fresh: boolean }>(
    transaction,
    `select not t.provisional
        and not exists (select from entra_sync.checkpoints c where c.tenant_id = t.tenant_id)
        and not exists (select from entra_sync.accounts a
                         where a.tenant_id = t.tenant_id and a.state = 'manual' and a.entra_object_id is not null)
        and not exists (select from entra_sync.groups g where g.tenant_id = t.tenant_id) as fresh
       from entra_sync.tenants t where t.tenant_id = :tenantId`,
    { tenantId },
  );
  return tenant?.fresh === true;
}

async function begin(
  transaction: Transaction,
  lease: Lease,
  stream: Stream,
  wanted: { settingsVersion: number; fingerprints: Record<Stream, string> },
): Promise<Round> {
  await transaction.raw(
    'delete from entra_sync.rounds where tenant_id = :tenantId and stream = :stream and not dry_run',
    { tenantId: lease.tenantId, stream },
  );
  const [begun] = await rows<Round>(
    transaction,
    `insert into entra_sync.rounds (tenant_id, stream, dry_run, kind, reason, settings_version, fingerprint)
     values (:tenantId, :stream, false, 'listing', 'first', :settingsVersion, :fingerprint) returning ${roundColumns}`,
    {
      tenantId: lease.tenantId,
      stream,
      settingsVersion: wanted.settingsVersion,
      fingerprint: wanted.fingerprints[stream],
    },
  );
  if (!begun) throw new Error('the new listing was not returned');
  return begun;
}

export type PendingList = { readonly id: string; readonly next: string | null };

/** Returns the listed groups whose members are not all read, with the resume link. */
export async function pendingLists(database: Database, roundId: string): Promise<PendingList[]> {
  return rows<PendingList>(
    database,
    `select s.entra_object_id::text as id, l.next_link as next
       from entra_sync.stage_groups s
       left join entra_sync.stage_lists l on l.round_id = s.round_id and l.group_object_id = s.entra_object_id
      where s.round_id = :roundId and (l.group_object_id is null or l.next_link is not null)
      order by 1`,
    { roundId },
  );
}

/**
 * Stages parts of member lists with their resume links, in one transaction; groups in `notFound` leave the stage to the
 * first round. Returns how many members were new.
 */
export async function stagePartsOfLists(
  database: Database,
  lease: Lease,
  roundId: string,
  parts: readonly PartOfMemberList[],
  notFound: readonly string[],
): Promise<number> {
  return withoutCulprits(database, lease, roundId, {
    units: () => [parts.map((part) => membersKey(part.groupId))],
    attempt: (aside, trial) => {
      const taken = parts.map((part): PartOfMemberList => {
        const key = membersKey(part.groupId);
        const reason = aside.get(key);
        return reason === undefined ? part : { ...part, members: [], problems: [{ key, reason }], next: null };
      });
      const work = (transaction: Transaction) => stageParts(transaction, lease, roundId, taken, notFound);
      return trial ? inDryRun(database, true, work) : inTransaction(database, work);
    },
  });
}

async function stageParts(
  transaction: Transaction,
  lease: Lease,
  roundId: string,
  parts: readonly PartOfMemberList[],
  notFound: readonly string[],
): Promise<number> {
  await requireFence(transaction, lease);
  const staged = await stageMembers(
    transaction,
    roundId,
    parts.flatMap((part) => part.members),
  );
  await stageProblems(
    transaction,
    roundId,
    parts.flatMap((part) => part.problems),
  );
  await transaction.raw(
    `insert into entra_sync.stage_lists (round_id, group_object_id, next_link)
       select :roundId, r.* from unnest(:groups::uuid[], :links::text[]) as r
       on conflict (round_id, group_object_id) do update set next_link = excluded.next_link`,
    { roundId, groups: parts.map((part) => part.groupId), links: parts.map((part) => part.next) },
  );
  await transaction.raw(
    'delete from entra_sync.stage_groups where round_id = :roundId and entra_object_id = any(:notFound::uuid[])',
    { roundId, notFound },
  );
  return staged;
}
