// The lists of tenants, people, groups, changes and the audit as CSV, with the filters of their pages.
import { type ListedChange, listChanges } from '../../store/console/changes.ts';
import { type ListedGroup, listGroups } from '../../store/console/groups.ts';
import { type ListedPerson, listPeople } from '../../store/console/people.ts';
import { isTenant, type ListedTenant, listTenants, mostCounted } from '../../store/console/tenants.ts';
import type { AuditRow } from '../../store/feed/audit.ts';
import { type Download, download, isoOf, jsonOf } from '../download.ts';
import { auditFilters, linesThatFit } from './audit.ts';
import { changeFilters, filterOf } from './changes.ts';
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

const changesDownload = download({
  route: 'GET /console/t/:tenant/changes.csv',
  query: changeFilters,
  name: 'changes',
  // It has values of people, as the page has.
  asksReason: true,
  columns: [
    { title: 'change_id', of: (one: ListedChange) => one.change_id },
    { title: 'at', of: (one) => isoOf(one.at) },
    { title: 'kind', of: (one) => one.kind },
    { title: 'name', of: (one) => one.display_name },
    { title: 'group', of: (one) => one.group_name },
    { title: 'account_id', of: (one) => one.account_id },
    { title: 'group_id', of: (one) => one.group_id },
    { title: 'actor', of: (one) => one.actor },
    { title: 'cycle', of: (one) => one.cycle_id },
    { title: 'before', of: (one) => jsonOf(one.before) },
    { title: 'after', of: (one) => jsonOf(one.after) },
  ],
  lot: async (read, { params, query }, after, limit) => {
    const tenantId = params.tenant ?? '';
    if (!(await isTenant(read, tenantId))) return undefined;
    return listChanges(read, filterOf(tenantId, query), {
      after: after ? [after.number, after.change_id] : null,
      limit,
    });
  },
  audit: ({ query }) => ({ act: 'changes.exported', detail: { kind: query.kind } }),
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
  changesDownload,
  auditDownload,
  wholeAuditDownload,
];
