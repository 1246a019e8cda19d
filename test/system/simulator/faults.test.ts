// Bad days on demand, and what the simulator itself must survive.
import { connect as connectPlain } from 'node:net';
import { connect } from 'node:tls';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createTenant, type Simulator, startSimulator, throttled } from '../../../src/simulator/index.ts';
import { createReader, errorOf, send } from './client.ts';

const tenant = createTenant({ seed: 51, users: 5 });
let simulator: Simulator;
let reader: ReturnType<typeof createReader>;

beforeEach(async () => {
  simulator = await startSimulator({ tenants: [tenant] });
  reader = createReader(simulator);
  await reader.get('/v1.0/organization');
  simulator.clearRequests();
});
afterEach(() => simulator.close());

test('an interceptor sees the request with its tenant and number, and answers in its place until it is stopped', async () => {
  const seen: unknown[] = [];
  const stop = simulator.intercept(({ headers, ...request }) => {
    seen.push({ ...request, hasToken: 'authorization' in headers });
    return { status: 503, headers: { 'Retry-After': '7' }, body: '<html>busy</html>' };
  });
  const reply = await reader.ask('/v1.0/users?$top=1');
  expect([reply.status, reply.text, reply.headers['retry-after']]).toEqual([503, '<html>busy</html>', '7']);
  expect(seen).toEqual([
    { method: 'GET', url: '/v1.0/users?$top=1', tenantId: tenant.tenantId, number: 3, hasToken: true },
  ]);
  expect(simulator.requests).toMatchObject([{ method: 'GET', path: '/v1.0/users?$top=1', status: 503 }]);
  stop();
  expect((await reader.ask('/v1.0/users?$top=1')).status).toBe(200);
});

test('an interceptor that gives nothing lets the request pass; sign-in requests name the tenant, too', async () => {
  const tenants: unknown[] = [];
  simulator.intercept(async ({ url, tenantId }) => {
    tenants.push([url, tenantId]);
    return undefined;
  });
  const path = `/${tenant.tenantId}/v2.0/.well-known/openid-configuration`;
  expect((await send(simulator, path)).status).toBe(200);
  expect((await send(simulator, '/v1.0/users')).status).toBe(401);
  expect(tenants).toEqual([
    [path, tenant.tenantId],
    ['/v1.0/users', undefined],
  ]);
});

test('a ready-made 429 has the body of Graph and the Retry-After asked for', async () => {
  simulator.intercept(() => throttled('2.128'));
  const reply = await reader.ask('/v1.0/users');
  expect([reply.status, reply.headers['retry-after'], errorOf(reply).code]).toEqual([429, '2.128', 'TooManyRequests']);
});

test('a body can be cut: the correct one or one of the own, and the client sees the socket break', async () => {
  const stop = simulator.intercept(() => ({ cutAfterBytes: 20 }));
  await expect(reader.ask('/v1.0/users')).rejects.toThrow('aborted');
  expect(simulator.requests).toMatchObject([{ status: 200 }]);
  stop();
  simulator.intercept(() => ({ body: { value: [] }, cutAfterBytes: 3 }));
  await expect(reader.ask('/v1.0/users')).rejects.toThrow('aborted');
});

test('a socket can be destroyed without an answer', async () => {
  simulator.intercept(() => ({ destroy: true }));
  await expect(reader.ask('/v1.0/users')).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(simulator.requests).toMatchObject([{ status: 0 }]);
});

test('close ends a request that hangs', async () => {
  const arrived = new Promise<void>((resolve) => {
    simulator.intercept(() => {
      resolve();
      return { hang: true };
    });
  });
  const hanging = reader.ask('/v1.0/users').then(
    () => 'answered',
    () => 'ended',
  );
  await arrived;
  await simulator.close();
  expect(await hanging).toBe('ended');
});

test('transform alters correct answers only', async () => {
  const stop = simulator.transform((_request, body) => ({ ...body, '@odata.nextLink': 'https://elsewhere.example/' }));
  expect(await reader.get('/v1.0/users?$top=1')).toHaveProperty(['@odata.nextLink'], 'https://elsewhere.example/');
  expect(JSON.parse((await reader.ask('/v1.0/users/nobody')).text)).not.toHaveProperty(['@odata.nextLink']);
  stop();
  expect(await reader.get('/v1.0/users')).not.toHaveProperty(['@odata.nextLink']);
});

test('parts of a batch can be stepped into one by one', async () => {
  simulator.intercept(({ url }) => (url === '/v1.0/users/a' ? throttled(3) : undefined));
  const requests = ['a', 'b'].map((id) => ({ id, method: 'GET', url: `/users/${id}` }));
  const reply = await reader.ask('/v1.0/$batch', { method: 'POST', body: JSON.stringify({ requests }) });
  const { responses } = JSON.parse(reply.text);
  const part = (id: string) => responses.find((response: { id: string }) => response.id === id);
  expect([part('a').status, part('a').headers['Retry-After'], part('b').status]).toEqual([429, '3', 404]);
});

