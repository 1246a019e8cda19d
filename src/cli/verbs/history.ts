// `history`: what happened to an account or a group. `compare`: a tenant at two times.
import type { Command } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { findAccounts } from '../../store/accounts/explain.ts';
import {
  accountHistory,
  compareMemberships,
  compareTimes,
  type Difference,
  findGroups,
  groupHistory,
  type HistoryRow,
} from '../../store/accounts/history.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { findPurged, pickAccount } from '../accounts.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { count, cut, describeChange, plural, showValue, when } from '../format.ts';
import { pickByWords } from '../found.ts';
import { pickGroup } from '../groups.ts';
import { table } from '../layout.ts';
import { parseTime, timeHelp, toSecond } from '../times.ts';
import { orUnknownTime } from '../unknown-time.ts';
import { wholeNumber } from '../whole-number.ts';

type HistoryOptions = VerbOptions & { tenant?: string; limit: number };

export function historyCommand(): Command {
  return verb(
    'history',
    'Show what happened to an account or a group, one line a field, newest first: values, groups joined and left, removals. Of a purged account, by its account id, its lines are kept without values.',
    ['history ann@contoso.com', 'history "All Staff" --tenant Contoso', 'history ann@contoso.com --limit 500 --json'],
  )
    .argument(
      '<account or group>',
      'account id, group id, object id, user principal name, mail, or a part of a name: several that fit are listed to choose from',
    )
    .option('--tenant <tenant>', 'id, name or reference of the tenant to look in; without it all tenants')
    .option('--limit <n>', 'the number of lines', wholeNumber, 50)
    .action((word: string, options: HistoryOptions) => runVerb(options, (run) => history(run, word, options)));
}

async function history(run: Run, word: string, options: HistoryOptions): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  const tenant = options.tenant === undefined ? undefined : await findTenant(database, options.tenant);
  const tenantId = tenant?.tenant_id ?? null;
  const groupNamed = (await findGroups(database, tenantId, word)).length > 0;
  const accountNamed = (await findAccounts(database, tenantId, word)).length > 0;
  const meant =
    groupNamed || accountNamed
      ? undefined
      : await pickByWords(terminal, database, tenantId, word, ['account', 'group']);
  const isAccount = accountNamed || meant?.kind === 'account';
  const id = meant?.account_id ?? meant?.group_id ?? word;
  const account = isAccount ? (await pickAccount(terminal, database, tenantId, id))?.account : undefined;
  const purged = account || groupNamed || meant ? undefined : await findPurged(database, tenantId, word);
  const group =
    account || purged ? undefined : await pickGroup(terminal, database, tenantId, id, { accountsToo: true });
  const accountId = account?.account_id ?? purged?.account_id;
  // One more than is shown tells whether there is more.
  const wanted = options.limit + 1;
  const found =
    accountId === undefined
      ? await groupHistory(database, group?.group_id ?? '', wanted)
      : await accountHistory(database, accountId, wanted);
  const shown = found.slice(0, options.limit);
  terminal.answer({ account: account ?? purged ?? null, group: group ?? null, history: shown });
  const name = account?.display_name ?? group?.display_name ?? accountId ?? word;
  const gone = purged ? `, purged ${when(purged.purged_at)}: its values are gone` : '';
  terminal.say(`${cut(name)}, ${cut((account ?? purged ?? group)?.tenant_name ?? '')}${gone}\n`);
  terminal.say(historyTable(shown));
  if (found.length > shown.length) terminal.say(`\nThere is more -> --limit ${options.limit * 10}`);
}

/** Returns a history as a table, newest first. */
export function historyTable(found: readonly HistoryRow[]): string {
  return table(
    [
      { title: 'at' },
      { title: 'by', long: true },
      { title: 'what' },
      { title: 'field', long: true },
      { title: 'was' },
      { title: 'is' },
    ],
    found.map((row) => [
      `${row.at.toISOString().slice(0, 19)}Z`,
      row.actor,
      row.kind,
      row.field?.replace(/^profile\./, '') ?? '',
      side(row, row.before),
      side(row, row.after),
    ]),
  );
}

