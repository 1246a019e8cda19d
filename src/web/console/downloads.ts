// The lists of tenants, people, groups and their members, changes and the audit as CSV, with the filters of their pages.
import { asGuid } from '../../rules/decode.ts';
import { type ListedChange, listChanges } from '../../store/console/changes.ts';
import { groupsById, type ListedGroup, listGroups, type Member, membersOf } from '../../store/console/groups.ts';
import { type ListedPerson, listPeople } from '../../store/console/people.ts';
import { isTenant, type ListedTenant, listTenants, mostCounted } from '../../store/console/tenants.ts';
import type { AuditRow } from '../../store/feed/audit.ts';
import { type Download, download, isoOf, jsonOf } from '../download.ts';
import { auditFilters, linesThatFit } from './audit.ts';
import { changeFilters, filterOf } from './changes.ts';
import { cycleOf, ofCycle } from './cycle.ts';
import { membersQuery } from './group.ts';
import { groupQuery } from './groups.ts';
import { personQuery, usualPeople } from './people.ts';
import { tenantQuery, usualTenants } from './tenants.ts';

const peopleDownload = download({
  route: 'GET /console/t/:tenant/people.csv',
  query: personQuery,
  name: 'people',
  columns: [
    { title: 'account_id', of: (one: ListedPerson) => one.account_id },
    { title: 'display_name', of: (one) => one.display_name },
    { title: 'user_principal_name', of: (one) => one.user_principal_name },
    { title: 'mail', of: (one) => one.mail },
    { title: 'state', of: (one) => (one.removed_at === null ? one.state : 'removed') },
    { title: 'enabled', of: (one) => String(one.enabled) },
    { title: 'removed_at', of: (one) => isoOf(one.removed_at) },
    { title: 'reason', of: (one) => one.removed_reason },
  ],
  lot: async (read, { params, query }, after, limit) => {
    const tenantId = params.tenant ?? '';
    if (!(await isTenant(read, tenantId))) return undefined;
    const { show, field, value, order = usualPeople } = query;
    const where = field !== undefined && value !== undefined ? { field, value: value.trim() } : undefined;
    const from = after ? [after.sort_key, after.account_id] : null;
    return listPeople(read, { tenantId, filter: show, where, order, after: from, limit });
  },
  audit: ({ query }) => ({ act: 'people.exported', detail: { show: query.show ?? 'live' } }),
});

const groupsDownload = download({
  route: 'GET /console/t/:tenant/groups.csv',
  query: groupQuery,
  name: 'groups',
  columns: [
    { title: 'group_id', of: (one: ListedGroup) => one.group_id },
    { title: 'display_name', of: (one) => one.display_name },
    { title: 'mail', of: (one) => one.mail },
    { title: 'kind', of: (one) => one.kind },
    { title: 'direct_members', of: (one) => String(one.direct ?? '') },
    { title: 'members_with_nested', of: (one) => String(one.all) },
    { title: 'removed_at', of: (one) => isoOf(one.removed_at) },
    { title: 'reason', of: (one) => one.removed_reason },
  ],
  lot: async (read, { params, query }, after, limit) => {
    const tenantId = params.tenant ?? '';
    if (!(await isTenant(read, tenantId))) return undefined;
    const from = after ? [after.sort_key, after.group_id] : null;
    const { show: filter, order } = query;
    return listGroups(read, { tenantId, filter, descending: order?.descending, after: from, limit, countAll: true });
  },
  audit: () => ({ act: 'groups.exported' }),
});

const membersDownload = download({
  route: 'GET /console/t/:tenant/groups/:group/members.csv',
  query: membersQuery,
  name: 'members',
  columns: [
    { title: 'account_id', of: (one: Member) => one.account_id },
    { title: 'display_name', of: (one) => one.display_name },
    { title: 'user_principal_name', of: (one) => one.user_principal_name },
    { title: 'direct', of: (one) => String(one.is_direct) },
    { title: 'enabled', of: (one) => String(one.enabled) },
  ],
  lot: async (read, { params, query }, after, limit) => {
    const id = asGuid(params.group ?? '');
    if (id === undefined) return undefined;
    // The group counts its members, once a file.
    if (after === undefined && (await groupsById(read, params.tenant ?? '', [id])).length === 0) return undefined;
    return membersOf(read, id, { direct: query.members === 'direct', after: after?.account_no ?? null, limit });
  },
  audit: ({ params, query }) => ({
    act: 'members.exported',
    detail: { group: params.group, members: query.members ?? 'all' },
  }),
});

