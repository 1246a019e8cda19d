// `tenant add`: registers one tenant, or all tenants of a file.

import type { Command } from 'commander';
import { openBasics } from '../../app.ts';
import { requireTenantId } from '../../environment.ts';
import { ExpectedError } from '../../errors.ts';
import { commandWord } from '../../rules/shell.ts';
import { addTenants, type Obstacle } from '../../store/tenants/add-tenants.ts';
import { addTenant, findTenant } from '../../store/tenants/tenants.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { nameWithId, plural } from '../format.ts';
import { table } from '../layout.ts';
import { fileProblems, isLabel, parseTenantFile, readTenantFile } from '../tenant-file.ts';

type AddOptions = VerbOptions & { name?: string; ref?: string; file?: string; dryRun?: boolean };

export function tenantAddCommand(): Command {
  return verb('add', 'Register a tenant, or all tenants of a file. Nothing is read before its first cycle.', [
    'tenant add 2f9b1c54-7a8e-4f7e-9a55-0d3f5f1c8e21 --name Contoso --ref customer-17',
    'tenant add --file tenants.csv --dry-run     # first line: tenant,name,ref',
    'tenant add --file tenants.yaml              # - { tenant: 2f9b1c54-…, name: Contoso, ref: customer-17 }',
    'export-customers | entra-sync tenant add --file -',
  ])
    .argument('[tenant]', 'the tenant id (a GUID)')
    .option('--name <name>', 'how people call it')
    .option('--ref <ref>', 'what your own system calls this customer')
    .option('--file <file>', 'a CSV or YAML file of tenants, - for stdin: all are registered, or none')
    .option('--dry-run', 'with --file: check it, and show what would be registered')
    .action((id: string | undefined, options: AddOptions) =>
      runVerb(options, (run) => {
        const { file } = options;
        if (file === undefined) return addOne(run, id, options);
        if (id === undefined && options.name === undefined && options.ref === undefined)
          return addAll(run, file, options.dryRun === true);
        throw new ExpectedError('usage', 'a file names its tenants itself', {
          cure: 'give --file alone, or TENANT with --name',
        });
      }),
    );
}

async function addOne(run: Run, id: string | undefined, options: AddOptions): Promise<undefined> {
  if (id === undefined || options.name === undefined || options.dryRun) {
    throw new ExpectedError('usage', options.dryRun ? '--dry-run needs --file' : 'a tenant needs its id and a name', {
      cure: 'entra-sync tenant add TENANT --name NAME, or entra-sync tenant add --file FILE',
    });
  }
  const tenantId = requireTenantId(id, 'TENANT');
  const name = checkedName(options.name);
  const { defaults } = openBasics(run.environment);
  const { database } = await run.database();
  await addTenant(database, { tenantId, name, ref: options.ref ?? null }, defaults);
  run.terminal.answer(await findTenant(database, tenantId));
  run.terminal.say(
    `${name} (${tenantId}) is registered; entra-sync sync ${commandWord(name)} reads it for the first time`,
  );
}

/** Returns the name of a tenant without blanks around it. Throws `usage`. */
export function checkedName(text: string): string {
  const name = text.trim();
  if (isLabel(name)) return name;
  throw new ExpectedError('usage', 'the name must have 1 to 200 printable characters', { cure: 'give it with --name' });
}

const shownTenants = 50;

async function addAll(run: Run, file: string, dryRun: boolean): Promise<undefined> {
  const { terminal } = run;
  // The whole file is checked before the database is opened.
  const tenants = parseTenantFile(await readTenantFile(file, process.stdin), file);
  const { defaults } = openBasics(run.environment);
  const { database } = await run.database();
  const { added, unchanged, obstacles } = await addTenants(database, tenants, { defaults, dryRun });
  if (obstacles.length > 0) {
    const lines = new Map(tenants.map((one) => [one.tenantId, one]));
    const told = obstacles.map((one) => ({ line: lines.get(one.tenantId)?.line ?? 0, says: describe(one) }));
    told.sort((one, other) => one.line - other.line);
    throw fileProblems(
      file,
      told.map(({ line, says }) => `line ${line}: ${says}`),
    );
  }
  const shown = tenants.filter((one) => added.includes(one.tenantId));
  terminal.answer({
    dryRun,
    added: shown.map(({ tenantId, name, ref }) => ({ tenant_id: tenantId, name, external_ref: ref })),
    unchanged,
  });
  if (shown.length > 0)
    terminal.say(
      table(
        [
          { title: 'tenant', whole: true },
          { title: 'name', long: true },
          { title: 'reference', long: true },
        ],
        shown.slice(0, shownTenants).map((one) => [one.tenantId, one.name, one.ref ?? '']),
      ),
    );
  if (shown.length > shownTenants) terminal.say(`… and ${shown.length - shownTenants} more (--json shows them)`);
  const as = unchanged.length > 0 ? ` ${plural(unchanged.length, 'tenant')} registered already, as the file says.` : '';
  terminal.say(
    dryRun
      ? `Dry run: nothing was changed. ${plural(shown.length, 'tenant')} would be registered.${as}`
      : `${plural(shown.length, 'tenant')} registered.${as}`,
  );
}

function describe({ tenantId, why, by }: Obstacle): string {
  return why === 'registered'
    ? `tenant ${tenantId} is registered already, as ${JSON.stringify(by.name)}${by.ref === null ? '' : `, reference ${JSON.stringify(by.ref)}`}: entra-sync tenant rename changes that`
    : `the name is that of ${nameWithId(by.name, by.tenantId)}`;
}
