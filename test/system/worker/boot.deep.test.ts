// A service that starts while its database is away: it waits, alive and not ready, and works as soon as the database is
// there. What a person has to mend ends it at once.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { expectOneLine, type Running, startCli } from '../../support/cli.ts';
import { type Fleet, openFleet, stopWorker, until, untilCycles } from '../../support/fleet.ts';
import { expectTruth } from '../../support/system.ts';

// Processes start slowly on a busy machine.
/** A port where nothing listens before `open`, which leads it to the database. */
async function openAbsent(url: string) {
  const listen = (server: Server, port: number) =>
    new Promise<number>((resolve) => {
      server.listen(port, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    });
  const before = createServer();
  const port = await listen(before, 0);
  await new Promise((resolve) => before.close(resolve));
  const real = new URL(url);
  const absent = new URL(url);
  absent.host = `127.0.0.1:${port}`;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(real.port || 5432), real.hostname);
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => {}));
    client.pipe(upstream).pipe(client);
  });
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { url: absent.href, open: () => listen(server, port) };
}

/** Starts a verb, and kills it at the end of the test if it still runs. */
function start(args: readonly string[], environment: Record<string, string>): Running {
  const running = startCli(args, environment);
  onTestFinished(() => void running.child.kill('SIGKILL'));
  return running;
}

async function openAway(): Promise<{ fleet: Fleet; environment: Record<string, string>; open(): Promise<unknown> }> {
  const fleet = await openFleet({ count: 1, users: 3 });
  const { url, open } = await openAbsent(fleet.url);
  return { fleet, open, environment: { ...fleet.environment, DATABASE_URL: url } };
}

const linesOf = (text: string) =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));

test('rule 21: a worker whose database is away waits, alive and not ready, and syncs once the database is there', async () => {
  const { fleet, environment, open } = await openAway();
  const worker = start(['worker'], environment);
  const shown = await worker.shows(/"waiting for the database"/);
  const address = /"address":"(http:[^"]+)"/.exec(shown)?.[1] ?? '';
  const ask = async (path: string) => {
    const answer = await fetch(`${address}${path}`);
    return `${answer.status} ${await answer.text()}`;
  };
  expect([await ask('/livez'), await ask('/readyz')]).toEqual(['200 ok\n', '503 not ready: database_unreachable\n']);
  expect(await ask('/metrics')).toContain('entra_sync_database_up 0');
  await open();
  await untilCycles(fleet, 1);
  for (const tenant of fleet.tenants) await expectTruth(tenant, fleet.database);
  await until('it is ready', async () => (await ask('/readyz')) === '200 ok\n');
  const ended = await stopWorker(worker);
  expect(ended.code, ended.stderr).toBe(0);
  const lines = linesOf(ended.stderr);
  expect(lines.filter(({ level }) => level === 'error')).toEqual([]);
  expect(lines.find(({ msg }) => msg === 'waiting for the database')).toMatchObject({
    ...{ level: 'warn', code: 'database_unreachable', reason: expect.stringContaining('ECONNREFUSED') },
    cure: 'check DATABASE_URL and that the server is running',
  });
  expect(lines.map(({ msg }) => msg)).toEqual(expect.arrayContaining(['the database answers', 'worker started']));
});

test('the consent page whose database is away waits too', async () => {
  const { environment, open } = await openAway();
  const page = start(['connect', '--port', '0', '--public-url', 'http://localhost:8080'], environment);
  await page.shows(/"waiting for the database"/);
  await open();
  const shown = await page.shows(/The consent page is served at/);
  const address = /served at (http:\S+),/.exec(shown)?.[1] ?? '';
  expect((await fetch(`${address}/readyz`)).status).toBe(200);
  expect((await stopWorker(page)).code).toBe(0);
});

test.each([{ args: ['worker'] }, { args: ['connect', '--port', '0', '--public-url', 'http://localhost:8080'] }])(
  'SIGTERM ends $args at once while it waits, with 0',
  async ({ args }) => {
    const { environment } = await openAway();
    const running = start(args, environment);
    await running.shows(/"waiting for the database"/);
    const ended = await stopWorker(running);
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.seconds).toBeLessThan(5);
  },
);

test.each([
  ['a wrong password', { password: 'wrong' }, /the database refused: password authentication/],
  ['no such database', { pathname: '/nowhere' }, /the database refused: database "nowhere"/],
])('%s ends a worker and the consent page at once, with 7', async (_, spoilt, says) => {
  const fleet = await openFleet({ count: 1, users: 1 });
  const url = Object.assign(new URL(fleet.url), spoilt);
  for (const verb of ['worker', 'connect'])
    expectOneLine(await start([verb], { ...fleet.environment, DATABASE_URL: url.href }).ended, 7, says);
});
