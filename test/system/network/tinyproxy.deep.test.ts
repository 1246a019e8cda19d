// The worker behind a real proxy that asks for a password: the right one, a wrong one, none, and a proxy that is killed in
// the middle of a cycle.
import { describe, expect, onTestFinished, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { expectOneLine, runCli } from '../../support/cli.ts';
import { closeGate, openFleet, stopWorker, until, untilCycles } from '../../support/fleet.ts';
import { expectTruth } from '../../support/system.ts';
import { hasTinyproxy, startTinyproxy } from '../../support/tinyproxy.ts';

const password = 'top-secret';
const login = `clerk ${password}`;
const urlOf = (port: number, user: string) => `http://${user}@127.0.0.1:${port}`;
const right = 'clerk:%74op-secret';

describe.skipIf(!hasTinyproxy)('a worker behind tinyproxy (skipped without it: apt-get install tinyproxy)', () => {
  test('with the right password reads its tenant through the proxy, and by NO_PROXY past it', async () => {
    const fleet = await openFleet({ count: 1, users: 3 });
    const [tenant] = fleet.tenants;
    if (!tenant) throw new Error('no tenant');
    const proxy = await startTinyproxy(onTestFinished, login);
    const variables = { HTTPS_PROXY: urlOf(proxy.port, right) };
    const worker = fleet.worker([], variables);
    expect(await untilCycles(fleet, 1)).toMatchObject([{ outcome: 'committed' }]);
    await expectTruth(tenant, fleet.database);
    const connects = await proxy.connects();
    expect(connects).toBeGreaterThan(0);
    const { stderr } = await stopWorker(worker);
    expect(stderr).not.toMatch(/op-secret/);
    const past = fleet.worker([], { ...variables, NO_PROXY: 'localhost' });
    await fleet.makeDue();
    expect(await untilCycles(fleet, 2)).toMatchObject([{}, { outcome: 'committed' }]);
    expect(await proxy.connects()).toBe(connects);
    await stopWorker(past);
  });

  test.each([
    ['a wrong password', urlOf(1, 'clerk:wrong-secret')],
    ['no password', 'http://127.0.0.1:1'],
  ])('rule 16: with %s is told at once what to set, without a retry, and blames no tenant', async (_, url) => {
    const fleet = await openFleet({ count: 1, users: 1 });
    const proxy = await startTinyproxy(onTestFinished, login);
    const worker = fleet.worker([], { HTTPS_PROXY: url.replace(/1$/, String(proxy.port)) });
    expect(await untilCycles(fleet, 1)).toMatchObject([{ outcome: 'failed', error_code: 'proxy_refused' }]);
    await worker.shows(/"msg":"cycle failed"/);
    const { stderr } = await stopWorker(worker);
    expect(await rows(fleet.database, 'select status, failures from entra_sync.tenants')).toEqual([
      { status: 'pending', failures: 0 },
    ]);
    const [told] = stderr
      .split('\n')
      .filter((line) => line.includes('"level":"warn"') && line.includes('proxy_refused'))
      .map((line) => JSON.parse(line));
    expect(told).toMatchObject({
      // tinyproxy answers 401 to a wrong password.
      reason: expect.stringMatching(/^the proxy asks for a user and a password, or refuses those it got \(40[17]\)$/),
      cure: expect.stringContaining('HTTPS_PROXY, percent-encoded'),
    });
    expect(stderr, 'no retry').not.toContain('waiting for Graph');
    expect(stderr).not.toContain('wrong-secret');
    expect(fleet.simulator.requests).toEqual([]);
  });

  test('rule 12: goes on with its round when the proxy is killed in the middle and comes back', async () => {
    const fleet = await openFleet({ count: 1, users: 3 });
    const [tenant] = fleet.tenants;
    if (!tenant) throw new Error('no tenant');
    const proxy = await startTinyproxy(onTestFinished, login);
    const gate = closeGate(fleet.simulator, ({ url }) => url.includes('/users/delta'));
    onTestFinished(gate.open);
    const worker = fleet.worker([], { HTTPS_PROXY: urlOf(proxy.port, right) });
    await until('a page is asked for', () => gate.waiting.size > 0);
    await proxy.kill();
    await worker.shows(/"reason":"(ECONNREFUSED|ECONNRESET|UND_ERR_SOCKET)".*waiting for Graph/);
    gate.open();
    await proxy.start();
    expect((await untilCycles(fleet, 1)).at(-1)).toMatchObject({ outcome: 'committed' });
    await expectTruth(tenant, fleet.database);
    expect((await stopWorker(worker)).code).toBe(0);
  });

  test('https:// before a proxy that speaks no TLS, and SOCKS, end with one line before anything is asked', async () => {
    const fleet = await openFleet({ count: 1, users: 1 });
    const proxy = await startTinyproxy(onTestFinished, login);
    const run = (url: string) => runCli(['sync'], { ...fleet.environment, HTTPS_PROXY: url });
    const address = `${right}@127.0.0.1:${proxy.port}`;
    expectOneLine(await run(`https://${address}`), 2, /the proxy of HTTPS_PROXY speaks no TLS -> write http:\/\//);
    expectOneLine(await run(`socks5://${address}`), 2, /HTTPS_PROXY names a SOCKS proxy/);
    expect(await run(address), 'without a scheme').toMatchObject({ code: 0 });
    expect(await fleet.cycles()).toMatchObject([{ outcome: 'committed' }]);
  });
});
