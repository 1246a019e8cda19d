// Runs a verb within the tests' process, which saves the half second of a process start. The verb has its own streams,
// environment and exit code, so that several can run at the same time.
import { AsyncLocalStorage } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { Readable, Writable } from 'node:stream';
import { runProgram } from '../../src/cli/program.ts';
import { trust } from './system.ts';

/** A program, or a verb, that has ended. */
export type Ended = { code: number | null; stdout: string; stderr: string };

const real = process;
const processes = new AsyncLocalStorage<NodeJS.Process>();

// Sources and libraries read the global `process` each time; code that a verb started gets the verb's own.
Object.defineProperty(globalThis, 'process', {
  get: () => processes.getStore() ?? real,
  configurable: true,
  enumerable: false,
});

/** Verbs that serve, start programs or wait for a person. They need a process. */
const processVerbs = ['connect', 'demo', 'psql', 'simulate', 'web', 'worker'];

/** Variables that Node, the log or a library reads once per process. */
const processVariables = /^(NODE_(?!EXTRA_CA_CERTS$|COMPILE_CACHE$)|OTEL_|IDENTITY_|LOG_LEVEL$|https?_proxy$)/i;

/** Whether the verb can run in this process. Without a database the verb would start a server and own it. */
export function runsInProcess([verb = '', ...more]: readonly string[], environment: Record<string, string>): boolean {
  // This process trusts certificates that the verb must not trust.
  if (environment.NODE_EXTRA_CA_CERTS === '') return false;
  if (Object.keys(environment).some((name) => processVariables.test(name))) return false;
  return (
    verb === '--help' || more.includes('--help') || (!processVerbs.includes(verb) && Boolean(environment.DATABASE_URL))
  );
}

/** Runs the verb to its end. It gets no signals, and its stdin is empty. */
export async function runInProcess(args: readonly string[], environment: Record<string, string>): Promise<Ended> {
  const { NODE_EXTRA_CA_CERTS } = environment;
  if (NODE_EXTRA_CA_CERTS) trust(readFileSync(NODE_EXTRA_CA_CERTS, 'utf8'));
  const [stdout, stderr] = [collector(), collector()];
  const signals = new EventEmitter();
  const own: NodeJS.Process = Object.create(real, {
    env: { value: { ...environment } },
    argv: { value: [real.argv0, 'entra-sync', ...args] },
    exitCode: { value: undefined, writable: true },
    stdin: { value: Readable.from([]) },
    stdout: { value: stdout.stream },
    stderr: { value: stderr.stream },
    on: { value: signals.on.bind(signals) },
    off: { value: signals.off.bind(signals) },
    exit: {
      value: (code: number) => {
        throw new Error(`a verb tried to end the tests' process with ${code}`);
      },
    },
  });
  await processes.run(own, () => runProgram(args));
  return { code: Number(own.exitCode ?? 0), stdout: stdout.text(), stderr: stderr.text() };
}

function collector(): { stream: Writable; text(): string } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    decodeStrings: true,
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') };
}
