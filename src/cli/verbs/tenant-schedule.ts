// `tenant pause`, `tenant resume`, `tenant retry`: whether and when the worker syncs a tenant. `tenant acknowledge`.
import type { Command } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { commandWord } from '../../rules/shell.ts';
import { acknowledge } from '../../store/commit/notice.ts';
import { makeDue, setPaused } from '../../store/cycle/next-cycle.ts';
import type { Database } from '../../store/database/pool.ts';
import { findTenant, listTenants, type TenantRow, tenantDisconnected } from '../../store/tenants/tenants.ts';
import { audited } from '../audited.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { count, plural } from '../format.ts';
import { askPerson } from '../terminal.ts';
import { promise, readWorkers, workersAnswer } from '../workers.ts';

type ScheduleOptions = VerbOptions & { all?: boolean; confirm?: boolean };

/** The tenants that a verb was given, and whether these are all. */
type Chosen = { readonly tenants: readonly TenantRow[]; readonly all: boolean };

type Body = (run: Run, database: Database, chosen: Chosen) => Promise<undefined>;

export function scheduleCommands(): Command[] {
  return [
    oneOrAll(
      'pause',
      'Keep the worker, and sync without a tenant, from syncing a tenant. A running cycle ends normally; sync TENANT still works.',
      pause,
      { asks: true },
    ),
    oneOrAll(
      'resume',
      'Let the worker sync a paused tenant again; one that is overdue is synced at once. --all resumes those that --all has paused: what was paused by name stays so.',
      resume,
      { asks: true },
    ),
    oneOrAll(
      'acknowledge',
      'Take away the notice that very many profiles changed at once, after a look at Entra ID. It goes by itself after 7 days.',
      acknowledgeNotices,
    ),
    oneOrAll('retry', 'Make a tenant due now, out of quarantine too, instead of waiting for its next try.', retry),
  ];
}

function oneOrAll(name: string, description: string, body: Body, { asks = false } = {}): Command {
  const examples = [`tenant ${name} Contoso`, `tenant ${name} --all${asks ? ' --confirm' : ''}`];
  const command = verb(name, description, examples, { acts: true })
    .argument('[tenant]', 'id, name or reference')
    .option('--all', 'all tenants')
    .action((word: string | undefined, options: ScheduleOptions) =>
      runVerb(options, async (run) => {
        const all = options.all === true;
        if ((word === undefined) !== all) {
          throw new ExpectedError('usage', 'name one tenant, or give --all', {
            cure: `entra-sync tenant ${name} TENANT, or entra-sync tenant ${name} --all`,
          });
        }
        const { database } = await run.database();
        const tenants = word === undefined ? await listTenants(database) : [await findTenant(database, word)];
        if (all && asks && options.confirm !== true) await confirmAll(run, name, tenants.length);
        return body(run, database, { tenants, all });
      }),
    );
  return asks ? command.option('--confirm', 'do it for all tenants without being asked') : command;
}

async function confirmAll({ terminal, signal }: Run, name: string, tenants: number): Promise<void> {
  const answer = terminal.json
    ? undefined
    : await askPerson(`This would ${name} all ${plural(tenants, 'tenant')}. Type yes to confirm: `, signal);
  if (answer?.trim().toLowerCase() === 'yes') return;
  throw new ExpectedError('usage', `--all is not confirmed: it would ${name} all ${plural(tenants, 'tenant')}`, {
    cure: `entra-sync tenant ${name} --all --confirm`,
  });
}

// One line each, since a tenant's audit is read by tenant.
const linesOf = (act: string, tenants: readonly TenantRow[], all: boolean) =>
  tenants.map((one) => ({ act, tenantId: one.tenant_id, detail: { all } }));

const idsOf = (tenants: readonly TenantRow[]) => tenants.map((one) => one.tenant_id);

