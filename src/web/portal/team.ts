// `/team`: the people that the viewer manages.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type Contract, contractDownload, contractNews } from '../contract-page.ts';
import { html, nothing } from '../html.ts';
import { newsLine } from '../news.ts';
import type { View } from '../page.ts';
import { besidePhoto } from '../picture.ts';
import { type Order, order, orderBy, position, positionOf } from '../query.ts';
import { type Column, csvLink, keptInputs, listTable } from '../table.ts';
import { fill, textsOf } from './language.ts';
import { portalPage, readHead } from './portal-page.ts';

const shownPeople = 50;

type Managed = {
  readonly accountId: string;
  readonly name: string | null;
  readonly mail: string | null;
  readonly via: 'line' | 'group';
  readonly sortName: string;
  readonly hasPhoto: boolean;
};

/** The words and the order of the list, as its page and its download take them. */
const teamQuery = { q: z.string().max(200), order: order('name', 'mail') };
const usual = orderBy<'name' | 'mail'>('name');
type TeamView = View<{ readonly q: string | undefined; readonly order: Order<'name' | 'mail'> | undefined }>;

/** Returns at most `limit` people in the order of the page, after the one with this sort name and id. */
function readTeam(
  contract: Contract,
  { viewer, query }: TeamView,
  [name = null, id = null]: readonly (string | number | null)[],
  limit: number,
): Promise<Managed[]> {
  const { by, descending } = query.order ?? usual;
  return contract.rows<Managed>(
    `select m.account_id as "accountId", m.display_name as name, m.mail, m.via, m.sort_name as "sortName",
            exists (select from directory.photos p where p.account_id = m.account_id) as "hasPhoto"
       from directory.managed(:manager, :words, :name, :id, :limit, :by, :descending) m`,
    { manager: viewer.accountId, words: query.q ?? null, name, id, limit, by, descending },
  );
}

const listQuery = { ...teamQuery, after: position('text', 'id') };

// The feed tells neither a new manager nor one who left, so the page is compared with what it would show now.
const printOf = (one: Managed) =>
  createHash('sha256')
    .update(JSON.stringify([one.accountId, one.name, one.mail, one.via, one.hasPhoto]))
    .digest('base64url')
    .slice(0, 8);

/** The rows of a page without what they say. An empty list has one too, since an address leaves empty values out. */
const printsOf = (shown: readonly Managed[]) => (shown.length === 0 ? '-' : shown.map(printOf).join('.'));

export const teamNews = contractNews({
  route: 'GET /team/news',
  query: {
    ...listQuery,
    seen: z
      .string()
      .max(500)
      .regex(/^(-|[\w-]{8}(\.[\w-]{8})*)$/),
  },
  count: async (contract, view) => {
    const { seen, after } = view.query;
    const head = await readHead(contract, view);
    if (!head?.portal.managers || seen === undefined) return undefined;
    const was = seen === '-' ? [] : seen.split('.');
    const is = (await readTeam(contract, view, after?.keys ?? [], shownPeople)).map(printOf);
    // A row that changed is one that went and one that came.
    const went = was.filter((one) => !is.includes(one)).length;
    return Math.max(went, is.filter((one) => !was.includes(one)).length);
  },
});

export const teamPage = portalPage({
  route: 'GET /team',
  section: 'team',
  needs: 'managers',
  query: listQuery,
  load: (contract, view) => readTeam(contract, view, view.query.after?.keys ?? [], shownPeople + 1),
  render: (people, view, head) => {
    const { team } = textsOf(view);
    const { q, order, after } = view.query;
    const shown = people.slice(0, shownPeople);
    const last = people.length > shownPeople ? shown.at(-1) : undefined;
    const searched = q !== undefined;
    const isLong = searched || after !== undefined || last !== undefined;
    return {
      title: `${team.title} · ${head.tenant}`,
      content: html`<h1>${team.title}</h1>
<p class="lead">${team.lead}</p>
${
  isLong
    ? html`<form class="search" role="search" method="get" action="${view.href('/team')}">${keptInputs({ order })}<label for="q">${team.find} <input type="search" inputmode="search" id="q" name="q" value="${q ?? ''}" maxlength="200" autocomplete="off"></label><button>${team.search}</button></form>`
    : nothing
}
${
  shown.length > 0
    ? listTable(team.title, columns(view, shown), shown, {
        ordered: { view, current: order ?? usual, usual, label: team.order },
      })
    : html`<p class="empty">${searched ? html`${fill(team.notFound, { words: q })} <a href="${view.href('/team')}">${team.all}</a>` : after ? team.noMore : team.nobody}</p>`
}
${shown.length > 0 ? csvLink(view, '/team.csv', { q, order }, team.csv) : nothing}
${
  after === undefined && last === undefined
    ? nothing
    : html`<p class="pager">${after === undefined ? html`<span></span>` : html`<a href="${view.here({ after: undefined })}">${team.first}</a>`}${last === undefined ? nothing : html`<a href="${view.here({ after: positionOf([last.sortName, last.accountId]) })}" rel="next">${team.next}</a>`}</p>`
}
${newsLine(view, view.href('/team/news', { q, order, after: after && String(after), seen: printsOf(shown) }), team.news)}`,
    };
  },
});

export const teamDownload = contractDownload({
  route: 'GET /team.csv',
  query: teamQuery,
  name: 'team',
  columns: [
    { title: 'display_name', of: (one: Managed) => one.name },
    { title: 'mail', of: (one) => one.mail },
    { title: 'via', of: (one) => one.via },
  ],
  lot: async (contract, view, after, limit) => {
    const head = await readHead(contract, view);
    return head?.portal.managers
      ? readTeam(contract, view, after ? [after.sortName, after.accountId] : [], limit)
      : undefined;
  },
  audit: () => ({ act: 'team.exported' }),
});

const columns = (view: View<unknown>, shown: readonly Managed[]): readonly Column<Managed>[] => {
  const { team } = textsOf(view);
  const somePhotos = shown.some((one) => one.hasPhoto);
  return [
    {
      title: team.name,
      order: 'name',
      head: true,
      cell: (one) => {
        const path = `/team/${one.accountId}`;
        const name = one.name ?? one.mail ?? team.nameless;
        const hasPhoto = somePhotos ? one.hasPhoto : undefined;
        return besidePhoto(
          view,
          { hasPhoto, path: `${path}/photo`, name },
          html`<a href="${view.href(path)}">${name}</a>`,
        );
      },
    },
    { title: team.mail, order: 'mail', cell: (one) => one.mail ?? '' },
    { title: team.how, cell: (one) => team.via[one.via] },
  ];
};
