// Postgres dies while a cycle commits: one backend or the whole server, by SIGKILL or an immediate stop, in the middle of the
// transaction, just before its COMMIT and just after (rules 1, 2, 12). With a server of the test's own.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeDatabaseError, openDatabase, rows } from '../../../src/store/database/pool.ts';
import { isAlive } from '../../../src/store/embedded/binaries.ts';
import { type EmbeddedPostgres, openEmbedded } from '../../../src/store/embedded/embedded.ts';
import { migrate } from '../../../src/store/schema/migrate.ts';
import { temporaryDirectory } from '../../support/cli.ts';
import { type BreakablePath, openBreakablePath } from '../../support/cut-connection.ts';
import { groupsSeen, groupTruth } from '../../support/groups-truth.ts';
import { expectSound } from '../../support/soundness.ts';
import { until } from '../../support/stage.ts';
import { cycleOf, expectTruth, openWorld, type World } from '../../support/system.ts';

let home: string;
let removeHome: () => Promise<void>;
let server: EmbeddedPostgres;
let path: BreakablePath;
let databases = 0;

beforeAll(async () => {
  home = await temporaryDirectory((remove) => {
    removeHome = remove;
  });
  server = await openEmbedded({ home, database: 'first' });
  path = await openBreakablePath(server.url);
});

afterAll(async () => {
  await path.close();
  await server.close();
  await removeHome();
});

const postmaster = async () =>
  Number((await readFile(join(home, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0]);

async function startAnew(pid: number): Promise<void> {
  await until('the server is gone', () => !isAlive(pid));
  server = await openEmbedded({ home, database: 'first' });
  path.leadTo(server.url);
}

/** Ways for a server to die; each is back, or on its way, when it returns. */
const deaths = {
  'one backend is killed': async () => {
    const victims = await backends();
    process.kill(victims[0] ?? 0, 'SIGKILL');
  },
  'the server is stopped at once': async () => {
    const pid = await postmaster();
    process.kill(pid, 'SIGQUIT');
    await startAnew(pid);
  },
  'the server is killed': async () => {
    const pid = await postmaster();
    process.kill(pid, 'SIGKILL');
    await startAnew(pid);
  },
};

/** Returns the cycle's backend whose transaction has written. */
async function backends(): Promise<number[]> {
  const database = openDatabase(server.url, { applicationName: 'watcher' });
  try {
    const found = await rows<{ pid: number }>(
      database,
      `select pid from pg_stat_activity where application_name = 'victim' and backend_type = 'client backend'
        order by backend_xid is null, state = 'idle', pid`,
    );
    return found.map(({ pid }) => pid);
  } finally {
    await database.destroy();
  }
}

const moments = {
  'in the middle of its transaction': { of: 'checkpoint', moment: 'unanswered' },
  'before its COMMIT is sent': { of: 'commit', moment: 'before' },
  'after its COMMIT was done': { of: 'commit', moment: 'unanswered' },
} as const;

async function expectWhole({ tenant, database }: World): Promise<void> {
  await expectTruth(tenant, database);
  expect(await groupsSeen(database, tenant.tenantId)).toEqual(groupTruth(tenant));
  await expectSound(database, tenant.tenantId);
  expect(await rows(database, "select from entra_sync.cycles where outcome = 'running'")).toEqual([]);
}

/** Opens a world in a new database of the server, through the path. */
async function openVictim(): Promise<World> {
  databases += 1;
  const url = new URL(path.url);
  const name = `killed_${databases}`;
  const maker = openDatabase(server.url);
  await maker.raw(`create database ${name}`);
  await maker.destroy();
  url.pathname = `/${name}`;
  await migrate(url.href);
  return openWorld({ users: 12, groups: 3, simulator: { pageSize: 5 }, url: url.href });
}

test('rules 1, 2 and 12: Postgres dies in a commit, in three ways at three moments, and no cycle is half, lost or double', async () => {
  const world = await openVictim();
  const { tenant, simulator } = world;
  await world.cycle();
  for (const [death, die] of Object.entries(deaths)) {
    for (const [when, { of, moment }] of Object.entries(moments)) {
      const what = `${death} ${when}`;
      tenant.updateUser(tenant.users()[databases]?.id ?? '', { jobTitle: what });
      tenant.addMember(tenant.groups()[1]?.id ?? '', tenant.createUser());
      tenant.deleteUser(tenant.users()[5]?.id ?? '');
      let inCommit = false;
      let dead = false;
      path.watch(async ({ sql }, at) => {
        inCommit ||= sql.includes('insert into entra_sync.checkpoints') && at === 'unanswered';
        const here = of === 'checkpoint' || sql === 'COMMIT;';
        if (dead || !inCommit || !here || at !== moment) return undefined;
        dead = true;
        await die();
        return 'connection';
      });
      const victim = openDatabase(world.url, { applicationName: 'victim' });
      const end = await cycleOf(simulator, tenant.tenantId, victim).then(
        () => 'done',
        (error: unknown) => describeDatabaseError(error),
      );
      await victim.destroy().catch(() => {});
      path.mend();
      expect(dead, what).toBe(true);
      if (end === 'done') await expectWhole(world);
      else expect(end, what).toMatchObject({ code: 'database_unreachable' });
      await until(`${what}: the server answers`, () =>
        world.database.raw('update entra_sync.heartbeats set expires_at = clock_timestamp()').then(
          () => true,
          () => false,
        ),
      );
      await world.cycle();
      await expectWhole(world).catch((error: unknown) => {
        throw new Error(what, { cause: error });
      });
    }
  }
});
