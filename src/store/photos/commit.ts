// Commits what Graph answered for some photos: each lot is one transaction, so a process that dies loses one lot at most.
import { ownActors } from '../../rules/own-actors.ts';
import type { Photo, PhotoAnswer } from '../../rules/photos.ts';
import { type Database, rowCount, rows, type Transaction } from '../database/pool.ts';
import { closeFeedBatch, nextFeedBatch } from '../feed/batches.ts';
import { changeRowsOutsideCycle } from '../feed/change-rows.ts';
import { inReportedTransaction } from '../feed/receipts.ts';
import { lockTenant } from '../tenants/tenants.ts';
import type { DuePhoto } from './due.ts';
import { holdsLane, type PhotoLane } from './lanes.ts';

export type AnsweredPhoto = { readonly account: DuePhoto; readonly answer: PhotoAnswer };

/** How many of a lot have a photo, have none, are set aside, and changed. */
export type PhotoCounts = {
  readonly photos: number;
  readonly none: number;
  readonly faults: number;
  readonly changed: number;
};

/** The actor of the lane's changes. */
const actor = ownActors.photos;

/**
 * Stores the answers, with a change row where a photo is another one than before. What was set aside leaves the photo as it
 * was. Returns undefined, and stores nothing, if the lane is another process's by now or the tenant has disconnected.
 */
export async function commitPhotos(
  database: Database,
  lane: PhotoLane,
  answered: readonly AnsweredPhoto[],
): Promise<PhotoCounts | undefined> {
  return inReportedTransaction(database, async (transaction) => {
    const status = await lockTenant(transaction, lane.tenantId);
    if (status === 'disconnected' || !(await holdsLane(transaction, lane))) return undefined;
    const bind = { tenant: lane.tenantId, batch: await nextFeedBatch(transaction), actor };
    const differing = answered.filter(({ account, answer }) => shownBy(answer, account) !== account.sha256);
    const changed = await storeDiffering(transaction, bind, differing);
    await noteRead(
      transaction,
      bind,
      answered.filter((one) => !differing.includes(one)).map((one) => one.account.account_id),
    );
    await noteFaults(transaction, bind, answered);
    await transaction.raw(
      `update entra_sync.photo_lanes
          set due = greatest(due - :read, 0),
              answered_at = case when :shown then clock_timestamp() else answered_at end
        where tenant_id = :tenant`,
      { ...bind, read: answered.length, shown: answered.some(({ answer }) => !('fault' in answer)) },
    );
    await closeFeedBatch(transaction, bind);
    return {
      photos: answered.filter(({ answer }) => 'photo' in answer).length,
      none: answered.filter(({ answer }) => 'none' in answer).length,
      faults: answered.filter(({ answer }) => 'fault' in answer).length,
      changed,
    };
  });
}

type Bind = { tenant: string; batch: string; actor: string };

/** The hash of the photo after this answer: a fault takes none away. */
function shownBy(answer: PhotoAnswer, { sha256 }: DuePhoto): string | null {
  if ('fault' in answer) return sha256;
  return 'photo' in answer ? answer.photo.sha256 : null;
}

// The account may be removed or purged since it was asked for. The tenant's lock keeps it as it is now.
const live = `entra_sync.accounts a
  where a.account_id = g.account_id and a.tenant_id = :tenant and a.removed_at is null`;

async function storeDiffering(
  transaction: Transaction,
  bind: Bind,
  differing: readonly AnsweredPhoto[],
): Promise<number> {
  if (differing.length === 0) return 0;
  const photos = differing.map(({ answer }) => ('photo' in answer ? answer.photo : undefined));
  const of = <Key extends keyof Photo>(key: Key) => photos.map((photo) => photo?.[key] ?? null);
  const given = {
    ...bind,
    ids: differing.map(({ account }) => account.account_id),
    contents: of('content'),
    types: of('contentType'),
    hashes: of('sha256'),
    widths: of('width'),
    heights: of('height'),
  };
  return rowCount(
    transaction,
    `with given as materialized (
       select g.* from unnest(:ids::uuid[], :contents::bytea[], :types::text[], :hashes::text[], :widths::integer[],
                :heights::integer[]) as g (account_id, content, content_type, sha256, width, height)
        where exists (select from ${live})
     ), before as materialized (
       select g.account_id, p.sha256 from given g left join entra_sync.photos p using (account_id)
     ), written as (
       insert into entra_sync.photos as p
         (account_id, tenant_id, read_at, content, content_type, sha256, width, height, updated_at)
       select g.account_id, :tenant, now(), g.content, g.content_type, g.sha256, g.width, g.height,
              case when g.content is not null then now() end
         from given g
       on conflict (account_id) do update
          set read_at = excluded.read_at, content = excluded.content,
              content_type = excluded.content_type, sha256 = excluded.sha256,
              width = excluded.width, height = excluded.height, updated_at = excluded.updated_at
     )
     ${changeRowsOutsideCycle(
       "'account.photo_changed'",
       { account_id: 'g.account_id', before: photoFact('b.sha256'), after: photoFact('g.sha256') },
       'from given g join before b using (account_id) where g.sha256 is distinct from b.sha256',
     )}`,
    given,
  );
}

