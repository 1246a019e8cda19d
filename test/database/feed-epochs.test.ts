// Epochs of the feed (rule 29): a server that lacks the newest batches, after a failover or a restore, begins one by itself, and
// no position that was handed out before leads a reader past what it has lost. Real servers: test/system/servers/.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { beginFeedEpoch, feedEpoch } from '../../src/store/feed/epochs.ts';
import { countedAccounts, feedPosition, number, readAll, readFeed, writeBatch } from '../support/feed-writer.ts';
import { ask, openStore, type Store } from '../support/stage.ts';

let store: Store;
let tenantId: string;
let accounts: readonly string[];

beforeEach(async () => {
  store = await openStore();
  ({ tenantId, accounts } = await countedAccounts(store, 1));
});

afterEach(() => store.close());

const tooOld = expect.objectContaining({ code: 'ES006', hint: expect.stringContaining('Read the views again') });

const epochOf = (position: string) => position.slice(0, 8);

const writeUnnumbered = async () => writeBatch(await store.connect(), tenantId, accounts);

/** Writes and numbers as many batches, and returns the position after each. */
async function write(batches: number): Promise<string[]> {
  const positions: string[] = [];
  for (let n = 0; n < batches; n += 1) {
    await writeUnnumbered();
    await number(store);
    positions.push(await feedPosition(store));
  }
  return positions;
}

const otherServers = {
  'a standby was promoted': 'timeline = timeline + 1',
  'the server is another': 'system_identifier = system_identifier + 1',
  'the database is another': 'database_oid = 1',
};

/** Makes the database one that came to another server with its first `kept` batches; the ids of lost ones are given again. */
async function moveTo(change: string, kept: number): Promise<void> {
  await ask(
    store,
    'with lost as (delete from entra_sync.batches where batch_id > :kept) delete from entra_sync.changes where batch_id > :kept',
    { kept },
  );
  await ask(
    store,
    `select setval('entra_sync.batch_numbers', greatest(:kept, 1), :kept > 0),
            setval(pg_get_serial_sequence('entra_sync.batches', 'batch_id'), greatest(:kept, 1), :kept > 0)`,
    { kept },
  );
  await ask(store, `update entra_sync.feed set ${change}`);
}

test.each(Object.entries(otherServers))(
  'rule 29: %s: positions up to the last batch that came along stay good, later ones are refused for good',
  async (_, change) => {
    const [first = '', second = '', third = '', fourth = ''] = await write(4);
    await ask(
      store,
      'update entra_sync.feed set database_oid = (select oid from pg_database where datname = current_database())',
    );
    await moveTo(change, 2);
    for (const written of [0, 1, 4]) {
      await write(written);
      expect(await readAll(store, second, 2)).toHaveLength(written === 4 ? 5 : written);
      expect(await readAll(store, first, 2)).toHaveLength(written === 4 ? 6 : written + 1);
      for (const lost of [third, fourth]) await expect(readFeed(store, lost)).rejects.toEqual(tooOld);
    }
    expect(epochOf(await feedPosition(store))).not.toBe(epochOf(fourth));
    expect(await readFeed(store, await feedPosition(store))).toEqual([]);
  },
);

test('rule 29: an unnumbered batch that a position counts as read is refused where it was lost, although its id is given again', async () => {
  await write(1);
  await writeUnnumbered();
  const [read] = await readFeed(store, await feedPosition(store).then((position) => position.split('_')[0] ?? ''));
  const position = read?.position ?? '';
  expect(position).toMatch(/:1:\d+_2$/);
  await moveTo(otherServers['a standby was promoted'], 1);
  await expect(readFeed(store, position)).rejects.toEqual(tooOld);
  await writeUnnumbered();
  expect(await ask(store, 'select batch_id from entra_sync.batches where number is null')).toEqual([{ batch_id: '2' }]);
  await expect(readFeed(store, position), 'while it has no number').rejects.toEqual(tooOld);
  await number(store);
  await expect(readFeed(store, position), 'with a number').rejects.toEqual(tooOld);
});

