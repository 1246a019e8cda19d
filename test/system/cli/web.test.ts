// `web --local` as a process, `web sessions` and `audit`.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { createTenant } from '../../../src/simulator/index.ts';
import { expectOneLine, runCli, startCli } from '../../support/cli.ts';
import { openBrowser } from '../../support/consent.ts';
import { isDeep } from '../../support/deep.ts';
import { freePort } from '../../support/free-port.ts';
import { openWorld, trust } from '../../support/system.ts';

test.runIf(isDeep)(
  'web --local lets the browser of the printed address in, and the audit tells what it did',
  async ({ onTestFinished }) => {
    const world = await openWorld({ users: 3, onEnd: onTestFinished });
    const environment = { ...world.simulator.environment(), DATABASE_URL: world.url };
    const port = await freePort('127.0.0.1');
    // The login name of a container names no person.
    expectOneLine(await runCli(['web', '--local'], environment), 2, /no name was given.*-> .*--actor NAME/);
    expectOneLine(await runCli(['web', '--local', '--actor', 'Ann', '--port', '0'], environment), 2, /port/);

    const running = startCli(['web', '--local', '--actor', 'Ann', '--port', String(port)], environment);
    const first = /http:\/\/127\.0\.0\.1:\d+\/enter\/\S+/.exec(await running.shows(/\/enter\/\S+\n/))?.[0] ?? '';
    running.type('');
    const shown = await running.shows(/\/enter\/\S+\n[\s\S]*\/enter\/\S+\n/);
    const second = [...shown.matchAll(/http:\/\/\S+\/enter\/\S+/g)].at(-1)?.[0] ?? '';
    expect(second).not.toBe(first);
    const open = (address: string, cookie = '', init: RequestInit = {}) =>
      fetch(address, { ...init, redirect: 'manual', headers: { cookie, ...init.headers } });
    // Enter has ended the first address.
    expect((await open(first)).status).toBe(401);
    const entered = await open(second);
    expect(entered.status).toBe(303);
    const cookie = entered.headers.get('set-cookie')?.split(';')[0] ?? '';
    const page = await (await open(`http://127.0.0.1:${port}/console`, cookie)).text();
    expect(page).toContain(world.tenant.name.replace('&', '&amp;'));
    expect(page).toContain('ops · Ann');
    expect((await open(`http://127.0.0.1:${port}/readyz`)).status).toBe(200);

    const token = /name="_token" value="([^"]+)"/.exec(page)?.[1] ?? '';
    const sync = `http://127.0.0.1:${port}/console/t/${world.tenant.tenantId}/sync`;
    const sent = {
      method: 'POST',
      body: new URLSearchParams({ _token: token }),
      headers: { 'sec-fetch-site': 'same-origin' },
    };
    expect((await open(sync, cookie, sent)).status).toBe(303);

    const { sessions } = JSON.parse((await runCli(['web', 'sessions', 'list', '--json'], environment)).stdout);
    expect(sessions).toMatchObject([{ actor: 'Ann', ops: 'act', tenant_id: null }]);
    const ended = await runCli(['web', 'sessions', 'end', sessions[0].session_id, '--actor', 'Bob'], environment);
    expect(ended.code, ended.stderr).toBe(0);
    expect((await open(`http://127.0.0.1:${port}/console`, cookie)).status).toBe(401);
    expectOneLine(await runCli(['web', 'sessions', 'end', 'f00'], environment), 2, /no open session/);
    expectOneLine(await runCli(['web', 'sessions', 'end'], environment), 2, /name one session/);

    const audit = async (...more: string[]) =>
      JSON.parse((await runCli(['audit', ...more, '--json'], environment)).stdout).audit;
    expect((await audit()).map((line: { act: string; actor: string }) => `${line.act} ${line.actor}`)).toEqual([
      'session.ended Bob',
      'tenant.sync_requested Ann',
      'sign_in.local Ann',
    ]);
    expect(await audit(world.tenant.name)).toMatchObject([
      { act: 'tenant.sync_requested', role: 'ops_act', via: 'web' },
    ]);
    const table = await runCli(['audit', '--by', 'ann'], environment);
    expect(table.stdout).toMatch(/tenant\.sync_requested.*Ann.*ops_act/);
    running.interrupt();
    const { code, stderr } = await running.ended;
    expect([code, stderr]).toEqual([0, expect.stringContaining('stopped')]);
    // Neither the cookie nor a token is logged.
    expect(stderr).not.toContain(cookie.split('=')[1]);
  },
);

