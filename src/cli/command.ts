// What all verbs share: options, the life of database and signals, errors to exit codes.
import { userInfo } from 'node:os';
import { Command, Option } from 'commander';
import {
  type GraphAccess,
  type GraphHooks,
  isFirstRun,
  type OpenedDatabase,
  openAppDatabase,
  openGraphAccess,
} from '../app.ts';
import { namesCredential, readCredential } from '../credentials.ts';
import { type Environment, readEnvironment } from '../environment.ts';
import { ExpectedError, exitCodes } from '../errors.ts';
import { createLog } from '../logger.ts';
import { useProxyOf } from '../proxy.ts';
import { activities, busyTenants, endActivities, giveUp } from '../store/database/activity.ts';
import { describeWait, type LockWait } from '../store/database/blockers.ts';
import { statementStates } from '../store/database/health.ts';
import { type Database, describeDatabaseError, tellDatabaseError } from '../store/database/pool.ts';
import { startTracing } from '../tracing.ts';
import { openWaitWatch } from '../worker/report-waits.ts';
import { listenToSignals } from './early-signals.ts';
import { openTerminal, showError, type Terminal } from './terminal.ts';

export type Run = {
  readonly terminal: Terminal;
  readonly environment: Environment;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  readonly actor: string;
  /**
   * Opens the database that the environment names, with a line on stderr that says which (`announced`); it is closed when
   * the verb ends. A wait for a lock that lasts is told to `onLockWait`, without one by a line on stderr.
   */
  database(options?: {
    anySchema?: boolean;
    maxConnections?: number;
    announced?: boolean;
    onLockWait?: (wait: LockWait) => void;
  }): Promise<OpenedDatabase>;
  /** From now on Ctrl-C is the business of a program that this one runs in the terminal. */
  leaveInterrupts(): void;
  /** Runs when the verb has ended, last opened first. */
  onEnd(close: () => Promise<void>): void;
};

export type VerbOptions = { json?: boolean; verbose?: boolean; actor?: string };

/** A verb with the options that all have, and `examples` at the end of its help. */
export function verb(
  name: string,
  description: string,
  examples: readonly string[],
  options: { acts?: boolean } = {},
): Command {
  const command = new Command(name)
    .description(description)
    .option('--json', 'print the answer as one JSON object')
    .option('--verbose', "say more, Graph's request ids among it")
    .addHelpText('after', examplesText(examples));
  if (options.acts)
    command.addOption(
      new Option('--actor <name>', 'who does this, for the change rows').default(loginName(), 'the login name'),
    );
  return command;
}

/** A word that only holds verbs, like `tenant`, with `examples` at the end of its help. */
export function verbGroup(name: string, description: string, examples: readonly string[]): Command {
  return new Command(name).description(description).addHelpText('after', examplesText(examples));
}

function examplesText(examples: readonly string[]): string {
  return `\nExamples:\n${examples.map((example) => `  $ entra-sync ${example}`).join('\n')}`;
}

function loginName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run as a user id without a name.
    return `uid ${process.getuid?.() ?? '?'}`;
  }
}

/** How a verb ends that is interrupted. */
export type Ending = {
  /** What there is to do after Ctrl-C. */
  readonly afterInterrupt?: string;
  /** Its stderr is a log of JSON lines, and to be stopped is how it ends: exit code 0. */
  readonly service?: boolean;
};

// A container that is stopped has ten seconds before it is killed.
const endTimeoutMs = 8_000;

/** What to do after Ctrl-C in a verb that walks rounds. */
export const resumeHint = 'run the command again: it resumes where it stopped';

/**
 * Runs the body of a verb: opens nothing before it is asked for, closes everything, turns errors into one line and an exit
 * code. The body may return an exit code of its own (default 0).
 */
