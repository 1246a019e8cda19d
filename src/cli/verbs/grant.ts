// `grant`: grants the contract to an application's role, and nothing else.
import type { Command } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { grantedTo, grantRole } from '../../store/schema/grants.ts';
import { createRole } from '../../store/schema/portal-role.ts';
import { limitRole, type RoleLimits } from '../../store/schema/role-limits.ts';
import { findTenant, type TenantRow } from '../../store/tenants/tenants.ts';
import { audited } from '../audited.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { nameWithId, plural } from '../format.ts';

type GrantOptions = VerbOptions & {
  tenant?: string;
  tenantBound?: boolean;
  allTenants?: boolean;
  create?: boolean;
  timeouts: boolean;
};

export function grantCommand(): Command {
  return verb(
    'grant',
    "Let an application's role read the views and call the functions of schema directory, and nothing else. Once is enough: migrate grants what it adds.",
    ['grant app', 'grant entra_sync_portal --create --tenant-bound', 'grant contoso_reports --tenant Contoso'],
    { acts: true },
  )
    .argument('<role>', 'a role of the database server')
    .option('--tenant <tenant>', 'the role sees only this tenant (id, name or reference), whatever its session sets')
    .option(
      '--tenant-bound',
      'the role sees only the tenant that it names in directory.tenant, and no rows without it; it may name any',
    )
    .option('--all-tenants', 'lift the bound of a role that was granted with --tenant or --tenant-bound')
    .option('--create', 'make the role first if there is none, without login; the login of DATABASE_URL may take it')
    .option('--no-timeouts', "do not set the role's time limits of transactions (idle 60 s, lock wait 10 s)")
    .action((role: string, options: GrantOptions) => runVerb(options, (run) => grant(run, role, options)));
}

async function grant(run: Run, role: string, options: GrantOptions): Promise<undefined> {
  const { terminal } = run;
  const tenantBound = options.tenantBound === true;
  const given = [
    ...(options.tenant === undefined ? [] : ['--tenant']),
    ...(tenantBound ? ['--tenant-bound'] : []),
    ...(options.allTenants ? ['--all-tenants'] : []),
  ];
  if (given.length > 1) {
    throw new ExpectedError('usage', `${given.join(' and ')} exclude each other`, { cure: 'give one of them' });
  }
  const { database } = await run.database();
  const tenant = options.tenant === undefined ? undefined : await findTenant(database, options.tenant);
  const made = options.create === true && (await createRole(database, role));
  await grantRole(database, {
    role,
    tenantBound,
    onlyTenant: tenant?.tenant_id,
    allTenants: options.allTenants === true,
    actor: run.actor,
  });
  await audited(run, database, {
    act: 'grant.given',
    tenantId: tenant?.tenant_id ?? null,
    detail: { role, tenantBound },
  });
  const { views, functions } = await grantedTo(database, role);
  const timeouts = options.timeouts ? await limitRole(database, role) : undefined;
  terminal.answer({
    role,
    ...(options.create && { created: made }),
    tenantBound: tenantBound || tenant !== undefined,
    tenant: tenant ? { id: tenant.tenant_id, name: tenant.name } : null,
    ...{ views, functions },
    ...(timeouts && { timeouts }),
  });
  if (made) terminal.say(`The role ${role} is made.`);
  terminal.say(`${role} may use schema directory, and nothing else of entra-sync:`);
  terminal.say(`  select on ${plural(views.length, 'view')}: ${views.join(', ')}`);
  terminal.say(`  execute on ${plural(functions.length, 'function')}: ${functions.join(', ')}`);
  terminal.say(whatItSees(tenantBound, tenant));
  if (timeouts) sayTimeouts(run, timeouts);
  terminal.say('Once is enough: entra-sync migrate grants what it adds to these roles.');
}

function whatItSees(tenantBound: boolean, tenant: TenantRow | undefined): string {
  if (tenant) return `It sees only ${nameWithId(tenant.name, tenant.tenant_id)}, whatever it sets in directory.tenant.`;
  return tenantBound
    ? "It sees only the tenant that its transaction names (set local directory.tenant = 'TENANT_ID'), and no rows without it. It may name any tenant: --tenant binds a role to one."
    : "It sees all tenants; a transaction that names one (set local directory.tenant = 'TENANT_ID') sees only that.";
}

function sayTimeouts({ terminal }: Run, { set, kept, missing }: RoleLimits): void {
  const list = (values: Readonly<Record<string, string>>) =>
    Object.entries(values)
      .map(([name, value]) => `${name} = ${value}`)
      .join(', ');
  if (Object.keys(set).length > 0)
    terminal.say(`Its transactions have time limits from the next login on: ${list(set)}.`);
  if (Object.keys(kept).length > 0) terminal.say(`Set earlier, and kept: ${list(kept)}.`);
  if (missing.length > 0) {
    terminal.say(`An administrator of the database still has to limit its transactions: ${missing.join('; ')}`);
  }
}
