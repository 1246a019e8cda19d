// `removals history`: who decided what about held removals.
import type { Command } from 'commander';
import { type DecidedRemoval, decidedRemovals, removalsDecided } from '../../store/commit/removal-lists.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { removalText } from '../../words/removals.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { count, cut } from '../format.ts';
import { table } from '../layout.ts';
import { wholeNumber } from '../whole-number.ts';

type HistoryOptions = VerbOptions & { limit: number };

export function removalsHistoryCommand(): Command {
  return verb(
    'history',
    'Show who approved or rejected which held removals, newest first; --json has all of each decision.',
    [
      'removals history',
      'removals history Contoso --limit 100',
      `removals history Contoso --json | jq '.decisions[0].removals'`,
    ],
  )
    .argument('[tenant]', 'id, name or reference of one tenant')
    .option('--limit <n>', 'the number of decisions', wholeNumber, 20)
    .action((word: string | undefined, options: HistoryOptions) =>
      runVerb(options, (run) => history(run, word, options)),
    );
}

const shownByName = 3;

async function history(run: Run, word: string | undefined, { limit }: HistoryOptions): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  const tenant = word === undefined ? null : await findTenant(database, word);
  const decisions = await decidedRemovals(database, tenant?.tenant_id ?? null, limit);
  const found = await removalsDecided(database, decisions, terminal.json ? null : shownByName);
  const removals = Map.groupBy(found, (one) => one.batch_id);
  terminal.answer({
    decisions: decisions.map(({ batch_id: batch, ...one }) => ({
      ...one,
      removals: (removals.get(batch) ?? []).map(({ batch_id: _, ...removal }) => removal),
    })),
  });
  if (decisions.length === 0) {
    terminal.say('Nothing was decided yet.');
    return;
  }
  terminal.say(
    table(
      [
        { title: 'at' },
        { title: 'tenant', long: true },
        { title: 'list', right: true },
        { title: 'decision' },
        { title: 'removals', right: true },
        { title: 'by', long: true },
        { title: 'which' },
        { title: 'reasons' },
      ],
      decisions.map((one) => [
        `${one.at.toISOString().slice(0, 19)}Z`,
        one.tenant_name,
        one.list_id ?? '',
        one.decision,
        count(one.count),
        one.actor,
        namesOf(removals.get(one.batch_id) ?? [], one.count),
        Object.entries(one.reasons)
          .map(([reason, number]) => `${removalText(reason)} (${count(number)})`)
          .join('; '),
      ]),
    ),
  );
}

function namesOf(first: readonly DecidedRemoval[], all: number): string {
  const more = all - first.length;
  return `${first.map(nameOf).join(', ')}${more > 0 ? ` and ${count(more)} more` : ''}`;
}

function nameOf(one: DecidedRemoval): string {
  const { account_id: account, group_id: group, member_group_id: member } = one;
  const name = cut(one.display_name ?? account ?? member ?? group ?? 'purged');
  return group !== null && (account ?? member) !== null ? `${name} in ${cut(one.group_name ?? group)}` : name;
}
