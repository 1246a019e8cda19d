// `assignments people`: who gets the items of a slot.

import type { Command } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { csvLine } from '../../rules/csv.ts';
import { commandWord } from '../../rules/shell.ts';
import { type AssignedPerson, listAssigned, listItems, listSlots } from '../../store/accounts/assignment-lists.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { count, cut, plural } from '../format.ts';
import { table } from '../layout.ts';
import { wholeNumber } from '../whole-number.ts';

type Options = VerbOptions & { limit: number; csv?: true };

export function peopleCommand(): Command {
  return verb('people', 'Show the accounts that get the items of a slot now, or one item of it, and by which target.', [
    'assignments people Contoso banner',
    'assignments people Contoso banner spring --limit 500',
    'assignments people Contoso banner --csv > banner.csv',
  ])
    .argument('<tenant>', 'id, name or reference')
    .argument('<slot>', 'its name, as slots list shows it')
    .argument('[item]', 'its id, as items list shows it; without it all of the slot')
    .option('--limit <n>', 'the number of accounts shown; --json and --csv have all', wholeNumber, 50)
    .option('--csv', 'print all of them as CSV, for a spreadsheet')
    .action((tenant: string, slot: string, item: string | undefined, options: Options) =>
      runVerb(options, (run) => people(run, { tenant, slot, item }, options)),
    );
}

async function people(
  run: Run,
  { tenant: word, slot, item }: { tenant: string; slot: string; item: string | undefined },
  { limit, csv }: Options,
): Promise<undefined> {
  const { terminal } = run;
  if (csv && terminal.json)
    throw new ExpectedError('usage', '--csv and --json exclude each other', { cure: 'give one of them' });
  const { database } = await run.database();
  const { tenant_id: tenantId, name } = await findTenant(database, word);
  const slots = await listSlots(database, tenantId);
  if (!slots.some((one) => one.slot === slot)) {
    throw new ExpectedError('unknown_name', `there is no slot ${slot} in ${name}`, {
      cure: `entra-sync slots list ${commandWord(name)} shows them`,
    });
  }
  const items = item === undefined ? [] : await listItems(database, tenantId);
  if (item !== undefined && !items.some((one) => one.slot === slot && one.item === item)) {
    throw new ExpectedError('unknown_name', `there is no item ${item} of slot ${slot} in ${name}`, {
      cure: `entra-sync items list ${commandWord(name)} shows them`,
    });
  }
  const found = await listAssigned(database, { tenantId, slot, item: item ?? null });
  if (csv) {
    const titles = ['account', 'name', 'user principal name', 'item', 'rank', 'by', 'assignment'];
    // RFC 4180 ends each line with CRLF.
    for (const line of [titles, ...found.map(csvCells)]) terminal.print(`${csvLine(line)}\r`);
    return;
  }
  terminal.answer({ tenant_id: tenantId, slot, item: item ?? null, people: found });
  const what = item === undefined ? `an item of ${cut(slot)}` : `${cut(item)} of ${cut(slot)}`;
  const accounts = new Set(found.map((one) => one.account_id)).size;
  terminal.say(`${name}: ${plural(accounts, 'account')} ${accounts === 1 ? 'gets' : 'get'} ${what}.`);
  if (found.length === 0) return;
  terminal.say('');
  terminal.say(
    table(
      [
        { title: 'account', long: true },
        { title: 'user principal name', long: true },
        { title: 'item', long: true },
        { title: 'rank', right: true },
        { title: 'by', long: true },
      ],
      found
        .slice(0, limit)
        .map((one) => [
          one.display_name ?? one.account_id,
          one.user_principal_name ?? '',
          one.item,
          one.rank,
          byText(one),
        ]),
    ),
  );
  if (found.length > limit)
    terminal.say(`\n… and ${count(found.length - limit)} more -> --limit ${found.length}, or --csv`);
}

const csvCells = (one: AssignedPerson) => [
  ...[one.account_id, one.display_name ?? '', one.user_principal_name ?? '', one.item, String(one.rank)],
  ...[byText(one), one.assignment_id],
];

function byText({ target, group_name: group, field }: AssignedPerson): string {
  if (target === 'group') return `group ${group ?? ''}`.trimEnd();
  return target === 'field' ? `field ${field}` : target;
}
