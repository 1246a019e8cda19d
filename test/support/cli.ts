// Runs the command line as people do, with an environment of its own: as a process, or within this one where that is the same.
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
  /** Resolves once stdout and stderr together match; rejects when the program ends before. */
  shows(pattern: RegExp): Promise<string>;
  type(line: string): void;
  interrupt(): void;
  readonly ended: Promise<Ended>;
};

// What Node keeps of translated sources (vitest.config.ts): a third of a start.
const { PATH = '', HOME = '', NODE_COMPILE_CACHE } = process.env;
const inherited = { PATH, HOME, ...(NODE_COMPILE_CACHE !== undefined && { NODE_COMPILE_CACHE }) };

/** Starts the program, in `cwd` when it is given. Of this process's environment it has the path, the home and that cache. */
export function startCli(args: readonly string[], environment: Record<string, string>, cwd?: string): Running {
  const child = spawn(process.execPath, [program, ...args], {
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

/** Runs the program to its end: within this process, where a process of its own would be the same to the verb. */
export function runCli(args: readonly string[], environment: Record<string, string>): Promise<Ended> {
  const given = { ...inherited, ...environment };
  return runsInProcess(args, environment) ? runInProcess(args, given) : runProcess(args, environment);
}

/** Runs the program to its end as a process, for tests of what only a process has: its start, its exit code, its trust. */
export function runProcess(args: readonly string[], environment: Record<string, string>): Promise<Ended> {
  const running = startCli(args, environment);
  running.child.stdin?.end();
  return running.ended;
}

/** Expects what an expected error looks like: this exit code, one line with its cure, no stack, and returns the line. */
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

/** An empty directory for ENTRA_SYNC_HOME or files, removed when `onEnd` says so. */
export async function temporaryDirectory(onEnd: (remove: () => Promise<void>) => void): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entra-sync-cli-'));
  onEnd(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
