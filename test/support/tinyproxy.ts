// A real proxy: Debian's tinyproxy, on a free port of this machine.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { temporaryDirectory } from './cli.ts';
import { until } from './fleet.ts';

const program = '/usr/bin/tinyproxy';

/** Whether tinyproxy is there. CI sets REAL_SERVERS=1, and then it has to be: its tests would be skipped unnoticed. */
export const hasTinyproxy = process.env.REAL_SERVERS === '1' || existsSync(program);

export type Tinyproxy = {
  readonly port: number;
  /** Returns the requests to connect so far, refused ones included. */
  connects(): Promise<number>;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  /** Starts it again, on the same port. */
  start(): Promise<void>;
};

/** Starts a tinyproxy that asks for `login`, `user password` of letters, digits, - and _, until the end of the test. */
export async function startTinyproxy(onEnd: (end: () => Promise<void>) => void, login: string): Promise<Tinyproxy> {
  const directory = await temporaryDirectory(onEnd);
  const port = await freePort();
  const [config, log] = [join(directory, 'tinyproxy.conf'), join(directory, 'log')];
  await writeFile(
    config,
    `Port ${port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nMaxClients 50\nLogFile "${log}"\nLogLevel Connect\nBasicAuth ${login}\n`,
  );
  let running: ChildProcess | undefined;
  const start = async () => {
    const child = spawn(program, ['-d', '-c', config], { stdio: 'ignore' });
    running = child;
    await once(child, 'spawn');
    await until('tinyproxy listens', () => {
      if (child.exitCode !== null) throw new Error(`tinyproxy does not start with ${config}`);
      return listens(port);
    });
  };
  const kill = async () => {
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const ended = once(running, 'close');
    running.kill('SIGKILL');
    await ended;
  };
  onEnd(kill);
  await start();
  return {
    port,
    start,
    kill,
    connects: async () => (await readFile(log, 'utf8')).match(/Request .*: CONNECT /g)?.length ?? 0,
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
