// The web behind a real nginx, with the file of deploy/: TLS, a path, the address of the browser, and two replicas of which one ends.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createLog } from '../../../src/logger.ts';
import { packageFile } from '../../../src/package-files.ts';
import { consoleFrame } from '../../../src/web/console/frame.ts';
import { consolePages, startOf } from '../../../src/web/console/pages.ts';
import { localEntrance, openLocalEntry } from '../../../src/web/local.ts';
import type { Part } from '../../../src/web/part.ts';
import { pagesPart } from '../../../src/web/serve-pages.ts';
import { serveWeb } from '../../../src/web/server.ts';
import { beginSession, tokenOfForms } from '../../../src/web/session.ts';
import { readWebLanguages } from '../../../src/web/web-language.ts';
import { certificateFor } from '../../support/certificates.ts';
import { temporaryDirectory } from '../../support/cli.ts';
import { until } from '../../support/fleet.ts';
import { freePort } from '../../support/free-port.ts';
import { tenantWith } from '../../support/people-edit.ts';
import { programOf } from '../../support/programs.ts';
import { openStore } from '../../support/stage.ts';
import { ops } from '../../support/web.ts';

/** Starts nginx with the file of deploy/, on these ports and with a certificate for localhost. */
async function startNginx(program: string, replicas: readonly [number, number]) {
  const folder = await temporaryDirectory(onTestFinished);
  const [http, https] = [await freePort('127.0.0.1'), await freePort('127.0.0.1')];
  const { key, cert } = await certificateFor('localhost', 10, `nginx ${process.pid} ${performance.now()}`);
  await writeFile(join(folder, 'tls.key'), key);
  await writeFile(join(folder, 'tls.crt'), cert);
  let site = await readFile(packageFile('deploy', 'nginx.conf'), 'utf8');
  for (const [from, to] of [
    ['listen 80;', `listen 127.0.0.1:${http};`],
    ['listen 443 ssl;', `listen 127.0.0.1:${https} ssl;`],
    ['127.0.0.1:8081', `127.0.0.1:${replicas[0]}`],
    ['127.0.0.1:8082', `127.0.0.1:${replicas[1]}`],
    ['/etc/nginx/tls/example.com.key', join(folder, 'tls.key')],
    ['/etc/nginx/tls/example.com.crt', join(folder, 'tls.crt')],
    ['server_name example.com;', 'server_name localhost;'],
    ['server_name example.com;', 'server_name localhost;'],
    ['https://$host$request_uri', `https://$host:${https}$request_uri`],
  ] as const) {
    expect(site).toContain(from);
    site = site.replace(from, to);
  }
  // Its workers read the test's folder, which belongs to the user of the test; ignored where that is not root.
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(folder, name)};`,
  );
  await writeFile(join(folder, 'site.conf'), site);
  await writeFile(
    join(folder, 'nginx.conf'),
    `user root; daemon off; pid ${join(folder, 'pid')}; error_log ${join(folder, 'error.log')}; worker_processes 1;
