// `changes`: the feed, as read_changes returns it to applications.
import { setTimeout as pause } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { exitCodes } from '../../errors.ts';
import type { Database } from '../../store/database/pool.ts';
import { type ChangeRow, feedPosition, positionBefore, readChanges } from '../../store/feed/changes.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { describeChange, describeMembership } from '../format.ts';
import { table } from '../layout.ts';

type ChangesOptions = VerbOptions & { after?: string; limit: number; follow?: boolean; position?: boolean };

export function changesCommand(): Command {
  return verb('changes', 'Show the change feed: the last changes, or those after a position.', [
    'changes',
    'changes --limit 100 --json',
    'changes --position',
    'changes --after 5f0c2a9e:12:2345 --follow',
  ])
    .option('--after <position>', 'only changes after this position (--json shows the position of each row)')
    .option('--limit <n>', 'the number of rows', wholeNumber, 20)
    .option('--follow', 'keep printing changes as they come, until Ctrl-C')
    .option('--position', 'print where the feed stands now, and nothing else')
    .action((options: ChangesOptions) => runVerb(options, (run) => changes(run, options)));
}

function wholeNumber(text: string): number {
  if (!/^\d{1,6}$/.test(text) || Number(text) < 1)
    throw new InvalidArgumentError('a whole number from 1 to 999999 is needed');
  return Number(text);
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
  const start = options.after ?? (await positionBefore(database, options.limit, null));
  const found = await readChanges(database, start, options.limit);
  if (!options.follow) {
    terminal.answer({
      changes: found,
      position: found.at(-1)?.position ?? options.after ?? (await feedPosition(database)),
    });
    if (found.length === 0) terminal.say(options.after ? 'No changes after this position.' : 'No changes yet.');
    else terminal.say(changeTable(found));
    return;
  }
  return follow(run, database, found, found.at(-1)?.position ?? start ?? (await feedPosition(database)));
}

async function follow(run: Run, database: Database, first: ChangeRow[], from: string): Promise<number> {
  let batch = first;
  let position = from;
  for (;;) {
    for (const change of batch) {
      // One object per line, so that a reader can parse each as it comes.
      if (run.terminal.json) process.stdout.write(`${JSON.stringify(change)}\n`);
      else run.terminal.print(line(change).join('  '));
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

/** Returns changes as a table. */
export function changeTable(found: readonly ChangeRow[], indent = 0): string {
  const titles = [
    { title: 'at', whole: true },
    { title: 'kind', whole: true },
    { title: 'who or what' },
    { title: 'what' },
  ];
  return table(titles, found.map(line), { indent });
}

function line(change: ChangeRow): string[] {
  return [
    `${change.at.toISOString().slice(0, 19)}Z`,
    change.kind,
    change.display_name ?? change.account_id ?? change.group_name ?? change.group_id ?? change.tenant_id,
    change.kind.startsWith('membership.')
      ? describeMembership(change.kind, change.group_name ?? change.group_id)
      : describeChange(change.kind, change.before, change.after),
  ];
}
