// Creates, starts and stops one embedded server under a home directory. Needs the home's lock of embedded.ts against a
// second process.
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { ExpectedError } from '../../errors.ts';
import {
  type Binaries,
  chooseOwner,
  findBinaries,
  findRunner,
  type Owner,
  type Run,
  runningServer,
} from './binaries.ts';

const accessSchema = z.object({ user: z.string(), password: z.string() });

export type Access = z.infer<typeof accessSchema>;

export type Files = { home: string; data: string; access: string; log: string };

/** A server on disk, and the means to run it. */
export type Server = {
  files: Files;
  access: Access;
  binaries: Binaries;
  run: Run;
  major: string;
  owner: Owner | undefined;
};

const settings = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'max_connections=50',
  'shared_buffers=128MB',
  'max_wal_size=2GB',
  // No replication or archiving: less WAL when a table is filled in the transaction that created it.
  'wal_level=minimal',
  'max_wal_senders=0',
  'jit=off',
  'timezone=UTC',
  'log_timezone=UTC',
  // Statements and error details would write personal data to the log file (rule 18).
  'log_min_error_statement=panic',
  'log_error_verbosity=terse',
  'log_checkpoints=off',
];

const logBytesKept = 4 * 1024 * 1024;
const newPrefix = '.postgres-new-';

/** Returns the paths of the embedded server under `home`. */
export function filesOf(home: string): Files {
  return {
    home,
    data: join(home, 'postgres'),
    access: join(home, 'postgres.json'),
    log: join(home, 'postgres.log'),
  };
}

/** Creates `home` for its owner only; as root, the owner is the user that will run the server. */
export async function makeHome(home: string): Promise<void> {
  try {
    await mkdir(dirname(home), { recursive: true });
    await mkdir(home, { mode: 0o700 });
    await own(home, await chooseOwner([]));
  } catch (cause) {
    if (cause instanceof ExpectedError) throw cause;
    if (errorCode(cause) === 'EEXIST') return;
    throw cannot(
      `${home} cannot be created`,
      cause,
      'set ENTRA_SYNC_HOME to a directory you may write, or set DATABASE_URL',
    );
  }
}

/** Returns the server under `home`, and creates it if there is none (`created`). */
export async function prepareServer(home: string): Promise<{ server: Server; created: boolean }> {
  const files = filesOf(home);
  const binaries = await findBinaries();
  // Postgres runs only as the owner of its data; root tries the owner of an existing home next.
  const owner = await chooseOwner([files.data, home]);
  await removeHalfMade(home);
  if (await exists(files.data)) {
    await refuseForeignData(files.data, owner);
    const { run, major } = await findRunner(binaries, owner, files.data);
    const access = await readAccess(files);
    return { server: { files, access, binaries, run, major, owner }, created: false };
  }
  return { server: await createServerFiles(files, binaries, owner), created: true };
}

/**
 * Starts the server on a free port; it outlives this process. Throws `database_unreachable` with the reason from its
 * log.
 */
export async function startServer(server: Server, extraSettings: readonly string[]): Promise<void> {
  const { files, binaries, run } = server;
  await refuseOtherMajor(server);
  await readyLog(server);
  for (let attempt = 1; ; attempt += 1) {
    const from = (await stat(files.log)).size;
    const options = [...settings, `port=${await freePort()}`, ...extraSettings]
      .map((setting) => `-c ${setting}`)
      .join(' ');
    const args = ['start', '-w', '-t', '60', '-s', '-D', files.data, '-l', files.log, '-o', options];
    const { code, output } = await run(binaries.pg_ctl, args, { detached: true });
    if (code === 0) return;
    const reason = await logExcerpt(files.log, from);
    // Another process took the port, or backends of a killed server are ending.
    if (attempt < 5 && /Address already in use|could not bind|shared memory block/.test(reason)) {
      await pause(300 * attempt);
      continue;
    }
    throw new ExpectedError(
      'database_unreachable',
      `the embedded Postgres did not start: ${reason || lastLine(output)}`,
      {
        cure: `see ${files.log}`,
        detail: output.trim(),
      },
    );
  }
}

/** Stops the server, which rolls back transactions, and waits for its end. */
export async function stopServer(server: Server): Promise<void> {
  const { files, binaries, run } = server;
  const args = ['stop', '-m', 'fast', '-w', '-t', '60', '-s', '-D', files.data];
  const { code, output } = await run(binaries.pg_ctl, args, { detached: true });
  if (code === 0 || (await runningServer(files.data)) === undefined) return;
  throw new ExpectedError('database_unreachable', `the embedded Postgres did not stop: ${lastLine(output)}`, {
    cure: `see ${files.log}`,
  });
}

