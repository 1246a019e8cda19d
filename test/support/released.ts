// Release 0.1.0 for tests of upgrades: its database with data in it, and its program from the history of the repository.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Client } from 'pg';
import { onTestFinished, type TestContext } from 'vitest';
import { packageFile } from '../../src/package-files.ts';
import { isMissing } from './programs.ts';

type Skip = TestContext['skip'];

/** The commit of release 0.1.0 (CHANGELOG.md). */
const commit = '4fc8cd5487';
const packages = packageFile('.ci', 'releases', 'node_modules');

/** Loads the database of release 0.1.0 (test/fixtures/releases) into an empty one. */
export async function loadReleased(url: string): Promise<void> {
  const dump = gunzipSync(await readFile(packageFile('test', 'fixtures', 'releases', '0.1.0.sql.gz'))).toString();
  const session = new Client({ connectionString: url });
  await session.connect();
  try {
    await session.query(dump);
  } finally {
    await session.end();
  }
}

/** Returns the main file of release 0.1.0, until the test ends. Without the history of the repository the test is skipped. */
export async function openReleased(skip: Skip): Promise<string> {
  const git = { cwd: packageFile(), maxBuffer: 1e9 };
  let tree: Buffer;
  try {
    tree = execFileSync('git', ['archive', '--format=tar', commit], { ...git, stdio: 'pipe' });
  } catch {
    return skip(`no commit ${commit} here: a clone with its history has it`);
  }
  if (!existsSync(packages)) isMissing('no packages of 0.1.0 here: npm ci --prefix .ci/releases', skip);
  const home = await mkdtemp(join(tmpdir(), 'entra-sync-0.1.0-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  await mkdir(join(home, 'tree'));
  execFileSync('tar', ['x', '-C', join(home, 'tree')], { input: tree });
  // Today's packages, and beside them those that only 0.1.0 wants.
  await symlink(packageFile('node_modules'), join(home, 'tree', 'node_modules'));
  await symlink(packages, join(home, 'node_modules'));
  return join(home, 'tree', 'src', 'cli', 'main.ts');
}

/** Returns the Node of this major version. Without it the test is skipped, or fails where it has to be there. */
export function nodeOf(major: 22 | 24, skip: Skip): string {
  const found = join(packages, `node-${major}`, 'bin', 'node');
  return existsSync(found) ? found : isMissing(`no Node ${major} here: npm ci --prefix .ci/releases`, skip);
}
