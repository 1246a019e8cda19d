// Vitest's global setup of the database and system tests: one Postgres for the whole run (DATABASE_URL, or an embedded
// one, in memory if there is room), with a migrated template that postgres.ts clones.
import { randomBytes } from 'node:crypto';
import { access, constants, readdir, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import type { TestProject } from 'vitest/node';
import { isAlive } from '../../src/store/embedded/binaries.ts';
import { openEmbedded } from '../../src/store/embedded/embedded.ts';
import { type Clone, disconnect, run } from './postgres-admin.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A database of the server under test; its user may create databases. */
    postgresUrl: string;
    /** The migrated template, or the reason why there is none. */
    postgresTemplate: { name: string } | { problem: string };
    /** The fastest way to clone a database there. */
    postgresClone: Clone;
  }
}

type Shared = { url: string; template: { name: string } | { problem: string }; clone: Clone; stop(): Promise<void> };

// Vitest loads this file once per project, in one process; the global object shares the server.
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
  const settings = [
    ...['fsync=off', 'full_page_writes=off', 'autovacuum=off'],
    ...['max_connections=200', 'max_wal_size=512MB'],
  ];
  const server = await openEmbedded({ home, database: 'tests', settings });
  return {
    url: server.url,
    template: await makeTemplate(server.url),
    // Without fsync its checkpoints cost nothing.
    clone: 'file_copy',
    async stop() {
      // An open connection keeps the server running.
      await disconnect();
      await server.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** Makes the template. A broken migration fails only the tests that need it. */
async function makeTemplate(url: string): Promise<Shared['template']> {
  const name = `entra_sync_template_${randomBytes(6).toString('hex')}`;
  await run(url, `create database ${name}`);
  try {
    const { migrate } = await import('../../src/store/schema/migrate.ts');
    const own = new URL(url);
    own.pathname = `/${name}`;
    await migrate(own.href);
    await forgetServer(own.href);
    return { name };
  } catch (error) {
    await run(url, `drop database if exists ${name} with (force)`);
    return { problem: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

// To the feed a clone of the template would be a restored backup.
async function forgetServer(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query('update entra_sync.feed set database_oid = null');
  await client.end();
}

/** Returns /dev/shm if it has room: making and dropping a thousand databases takes ten times as long on disk. */
async function roomInMemory(): Promise<string | undefined> {
  try {
    await access(inMemory, constants.W_OK);
    const { bavail, bsize } = await statfs(inMemory);
    return bavail * bsize > 4 * 1024 ** 3 ? inMemory : undefined;
  } catch {
    return undefined;
  }
}

/** Stops the servers of runs that were killed. */
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
        // It belongs to another user, or cannot be opened; that must not fail this run.
      }
    }
  }
}
