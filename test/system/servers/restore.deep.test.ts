// A backup by Debian's pg_dump: restored into a new database it is whole, goes on syncing, and no reader of the change feed goes on
// beyond it (rule 29). Restored over the same database it looks like no backup, so `migrate --restored` is needed.
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { runCli } from '../../support/cli.ts';
import { feedPosition, readFeed } from '../../support/feed-writer.ts';
import { debianBinaries, programOf } from '../../support/programs.ts';
import { expectSchemaPage } from '../../support/schema-page.ts';
import { makeDatabase, openOwned, startServer } from '../../support/servers.ts';
import { expectSound } from '../../support/soundness.ts';
import { cycleOf, expectTruth, openWorld } from '../../support/system.ts';

const refused = expect.objectContaining({ code: 'ES006' });

test('rule 29: a dump that is restored into a new database is whole, goes on, and lets no reader go on beyond it', async ({
  skip,
  onTestFinished,
}) => {
  const [dump, restore] = [programOf('pg_dump', skip), programOf('pg_restore', skip)];
  const server = await startServer(debianBinaries(skip), onTestFinished);
  const file = join(dirname(server.data), 'dump');
  const lived = openOwned(server, onTestFinished);
  await makeDatabase(server);
  const { tenant, simulator, cycle } = await openWorld({ users: 20, groups: 4, url: lived.url, onEnd: onTestFinished });
  await cycle();
  tenant.updateUser(tenant.users()[0]?.id ?? '', { jobTitle: 'Boss' });
  await cycle();
  const kept = await feedPosition(lived);
  await server.run(dump, '-Fc', '-d', lived.url, '-f', file);
  tenant.deleteUser(tenant.users()[1]?.id ?? '');
  await cycle();
  const lost = await feedPosition(lived);

  await server.ask('create database second owner directory_copy');
  await server.run(restore, '-d', server.url('second', 'directory_copy'), '--exit-on-error', file);
  const second = openOwned(server, onTestFinished, 'second');
  await expectSchemaPage(second.url);
  await expectSound(second.database, tenant.tenantId);
  expect((await runCli(['migrate', '--check'], { DATABASE_URL: second.url })).stdout).toContain('up to date');
  await expect(readFeed(second, lost)).rejects.toEqual(refused);
  expect(await readFeed(second, kept)).toEqual([]);
  await cycleOf(simulator, tenant.tenantId, second.database);
  await expectTruth(tenant, second.database);
  await expectSound(second.database, tenant.tenantId);
  await expect(readFeed(second, lost)).rejects.toEqual(refused);
  expect((await readFeed(second, kept)).map(({ kind }) => kind)).toContain('account.removed');

  // Over the same database: nothing tells it from the one before.
  await lived.database.raw('drop schema directory, entra_sync, entra_sync_jobs cascade');
  await server.run(restore, '-d', lived.url, '--exit-on-error', file);
  expect((await runCli(['migrate', '--restored'], { DATABASE_URL: lived.url })).code).toBe(0);
  for (const position of [kept, lost]) await expect(readFeed(lived, position)).rejects.toEqual(refused);
  await cycleOf(simulator, tenant.tenantId, lived.database);
  await expectTruth(tenant, lived.database);
});
