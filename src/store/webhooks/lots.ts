// The lots of a webhook: claimed by one worker, fixed before they are sent, and done when they were taken (rule 52).
import { randomUUID } from 'node:crypto';
import type { Notice } from '../../rules/notices.ts';
import { kindsFilter, lotOf, lotSize, type NoticeForm, type Told, type ToldChange } from '../../rules/webhooks.ts';
import { type Database, rows, sqlState, written } from '../database/pool.ts';
import { fixNotice } from './notices.ts';

export type ClaimedWebhook = {
  readonly webhook_id: string;
  readonly tenant_id: string | null;
  readonly url: string;
  readonly kinds: readonly string[];
  readonly told: Told;
  readonly insecure_local: boolean;
  readonly form: 'changes' | NoticeForm;
  readonly claim: string;
};

/** A fixed lot: its changes, word that the feed was reset, or a notice. */
export type Lot = {
  readonly id: string;
  readonly at: Date;
  readonly changes: readonly ToldChange[] | 'reset' | { readonly notice: Notice };
  readonly failures: number;
  readonly failingMs: number;
};

/** The time of a claim without a sign of its worker: longer than one attempt. */
const claimMs = 60_000;

/** The changes that one look reads; more where none of them was wanted. */
const readAtOnce = 2 * lotSize;
const readPast = 1_000;

/** Returns the present end of the feed, if there is a webhook that wants it. What has seen it needs no look. */
export async function endForWebhooks(database: Database): Promise<string | undefined> {
  const [found] = await rows<{ position: string }>(
    database,
    `select directory.feed_position() as position
      where exists (select from entra_sync.webhooks where state = 'active')`,
  );
  return found?.position;
}

async function feedEnd(on: Database): Promise<string> {
  const [found] = await rows<{ position: string }>(on, 'select directory.feed_position() as position');
  return found?.position ?? '';
}

/** Claims a webhook that is due, except those that stand at these positions, by id: nothing is left for them. */
export async function claimWebhook(
  database: Database,
  quiet: ReadonlyMap<string, string> = new Map(),
): Promise<ClaimedWebhook | undefined> {
  const [claimed] = await written<ClaimedWebhook>(
    database,
    `update entra_sync.webhooks
        set claim = gen_random_uuid(), claimed_until = clock_timestamp() + make_interval(secs => :claimMs / 1000.0)
      where webhook_id = (
        select w.webhook_id from entra_sync.webhooks w
         where w.state = 'active' and w.next_at <= clock_timestamp()
           and not (w.lot_id is null and exists (
             select from unnest(:ids::uuid[], :positions::text[]) as q (id, position)
              where q.id = w.webhook_id and q.position = w.position))
           and (w.claimed_until is null or w.claimed_until < clock_timestamp())
         order by w.next_at limit 1 for update skip locked)
     returning webhook_id, tenant_id, url, kinds, told, insecure_local, form, claim`,
    { claimMs, ids: [...quiet.keys()], positions: [...quiet.values()] },
  );
  return claimed;
}

/** Gives a claim back, due again in `inMs` milliseconds; 0: as it was. Does nothing for one that was lost. */
export async function releaseWebhook(
  database: Database,
  { webhook_id: id, claim }: ClaimedWebhook,
  inMs = 0,
): Promise<void> {
  await written(
    database,
    `update entra_sync.webhooks
        set claim = null, claimed_until = null,
            next_at = case when :inMs > 0 then clock_timestamp() + make_interval(secs => :inMs / 1000.0)
                           else next_at end
      where webhook_id = :id and claim = :claim`,
    { id, claim, inMs },
  );
}

type Standing = {
  position: string;
  lot_id: string | null;
  lot_at: Date | null;
  lot_changes: string[] | null;
  lot_notice: Notice | null;
  failures: number;
  failing_ms: number;
};

/**
 * Returns the lot that is to be sent: the one that was fixed, or the next one, which it fixes; or the position at which
 * nothing is left. Undefined: the claim was lost.
 */
export async function nextLot(
  database: Database,
  webhook: ClaimedWebhook,
): Promise<Lot | { readonly nothingAt: string } | undefined> {
  let limit = readAtOnce;
  for (;;) {
    const standing = await lookAt(database, webhook);
    if (!standing) return undefined;
    const { failures, failing_ms: failingMs } = standing;
    if (standing.lot_id !== null && standing.lot_at !== null) {
      const { lot_notice: notice } = standing;
      const changes = notice ? { notice } : await fixedChanges(database, standing);
      if (changes !== 'lost') return { id: standing.lot_id, at: standing.lot_at, changes, failures, failingMs };
      // A lot of another id, since the receiver may have kept the one that is lost.
      await fixReset(database, webhook, standing.lot_id);
      continue;
    }
    const next =
      webhook.form === 'changes'
        ? await fixNext(database, webhook, standing.position, limit)
        : await fixNotice(database, { id: webhook.webhook_id, claim: webhook.claim });
    if (next === 'nothing') return { nothingAt: standing.position };
    if (next === 'moved') limit = readPast;
    // It was read just now.
    if (typeof next === 'object') return { ...next, failures, failingMs };
  }
}

