// `/console/t/ID/people`: the accounts of a tenant, and the search for one.
import { z } from 'zod';
import { plural } from '../../rules/numbers.ts';
import { conditionName } from '../../rules/scope.ts';
import { type Absence, countUnnamed, findAbsences, type Unnamed } from '../../store/accounts/explain.ts';
import { findByWords, mostSifted } from '../../store/accounts/find.ts';
import { countNewWords } from '../../store/accounts/words.ts';
import {
  type ListedPerson,
  listPeople,
  type PersonFilter,
  peopleById,
  personFilters,
} from '../../store/console/people.ts';
import type { Transaction } from '../../store/database/pool.ts';
import { accountsWithPhoto } from '../../store/photos/state.ts';
import { removalText } from '../../words/removals.ts';
import { wantsReason } from '../access.ts';
import { ago, type Html, html, nothing } from '../html.ts';
import { page, type View } from '../page.ts';
import { besidePhoto } from '../picture.ts';
import { order, orderBy, position, positionOf } from '../query.ts';
import { type Column, clearSearch, csvLink, emptyList, filterLinks, keptInputs, listTable, pager } from '../table.ts';
import { cutNote } from './find.ts';
import { personPhoto } from './person-photo.ts';
import { tenantHead, tenantOf } from './tenant-frame.ts';

const shownPeople = 50;

/** A name of a field of the profile, in a query. */
export const fieldName = z
  .string()
  .max(100)
  .regex(/^[\w.-]+$/);

/** The filters and the order of the list, as its page and its download take them. */
export const personQuery = {
  show: z.enum(personFilters),
  field: fieldName,
  value: z.string().max(200),
  order: order('principal', 'mail'),
};
export const usualPeople = orderBy('principal');

export const peoplePage = page({
  route: 'GET /console/t/:tenant/people',
  query: { q: z.string().max(200), ...personQuery, after: position('text', 'id') },
  load: async (read, view) => {
    const tenant = await tenantOf(read, view);
    if (!tenant) return undefined;
    const { q, show, field, value, order = usualPeople, after } = view.query;
    const tenantId = tenant.tenant_id;
    const where = field !== undefined && value !== undefined ? { field, value: value.trim() } : undefined;
    if (q !== undefined && q.trim() !== '') {
      const isFiltered = show !== undefined || where !== undefined;
      const found = await findByWords(read, tenantId, q, isFiltered ? mostSifted : shownPeople + 1);
      const ids = found.flatMap((one) => one.account_id ?? []);
      const people = await peopleById(read, tenantId, ids, { filter: show, where });
      return {
        ...{ tenant, people, isCut: people.length > shownPeople || (isFiltered && found.length === mostSifted) },
        photos: await photosOf(read, people, view),
        unnamed: found.filter((one) => one.kind === 'user'),
        near: found.length > 0 && found.every((one) => one.fit === 'near'),
        unsorted: await countNewWords(read, tenantId),
        // Only ids are kept of people who are not here, so a name finds none of them.
        nameless: found.length === 0 ? await countUnnamed(read, tenantId) : undefined,
        absences:
          found.some((one) => one.kind === 'user') || found.length === 0
            ? (await findAbsences(read, tenantId, q.trim())).filter((one) => one.kind === 'user')
            : [],
      };
    }
    const page = { after: after?.keys ?? null, limit: shownPeople + 1 };
    const people = await listPeople(read, { tenantId, filter: show, where, order, ...page });
    const photos = await photosOf(read, people, view);
    return {
      tenant,
      people,
      isCut: false,
      photos,
      unnamed: [],
      near: false,
      unsorted: 0,
      nameless: undefined,
      absences: [],
    };
  },
  render: ({ tenant, people, isCut, photos, unnamed, near, unsorted, nameless, absences }, view) => {
    const { q, show, field, value, order, after } = view.query;
    const searched = q !== undefined;
    // Found people are in the order of how well they fit.
    const current = searched ? undefined : (order ?? usualPeople);
    const last = people.length > shownPeople && !searched ? people[shownPeople - 1] : undefined;
    const shown = people.slice(0, shownPeople);
    return {
      title: `People · ${tenant.name}`,
      section: 'tenants',
      content: html`${tenantHead(view, tenant, '/people', { title: 'People' })}
<form class="search" role="search" method="get" action="${view.href(view.path)}">${keptInputs({ show, field, value, order })}
<label for="q">Find a person <input type="search" inputmode="search" id="q" name="q" autocomplete="off" value="${q ?? ''}" placeholder="Part of a name, mail or id"></label><button>Find</button>${clearSearch(view, q)}</form>
<form class="search" method="get" action="${view.href(view.path)}">${keptInputs({ q, show, order })}
<label for="field">Field <input type="text" inputmode="text" id="field" name="field" autocapitalize="none" spellcheck="false" autocomplete="off" value="${field ?? ''}" placeholder="department"></label>
<label for="value">is <input type="text" inputmode="text" id="value" name="value" autocomplete="off" value="${value ?? ''}" placeholder="Sales"></label><button>Show</button></form>
${filterLinks(view, { name: 'show', label: 'Show', current: show }, filters(searched))}
${searched && near && shown.length > 0 ? html`<p class="lead">Nothing is called ${q}. The nearest:</p>` : nothing}
${
  shown.length > 0
    ? listTable('People', columns(view, photos), shown, {
        ordered: current && { view, current, usual: usualPeople, label: 'Order by' },
      })
    : unnamed.length > 0
      ? nothing
      : emptyList(
          view,
          searched || show !== undefined || field !== undefined,
          { q: undefined, show: undefined, field: undefined, value: undefined },
          html`There are no people yet. The first cycle brings the users that the scope of the settings takes.`,
        )
}
${cutNote(isCut)}
${unnamed.length > 0 && absences.length === 0 ? html`<div class="panel"><p>${plural(unnamed.length, 'user')} without an account, known by object id alone:</p><ul>${unnamed.map((one) => html`<li><code>${one.entra_object_id ?? ''}</code> ${one.state === 'set_aside' ? 'is set aside: what Graph returned could not be read' : 'is outside the scope of the settings'}</li>`)}</ul></div>` : nothing}
${absences.length > 0 ? html`<div class="panel"><p>Why ${q ?? ''} is not there:</p><ul>${absences.map((one) => html`<li>${absenceText(one, view.now)}</li>`)}</ul></div>` : nothing}
${nameless && absences.length === 0 ? notThere(nameless) : nothing}
${unsorted > 0 ? html`<p class="lead">${plural(unsorted, 'new account')} ${unsorted === 1 ? 'is' : 'are'} not found by words yet. Search again in a minute.</p>` : nothing}
${searched || shown.length === 0 ? nothing : csvLink(view, `${view.path}.csv`, { show, field, value, order })}
${searched ? nothing : pager(view, after, last && positionOf([last.sort_key, last.account_id]))}`,
    };
  },
});

