// The command line of entra-sync.
import { Command, CommanderError } from 'commander';
import { packageVersion } from '../package-files.ts';
import { openTerminal, showError } from './terminal.ts';
import { throwUsage } from './usage.ts';

const program = new Command('entra-sync')
  .description('Keeps a faithful copy of Microsoft Entra ID users, groups and memberships in Postgres.')
  .version(packageVersion())
  .showSuggestionAfterError()
  .addHelpText(
    'after',
    `
Examples:
  $ entra-sync demo                  see it work: a simulated tenant, an embedded database
  $ entra-sync sync                  one cycle now, of the tenant of AZURE_TENANT_ID
  $ entra-sync status                how every tenant is
  $ entra-sync explain ann@x.com     why one account shows what it shows, or why it is not there

Exit codes: 0 done, 1 a defect, 2 usage or settings, 3 sign-in, consent or permission, 4 removals held,
5 Graph unavailable, 6 another cycle is running, 7 database unreachable, unable or not migrated, 8 drift, 130 interrupted.
Environment: DATABASE_URL, ENTRA_SYNC_HOME, AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET,
AZURE_CLIENT_CERTIFICATE_PATH, ENTRA_SYNC_CLOUD, LOG_LEVEL and more: see docs/operations.md.`,
  );
// In the order of the help. Only the named one is loaded, with what it needs: that is most of the time a short command takes.
const verbs: Readonly<Record<string, () => Promise<Command>>> = {
  demo: async () => (await import('./verbs/demo.ts')).demoCommand(),
  simulate: async () => (await import('./verbs/simulate.ts')).simulateCommand(),
  migrate: async () => (await import('./verbs/migrate.ts')).migrateCommand(),
  tenant: async () => (await import('./verbs/tenant.ts')).tenantCommand(),
  connect: async () => (await import('./verbs/connect.ts')).connectCommand(),
  sync: async () => (await import('./verbs/sync.ts')).syncCommand(),
  resync: async () => (await import('./verbs/sync.ts')).resyncCommand(),
  worker: async () => (await import('./verbs/worker.ts')).workerCommand(),
  status: async () => (await import('./verbs/status.ts')).statusCommand(),
  doctor: async () => (await import('./verbs/doctor.ts')).doctorCommand(),
  explain: async () => (await import('./verbs/explain.ts')).explainCommand(),
  edit: async () => (await import('./verbs/edit.ts')).editCommand(),
  changes: async () => (await import('./verbs/changes.ts')).changesCommand(),
  settings: async () => (await import('./verbs/settings.ts')).settingsCommand(),
  removals: async () => (await import('./verbs/removals.ts')).removalsCommand(),
  verify: async () => (await import('./verbs/verify.ts')).verifyCommand(),
  grant: async () => (await import('./verbs/grant.ts')).grantCommand(),
  psql: async () => (await import('./verbs/psql.ts')).psqlCommand(),
};
const [, , named = ''] = process.argv;
const wanted = Object.hasOwn(verbs, named) ? [verbs[named]] : Object.values(verbs);
for (const load of wanted) if (load) program.addCommand(await load());

throwUsage(program);

// A reader that has seen enough (head, less) is no error: what is under way still ends well, with its own exit code.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const show = (error: unknown) =>
  showError(openTerminal({ json: process.argv.includes('--json'), verbose: false }), error);

// Node would print such an error with everything that hangs on it, and its diagnostic report the environment (rule 18).
process.on('uncaughtException', (error) => {
  process.exit(show(error));
});
if (process.report) process.report.excludeEnv = true;

// A signal that came while the modules were loaded is heard in the next turn, before anything begins.
await new Promise((resolve) => setImmediate(resolve));

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = error instanceof CommanderError ? 0 : show(error);
}
