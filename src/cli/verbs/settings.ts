// `settings show`, `settings apply` and `tenant set`: the settings in force, and their next version.
import { isDeepStrictEqual } from 'node:util';
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { openBasics } from '../../app.ts';
import { ExpectedError } from '../../errors.ts';
import { belowStored } from '../../settings/fields.ts';
import { readSettingsFile } from '../../settings/files.ts';
import { mergeDocuments, type SettingsDocument } from '../../settings/settings.ts';
import { checkGiven } from '../../store/preview/given.ts';
import { changeSettings, type SettingsOutcome } from '../../store/preview/settings.ts';
import type { NamedVersion } from '../../store/settings/history.ts';
import { type SettingsChange, storedSettings } from '../../store/settings/versions.ts';
import { findTenant, listTenants, type Tenant } from '../../store/tenants/tenants.ts';
import { whenItActs } from '../../words/settings-outcome.ts';
import { type Run, runVerb, type VerbOptions, verb, verbGroup } from '../command.ts';
import { onOneLine } from '../layout.ts';
import { describeOutcomes } from '../settings-outcome.ts';
import { settingsHistoryCommands } from './settings-history.ts';

const whatIsInForce = 'entra-sync settings show names the version in force';

type ChangeOptions = VerbOptions & { dryRun?: boolean; reset?: boolean };

export function settingsCommand(): Command {
  const settings = verbGroup(
    'settings',
    "The installation's settings, kept as numbered versions in the database. tenant set changes those of one tenant.",
    ['settings show > my.yaml', 'settings apply my.yaml --dry-run', 'settings apply my.yaml'],
  );
  settings.addCommand(
    verb('show', 'Show the settings in force, of the installation or of one tenant.', [
      'settings show',
      'settings show Contoso',
      'settings show > my.yaml',
      'settings show --json',
    ])
      .argument('[tenant]', 'id, name or reference of one tenant')
      .action((word: string | undefined, options: VerbOptions) => runVerb(options, (run) => show(run, word))),
  );
  settings.addCommand(
    verb(
      'apply',
      'Check a settings file and store it as the next version. The file needs only the keys that change.',
      ['settings apply my.yaml --dry-run', 'settings apply my.yaml'],
      { acts: true },
    )
      .argument('<file>', 'a YAML file; config/default.yaml shows every setting')
      .option('--dry-run', 'say what would change, from what is stored; change nothing')
      .action((file: string, options: ChangeOptions) =>
        runVerb(options, (run) => apply(run, null, file, options.dryRun === true), whatIsInForce),
      ),
  );
  for (const command of settingsHistoryCommands(revert)) settings.addCommand(command);
  return settings;
}

async function revert(run: Run, { document, tenant_id: tenantId }: NamedVersion, dryRun: boolean): Promise<undefined> {
  const { terminal } = run;
  const { defaults } = openBasics(run.environment);
  const { database } = await run.database();
  const own = (await storedSettings(database, tenantId)).find((one) => one.tenant_id === tenantId);
  if (isDeepStrictEqual(document, own?.document ?? {})) {
    terminal.answer({ version: own?.version ?? null, dryRun, tenants: [] });
    terminal.say('These are the settings in force; no new version is stored.');
    return;
  }
  const change: SettingsChange = { tenantId, document, replaces: true, actor: run.actor };
  const outcome = await changeSettings(database, defaults, change, { dryRun });
  terminal.answer({ version: dryRun ? null : outcome.version, dryRun, tenants: outcome.tenants });
  sayOutcome(run, outcome, await listTenants(database), dryRun);
}

/** Returns `tenant set`: the settings of one tenant, which override the installation's. */
export function tenantSetCommand(): Command {
  return verb(
    'set',
    "Store the next version of one tenant's own settings, which override the installation's. The file needs only the keys that change.",
    ['tenant set Contoso contoso.yaml --dry-run', 'tenant set Contoso contoso.yaml', 'tenant set Contoso --reset'],
    { acts: true },
  )
    .argument('<tenant>', 'id, name or reference')
    .argument('[file]', 'a YAML file; scope.groups and managedBy may name synced groups by their display name')
    .option('--dry-run', 'say what would change, from what is stored; change nothing')
    .option('--reset', "drop the tenant's own settings, so that the installation's apply again")
    .action((word: string, file: string | undefined, options: ChangeOptions) =>
      runVerb(
        options,
        async (run) => {
          if ((file === undefined) === (options.reset !== true)) {
            throw new ExpectedError('usage', 'a file or --reset is needed, and not both', {
              cure: 'entra-sync tenant set TENANT FILE',
            });
          }
          return apply(run, word, file, options.dryRun === true);
        },
        whatIsInForce,
      ),
    );
}

