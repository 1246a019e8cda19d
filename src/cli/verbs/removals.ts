// `removals`: held removals, and a person's decision.

import type { Command } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { csvLine } from '../../rules/csv.ts';
import { commandWord } from '../../rules/shell.ts';
import { decideRemovals } from '../../store/commit/held-removals.ts';
import { type HeldRemoval, heldIn, openLists, type RemovalList } from '../../store/commit/removal-lists.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { removalText } from '../../words/removals.ts';
import { type Run, runVerb, type VerbOptions, verb, verbGroup } from '../command.ts';
import { count, plural, when } from '../format.ts';
import { table } from '../layout.ts';
import { wholeNumber } from '../whole-number.ts';
import { removalsHistoryCommand } from './removals-history.ts';
import { removalsUndoCommand } from './removals-undo.ts';

type ListOptions = VerbOptions & { limit?: number; csv?: boolean };
type DecisionOptions = VerbOptions & { list?: string; all?: boolean };

const shownRemovals = 50;

export function removalsCommand(): Command {
  const removals = verbGroup(
    'removals',
    "Removals beyond the limits of the settings are held for a person's decision. None of them has been applied.",
    ['removals list', 'removals approve Contoso --list 3 --all', 'removals reject Contoso --list 3 --all'],
  );
  removals.addCommand(
    verb('list', 'Show the held removals, with the reason and since when.', [
      'removals list',
      'removals list Contoso',
      'removals list Contoso --limit 500',
      'removals list Contoso --csv > held.csv',
      'removals list Contoso --json | jq ".lists[].removals[].account_id"',
    ])
      .argument('[tenant]', 'id, name or reference of one tenant')
      .option(
        '--limit <n>',
        `the number of removals of each list (default: ${shownRemovals}; all with --csv and --json)`,
        wholeNumber,
      )
      .option('--csv', 'print all of them as CSV, for a spreadsheet')
      .action((word: string | undefined, options: ListOptions) => runVerb(options, (run) => list(run, word, options))),
  );
  for (const decision of ['approve', 'reject'] as const) removals.addCommand(decisionCommand(decision));
  removals.addCommand(removalsHistoryCommand());
  removals.addCommand(removalsUndoCommand());
  return removals;
}

const purposes = {
  approve: 'Apply the removals (or suspensions) of a list, all of them or by id. At once, and without Graph.',
  reject:
    'Keep the accounts and groups of a list, all of them or by id, as manual ones; managed again when Graph returns them live.',
} as const;

function decisionCommand(decision: 'approve' | 'reject'): Command {
  return verb(
    decision,
    purposes[decision],
    [
      `removals ${decision} Contoso --list 3 --all`,
      `removals ${decision} Contoso --list 3 49f093cb-32df-428f-a9a8-c4d7c17b1782`,
    ],
    { acts: true },
  )
    .argument('<tenant>', 'id, name or reference')
    .argument('[ids...]', 'account ids, group ids or object ids')
    .requiredOption('--list <n>', 'the number of the list, as removals list shows it')
    .option('--all', 'all removals of the list')
    .action((word: string, ids: string[], options: DecisionOptions) =>
      runVerb(options, (run) => decide(run, word, ids, { ...options, decision })),
    );
}

type ShownList = RemovalList & { readonly removals: readonly HeldRemoval[] };

async function list(run: Run, word: string | undefined, options: ListOptions): Promise<undefined> {
  const { terminal } = run;
  if (options.csv && terminal.json)
    throw new ExpectedError('usage', '--csv and --json exclude each other', { cure: 'give one of them' });
  const { database } = await run.database();
  const tenant = word === undefined ? null : await findTenant(database, word);
  const lists = await openLists(database, tenant?.tenant_id ?? null);
  const limit = options.limit ?? (terminal.json || options.csv ? 1_000_000 : shownRemovals);
  const shown: ShownList[] = [];
  for (const one of lists) shown.push({ ...one, removals: await heldIn(database, one.list_id, limit) });
  if (options.csv) {
    // RFC 4180 ends each line with CRLF.
    for (const line of [csvTitles, ...shown.flatMap(csvRows)]) terminal.print(`${csvLine(line)}\r`);
    return;
  }
  terminal.answer({ lists: shown });
  if (lists.length === 0) {
    terminal.say('Nothing is held.');
    return;
  }
  for (const one of shown) sayList(run, one);
  terminal.say(
    'None of this has been applied. Without a decision it stays held, and every cycle reports it; an account that is there again leaves the list.',
  );
}