// Looking prolongs the claim.
async function lookAt(database: Database, { webhook_id: id, claim }: ClaimedWebhook): Promise<Standing | undefined> {
  const [found] = await written<Standing>(
    database,
    `update entra_sync.webhooks set claimed_until = clock_timestamp() + make_interval(secs => :claimMs / 1000.0)
      where webhook_id = :id and claim = :claim and state = 'active'
     returning position, lot_id, lot_at, lot_changes::text[] as lot_changes, lot_notice, failures,
               coalesce(extract(epoch from clock_timestamp() - failing_since) * 1000, 0)::float8 as failing_ms`,
    { id, claim, claimMs },
  );
  return found;
}

type FeedChange = ToldChange & { readonly position: string };

const read = (database: Database, after: string, limit: number) =>
  rows<FeedChange>(
    database,
    `select c.position, c.change_id, c.tenant_id, c.at, c.cycle_id, c.actor, c.kind, c.account_id, c.group_id,
            c.member_group_id, entra_sync.without_private(c.before, p.fields) as before,
            entra_sync.without_private(c.after, p.fields) as after
       from directory.read_changes(:after, :limit) with ordinality c
      cross join lateral (select entra_sync.private_fields(c.tenant_id) as fields) p
      order by c.ordinality`,
    { after, limit },
  );

/** Fixes the next lot, or moves the position past what is not wanted. */
async function fixNext(
  database: Database,
  { webhook_id: id, claim, tenant_id: tenantId, kinds, told }: ClaimedWebhook,
  position: string,
  limit: number,
): Promise<Pick<Lot, 'id' | 'at' | 'changes'> | 'fixed' | 'moved' | 'nothing'> {
  const fits = kindsFilter(kinds);
  let found: FeedChange[];
  try {
    found = await read(database, position, limit);
  } catch (error) {
    if (sqlState(error) !== 'ES006') throw error;
    await fixReset(database, { webhook_id: id, claim }, null);
    return 'fixed';
  }
  const last = found.at(-1);
  if (!last) {
    await nothingLeft(database, { id, claim });
    return 'nothing';
  }
  const wanted = found.filter((one) => (tenantId === null || one.tenant_id === tenantId) && fits(one.kind));
  if (wanted.length === 0) {
    await written(
      database,
      'update entra_sync.webhooks set position = :to where webhook_id = :id and claim = :claim and lot_id is null',
      { id, claim, to: last.position },
    );
    return 'moved';
  }
  const lot = lotOf(wanted, told === 'all');
  const to = (wanted.length > lot.length ? lot.at(-1) : last)?.position ?? position;
  const changes = lot.map(({ position: _, ...change }) => change);
  const ids = changes.map((one) => one.change_id);
  const fixed = await fix(database, { id, claim, lost: null, changes: ids, to, since: lot[0]?.at ?? null });
  return fixed ? { ...fixed, changes } : 'fixed';
}

async function nothingLeft(database: Database, bindings: { id: string; claim: string }): Promise<void> {
  await written(
    database,
    `update entra_sync.webhooks set behind_since = null
      where webhook_id = :id and claim = :claim and behind_since is not null`,
    bindings,
  );
}

// A receiver reads the views when it keeps the word of the reset, however often that is sent again: the feed goes on where it
// stood before the first time.
async function fixReset(
  database: Database,
  { webhook_id: id, claim }: Pick<ClaimedWebhook, 'webhook_id' | 'claim'>,
  lost: string | null,
): Promise<void> {
  await fix(database, { id, claim, lost, changes: null, to: await feedEnd(database), since: null });
}

/** Fixes a lot. `lost`: the one whose place it takes. */
async function fix(
  database: Database,
  lot: {
    id: string;
    claim: string;
    lost: string | null;
    changes: readonly string[] | null;
    to: string;
    since: Date | null;
  },
): Promise<{ id: string; at: Date } | undefined> {
  const [fixed] = await written<{ id: string; at: Date }>(
    database,
    `update entra_sync.webhooks
        set lot_id = :lotId, lot_at = clock_timestamp(), lot_changes = :changes::bigint[], lot_to = :to,
            behind_since = :since
      where webhook_id = :id and claim = :claim and lot_id is not distinct from :lost::uuid
     returning lot_id as id, lot_at as at`,
    { ...lot, lotId: randomUUID() },
  );
  return fixed;
}

/** The changes of a fixed lot, in its order; `lost` where the feed no longer has them. */
async function fixedChanges(
  database: Database,
  { position, lot_changes: ids }: Standing,
): Promise<readonly ToldChange[] | 'reset' | 'lost'> {
  if (ids === null) return 'reset';
  const found = new Map<string, ToldChange>();
  const wanted = new Set(ids);
  let after = position;
  try {
    // What was committed since may stand before the lot's end: the position after the lot tells it from the lot.
    while (found.size < wanted.size) {
      const page = await read(database, after, readAtOnce);
      const last = page.at(-1);
      if (!last) break;
      for (const { position: _, ...change } of page)
        if (wanted.has(change.change_id)) found.set(change.change_id, change);
      after = last.position;
    }
  } catch (error) {
    if (sqlState(error) !== 'ES006') throw error;
    return 'lost';
  }
  return ids.flatMap((id) => found.get(id) ?? []);
}
