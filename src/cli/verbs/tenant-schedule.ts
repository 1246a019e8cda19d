// `tenant pause`, `tenant resume`, `tenant retry`: whether and when the worker syncs a tenant. `tenant acknowledge`.
import type { Command } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { acknowledge } from '../../store/commit/notice.ts';
import { makeDue, setPaused } from '../../store/cycle/next-cycle.ts';
import type { Database } from '../../store/database/pool.ts';
import { findTenant, listTenants, type TenantRow, tenantDisconnected } from '../../store/tenants/tenants.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { plural } from '../format.ts';
import { promise, readWorkers, workersAnswer } from '../workers.ts';

type ScheduleOptions = VerbOptions & { all?: boolean };

export function scheduleCommands(): Command[] {
  return [
    oneOrAll(
      'pause',
      'Keep the worker, and sync without a tenant, from syncing a tenant. A running cycle ends normally; sync TENANT still works.',
      pause,
    ),
    oneOrAll('resume', 'Let the worker sync a paused tenant again; one that is overdue is synced at once.', resume),
    oneOrAll(
      'acknowledge',
      'Take away the notice that very many profiles changed at once, after a look at Entra ID. It goes by itself after 7 days.',
      acknowledgeNotices,
    ),
    oneOrAll('retry', 'Make a tenant due now, out of quarantine too, instead of waiting for its next try.', retry),
  ];
}

function oneOrAll(
  name: string,
  description: string,
  body: (run: Run, database: Database, tenants: readonly TenantRow[]) => Promise<undefined>,
): Command {
  return verb(name, description, [`tenant ${name} Contoso`, `tenant ${name} --all`])
    .argument('[tenant]', 'id, name or reference')
    .option('--all', 'all tenants')
    .action((word: string | undefined, options: ScheduleOptions) =>
      runVerb(options, async (run) => {
        if ((word === undefined) === (options.all !== true)) {
          throw new ExpectedError('usage', 'name one tenant, or give --all', {
            cure: `entra-sync tenant ${name} TENANT, or entra-sync tenant ${name} --all`,
          });
        }
        const { database } = await run.database();
        const tenants = word === undefined ? await listTenants(database) : [await findTenant(database, word)];
        return body(run, database, tenants);
      }),
    );
}

const idsOf = (tenants: readonly TenantRow[]) => tenants.map((one) => one.tenant_id);

async function pause({ terminal }: Run, database: Database, tenants: readonly TenantRow[]): Promise<undefined> {
  const changed = await setPaused(database, idsOf(tenants), true);
  terminal.answer({ tenants: idsOf(tenants), changed });
  terminal.say(
    `${nameOf(tenants)}: paused. The worker leaves ${tenants.length === 1 ? 'it' : 'them'} alone until entra-sync tenant resume.`,
  );
}

async function resume(run: Run, database: Database, tenants: readonly TenantRow[]): Promise<undefined> {
  const { terminal } = run;
  const changed = await setPaused(database, idsOf(tenants), false);
  const workers = await readWorkers(run, database);
  terminal.answer({ tenants: idsOf(tenants), changed, workers: workersAnswer(workers) });
  terminal.say(
    changed === 0
      ? `${nameOf(tenants)}: not paused before, nothing changed.`
      : `${nameOf(tenants)}: resumed${promise(workers, 'the worker syncs it when it is due')}`,
  );
}

async function retry(run: Run, database: Database, tenants: readonly TenantRow[]): Promise<undefined> {
  const { terminal } = run;
  const [only] = tenants;
  if (only && tenants.length === 1 && only.status === 'disconnected') {
    throw tenantDisconnected(only.name);
  }
  const changed = await makeDue(database, idsOf(tenants));
  const workers = await readWorkers(run, database);
  terminal.answer({ tenants: idsOf(tenants), changed, workers: workersAnswer(workers) });
  const promised = `the worker syncs ${changed === 1 ? 'it' : 'them'} within seconds`;
  terminal.say(`${nameOf(tenants)}: due now${promise(workers, promised)}`);
  const paused = tenants.filter((one) => one.paused && one.status !== 'disconnected');
  if (paused.length > 0)
    terminal.note(`${plural(paused.length, 'tenant')} paused, so not synced -> entra-sync tenant resume`);
}

async function acknowledgeNotices(
  { terminal }: Run,
  database: Database,
  tenants: readonly TenantRow[],
): Promise<undefined> {
  let changed = 0;
  for (const id of idsOf(tenants)) if (await acknowledge(database, id)) changed += 1;
  terminal.answer({ tenants: idsOf(tenants), changed });
  terminal.say(
    changed === 0 ? `${nameOf(tenants)}: there was no notice, nothing changed.` : `${nameOf(tenants)}: acknowledged.`,
  );
}

function nameOf(tenants: readonly TenantRow[]): string {
  const [only] = tenants;
  return only && tenants.length === 1 ? only.name : plural(tenants.length, 'tenant');
}
