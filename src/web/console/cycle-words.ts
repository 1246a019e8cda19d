// A cycle in a row of a table.
import { type CommitCounts, changesOf } from '../../rules/counts.ts';
import { count } from '../../rules/numbers.ts';
import type { CycleRow } from '../../store/tenants/status.ts';
import { ago, type Html, html } from '../html.ts';
import type { View } from '../page.ts';
import { type Order, order, orderBy } from '../query.ts';
import type { Column } from '../table.ts';

type StreamOf = Partial<CommitCounts> & {
  readonly requests?: number;
  readonly seen?: number;
  readonly round?: string;
  readonly reason?: string;
};

const streamsOf = (cycle: CycleRow) => Object.values(cycle.streams) as StreamOf[];
const sum = (cycle: CycleRow, of: (one: StreamOf) => number | undefined) =>
  streamsOf(cycle).reduce((total, one) => total + (of(one) ?? 0), 0);

const tookMs = ({ started_at: from, finished_at: to }: CycleRow) => (to ? to.getTime() - from.getTime() : undefined);

/** The numbers of a cycle by which a list of cycles is ordered. */
const numbers = {
  started: (cycle: CycleRow) => cycle.started_at.getTime(),
  took: tookMs,
  requests: (cycle: CycleRow) => sum(cycle, (stream) => stream.requests),
  seen: (cycle: CycleRow) => sum(cycle, (stream) => stream.seen),
  created: (cycle: CycleRow) => sum(cycle, (stream) => stream.created),
  updated: (cycle: CycleRow) => sum(cycle, (stream) => stream.updated),
  removed: (cycle: CycleRow) => sum(cycle, (stream) => stream.removed),
  held: (cycle: CycleRow) => sum(cycle, (stream) => stream.held),
} as const;

type CycleOrder = keyof typeof numbers;

export const cycleOrder = order(...(Object.keys(numbers) as CycleOrder[]));

/** The order of cycles without another: the newest first. */
export const usualCycles = orderBy<CycleOrder>('started', true);

/** Returns cycles in an order; those that are alike, and those without the number, the newest first. */
export function orderedCycles(cycles: readonly CycleRow[], { by, descending }: Order<CycleOrder>): CycleRow[] {
  const numberOf = numbers[by];
  const way = descending ? -1 : 1;
  return cycles.toSorted((one, other) => {
    const [mine, theirs] = [numberOf(one), numberOf(other)];
    if (mine === undefined || theirs === undefined)
      return mine === theirs ? numbers.started(other) - numbers.started(one) : mine === undefined ? 1 : -1;
    return way * (mine - theirs) || numbers.started(other) - numbers.started(one);
  });
}

/** Returns how many objects and memberships a cycle changed. */
export function cycleChanges(cycle: CycleRow): number {
  return streamsOf(cycle)
    .filter((one) => one.created !== undefined)
    .reduce((total, one) => total + changesOf(one as CommitCounts), 0);
}

/** Returns whether a stream of the cycle failed. */
export function cycleFailed({ outcome }: CycleRow): boolean {
  return outcome === 'failed' || outcome === 'partial';
}

/** Returns the kind of a cycle in words, with the rounds that were not usual. */
function cycleKind(cycle: CycleRow): Html {
  const full = Object.entries(cycle.streams).flatMap(([stream, { round, reason }]) =>
    round === 'full' && typeof reason === 'string' ? [`${stream} in full: ${reason.replaceAll('_', ' ')}`] : [],
  );
  const kind = html`<span class="whole">${cycle.kind.replaceAll('_', ' ')}</span>`;
  return full.length === 0 ? kind : html`${kind}, ${full.join(', ')}`;
}

/** Returns how a cycle ended, in words. */
export function cycleOutcome(cycle: CycleRow): string {
  if (cycle.error_message !== null) return cycle.error_message;
  if (cycle.outcome === 'running') return 'under way, or cut off';
  if (cycle.outcome !== 'committed') return cycle.outcome;
  return cycleChanges(cycle) === 0 ? 'nothing changed' : '';
}

/** The columns of a tenant's list of cycles. */
export function cycleColumns(view: View<unknown>, tenantId: string): readonly Column<CycleRow>[] {
  const number = true as const;
  return [
    {
      title: 'Started',
      order: '-started',
      head: true,
      cell: (one) =>
        html`<a href="${view.href(`/console/t/${tenantId}/cycles/${one.cycle_id}`)}">${ago(one.started_at, view.now)}</a><small>cycle ${one.cycle_id}</small>`,
    },
    { title: 'Kind', cell: cycleKind },
    {
      title: 'Took',
      order: '-took',
      number,
      cell: (one) => {
        const ms = tookMs(one);
        return ms === undefined ? '' : `${(ms / 1000).toFixed(1)} s`;
      },
    },
    { title: 'Requests', order: '-requests', number, cell: (one) => count(numbers.requests(one)) },
    { title: 'Seen', order: '-seen', number, cell: (one) => count(numbers.seen(one)) },
    { title: 'Created', order: '-created', number, count: true, cell: (one) => count(numbers.created(one)) },
    { title: 'Updated', order: '-updated', number, count: true, cell: (one) => count(numbers.updated(one)) },
    { title: 'Removed', order: '-removed', number, count: true, cell: (one) => count(numbers.removed(one)) },
    { title: 'Held', order: '-held', number, count: true, cell: (one) => count(numbers.held(one)) },
    {
      title: 'Members',
      number,
      count: true,
      cell: (one) => {
        const [added, removed] = [
          sum(one, (stream) => stream.memberships_added),
          sum(one, (stream) => stream.memberships_removed),
        ];
        return added + removed === 0 ? '0' : `+${count(added)} −${count(removed)}`;
      },
    },
    { title: 'Note', cell: cycleOutcome },
  ];
}
