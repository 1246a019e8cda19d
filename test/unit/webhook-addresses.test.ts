// Where webhooks may go (rule 53), what follows from an answer, and which kinds fit.
import { lookup } from 'node:dns/promises';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { kindsFilter, lotOf, outcomeOf } from '../../src/rules/webhooks.ts';
import { allowed, checkedLookup, isGlobal, problemOfUrl } from '../../src/webhooks/addresses.ts';
import { post } from '../../src/webhooks/post.ts';

describe('rule 53: an address that the whole internet reaches', () => {
  test.each([
    ...['8.8.8.8', '93.184.216.34', '2606:2800:220:1::1', '2a00:1450:4001::1'].map((one) => [one, true] as const),
    ...[
      '127.0.0.1',
      '168.63.129.16',
      '10.1.2.3',
      '172.16.0.1',
      '192.168.1.1',
      '169.254.169.254',
      '100.64.0.1',
      '0.0.0.0',
      '192.0.0.8',
    ].map((one) => [one, false] as const),
    ...['192.0.2.1', '198.18.0.1', '198.51.100.1', '203.0.113.5', '224.0.0.1', '240.0.0.1', '255.255.255.255'].map(
      (one) => [one, false] as const,
    ),
    ...['::1', '::', 'fe80::1', 'fc00::1', 'fd12:3456::1', 'ff02::1', '::ffff:10.0.0.1', '::ffff:8.8.8.8'].map(
      (one) => [one, false] as const,
    ),
    ...[
      '64:ff9b::8.8.8.8',
      '64:ff9b:1::1',
      '2002:a00:1::',
      '2001:db8::1',
      '2001::1',
      'fec0::1',
      '4000::1',
      '100::1',
    ].map((one) => [one, false] as const),
    ...['', 'localhost', '1.2.3', '8.8.8.8.8'].map((one) => [one, false] as const),
  ])('%j: %s', (address, isIt) => {
    expect(isGlobal(address)).toBe(isIt);
  });

  test.each([
    ['https://app.example.com/hook?x=1', false, undefined],
    ['http://app.example.com/hook', false, /https/],
    ['ftp://app.example.com/', false, /https/],
    ['https://ann:secret@app.example.com/', false, /password/],
    ['https://app.example.com/#part', false, /#/],
    ['nonsense', false, /no address/],
    [`https://app.example.com/${'x'.repeat(2_100)}`, false, /2,048/],
    ['https://127.0.0.1/', false, /internet/],
    // Other spellings of 127.0.0.1 and 169.254.169.254.
    ['https://2130706433/', false, /internet/],
    ['https://0x7f.1/', false, /internet/],
    ['https://[::ffff:a9fe:a9fe]/', false, /internet/],
    ['http://127.0.0.1:8080/', true, undefined],
    ['https://[::1]:8443/', true, undefined],
    ['http://10.0.0.1/', true, /loopback/],
    ['https://8.8.8.8/', true, /loopback/],
  ])('the address %s, on this machine: %s', (url, insecureLocal, problem) => {
    const found = problemOfUrl(url, insecureLocal);
    if (problem === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(problem);
  });

  test('rule 53: a name is looked up for each connection, and one that leads inside is not connected to', async () => {
    const answered = (may: (address: string) => boolean, all: boolean) =>
      new Promise((resolve) =>
        checkedLookup(may)('localhost', { all }, (error, found) => resolve(error ? error.message : found)),
      );
    expect(await answered(allowed(false), false)).toMatch(/no address that webhooks may go to/);
    const { address } = await lookup('localhost');
    expect(await answered(allowed(true), false)).toBe(address);
    expect(await answered(allowed(true), true)).toContainEqual(expect.objectContaining({ address }));
    const message = { body: '{}', headers: {} };
    const signal = new AbortController().signal;
    for (const url of ['https://localhost:1/', 'https://127.0.0.1:1/', 'http://localhost:1/'])
      expect((await post(url, message, { insecureLocal: false, signal })).problem, url).toMatch(
        /webhooks may go|https/,
      );
    expect((await post('http://10.255.0.1:1/', message, { insecureLocal: true, signal })).problem).toMatch(/may go/);
  });

  test('rule 53: with a proxy the host has to be named, since the proxy looks it up', async () => {
    const options = { insecureLocal: false, signal: new AbortController().signal, proxiedHosts: ['hooks.invalid'] };
    const answer = (url: string) => post(url, { body: '{}', headers: {} }, options);
    expect((await answer('https://app.invalid/')).problem).toMatch(/ENTRA_SYNC_WEBHOOK_HOSTS does not name/);
    expect((await answer('https://hooks.invalid/')).problem).toMatch(/no connection/);
  });
});

test.each([
  [{ status: 204 }, 0, 0, { kind: 'taken' }],
  [{ status: 410 }, 0, 0, { kind: 'paused', because: 'gone' }],
  [{ status: 301 }, 0, 0, { kind: 'again', inMs: 5_000 }],
  [{ status: null }, 3, 60_000, { kind: 'again', inMs: 40_000 }],
  [{ status: 500 }, 40, 60_000, { kind: 'again', inMs: 3_600_000 }],
  [{ status: 429, retryAfter: 60 }, 0, 0, { kind: 'again', inMs: 60_000 }],
  [{ status: 503, retryAfter: 86_400 }, 0, 0, { kind: 'again', inMs: 3_600_000 }],
  [{ status: 500 }, 200, 5 * 86_400_000, { kind: 'paused', because: 'failing' }],
] as const)('rule 52: %j after %i failures in %i ms: %j', (attempt, failures, failingMs, outcome) => {
  expect(outcomeOf(attempt, { failures, failingMs, random: 1 })).toEqual(outcome);
});

test('kinds fit their globs, and a purge always', () => {
  const fits = (globs: string[], kind: string) => kindsFilter(globs)(kind);
  expect(fits([], 'group.created')).toBe(true);
  expect(fits(['account.*'], 'account.updated')).toBe(true);
  expect(fits(['account.*'], 'group.created')).toBe(false);
  expect(fits(['account.updated', 'assigned.changed'], 'assigned.changed')).toBe(true);
  expect(fits(['a.b'], 'acb')).toBe(false);
  expect(fits(['group.*'], 'account.purged')).toBe(true);
  expect(fits([`${'*'.repeat(58)}x`], 'tenant.removals_held')).toBe(false);
});

test('a lot with values ends before it is too large for a receiver, and holds one change at least', () => {
  const changes = Array.from({ length: 150 }, () => ({
    before: null,
    after: { profile: { note: 'x'.repeat(32_000) } },
  }));
  expect(lotOf(changes, false)).toHaveLength(100);
  expect(lotOf(changes, true)).toHaveLength(15);
  expect(lotOf([{ before: 'x'.repeat(600_000), after: null }, ...changes], true)).toHaveLength(1);
  expect(lotOf([], true)).toEqual([]);
});

test('an answer that changes the protocol is an answer, and holds no worker', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.write('HTTP/1.1 101 x\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const options = { insecureLocal: true, signal: new AbortController().signal };
  expect(await post(`http://127.0.0.1:${port}/`, { body: '{}', headers: {} }, options)).toMatchObject({
    status: 101,
    problem: 'it changes the protocol',
  });
  await new Promise((resolve) => server.close(resolve));
});
