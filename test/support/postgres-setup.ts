// Vitest's global setup of the database and system tests: one Postgres for the whole run (DATABASE_URL, or an embedded
// one, in memory where there is room), and on it a migrated template that postgres.ts clones.
import { randomBytes } from 'node:crypto';
import { access, constants, readdir, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { isAlive } from '../../src/store/embedded/binaries.ts';
import { openEmbedded } from '../../src/store/embedded/embedded.ts';
import { type Clone, disconnect, run } from './postgres-admin.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A database of the server under test; its user may create databases. */
    postgresUrl: string;
    /** The migrated template, or why there is none. */
    postgresTemplate: { name: string } | { problem: string };
    /** How a database is cloned fastest there. */
    postgresClone: Clone;
  }
}

type Shared = { url: string; template: { name: string } | { problem: string }; clone: Clone; stop(): Promise<void> };

// Vitest loads this file once per project, in one process: the projects find each other through the global object.
const holder = globalThis as { entraSyncTestPostgres?: { users: number; ready: Promise<Shared> } | undefined };
const homePrefix = 'entra-sync-test-';
const inMemory = '/dev/shm';

export async function setup(project: TestProject): Promise<void> {
  holder.entraSyncTestPostgres ??= { users: 0, ready: start() };
  holder.entraSyncTestPostgres.users += 1;
  const { url, template, clone } = await holder.entraSyncTestPostgres.ready;
  project.provide('postgresUrl', url);
  project.provide('postgresTemplate', template);
  project.provide('postgresClone', clone);
}

export async function teardown(): Promise<void> {
  const shared = holder.entraSyncTestPostgres;
  if (shared === undefined) return;
  shared.users -= 1;
  if (shared.users > 0) return;
  holder.entraSyncTestPostgres = undefined;
  await (await shared.ready).stop();
}

async function start(): Promise<Shared> {
  const given = process.env.DATABASE_URL;
  if (given !== undefined && given !== '') {
    const template = await makeTemplate(given);
    return {
      url: given,
      template,
      clone: 'wal_log',
      async stop() {
        if ('name' in template) await run(given, `drop database if exists ${template.name} with (force)`);
        await disconnect();
      },
    };
  }
  await stopLeftovers();
  const home = join((await roomInMemory()) ?? tmpdir(), `${homePrefix}${process.pid}`);
  const settings = ['fsync=off', 'max_connections=200', 'max_wal_size=512MB', 'autovacuum=off'];
  const server = await openEmbedded({ home, database: 'tests', settings });
  return {
    url: server.url,
    template: await makeTemplate(server.url),
    // Without fsync there is nothing to wait for at the checkpoints that it takes.
    clone: 'file_copy',
    async stop() {
      // Whoever is connected keeps it running.
      await disconnect();
      await server.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** A broken migration fails the tests that need it, with its reason, and not the others. */
async function makeTemplate(url: string): Promise<Shared['template']> {
  const name = `entra_sync_template_${randomBytes(6).toString('hex')}`;
  await run(url, `create database ${name}`);
  try {
    const { migrate } = await import('../../src/store/schema/migrate.ts');
    const own = new URL(url);
    own.pathname = `/${name}`;
    await migrate(own.href);
    return { name };
  } catch (error) {
    await run(url, `drop database if exists ${name} with (force)`);
    return { problem: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/** A thousand databases are made and dropped, of 350 files each: a file system on disk takes ten times as long for that. */
async function roomInMemory(): Promise<string | undefined> {
  try {
    await access(inMemory, constants.W_OK);
    const { bavail, bsize } = await statfs(inMemory);
    return bavail * bsize > 4 * 1024 ** 3 ? inMemory : undefined;
  } catch {
    return undefined;
  }
}

/** Servers of runs that were killed. */
async function stopLeftovers(): Promise<void> {
  for (const directory of [tmpdir(), inMemory]) {
    for (const name of await readdir(directory).catch(() => [])) {
      const pid = Number(name.startsWith(homePrefix) ? name.slice(homePrefix.length) : Number.NaN);
      if (!Number.isInteger(pid) || isAlive(pid)) continue;
      const home = join(directory, name);
      const mayRun = await access(join(home, 'postgres', 'postmaster.pid')).then(
        () => true,
        () => false,
      );
      try {
        if (mayRun) await (await openEmbedded({ home })).close();
        await rm(home, { recursive: true, force: true });
      } catch {
        // Somebody else's, or broken beyond opening: not worth failing this run.
      }
    }
  }
}