function side(row: HistoryRow, value: unknown): string {
  if (value === null) return '';
  if (row.field === 'group' || row.field === 'member') return cut(row.name ?? String(value));
  return showValue(value);
}

type CompareOptions = VerbOptions & { from: string; to?: string; limit: number };

export function compareCommand(): Command {
  return verb(
    'compare',
    'Show who came, went and changed in a tenant between two times, in numbers and by name. Reads only the database.',
    [
      'compare Contoso --from 1d',
      'compare Contoso --from 2026-11-01 --to 2026-11-08',
      'compare Contoso --from 2h --json',
    ],
  )
    .argument('<tenant>', 'id, name or reference')
    .requiredOption('--from <time>', timeHelp, parseTime)
    .option('--to <time>', 'likewise; without it now', parseTime)
    .option('--limit <n>', 'the number of accounts and groups shown by name; --json has all', wholeNumber, 50)
    .action((word: string, options: CompareOptions) => runVerb(options, (run) => compare(run, word, options)));
}

async function compare(run: Run, word: string, options: CompareOptions): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  const { tenant_id: tenantId, name } = await findTenant(database, word);
  const times = { tenantId, from: options.from, to: options.to ?? new Date().toISOString() };
  if (Date.parse(times.from) > Date.parse(times.to)) {
    throw new ExpectedError('usage', '--from is later than --to', { cure: 'give the earlier time to --from' });
  }
  const accounts = await orUnknownTime(compareTimes(database, times));
  const groups = await orUnknownTime(compareMemberships(database, times));
  const ofKind = (change: Difference['change']) => accounts.filter((one) => one.change === change);
  const numbers = {
    came: ofKind('came').length,
    went: ofKind('went').length,
    changed: ofKind('changed').length,
    joined: groups.reduce((sum, one) => sum + one.joined, 0),
    left: groups.reduce((sum, one) => sum + one.left, 0),
  };
  terminal.answer({ tenant_id: tenantId, from: times.from, to: times.to, ...numbers, accounts, groups });
  terminal.say(`${name}, ${toSecond(times.from)} to ${options.to ? toSecond(options.to) : 'now'}:`);
  terminal.say(
    `accounts: ${count(numbers.came)} came, ${count(numbers.went)} went, ${count(numbers.changed)} changed; ` +
      `memberships: ${count(numbers.joined)} joined, ${count(numbers.left)} left`,
  );
  if (accounts.length > 0) {
    terminal.say(`\n${differenceTable(accounts.slice(0, options.limit))}`);
    sayMore(run, accounts.length - options.limit, 'account');
  }
  if (groups.length > 0) {
    terminal.say(
      `\n${table(
        [
          { title: 'group', long: true },
          { title: 'joined', right: true },
          { title: 'left', right: true },
        ],
        groups.slice(0, options.limit).map((one) => [one.name ?? one.group_id, count(one.joined), count(one.left)]),
      )}`,
    );
    sayMore(run, groups.length - options.limit, 'group');
  }
}

// A change row names the new state by its kind. Two times have no kind between them.
function describeDifference({ before, after }: Difference): string {
  const stateOf = (facts: unknown) => (facts as { state?: string } | null)?.state;
  const [was, is] = [stateOf(before), stateOf(after)];
  const moved = was === is ? [] : [`account state: ${was} -> ${is}`];
  const fields = describeChange('account.updated', before, after);
  return [...moved, ...(fields === '' ? [] : [fields])].join('; ');
}

function sayMore({ terminal }: Run, more: number, word: string): void {
  if (more > 0) terminal.say(`and ${plural(more, word, ' more')} -> --json`);
}

function differenceTable(found: readonly Difference[]): string {
  return table(
    [{ title: 'account', long: true }, { title: 'change' }, { title: 'what' }],
    found.map((one) => [
      one.name ?? one.user_principal_name ?? one.account_id,
      one.change,
      one.change === 'changed' ? describeDifference(one) : cut(one.user_principal_name ?? ''),
    ]),
  );
}