/** The value of a change row: the hash of the photo alone. */
const photoFact = (sha256: string) => `jsonb_build_object('photo', ${sha256})`;

async function noteRead(transaction: Transaction, bind: Bind, ids: readonly string[]): Promise<void> {
  await transaction.raw(
    `insert into entra_sync.photos as p (account_id, tenant_id, read_at)
     select g.account_id, :tenant, now() from unnest(:ids::uuid[]) as g (account_id)
      where exists (select from ${live})
     on conflict (account_id) do update set read_at = excluded.read_at`,
    { ...bind, ids },
  );
}

async function noteFaults(transaction: Transaction, bind: Bind, answered: readonly AnsweredPhoto[]): Promise<void> {
  const faults = answered.flatMap(({ account, answer }) =>
    'fault' in answer ? [{ id: account.account_id, reason: answer.fault.slice(0, 200) }] : [],
  );
  const good = answered.filter(({ answer }) => !('fault' in answer)).map(({ account }) => account.account_id);
  await transaction.raw('delete from entra_sync.photo_faults where account_id = any(:good::uuid[])', { good });
  if (faults.length === 0) return;
  await transaction.raw(
    `insert into entra_sync.photo_faults as f (account_id, tenant_id, reason)
     select g.account_id, :tenant, g.reason from unnest(:ids::uuid[], :reasons::text[]) as g (account_id, reason)
      where exists (select from ${live})
     on conflict (account_id) do update set reason = excluded.reason, last_seen_at = excluded.last_seen_at`,
    { ...bind, ids: faults.map((one) => one.id), reasons: faults.map((one) => one.reason) },
  );
}

/** The photos that one transaction removes. */
const removedAtOnce = 500;

/**
 * Removes the photos of a tenant that reads none any more, some at a time, with their change rows: of removed accounts too, which
 * may be restored. Returns how many were removed and whether any are left; undefined if the lane is another process's by now. The lane goes
 * with the last of them.
 */
export async function removePhotos(
  database: Database,
  lane: PhotoLane,
): Promise<{ readonly removed: number; readonly left: boolean } | undefined> {
  return inReportedTransaction(database, async (transaction) => {
    await lockTenant(transaction, lane.tenantId);
    if (!(await holdsLane(transaction, lane))) return undefined;
    const bind = { tenant: lane.tenantId, batch: await nextFeedBatch(transaction), actor, most: removedAtOnce };
    const gone = await rows<{ account_id: string; sha256: string | null }>(
      transaction,
      `delete from entra_sync.photos where account_id in (
         select account_id from entra_sync.photos where tenant_id = :tenant limit :most)
       returning account_id, sha256`,
      bind,
    );
    const shown = gone.filter((one) => one.sha256 !== null);
    await transaction.raw(
      changeRowsOutsideCycle(
        "'account.photo_changed'",
        { account_id: 'g.account_id', before: photoFact('g.sha256'), after: photoFact('null::text') },
        'from unnest(:ids::uuid[], :hashes::text[]) as g (account_id, sha256)',
      ),
      { ...bind, ids: shown.map((one) => one.account_id), hashes: shown.map((one) => one.sha256) },
    );
    const left = gone.length === removedAtOnce;
    if (!left) {
      await transaction.raw('delete from entra_sync.photo_faults where tenant_id = :tenant', bind);
      await transaction.raw('delete from entra_sync.photo_lanes where tenant_id = :tenant', bind);
    }
    await closeFeedBatch(transaction, bind);
    return { removed: shown.length, left };
  });
}