async function pause(run: Run, database: Database, { tenants, all }: Chosen): Promise<undefined> {
  const { terminal } = run;
  const changed = await setPaused(database, all ? null : idsOf(tenants), true);
  await audited(run, database, ...linesOf('tenant.paused', tenants, all));
  terminal.answer({ tenants: idsOf(tenants), changed });
  const before = tenants.filter((one) => one.paused).length;
  const already = all && before > 0 ? ` ${count(before)} of them ${before === 1 ? 'was' : 'were'} paused before.` : '';
  terminal.say(
    `${nameOf(tenants)}: paused. The worker leaves ${tenants.length === 1 ? 'it' : 'them'} alone until entra-sync tenant resume${all ? ' --all' : ''}.${already}`,
  );
}

async function resume(run: Run, database: Database, { tenants, all }: Chosen): Promise<undefined> {
  const { terminal } = run;
  const changed = await setPaused(database, all ? null : idsOf(tenants), false);
  await audited(run, database, ...linesOf('tenant.resumed', tenants, all));
  const stay = all ? (await listTenants(database)).filter((one) => one.paused) : [];
  const workers = await readWorkers(run, database);
  terminal.answer({ tenants: idsOf(tenants), changed, still_paused: idsOf(stay), workers: workersAnswer(workers) });
  const resumed = all ? plural(changed, 'tenant') : nameOf(tenants);
  terminal.say(
    changed === 0
      ? `${nameOf(tenants)}: ${all ? 'none was paused by --all' : 'not paused before'}, nothing changed.`
      : `${resumed}: resumed${promise(workers, `the worker syncs ${changed === 1 ? 'it when it is' : 'them when they are'} due`)}`,
  );
  if (stay.length > 0) {
    terminal.say(
      `${plural(stay.length, 'tenant')} paused by name and left so: ${namesOf(stay)} -> entra-sync tenant resume TENANT`,
    );
  }
}

const shownTenants = 10;

function namesOf(tenants: readonly TenantRow[]): string {
  const names = tenants.slice(0, shownTenants).map((one) => one.name);
  const more = tenants.length - names.length;
  return `${names.join(', ')}${more > 0 ? ` and ${count(more)} more` : ''}`;
}

async function retry(run: Run, database: Database, { tenants, all }: Chosen): Promise<undefined> {
  const { terminal } = run;
  const [only] = tenants;
  if (only && tenants.length === 1 && only.status === 'disconnected') {
    throw tenantDisconnected(only.name);
  }
  const there = tenants.filter((one) => one.status !== 'disconnected');
  const changed = await makeDue(database, idsOf(there));
  await audited(run, database, ...linesOf('tenant.retried', there, all));
  const workers = await readWorkers(run, database);
  const paused = there.filter((one) => one.paused);
  const due = there.filter((one) => !one.paused);
  terminal.answer({
    tenants: idsOf(there),
    changed,
    due: idsOf(due),
    paused: idsOf(paused),
    workers: workersAnswer(workers),
  });
  if (due.length > 0) {
    const promised = `the worker syncs ${due.length === 1 ? 'it' : 'them'} within seconds`;
    terminal.say(`${nameOf(due)}: due now${promise(workers, promised)}`);
  } else if (paused.length === 0) terminal.say('No tenant is connected, nothing changed.');
  const [first] = paused;
  if (first && paused.length === 1) {
    const cure = `entra-sync tenant resume ${commandWord(first.name)}`;
    terminal.say(`${first.name}: paused, synced only when it is resumed -> ${cure}`);
  } else if (first) {
    terminal.say(
      `${plural(paused.length, 'tenant')} paused, synced only when they are resumed: ${namesOf(paused)} -> entra-sync tenant resume TENANT`,
    );
  }
}

async function acknowledgeNotices(run: Run, database: Database, { tenants, all }: Chosen): Promise<undefined> {
  const { terminal } = run;
  let changed = 0;
  for (const id of idsOf(tenants)) if (await acknowledge(database, id)) changed += 1;
  await audited(run, database, ...linesOf('tenant.acknowledged', tenants, all));
  terminal.answer({ tenants: idsOf(tenants), changed });
  terminal.say(
    changed === 0 ? `${nameOf(tenants)}: there was no notice, nothing changed.` : `${nameOf(tenants)}: acknowledged.`,
  );
}

function nameOf(tenants: readonly TenantRow[]): string {
  const [only] = tenants;
  return only && tenants.length === 1 ? only.name : plural(tenants.length, 'tenant');
}
