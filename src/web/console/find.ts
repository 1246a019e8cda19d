// `/console/find`: a person or group of any tenant, by words.
import { z } from 'zod';
import { count } from '../../rules/numbers.ts';
import { type Found, findByWords } from '../../store/accounts/find.ts';
import { type Html, html, nothing } from '../html.ts';
import { page, type View } from '../page.ts';
import { type Column, csvLink, listTable } from '../table.ts';

const most = 50;

/** The most rows of the download: they are ranked in one statement, which has to end in its time. */
export const mostFound = 1_000;

/** The words, as the page and its download take them. */
export const findQuery = { q: z.string().max(200) };

export const findPage = page({
  route: 'GET /console/find',
  query: findQuery,
  load: async (read, view) => {
    const words = view.query.q?.trim() ?? '';
    return { words, found: words === '' ? [] : await findByWords(read, null, words, most) };
  },
  render: ({ words, found }, view) => ({
    title: words === '' ? 'Find' : `Find ${words}`,
    section: 'find',
    content: html`<h1>Find</h1>
<form class="search" role="search" method="get" action="${view.href(view.path)}">
<label for="words">A person or a group, of any tenant <input type="search" inputmode="search" id="words" name="q" autocomplete="off" value="${words}" placeholder="Part of a name, mail or id"></label><button>Find</button></form>
${
  words === ''
    ? nothing
    : found.length === 0
      ? html`<p class="empty">Nothing is called ${words}. Write fewer or other words; a user without an account is found by object id alone.</p>`
      : html`${found.every((one) => one.fit === 'near') ? html`<p class="lead">Nothing is called ${words}. The nearest:</p>` : nothing}${listTable('Found', columns(view), found)}${csvLink(view, '/console/find.csv', { q: words })}`
}
${found.length === most ? html`<p class="lead">The first ${most}; the download has the first ${count(mostFound)}. Another word shows fewer.</p>` : nothing}`,
  }),
});

/** Says that a search has found more than its list shows. */
export const cutNote = (isCut: boolean): Html =>
  isCut ? html`<p class="lead">More fits than is shown here. Other words show fewer.</p>` : nothing;

const states: Readonly<Record<Found['state'], string>> = {
  managed: 'managed',
  manual: 'manual',
  removed: 'removed',
  set_aside: 'set aside: what Graph returned could not be read',
  out_of_scope: 'outside the scope of the settings',
  not_copied: 'not copied: the settings leave the group out',
};

const columns = (view: View<unknown>): readonly Column<Found>[] => [
  {
    title: 'Name',
    head: true,
    cell: (one) => {
      const base = `/console/t/${one.tenant_id}`;
      const name = one.display_name ?? one.entra_object_id ?? '';
      if (one.account_id !== null) return html`<a href="${view.href(`${base}/people/${one.account_id}`)}">${name}</a>`;
      // A group that the settings leave out has no page.
      return one.group_id === null || one.state === 'not_copied'
        ? name
        : html`<a href="${view.href(`${base}/groups/${one.group_id}`)}">${name}</a>`;
    },
  },
  { title: 'What', cell: (one) => (one.kind === 'group' ? 'group' : 'person') },
  { title: 'Address', cell: (one) => one.user_principal_name ?? one.mail ?? '' },
  { title: 'State', cell: (one) => states[one.state] },
  { title: 'Tenant', cell: (one) => one.tenant_name },
];
