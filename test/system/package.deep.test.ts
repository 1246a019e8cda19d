// The package as npm packs it: it installs into a clean folder and runs, under each supported Node, without a warning.
import { execFile, execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { packageFile, packageVersion } from '../../src/package-files.ts';
import { createTenant, startSimulator } from '../../src/simulator/index.ts';
import { openDatabase, rows } from '../../src/store/database/pool.ts';
import { freshDatabase } from '../support/postgres.ts';
import { loadReleased, nodeOf } from '../support/released.ts';

// npm fetches packages.

const run = promisify(execFile);
const { PATH = '', HOME = '' } = process.env;
let home: string;
let packed: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'entra-sync-package-'));
  await run('npm', ['pack', '--pack-destination', home], { cwd: packageFile(), maxBuffer: 1e8 });
  packed = join(home, `entra-sync-${packageVersion()}.tgz`);
});

afterAll(() => rm(home, { recursive: true, force: true }));

/** Returns the program of the npm that is here, which each Node can run. */
const npm = async () => realpath(execFileSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim());

test.for([22, 24] as const)('installs and runs on Node %i without a warning', async (major, { skip }) => {
  const node = nodeOf(major, skip);
  const folder = join(home, `on-${major}`);
  await mkdir(folder);
  await writeFile(join(folder, 'package.json'), '{ "private": true }');
  // How a machine reaches the registry is in its environment.
  const env = { PATH: `${dirname(node)}:${PATH}`, HOME };
  const install = await run(
    node,
    [await npm(), 'install', '--omit=optional', '--no-audit', '--no-fund', '--no-update-notifier', packed],
    { cwd: folder, env: { ...process.env, ...env }, maxBuffer: 1e8 },
  );
  expect(install.stderr).toBe('');

  const inside = join(folder, 'node_modules', 'entra-sync');
  expect((await readdir(inside)).sort()).toEqual([
    ...[
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'bin',
      'config',
      'deploy',
      'directory.d.ts',
      'dist',
      'docs',
      'migrations',
    ],
    'package.json',
  ]);
  const installed = await readdir(join(folder, 'node_modules'));
  for (const name of ['typescript', 'vitest', 'vitepress', 'node']) expect(installed).not.toContain(name);
  const { version } = JSON.parse(await readFile(join(inside, 'package.json'), 'utf8'));

  const fresh = await freshDatabase({ migrated: false });
  const tenant = createTenant({ seed: 7, users: 60, groups: 12, name: 'Contoso' });
  const simulator = await startSimulator({ tenants: [tenant] });
  const database = openDatabase(fresh.url);
  onTestFinished(async () => {
    await database.destroy();
    await simulator.close();
    await fresh.drop();
  });
  const program = async (...args: readonly string[]) => {
    const { stdout, stderr } = await run(node, [join(inside, 'bin', 'entra-sync.js'), ...args], {
      cwd: folder,
      env: { ...env, ...simulator.environment(), DATABASE_URL: fresh.url },
    });
    // The verbs name their database on stderr.
    expect(stderr.replace(/^database: .*\n/, '').replaceAll(/^users: .*\n|^groups: .*\n/gm, '')).toBe('');
    return stdout;
  };
  expect(await program('--version')).toBe(`${version}\n`);
  expect(await program('--help')).toContain('migrate');
  // One of the two begins with the data of the last release.
  if (major === 24) await loadReleased(fresh.url);
  expect(await program('migrate')).toMatch(/applied/);
  expect(await program('migrate', '--check')).toMatch(/up to date/);
  if (major === 22) await program('tenant', 'add', tenant.tenantId, '--name', 'Contoso');
  await program('resync', tenant.tenantId).catch((error: { code?: number; stderr?: string }) => {
    // The removals that waited under the last release.
    if (major !== 24 || error.code !== 4) throw error;
    expect(error.stderr).not.toMatch(/warn|\(node:/i);
  });
  const [found] = await rows<{ n: string }>(database, 'select count(*) as n from directory.accounts');
  expect(Number(found?.n)).toBeGreaterThan(50);
});
