// `grant`: an application's role is given the contract, and nothing else.
import type { Command } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { grantedTo, grantRole } from '../../store/schema/grants.ts';
import { limitRole, type RoleLimits } from '../../store/schema/role-limits.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { plural } from '../format.ts';

type GrantOptions = VerbOptions & { tenantBound?: boolean; allTenants?: boolean; timeouts: boolean };

export function grantCommand(): Command {
  return verb(
    'grant',
    "Let an application's role read the views and call the functions of schema directory, and nothing else. Once is enough: migrate grants anew what it adds.",
    ['grant app', 'grant portal --tenant-bound'],
    { acts: true },
  )
    .argument('<role>', 'a role of the database server')
    .option('--tenant-bound', 'the role sees only the tenant that it names in directory.tenant, and nobody without it')
    .option('--all-tenants', 'lift the bound of a role that was granted with --tenant-bound')
    .option('--no-timeouts', 'leave the limits on time of its transactions as they are (idle 60 s, a lock 10 s)')
    .action((role: string, options: GrantOptions) => runVerb(options, (run) => grant(run, role, options)));
}

async function grant(run: Run, role: string, options: GrantOptions): Promise<undefined> {
  const { terminal } = run;
  const tenantBound = options.tenantBound === true;
  if (tenantBound && options.allTenants) {
    throw new ExpectedError('usage', '--tenant-bound and --all-tenants exclude each other', {
      cure: 'give one of them',
    });
  }
  const { database } = await run.database();
  await grantRole(database, { role, tenantBound, allTenants: options.allTenants === true, actor: run.actor });
  const { views, functions } = await grantedTo(database, role);
  const timeouts = options.timeouts ? await limitRole(database, role) : undefined;
  terminal.answer({ role, tenantBound, views, functions, ...(timeouts && { timeouts }) });
  terminal.say(`${role} may use schema directory, and nothing else of this program's:`);
  terminal.say(`  select on ${plural(views.length, 'view')}: ${views.join(', ')}`);
  terminal.say(`  execute on ${plural(functions.length, 'function')}: ${functions.join(', ')}`);
  terminal.say(
    tenantBound
      ? "It sees only the tenant that its transaction names (set local directory.tenant = 'TENANT_ID'), and nobody without it."
      : "It sees all tenants; a transaction that names one (set local directory.tenant = 'TENANT_ID') sees only that.",
  );
  if (timeouts) sayTimeouts(run, timeouts);
  terminal.say('Nobody has to do this again: entra-sync migrate grants what it adds to the roles that it knows.');
}

function sayTimeouts({ terminal }: Run, { set, kept, missing }: RoleLimits): void {
  const list = (values: Readonly<Record<string, string>>) =>
    Object.entries(values)
      .map(([name, value]) => `${name} = ${value}`)
      .join(', ');
  if (Object.keys(set).length > 0) terminal.say(`Its transactions have limits from the next login on: ${list(set)}.`);
  if (Object.keys(kept).length > 0) terminal.say(`Set before, and left as it is: ${list(kept)}.`);
  if (missing.length > 0) {
    terminal.say(`An administrator still has to limit its transactions: ${missing.join('; ')}`);
  }
}
