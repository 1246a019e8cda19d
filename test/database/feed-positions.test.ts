// Positions of the feed: valid ones, those refused with ES006, the effect of pruning, and narrowing to one tenant.
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { closeCycle } from '../../src/store/cycle/cycles.ts';
import { acquireLease } from '../../src/store/cycle/lease.ts';
import { positionBefore, readChanges } from '../../src/store/feed/changes.ts';
import { beginFeedEpoch } from '../../src/store/feed/epochs.ts';
import { countedAccounts, feedPosition, number, readAll, readFeed, writeBatch } from '../support/feed-writer.ts';
import { ask, openStore, type Store, until, untilBlocked } from '../support/stage.ts';

let store: Store;

beforeEach(async () => {
  store = await openStore();
});

afterEach(async () => {
  await store.close();
});

const tooOld = expect.objectContaining({ code: 'ES006', hint: expect.stringContaining('Read the views again') });

/** Writes one batch that adds one to each account, and numbers it. */
async function write(tenantId: string, accounts: readonly string[]): Promise<void> {
  await writeBatch(await store.connect(), tenantId, accounts);
  await number(store);
}

/** Closes a cycle of the tenant, which deletes all changes older than `retentionMs`. */
async function prune(tenantId: string, retentionMs: number): Promise<void> {
  const lease = await acquireLease(store.database, tenantId);
  await closeCycle(store.database, lease, '0', {
    outcome: 'committed',
    streams: {},
    error: null,
    intervalMs: 60_000,
    sinceStartMs: 0,
    chance: 0.5,
    retention: { changesMs: retentionMs, cyclesMs: retentionMs },
  });
  await lease.release();
}

const day = 86_400_000;

/** Makes every batch written so far ten days old. */
const age = () => ask(store, "update entra_sync.batches set committed_at = committed_at - interval '10 days'");

describe('ES006', () => {
  test('malformed, of another epoch, of the future', async () => {
    const { tenantId, accounts } = await countedAccounts(store, 1);
    await write(tenantId, accounts);
    const [epoch = '', last = '', change = ''] = (await feedPosition(store)).split(':');
    const other = epoch === '00000000' ? '00000001' : '00000000';
    for (const position of [
      '',
      ':',
      '::',
      epoch,
      `${epoch}:${last}`,
      `${epoch}:${last}:`,
      `${epoch}:${last}:${change}:1`,
      `${epoch}:${last}:${change}_`,
      `${epoch}:${last}:${change}_1.`,
      `${epoch}:${last}:${change}_1-2-3`,
      `${epoch}:${last}:${change}_1_2`,
      `${epoch}:${last}:${change}_1_2_3`,
      `${epoch}:${last}:${change}___1_2`,
      `${epoch}:${last}:${change}_1_2_3_x`,
      `${epoch}:${last}:${change}_1_2_3_4_5`,
      `${epoch}:-1:0`,
      `${epoch}:${last}:x`,
      ` ${epoch}:${last}:${change}`,
      `${epoch}:${last}:${change}\n`,
      `${epoch}:9999999999999999999:0`,
      `${epoch.toUpperCase()}Z:${last}:${change}`,
      `${other}:${last}:${change}`,
      `${epoch}:${Number(last) + 1}:0`,
      "'; drop schema directory; --",
    ]) {
      await expect(readFeed(store, position), JSON.stringify(position)).rejects.toEqual(tooOld);
    }
    expect(await readFeed(store, `${epoch}:${last}:${change}`)).toEqual([]);
    expect(await readFeed(store, `${epoch}:0:0`)).toHaveLength(1);
  });

  test('does not refuse the position of an empty database, which nothing follows', async () => {
    const position = await feedPosition(store);
    expect(await readFeed(store, position)).toEqual([]);
    const { tenantId, accounts } = await countedAccounts(store, 2);
    await write(tenantId, accounts);
    expect(await readFeed(store, position)).toHaveLength(2);
  });

  test('refuses every earlier position after a new epoch began', async () => {
    const { tenantId, accounts } = await countedAccounts(store, 1);
    const start = await feedPosition(store);
    await write(tenantId, accounts);
    const before = await feedPosition(store);
    await beginFeedEpoch(store.database);
    await expect(readFeed(store, start)).rejects.toEqual(tooOld);
    await expect(readFeed(store, before)).rejects.toEqual(tooOld);
    const now = await feedPosition(store);
    expect(now).not.toBe(before);
    await write(tenantId, accounts);
    expect(await readFeed(store, now)).toHaveLength(1);
    expect(await readFeed(store, null)).toHaveLength(2);
  });

  test('max is at least 1, null is the default', async () => {
    await expect(readFeed(store, null, 0)).rejects.toMatchObject({ code: '22023' });
    expect(await ask(store, 'select * from directory.read_changes(null, null)')).toEqual([]);
    expect(await ask(store, 'select * from directory.read_changes(null)')).toEqual([]);
  });

  test('is one line on the command line', async () => {
    await expect(readChanges(store.database, 'ffffffff:9:9', 10)).rejects.toMatchObject({
      name: 'ExpectedError',
      code: 'usage',
    });
  });
});

