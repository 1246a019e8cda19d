// The embedded Postgres: created, shared by processes, stopped by the last one, and recovered after kill -9.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { Client } from 'pg';
import { lock } from 'proper-lockfile';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { chooseOwner, findBinaries, findRunner, runningServer } from '../../src/store/embedded/binaries.ts';
import { openEmbedded } from '../../src/store/embedded/embedded.ts';
import { isDeep } from '../support/deep.ts';

const userScript = join(import.meta.dirname, '../support/embedded-user.ts');
let directory = '';
let home = '';
let children: ChildProcess[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'entra-sync-embedded-'));
  await chmod(directory, 0o755);
  home = join(directory, 'home');
});

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  const running = await runningServer(join(home, 'postgres'));
  if (running !== undefined) process.kill(running.pid, 'SIGQUIT');
  await rm(directory, { recursive: true, force: true, maxRetries: 10 });
});

describe('one process', () => {
  test('creates a server that only its owner can use: random password, loopback, its own port', async () => {
    const { url, started, created, close } = await openEmbedded({ home });
    expect({ started, created }).toEqual({ started: true, created: true });
    expect((await stat(home)).mode & 0o777).toBe(0o700);
    expect((await stat(join(home, 'postgres.json'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(home, 'postgres.log'))).mode & 0o777).toBe(0o600);
    const { hostname, port, password, pathname } = new URL(url);
    expect(hostname).toBe('127.0.0.1');
    expect(Number(port)).toBeGreaterThan(1023);
    expect(port).not.toBe('5432');
    expect(Buffer.from(password, 'base64url')).toHaveLength(32);
    expect(pathname).toBe('/entra_sync');
    const [row] = await ask(
      url,
      `select current_setting('listen_addresses') as listen, current_setting('unix_socket_directories') as sockets,
              current_setting('fsync') as fsync, lower('MÜLLER') as lower`,
    );
    expect(row).toEqual({ listen: '127.0.0.1', sockets: '', fsync: 'on', lower: 'müller' });
    await close();
    expect(await isRunning()).toBe(false);
    expect(await readdir(home)).not.toContain('postgres.lock');
  });

  test.runIf(isDeep)('refuses a wrong password', async () => {
    const { url, close } = await openEmbedded({ home });
    const wrong = new URL(url);
    wrong.password = 'wrong';
    await expect(ask(wrong.href, 'select 1')).rejects.toMatchObject({ code: '28P01' });
    await close();
  });

  test.runIf(isDeep)('finds its data again, and creates only a missing database', async () => {
    const first = await openEmbedded({ home });
    await ask(first.url, 'create table kept as select 7 as n');
    await first.close();
    const second = await openEmbedded({ home });
    expect({ started: second.started, created: second.created }).toEqual({ started: true, created: false });
    expect(await ask(second.url, 'select n from kept')).toEqual([{ n: 7 }]);
    const other = await openEmbedded({ home, database: 'o"ther' });
    expect(await ask(other.url, 'select current_database() as name')).toEqual([{ name: 'o"ther' }]);
    await second.close();
    await other.close();
    expect(await isRunning()).toBe(false);
  });

  test.runIf(isDeep)('closes once, also when close is called again', async () => {
    const first = await openEmbedded({ home });
    const second = await openEmbedded({ home });
    await Promise.all([first.close(), first.close()]);
    await first.close();
    expect(await ask(second.url, 'select 1 as n')).toEqual([{ n: 1 }]);
    await second.close();
    expect(await isRunning()).toBe(false);
  });

  test.runIf(isDeep)('leaves the server running for another client, and stops it the next time', async () => {
    const { url, close } = await openEmbedded({ home });
    const client = new Client({ connectionString: url });
    await client.connect();
    await close();
    expect((await client.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
    await client.end();
    const next = await openEmbedded({ home });
    expect(next.started).toBe(false);
    await next.close();
    expect(await isRunning()).toBe(false);
  });

  test.runIf(isDeep)('ignores environment variables for other servers, and passes no secret on', async () => {
    const env = {
      PGSSLMODE: 'require',
      PGPORT: '1',
      PGHOST: 'nowhere.invalid',
      PGDATA: directory,
      AZURE_CLIENT_SECRET: 'not for it',
    };
    const user = await startUser(env);
    expect(user.opened).toMatchObject({ started: true });
    const { pid } = (await runningServer(join(home, 'postgres'))) ?? { pid: 0 };
    const environment = process.platform === 'linux' ? await readFile(`/proc/${pid}/environ`, 'utf8') : '';
    expect(environment).not.toMatch(/PGHOST|AZURE_/);
    await user.close();
    expect(await isRunning()).toBe(false);
  });
});

describe('several processes', () => {
  test.runIf(isDeep)('share one server, which the last one stops', async () => {
    const first = await startUser();
    const second = await startUser();
    expect(first.opened).toMatchObject({ started: true, created: true });
    expect(second.opened).toMatchObject({ started: false, created: false, url: first.opened.url });
    await first.close();
    expect(await ask(second.opened.url, 'select 1 as n')).toEqual([{ n: 1 }]);
    await second.close();
    expect(await isRunning()).toBe(false);
  });

  test.runIf(isDeep)('may start at the same instant on an empty home', async () => {
    const users = await Promise.all([startUser(), startUser(), startUser()]);
    expect(users.filter(({ opened }) => opened.created)).toHaveLength(1);
    expect(users.filter(({ opened }) => opened.started)).toHaveLength(1);
    expect(new Set(users.map(({ opened }) => opened.url)).size).toBe(1);
    await Promise.all(users.map((user) => user.close()));
    expect(await isRunning()).toBe(false);
  });

  test.runIf(isDeep)('killed with -9, one leaves a server that the next one uses and stops', async () => {
    const killed = await startUser();
    const before = await runningServer(join(home, 'postgres'));
    await killed.end('SIGKILL');
    const next = await openEmbedded({ home });
    expect(next).toMatchObject({ started: false, url: killed.opened.url });
    expect(await runningServer(join(home, 'postgres'))).toEqual(before);
    await next.close();
    expect(await isRunning()).toBe(false);
  });

  test.runIf(isDeep)('Ctrl-C in the terminal ends the command and not the server', async () => {
    const user = await startUser();
    user.interrupt();
    expect(await user.nextLine()).toEqual({ interrupted: true });
    // If the signal had reached the server, this call would start another.
    const other = await openEmbedded({ home });
    expect(other.started).toBe(false);
    await other.close();
    await user.close();
    expect(await isRunning()).toBe(false);
  });

  test('a process that holds the lock for long is named, and the wait for it ends', async () => {
    await mkdir(home);
    const release = await lock(home, { lockfilePath: join(home, 'postgres.lock') });
    await expect(openEmbedded({ home, lockTimeoutMs: 100 })).rejects.toMatchObject({
      code: 'database_unreachable',
      message: expect.stringContaining('another command has been starting or stopping'),
    });
    await release();
  });
});

describe('after a crash', () => {
  test.runIf(isDeep)(
    'a killed server starts again with its data; the process that used it closes quietly',
    async () => {
      const first = await openEmbedded({ home });
      await ask(first.url, 'create table kept as select 7 as n');
      process.kill((await runningServer(join(home, 'postgres')))?.pid ?? 0, 'SIGKILL');
      const second = await openEmbedded({ home });
      expect({ started: second.started, created: second.created }).toEqual({ started: true, created: false });
      expect(await ask(second.url, 'select n from kept')).toEqual([{ n: 7 }]);
      await first.close();
      await second.close();
      expect(await isRunning()).toBe(false);
    },
  );

  test.runIf(isDeep)('a process id that belongs to another program by now does no harm', async () => {
    await (await openEmbedded({ home })).close();
    const data = join(home, 'postgres');
    // This process is alive, and not a Postgres.
    await writeFile(join(data, 'postmaster.pid'), `${process.pid}\n${data}\n1\n54321\n\n127.0.0.1\n\nready\n`);
    const next = await openEmbedded({ home });
    expect(next.started).toBe(true);
    await next.close();
  });

  test.runIf(isDeep)('an incomplete data directory is deleted', async () => {
    await mkdir(join(home, '.postgres-new-killed', 'data', 'base'), { recursive: true });
    await writeFile(join(home, '.postgres-new-killed', 'data', 'PG_VERSION'), '18\n');
    const { created, close } = await openEmbedded({ home });
    expect(created).toBe(true);
    await close();
    expect((await readdir(home)).sort()).toEqual(['postgres', 'postgres.json', 'postgres.log']);
  });
});

describe('each failure is one line with its cure', () => {
  test('the optional dependency is not installed', async () => {
    await expect(findBinaries(pathToFileURL(join(directory, 'nothing-here.js')).href)).rejects.toMatchObject({
      code: 'database_unreachable',
      message: expect.stringContaining('not installed'),
      cure: expect.stringContaining('DATABASE_URL'),
    });
  });

  test.runIf(isDeep)('the data is of another major version', async () => {
    await (await openEmbedded({ home })).close();
    await writeFile(join(home, 'postgres', 'PG_VERSION'), '15\n');
    await expect(openEmbedded({ home })).rejects.toMatchObject({
      code: 'database_unreachable',
      message: expect.stringContaining('was made by Postgres 15'),
    });
  });

  test.runIf(isDeep)('the server does not start: the reason comes from its log', async () => {
    await expect(openEmbedded({ home, settings: ['max_connections=none'] })).rejects.toMatchObject({
      code: 'database_unreachable',
      message: expect.stringMatching(/did not start: .*max_connections/),
    });
  });

  test.runIf(isDeep)('the password file is lost', async () => {
    await (await openEmbedded({ home })).close();
    await rm(join(home, 'postgres.json'));
    await expect(openEmbedded({ home })).rejects.toMatchObject({
      code: 'database_unreachable',
      message: expect.stringContaining('postgres.json'),
    });
  });
});

// Only root has paths that the server's user cannot reach.
if (process.getuid?.() === 0) {
  test.runIf(isDeep)('root: a home inside a directory that only root may enter', async () => {
    await chmod(directory, 0o700);
    const { url, close } = await openEmbedded({ home });
    expect(await ask(url, 'select 1 as n')).toEqual([{ n: 1 }]);
    const { pid } = (await runningServer(join(home, 'postgres'))) ?? { pid: 0 };
    expect(await readFile(`/proc/${pid}/status`, 'utf8')).not.toMatch(/^Uid:\s+0/m);
    await close();
    expect(await isRunning()).toBe(false);
  });

  test.runIf(isDeep)('root: the programs inside a directory that only root may enter', async () => {
    const { initdb } = await findBinaries();
    const programs = join(directory, 'native', 'bin');
    await cp(join(dirname(initdb), '..'), join(directory, 'native'), { recursive: true, verbatimSymlinks: true });
    await chmod(directory, 0o700);
    const copied = {
      initdb: join(programs, 'initdb'),
      pg_ctl: join(programs, 'pg_ctl'),
      postgres: join(programs, 'postgres'),
    };
    const { major } = await findRunner(copied, await chooseOwner([]), tmpdir());
    expect(major).toBe('18');
  });
}

async function isRunning(): Promise<boolean> {
  return (await runningServer(join(home, 'postgres'))) !== undefined;
}

async function ask(url: string, statement: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}

type Opened = { url: string; started: boolean; created: boolean };

async function startUser(env: Record<string, string> = {}) {
  // Its own process group stands for the terminal's foreground job.
  const child = spawn(process.execPath, [userScript, home], {
    detached: true,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const nextLine = async (): Promise<unknown> => JSON.parse((await lines.next()).value ?? 'null');
  return {
    opened: (await nextLine()) as Opened,
    nextLine,
    interrupt: () => process.kill(-(child.pid ?? 0), 'SIGINT'),
    async close() {
      child.stdin.end();
      expect(await nextLine()).toEqual({ closed: true });
      expect(await ended).toBe(0);
    },
    async end(signal: NodeJS.Signals) {
      child.kill(signal);
      await ended;
    },
  };
}
