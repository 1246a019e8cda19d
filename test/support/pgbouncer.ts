// PgBouncer in front of the tests' server, as a user that is not root.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { onTestFinished } from 'vitest';
import { chooseOwner } from '../../src/store/embedded/binaries.ts';
import { freePort } from './free-port.ts';

export type Login = { readonly user: string; readonly password: string };

/** Starts it, and returns the URL of a database through it. `logins`: beside the URL's own. */
export async function startPgBouncer(
  program: string,
  options: { mode: 'session' | 'transaction'; url: string; logins: readonly Login[]; onEnd: typeof onTestFinished },
): Promise<string> {
  const { mode, url, logins, onEnd } = options;
  const server = new URL(url);
  const own = { user: decodeURIComponent(server.username), password: decodeURIComponent(server.password) };
  const directory = await mkdtemp(join(tmpdir(), 'entra-sync-pgbouncer-'));
  onEnd(() => rm(directory, { recursive: true, force: true }));
  const port = await freePort('127.0.0.1');
  const users = join(directory, 'users');
  const settings = join(directory, 'pgbouncer.ini');
  await writeFile(users, [own, ...logins].map(({ user, password }) => `"${user}" "${password}"\n`).join(''));
  // One connection to the server for each role, so that clients have to share it.
  await writeFile(
    settings,
    `[databases]
* = host=${server.hostname} port=${server.port || 5432}
[users]
${logins.map(({ user }) => `${user} = max_user_connections=1`).join('\n')}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = ${mode}
max_client_conn = 100
default_pool_size = 20
`,
  );
  const owner = await chooseOwner([]);
  if (owner) for (const path of [directory, users, settings]) await chown(path, owner.uid, owner.gid);
  const child = spawn(program, [settings], { ...owner, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
  onEnd(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await new Promise<void>((resolve, reject) => {
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('process up')) resolve();
    });
    child.on('exit', () => reject(new Error(`PgBouncer ended: ${said}`)));
  });
  server.port = String(port);
  return server.href;
}
