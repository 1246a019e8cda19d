// `settings show` and `settings apply`: what is in force, and the installation's next version.
import { isDeepStrictEqual } from 'node:util';
import { Command } from 'commander';
import { stringify } from 'yaml';
import { openBasics } from '../../app.ts';
import {
  checkSettings,
  mergeDocuments,
  readSettingsFile,
  resolveSettings,
  type SettingsDocument,
} from '../../settings.ts';
import { applySettings, storedSettings } from '../../store/settings.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';

export function settingsCommand(): Command {
  const settings = new Command('settings').description(
    "The installation's settings, kept as numbered versions in the database.",
  );
  settings.addCommand(
    verb('show', 'Show the settings in force.', [
      'settings show',
      'settings show > my.yaml',
      'settings show --json',
    ]).action((options: VerbOptions) => runVerb(options, show)),
  );
  settings.addCommand(
    verb(
      'apply',
      'Check a settings file and store it as the next version. It holds only what shall differ from what is in force.',
      ['settings apply my.yaml'],
      {
        acts: true,
      },
    )
      .argument('<file>', 'a YAML file; config/default.yaml shows every setting')
      .action((file: string, options: VerbOptions) => runVerb(options, (run) => apply(run, file))),
  );
  return settings;
}

async function show(run: Run): Promise<undefined> {
  const { defaults } = openBasics(run.environment);
  const { database } = await run.database();
  const [stored] = await storedSettings(database, null);
  const document = inOrderOf(defaults, mergeDocuments({ ...defaults, fields: {} }, stored?.document ?? defaults));
  run.terminal.answer({
    version: stored?.version ?? null,
    applied_at: stored?.applied_at ?? null,
    actor: stored?.actor ?? null,
    settings: document,
  });
  if (stored)
    run.terminal.say(`# version ${stored.version}, applied ${stored.applied_at.toISOString()} by ${stored.actor}`);
  run.terminal.say(stringify(document).trimEnd());
}

async function apply(run: Run, file: string): Promise<undefined> {
  const { defaults } = openBasics(run.environment);
  const written = readSettingsFile(file);
  const { database } = await run.database();
  const before = await storedSettings(database, null);
  const layers = [{ ...defaults, fields: {} }, ...before.map((one) => one.document)];
  // Checked as a whole before it is stored: a version that no cycle could read must never be in force.
  const document = checkSettings(written, file, layers);
  const next = resolveSettings([...layers, document], 0);
  const stored = before[0]?.document ?? {};
  if (isDeepStrictEqual(mergeDocuments(stored, document), stored)) {
    run.terminal.answer({ version: before[0]?.version ?? null, full_round: false });
    run.terminal.say(`Nothing in ${file} differs from what is in force; no new version is stored.`);
    return;
  }
  const mappingChanged = next.fingerprint !== resolveSettings(layers, 0).fingerprint;
  const { version } = await applySettings(database, defaults, { tenantId: null, document, actor: run.actor });
  run.terminal.answer({ version, full_round: mappingChanged });
  run.terminal.say(
    `Settings version ${version} is in force.${mappingChanged ? ' Mapping or scope changed: the next cycle of every tenant is a full one.' : ''}`,
  );
}

// jsonb forgets the order in which keys were written; the one of config/default.yaml is the one people know.
function inOrderOf(defaults: SettingsDocument, document: SettingsDocument): SettingsDocument {
  const places = Object.keys(defaults.fields ?? {});
  const place = (name: string) => (places.includes(name) ? places.indexOf(name) : places.length);
  const fields = Object.entries(document.fields ?? {}).sort(([one], [other]) => place(one) - place(other));
  return { ...defaults, ...document, fields: Object.fromEntries(fields) };
}