// The list asks for no photo that its viewer would be refused.
async function photosOf(
  read: Transaction,
  people: readonly ListedPerson[],
  view: View<unknown>,
): Promise<ReadonlySet<string>> {
  const { route } = personPhoto;
  if (people.length === 0 || !view.may(route) || wantsReason(personPhoto, route, view)) return new Set();
  const accountIds = people.map((one) => one.account_id);
  return accountsWithPhoto(read, { tenantId: view.params.tenant ?? '', accountIds });
}

function notThere({ outside, set_aside: aside }: Unnamed): Html {
  const parts = [
    ...(outside > 0 ? [`${plural(outside, 'user')} outside the scope of the settings`] : []),
    ...(aside > 0 ? [`${plural(aside, 'user')} set aside`] : []),
  ];
  const kept =
    parts.length === 0
      ? 'No user is left out: a person who is not here is not in Entra ID.'
      : `There are ${parts.join(' and ')}; only their object ids are kept.`;
  return html`<p class="lead">${kept}${parts.length === 0 ? '' : ' Search for the object id in Entra ID to see why such a user is not here.'}</p>`;
}

/** Returns why a user has no account, or none that is up to date. */
function absenceText({ why, reason, since, condition }: Absence, now: Date): Html {
  switch (why) {
    case 'set_aside':
      return html`set aside${since ? html` ${ago(since, now)}` : nothing}: ${reason ?? 'what Graph returned could not be read'}`;
    case 'out_of_scope':
      return html`outside the scope of the settings by ${condition === null ? 'its properties' : html`<code>${conditionName(condition)}</code>`}: only the id is kept`;
    case 'deleted':
      return html`deleted in Entra ID, where it can be restored for 30 days`;
    case 'purged':
      return html`purged${since ? html` ${ago(since, now)}` : nothing}: nothing of the account is kept`;
    case 'erased':
      return html`erased${since ? html` ${ago(since, now)}` : nothing}, and never taken again`;
  }
}

const filters = (searched: boolean): readonly { value: PersonFilter | undefined; label: string }[] => [
  { value: undefined, label: searched ? 'All, removed ones too' : 'All that are live' },
  { value: 'managed', label: 'Managed' },
  { value: 'manual', label: 'Manual' },
  { value: 'suspended', label: 'Suspended' },
  { value: 'edited', label: 'Edited by people' },
  { value: 'removed', label: 'Removed' },
];

/** Returns the state of an account in words. */
export function personState(one: ListedPerson, now: Date): Html {
  if (one.removed_at !== null)
    return html`<span class="state off">Removed ${ago(one.removed_at, now)}</span><small>${removalText(one.removed_reason ?? '')}</small>`;
  if (!one.enabled) return html`<span class="state held">Suspended</span><small>disabled in Entra ID</small>`;
  if (one.state === 'manual') return html`<span class="state off">Manual</span><small>kept by people</small>`;
  return html`<span class="state">Managed</span>${one.edited ? html`<small>with edits of people</small>` : nothing}`;
}

const columns = (view: View<unknown>, photos: ReadonlySet<string>): readonly Column<ListedPerson>[] => [
  {
    title: 'Name',
    head: true,
    cell: (one) => {
      const path = `${view.path}/${one.account_id}`;
      const name = one.display_name ?? one.user_principal_name ?? 'without a name';
      const hasPhoto = photos.size === 0 ? undefined : photos.has(one.account_id);
      return besidePhoto(
        view,
        { hasPhoto, path: `${path}/photo`, name },
        html`<a href="${view.href(path)}">${name}</a>`,
      );
    },
  },
  { title: 'User principal name', order: 'principal', cell: (one) => one.user_principal_name ?? '' },
  {
    title: 'Mail',
    order: 'mail',
    cell: (one) => (one.mail === one.user_principal_name ? 'the same' : (one.mail ?? '')),
  },
  { title: 'State', cell: (one) => personState(one, view.now) },
];
