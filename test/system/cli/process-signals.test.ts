// Real processes of the command line at the same time: stopped by SIGTERM, frozen by SIGSTOP past their lease, and
// woken; during a page and during a commit (rules 1, 11, 12).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { ExpectedError } from '../../../src/errors.ts';
import { packageFile } from '../../../src/package-files.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { expectOneLine, type Running, startCli } from '../../support/cli.ts';
import { openBreakablePath } from '../../support/cut-connection.ts';
import { isDeep, rowsOf } from '../../support/deep.ts';
import { groupsSeen, groupTruth } from '../../support/groups-truth.ts';
import { expectSound } from '../../support/soundness.ts';
import { expectTruth, failureOf, isDeltaRequest, openWorld, type World } from '../../support/system.ts';

async function openProcesses(idleTimeout = '60s') {
  const world = await openWorld({ users: 12, groups: 3, simulator: { pageSize: 2 } });
  const [name] = await rows<{ name: string }>(world.database, 'select current_database() as name');
  // For new connections only, so for the processes that start later.
  await world.database.raw(`alter database ${name?.name} set idle_in_transaction_session_timeout = '${idleTimeout}'`);
  const path = await openBreakablePath(world.url);
  const environment = { ...world.simulator.environment(world.tenant.tenantId), DATABASE_URL: path.url };
  return { world, path, start: (...args: string[]) => startCli(args, environment) };
}

/** Resolves when the n-th request to users/delta has arrived and `then` is done; then the request is answered. */
function onUsersPage(world: World, nth: number, then: () => unknown): Promise<void> {
  let page = 0;
  return new Promise((resolve) => {
    const off = world.simulator.intercept(async ({ url }) => {
      if (isDeltaRequest(url)) page += 1;
      if (page !== nth || !isDeltaRequest(url)) return undefined;
      off();
      await then();
      resolve();
      return undefined;
    });
  });
}

/** Runs `then` when the server has moved the checkpoint of users in a transaction that is still open. */
function inCommit(path: Awaited<ReturnType<typeof openBreakablePath>>, then: () => unknown): Promise<void> {
  return new Promise((resolve) => {
    path.watch(async ({ sql }, moment) => {
      if (!sql.includes('insert into entra_sync.checkpoints') || moment !== 'unanswered') return undefined;
      path.watch(() => undefined);
      await then();
      resolve();
      return undefined;
    });
  });
}

async function expectWhole({ tenant, database }: World): Promise<void> {
  await expectTruth(tenant, database);
  expect(await groupsSeen(database, tenant.tenantId)).toEqual(groupTruth(tenant));
  await expectSound(database, tenant.tenantId);
  expect(await rows(database, "select from entra_sync.cycles where outcome = 'running'")).toEqual([]);
}

const cycles = ({ database }: World) =>
  rows(database, 'select outcome, error_code from entra_sync.cycles order by cycle_id');
const hearts = ({ database }: World) => rows(database, 'select from entra_sync.heartbeats');
const expire = ({ database }: World) =>
  database.raw("update entra_sync.heartbeats set expires_at = clock_timestamp() - interval '1 ms'");

/** Runs a cycle, again and again while a transaction of the sleeping process holds the fence. */
async function takeOver(world: World): Promise<void> {
  const error = await world.cycle().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ExpectedError && error.code === 'cycle_running') return takeOver(world);
  if (error) throw error;
}

async function wake(running: Running) {
  running.child.kill('SIGCONT');
  return running.ended;
}

test.runIf(isDeep)(
  'rule 12: SIGTERM ends a sync after the page in flight: lease free, cycle cancelled, exit 130, and the next sync resumes',
  async () => {
    const { world, path, start } = await openProcesses();
    const running = start('sync');
    await onUsersPage(world, 4, () => running.child.kill('SIGTERM'));
    expectOneLine(await running.ended, 130, /interrupted; nothing half done is visible -> .*resumes where it stopped$/);
    expect(await cycles(world)).toEqual([{ outcome: 'cancelled', error_code: 'interrupted' }]);
    expect(await hearts(world)).toEqual([]);
    const [round] = await rows<{ pages: number; resume_link: string }>(
      world.database,
      "select pages, resume_link from entra_sync.rounds where stream = 'users'",
    );
    expect(round?.pages).toBeGreaterThanOrEqual(1);
    world.simulator.clearRequests();
    expect((await start('sync').ended).code).toBe(0);
    expect(world.deltaRequests()[0]).toBe(round?.resume_link.slice(world.simulator.origin.length));
    expect(world.deltaRequests()).toHaveLength(6 - Number(round?.pages));
    await expectWhole(world);
    await path.close();
  },
);

