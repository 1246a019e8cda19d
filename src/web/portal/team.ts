// `/team`: the people that the viewer manages.
import { z } from 'zod';
import { html, nothing } from '../html.ts';
import type { View } from '../page.ts';
import { besidePhoto } from '../picture.ts';
import { position, positionOf } from '../query.ts';
import { type Column, listTable } from '../table.ts';
import { fill, textsOf } from './language.ts';
import { portalPage } from './portal-page.ts';

const shownPeople = 50;

type Managed = {
  readonly accountId: string;
  readonly name: string | null;
  readonly mail: string | null;
  readonly via: 'line' | 'group';
  readonly sortName: string;
  readonly hasPhoto: boolean;
};

export const teamPage = portalPage({
  route: 'GET /team',
  section: 'team',
  needs: 'managers',
  query: { q: z.string().max(200), after: position('text', 'id') },
  load: (contract, { viewer, query: { q, after } }) =>
    contract.rows<Managed>(
      `select m.account_id as "accountId", m.display_name as name, m.mail, m.via, m.sort_name as "sortName",
              exists (select from directory.photos p where p.account_id = m.account_id) as "hasPhoto"
         from directory.managed(:manager, :words, :name, :id, :most) m`,
      {
        ...{ manager: viewer.accountId, words: q ?? null, most: shownPeople + 1 },
        ...{ name: after?.keys[0] ?? null, id: after?.keys[1] ?? null },
      },
    ),
  render: (people, view, head) => {
    const { team } = textsOf(view);
    const { q, after } = view.query;
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
    ? html`<form class="search" role="search" method="get" action="${view.href('/team')}"><label for="q">${team.find} <input type="search" id="q" name="q" value="${q ?? ''}" maxlength="200" autocomplete="off"></label><button>${team.search}</button></form>`
    : nothing
}
${
  shown.length > 0
    ? listTable(team.title, columns(view, shown), shown)
    : html`<p class="empty">${searched ? html`${fill(team.notFound, { words: q })} <a href="${view.href('/team')}">${team.all}</a>` : team.nobody}</p>`
}
${
  after === undefined && last === undefined
    ? nothing
    : html`<p class="pager">${after === undefined ? html`<span></span>` : html`<a href="${view.here({ after: undefined })}">${team.first}</a>`}${last === undefined ? nothing : html`<a href="${view.here({ after: positionOf([last.sortName, last.accountId]) })}" rel="next">${team.next}</a>`}</p>`
}`,
    };
  },
});

const columns = (view: View<unknown>, shown: readonly Managed[]): readonly Column<Managed>[] => {
  const { team } = textsOf(view);
  const somePhotos = shown.some((one) => one.hasPhoto);
  return [
    {
      title: team.name,
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
    { title: team.mail, cell: (one) => one.mail ?? '' },
    { title: team.how, cell: (one) => team.via[one.via] },
  ];
};
