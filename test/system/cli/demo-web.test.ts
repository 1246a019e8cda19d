// `demo --web`: a tenant that goes on living, and the two ways in that show it.
import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from 'vitest';
import type { Run } from '../../../src/cli/command.ts';
import { createVendor, liveOn } from '../../../src/cli/verbs/demo-web.ts';
import { readEnvironment } from '../../../src/environment.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { expectOneLine, runCli, startCli, temporaryDirectory } from '../../support/cli.ts';
import { openBrowser } from '../../support/consent.ts';
import { isDeep } from '../../support/deep.ts';
import { freePort } from '../../support/free-port.ts';
import { openWorld } from '../../support/system.ts';

test.runIf(isDeep)('demo --web refuses a port that is taken before it begins', async ({ onTestFinished }) => {
  const home = await temporaryDirectory(onTestFinished);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const port = String((server.address() as AddressInfo).port);
  const ended = await runCli(['demo', '--web', '--port', port], { ENTRA_SYNC_HOME: home });
  expectOneLine(ended, 2, /cannot listen on port \d+ \(EADDRINUSE\) -> choose another one with --port/);
  expect(ended.stdout).toBe('');
  const shared = await runCli(['demo', '--web', '--port', '8082'], { ENTRA_SYNC_HOME: home });
  expectOneLine(shared, 2, /the two entrances cannot share a port -> give --port and --sign-in-port/);
});

test('demo --web lets each kind of person in or tells why not, and each edit in Entra ID is synced', async ({
  onTestFinished,
}) => {
  const vendor = await createVendor();
  const world = await openWorld({ users: 60, groups: 6, name: 'Contoso', others: [vendor], onEnd: onTestFinished });
  const { tenant, simulator, database } = world;
  const [manager, report] = tenant.users().filter(({ properties }) => properties.userType === 'Member');
  for (const one of [manager, report]) tenant.updateUser(one?.id ?? '', { accountEnabled: true });
  tenant.setManager(report?.id ?? '', manager?.id ?? '');
  await world.cycle();

  const lines: string[] = [];
  const closers: (() => Promise<void>)[] = [];
  const stop = new AbortController();
  const say = (text = '') => void lines.push(text);
  const run = {
    terminal: { say, print: say, note: say, answer: say, json: false, verbose: false },
    ...{ environment: readEnvironment({ LOG_LEVEL: 'silent' }), signal: stop.signal, actor: 'Ann' },
    onEnd: (close: () => Promise<void>) => void closers.push(close),
  } as unknown as Run;
  const [port, signInPort] = [await freePort('127.0.0.1'), await freePort()];
  const ended = liveOn({
    ...{ run, simulator, tenant, vendor, database, databaseUrl: world.url, port, signInPort, every: 1 },
    manager: manager?.id ?? '',
  });
  const text = () => lines.join('\n');
  await expect.poll(text, { timeout: 120_000 }).toMatch(/Ctrl-C ends it/);

  const url = `http://localhost:${signInPort}/`;
  const pageOf = async (principal: string) => {
    const browser = openBrowser();
    // Throws unless the picker offers this person.
    return browser.choose(await browser.open(url), principal);
  };
  // Each line of the table names a person who can be picked, and a page that is there for that person.
  const named = [...text().matchAll(/^ {4}(\S+@\S+) +(.+?) *$/gm)].map(([, principal = '', says = '']) => ({
    principal,
    says,
  }));
  expect(named.length).toBeGreaterThanOrEqual(8);
  for (const { principal, says } of named) {
    const { status, text: page } = await pageOf(principal);
    const title = /<h1>([^<]*)/.exec(page)?.[1] ?? '';
    const expected = says.includes('all tenants')
      ? [200, 'Tenants']
      : says.includes('Administrator')
        ? [200, 'Contoso']
        : says.includes('disabled')
          ? [403, 'Your account is disabled']
          : says.includes('not copied')
            ? [403, 'There is no account of yours']
            : says.includes('not connected')
              ? [403, 'Your organization is not connected']
              : says.includes('personal')
                ? [403, 'A personal account']
                : [200, 'My details'];
    expect([principal, status, title]).toEqual([principal, ...expected]);
  }
  const local = /http:\/\/127\.0\.0\.1:\d+\/enter\/\S+/.exec(text())?.[0] ?? '';
  expect((await openBrowser().open(local)).text).toContain('ops · Ann');

  // The worker has synced what the demo edited.
  await expect.poll(text, { timeout: 120_000 }).toMatch(/in Entra ID: .* is hired/);
  const hired = /in Entra ID: (.*) is hired/.exec(text())?.[1];
  const created = () =>
    rows(
      database,
      `select from directory.changes c join directory.accounts a using (account_id)
      where c.kind = 'account.created' and a.display_name = :hired`,
      { hired },
    );
  await expect.poll(async () => (await created()).length, { timeout: 120_000 }).toBe(1);
  stop.abort();
  await ended;
  for (const close of closers.reverse()) await close();
  await expect(fetch(url)).rejects.toThrow();
});

test.runIf(isDeep)('demo --web ends with Ctrl-C, and web --local opens its database', async ({ onTestFinished }) => {
  const home = await temporaryDirectory(onTestFinished);
  expectOneLine(await runCli(['demo', '--web', '--port', '0'], { ENTRA_SYNC_HOME: home }), 2, /any free one/);
  const port = String(await freePort('127.0.0.1'));
  const ports = ['--port', port, '--sign-in-port', String(await freePort())];
  const demo = startCli(['demo', '--users', '50', '--web', '--every', '1', ...ports], { ENTRA_SYNC_HOME: home });
  await demo.shows(/in Entra ID: .*is hired/);
  demo.interrupt();
  expect(await demo.ended).toMatchObject({ code: 0, stderr: expect.stringMatching(/stopped\n$/) });
  const local = startCli(['web', '--local', '--port', port], { ENTRA_SYNC_HOME: `${home}/demo` });
  const address = /http:\/\/\S+\/enter\/\S+/.exec(await local.shows(/\/enter\/\S+\n/))?.[0] ?? '';
  expect((await openBrowser().open(address)).text).toContain('Contoso');
  local.interrupt();
  expect((await local.ended).code).toBe(0);
});
