// `/console/t/ID/cycles/N`: what one cycle did.
import { z } from 'zod';
import { count } from '../../rules/numbers.ts';
import { listChanges } from '../../store/console/changes.ts';
import type { Transaction } from '../../store/database/pool.ts';
import { type ChangeFilter, countChanges } from '../../store/feed/changes.ts';
import { type CycleRow, readCycle } from '../../store/tenants/status.ts';
import { type Html, html, nothing, postForm } from '../html.ts';
import { page, type View } from '../page.ts';
import { position } from '../query.ts';
import { type Column, csvLink, filterLinks, listTable, pager } from '../table.ts';
import { changesShown, changesTable, nextChanges } from './changes-list.ts';
import { cycleColumns, cycleOutcome } from './cycle-words.ts';
import { namesOf } from './field-labels.ts';
import { lookButtons } from './form-parts.ts';
import { tenantHead, tenantOf } from './tenant-frame.ts';
import { takenBack } from './undone.ts';

/** Numbering of batches may follow the end of a cycle by this long. */
const numberedWithinMs = 3_600_000;

/** The filter of a cycle's changes, as its page and its download take it. */
export const ofCycle = {
  kind: z
    .string()
    .max(40)
    .regex(/^[a-z]+\.[a-z_]+$/),
};

/** Returns the cycle of the address, and which changes are of it; undefined where the tenant has no such cycle. */
export async function cycleOf(
  read: Transaction,
  { tenant: tenantId = '', cycle: number = '' }: Readonly<Record<string, string>>,
): Promise<{ readonly cycle: CycleRow; readonly all: ChangeFilter } | undefined> {
  const cycle = /^\d{1,18}$/.test(number) ? await readCycle(read, number) : undefined;
  if (cycle?.tenant_id !== tenantId) return undefined;
  const { started_at: from, finished_at: to } = cycle;
  const until = to ? new Date(to.getTime() + numberedWithinMs).toISOString() : undefined;
  return { cycle, all: { tenantId, cycle: number, since: from.toISOString(), until } };
}

export const cyclePage = page({
  route: 'GET /console/t/:tenant/cycles/:cycle',
  query: { ...ofCycle, after: position('place', 'number'), done: z.enum(['shown']) },
  load: async (read, view) => {
    const tenant = await tenantOf(read, view);
    const known = tenant && (await cycleOf(read, view.params));
    if (!known) return undefined;
    const { cycle, all } = known;
    const found = view.may('GET /console/t/:tenant/changes')
      ? await listChanges(
          read,
          { ...all, kind: view.query.kind },
          { after: view.query.after?.keys ?? null, limit: changesShown + 1 },
        )
      : undefined;
    const counts = await countChanges(read, all);
    return { tenant, cycle, found, counts, names: await namesOf(read, tenant.tenant_id) };
  },
  // Its changes have values of people.
  asksReason: true,
  audit: ({ found, cycle }) => (found ? [{ act: 'cycle.viewed', detail: { cycle: cycle.cycle_id } }] : []),
  render: ({ tenant, cycle, found, counts, names }, view) => ({
    title: `Cycle ${cycle.cycle_id} · ${tenant.name}`,
    section: 'tenants',
    content: html`${tenantHead(view, tenant, '', { title: `Cycle ${cycle.cycle_id}` })}
${takenBack(view)}
${cycleOutcome(cycle) === '' ? nothing : html`<p class="lead">${cycleOutcome(cycle)}</p>`}
${listTable('The cycle', cycleColumns(view, tenant.tenant_id), [cycle])}
${undoForm(counts, view)}
<h2>What it did</h2>
${
  counts.length === 0
    ? html`<p class="empty">It changed nothing, or its changes are no longer kept.</p>`
    : found === undefined
      ? listTable('What it did', countColumns, counts)
      : html`${filterLinks(view, { name: 'kind', label: 'Kind', current: view.query.kind }, [
          { value: undefined, label: 'All' },
          ...counts.map(({ kind, count: number }) => ({
            value: kind,
            label: `${kind.replaceAll(/[._]/g, ' ')} ${count(number)}`,
          })),
        ])}${changesTable(view, found, names)}${csvLink(view, `${view.path}/changes.csv`, { kind: view.query.kind })}${pager(view, view.query.after, nextChanges(found))}`
}`,
  }),
});

/** Returns the form that takes the removals of the cycle back, where there are any. */
function undoForm(counts: readonly { kind: string; count: number }[], view: View<unknown>): Html {
  const removed = counts
    .filter(({ kind }) => kind === 'account.removed' || kind === 'group.removed')
    .reduce((sum, one) => sum + one.count, 0);
  if (removed === 0 || !view.may('POST /console/t/:tenant/cycles/:cycle/undo')) return nothing;
  return html`<h2>Take its removals back</h2><p class="lead">${count(removed)} people and groups that it removed can be shown again, as far as nothing else was done with them since. Memberships that ended since stay ended.</p>
${postForm(view, `${view.path}/undo`, lookButtons(view.form, 'Show what comes back'))}`;
}

// A reader sees how much a cycle did, and no value.
const countColumns: readonly Column<{ kind: string; count: number }>[] = [
  { title: 'Kind', head: true, cell: (one) => one.kind.replaceAll(/[._]/g, ' ') },
  { title: 'Changes', number: true, cell: (one) => count(one.count) },
];