test('rule 29: after a failover that lost nothing, a reader goes on from a position that names unnumbered batches', async () => {
  await write(1);
  await writeUnnumbered();
  const position = await feedPosition(store);
  expect(position).toMatch(/_2$/);
  await number(store);
  await moveTo(otherServers['a standby was promoted'], 2);
  expect(await readFeed(store, position)).toEqual([]);
  await write(1);
  expect(await readAll(store, position)).toHaveLength(1);
});

test('rule 29: a transaction that only reads shows the new server by a passing epoch, and writes nothing', async () => {
  const [, last = ''] = await write(2);
  await moveTo(otherServers['a standby was promoted'], 1);
  const before = await ask(store, 'select * from entra_sync.feed');
  const reader = await store.connect();
  await reader.query('begin isolation level repeatable read read only');
  const taken = await reader.query('select directory.feed_position() as position');
  const { position } = taken.rows[0];
  expect(epochOf(position)).not.toBe(epochOf(last));
  expect((await reader.query('select * from directory.read_changes($1)', [position])).rows).toEqual([]);
  await reader.query('commit');
  await writeUnnumbered();
  const [unnumbered] = await readFeed(store, position);
  expect(await ask(store, 'select * from entra_sync.feed')).toEqual(before);
  await number(store);
  expect(epochOf(await feedPosition(store))).not.toBe(epochOf(position));
  expect(await readFeed(store, position)).toHaveLength(1);
  await expect(readFeed(store, unnumbered?.position ?? ''), 'its batch has a number of the new epoch').rejects.toEqual(
    tooOld,
  );
});

test('rule 29: numbering begins the epoch without a batch to number, once', async () => {
  const [position = ''] = await write(1);
  await number(store);
  expect(await feedEpoch(store.database)).toBe(epochOf(position));
  await moveTo(otherServers['a standby was promoted'], 1);
  await number(store);
  const epoch = await feedEpoch(store.database);
  expect(epoch).not.toBe(epochOf(position));
  expect(epochOf(await feedPosition(store))).toBe(epoch);
  await number(store);
  expect(await feedEpoch(store.database)).toBe(epoch);
});

test('rule 29: a server that was unknown, as before this release, is learned without a new epoch', async () => {
  const [position = ''] = await write(1);
  await ask(store, 'update entra_sync.feed set system_identifier = null, timeline = null, database_oid = null');
  await write(1);
  expect(epochOf(await feedPosition(store))).toBe(epochOf(position));
  expect(
    await ask(
      store,
      `select f.timeline::int, s.system_identifier = f.system_identifier as same, d.datname = current_database() as here
         from entra_sync.feed f cross join pg_control_system() s join pg_database d on d.oid = f.database_oid`,
    ),
  ).toEqual([{ timeline: 1, same: true, here: true }]);
});

test('rule 29: each of several failovers keeps its own end, until the changes before it are no longer kept', async () => {
  const ends: string[] = [];
  for (const kept of [1, 2, 3]) {
    ends.push(...(await write(1)));
    await moveTo(otherServers['a standby was promoted'], kept);
  }
  await write(1);
  for (const [n, position] of ends.entries()) expect(await readFeed(store, position)).toHaveLength(3 - n);
  await ask(store, 'update entra_sync.feed set pruned_number = 3');
  await moveTo(otherServers['a standby was promoted'], 4);
  await write(1);
  expect(await ask(store, 'select distinct last_number from entra_sync.feed_epochs order by 1')).toEqual([
    { last_number: '3' },
    { last_number: '4' },
  ]);
});

test('rule 29: migrate --restored refuses the positions of all epochs before', async () => {
  const [position = ''] = await write(1);
  await moveTo(otherServers['a standby was promoted'], 1);
  await write(1);
  expect(await readFeed(store, position)).toHaveLength(1);
  await beginFeedEpoch(store.database);
  await expect(readFeed(store, position)).rejects.toEqual(tooOld);
  const epoch = await feedEpoch(store.database);
  await number(store);
  expect(await feedEpoch(store.database), 'begun here').toBe(epoch);
});
