// `cycle show`: what one cycle did, in numbers and by name.
import type { Command } from 'commander';
import { countChanges, findChanges } from '../../store/feed/changes.ts';
import type { CycleRow } from '../../store/tenants/status.ts';
import { type Run, runVerb, type VerbOptions, verb, verbGroup } from '../command.ts';
import { describeOutside } from '../cycle-report.ts';
import { changesOfCycle, type NamedCycle, requireCycle } from '../cycles.ts';
import { count, duration, plural } from '../format.ts';
import { table } from '../layout.ts';
import { wholeNumber } from '../whole-number.ts';
import { changeTable } from './changes.ts';

type ShowOptions = VerbOptions & { limit: number };

export function cycleCommand(): Command {
  const cycle = verbGroup('cycle', 'One cycle of a tenant, by its number. tenant show lists the last ones.', [
    'cycle show 77',
  ]);
  cycle.addCommand(
    verb('show', 'Show what a cycle did: its streams in numbers, its changes by kind and by name.', [
      'cycle show 77',
      'cycle show 77 --limit 500',
      'cycle show 77 --json',
    ])
      .argument('<cycle>', 'the number of the cycle', wholeNumber)
      .option('--limit <n>', 'the number of changes shown by name', wholeNumber, 20)
      .action((cycleId: number, options: ShowOptions) => runVerb(options, (run) => show(run, cycleId, options.limit))),
  );
  return cycle;
}

async function show(run: Run, cycleId: number, limit: number): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  const cycle = await requireCycle(database, cycleId);
  const filter = changesOfCycle(cycle);
  const counts = await countChanges(database, filter);
  const changes = await findChanges(database, filter, limit);
  terminal.answer({ cycle, counts, changes });
  terminal.say(cycleLine(cycle));
  if (cycle.error_message) terminal.say(`error: ${cycle.error_message}`);
  if (Object.keys(cycle.streams ?? {}).length > 0) terminal.say(`\n${streamTable(cycle)}`);
  const { outside, notice } = cycle.streams?.users ?? {};
  if (outside) terminal.say(describeOutside(outside as Record<string, number>));
  if (typeof notice === 'string') terminal.say(notice);
  if (counts.length === 0) {
    terminal.say('\nIt changed nothing.');
    return;
  }
  terminal.say(
    `\n${table(
      [{ title: 'kind' }, { title: 'changes', right: true }],
      counts.map((one) => [one.kind, count(one.count)]),
    )}`,
  );
  terminal.say(`\n${changeTable(changes)}`);
  const more = counts.reduce((sum, one) => sum + one.count, 0) - changes.length;
  if (more > 0) terminal.say(`and ${plural(more, 'change', ' earlier')} -> --limit ${limit + more}`);
}

function cycleLine({ cycle_id, tenant_name, kind, outcome, started_at, finished_at }: NamedCycle): string {
  const began = `${started_at.toISOString().slice(0, 19)}Z`;
  const took = finished_at ? `, took ${duration((finished_at.getTime() - started_at.getTime()) / 1000)}` : '';
  return `Cycle ${cycle_id} of ${tenant_name}: ${kind}, ${outcome}, began ${began}${took}`;
}

// A column that is 0 in both streams says nothing.
const numbers = [
  ...['seen', 'requests', 'created', 'adopted', 'updated', 'suspended', 'resumed', 'removed', 'restored', 'purged'],
  ...['memberships_added', 'memberships_removed', 'held', 'set_aside'],
];

function streamTable({ streams }: CycleRow): string {
  const all = Object.entries(streams);
  const shown = numbers.filter((name) => all.some(([, stream]) => Number(stream[name] ?? 0) > 0));
  return table(
    [{ title: 'of its streams' }, ...all.map(([stream]) => ({ title: stream, right: true }))],
    [
      ['outcome', ...all.map(([, stream]) => String(stream.outcome ?? ''))],
      ['round', ...all.map(([, stream]) => String(stream.round ?? ''))],
      ...shown.map((name) => [name.replaceAll('_', ' '), ...all.map(([, stream]) => count(Number(stream[name] ?? 0)))]),
    ],
  );
}