events { worker_connections 64; }
http { access_log off; ${paths.join(' ')} include ${join(folder, 'site.conf')}; }
`,
  );
  const child = spawn(program, ['-e', join(folder, 'error.log'), '-p', folder, '-c', join(folder, 'nginx.conf')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  onTestFinished(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGQUIT');
    await once(child, 'close');
  });
  const ask = (path: string, init: { method?: string; headers?: Record<string, string>; body?: string } = {}) =>
    new Promise<{ status: number; text: string; location: string | undefined }>((resolve, reject) => {
      const asked = request(
        { host: '127.0.0.1', port: https, path, ca: cert, servername: 'localhost', agent: false, ...init },
        (answer) => {
          let text = '';
          answer.setEncoding('utf8').on('data', (part: string) => {
            text += part;
          });
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text, location: answer.headers.location }));
        },
      );
      asked.on('error', reject);
      asked.end(init.body);
    });
  await until('nginx listens', async () => {
    if (child.exitCode !== null) throw new Error(`nginx does not start: ${said}`);
    return ask('/').then(
      () => true,
      () => false,
    );
  });
  return { ask, http };
}

test('nginx with the file of deploy/ serves the web below its path, over TLS, and misses no replica that ends', async ({
  skip,
}) => {
  const program = programOf('nginx', skip);
  const store = await openStore();
  onTestFinished(() => store.close());
  const { database } = store;
  const tenant = await tenantWith(store, {});
  const url = 'https://localhost/sync';
  const log = createLog('silent');
  const cookie = '__Host-entra-sync-session';
  // Tells from where a request came.
  const seen: Part = {
    register: async (app) => void app.get('/seen', async ({ ip }) => ip),
    refuseAddress: (_request, reply) => reply.status(404).send(),
  };
  const replica = async (port: number) => {
    const entrance = localEntrance(database, openLocalEntry(), 'test');
    const pages = pagesPart({
      ...{
        database,
        log,
        url,
        cookie,
        entrance,
        pages: consolePages,
        frame: consoleFrame,
        start: startOf,
        languages: await readWebLanguages(),
      },
    });
    const parts = [pages, seen];
    const trustedProxies = ['127.0.0.1'];
    return serveWeb({ url, host: '127.0.0.1', port, log, parts, ready: async () => {}, trustedProxies });
  };
  const ports = [await freePort('127.0.0.1'), await freePort('127.0.0.1')] as const;
  const [first, second] = [await replica(ports[0]), await replica(ports[1])];
  onTestFinished(() => second.close());
  const { ask, http } = await startNginx(program, ports);

  const plain = await fetch(`http://127.0.0.1:${http}/sync/console?q=1`, { redirect: 'manual' });
  expect([plain.status, plain.headers.get('location')]).toEqual([
    308,
    expect.stringMatching(/^https:\/\/.*\/sync\/console\?q=1$/),
  ]);
  const session = await beginSession(database, {
    ...{ actor: 'test', tenantId: null, objectId: null, ops: null, directoryRole: null },
    ...ops('act'),
  });
  const headers = { cookie: `${cookie}=${session}` };
  const page = await ask('/sync/console', { headers });
  expect(page.status).toBe(200);
  const links = [...page.text.matchAll(/(?:href|action)="(\/[^"]*)"/g)].map(([, link = '']) => link);
  expect(links.length).toBeGreaterThan(5);
  for (const link of links) expect(link).toMatch(/^\/sync\//);
  expect((await ask(`/sync/console/t/${tenant}`, { headers })).text).toContain('src="/sync/news.js?v=');
  expect((await ask('/sync')).location).toMatch(/\/sync\/$/);
  // An address that the browser tells of itself does not count.
  expect((await ask('/sync/seen', { headers: { 'x-forwarded-for': '203.0.113.9' } })).text).toBe('127.0.0.1');
  for (const path of ['/sync/livez', '/sync/readyz', '/sync/healthz']) expect((await ask(path)).status, path).toBe(404);

  const form = (body: string) => ({
    ...{ method: 'POST', body },
    headers: { ...headers, 'sec-fetch-site': 'same-origin', 'content-type': 'application/x-www-form-urlencoded' },
  });
  const token = `_token=${tokenOfForms(session)}`;
  const sent = await ask(`/sync/console/t/${tenant}/pause`, form(token));
  expect([sent.status, sent.location]).toEqual([303, `/sync/console/t/${tenant}?done=paused`]);
  const large = await ask(`/sync/console/t/${tenant}/pause`, form(`${token}&x=${'x'.repeat(100_000)}`));
  expect([large.status, large.text.includes('Nothing was changed.')]).toEqual([413, true]);

  // A replica ends between two requests, with the session that it had served.
  await first.close();
  for (let turn = 0; turn < 6; turn += 1) {
    expect((await ask('/sync/console', { headers })).status).toBe(200);
    expect((await ask(`/sync/console/t/${tenant}/resume`, form(token))).status).toBe(303);
  }
});