test.runIf(isDeep)('the portal takes a role, and says which command is missing', async ({ onTestFinished }) => {
  const world = await openWorld({ users: 3, onEnd: onTestFinished });
  await world.cycle();
  const environment = { ...world.simulator.environment(), DATABASE_URL: world.url };
  const [user] = world.tenant.users();
  const principal = String(user?.properties.userPrincipalName);
  const local = ['web', '--local', '--actor', 'Ann', '--as'];
  expectOneLine(await runCli([...local, 'nobody at all'], environment), 2, /no account .*-> entra-sync find/);
  expectOneLine(await runCli([...local, principal], environment), 2, /ENTRA_SYNC_PORTAL_ROLE .*-> entra-sync grant/);
  expectOneLine(await runCli(['web', '--as', principal], environment), 2, /--as is for --local/);
  expectOneLine(await runCli(['web', '--parts', 'portal'], environment), 2, /ENTRA_SYNC_PORTAL_ROLE/);
  const role = `portal_${randomUUID().slice(0, 8)}`;
  const withRole = { ...environment, ENTRA_SYNC_PORTAL_ROLE: role };
  expectOneLine(await runCli([...local, principal], withRole), 2, /the server has no such role -> create role/);
  await world.database.raw(`create role ${role}`);
  onTestFinished(async () => {
    await world.database.raw(`drop owned by ${role}; drop role ${role}`);
  });
  expectOneLine(await runCli([...local, principal], withRole), 2, /-> entra-sync grant portal_\w+ --tenant-bound/);
  expect((await runCli(['grant', role, '--tenant-bound'], environment)).code).toBe(0);
  if (!isDeep) return;
  const port = String(await freePort('127.0.0.1'));
  const running = startCli([...local, principal, '--port', port], withRole);
  const address = /http:\/\/127\.0\.0\.1:\d+\/enter\/\S+/.exec(await running.shows(/\/enter\/\S+\n/))?.[0] ?? '';
  const page = await openBrowser().open(address);
  expect([page.url, page.status]).toEqual([`http://127.0.0.1:${port}/me`, 200]);
  expect(page.text).toContain('opened by Ann on this machine. Nothing can be saved here.');
  running.interrupt();
  expect((await running.ended).code).toBe(0);
});

test.runIf(isDeep)('acts of the command line are in the audit, with their actor', async ({ onTestFinished }) => {
  const world = await openWorld({ users: 3, onEnd: onTestFinished });
  await world.cycle();
  const environment = { ...world.simulator.environment(), DATABASE_URL: world.url };
  const { tenantId, name } = world.tenant;
  const run = async (...words: string[]) => {
    const { code, stderr } = await runCli([...words, '--actor', 'Ann'], environment);
    expect([words.join(' '), code, stderr]).toEqual([words.join(' '), 0, expect.any(String)]);
  };
  const [person] = world.tenant.users();
  const principal = String(person?.properties.userPrincipalName);
  await run('tenant', 'pause', name);
  await run('tenant', 'resume', '--all', '--confirm');
  await run('tenant', 'retry', name);
  await run('connect', '--print-url', '--ref', 'customer-9');
  await run('connect', '--withdraw', '--ref', 'customer-9');
  await run('person', 'export', principal);
  await run('person', 'erase', principal, '--confirm', String(person?.properties.displayName));
  await run('tenant', 'disconnect', name);
  await run('tenant', 'purge', name, '--confirm', name);
  const { stdout } = await runCli(['audit', '--json'], environment);
  const lines: { act: string; actor: string; via: string; tenant_id: string | null }[] = JSON.parse(stdout).audit;
  for (const line of lines) expect(line).toMatchObject({ actor: 'Ann', via: 'cli', role: 'cli' });
  // One line of the purged tenant stays; the invitations named none.
  expect(lines.map(({ act }) => act)).toEqual(['tenant.purged', 'invitation.withdrawn', 'invitation.created']);
  expect(lines[0]).toMatchObject({ tenant_id: tenantId, detail: { accounts: expect.any(Number) } });
});

