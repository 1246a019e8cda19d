// `migrate`: brings the schema up to date, or shows the missing migrations.
import type { Command } from 'commander';
import { openBasics } from '../../app.ts';
import { describeWait } from '../../store/database/blockers.ts';
import { feedPosition } from '../../store/feed/changes.ts';
import { beginFeedEpoch } from '../../store/feed/epochs.ts';
import { migrate, requireCurrentSchema, schemaState } from '../../store/schema/migrate.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';

type MigrateOptions = VerbOptions & { check?: boolean; restored?: boolean };

export function migrateCommand(): Command {
  return verb(
    'migrate',
    'Bring the schema of the database up to date. Safe to run at any time, by any number of processes at once.',
    ['migrate', 'migrate --check', 'migrate --restored'],
  )
    .option('--check', 'change nothing: list the missing migrations, and exit 7 if there are any')
    .option(
      '--restored',
      'after a restore that the feed cannot see by itself: start a new epoch, so that all old positions are refused (ES006)',
    )
    .action((options: MigrateOptions) => runVerb(options, (run) => body(run, options)));
}

async function body(run: Run, options: MigrateOptions): Promise<undefined> {
  const { terminal } = run;
  const { database, url } = await run.database({ anySchema: true });
  if (options.check) {
    const state = await schemaState(database);
    if (state.pending.length === 0 && state.unknown.length === 0) {
      terminal.answer(state);
      terminal.say(`The schema is up to date (${state.applied.length} migrations).`);
      return;
    }
    for (const name of state.pending) terminal.note(`missing: ${name}`);
    await requireCurrentSchema(database);
  }
  const applied = await migrate(
    url,
    openBasics(run.environment).defaults,
    { onWait: (wait) => terminal.note(describeWait(wait)) },
    run.signal,
  );
  if (options.restored) await beginFeedEpoch(database);
  terminal.answer({ applied, ...(options.restored && { position: await feedPosition(database) }) });
  for (const name of applied) terminal.say(`applied ${name}`);
  if (applied.length === 0) terminal.say('The schema was up to date already.');
  if (options.restored)
    terminal.say(
      `A new epoch of the feed has started; earlier positions are refused. The feed stands at ${await feedPosition(database)}`,
    );
}