describe('pruning', () => {
  test('a position before what was pruned is refused; one at its end is good', async () => {
    const { tenantId, accounts } = await countedAccounts(store, 3);
    await write(tenantId, accounts);
    const [first] = await readFeed(store, null, 1);
    const end = await feedPosition(store);
    await age();
    await prune(tenantId, 9 * day);
    expect(await ask(store, 'select from entra_sync.changes')).toEqual([]);
    // Inside the last pruned batch: two of its changes would be missed.
    await expect(readFeed(store, first?.position ?? '')).rejects.toEqual(tooOld);
    expect(await readFeed(store, end)).toEqual([]);
    expect(await feedPosition(store)).toBe(end);
    await write(tenantId, accounts);
    expect(await readFeed(store, end)).toHaveLength(3);
    expect(await readAll(store, null, 2)).toHaveLength(3);
  });

  test('changes within the retention stay', async () => {
    const { tenantId, accounts } = await countedAccounts(store, 2);
    await write(tenantId, accounts);
    await age();
    await write(tenantId, accounts);
    await prune(tenantId, 9 * day);
    expect(await readAll(store, null, 1)).toHaveLength(2);
    await prune(tenantId, 11 * day);
    expect(await readAll(store, null, 1)).toHaveLength(2);
  });

  test('leaves unnumbered batches', async () => {
    const { tenantId, accounts } = await countedAccounts(store, 2);
    await ask(
      store,
      `create or replace function entra_sync.number_batches() returns integer language sql as 'select 0'`,
    );
    await writeBatch(await store.connect(), tenantId, accounts);
    await age();
    await prune(tenantId, 9 * day);
    expect(await readAll(store, null, 1)).toHaveLength(2);
  });

  test('follows the numbering, which closing a cycle does if no worker runs', async () => {
    const { tenantId, accounts } = await countedAccounts(store, 2);
    await writeBatch(await store.connect(), tenantId, accounts);
    await prune(tenantId, 9 * day);
    expect(await ask(store, 'select number from entra_sync.batches')).toEqual([{ number: '1' }]);
    await age();
    await prune(tenantId, 9 * day);
    expect(await readAll(store, null, 1)).toEqual([]);
  });

  test('one tenant’s changes keeps the rows of others, and every returned position is valid', async () => {
    const kept = await countedAccounts(store, 3);
    const pruned = await countedAccounts(store, 1);
    await write(kept.tenantId, kept.accounts);
    await write(pruned.tenantId, pruned.accounts);
    await age();
    await prune(pruned.tenantId, 9 * day);
    expect(await ask(store, 'select from directory.changes')).toHaveLength(3);
    // The newest batch is pruned and an older one is not: neither the position nor reading from null may lead before it.
    expect(await readAll(store, await feedPosition(store), 1)).toEqual([]);
    expect(await readAll(store, null, 1)).toEqual([]);
    const last = await positionBefore(store.database, 2, null);
    expect(await readChanges(store.database, last, 10)).toEqual([]);
    await write(kept.tenantId, kept.accounts);
    expect(await readAll(store, null, 1)).toHaveLength(3);
    expect(await readChanges(store.database, await positionBefore(store.database, 2, null), 10)).toHaveLength(2);
    expect(await readChanges(store.database, await positionBefore(store.database, 9, null), 10)).toHaveLength(3);
  });

  test('several tenants at the same time ends at the newest position', async () => {
    const tenants = [await countedAccounts(store, 2), await countedAccounts(store, 2), await countedAccounts(store, 2)];
    for (const { tenantId, accounts } of tenants) await write(tenantId, accounts);
    const end = await feedPosition(store);
    await age();
    const keeper = await store.connect();
    await keeper.query('begin');
    await keeper.query('select from entra_sync.feed for update');
    const pruning = Promise.all(tenants.toReversed().map(({ tenantId }) => prune(tenantId, 9 * day)));
    await untilBlocked(store, 3);
    await keeper.query('rollback');
    await pruning;
    expect(await feedPosition(store)).toBe(end);
    expect(await readFeed(store, end)).toEqual([]);
  });
});

