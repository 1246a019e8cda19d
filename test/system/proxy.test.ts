// HTTPS_PROXY and NO_PROXY, on the real program: token endpoint and Graph are reached through the proxy, or past it.
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { runCli } from '../support/cli.ts';
import { openWorld } from '../support/system.ts';

/** A proxy that tunnels and remembers by which of its own ports. */
async function openProxy(): Promise<{ url: string; ports: Set<number> }> {
  const ports = new Set<number>();
  const server: Server = createServer((_request, response) => response.writeHead(400).end());
  server.on('connect', (request, socket, head) => {
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
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, ports };
}

test('token and Graph are asked through HTTPS_PROXY, and past it for the hosts of NO_PROXY', async () => {
  const world = await openWorld({ users: 3 });
  const { url, ports } = await openProxy();
  const environment = {
    ...world.simulator.environment(world.tenant.tenantId),
    DATABASE_URL: world.url,
    HTTPS_PROXY: url,
  };
  expect(await runCli(['sync'], environment)).toMatchObject({ code: 0 });
  const asked = world.simulator.requests.map(({ path, remotePort }) => [
    path.split('?')[0],
    ports.has(remotePort ?? 0),
  ]);
  expect(asked.length, 'token and Graph').toBeGreaterThan(3);
  expect(asked.filter(([, throughProxy]) => !throughProxy)).toEqual([]);
  ports.clear();
  expect(await runCli(['sync'], { ...environment, NO_PROXY: 'localhost,127.0.0.1' })).toMatchObject({ code: 0 });
  expect([...ports]).toEqual([]);
});

test('a proxy that is not there is one line', async () => {
  const world = await openWorld({ users: 3 });
  const environment = {
    ...world.simulator.environment(world.tenant.tenantId),
    DATABASE_URL: world.url,
    HTTPS_PROXY: 'http://127.0.0.1:9',
  };
  const ended = await runCli(['sync'], environment);
  expect(ended.code).toBe(5);
  expect(ended.stderr).toContain('HTTPS_PROXY');
  expect(ended.stderr).not.toMatch(/^\s+at /m);
}, 60_000);