export async function runVerb(
  options: VerbOptions,
  body: (run: Run) => Promise<number | undefined>,
  ending: string | Ending = {},
): Promise<void> {
  const { afterInterrupt = 'run the command again: it begins anew', service = false }: Ending =
    typeof ending === 'string' ? { afterInterrupt: ending } : ending;
  const stoppedCode = service ? 0 : exitCodes.interrupted;
  const terminal = openTerminal({ json: options.json === true, verbose: options.verbose === true });
  const interrupt = new AbortController();
  const closers: (() => Promise<void>)[] = [];
  let interruptsLeft = false;
  let lastOpened: Database | undefined;
  let phase: 'running' | 'closing' | 'ended' = 'running';
  const say = (message: string, details: object, line: string) => {
    if (service) createLog('info').warn(details, message);
    else process.stderr.write(`entra-sync: ${line} -> ${afterInterrupt}\n`);
  };
  listenToSignals((signal) => {
    if (interruptsLeft && signal === 'SIGINT') return;
    if (phase === 'ended') process.exit();
    if (interrupt.signal.aborted) {
      say('ended at once', {}, 'ended at once; nothing half done is visible');
      process.exit(stoppedCode);
    }
    if (terminal.lively || !service) terminal.note('stopping … (again: at once)');
    interrupt.abort(
      new ExpectedError('interrupted', 'interrupted; nothing half done is visible', { cure: afterInterrupt }),
    );
    endActivities();
    // Work that ignores the signal must not keep the process. The timer is unref'd, so that it never delays a clean end.
    setTimeout(() => {
      // All has ended, and said so; a library that does not let go of the process is no news.
      if (phase === 'ended') process.exit();
      const running = stillRunning(phase === 'closing');
      const what = running.join(', ');
      say('ended by force: not all of it ended in time', { running }, `forced to end, still running: ${what}`);
      process.exit(stoppedCode);
    }, endTimeoutMs).unref();
  });
  let exitCode = 0;
  try {
    const environment = readEnvironment(process.env);
    const tracing = await startTracing(process.env);
    if (tracing) closers.push(tracing.close);
    if (tracing?.remark) terminal.note(tracing.remark);
    const run: Run = {
      terminal,
      environment,
      signal: interrupt.signal,
      actor: options.actor ?? loginName(),
      database: async ({ announced = true, ...databaseOptions } = {}) => {
        const onLockWait = (wait: LockWait) => terminal.note(describeWait(wait));
        const opened = await openAppDatabase(environment, {
          onLockWait,
          ...databaseOptions,
          note: terminal.note,
          signal: interrupt.signal,
        });
        closers.push(opened.close);
        lastOpened = opened.database;
        // A caller that hears of locks itself tells of its other waits as well.
        if (!databaseOptions.onLockWait) closers.push(tellWaits(opened.database, terminal.note));
        if (announced) terminal.note(`database: ${opened.name}`);
        return opened;
      },
      leaveInterrupts: () => {
        interruptsLeft = true;
      },
      onEnd: (close) => closers.push(close),
    };
    exitCode = (await body(run)) ?? 0;
  } catch (error) {
    const stopped = interrupt.signal.aborted;
    const cause = stopped ? interrupt.signal.reason : error;
    if (stopped && service) exitCode = stoppedCode;
    else
      exitCode = showError(
        terminal,
        await (lastOpened ? tellDatabaseError(lastOpened, cause) : describeDatabaseError(cause)),
      );
  } finally {
    phase = 'closing';
    for (const close of closers.reverse()) {
      await close().catch((error: unknown) => {
        // An error of a close that was cut off to end in time is no news.
        if (!interrupt.signal.aborted) exitCode ||= showError(terminal, describeDatabaseError(error));
      });
    }
    phase = 'ended';
    process.exitCode = exitCode;
  }
}

/** Says on the terminal that a statement or a connection takes long, and why; the function that is returned ends it. */
function tellWaits(database: Database, note: (line: string) => void): () => Promise<void> {
  const watch = openWaitWatch({
    activities,
    ask: (pids) => statementStates(database, pids),
    tell: ({ seconds, reason }) => note(`has waited ${seconds} s: ${reason}`),
    giveUp,
  });
  const look = setInterval(() => void watch.look(), 1_000);
  look.unref();
  return async () => clearInterval(look);
}

/** The work that this process is still doing, for the line that says so. */
function stillRunning(closes: boolean): string[] {
  const now = performance.now();
  const told = activities().map(({ kind, since, tenantId, reason }) => {
    const seconds = Math.round((now - since) / 1000);
    return `${reason ?? `a ${kind}`} for ${seconds} s${tenantId === null ? '' : ` (tenant ${tenantId})`}`;
  });
  const busy = busyTenants().map((tenantId) => `tenant ${tenantId}`);
  return [closes ? 'closing what was opened' : 'the command itself', ...busy, ...told];
}

/** The way to Graph for a verb: every wait is said, `hooks` hear of it too. `keepTokens`: see {@link openGraphAccess}. */
export function openGraph(
  { environment, terminal }: Run,
  hooks: GraphHooks & { keepTokens?: boolean } = {},
): GraphAccess {
  // Said before anything is opened; only a database that is there can know tenants with a credential of their own.
  if (namesCredential(environment.variables) || isFirstRun(environment)) readCredential(environment.variables);
  const remark = useProxyOf(environment);
  if (remark) terminal.note(remark);
  return openGraphAccess(environment, {
    ...hooks,
    onWait: (event) => {
      hooks.onWait?.(event);
      const { reason, waitMs, attempt, retries, requestId } = event;
      terminal.note(
        `${reason}; trying again in ${(waitMs / 1000).toFixed(1)} s (${attempt} of ${retries})${terminal.verbose && requestId ? `, request-id ${requestId}` : ''}`,
      );
    },
  });
}
