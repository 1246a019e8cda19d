// `settings history`, `settings diff` and `settings revert`: the versions of the settings, and the way back to one.
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { ExpectedError } from '../../errors.ts';
import { settingDifferences } from '../../settings/differences.ts';
import type { Database } from '../../store/database/pool.ts';
import { type NamedVersion, settingsHistory } from '../../store/settings/history.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { when } from '../format.ts';
import { table } from '../layout.ts';
import { wholeNumber } from '../whole-number.ts';

/** Stores a version's document as the next version of the installation or of its tenant. */
export type Revert = (run: Run, version: NamedVersion, dryRun: boolean) => Promise<undefined>;

/** Returns the verbs; `revert` stores a document. */
export function settingsHistoryCommands(revert: Revert): Command[] {
  return [
    verb('history', 'Show the versions of the settings: who changed what, newest first.', [
      'settings history',
      'settings history Contoso',
    ])
      .argument('[tenant]', 'id, name or reference: the versions that apply to this tenant')
      .option('--limit <n>', 'the number of versions', wholeNumber, 20)
      .action((word: string | undefined, options: VerbOptions & { limit: number }) =>
        runVerb(options, (run) => history(run, word, options.limit)),
      ),
    verb('diff', 'Show what differs between two versions of the settings.', ['settings diff 3 5', 'settings diff 3'])
      .argument('<from>', 'the number of a version', wholeNumber)
      .argument('[to]', 'the number of another; without it the newest of the same tenant or installation', wholeNumber)
      .action((from: number, to: number | undefined, options: VerbOptions) =>
        runVerb(options, (run) => diff(run, from, to)),
      ),
    verb(
      'revert',
      'Store an older version of the settings as the next one, of the installation or of the tenant that it belongs to.',
      ['settings revert 3 --dry-run', 'settings revert 3'],
      { acts: true },
    )
      .argument('<version>', 'the number of the version, as settings history shows it', wholeNumber)
      .option('--dry-run', 'say what would change, from what is stored; change nothing')
      .action((version: number, options: VerbOptions & { dryRun?: boolean }) =>
        runVerb(
          options,
          async (run) => {
            const { database } = await run.database();
            return revert(run, await requireVersion(database, version), options.dryRun === true);
          },
          'entra-sync settings history names the version in force',
        ),
      ),
  ];
}

async function history(run: Run, word: string | undefined, limit: number): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  const tenant = word === undefined ? undefined : await findTenant(database, word);
  const all = await settingsHistory(database, tenant?.tenant_id);
  const versions = all.map((one, index) => {
    // The version before it of the same tenant, or of the installation.
    const before = all.slice(index + 1).find((other) => other.tenant_id === one.tenant_id);
    return {
      ...one,
      first: before === undefined && one.tenant_id === null,
      changed: settingDifferences(before?.document ?? {}, one.document),
    };
  });
  terminal.answer({ versions: versions.map(({ document: _, first: __, ...one }) => one) });
  terminal.say(
    table(
      [
        { title: 'version' },
        { title: 'applied' },
        { title: 'by', long: true },
        { title: 'of', long: true },
        { title: 'changed' },
      ],
      versions
        .slice(0, limit)
        .map((one) => [
          String(one.version),
          when(one.applied_at),
          one.actor,
          one.tenant_name ?? 'the installation',
          one.first ? 'everything: the first version' : one.changed.map(({ key }) => key).join(', ') || 'nothing',
        ]),
    ),
  );
}

async function diff(run: Run, from: number, to: number | undefined): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  const old = await requireVersion(database, from);
  const all = await settingsHistory(database, old.tenant_id ?? undefined);
  const newest = all.find((one) => one.tenant_id === old.tenant_id) ?? old;
  const other = to === undefined ? newest : await requireVersion(database, to);
  if (other.tenant_id !== old.tenant_id) {
    throw new ExpectedError(
      'usage',
      `version ${from} is of ${nameOf(old)}, version ${other.version} of ${nameOf(other)}`,
      {
        cure: 'compare versions of the same tenant, or of the installation',
      },
    );
  }
  const differences = settingDifferences(old.document, other.document);
  terminal.answer({ from: old.version, to: other.version, tenant_id: old.tenant_id, differences });
  if (other.version === old.version) terminal.say(`Version ${old.version} is the newest: there is nothing to compare.`);
  else if (differences.length === 0) terminal.say(`Versions ${old.version} and ${other.version} say the same.`);
  for (const { key, before, after } of differences) {
    terminal.say(`${key}: ${shown(before)} -> ${shown(after)}`);
  }
}

const nameOf = ({ tenant_name }: NamedVersion) => tenant_name ?? 'the installation';

function shown(value: unknown): string {
  if (value === undefined) return 'not set';
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : stringify(value).trimEnd();
}

async function requireVersion(database: Database, version: number): Promise<NamedVersion> {
  const found = (await settingsHistory(database, undefined, version)).find((one) => one.version === version);
  if (found) return found;
  throw new ExpectedError('unknown_name', `there is no settings version ${version}`, {
    cure: 'entra-sync settings history shows the versions of the installation, settings history TENANT those of a tenant',
  });
}
