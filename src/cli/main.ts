// The command line of entra-sync.
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { packageFile } from '../package-files.ts';
import { changesCommand } from './verbs/changes.ts';
import { demoCommand } from './verbs/demo.ts';
import { migrateCommand } from './verbs/migrate.ts';
import { psqlCommand } from './verbs/psql.ts';
import { settingsCommand } from './verbs/settings.ts';
import { simulateCommand } from './verbs/simulate.ts';
import { statusCommand } from './verbs/status.ts';
import { resyncCommand, syncCommand } from './verbs/sync.ts';
import { tenantCommand } from './verbs/tenant.ts';

const { version } = JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string };

const program = new Command('entra-sync')
  .description('Keeps a faithful copy of Microsoft Entra ID users, groups and memberships in Postgres.')
  .version(version)
  .showSuggestionAfterError()
  .showHelpAfterError('(--help shows how it is used)')
  .addHelpText(
    'after',
    `
Examples:
  $ entra-sync demo                  see it work: a simulated tenant, an embedded database
  $ entra-sync sync                  one cycle now, of the tenant of AZURE_TENANT_ID
  $ entra-sync status                how every tenant is

Exit codes: 0 done, 1 a defect, 2 usage or settings, 3 sign-in, consent or permission, 4 removals held,
5 Graph unavailable, 6 another cycle is running, 7 database unreachable or schema not current, 130 interrupted.
Environment: DATABASE_URL, ENTRA_SYNC_HOME, AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET,
AZURE_CLIENT_CERTIFICATE_PATH, ENTRA_SYNC_CLOUD, LOG_LEVEL and more: see README.md.`,
  );
for (const command of [
  demoCommand(),
  simulateCommand(),
  migrateCommand(),
  tenantCommand(),
  syncCommand(),
  resyncCommand(),
  statusCommand(),
  changesCommand(),
  settingsCommand(),
  psqlCommand(),
]) {
  program.addCommand(command);
}

/** Commander's own errors are usage errors: exit code 2, its message is on stderr already. */
function exitWithUsage(command: Command): void {
  command.exitOverride();
  for (const one of command.commands) exitWithUsage(one);
}
exitWithUsage(program);

// A reader that has seen enough (head, less) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : 2;
}
