// `/console/t/ID/audit` and `/console/audit`: who did and looked at what, of one tenant or of all.
import { z } from 'zod';
import type { Transaction } from '../../store/database/pool.ts';
import { type AuditRow, readAudit } from '../../store/feed/audit.ts';
import { ago, type Html, html, nothing } from '../html.ts';
import { page, type View } from '../page.ts';
import { day, dayAfter, position, positionOf } from '../query.ts';
import { type Column, csvLink, emptyList, filterLinks, keptInputs, listTable, pager } from '../table.ts';
import { tenantHead, tenantOf } from './tenant-frame.ts';

const shownLines = 50;

const kinds = ['sign_in.*', 'person.*', 'assignment*', 'settings.*', 'removals.*', 'tenant.*', 'invitation.*'] as const;

/** The filters of the list, as its pages and its downloads take them. */
export const auditFilters = {
  kind: z.enum(kinds),
  act: z
    .string()
    .trim()
    .max(60)
    .regex(/^[a-z_.]+\*?$/),
  actor: z.string().trim().max(200),
  since: day,
  until: day,
};
const query = { ...auditFilters, after: position('number') };
type Filters = { readonly [Name in keyof typeof auditFilters]: z.output<(typeof auditFilters)[Name]> | undefined };
type Filter = { readonly [Name in keyof typeof query]: z.output<(typeof query)[Name]> | undefined };

/** Returns the lines of a tenant, or of all, that fit the filters, before the one of this id. */
export function linesThatFit(
  read: Transaction,
  tenantId: string | null,
  { kind, act, actor, since, until }: Filters,
  { before, limit }: { readonly before: string | null; readonly limit: number },
): Promise<AuditRow[]> {
  return readAudit(read, {
    ...{ tenantId, accountId: null, actor: actor ?? null, act: act ?? kind ?? null, before, limit },
    since: since === undefined ? null : `${since}T00:00:00Z`,
    until: dayAfter(until) ?? null,
  });
}

function linesOf(read: Transaction, tenantId: string | null, { query }: View<Filter>): Promise<AuditRow[]> {
  const before = query.after === undefined ? null : String(query.after.keys[0]);
  return linesThatFit(read, tenantId, query, { before, limit: shownLines + 1 });
}

export const auditPage = page({
  route: 'GET /console/t/:tenant/audit',
  query,
  load: async (read, view) => {
    const tenant = await tenantOf(read, view);
    return tenant && { tenant, found: await linesOf(read, tenant.tenant_id, view) };
  },
  render: ({ tenant, found }, view) => ({
    title: `Audit · ${tenant.name}`,
    section: 'tenants',
    content: html`${tenantHead(view, tenant, '/audit', { title: 'Audit' })}
<p class="lead">Who did and looked at what, the vendor's people included, for 400 days.</p>
${listOf(found, view, false)}`,
  }),
});

export const wholeAuditPage = page({
  route: 'GET /console/audit',
  query,
  load: (read, view) => linesOf(read, null, view),
  render: (found, view) => ({
    title: 'Audit',
    section: 'audit',
    content: html`<h1>Audit</h1>
<p class="lead">Who did and looked at what, in all tenants, for 400 days.</p>
${listOf(found, view, true)}`,
  }),
});

function listOf(found: readonly AuditRow[], view: View<Filter>, ofAll: boolean): Html {
  const { kind, act, actor, since, until, after } = view.query;
  const filtered = [kind, act, actor, since, until].some((one) => one !== undefined);
  const last = found.length > shownLines ? found[shownLines - 1] : undefined;
  return html`<form class="search" method="get" action="${view.href(view.path)}">${keptInputs({ kind })}
<label for="act">Act <input type="text" inputmode="text" id="act" name="act" autocapitalize="none" spellcheck="false" autocomplete="off" value="${act ?? ''}" placeholder="person.viewed"></label>
<label for="actor">By <input type="text" inputmode="text" id="actor" name="actor" autocapitalize="none" spellcheck="false" autocomplete="off" value="${actor ?? ''}" placeholder="account:…"></label>
<label for="since">From <input type="date" id="since" name="since" autocomplete="off" value="${since ?? ''}"></label>
<label for="until">To, in UTC <input type="date" id="until" name="until" autocomplete="off" value="${until ?? ''}"></label>
<button>Show</button></form>
${filterLinks(view, { name: 'kind', label: 'Kind', current: kind }, [
  { value: undefined, label: 'All' },
  { value: 'sign_in.*', label: 'Sign-ins' },
  { value: 'person.*', label: 'People' },
  { value: 'assignment*', label: 'Assignments' },
  { value: 'settings.*', label: 'Settings' },
  { value: 'removals.*', label: 'Removals' },
  { value: 'tenant.*', label: 'Tenant' },
  { value: 'invitation.*', label: 'Invitations' },
])}
${
  found.length === 0
    ? emptyList(
        view,
        filtered,
        { kind: undefined, act: undefined, actor: undefined, since: undefined, until: undefined },
        html`Nothing was done or looked at yet.`,
      )
    : listTable('Audit', columns(view, ofAll), found.slice(0, shownLines))
}
${found.length === 0 ? nothing : csvLink(view, `${view.path}.csv`, { kind, act, actor, since, until })}
${pager(view, after, last && positionOf([last.audit_id]))}`;
}

const shownOfId = 8;

const byRole: Readonly<Record<string, string>> = {
  ...{ admin: 'an administrator', reader: 'a reader', publisher: 'a publisher', publisher_read: 'a publisher' },
  ...{ manager: 'a manager', user: 'a person' },
};

/** Returns who it was. Only ids are kept of people who signed in; those of the same id share the link. */
function actorWords({ actor, role, account_id: of }: AuditRow, { viewer }: View<Filter>): string {
  if (actor === viewer.actor) return 'you';
  if (actor === `account:${of}`) return 'the person';
  if (!/^(?:entra|account):/.test(actor)) return actor;
  return `${role.startsWith('ops') ? 'the vendor' : (byRole[role] ?? 'a sign-in')}, ${actor.slice(-shownOfId)}`;
}

const columns = (view: View<Filter>, ofAll: boolean): readonly Column<AuditRow>[] => [
  { title: 'When', cell: (one) => ago(one.at, view.now) },
  { title: 'Act', head: true, cell: (one) => one.act },
  {
    title: 'By',
    cell: (one) =>
      html`<a href="${view.here({ actor: one.actor, after: undefined })}">${actorWords(one, view)}</a><small>${one.role}, ${one.via}</small>`,
  },
  ...(ofAll
    ? [
        {
          title: 'Tenant',
          cell: (one: AuditRow) =>
            one.tenant_id === null
              ? ''
              : one.tenant_name === null
                ? one.tenant_id
                : html`<a href="${view.href(`/console/t/${one.tenant_id}/audit`)}">${one.tenant_name}</a>`,
        },
      ]
    : []),
  {
    title: 'Of',
    cell: (one) =>
      one.account_id === null || one.tenant_id === null
        ? ''
        : html`<a href="${view.href(`/console/t/${one.tenant_id}/people/${one.account_id}`)}">person ${one.account_id.slice(0, shownOfId)}</a>`,
  },
  {
    title: 'More',
    cell: (one) =>
      html`${Object.entries(one.detail).map(
        ([name, value]) =>
          html`<p class="change"><small>${name}</small> ${typeof value === 'string' ? value : JSON.stringify(value)}</p>`,
      )}`,
  },
];
