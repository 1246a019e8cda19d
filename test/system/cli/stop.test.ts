// SIGTERM while a process waits: for a lock, for a database that does not answer, for Graph, for its own start. It ends
// within the ten seconds of a container, its lease is free for the next process, and nothing is lost (rules 11 and 12).
import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type Database, openDatabase, rows } from '../../../src/store/database/pool.ts';
import { openEmbedded } from '../../../src/store/embedded/embedded.ts';
import { migrate } from '../../../src/store/schema/migrate.ts';
import { expectOneLine, type Running, runCli, startCli, temporaryDirectory } from '../../support/cli.ts';
import { isDeep, rowsOf } from '../../support/deep.ts';
import { closeGate, type Fleet, openFleet, register, stopWorker, until } from '../../support/fleet.ts';
import { freshDatabase } from '../../support/postgres.ts';
import { untilBlocked } from '../../support/stage.ts';
import { expectTruth } from '../../support/system.ts';

// Processes start slowly on a busy machine. The time to end is asserted below.
const container = 10;
const verbs = [
  { verb: 'worker', code: 0 },
  { verb: 'sync', code: 130 },
] as const;

/** Starts a verb as a process, and kills it at the end of the test if it still runs. */
function startVerb(args: readonly string[], environment: Record<string, string>): Running {
  const running = startCli(args, environment);
  onTestFinished(() => void running.child.kill('SIGKILL'));
  return running;
}

async function expectStopped(running: Running, code: number): Promise<string> {
  const ended = await stopWorker(running);
  expect({ code: ended.code, inTime: ended.seconds < container }, ended.stderr).toEqual({ code, inTime: true });
  expect(ended.stderr).not.toMatch(/defect|^\s+at /m);
  // It ends by itself or by force, never both.
  expect((ended.stderr.match(/worker stopped|ended by force/g) ?? []).length, ended.stderr).toBeLessThan(2);
  return ended.stderr;
}

const hearts = (database: Database) => rows(database, 'select from entra_sync.heartbeats');

/** Expects that the next process takes the tenants at once, and stores the state of Entra ID. */
async function expectGoesOn({ database, tenants, environment }: Fleet): Promise<void> {
  expect((await runCli(['sync'], environment)).code).toBe(0);
  for (const tenant of tenants) await expectTruth(tenant, database);
  expect(await rows(database, "select from entra_sync.cycles where outcome = 'running'")).toEqual([]);
}

test.each(rowsOf(verbs, ({ verb }) => verb === 'sync'))(
  'rule 12: $verb in a commit that waits for a forgotten session: the statement is cancelled, exit $code',
  async ({ verb, code }) => {
    const fleet = await openFleet({ count: 1, users: 3 });
    const { database } = fleet;
    const forgotten = await database.transaction();
    await forgotten.raw('select from entra_sync.tenants for no key update');
    const running = startVerb([verb], fleet.environment);
    await untilBlocked(fleet, 1);
    await expectStopped(running, code);
    // While the forgotten session still holds its lock.
    expect(await hearts(database)).toEqual([]);
    expect(
      await rows(
        database,
        "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
      ),
    ).toEqual([]);
    await forgotten.rollback();
    await expectGoesOn(fleet);
  },
);

test.runIf(isDeep).each(['entra_sync_jobs.job', 'entra_sync.tenants'])(
  'rule 12: worker while a session locks the table %s against readers: the statement is cancelled, exit 0',
  async (table) => {
    const fleet = await openFleet({ count: 1, users: 3, registered: false });
    const worker = startVerb(['worker'], fleet.environment);
    await worker.shows(/"worker started"/);
    const forgotten = await fleet.database.transaction();
    await forgotten.raw(`lock table ${table} in access exclusive mode`);
    await untilBlocked(fleet, 1);
    expect(await expectStopped(worker, 0)).toContain('worker stopped');
    await forgotten.rollback();
  },
);

// It waits until connections are cut, so it belongs to the deep run.
test.runIf(isDeep).each(verbs)(
  'rule 12: $verb on a frozen database: exit $code, and the next process resumes after the thaw',
  async ({ verb, code }) => {
    const fleet = await openFleet({ count: 1, users: 3, registered: false });
    const home = await temporaryDirectory(onTestFinished);
    const server = await openEmbedded({ home, database: 'frozen' });
    const database = openDatabase(server.url);
    onTestFinished(async () => {
      await database.destroy();
      await server.close();
    });
    await migrate(server.url);
    await register(database, fleet.tenants);
    const environment = { ...fleet.environment, DATABASE_URL: server.url };
    const gate = closeGate(fleet.simulator, ({ url }) => /users\/delta/.test(url));
    const running = startVerb([verb], environment);
    await until('a cycle reads', () => gate.waiting.size > 0);
    const thaw = freeze(home);
    onTestFinished(thaw);
    gate.open();
    // The terminal shows the wait, as the worker's log does.
    if (verb === 'sync') await running.shows(/has waited \d+ s: the database does not answer/);
    await expectStopped(running, code);
    thaw();
    await expectGoesOn({ ...fleet, database, environment });
  },
);