test('NOTIFY directory_changes comes with a commit, and not without one', async () => {
  const { tenantId, accounts } = await countedAccounts(store, 2);
  const listener = await store.connect();
  const heard: string[] = [];
  listener.on('notification', (message) => heard.push(message.channel));
  await listener.query('listen directory_changes');
  const writer = await store.connect();
  await writer.query('begin');
  await writer.query('insert into entra_sync.batches (tenant_id) values ($1)', [tenantId]);
  await listener.query('select 1');
  expect(heard).toEqual([]);
  await writer.query('rollback');
  await listener.query('select 1');
  expect(heard).toEqual([]);
  await writeBatch(writer, tenantId, accounts);
  await until('the notification comes', () => heard.length > 0);
  expect(heard).toEqual(['directory_changes']);
});

describe('directory.tenant', () => {
  const views = ['tenants', 'accounts', 'removed_accounts', 'set_aside', 'cycles', 'changes'];

  test('narrows every view and function to one tenant; unset or empty it narrows nothing', async () => {
    const tenants = [await countedAccounts(store, 2), await countedAccounts(store, 3)];
    for (const { tenantId, accounts } of tenants) {
      await write(tenantId, accounts.slice(1));
      await ask(
        store,
        `update entra_sync.accounts set removed_at = now(), removed_reason = 'deleted', purge_at = now() where account_id = :id`,
        { id: accounts[0] },
      );
      await ask(
        store,
        `with aside as (insert into entra_sync.set_aside (tenant_id, stream, object_key, reason) values (:tenantId, 'users', 'x', 'y'))
         insert into entra_sync.cycles (tenant_id, kind, actor, fence, settings_version) values (:tenantId, 'initial', 'test', 1, 1)`,
        { tenantId },
      );
    }
    const client = await store.connect();
    const seen = async (setting: string | undefined) => {
      await client.query('begin');
      if (setting !== undefined) await client.query(`set local directory.tenant = '${setting}'`);
      const found: string[][] = [];
      for (const relation of [...views.map((view) => `directory.${view}`), 'directory.read_changes(null)']) {
        const answer = await client.query<{ tenant_id: string }>(`select tenant_id from ${relation}`);
        found.push(answer.rows.map((row) => row.tenant_id));
      }
      await client.query('commit');
      return found;
    };
    for (const { tenantId, accounts } of tenants) {
      const found = await seen(tenantId);
      expect(found.flat().every((tenant) => tenant === tenantId)).toBe(true);
      const n = accounts.length - 1;
      expect(found.map((rows) => rows.length)).toEqual([1, n, 1, 1, 1, n, n]);
      expect((await seen(tenantId.toUpperCase())).map((rows) => rows.length)).toEqual([1, n, 1, 1, 1, n, n]);
    }
    // After a transaction that set it, a pooled connection reads '' instead of null.
    for (const setting of [undefined, '']) {
      expect((await seen(setting)).map((rows) => rows.length)).toEqual([2, 3, 2, 2, 2, 3, 3]);
    }
    expect((await seen(randomUUID())).flat()).toEqual([]);
  });
});
