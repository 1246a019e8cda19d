// `/console/t/ID/people/ID/history`: what happened to one person, and the person as it was on a day.
import { z } from 'zod';
import type { FoundAccount } from '../../store/accounts/explain.ts';
import { accountHistory, type HistoryRow } from '../../store/accounts/history.ts';
import { type AccountOnDay, accountOnDay } from '../../store/console/people.ts';
import { showValue } from '../../words/changes.ts';
import { ago, type Html, html, nothing, postForm } from '../html.ts';
import { page, type View } from '../page.ts';
import { day } from '../query.ts';
import { type Column, listTable } from '../table.ts';
import { byWhom, happened, values } from './change-words.ts';
import { type FieldLabels, labelOf, type Names, namesOf, shownValue } from './field-labels.ts';
import { nameOf, personHead, personOf } from './person-head.ts';

const shownLines = 200;

export const personHistoryPage = page({
  route: 'GET /console/t/:tenant/people/:account/history',
  query: { at: day, done: z.enum(['undone']) },
  asksReason: true,
  load: async (read, view) => {
    const found = await personOf(read, view);
    if (!found) return undefined;
    const { account_id: accountId, tenant_id: tenantId } = found.account;
    const rows = await accountHistory(read, accountId, shownLines + 1);
    const names = await namesOf(read, tenantId);
    const { at } = view.query;
    if (at === undefined) return { ...found, rows, names, past: undefined };
    // A day counts to its end.
    const time = new Date(Date.parse(at) + 86_399_000).toISOString();
    return { ...found, rows, names, past: await accountOnDay(read, { tenantId, accountId, at: time }) };
  },
  audit: ({ account }, view) => [
    {
      act: view.query.at === undefined ? 'person.history_viewed' : 'person.as_of_viewed',
      accountId: account.account_id,
    },
  ],
  render: ({ tenant, account, rows, past, names }, view) => ({
    title: `What happened · ${nameOf(account)}`,
    section: 'tenants',
    content: html`${personHead(view, { tenant, account }, '/history')}
<form class="search" method="get" action="${view.href(view.path)}"><label for="at">As it was on, in UTC <input type="date" id="at" name="at" autocomplete="off" value="${view.query.at ?? ''}"></label><button>Show</button>${view.query.at === undefined ? nothing : html`<a class="button" href="${view.here({ at: undefined })}">Now</a>`}</form>
${view.query.done === undefined || view.form ? nothing : html`<p class="done" role="status">The edit is taken back.</p>`}
${past === undefined ? nothing : asItWas(past, view.query.at ?? '', names.labels)}
<h2>What happened</h2>
${rows.length === 0 ? html`<p class="empty">Nothing of it is kept.</p>` : html`<ol class="line panel">${grouped(rows.slice(0, shownLines)).map((one) => lineOf(one, names, view, one[0]?.change_id === undoable(rows, account)))}</ol>`}
${rows.length > shownLines ? html`<p class="lead">The last ${shownLines} lines. <code>entra-sync history ${account.account_id} --limit 10000</code> shows more.</p>` : nothing}`,
  }),
});

function asItWas(then: AccountOnDay, at: string, labels: FieldLabels): Html {
  if (then === 'unknown') return html`<p class="empty">So far back nothing is kept.</p>`;
  if (then === 'absent') return html`<p class="empty">On ${at} this account was not there.</p>`;
  if (then.erased) return html`<p class="empty">On ${at} this account was there. Its values are purged since.</p>`;
  const lines = [
    ['User principal name', then.user_principal_name],
    ['Mail', then.mail],
    ['State', then.enabled === false ? `${then.state}, suspended` : then.state],
    ...Object.entries(then.profile ?? {}).map(([name, value]) => [labels.get(name) ?? name, value]),
  ].map(([name, value]) => ({ name: String(name), value }));
  const columns: readonly Column<(typeof lines)[number]>[] = [
    { title: 'Field', head: true, cell: (one) => one.name },
    { title: `On ${at}`, cell: (one) => (typeof one.value === 'string' ? one.value : showValue(one.value)) },
  ];
  return listTable(`On ${at}`, columns, lines);
}

/** Returns the change that may be taken back: the last edit of a live account. */
function undoable(rows: readonly HistoryRow[], { removed_at: removed }: FoundAccount): string | undefined {
  return removed === null ? rows.find(({ kind }) => kind === 'account.edited')?.change_id : undefined;
}

/** Lines of one change together. */
function grouped(rows: readonly HistoryRow[]): HistoryRow[][] {
  const groups: HistoryRow[][] = [];
  for (const row of rows) {
    const last = groups.at(-1);
    if (last?.[0]?.change_id === row.change_id) last.push(row);
    else groups.push([row]);
  }
  return groups;
}

function lineOf(rows: readonly HistoryRow[], names: Names, view: View<unknown>, mayUndo: boolean): Html {
  const [first] = rows;
  if (!first) return nothing;
  const by =
    first.cycle_id === null
      ? byWhom(view, first.actor, view.params.account)
      : html`${byWhom(view, first.actor, view.params.account)}, <a href="${view.href(`/console/t/${view.params.tenant}/cycles/${first.cycle_id}`)}">cycle ${first.cycle_id}</a>`;
  return html`<li>${ago(first.at, view.now)}<div><p>${happened({ kind: first.kind, group_name: first.name, ...sidesOf(first) })} <small>by ${by}</small></p>${
    first.kind.startsWith('membership.') || first.kind === 'account.photo_changed'
      ? nothing
      : rows.flatMap(({ field, before, after }) =>
          field === null
            ? []
            : [
                html`<p><small>${labelOf(field, names)}</small> ${values(shownValue(field, before, names), shownValue(field, after, names))}</p>`,
              ],
        )
  }${mayUndo && view.may('POST /console/t/:tenant/people/:account/undo') ? undoForm(first.change_id, view) : nothing}</div></li>`;
}

/** Returns the sides of a change as its row in the feed has them. */
const sidesOf = ({ field, before, after }: HistoryRow) =>
  field === null ? { before: null, after: null } : { before: { [field]: before }, after: { [field]: after } };

const undoForm = (change: string, view: View<unknown>) =>
  postForm(
    view,
    `/console/t/${view.params.tenant}/people/${view.params.account}/undo`,
    html`<input type="hidden" name="change" value="${change}"><button class="quiet">Take this edit back</button>`,
  );
