// HTTPS_PROXY and NO_PROXY, on the real program: token endpoint and Graph are reached through the proxy, or past it; the
// proxy sees only the host to connect to, and its failures are one line.
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, type onTestFinished, test } from 'vitest';
import { expectOneLine, runCli } from '../../support/cli.ts';
import { rowsOf } from '../../support/deep.ts';
import { openWorld, type World } from '../../support/system.ts';

type Proxy = { port: number; ports: Set<number>; seen: IncomingMessage[] };

/** A proxy that tunnels, or refuses with `status`, and remembers what it was asked and by which of its own ports it went. */
async function openProxy(onEnd: typeof onTestFinished, status?: number): Promise<Proxy> {
  const ports = new Set<number>();
  const seen: IncomingMessage[] = [];
  const server: Server = createServer((request, response) => {
    seen.push(request);
    response.writeHead(400).end();
  });
  server.on('connect', (request, socket, head) => {
    seen.push(request);
    socket.on('error', () => {});
    if (status !== undefined) {
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const [host, port] = (request.url ?? '').split(':');
    const upstream = connect(Number(port), host, () => {
      ports.add(upstream.localPort ?? 0);
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('error', () => upstream.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, ports, seen };
}

const environmentOf = (world: World) => ({
  ...world.simulator.environment(world.tenant.tenantId),
  DATABASE_URL: world.url,
});

test.concurrent.each(rowsOf(['HTTPS_PROXY', 'https_proxy'], (_, n) => n === 0))(
  'token and Graph are asked through %s, and past it for the hosts of NO_PROXY',
  async (name) => {
    const enders: (() => unknown)[] = [];
    const onEnd = ((close: () => unknown) => void enders.push(close)) as unknown as typeof onTestFinished;
    try {
      const world = await openWorld({ users: 3, onEnd });
      const { port, ports, seen } = await openProxy(onEnd);
      const environment = { ...environmentOf(world), [name]: `http://127.0.0.1:${port}` };
      expect(await runCli(['sync'], environment)).toMatchObject({ code: 0 });
      const asked = world.simulator.requests.map(({ path, remotePort }) => [
        path.split('?')[0],
        ports.has(remotePort ?? 0),
      ]);
      expect(asked.length, 'token and Graph').toBeGreaterThan(3);
      expect(asked.filter(([, throughProxy]) => !throughProxy)).toEqual([]);
      expect([...new Set(seen.map(({ method, url }) => `${method} ${url}`))]).toEqual([
        `CONNECT ${new URL(world.simulator.origin).host}`,
      ]);
      expect(JSON.stringify(seen.map(({ headers }) => headers)), 'the proxy sees no token').not.toMatch(/bearer/i);
      ports.clear();
      expect(await runCli(['sync'], { ...environment, NO_PROXY: 'elsewhere.example,localhost' })).toMatchObject({
        code: 0,
      });
      expect([...ports]).toEqual([]);
    } finally {
      for (const end of enders) await end();
    }
  },
);

test.concurrent('user and password of the proxy reach only the proxy', async ({ onTestFinished: onEnd }) => {
  const world = await openWorld({ users: 3, onEnd });
  const { port, seen } = await openProxy(onEnd);
  const environment = {
    ...environmentOf(world),
    HTTPS_PROXY: `http://clerk:proxy-secret@127.0.0.1:${port}`,
    LOG_LEVEL: 'trace',
  };
  const ended = await runCli(['sync', '--verbose'], environment);
  expect(ended).toMatchObject({ code: 0 });
  const expected = `Basic ${Buffer.from('clerk:proxy-secret').toString('base64')}`;
  expect(seen.length).toBeGreaterThan(1);
  expect(new Set(seen.map(({ headers }) => headers['proxy-authorization']))).toEqual(new Set([expected]));
  expect(ended.stdout + ended.stderr).not.toContain('proxy-secret');
  expect(JSON.stringify(world.simulator.requests)).not.toContain('proxy-authorization');
});

const proxies = [
  ['that is not there', undefined],
  ['that refuses with 407', 407],
  ['that refuses with 403', 403],
] as const;

test.concurrent.for(rowsOf(proxies, (_, n) => n === 1))(
  'a proxy %s is one line',
  { timeout: 120_000 },
  async ([, status], { onTestFinished: onEnd }) => {
    const world = await openWorld({ users: 3, onEnd });
    const { port } = status === undefined ? { port: 9 } : await openProxy(onEnd, status);
    const ended = await runCli(['sync', '--verbose'], {
      ...environmentOf(world),
      HTTPS_PROXY: `http://clerk:proxy-secret@127.0.0.1:${port}`,
    });
    expectOneLine(ended, 5, /HTTPS_PROXY/);
    expect(ended.stderr).not.toContain('proxy-secret');
    expect(world.simulator.requests).toEqual([]);
  },
);
