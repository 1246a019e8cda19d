// Each supported release of PostgreSQL, from the migrations to a failover: a standby is promoted that lacks the newest batches
// (rule 29), and a reader of the change feed goes on where nothing was lost, and is refused where something was.
import { Client } from 'pg';
import { expect, type onTestFinished, test } from 'vitest';
import { createTenant, startSimulator } from '../../../src/simulator/index.ts';
import { openLists } from '../../../src/store/commit/removal-lists.ts';
import type { Binaries } from '../../../src/store/embedded/binaries.ts';
import { runCli, startCli } from '../../support/cli.ts';
import { openBreakablePath } from '../../support/cut-connection.ts';
import { countedAccounts, feedPosition, number, readAll, readFeed, writeBatch } from '../../support/feed-writer.ts';
import { groupsSeen, groupTruth } from '../../support/groups-truth.ts';
import { binariesOf, majors } from '../../support/programs.ts';
import { expectSchemaPage } from '../../support/schema-page.ts';
import {
  cutOff,
  makeDatabase,
  openOwned,
  promote,
  type RealServer,
  startServer,
  startStandby,
  untilReplayed,
} from '../../support/servers.ts';
import { setSettings } from '../../support/settings.ts';
import { expectSound } from '../../support/soundness.ts';
import { ask, type Store } from '../../support/stage.ts';
import { accountsOf, expectTruth, openWorld } from '../../support/system.ts';

type OnEnd = typeof onTestFinished;

const refused = expect.objectContaining({ code: 'ES006' });

/** A copy of the accounts that an application keeps by the feed. */
type Copy = { position: string; names: Record<string, string> };

async function copyOf(store: Store): Promise<Copy> {
  const position = await feedPosition(store);
  const accounts = await ask<{ account_id: string; name: string }>(
    store,
    "select account_id, profile ->> 'displayName' as name from directory.accounts",
  );
  return { position, names: Object.fromEntries(accounts.map(({ account_id, name }) => [account_id, name])) };
}

/** Goes on with the copy on this server; each change has to begin where the copy stands. */
async function follow(store: Store, copy: Copy): Promise<Copy> {
  const names = { ...copy.names };
  const changes = await readAll(store, copy.position, 3);
  for (const { account_id, before, after } of changes) {
    expect(before?.profile.displayName).toBe(names[account_id]);
    names[account_id] = after?.profile.displayName ?? '';
  }
  const followed = { position: changes.at(-1)?.position ?? copy.position, names };
  expect(followed.names).toEqual((await copyOf(store)).names);
  return followed;
}

const serverOf = async (store: Store) =>
  (await ask(store, 'select system_identifier, timeline, database_oid from entra_sync.feed'))[0];

/** A tenant's life: a first cycle, an edit by an application, what it reads of the feed, and a list of removals approved. */
async function live(server: RealServer, store: Store, onEnd: OnEnd): Promise<void> {
  const world = await openWorld({ users: 30, groups: 3, url: store.url, onEnd });
  const { tenant, database } = world;
  await setSettings(database, {
    sourceOfTruth: 'hybrid',
    fields: { mobilePhone: { from: 'mobilePhone', owner: 'user' } },
    removals: { max: 500, percent: 20, floor: 20 },
  });
  await server.ask('create role application login');
  const cli = (...words: string[]) => runCli(words, { ...world.simulator.environment(), DATABASE_URL: store.url });
  expect(await cli('grant', 'application')).toMatchObject({ code: 0 });
  expect((await world.cycle()).outcome).toBe('committed');
  await expectTruth(tenant, database);
  expect(await groupsSeen(database, tenant.tenantId)).toEqual(groupTruth(tenant));

  const application = new Client({ connectionString: server.url('directory_copy', 'application') });
  onEnd(() => application.end());
  await application.connect();
  const [one] = (await application.query('select account_id from directory.accounts')).rows;
  const start = (await application.query('select directory.feed_position() as position')).rows[0].position;
  const edit = "select directory.edit_account($1, '{\"mobilePhone\": \"+1 555\"}', 'ann', 'user') as profile";
  expect((await application.query(edit, [one.account_id])).rows[0].profile).toMatchObject({ mobilePhone: '+1 555' });
  const read = await application.query('select kind, account_id from directory.read_changes($1)', [start]);
  expect(read.rows).toEqual([{ kind: 'account.edited', account_id: one.account_id }]);

  for (const { id } of tenant.users().slice(0, 15)) tenant.deleteUser(id);
  expect((await world.cycle()).outcome).toBe('held');
  const [list] = await openLists(database, tenant.tenantId);
  expect(await cli('removals', 'approve', tenant.tenantId, '--list', list?.list_id ?? '', '--all')).toMatchObject({
    code: 0,
  });
  expect(Object.keys(await accountsOf(database, tenant.tenantId))).toHaveLength(15);
  await expectSound(database, tenant.tenantId);
}