test.runIf(isDeep)('rules 1 and 12: SIGTERM during a commit lets the commit end', async () => {
  const { world, path, start } = await openProcesses();
  const running = start('sync');
  await inCommit(path, () => running.child.kill('SIGTERM'));
  const { code } = await running.ended;
  expect([0, 130], 'as the other stream had ended or not').toContain(code);
  expect(await rows(world.database, "select from entra_sync.checkpoints where stream = 'users'")).toHaveLength(1);
  expect(await hearts(world)).toEqual([]);
  expect(await cycles(world)).toEqual([
    code === 0 ? { outcome: 'committed', error_code: null } : { outcome: 'cancelled', error_code: 'interrupted' },
  ]);
  await world.cycle();
  await expectWhole(world);
  await path.close();
});

test.runIf(isDeep)('rule 11: a second process on one tenant is refused with exit 6', async () => {
  const { world, path, start } = await openProcesses();
  const first = start('sync');
  await onUsersPage(world, 2, async () => {
    expectOneLine(await start('sync').ended, 6, /another cycle of tenant .* is running \(held by .*, process \d+;/);
  });
  expect((await first.ended).code).toBe(0);
  expect(await cycles(world)).toEqual([{ outcome: 'committed', error_code: null }]);
  await expectWhole(world);
  await path.close();
});

test.runIf(isDeep)('rule 11: a process that sleeps past its lease finds that it was replaced, exit 6', async () => {
  const { world, path, start } = await openProcesses('2s');
  const sleeper = start('sync');
  await onUsersPage(world, 3, () => sleeper.child.kill('SIGSTOP'));
  await expire(world);
  await takeOver(world);
  world.tenant.updateUser(world.tenant.users()[0]?.id ?? '', { jobTitle: 'Captain' });
  await world.cycle();
  const ended = await wake(sleeper);
  // Its other stream may have been frozen in a transaction that the server has ended.
  if (ended.code !== 7) expectOneLine(ended, 6, /another process has taken over tenant .*; this one stops/);
  expect(await cycles(world)).toEqual([
    // Groups may have been committed before.
    { outcome: expect.stringMatching(/^(failed|partial)$/), error_code: 'cut_off' },
    { outcome: 'committed', error_code: null },
    { outcome: 'committed', error_code: null },
  ]);
  await expectWhole(world);
  await path.close();
});

test.runIf(isDeep)(
  'rules 1 and 11: a process that is frozen during its commit keeps others out until the server ends its transaction',
  async () => {
    const { world, path, start } = await openProcesses('6s');
    const sleeper = start('sync');
    await inCommit(path, () => sleeper.child.kill('SIGSTOP'));
    await expire(world);
    expect(await failureOf(world.cycle())).toMatchObject({
      code: 'cycle_running',
      message: expect.stringContaining('it is writing right now'),
    });
    await takeOver(world);
    await expectWhole(world);
    const ended = await wake(sleeper);
    // Its other stream may find first that the tenant is another process's.
    if (ended.code === 6) expectOneLine(ended, 6, /another process has taken over tenant/);
    else
      expectOneLine(
        ended,
        7,
        /the connection to the database broke before the commit, nothing was changed -> run the command again/,
      );
    expect((await cycles(world))[0]).toEqual({ outcome: 'failed', error_code: 'cut_off' });
    await expectWhole(world);
    await path.close();
  },
);

const breaks = [
  { when: 'after', code: 0 },
  { when: 'before', code: 7 },
] as const;

test.each(rowsOf(breaks, ({ when }) => when === 'after'))(
  'rule 12: a command whose connection breaks $when its COMMIT was done reports the outcome, exit $code',
  async ({ when, code }) => {
    const { world, path, start } = await openProcesses();
    path.breakAtCommit(when);
    const ended = await start('tenant', 'rename', world.tenant.tenantId, '--name', 'Fabrikam').ended;
    const [{ name } = { name: '' }] = await rows<{ name: string }>(
      world.database,
      'select name from entra_sync.tenants',
    );
    expect({ code: ended.code, renamed: name === 'Fabrikam' }, ended.stderr).toEqual({ code, renamed: code === 0 });
    if (code !== 0)
      expectOneLine(ended, code, /broke before the commit, nothing was changed -> run the command again$/);
    await path.close();
  },
);

test.runIf(isDeep)('rule 12: a killed process blocks nothing: the next one resumes at once', async () => {
  const { world, path, start } = await openProcesses();
  const killed = start('sync');
  await inCommit(path, () => killed.child.kill('SIGKILL'));
  await once(killed.child, 'exit');
  await takeOver(world);
  expect(await cycles(world)).toEqual([
    { outcome: 'failed', error_code: 'cut_off' },
    { outcome: 'committed', error_code: null },
  ]);
  await expectWhole(world);
  await path.close();
});

test.runIf(isDeep)('SIGTERM to `npm run` ends the program too, and leaves no orphan', async () => {
  const npm = spawn('npm', ['run', '--silent', 'entra-sync', '--', 'simulate'], {
    cwd: packageFile(),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  // Standard output closes when the last process that holds it has ended.
  const closed = once(npm.stdout, 'close');
  await once(npm.stdout, 'data');
  npm.kill('SIGTERM');
  npm.stdout.resume();
  await closed;
});