test.runIf(isDeep)(
  'web signs the vendor’s people in by a registration that reads no directory, and ends within its time',
  async ({ onTestFinished }) => {
    const vendor = createTenant({ seed: 41, users: 1, name: 'Vendor' });
    const world = await openWorld({ users: 3, others: [vendor], onEnd: onTestFinished });
    const { options } = world.simulator;
    options.signInApplication = { clientId: randomUUID(), clientSecret: 'the secret of sign-in' };
    options.appRoles = { 'user@vendor.example': ['Ops.Read'] };
    const { AZURE_CLIENT_SECRET: _, AZURE_CLIENT_ID: __, ...variables } = world.simulator.environment();
    const environment = {
      ...{ ...variables, DATABASE_URL: world.url, ENTRA_SYNC_OPS_TENANT: vendor.tenantId },
      ENTRA_SYNC_SIGN_IN_CLIENT_ID: options.signInApplication.clientId,
      ENTRA_SYNC_SIGN_IN_CLIENT_SECRET: options.signInApplication.clientSecret,
    };
    const port = String(await freePort());
    const served = ['web', '--host', 'localhost', '--port', port];
    // The consent page does need the credential that reads directories.
    expectOneLine(await runCli(served, environment), 2, /AZURE_CLIENT_ID/);
    expectOneLine(await runCli([...served, '--parts', 'nothing'], environment), 2, /console, portal, connect/);
    const wrong = { ...environment, ENTRA_SYNC_TRUSTED_PROXIES: 'proxy.example' };
    expectOneLine(await runCli([...served, '--parts', 'console'], wrong), 2, /ENTRA_SYNC_TRUSTED_PROXIES/);

    trust(world.simulator.certificate);
    const running = startCli([...served, '--parts', 'console', '--metrics-port', '0'], environment);
    const said = await running.shows(/Served at .*: console/);
    const browser = openBrowser();
    const picker = await browser.open(`http://localhost:${port}/`);
    const shown = await browser.open(`${picker.url}&account=user@vendor.example`);
    expect([shown.status, shown.url]).toEqual([200, `http://localhost:${port}/console`]);
    expect(shown.text).toContain('ops, reading only');
    const [, metricsAt = ''] = /metrics at (\S+)/.exec(said) ?? [];
    const metrics = await (await fetch(metricsAt)).text();
    expect(metrics).toContain('entra_sync_web_requests_total{method="GET",route="/console",status="200"} 1');
    expect(metrics).toContain('entra_sync_web_sign_ins_total{outcome="signed_in"} 1');
    expect(metrics).toContain('entra_sync_web_sessions 1');
    for (const path of ['livez', 'healthz', 'readyz'])
      expect((await fetch(`http://localhost:${port}/${path}`)).status, path).toBe(200);
    running.interrupt();
    const { code, stdout, stderr } = await running.ended;
    expect([code, stdout]).toEqual([0, expect.stringContaining('console')]);
    expect(stderr).not.toContain(options.signInApplication.clientSecret);
  },
);

test.runIf(isDeep)('web --parts connect serves the pages of connect', async ({ onTestFinished }) => {
  const world = await openWorld({ users: 1, onEnd: onTestFinished });
  const environment = { ...world.simulator.environment(), DATABASE_URL: world.url };
  const serve = async (...words: string[]) => {
    const port = String(await freePort());
    const running = startCli([...words, '--port', port], environment);
    await running.shows(/Served at|Listening|http:\/\/localhost/);
    const pageOf = async (path: string) => {
      const answer = await fetch(`http://localhost:${port}${path}`, { redirect: 'manual' });
      return [answer.status, (await answer.text()).replaceAll(port, 'PORT')];
    };
    return { running, pageOf };
  };
  const [alone, part] = [await serve('connect'), await serve('web', '--parts', 'connect')];
  const link = await runCli(['connect', '--print-url', '--ref', 'customer-9'], environment);
  const { pathname, search } = new URL(
    link.stdout
      .trim()
      .split(/\s+/)
      .find((one) => one.startsWith('http')) ?? '',
  );
  for (const path of [pathname + search, '/', '/none', '/callback', '/console']) {
    const shown = await part.pageOf(path);
    expect([path, ...shown]).toEqual([path, ...(await alone.pageOf(path))]);
  }
  expect(await alone.pageOf(pathname + search)).toEqual([200, expect.stringContaining('<h1')]);
  for (const { running } of [alone, part]) {
    running.interrupt();
    expect((await running.ended).code).toBe(0);
  }
});