/** A hosted server may refuse to say which one it is: then the feed takes it for the same. */
async function refuseToSay(server: RealServer, store: Store): Promise<void> {
  const functions = 'pg_control_system(), pg_walfile_name(pg_lsn)';
  const known = await serverOf(store);
  await server.ask(`revoke execute on function ${functions} from public`, 'directory_copy');
  expect(await ask(store, 'select system_identifier, timeline from entra_sync.this_server()')).toEqual([
    { system_identifier: null, timeline: null },
  ]);
  const position = await feedPosition(store);
  await number(store);
  expect(await readFeed(store, position)).toEqual([]);
  expect(await serverOf(store)).toEqual(known);
  await server.ask(`grant execute on function ${functions} to public`, 'directory_copy');
}

/** A standby is promoted that lacks the newest batches: readers go on where nothing was lost, and are refused elsewhere. */
async function failOver(primary: RealServer, before: Store, binaries: Binaries, onEnd: OnEnd): Promise<void> {
  const { tenantId, accounts } = await countedAccounts(before, 3);
  const write = async (store: Store, batches: number) => {
    const client = await store.connect();
    for (let n = 0; n < batches; n += 1) await writeBatch(client, tenantId, accounts);
    await client.end();
  };
  await write(before, 2);
  await number(before);
  const standby = await startStandby(primary, binaries, onEnd);
  const after = openOwned(standby, onEnd);

  const early = await copyOf(before);
  await write(before, 2);
  await number(before);
  await untilReplayed(primary, standby);
  expect(await feedPosition(after), 'a standby shows the feed of its primary').toBe(await feedPosition(before));
  const common = await follow(after, early);
  await cutOff(standby);
  await write(before, 3);
  await number(before);
  const ahead = await follow(before, common);
  await write(before, 1);
  const unnumbered = await follow(before, ahead);
  expect(unnumbered.position).toContain('_');
  expect(await follow(after, common), 'the standby is behind').toEqual(common);

  await promote(standby);
  const lost = [ahead, unnumbered];
  for (const written of [0, 2, 4]) {
    await write(after, written);
    for (const copy of lost) await expect(readFeed(after, copy.position)).rejects.toEqual(refused);
    for (const copy of [early, common]) await follow(after, copy);
    if (written > 0) await number(after);
  }
  const numberOf = (position: string) => Number(position.split(':')[1]);
  expect(numberOf(await feedPosition(after)), 'the feed has passed what was lost').toBeGreaterThan(
    numberOf(ahead.position),
  );
  for (const copy of lost) await expect(readFeed(after, copy.position)).rejects.toEqual(refused);
  for (const copy of [early, common]) await follow(after, copy);
  const renewed = await copyOf(after);
  expect(renewed.position.slice(0, 8)).not.toBe(common.position.slice(0, 8));
  await write(after, 1);
  await follow(after, renewed);
}

test.for(majors)(
  'rule 29: PostgreSQL %i: migrations, a cycle, an edit, the feed, removals; then a standby is promoted that lacks batches, and no reader goes on beyond them',
  async (major, { skip, onTestFinished }) => {
    const binaries = await binariesOf(major, skip);
    const primary = await startServer(binaries, onTestFinished);
    const store = openOwned(primary, onTestFinished);
    await makeDatabase(primary);
    await expectSchemaPage(store.url);
    expect(Object.values((await serverOf(store)) ?? {}), 'a plain role may ask for the server').not.toContain(null);
    await refuseToSay(primary, store);
    // The other tests run on the newest release.
    if (major !== majors.at(-1)) await live(primary, store, onTestFinished);
    await failOver(primary, store, binaries, onTestFinished);
  },
);

test('rule 29: a worker goes through a failover, and says that a new epoch has begun', async ({
  skip,
  onTestFinished,
}) => {
  const binaries = await binariesOf(18, skip);
  const primary = await startServer(binaries, onTestFinished);
  await makeDatabase(primary);
  const standby = await startStandby(primary, binaries, onTestFinished);
  const simulator = await startSimulator({ tenants: [createTenant({ seed: 1, users: 1 })] });
  onTestFinished(() => simulator.close());
  const store = openOwned(primary, onTestFinished);
  const path = await openBreakablePath(store.url);
  onTestFinished(() => path.close());
  const worker = startCli(['worker'], { ...simulator.environment(), DATABASE_URL: path.url, PORT: '0' });
  onTestFinished(() => void worker.child.kill('SIGKILL'));
  await worker.shows(/worker started/);
  await untilReplayed(primary, standby);
  await promote(standby);
  path.leadTo(standby.url('directory_copy', 'directory_copy'));
  path.cut();
  await worker.shows(/a new epoch of the change feed has begun/);
  worker.child.kill('SIGTERM');
  expect(await worker.ended).toMatchObject({ code: 0 });
});