/** Under a temporary name first: a killed process must leave nothing like a database. */
async function createServerFiles(files: Files, binaries: Binaries, owner: Owner | undefined): Promise<Server> {
  const access: Access = { user: 'entra_sync', password: randomBytes(32).toString('base64url') };
  const work = await mkdtemp(join(files.home, newPrefix)).catch((cause: unknown) => {
    throw cannot(
      `${files.home} cannot be written`,
      cause,
      'set ENTRA_SYNC_HOME to another directory, or set DATABASE_URL',
    );
  });
  try {
    const data = join(work, 'data');
    const passwordFile = join(work, 'password');
    await mkdir(data, { mode: 0o700 });
    await writeFile(passwordFile, access.password, { mode: 0o600 });
    for (const path of [work, data, passwordFile]) await own(path, owner);
    const { run, major } = await findRunner(binaries, owner, work);
    // C.UTF-8 maps case beyond ASCII, on every platform alike; libc's C does not.
    const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
    const login = [`--username=${access.user}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256'];
    const { code, output } = await run(binaries.initdb, ['-D', data, ...login, ...locale]);
    if (code !== 0) {
      const reason = errorLine(output);
      throw new ExpectedError('database_unreachable', `the embedded Postgres could not be created: ${reason}`, {
        cure: `check the free space and the permissions of ${files.home}, or set DATABASE_URL`,
        detail: output.trim(),
      });
    }
    const accessFile = join(work, 'access');
    await writeFile(accessFile, `${JSON.stringify(access)}\n`, { mode: 0o600 });
    await own(accessFile, owner);
    // The password first: without it data is useless.
    await rename(accessFile, files.access);
    await rename(data, files.data);
    return { files, access, binaries, run, major, owner };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function removeHalfMade(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    if (name.startsWith(newPrefix)) await rm(join(home, name), { recursive: true, force: true });
  }
}

async function refuseForeignData(data: string, owner: Owner | undefined): Promise<void> {
  const { uid } = await stat(data);
  const wanted = owner?.uid ?? process.getuid?.();
  if (wanted === undefined || uid === wanted) return;
  throw new ExpectedError('database_unreachable', `the embedded Postgres in ${data} belongs to user ${uid}`, {
    cure:
      owner === undefined
        ? 'run entra-sync as that user, set ENTRA_SYNC_HOME to another directory, or set DATABASE_URL'
        : `give it to a normal user: chown -R ${owner.uid}:${owner.gid} ${data}`,
  });
}

async function refuseOtherMajor({ files, major }: Server): Promise<void> {
  const found = await readFile(join(files.data, 'PG_VERSION'), 'utf8').catch(() => '');
  if (found.trim() === major) return;
  const made = found.trim() === '' ? 'is not a database' : `was made by Postgres ${found.trim()}, not ${major}`;
  throw new ExpectedError('database_unreachable', `the embedded Postgres in ${files.data} ${made}`, {
    cure: `remove ${files.data} (the next full cycle fills a new one), or set ENTRA_SYNC_HOME or DATABASE_URL`,
  });
}

async function readAccess(files: Files): Promise<Access> {
  try {
    return accessSchema.parse(JSON.parse(await readFile(files.access, 'utf8')));
  } catch (cause) {
    throw cannot(
      `the password of the embedded Postgres cannot be read from ${files.access}`,
      cause,
      [
        'run entra-sync as the user who made it, restore that file,',
        `or remove ${files.data} (the next full cycle fills a new one)`,
      ].join(' '),
    );
  }
}

/** Creates the log, writable for the server's user, who may create no files in home. */
async function readyLog({ files, owner }: Server): Promise<void> {
  const size = (await stat(files.log).catch(() => undefined))?.size ?? 0;
  if (size > logBytesKept) await rename(files.log, `${files.log}.1`);
  await (await open(files.log, 'a', 0o600)).close();
  await chmod(files.log, 0o600);
  await own(files.log, owner);
}

async function own(path: string, owner: Owner | undefined): Promise<void> {
  if (owner !== undefined) await chown(path, owner.uid, owner.gid);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const listener = createServer();
    listener.on('error', reject);
    listener.listen(0, '127.0.0.1', () => {
      const address = listener.address();
      listener.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

async function logExcerpt(log: string, from: number): Promise<string> {
  const text = (await readFile(log).catch(() => Buffer.alloc(0))).subarray(from).toString('utf8');
  const telling = text.split('\n').filter((line) => /FATAL|PANIC|ERROR|could not|error while/.test(line));
  return telling.slice(-3).map(withoutPrefix).join('; ');
}

function errorLine(output: string): string {
  const lines = output.split('\n').filter((line) => /error|fatal|could not/i.test(line));
  return withoutPrefix(lines[0] ?? lastLine(output));
}

function withoutPrefix(line: string): string {
  return line.replace(/^.*?(?=FATAL|PANIC|ERROR)/, '').trim();
}

function lastLine(output: string): string {
  return output.trim().split('\n').at(-1) ?? '';
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function errorCode(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function cannot(what: string, cause: unknown, cure: string): ExpectedError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ExpectedError('database_unreachable', `${what}: ${reason}`, { cure, cause });
}
