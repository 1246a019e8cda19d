// Servers of PostgreSQL that belong to one test: a primary, and standbys of it. They run as a user that Postgres accepts, on free
// ports, in memory where there is room, and end with the test.
import { chown, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import type { onTestFinished } from 'vitest';
import { openDatabase } from '../../src/store/database/pool.ts';
import { type Binaries, chooseOwner, findRunner, type Run } from '../../src/store/embedded/binaries.ts';
import { migrate } from '../../src/store/schema/migrate.ts';
import { freePort } from './free-port.ts';
import { type Store, until } from './stage.ts';

export type RealServer = {
  /** Returns the URL of a database, by default for the superuser. */
  url(database: string, user?: string): string;
  /** Runs a statement as the superuser, and returns its rows. */
  ask<Row = Record<string, unknown>>(statement: string, database?: string): Promise<Row[]>;
  /** Runs a program of Postgres as the server's user. */
  run(program: string, ...args: string[]): Promise<void>;
  readonly data: string;
};

type OnEnd = typeof onTestFinished;
type Home = { readonly binaries: Binaries; readonly run: Run; readonly data: string; readonly log: string };

const superuser = 'postgres';

/** Makes and starts a server. */
export async function startServer(binaries: Binaries, onEnd: OnEnd): Promise<RealServer> {
  const home = await makeHome(binaries, onEnd);
  const access = ['-U', superuser, '--auth=trust', '--no-sync'];
  await succeed(home.run, binaries.initdb, '-D', home.data, ...access, '--encoding=UTF8', '--locale=C');
  return serve(home, onEnd);
}

/** Makes a standby from a backup of the running primary, and starts it; it follows the primary. */
export async function startStandby(primary: RealServer, binaries: Binaries, onEnd: OnEnd): Promise<RealServer> {
  const home = await makeHome(binaries, onEnd);
  // As pg_basebackup does, which comes with no package of npm.
  const session = new Client({ connectionString: primary.url('postgres') });
  await session.connect();
  await session.query("select pg_backup_start('standby', true)");
  await succeed(home.run, '/bin/cp', '-a', primary.data, home.data);
  const { rows } = await session.query('select labelfile from pg_backup_stop()');
  await session.end();
  const follow = `primary_conninfo = '${primary.url('postgres')}'`;
  await succeed(
    home.run,
    '/bin/sh',
    '-c',
    'cd "$0" && rm postmaster.pid && touch standby.signal && printf %s "$1" > backup_label && echo "$2" >> postgresql.auto.conf',
    home.data,
    rows[0].labelfile,
    follow,
  );
  return serve(home, onEnd);
}

async function makeHome(binaries: Binaries, onEnd: OnEnd): Promise<Home> {
  const room = await stat('/dev/shm').then(
    () => '/dev/shm',
    () => tmpdir(),
  );
  const directory = await mkdtemp(join(room, 'entra-sync-server-'));
  onEnd(() => rm(directory, { recursive: true, force: true }));
  const owner = await chooseOwner([]);
  if (owner) await chown(directory, owner.uid, owner.gid);
  const { run } = await findRunner(binaries, owner, directory);
  return { binaries, run, data: join(directory, 'data'), log: join(directory, 'log') };
}

const settings = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'shared_buffers=32MB',
  'fsync=off',
  'autovacuum=off',
];

async function serve({ binaries, run, data, log }: Home, onEnd: OnEnd): Promise<RealServer> {
  const port = await freePort('127.0.0.1');
  const options = [...settings, `port=${port}`].map((setting) => `-c ${setting}`).join(' ');
  const control = (...args: string[]) => succeed(run, binaries.pg_ctl, ...args, '-w', '-s', '-D', data);
  await control('start', '-l', log, '-o', options);
  onEnd(() => control('stop', '-m', 'immediate'));
  const url = (database: string, user = superuser) => `postgres://${user}@127.0.0.1:${port}/${database}`;
  return {
    url,
    data,
    run: (program, ...args) => succeed(run, program, ...args),
    async ask(statement, database = 'postgres') {
      const client = new Client({ connectionString: url(database) });
      await client.connect();
      const { rows } = await client.query(statement).finally(() => client.end());
      return rows;
    },
  };
}

async function succeed(run: Run, program: string, ...args: readonly string[]): Promise<void> {
  const { code, output } = await run(program, [...args], { detached: true });
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${output}`);
}

/** The database of {@link makeDatabase}, and the role that owns it and may do nothing else, as hosted servers give one. */
const owned = 'directory_copy';

/** Makes a migrated database of a plain role. */
export async function makeDatabase(server: RealServer): Promise<void> {
  await server.ask(`create role ${owned} login`);
  await server.ask(`create database ${owned} owner ${owned}`);
  await migrate(server.url(owned, owned));
}

/** Opens the database of {@link makeDatabase} on this server or a standby of it, or another one of the same owner. */
export function openOwned(server: RealServer, onEnd: OnEnd, name = owned): Store {
  const url = server.url(name, owned);
  const database = openDatabase(url);
  const clients: Client[] = [];
  const close = async () => {
    await Promise.all(clients.splice(0).map((client) => client.end()));
    await database.destroy();
  };
  onEnd(close);
  return {
    url,
    database,
    close,
    async connect() {
      const client = new Client({ connectionString: url });
      client.on('error', () => {});
      await client.connect();
      clients.push(client);
      return client;
    },
  };
}

/** Waits until the standby has replayed what the primary has written. */
export async function untilReplayed(primary: RealServer, standby: RealServer): Promise<void> {
  const [written] = await primary.ask<{ lsn: string }>('select pg_current_wal_flush_lsn() as lsn');
  await until('the standby has replayed everything', async () => {
    const [replayed] = await standby.ask<{ done: boolean }>(
      `select pg_last_wal_replay_lsn() >= '${written?.lsn}' as done`,
    );
    return replayed?.done === true;
  });
}

/** Cuts the standby from its primary: it falls behind from now on. */
export async function cutOff(standby: RealServer): Promise<void> {
  await standby.ask("alter system set primary_conninfo = ''");
  await standby.ask('select pg_reload_conf()');
  await until(
    'the standby receives nothing',
    async () => (await standby.ask('select from pg_stat_wal_receiver')).length === 0,
  );
}

/** Makes the standby a primary. */
export async function promote(standby: RealServer): Promise<void> {
  await standby.ask('select pg_promote()');
}