const csvTitles = [
  ...['list', 'tenant', 'what', 'id', 'name', 'user principal name', 'would leave'],
  ...['reason', 'reason code', 'held since'],
];

function csvRows({ list_id: listId, tenant_name: tenant, what, removals }: ShownList): string[][] {
  return removals.map((one) => [
    ...[listId, tenant, what, idOf(one), one.display_name ?? '', one.user_principal_name ?? '', one.group_name ?? ''],
    ...[removalText(one.reason), one.reason, one.held_since.toISOString()],
  ]);
}

function idOf(removal: HeldRemoval): string {
  return removal.account_id ?? removal.member_group_id ?? removal.group_id ?? '';
}

function sayList({ terminal }: Run, one: ShownList): void {
  const { what } = one;
  terminal.say(
    `List ${one.list_id}, ${one.tenant_name}: ${plural(one.held, what)} held ${when(one.opened_at)}, because ${one.why}`,
  );
  terminal.say(
    table(
      [
        { title: what === 'group' ? 'group' : 'account', whole: true },
        { title: 'name', long: true },
        { title: what === 'membership' ? 'would leave' : 'user principal name', long: true },
        { title: 'reason' },
      ],
      one.removals.map((removal) => [
        idOf(removal),
        removal.display_name ?? '',
        (what === 'membership' ? removal.group_name : removal.user_principal_name) ?? '',
        removalText(removal.reason),
      ]),
    ),
  );
  if (one.held > one.removals.length)
    terminal.say(
      `… and ${count(one.held - one.removals.length)} more -> entra-sync removals list ${commandWord(one.tenant_name)} --limit ${one.held}, or --csv`,
    );
  if (one.unconfirmed > 0)
    terminal.say(
      `${count(one.unconfirmed)} of them were not seen by one full round only: the next cycle is full again, and those that it does not see either can be approved.`,
    );
  terminal.say(
    `-> entra-sync removals approve ${commandWord(one.tenant_name)} --list ${one.list_id} --all, or removals reject in the same way\n`,
  );
}

async function decide(
  run: Run,
  word: string,
  ids: string[],
  options: DecisionOptions & { decision: 'approve' | 'reject' },
): Promise<undefined> {
  const { decision, list: listId = '', all = false } = options;
  if (all === ids.length > 0) {
    throw new ExpectedError(
      'usage',
      all ? '--all and ids exclude each other' : 'neither --all nor ids of the list were given',
      {
        cure: 'entra-sync removals list TENANT shows them',
      },
    );
  }
  if (!/^\d{1,18}$/.test(listId)) {
    throw new ExpectedError('usage', '--list needs the number of a list', {
      cure: 'entra-sync removals list shows them',
    });
  }
  const { database } = await run.database();
  const tenant = await findTenant(database, word);
  const done = await decideRemovals(database, {
    tenantId: tenant.tenant_id,
    listId,
    ids: all ? null : ids,
    decision,
    side: 'vendor',
    actor: run.actor,
  });
  run.terminal.answer({ tenant: { id: tenant.tenant_id, name: tenant.name }, list: listId, decision, ...done });
  const parts = [
    done.accounts > 0 && plural(done.accounts, 'account'),
    done.suspended > 0 && `${plural(done.suspended, 'account')} (suspended)`,
    done.groups > 0 && plural(done.groups, 'group'),
    done.memberships > 0 && plural(done.memberships, 'membership'),
  ].filter((part) => part !== false);
  run.terminal.say(
    `${tenant.name}, list ${listId}: ${parts.join(', ') || 'nothing'} ${decision === 'approve' ? 'removed' : done.memberships > 0 ? 'kept' : 'kept, as manual'}.`,
  );
  if (decision === 'approve' && done.accounts + done.groups > 0)
    run.terminal.say(`entra-sync removals undo ${commandWord(tenant.name)} --list ${listId} takes it back.`);
  if (done.skipped.length > 0) run.terminal.say(`Skipped, not (or no longer) in the list: ${done.skipped.join(', ')}`);
}
