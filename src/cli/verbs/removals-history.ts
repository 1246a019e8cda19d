// `removals history`: who decided what about held removals.
import type { Command } from 'commander';
import { decidedRemovals } from '../../store/commit/removal-lists.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { removalText } from '../../words/removals.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { count } from '../format.ts';
import { table } from '../layout.ts';
import { wholeNumber } from '../whole-number.ts';

type HistoryOptions = VerbOptions & { limit: number };

export function removalsHistoryCommand(): Command {
  return verb('history', 'Show who approved or rejected which held removals, newest first.', [
    'removals history',
    'removals history Contoso --limit 100',
  ])
    .argument('[tenant]', 'id, name or reference of one tenant')
    .option('--limit <n>', 'the number of decisions', wholeNumber, 20)
    .action((word: string | undefined, options: HistoryOptions) =>
      runVerb(options, (run) => history(run, word, options)),
    );
}

async function history(run: Run, word: string | undefined, { limit }: HistoryOptions): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  const tenant = word === undefined ? null : await findTenant(database, word);
  const decisions = await decidedRemovals(database, tenant?.tenant_id ?? null, limit);
  terminal.answer({ decisions });
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
        { title: 'reasons' },
      ],
      decisions.map((one) => [
        `${one.at.toISOString().slice(0, 19)}Z`,
        one.tenant_name,
        one.list_id ?? '',
        one.decision,
        count(one.count),
        one.actor,
        Object.entries(one.reasons)
          .map(([reason, number]) => `${removalText(reason)} (${count(number)})`)
          .join('; '),
      ]),
    ),
  );
}
