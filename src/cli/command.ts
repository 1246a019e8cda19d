// Shared by all verbs: options, database, signals, exit codes.
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
import type { Customer } from '../graph/sign-in-errors.ts';
import { createLog } from '../logger.ts';
import { useProxyOf } from '../proxy.ts';
import { activities, busyTenants, endActivities, giveUp } from '../store/database/activity.ts';
import { describeWait, type LockWait } from '../store/database/blockers.ts';
import { statementStates } from '../store/database/health.ts';
import { type Database, describeDatabaseError, tellDatabaseError } from '../store/database/pool.ts';
import { readCustomer } from '../store/tenants/tenants.ts';
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
   * Opens the database that the environment names, and closes it when the verb ends. A line on stderr names it unless
   * `announced` is false. A long wait for a lock goes to `onLockWait`; without it, to a line on stderr.
   */
  database(options?: {
    anySchema?: boolean;
    maxConnections?: number;
    announced?: boolean;
    onLockWait?: (wait: LockWait) => void;
  }): Promise<OpenedDatabase>;
  /** Returns the customer of a tenant, from the database that was opened; undefined without one. */
  customerOf(tenantId: string): Promise<Customer | undefined>;
  /** Leaves Ctrl-C to a child program from now on. */
  leaveInterrupts(): void;
  /** Adds a function to run at the end. The last added runs first. */
  onEnd(close: () => Promise<void>): void;
};

export type VerbOptions = { json?: boolean; verbose?: boolean; actor?: string };

/** Returns a verb with the common options, and `examples` in its help. Verbs that serve or show have no answer for --json. */
export function verb(
  name: string,
  description: string,
  examples: readonly string[],
  options: { acts?: boolean; answers?: boolean } = {},
): Command {
  const command = new Command(name).description(description);
  if (options.answers !== false) command.option('--json', 'print the answer as one JSON object');
  command.option('--verbose', "print more, such as Graph's request ids").addHelpText('after', examplesText(examples));
  if (options.acts)
    command.addOption(
      new Option('--actor <name>', 'the person who does this, for the change rows').default(
        loginName(),
        'the login name',
      ),
    );
  return command;
}

/** Returns a command that groups verbs, like `tenant`, with `examples` in its help. */
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

/** The way a verb ends after a signal. */
export type Ending = {
  /** The cure that the line after Ctrl-C names. */
  readonly afterInterrupt?: string;
  /** A service logs JSON lines on stderr, and a signal is its normal end: exit code 0. */
  readonly service?: boolean;
};

// A stopped container is killed after ten seconds.
const endTimeoutMs = 8_000;

/** The cure after Ctrl-C in a verb whose rounds can be resumed. */
export const resumeHint = 'run the command again: it resumes where it stopped';

/**
 * Runs the body of a verb, closes everything that it opened, and turns errors into one line and an exit code. The body
 * returns an exit code (default 0).
 */
export async function runVerb(
  options: VerbOptions,
  body: (run: Run) => Promise<number | undefined>,
  ending: string | Ending = {},
): Promise<void> {
  const { afterInterrupt = 'run the command again: it starts over', service = false }: Ending =
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
    // Work that ignores the signal must not keep the process; unref'd, so that the timer never delays a clean end.
    setTimeout(() => {
      // The verb has ended and reported; only a library keeps the process alive.
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
        // A caller with its own onLockWait reports its other waits as well.
        if (!databaseOptions.onLockWait) closers.push(tellWaits(opened.database, terminal.note));
        if (announced) terminal.note(`database: ${opened.name}`);
        return opened;
      },
      customerOf: async (tenantId) => lastOpened && readCustomer(lastOpened, tenantId),
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
        // After an interrupt, errors of closing mean nothing.
        if (!interrupt.signal.aborted) exitCode ||= showError(terminal, describeDatabaseError(error));
      });
    }
    phase = 'ended';
    process.exitCode = exitCode;
  }
}

/** Notes long waits for the database. Returns a function that ends this. */
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

function stillRunning(closes: boolean): string[] {
  const now = performance.now();
  const waits = activities().map(({ kind, since, tenantId, reason }) => {
    const seconds = Math.round((now - since) / 1000);
    return `${reason ?? `a ${kind}`} for ${seconds} s${tenantId === null ? '' : ` (tenant ${tenantId})`}`;
  });
  const busy = busyTenants().map((tenantId) => `tenant ${tenantId}`);
  return [closes ? 'closing what was opened' : 'the command itself', ...busy, ...waits];
}

/** Opens Graph for a verb. Notes every wait, also to `hooks`. For `keepTokens` see {@link openGraphAccess}. */
export async function openGraph(
  { environment, terminal, customerOf }: Run,
  hooks: GraphHooks & { keepTokens?: boolean } = {},
): Promise<GraphAccess> {
  // Fail on a wrong credential before anything is opened. Only an existing database can hold other credentials.
  if (namesCredential(environment.variables) || isFirstRun(environment)) readCredential(environment.variables);
  const remark = await useProxyOf(environment);
  if (remark) terminal.note(remark);
  return openGraphAccess(environment, {
    customerOf,
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
