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
import { ExpectedError } from '../errors.ts';
import { useProxyOf } from '../proxy.ts';
import { describeWait, type LockWait } from '../store/blockers.ts';
import { describeDatabaseError } from '../store/pool.ts';
import { startTracing } from '../tracing.ts';
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

// A request that hangs in a library which does not let go of it would keep a finished command alive. What is still to be
// read of its answer (by a pager, say) is waited for.
function endSoon(): void {
  setInterval(() => {
    if (process.stdout.writableLength + process.stderr.writableLength === 0) process.exit();
  }, 1_000).unref();
}

/** How a verb ends that is interrupted. */
export type Ending = {
  /** What there is to do after Ctrl-C. */
  readonly afterInterrupt?: string;
  /** So long it may take to close everything. */
  readonly endTimeoutMs?: number;
  /** Its stderr is a log, which gets the line that says how it ended and nothing else. */
  readonly logsAlone?: boolean;
};

/** What to do after Ctrl-C in a verb that walks rounds. */
export const goesOn = 'run the command again: it goes on where it stopped';

/**
 * Runs the body of a verb: opens nothing before it is asked for, closes everything, turns errors into one line and an exit
 * code. The body may return an exit code of its own (default 0).
 */
export async function runVerb(
  options: VerbOptions,
  body: (run: Run) => Promise<number | undefined>,
  ending: string | Ending = {},
): Promise<void> {
  const {
    afterInterrupt = 'run the command again: it begins anew',
    endTimeoutMs = 15_000,
    logsAlone = false,
  }: Ending = typeof ending === 'string' ? { afterInterrupt: ending } : ending;
  const terminal = openTerminal({ json: options.json === true, verbose: options.verbose === true });
  const interrupt = new AbortController();
  const closers: (() => Promise<void>)[] = [];
  let interruptsLeft = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (interruptsLeft && signal === 'SIGINT') return;
    if (interrupt.signal.aborted) {
      process.stderr.write(`\nentra-sync: ended at once; nothing half done is visible -> ${afterInterrupt}\n`);
      process.exit(130);
    }
    if (terminal.lively || !logsAlone) terminal.note('stopping … (again: at once)');
    interrupt.abort(
      new ExpectedError('interrupted', 'interrupted; nothing half done is visible', {
        cure: afterInterrupt,
      }),
    );
    // Something that does not listen must not keep the terminal; unref'd, so that it never delays a clean end.
    setTimeout(() => {
      process.stderr.write(`entra-sync: forced to end, something did not close in time -> ${afterInterrupt}\n`);
      process.exit(130);
    }, endTimeoutMs).unref();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
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
        const opened = await openAppDatabase(environment, { onLockWait, ...databaseOptions, note: terminal.note });
        closers.push(opened.close);
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
    exitCode = showError(terminal, describeDatabaseError(interrupt.signal.aborted ? interrupt.signal.reason : error));
  } finally {
    for (const close of closers.reverse()) {
      await close().catch((error: unknown) => {
        exitCode ||= showError(terminal, describeDatabaseError(error));
      });
    }
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal);
    process.exitCode = exitCode;
    endSoon();
  }
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
