// Writing transactions for tests of the feed: rows of entra_sync.accounts and entra_sync.changes written as a commit does,
// one statement at a time, so that a test can lay transactions over one another as it likes.
import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { numberBatches } from '../../src/store/feed/batches.ts';
import { ask, type Store } from './stage.ts';

export type FeedRow = {
  position: string;
  change_id: string;
  tenant_id: string;
  kind: string;
  account_id: string;
  before: Counted | null;
  after: Counted | null;
};

/** What an account of these tests says of itself: how often it was written. */
export type Counted = { profile: { displayName: string } };

/** A tenant with `count` live accounts whose display name is a number, 0 at first. Nothing is in the feed yet. */
export async function countedAccounts(store: Store, count: number): Promise<{ tenantId: string; accounts: string[] }> {
  const tenantId = randomUUID();
  await ask(store, 'insert into entra_sync.tenants (tenant_id, name) values (:tenantId, :tenantId)', { tenantId });
  const made = await ask<{ account_id: string }>(
    store,
    `insert into entra_sync.accounts (tenant_id, state, mapped)
     select :tenantId, 'managed', '{"displayName": "0"}' from generate_series(1, :count) returning account_id`,
    { tenantId, count },
  );
  return { tenantId, accounts: made.map((row) => row.account_id) };
}

/** Adds one to an account and writes the change row into `batch`, in the transaction that `client` has open. */
export async function addOne(client: Client, tenantId: string, account: string, batch: string): Promise<void> {
  const {
    rows: [old],
  } = await client.query(
    "select mapped ->> 'displayName' as n from entra_sync.accounts where account_id = $1 for update",
    [account],
  );
  const fact = (n: number) => JSON.stringify({ profile: { displayName: String(n) } });
  await client.query(
    "update entra_sync.accounts set mapped = jsonb_build_object('displayName', $2::text) where account_id = $1",
    [account, String(Number(old.n) + 1)],
  );
  await client.query(
    `insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id, before, after)
     values ($1, $2, 'test', 'account.updated', $3, $4, $5)`,
    [batch, tenantId, account, fact(Number(old.n)), fact(Number(old.n) + 1)],
  );
}

/** The number of a batch that is yet to be written. */
export async function takeBatch(client: Client): Promise<string> {
  const found = await client.query("select nextval(pg_get_serial_sequence('entra_sync.batches', 'batch_id')) as batch");
  return found.rows[0].batch;
}

/** The batch's row: a commit writes it last. It has no number before {@link number}. */
export async function closeFeedBatch(client: Client, tenantId: string, batch: string): Promise<void> {
  await client.query('insert into entra_sync.batches (batch_id, tenant_id) values ($1, $2)', [batch, tenantId]);
}

/** A whole transaction that adds one to each account, in a batch of its own. */
export async function writeBatch(client: Client, tenantId: string, accounts: readonly string[]): Promise<void> {
  await client.query('begin');
  const batch = await takeBatch(client);
  for (const account of accounts) await addOne(client, tenantId, account, batch);
  await closeFeedBatch(client, tenantId, batch);
  await client.query('commit');
}

/** Gives numbers to the batches that are committed, as the worker does. */
export async function number(store: Store): Promise<void> {
  await numberBatches(store.database);
}

/** Up to `max` changes after a position, as an application would read them. */
export function readFeed(store: Store, after: string | null, max = 1000): Promise<FeedRow[]> {
  return ask<FeedRow>(store, 'select * from directory.read_changes(:after, :max)', { after, max });
}

/** Everything after a position, in pages of `max`. */
export async function readAll(store: Store, after: string | null, max = 1000): Promise<FeedRow[]> {
  const all: FeedRow[] = [];
  for (;;) {
    const some = await readFeed(store, all.at(-1)?.position ?? after, max);
    if (some.length === 0) return all;
    all.push(...some);
  }
}

export async function feedPosition(store: Store): Promise<string> {
  const [row] = await ask<{ position: string }>(store, 'select directory.feed_position() as position');
  return row?.position ?? '';
}
