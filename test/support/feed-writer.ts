// Writing transactions for tests of the feed. They write rows of entra_sync.accounts and entra_sync.changes as a commit
// does, one statement at a time, so that tests can interleave transactions.
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

/** The profile of an account in these tests: its display name counts its writes. */
export type Counted = { profile: { displayName: string } };

/** Makes a tenant with `count` live accounts, each with the display name 0. The feed is empty. */
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

/** Adds one to an account and writes the change row into `batch`, in the open transaction of `client`. */
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

/** Returns the number of a new batch; its row does not exist yet. */
export async function takeBatch(client: Client): Promise<string> {
  const found = await client.query("select nextval(pg_get_serial_sequence('entra_sync.batches', 'batch_id')) as batch");
  return found.rows[0].batch;
}

/** Writes the batch's row, as a commit does last. The feed has no number for it before {@link number}. */
export async function closeFeedBatch(client: Client, tenantId: string, batch: string): Promise<void> {
  await client.query('insert into entra_sync.batches (batch_id, tenant_id) values ($1, $2)', [batch, tenantId]);
}

export async function writeBatch(client: Client, tenantId: string, accounts: readonly string[]): Promise<void> {
  await client.query('begin');
  const batch = await takeBatch(client);
  for (const account of accounts) await addOne(client, tenantId, account, batch);
  await closeFeedBatch(client, tenantId, batch);
  await client.query('commit');
}

/** Numbers the committed batches, as the worker does. */
export async function number(store: Store): Promise<void> {
  await numberBatches(store.database);
}

export function readFeed(store: Store, after: string | null, max = 1000): Promise<FeedRow[]> {
  return ask<FeedRow>(store, 'select * from directory.read_changes(:after, :max)', { after, max });
}

/** Reads all changes after a position, in pages of `max`. */
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