/** Freezes all processes of the server. Returns a function that thaws them. */
function freeze(home: string): () => void {
  const postmaster = Number(readFileSync(join(home, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0]);
  const parentOf = (pid: string) => {
    try {
      return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    } catch {
      return 0;
    }
  };
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === postmaster);
  const all = [postmaster, ...children.map(Number)];
  const send = (signal: NodeJS.Signals) => {
    for (const pid of all) process.kill(pid, signal);
  };
  send('SIGSTOP');
  let frozen = true;
  return () => {
    if (frozen) send('SIGCONT');
    frozen = false;
  };
}

const silences = [
  ...verbs.map((one) => ({ ...one, what: 'a page', asks: /users\/delta/ })),
  ...verbs.map((one) => ({ ...one, what: 'a sign-in', asks: /oauth2\/v2\.0\/token/ })),
];

test.runIf(isDeep).each(silences)(
  'rule 12: $verb while Graph or Entra ID never answers $what: exit $code',
  async ({ verb, code, asks }) => {
    const fleet = await openFleet({ count: 1, users: 3 });
    const arrived = Promise.withResolvers<void>();
    const release = fleet.simulator.intercept(({ url }) => {
      if (!asks.test(url)) return undefined;
      arrived.resolve();
      return { hang: true };
    });
    const running = startVerb([verb], fleet.environment);
    await arrived.promise;
    await expectStopped(running, code);
    expect(await hearts(fleet.database)).toEqual([]);
    release();
    await expectGoesOn(fleet);
  },
);

const waiting = [
  { args: ['worker'], code: 0 },
  { args: ['connect'], code: 0 },
  { args: ['sync'], code: 130 },
  { args: ['migrate'], code: 130 },
  { args: ['status'], code: 130 },
];

test.runIf(isDeep).each(waiting)(
  '$args while it waits for the first answer of the database: exit $code',
  async ({ args, code }) => {
    const fleet = await openFleet({ count: 1, users: 1, registered: false });
    const arrived = Promise.withResolvers<void>();
    const silent = createServer(() => arrived.resolve()).listen(0, '127.0.0.1');
    onTestFinished(() => void silent.close());
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as AddressInfo;
    const running = startVerb(args, { ...fleet.environment, DATABASE_URL: `postgres://a:b@127.0.0.1:${port}/x` });
    await arrived.promise;
    await expectStopped(running, code);
  },
);

const starting = [
  { args: ['worker'], code: 0 },
  { args: ['sync'], code: 130 },
  { args: ['simulate', '--users', '1'], code: 130 },
];

test.runIf(isDeep).each(starting)(
  '$args at its very start: exit $code, or killed before the program began',
  async ({ args, code }) => {
    const fleet = await openFleet({ count: 1, users: 1 });
    const ends = await Promise.all(
      [0, 60, 150, 300].map(async (ms) => {
        const running = startVerb(args, fleet.environment);
        await new Promise((resolve) => setTimeout(resolve, ms));
        const { code: ended, stderr } = await stopWorker(running);
        return { ended, stderr };
      }),
    );
    // A simulator that already serves ends normally.
    for (const { ended, stderr } of ends)
      expect([code, args[0] === 'simulate' ? 0 : code, null], stderr).toContain(ended);
    for (const { ended, stderr } of ends) if (ended === null) expect(stderr).toBe('');
  },
);

test.runIf(isDeep)(
  'migrate during a migration: it is cancelled and rolled back, and the next run applies it',
  async () => {
    const fresh = await freshDatabase({ migrated: false });
    const database = openDatabase(fresh.url);
    onTestFinished(async () => {
      await database.destroy();
      await fresh.drop();
    });
    await database.raw(`
    create function public.hang() returns event_trigger language plpgsql as $$ begin perform pg_sleep(600); end $$;
    create event trigger hang on ddl_command_start when tag in ('CREATE VIEW') execute function public.hang()`);
    const running = startVerb(['migrate'], { DATABASE_URL: fresh.url });
    const hanging = "select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";
    await until('a migration hangs', async () => (await rows(database, hanging)).length > 0);
    const applied = () => rows<{ name: string }>(database, 'select name from entra_sync.migrations order by id');
    const before = await applied();
    const tables = () =>
      rows(database, "select relname from pg_class where relnamespace = 'entra_sync'::regnamespace order by 1");
    const there = await tables();
    await expectStopped(running, 130);
    expect(await rows(database, hanging)).toEqual([]);
    expect([await applied(), await tables()]).toEqual([before, there]);
    await database.raw('drop event trigger hang');
    expect((await runCli(['migrate'], { DATABASE_URL: fresh.url })).code).toBe(0);
    expect((await applied()).length).toBeGreaterThan(before.length);
  },
);

test.runIf(isDeep)('migrate while another process holds its lock: exit 130 in one line', async () => {
  const fresh = await freshDatabase();
  const database = openDatabase(fresh.url);
  onTestFinished(async () => {
    await database.destroy();
    await fresh.drop();
  });
  const other = await database.transaction();
  await other.raw('select pg_advisory_xact_lock(7305186414532914530)');
  const running = startVerb(['migrate'], { DATABASE_URL: fresh.url });
  await untilBlocked({ database }, 1);
  running.child.kill('SIGTERM');
  expectOneLine(await running.ended, 130, /interrupted; nothing half done is visible/);
  await other.rollback();
});
