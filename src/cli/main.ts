// The command line of entra-sync.
import { Command, CommanderError } from 'commander';
import { packageVersion } from '../package-files.ts';
import { openTerminal, showError } from './terminal.ts';
import { throwUsage } from './usage.ts';
import { changesCommand } from './verbs/changes.ts';
import { connectCommand } from './verbs/connect.ts';
import { demoCommand } from './verbs/demo.ts';
import { doctorCommand } from './verbs/doctor.ts';
import { editCommand } from './verbs/edit.ts';
import { explainCommand } from './verbs/explain.ts';
import { grantCommand } from './verbs/grant.ts';
import { migrateCommand } from './verbs/migrate.ts';
import { psqlCommand } from './verbs/psql.ts';
import { removalsCommand } from './verbs/removals.ts';
import { settingsCommand } from './verbs/settings.ts';
import { simulateCommand } from './verbs/simulate.ts';
import { statusCommand } from './verbs/status.ts';
import { resyncCommand, syncCommand } from './verbs/sync.ts';
import { tenantCommand } from './verbs/tenant.ts';
import { verifyCommand } from './verbs/verify.ts';
import { workerCommand } from './verbs/worker.ts';

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
5 Graph unavailable, 6 another cycle is running, 7 database unreachable or schema not current, 8 drift, 130 interrupted.
Environment: DATABASE_URL, ENTRA_SYNC_HOME, AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET,
AZURE_CLIENT_CERTIFICATE_PATH, ENTRA_SYNC_CLOUD, LOG_LEVEL and more: see README.md.`,
  );
for (const command of [
  demoCommand(),
  simulateCommand(),
  migrateCommand(),
  tenantCommand(),
  connectCommand(),
  syncCommand(),
  resyncCommand(),
  workerCommand(),
  statusCommand(),
  doctorCommand(),
  explainCommand(),
  editCommand(),
  changesCommand(),
  settingsCommand(),
  removalsCommand(),
  verifyCommand(),
  grantCommand(),
  psqlCommand(),
]) {
  program.addCommand(command);
}

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

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = error instanceof CommanderError ? 0 : show(error);
}
