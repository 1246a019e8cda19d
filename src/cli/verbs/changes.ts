// `changes`: the feed, as read_changes returns it to applications.
import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import { ExpectedError, exitCodes } from '../../errors.ts';
import { commandWord } from '../../rules/shell.ts';
import type { Database } from '../../store/database/pool.ts';
import {
  type ChangeFilter,
  type ChangeRow,
  countChanges,
  type FoundChange,
  feedPosition,
  findChanges,
  positionBefore,
  readChanges,
} from '../../store/feed/changes.ts';
import { findTenant, hasSeveralTenants } from '../../store/tenants/tenants.ts';
import { anyName, pickAccount } from '../accounts.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { changesOfCycle, requireCycle } from '../cycles.ts';
import { count, cut, describeChange, describeMembership } from '../format.ts';
import { pickGroup } from '../groups.ts';
import { onOneLine, table } from '../layout.ts';
import { parseTime, timeHelp } from '../times.ts';
import { wholeNumber } from '../whole-number.ts';

type FilterOptions = {
  tenant?: string;
  account?: string;
  group?: string;
  kind?: string;
  actor?: string;
  cycle?: number;
  since?: string;
  until?: string;
};
type ChangesOptions = VerbOptions &
  FilterOptions & { after?: string; limit: number; follow?: boolean; position?: boolean; count?: boolean };

export function changesCommand(): Command {
  return verb('changes', 'Show the change feed: the last changes, or those after a position.', [
    'changes',
    'changes --limit 100 --json',
    'changes --account ann@contoso.com --since 7d',
    'changes --tenant Contoso --kind "account.*" --cycle 77 --count',
    'changes --position',
    'changes --after 5f0c2a9e:12:2345 --follow',
  ])
    .option('--after <position>', 'only changes after this position (--json shows the position of each row)')
    .option('--limit <n>', 'the number of rows', wholeNumber, 20)
    .option('--follow', 'keep printing changes as they come, until Ctrl-C')
    .option('--position', 'print where the feed stands now, and nothing else')
    .option('--tenant <tenant>', 'only changes of this tenant: id, name or reference')
    .option('--account <account>', `only changes of this account: ${anyName}`)
    .option(
      '--group <group>',
      'only changes of this group and its memberships: id, object id, name or mail, or words of the name',
    )
    .option('--kind <kind>', 'only changes of this kind, with * for any text: account.updated, "account.*"')
    .option('--actor <name>', 'only changes by this actor')
    .option('--cycle <n>', 'only changes of this cycle', wholeNumber)
    .option('--since <time>', `only changes since: ${timeHelp}`, parseTime)
    .option('--until <time>', 'only changes before this time', parseTime)
    .option('--count', 'print the number of changes by kind, not the changes')
    .action((options: ChangesOptions) => runVerb(options, (run) => changes(run, options)));
}

const pollMs = 1_000;

async function changes(run: Run, options: ChangesOptions): Promise<number | undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  if (options.position) {
    const position = await feedPosition(database);
    terminal.answer({ position });
    terminal.print(position);
    return;
  }
  const filter = await readFilter(run, database, options);
  if (filter || options.count) return changesThatFit(run, database, filter ?? {}, options);
  const namesTenants = await hasSeveralTenants(database);
  const start = options.after ?? (await positionBefore(database, options.limit, null));
  const found = await readChanges(database, start, options.limit);
  if (!options.follow) {
    terminal.answer({
      changes: found,
      position: found.at(-1)?.position ?? options.after ?? (await feedPosition(database)),
    });
    if (found.length === 0) terminal.say(options.after ? 'No changes after this position.' : 'No changes yet.');
    else terminal.say(changeTable(found, { namesTenants }));
    return;
  }
  const from = found.at(-1)?.position ?? start ?? (await feedPosition(database));
  return follow(run, database, { first: found, from, namesTenants });
}

