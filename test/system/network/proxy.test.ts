// HTTPS_PROXY and NO_PROXY, on the real program: token endpoint and Graph are reached through the proxy, or past it; the
// proxy sees only the host to connect to, and its failures are one line.
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { expect, type onTestFinished, test } from 'vitest';
import { certificateFor, type ServerCertificate, trustFile } from '../../support/certificates.ts';
import { expectOneLine, runCli, temporaryDirectory } from '../../support/cli.ts';
import { isDeep, rowsOf } from '../../support/deep.ts';
import { openWorld, type World } from '../../support/system.ts';

type Proxy = { port: number; ports: Set<number>; seen: IncomingMessage[] };

/** A proxy that tunnels, or refuses with `status`, and remembers what it was asked and by which of its own ports it went. */
async function openProxy(
  onEnd: typeof onTestFinished,
  status?: number,
  certificate?: ServerCertificate,
): Promise<Proxy> {
  const ports = new Set<number>();
  const seen: IncomingMessage[] = [];
  const answer: RequestListener = (request, response) => {
    seen.push(request);
    response.writeHead(400).end();
  };
  const server = certificate ? createTlsServer(certificate, answer) : createServer(answer);
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

test
  .runIf(isDeep)
  .concurrent('user and password of the proxy reach only the proxy', async ({ onTestFinished: onEnd }) => {
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

test.runIf(isDeep)('https:// before a proxy that speaks TLS is used', async ({ onTestFinished: onEnd }) => {
  const world = await openWorld({ users: 3, onEnd });
  const certificate = await certificateFor('localhost', 10, 'proxy');
  const { port, seen } = await openProxy(onEnd, undefined, certificate);
  const environment: Record<string, string> = environmentOf(world);
  const trusted = readFileSync(environment.NODE_EXTRA_CA_CERTS ?? '', 'utf8');
  const ended = await runCli(['sync'], {
    ...environment,
    NODE_EXTRA_CA_CERTS: await trustFile(await temporaryDirectory(onEnd), trusted, certificate.cert),
    HTTPS_PROXY: `https://clerk:proxy-secret@localhost:${port}`,
  });
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
  expect(new Set(seen.map(({ method }) => method))).toEqual(new Set(['CONNECT']));
});

// A plain proxy that is sent a TLS handshake answers 400, as this one does, or waits, as tinyproxy does.
const proxies = [
  ['that refuses with 407', 'http', 407, 5, /\(407\) -> set the user and the password of the proxy in HTTPS_PROXY/],
  ['that refuses with 403', 'http', 403, 5, /\(403\) -> have it allow CONNECT/],
  ['without TLS after https://', 'https', 403, 2, /the proxy of HTTPS_PROXY speaks no TLS -> write http:/],
  ['that is not there', 'http', undefined, 5, /HTTPS_PROXY/],
  ['that is not there after https://', 'https', undefined, 5, /HTTPS_PROXY/],
  ['that cannot reach the host', 'http', 502, 5, /\(PROXY_502\) -> check the network, HTTPS_PROXY/],
] as const;

test.concurrent.for(rowsOf(proxies, (_, n) => n === 0))(
  'rule 16: a proxy %s is one line, and is asked again only if that may help',
  async ([, scheme, status, exitCode, says], { onTestFinished: onEnd }) => {
    const world = await openWorld({ users: 3, onEnd });
    const { port } = status === undefined ? { port: 9 } : await openProxy(onEnd, status);
    const ended = await runCli(['sync', '--verbose'], {
      ...environmentOf(world),
      HTTPS_PROXY: `${scheme}://clerk:proxy-secret@localhost:${port}`,
    });
    expectOneLine(ended, exitCode, says);
    expect(ended.stderr.includes('trying again')).toBe(status === undefined || status === 502);
    expect(ended.stderr).not.toContain('proxy-secret');
    expect(world.simulator.requests).toEqual([]);
  },
);
