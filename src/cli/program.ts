// The command line of entra-sync.
import { Command, CommanderError } from 'commander';
import { packageVersion } from '../package-files.ts';
import { openTerminal, showError } from './terminal.ts';
import { fitHelp, throwUsage } from './usage.ts';

type Verbs = Readonly<Record<string, () => Promise<Command>>>;

// In the order of the help. Only the named verb is loaded, since loading dominates a short command.
const groups: Readonly<Record<string, Verbs>> = {
  'Try it:': {
    demo: async () => (await import('./verbs/demo.ts')).demoCommand(),
    simulate: async () => (await import('./verbs/simulate.ts')).simulateCommand(),
  },
  'Connect and run:': {
    register: async () => (await import('./verbs/register.ts')).registerCommand(),
    migrate: async () => (await import('./verbs/migrate.ts')).migrateCommand(),
    tenant: async () => (await import('./verbs/tenant.ts')).tenantCommand(),
    connect: async () => (await import('./verbs/connect.ts')).connectCommand(),
    sync: async () => (await import('./verbs/sync.ts')).syncCommand(),
    resync: async () => (await import('./verbs/sync.ts')).resyncCommand(),
    worker: async () => (await import('./verbs/worker.ts')).workerCommand(),
    web: async () => (await import('./verbs/web.ts')).webCommand(),
  },
  'See how it stands:': {
    status: async () => (await import('./verbs/status.ts')).statusCommand(),
    doctor: async () => (await import('./verbs/doctor.ts')).doctorCommand(),
    cycle: async () => (await import('./verbs/cycle.ts')).cycleCommand(),
    verify: async () => (await import('./verbs/verify.ts')).verifyCommand(),
    audit: async () => (await import('./verbs/audit.ts')).auditCommand(),
  },
  'Accounts and groups:': {
    find: async () => (await import('./verbs/find.ts')).findCommand(),
    explain: async () => (await import('./verbs/explain.ts')).explainCommand(),
    managers: async () => (await import('./verbs/managers.ts')).managersCommand(),
    history: async () => (await import('./verbs/history.ts')).historyCommand(),
    compare: async () => (await import('./verbs/history.ts')).compareCommand(),
    edit: async () => (await import('./verbs/edit.ts')).editCommand(),
    restore: async () => (await import('./verbs/restore.ts')).restoreCommand(),
    person: async () => (await import('./verbs/person.ts')).personCommand(),
    changes: async () => (await import('./verbs/changes.ts')).changesCommand(),
    removals: async () => (await import('./verbs/removals.ts')).removalsCommand(),
  },
  'Who gets what:': {
    assignments: async () => (await import('./verbs/assignments.ts')).assignmentsCommand(),
    slots: async () => (await import('./verbs/slots.ts')).slotsCommand(),
    items: async () => (await import('./verbs/slots.ts')).itemsCommand(),
  },
  'Settings and applications:': {
    settings: async () => (await import('./verbs/settings.ts')).settingsCommand(),
    grant: async () => (await import('./verbs/grant.ts')).grantCommand(),
    webhook: async () => (await import('./verbs/webhook.ts')).webhookCommand(),
    notify: async () => (await import('./verbs/notify.ts')).notifyCommand(),
    psql: async () => (await import('./verbs/psql.ts')).psqlCommand(),
  },
};

function describeProgram(): Command {
  // Positional options, since `web` has options of its own, and verbs below it that have the same ones.
  return new Command('entra-sync')
    .description('Keeps a faithful copy of Microsoft Entra ID users, groups and memberships in Postgres.')
    .version(packageVersion())
    .showSuggestionAfterError()
    .enablePositionalOptions()
    .addHelpText(
      'after',
      `
Examples:
  $ entra-sync demo                  see it work: a simulated tenant, an embedded database
  $ entra-sync sync                  one cycle now, of the tenant of AZURE_TENANT_ID
  $ entra-sync status                the state of every tenant
  $ entra-sync explain ann@x.com     why an account has its values, or why it is missing

Exit codes: 0 done, 1 a defect, 2 usage or settings, 3 sign-in, consent or permission, 4 removals held,
5 Graph unavailable, 6 another cycle is running, 7 database unreachable, unable or not migrated, 8 drift, 130 interrupted.
Environment: DATABASE_URL, ENTRA_SYNC_HOME, AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET,
AZURE_CLIENT_CERTIFICATE_PATH, ENTRA_SYNC_CLOUD, LOG_LEVEL and more: see docs/operations.md.`,
    );
}

const show = (error: unknown, args: readonly string[]) =>
  showError(openTerminal({ json: args.includes('--json'), verbose: false }), error);

/** Moves options that all verbs have, and that stand before the verb, behind it. */
function optionsAfterVerb(args: readonly string[]): readonly string[] {
  const first = args.findIndex((word) => word !== '--verbose' && word !== '--json');
  if (first < 1) return args;
  const words = args.slice(first);
  // What is behind -- goes to psql.
  const end = words.indexOf('--');
  return words.toSpliced(end < 0 ? words.length : end, 0, ...args.slice(0, first));
}

/** Runs one command line (`given` without the program's name), and sets `process.exitCode`. */
export async function runProgram(given: readonly string[]): Promise<void> {
  const program = describeProgram();
  const args = optionsAfterVerb(given);
  const [named = ''] = args;
  const isNamed = Object.values(groups).some((verbs) => Object.hasOwn(verbs, named));
  for (const [heading, verbs] of Object.entries(groups)) {
    for (const [name, load] of Object.entries(verbs))
      if (!isNamed || name === named) program.addCommand((await load()).helpGroup(heading));
  }
  throwUsage(program);
  fitHelp(program);

  // Let a signal that came during loading arrive before any work begins.
  await new Promise((resolve) => setImmediate(resolve));

  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    process.exitCode = error instanceof CommanderError ? 0 : show(error, args);
  }
}

/** Runs the command line of this process, and ends the process. */
export async function runProcess(): Promise<void> {
  const args = process.argv.slice(2);
  // A reader that stops early (head, less) is not an error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  // Node would print the error with all its properties, and the environment in its diagnostic report (rule 18).
  process.on('uncaughtException', (error) => {
    process.exit(show(error, args));
  });
  if (process.report) process.report.excludeEnv = true;
  await runProgram(args);
  endSoon();
}

// A hanging request of a library must not keep a finished command alive. Waits for pagers to read the output.
function endSoon(): void {
  setInterval(() => {
    if (process.stdout.writableLength + process.stderr.writableLength === 0) process.exit();
  }, 1_000).unref();
}
