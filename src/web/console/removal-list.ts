// `/console/t/ID/removals/N`: the decisions about one list of held removals, and taking back those that were approved.
import { z } from 'zod';
import { count } from '../../rules/numbers.ts';
import { type DecidedRemovals, decidedRemovals } from '../../store/commit/removal-lists.ts';
import { removalText } from '../../words/removals.ts';
import { longActMs } from '../act-time.ts';
import { ago, type Html, html, nothing, postForm } from '../html.ts';
import { action, page, type View } from '../page.ts';
import { type Column, listTable } from '../table.ts';
import { byWhom } from './change-words.ts';
import { lookButtons, pressed } from './form-parts.ts';
import { tenantHead, tenantOf } from './tenant-frame.ts';
import { takeBack, takenBack } from './undone.ts';

const decisionsShown = 100;
const isNumber = (text: string) => /^\d{1,18}$/.test(text);

export const removalListPage = page({
  route: 'GET /console/t/:tenant/removals/:list',
  query: { done: z.enum(['shown']) },
  load: async (read, view) => {
    const list = view.params.list ?? '';
    if (!isNumber(list)) return undefined;
    const tenant = await tenantOf(read, view);
    if (!tenant) return undefined;
    const decisions = await decidedRemovals(read, tenant.tenant_id, decisionsShown, list);
    return decisions.length === 0 ? undefined : { tenant, list, decisions };
  },
  render: ({ tenant, list, decisions }, view) => ({
    title: `List ${list} · ${tenant.name}`,
    section: 'tenants',
    content: html`${tenantHead(view, tenant, '/removals', { title: `List ${list}, decided`, crumbs: [{ path: '/removals', label: 'Removals' }] })}
${takenBack(view)}
${listTable('Decisions', decisionColumns(view), decisions)}
${undoForm(decisions, view)}`,
  }),
});

/** Returns the form that takes back what was approved of the list, where anything was. */
function undoForm(decisions: readonly DecidedRemovals[], view: View<unknown>): Html {
  const removed = decisions.filter(({ decision }) => decision === 'approved').reduce((sum, one) => sum + one.count, 0);
  if (removed === 0 || !view.may('POST /console/t/:tenant/removals/:list/undo')) return nothing;
  return html`<h2>Take it back</h2><p class="lead">${count(removed)} removals of this list were approved. The people and groups that they removed can be shown again, as far as nothing else was done with them since. Memberships that ended since stay ended.</p>
${postForm(view, `${view.path}/undo`, lookButtons(view.form, 'Show what comes back'))}`;
}

/** The columns of a tenant's decisions about held removals. */
export const decisionColumns = (view: View<unknown>): readonly Column<DecidedRemovals>[] => [
  { title: 'When', cell: (one) => ago(one.at, view.now) },
  {
    title: 'List',
    head: true,
    cell: (one) =>
      one.list_id === null
        ? 'A purged list'
        : html`<a href="${view.href(`/console/t/${one.tenant_id}/removals/${one.list_id}`)}">List ${one.list_id}</a>`,
  },
  { title: 'Decision', cell: (one) => `${count(one.count)} ${one.decision === 'approved' ? 'removed' : 'kept'}` },
  { title: 'By', cell: (one) => byWhom(view, one.actor) },
  {
    title: 'Reasons',
    cell: (one) =>
      Object.entries(one.reasons)
        .map(([reason, number]) => `${count(number)} ${removalText(reason)}`)
        .join('; '),
  },
];

export const undoList = action({
  route: 'POST /console/t/:tenant/removals/:list/undo',
  form: pressed,
  audit: 'removals.undone',
  statementMs: longActMs,
  act: async (database, view) => {
    const { tenant: tenantId = '', list = '' } = view.params;
    if (!isNumber(list) || (await decidedRemovals(database, tenantId, 1, list)).length === 0) return undefined;
    return takeBack(database, view, { of: { list }, to: `/console/t/${tenantId}/removals/${list}` });
  },
  again: removalListPage,
});