test('a handler that throws is shown to the client, and the simulator lives on', async () => {
  const stop = simulator.intercept(() => {
    throw new Error('mistake in a test');
  });
  const reply = await reader.ask('/v1.0/users');
  expect([reply.status, reply.text]).toEqual([500, 'The simulator failed: Error: mistake in a test']);
  stop();
  expect((await reader.ask('/v1.0/users')).status).toBe(200);
});

test('latency comes before every answer', async () => {
  simulator.options.latencyMs = 120;
  const before = performance.now();
  await reader.ask('/v1.0/organization');
  expect(performance.now() - before).toBeGreaterThanOrEqual(115);
});

/** Sends bytes and gives all that comes back until the connection ends. */
function raw(bytes: string, plain = false): Promise<string> {
  const port = Number(new URL(simulator.origin).port);
  return new Promise((resolve) => {
    const socket = plain
      ? connectPlain(port, 'localhost')
      : connect({ port, host: 'localhost', ca: simulator.certificate });
    let text = '';
    socket.on('data', (data) => {
      text += String(data);
    });
    socket.on('error', () => resolve(text));
    socket.on('close', () => resolve(text));
    socket.on(plain ? 'connect' : 'secureConnect', () => socket.write(bytes));
  });
}

test('it survives garbage: plain HTTP, broken HTTP, huge URLs, odd paths and encodings', async () => {
  expect(await raw('GET /v1.0/users HTTP/1.1\r\nHost: x\r\n\r\n', true)).not.toContain('200 OK');
  expect(await raw('\x16\x03\x01 nonsense \r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  expect(await raw(`GET /v1.0/users?$filter=${'x'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`)).toMatch(
    /^HTTP\/1\.1 431 /,
  );
  const odd = [
    '/',
    '//',
    '/v1.0',
    '/v1.0/',
    '/%',
    '/v1.0/%zz',
    '/v1.0/users/%E0%A4%A',
    '/v1.0/users/delta?%=%&$select=%E0',
    '/beta/users',
    '/v1.0/users/delta?$skiptoken=',
    '/v1.0/users?$skiptoken=%2B%zz',
  ];
  for (const path of odd) {
    const { status } = await reader.ask(path);
    expect([200, 400]).toContain(status);
  }
  expect(
    (await send(simulator, `/${tenant.tenantId}/oauth2/v2.0/token`, { method: 'POST', body: '\0\xff%%%' })).status,
  ).toBe(400);
  expect(
    (await reader.ask('/v1.0/$batch', { method: 'POST', body: 'x'.repeat(5_000_000) }).catch(() => ({ status: 413 })))
      .status,
  ).toBe(413);
  expect((await reader.ask('/v1.0/users')).status).toBe(200);
});

test('it never prints', async () => {
  const [out, error] = [vi.spyOn(process.stdout, 'write'), vi.spyOn(process.stderr, 'write')];
  simulator.intercept(({ url }) => {
    if (url.includes('boom')) {
      throw new Error('boom');
    }
    return undefined;
  });
  await reader.ask('/v1.0/boom');
  await raw('nonsense\r\n\r\n', true);
  await reader.round('/v1.0/users/delta');
  const printed = [...out.mock.calls, ...error.mock.calls];
  out.mockRestore();
  error.mockRestore();
  expect(printed).toEqual([]);
});

test('two simulators live side by side; a taken port or a doubled tenant is refused', async () => {
  const other = await startSimulator({ tenants: [tenant] });
  expect(other.origin).not.toBe(simulator.origin);
  await other.close();
  const port = Number(new URL(simulator.origin).port);
  await expect(startSimulator({ tenants: [tenant], port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await expect(startSimulator({ tenants: [tenant, tenant] })).rejects.toThrow('same tenantId');
  expect(() => simulator.environment('unknown')).toThrow("No simulated tenant 'unknown'.");
});

test('a tenant outlives its simulator: links go on after a restart on the same port', async () => {
  const page = await reader.round('/v1.0/users/delta?$select=displayName');
  const port = Number(new URL(simulator.origin).port);
  await simulator.close();
  simulator = await startSimulator({ tenants: [tenant], port });
  const [user] = tenant.users();
  tenant.updateUser(user?.id ?? '', { displayName: 'After the restart' });
  const { value } = await createReader(simulator).round(page.deltaLink);
  expect(value).toEqual([{ displayName: 'After the restart', id: user?.id }]);
});

test('a tenant made anew refuses links that stand for edits it never had', async () => {
  const [before, after] = [0, 0].map(() => createTenant({ seed: 52, users: 2 }));
  if (before === undefined || after === undefined) {
    throw new Error('unreachable');
  }
  before.run('title 1');
  const one = await startSimulator({ tenants: [before] });
  const { deltaLink } = await createReader(one).round('/v1.0/users/delta');
  const two = await startSimulator({ tenants: [after] });
  const reply = await createReader(two).ask(deltaLink.slice(one.origin.length));
  await Promise.all([one.close(), two.close()]);
  expect([reply.status, errorOf(reply).code]).toEqual([400, 'Request_UnsupportedQuery']);
});
