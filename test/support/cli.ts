// Runs the command line with an environment of its own: as a process, or within this one where that makes no difference.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Ended, runInProcess, runsInProcess } from './in-process.ts';

const program = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');

export type Running = {
  readonly child: ChildProcess;
  /** Resolves once stdout and stderr together match; rejects if the program ends before. */
  shows(pattern: RegExp): Promise<string>;
  type(line: string): void;
  interrupt(): void;
  readonly ended: Promise<Ended>;
};

// Node's cache of translated sources (vitest.config.ts) saves a third of a start.
const { PATH = '', HOME = '', NODE_COMPILE_CACHE } = process.env;
const inherited = { PATH, HOME, ...(NODE_COMPILE_CACHE !== undefined && { NODE_COMPILE_CACHE }) };

/** Starts the program, in `cwd` if given, or `main` of another release. It inherits only PATH, HOME and that cache. */
export function startCli(
  args: readonly string[],
  environment: Record<string, string>,
  cwd?: string,
  main = program,
): Running {
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...inherited, ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(cwd !== undefined && { cwd }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
    child.emit('shown');
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
    child.emit('shown');
  });
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return {
    child,
    ended,
    shows: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (pattern.test(stdout + stderr)) resolve(stdout + stderr);
        };
        child.on('shown', look);
        void ended.then(() => reject(new Error(`ended without ${pattern}: ${stdout}${stderr}`)));
        look();
      }),
    type: (line) => child.stdin.write(`${line}\n`),
    interrupt: () => child.kill('SIGINT'),
  };
}

/** Runs the program to its end, within this process if that makes no difference to the verb. */
export function runCli(args: readonly string[], environment: Record<string, string>): Promise<Ended> {
  const given = { ...inherited, ...environment };
  return runsInProcess(args, environment) ? runInProcess(args, given) : runProcess(args, environment);
}

/** Runs the program to its end as a process, for tests of its start, exit code or trusted certificates. */
export function runProcess(args: readonly string[], environment: Record<string, string>): Promise<Ended> {
  const running = startCli(args, environment);
  running.child.stdin?.end();
  return running.ended;
}

/** Expects an expected error: this exit code, and one line with its cure and no stack. Returns the line. */
export function expectOneLine(ended: Ended, code: number, says: RegExp): string {
  const lines = ended.stderr.split('\n').filter((line) => line.startsWith('entra-sync: '));
  expect({ code: ended.code, lines: lines.length, stack: /^\s+at /m.test(ended.stderr) }, ended.stderr).toEqual({
    code,
    lines: 1,
    stack: false,
  });
  const [line = ''] = lines;
  expect(line).toMatch(says);
  expect(line, 'the line names a cure').toContain(' -> ');
  return line;
}

/** Makes an empty directory for ENTRA_SYNC_HOME or files; `onEnd` registers its removal. */
export async function temporaryDirectory(onEnd: (remove: () => Promise<void>) => void): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entra-sync-cli-'));
  onEnd(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
