// TLS to the database: each sslmode works like in libpq, and a failed connection is one line with the setting to write.
import { chown, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { ExpectedError } from '../../src/errors.ts';
import { describeDatabaseError, openDatabase, rows } from '../../src/store/database/pool.ts';
import { openEmbedded } from '../../src/store/embedded/embedded.ts';
import { certificateFor } from '../support/certificates.ts';

let home = '';
let authority = '';
let server: Awaited<ReturnType<typeof openEmbedded>>;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'entra-sync-tls-'));
  server = await openEmbedded({ home: join(home, 'home'), settings: ['fsync=off'] });
  const data = join(home, 'home', 'postgres');
  const { key, cert } = await certificateFor('localhost');
  const { uid, gid } = await stat(data);
  for (const [name, text] of [
    ['server.key', key],
    ['server.crt', cert],
  ] as const) {
    await writeFile(join(data, name), text, { mode: 0o600 });
    await chown(join(data, name), uid, gid);
  }
  authority = join(home, 'authority.pem');
  await writeFile(authority, cert);
  await changeServer(async (admin) => {
    await admin.raw('alter system set ssl = on');
    await admin.raw('select pg_reload_conf()');
  });
  await vi.waitUntil(async () => (await connection('?sslmode=require')) === 'TLS', { timeout: 120_000 });
});

afterAll(async () => {
  await server.close();
  await rm(home, { recursive: true, force: true });
});

async function changeServer(change: (admin: ReturnType<typeof openDatabase>) => Promise<void>): Promise<void> {
  const admin = openDatabase(server.url);
  await change(admin).finally(() => admin.destroy());
}

/** `TLS`, `no TLS`, or the error line. */
async function connection(query: string, host = 'localhost'): Promise<string> {
  const url = new URL(server.url);
  url.hostname = host;
  url.search = query;
  const database = openDatabase(url.href);
  try {
    const [row] = await rows<{ ssl: boolean }>(database, 'select ssl from pg_stat_ssl where pid = pg_backend_pid()');
    return row?.ssl ? 'TLS' : 'no TLS';
  } catch (error) {
    const told = describeDatabaseError(error);
    if (!(told instanceof ExpectedError)) throw error;
    return `${told.message} -> ${told.cure}`;
  } finally {
    await database.destroy();
  }
}

test('each sslmode checks what libpq checks', async () => {
  const withCa = `&sslrootcert=${authority}`;
  expect(await connection('')).toBe('no TLS');
  expect(await connection('?sslmode=disable')).toBe('no TLS');
  expect(await connection('?sslmode=prefer')).toBe('TLS');
  expect(await connection(`?sslmode=verify-full${withCa}`)).toBe('TLS');
  // The certificate is for localhost.
  expect(await connection(`?sslmode=verify-ca${withCa}`, '127.0.0.1')).toBe('TLS');
  expect(await connection(`?sslmode=require${withCa}`, '127.0.0.1')).toBe('TLS');
});

test('an untrusted server is refused, and the line says what to write', async () => {
  expect(await connection('?sslmode=verify-full')).toMatch(/^no TLS connection .* -> sslrootcert=FILE in DATABASE_URL/);
  expect(await connection(`?sslmode=verify-full&sslrootcert=${authority}`, '127.0.0.1')).toMatch(/^no TLS connection/);
});

test('a server that requires TLS, and one without TLS', async () => {
  const hba = join(home, 'home', 'postgres', 'pg_hba.conf');
  const before = await readFile(hba, 'utf8');
  await changeServer(async (admin) => {
    await writeFile(hba, before.replace(/^host\b/gm, 'hostssl'));
    await admin.raw('select pg_reload_conf()');
  });
  await expect.poll(() => connection('')).toMatch(/TLS only -> add \?sslmode=require/);
  expect(await connection('?sslmode=require')).toBe('TLS');
  const url = new URL(server.url);
  url.searchParams.set('sslmode', 'require');
  const admin = openDatabase(url.href);
  await writeFile(hba, before);
  await admin.raw('alter system set ssl = off');
  await admin.raw('select pg_reload_conf()');
  await admin.destroy();
  await expect.poll(() => connection('?sslmode=require')).toMatch(/-> the server has no TLS/);
});