const tenantsDownload = download({
  route: 'GET /console/tenants.csv',
  query: tenantQuery,
  name: 'tenants',
  columns: [
    { title: 'tenant_id', of: (one: ListedTenant) => one.tenant_id },
    { title: 'name', of: (one) => one.name },
    { title: 'reference', of: (one) => one.external_ref },
    { title: 'status', of: (one) => one.status },
    { title: 'paused', of: (one) => String(one.paused) },
    { title: 'failing', of: (one) => String(one.failing) },
    { title: 'last_success_at', of: (one) => isoOf(one.last_success_at) },
    { title: 'next_cycle_at', of: (one) => isoOf(one.next_cycle_at) },
    { title: 'people', of: (one) => countedText(one.people) },
    { title: 'groups', of: (one) => countedText(one.groups) },
    { title: 'held_removals', of: (one) => String(one.held_removals) },
    { title: 'set_aside', of: (one) => String(one.set_aside) },
    { title: 'notice', of: (one) => one.notice },
    { title: 'error', of: (one) => one.last_error_message },
  ],
  lot: async (read, { query }, after, limit) =>
    listTenants(read, {
      ...{ filter: query.show, words: query.q?.trim(), order: query.order ?? usualTenants, limit },
      after: after ? [after.sort_key, after.tenant_id] : null,
    }),
  audit: () => ({ act: 'tenants.exported' }),
});

const countedText = (number: number) => (number > mostCounted ? `over ${mostCounted}` : String(number));

const changeColumns = [
  { title: 'change_id', of: (one: ListedChange) => one.change_id },
  { title: 'at', of: (one: ListedChange) => isoOf(one.at) },
  { title: 'kind', of: (one: ListedChange) => one.kind },
  { title: 'name', of: (one: ListedChange) => one.display_name },
  { title: 'group', of: (one: ListedChange) => one.group_name },
  { title: 'account_id', of: (one: ListedChange) => one.account_id },
  { title: 'group_id', of: (one: ListedChange) => one.group_id },
  { title: 'actor', of: (one: ListedChange) => one.actor },
  { title: 'cycle', of: (one: ListedChange) => one.cycle_id },
  { title: 'before', of: (one: ListedChange) => jsonOf(one.before) },
  { title: 'after', of: (one: ListedChange) => jsonOf(one.after) },
];

const placeOf = (one: ListedChange | undefined) => (one ? [one.number, one.change_id] : null);

const changesDownload = download({
  route: 'GET /console/t/:tenant/changes.csv',
  query: changeFilters,
  name: 'changes',
  // It has values of people, as the page has.
  asksReason: true,
  columns: changeColumns,
  lot: async (read, { params, query }, after, limit) => {
    const tenantId = params.tenant ?? '';
    if (!(await isTenant(read, tenantId))) return undefined;
    return listChanges(read, filterOf(tenantId, query), { after: placeOf(after), limit });
  },
  audit: ({ query }) => ({ act: 'changes.exported', detail: { kind: query.kind } }),
});

const cycleDownload = download({
  route: 'GET /console/t/:tenant/cycles/:cycle/changes.csv',
  query: ofCycle,
  name: 'cycle',
  asksReason: true,
  columns: changeColumns,
  lot: async (read, { params, query }, after, limit) => {
    const known = await cycleOf(read, params);
    return known && listChanges(read, { ...known.all, kind: query.kind }, { after: placeOf(after), limit });
  },
  audit: ({ params, query }) => ({ act: 'cycle.exported', detail: { cycle: params.cycle, kind: query.kind } }),
});

const auditColumns = [
  { title: 'at', of: (one: AuditRow) => isoOf(one.at) },
  { title: 'act', of: (one: AuditRow) => one.act },
  { title: 'actor', of: (one: AuditRow) => one.actor },
  { title: 'role', of: (one: AuditRow) => one.role },
  { title: 'via', of: (one: AuditRow) => one.via },
  { title: 'tenant', of: (one: AuditRow) => one.tenant_name ?? one.tenant_id },
  { title: 'account_id', of: (one: AuditRow) => one.account_id },
  { title: 'detail', of: (one: AuditRow) => jsonOf(one.detail) },
  { title: 'reference', of: (one: AuditRow) => one.reference },
];

const auditDownload = download({
  route: 'GET /console/t/:tenant/audit.csv',
  query: auditFilters,
  name: 'audit',
  columns: auditColumns,
  lot: async (read, { params, query }, after, limit) => {
    const tenantId = params.tenant ?? '';
    if (!(await isTenant(read, tenantId))) return undefined;
    return linesThatFit(read, tenantId, query, { before: after?.audit_id ?? null, limit });
  },
  audit: () => ({ act: 'audit.exported' }),
});

const wholeAuditDownload = download({
  route: 'GET /console/audit.csv',
  query: auditFilters,
  name: 'audit',
  columns: auditColumns,
  lot: (read, { query }, after, limit) => linesThatFit(read, null, query, { before: after?.audit_id ?? null, limit }),
  audit: () => ({ act: 'audit.exported' }),
});

export const consoleDownloads: readonly Download[] = [
  tenantsDownload,
  peopleDownload,
  groupsDownload,
  membersDownload,
  changesDownload,
  cycleDownload,
  auditDownload,
  wholeAuditDownload,
];
