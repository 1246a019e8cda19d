// `/console/t/ID/assignments/people`: a person by name, and why this one gets what it gets. A publisher sees no more of it.
import { z } from 'zod';
import { listAssignments, listSlots } from '../../store/accounts/assignment-lists.ts';
import { type Candidate, explainAssignment } from '../../store/accounts/assignments.ts';
import { findByWords } from '../../store/accounts/find.ts';
import { type GroupOfAccount, groupsOfAccount } from '../../store/accounts/groups-of.ts';
import type { Transaction } from '../../store/database/pool.ts';
import { html, nothing } from '../html.ts';
import { page, type View } from '../page.ts';
import { type Column, emptyList, listTable } from '../table.ts';
import { hasWords } from './assignment-pick.ts';
import { groupLink, ruleTarget } from './assignment-words.ts';
import { personOf } from './person-head.ts';
import { tenantHead, tenantOf } from './tenant-frame.ts';
import { titlesOf } from './titles.ts';

const shownPeople = 50;
const shownGroups = 100;
const crumbs = [{ path: '/assignments', label: 'Assignments' }];

type Named = { readonly account_id: string; readonly display_name: string };

export const assignedPeoplePage = page({
  route: 'GET /console/t/:tenant/assignments/people',
  query: { q: z.string().max(200) },
  load: async (read, view) => {
    const tenant = await tenantOf(read, view);
    if (!tenant) return undefined;
    const words = view.query.q?.trim() ?? '';
    const people = words === '' ? [] : await peopleNamed(read, tenant.tenant_id, words);
    return { tenant, words, people: people.slice(0, shownPeople) };
  },
  render: ({ tenant, words, people }, view) => ({
    title: `Why · ${tenant.name}`,
    section: 'tenants',
    content: html`${tenantHead(view, tenant, '/assignments', { title: 'Why does a person get what it gets?', crumbs })}
<form class="search" role="search" method="get" action="${view.href(view.path)}">
<label for="q">Find a person by name <input type="search" inputmode="search" id="q" name="q" autocomplete="off" value="${words}"></label><button>Find</button></form>
${people.length > 0 ? listTable('People', peopleColumns(view), people) : emptyList(view, words !== '', { q: undefined }, html`Write a part of a name.`)}`,
  }),
});

// Most of what is found is found by its name, and finding four times as many takes three times as long.
const foundAtMost = [shownPeople + 10, 200];

/** Returns people by name alone: a mail address in the words finds no person. */
async function peopleNamed(read: Transaction, tenantId: string, words: string): Promise<readonly Named[]> {
  let people: readonly Named[] = [];
  for (const most of foundAtMost) {
    const found = await findByWords(read, tenantId, words, most);
    people = found.flatMap(({ account_id, display_name, state }): Named[] =>
      account_id !== null && display_name !== null && state !== 'removed' && hasWords(display_name, words)
        ? [{ account_id, display_name }]
        : [],
    );
    if (people.length >= shownPeople || found.length < most) break;
  }
  return people;
}

const peopleColumns = (view: View<unknown>): readonly Column<Named>[] => [
  {
    title: 'Name',
    head: true,
    cell: (one) => html`<a href="${view.href(`${view.path}/${one.account_id}`)}">${one.display_name}</a>`,
  },
];

export const assignedPersonPage = page({
  route: 'GET /console/t/:tenant/assignments/people/:account',
  query: {},
  asksReason: true,
  load: async (read, view) => {
    const found = await personOf(read, view);
    if (!found || found.account.removed_at !== null) return undefined;
    const { account_id: id } = found.account;
    const slots = [];
    for (const slot of new Set((await listSlots(read, found.tenant.tenant_id)).map((one) => one.slot)))
      slots.push({ slot, candidates: await explainAssignment(read, id, slot) });
    const reaching = slots.flatMap(({ candidates }) => candidates.map((one) => one.assignment_id));
    return {
      ...found,
      slots,
      rules: await listAssignments(read, found.tenant.tenant_id, { ids: reaching, counted: 0 }),
      groups: await groupsOfAccount(read, id),
      titles: await titlesOf(read, found.tenant.tenant_id),
    };
  },
  audit: ({ account }) => [{ act: 'person.assignments_viewed', accountId: account.account_id }],
  render: ({ tenant, account, slots, rules, groups, titles }, view) => {
    const rule = new Map(rules.map((one) => [one.assignment_id, one]));
    const columns = (slot: string): readonly Column<Candidate>[] => [
      {
        title: 'Item',
        head: true,
        cell: (one) =>
          html`<a href="${view.href(`/console/t/${tenant.tenant_id}/assignments/${one.assignment_id}`)}">${titles.item(slot, one.item)}</a>`,
      },
      {
        title: 'For',
        cell: (one) => {
          const of = rule.get(one.assignment_id);
          return of ? ruleTarget(of, view) : one.target;
        },
      },
      { title: 'Priority', number: true, cell: (one) => one.priority },
      {
        title: 'Outcome',
        cell: (one) =>
          html`<span class="state${one.outcome === 'wins' ? '' : ' off'}">${outcomes[one.outcome]}</span><small>${one.why}</small>`,
      },
    ];
    return {
      title: `Why · ${calledBy(account)}`,
      section: 'tenants',
      content: html`${tenantHead(view, tenant, '/assignments', { title: calledBy(account), crumbs: [...crumbs, { path: '/assignments/people', label: 'Why' }] })}
${slots.length === 0 ? html`<p class="empty">There is no slot yet.</p>` : nothing}
${slots.map(
  ({ slot, candidates }) =>
    html`<h2>${titles.slot(slot)}</h2>${candidates.length === 0 ? html`<p class="empty">No rule reaches this person.</p>` : listTable(titles.slot(slot), columns(slot), candidates)}`,
)}
<h2>Groups</h2>
${groups.length === 0 ? html`<p class="empty">In no group.</p>` : listTable('Groups', groupColumns(view), groups.slice(0, shownGroups))}
${groups.length > shownGroups ? html`<p class="lead">The first ${shownGroups} of ${groups.length} groups.</p>` : nothing}`,
    };
  },
});

// Never an address: a publisher sees names alone.
const calledBy = ({ display_name: name }: { readonly display_name: string | null }) =>
  name ?? 'A person without a name';

const outcomes: Readonly<Record<Candidate['outcome'], string>> = {
  wins: 'Given',
  beaten: 'Beaten by another',
  repeated: 'Given already',
  excepted: 'Taken away by an exception',
  exception: 'Takes the item away',
  scheduled: 'Begins later',
  ended: 'Ended',
};

const groupColumns = (view: View<unknown>): readonly Column<GroupOfAccount>[] => [
  {
    title: 'Group',
    head: true,
    cell: (one) => groupLink(view, one.group_id, one.display_name ?? 'a group without a name'),
  },
  { title: 'How', cell: (one) => (one.is_direct ? 'directly' : 'through nested groups') },
];