async function readFilter(
  { terminal }: Run,
  database: Database,
  { tenant, account, group, kind, actor, cycle, since, until, after, follow }: ChangesOptions,
): Promise<ChangeFilter | undefined> {
  const isFiltered = [tenant, account, group, kind, actor, cycle, since, until].some((one) => one !== undefined);
  if (!isFiltered) return undefined;
  if (after !== undefined || follow) {
    throw new ExpectedError('usage', '--after and --follow show the whole feed, and take no filter', {
      cure: 'leave out the filter, or --after and --follow',
    });
  }
  const tenantId = tenant === undefined ? undefined : (await findTenant(database, tenant)).tenant_id;
  const picked = account === undefined ? undefined : await pickAccount(terminal, database, tenantId ?? null, account);
  if (account !== undefined && !picked) {
    throw new ExpectedError('unknown_name', `there is no account ${account}`, {
      cure: `entra-sync find ${commandWord(account)} shows the nearest, entra-sync explain says why`,
    });
  }
  const groupId =
    group === undefined ? undefined : (await pickGroup(terminal, database, tenantId ?? null, group)).group_id;
  const accountId = picked?.account.account_id;
  const ofCycle = cycle === undefined ? {} : changesOfCycle(await requireCycle(database, cycle));
  const given = Object.entries({ tenantId, accountId, groupId, kind, actor, since, until });
  return { ...ofCycle, ...Object.fromEntries(given.filter(([, value]) => value !== undefined)) };
}

async function changesThatFit(
  { terminal }: Run,
  database: Database,
  filter: ChangeFilter,
  options: ChangesOptions,
): Promise<undefined> {
  if (options.count) {
    const counts = await countChanges(database, filter);
    terminal.answer({ counts });
    const line = ({ kind, count: number }: { kind: string; count: number }) => [kind, count(number)];
    terminal.say(
      counts.length === 0
        ? 'No changes fit.'
        : table([{ title: 'kind' }, { title: 'changes', right: true }], counts.map(line)),
    );
    return;
  }
  const found = await findChanges(database, filter, options.limit);
  terminal.answer({ changes: found });
  const { tenantId, accountId, groupId, cycle } = filter;
  const ofOne = [tenantId, accountId, groupId, cycle].some((one) => one !== undefined);
  const namesTenants = !ofOne && (await hasSeveralTenants(database));
  terminal.say(found.length === 0 ? 'No changes fit.' : changeTable(found, { namesTenants }));
}

async function follow(
  run: Run,
  database: Database,
  { first, from, namesTenants }: { first: ChangeRow[]; from: string; namesTenants: boolean },
): Promise<number> {
  let batch = first;
  let position = from;
  for (;;) {
    for (const change of batch) {
      // One object per line, so that a reader can parse each as it comes.
      if (run.terminal.json) process.stdout.write(`${JSON.stringify(change)}\n`);
      else run.terminal.print(line(change, { namesTenants }).map(onOneLine).join('  '));
      position = change.position;
    }
    if (batch.length === 0) await pause(pollMs, undefined, { signal: run.signal }).catch(() => {});
    if (process.stdout.errored) return 0;
    if (run.signal.aborted) {
      run.terminal.note(`stopped -> resume with entra-sync changes --after ${position} --follow`);
      return exitCodes.interrupted;
    }
    batch = await readChanges(database, position, 1000);
  }
}

type Named = { readonly namesTenants?: boolean; readonly namesActors?: boolean };

/** Returns changes as a table: with the actor of each, unless that is left out; `namesTenants`: with the tenant too. */
export function changeTable(
  found: readonly FoundChange[],
  { indent = 0, ...named }: Named & { readonly indent?: number } = {},
): string {
  const { namesTenants = false, namesActors = true } = named;
  const titles = [
    { title: 'at', whole: true },
    ...(namesTenants ? [{ title: 'tenant' }] : []),
    ...(namesActors ? [{ title: 'by' }] : []),
    { title: 'kind', whole: true },
    { title: 'who or what' },
    { title: 'what' },
  ];
  const lines = found.map((change) => line(change, { namesTenants, namesActors }));
  return table(titles, lines, { indent });
}

function line(change: FoundChange, { namesTenants = false, namesActors = true }: Named): string[] {
  return [
    `${change.at.toISOString().slice(0, 19)}Z`,
    ...(namesTenants ? [cut(change.tenant_name ?? change.tenant_id)] : []),
    ...(namesActors ? [cut(change.actor)] : []),
    change.kind,
    cut(nameOf(change)),
    change.kind.startsWith('membership.')
      ? describeMembership(change.kind, change.group_name ?? change.group_id)
      : describeChange(change.kind, change.before, change.after),
  ];
}

const nameOf = (change: FoundChange) =>
  change.display_name ??
  change.account_id ??
  change.group_name ??
  change.group_id ??
  change.tenant_name ??
  change.tenant_id;