async function show(run: Run, word: string | undefined): Promise<undefined> {
  const { defaults } = openBasics(run.environment);
  const { database } = await run.database();
  const tenant = word === undefined ? null : await findTenant(database, word);
  const stored = await storedSettings(database, tenant?.tenant_id ?? null);
  const layers = stored.map((one) => one.document);
  const document = inOrderOf(defaults, layers.reduce(mergeDocuments, belowStored(defaults, layers)));
  const [newest] = [...stored].sort((one, other) => other.version - one.version);
  run.terminal.answer({
    version: newest?.version ?? null,
    applied_at: newest?.applied_at ?? null,
    actor: newest?.actor ?? null,
    own: tenant ? (stored.find((one) => one.tenant_id !== null)?.document ?? {}) : null,
    settings: document,
  });
  if (newest)
    run.terminal.print(
      `# version ${newest.version}, applied ${newest.applied_at.toISOString()} by ${onOneLine(newest.actor)}`,
    );
  run.terminal.print(stringify(document).trimEnd());
}

async function apply(run: Run, word: string | null, file: string | undefined, dryRun: boolean): Promise<undefined> {
  const { terminal } = run;
  const { defaults } = openBasics(run.environment);
  const written = file === undefined ? null : readSettingsFile(file);
  const { database } = await run.database();
  const tenant = word === null ? null : await findTenant(database, word);
  const tenantId = tenant?.tenant_id ?? null;
  const given = { tenantId, written, name: file ?? '' };
  const { document, own, isSame } = await checkGiven(database, defaults, given);
  if (isSame) {
    terminal.answer({ version: own?.version ?? null, dryRun, tenants: [] });
    terminal.say(
      file === undefined
        ? `${tenant?.name ?? 'The installation'} has no settings of its own; no new version is stored.`
        : `Nothing in ${file} differs from what is in force; no new version is stored.`,
    );
    return;
  }
  const change: SettingsChange = { tenantId, document, actor: run.actor };
  const outcome = await changeSettings(database, defaults, change, { dryRun: dryRun });
  terminal.answer({ ...(dryRun ? { version: null } : { version: outcome.version }), dryRun, tenants: outcome.tenants });
  sayOutcome(run, outcome, await listTenants(database), dryRun);
}

function sayOutcome(
  { terminal }: Run,
  { version, tenants }: SettingsOutcome,
  all: readonly Tenant[],
  dryRun: boolean,
): void {
  const nameOf = new Map(all.map((one) => [one.tenant_id, one.name]));
  const places = new Map(all.map((one, place) => [one.tenant_id, place]));
  const sorted = [...tenants].sort((one, other) => (places.get(one.tenantId) ?? 0) - (places.get(other.tenantId) ?? 0));
  for (const line of describeOutcomes(sorted, (id) => nameOf.get(id) ?? id)) terminal.say(line);
  const acts = tenants.length > 0 ? ` ${whenItActs(tenants, dryRun)}` : '';
  terminal.say(dryRun ? `Dry run: nothing was changed.${acts}` : `Settings version ${version} is in force.${acts}`);
}

// jsonb does not keep the order of keys. People know the order of config/default.yaml.
function inOrderOf(defaults: SettingsDocument, document: SettingsDocument): SettingsDocument {
  const places = Object.keys(defaults.fields ?? {});
  const place = (name: string) => (places.includes(name) ? places.indexOf(name) : places.length);
  const fields = Object.entries(document.fields ?? {}).sort(([one], [other]) => place(one) - place(other));
  return { ...defaults, ...document, fields: Object.fromEntries(fields) };
}
