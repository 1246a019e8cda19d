// The lists of held removals, cycles, assignments, invitations and webhooks as CSV, and the results of a search. Cycles,
// assignments, webhooks and results are read at once.

import { type ListedAssignment, listAssignments } from '../../store/accounts/assignment-lists.ts';
import { type Found, findByWords } from '../../store/accounts/find.ts';
import { heldOf, type ListedHeld } from '../../store/commit/removal-lists.ts';
import { type ListedInvitation, listInvitations } from '../../store/console/invitations.ts';
import { isTenant } from '../../store/console/tenants.ts';
import { type CycleRow, readCycles } from '../../store/tenants/status.ts';
import { type ListedWebhook, listWebhooks } from '../../store/webhooks/webhooks.ts';
import { type Download, download, isoOf, jsonOf, mostRows } from '../download.ts';
import { findQuery, mostFound } from './find.ts';
import { shownAddress } from './webhooks.ts';

const removalsDownload = download({
  route: 'GET /console/t/:tenant/removals.csv',
  query: {},
  name: 'removals',
  columns: [
    { title: 'list', of: (one: ListedHeld) => one.list_id },
    { title: 'name', of: (one) => one.display_name },
    { title: 'user_principal_name', of: (one) => one.user_principal_name },
    { title: 'group', of: (one) => one.group_name },
    { title: 'account_id', of: (one) => one.account_id },
    { title: 'group_id', of: (one) => one.group_id },
    { title: 'member_group_id', of: (one) => one.member_group_id },
    { title: 'reason', of: (one) => one.reason },
    { title: 'held_since', of: (one) => isoOf(one.held_since) },
    { title: 'missed', of: (one) => String(one.missed) },
  ],
  lot: async (read, { params }, after, limit) => {
    const tenantId = params.tenant ?? '';
    return (await isTenant(read, tenantId)) ? heldOf(read, tenantId, after, limit) : undefined;
  },
  audit: () => ({ act: 'removals.exported' }),
});

const cyclesDownload = download({
  route: 'GET /console/t/:tenant/cycles.csv',
  query: {},
  name: 'cycles',
  columns: [
    { title: 'cycle', of: (one: CycleRow) => one.cycle_id },
    { title: 'kind', of: (one) => one.kind },
    { title: 'started_at', of: (one) => isoOf(one.started_at) },
    { title: 'finished_at', of: (one) => isoOf(one.finished_at) },
    { title: 'outcome', of: (one) => one.outcome },
    { title: 'streams', of: (one) => jsonOf(one.streams) },
    { title: 'error', of: (one) => one.error_message },
  ],
  lot: async (read, { params }, after) => {
    const tenantId = params.tenant ?? '';
    if (!(await isTenant(read, tenantId))) return undefined;
    return after === undefined ? readCycles(read, tenantId, mostRows) : [];
  },
  audit: () => ({ act: 'cycles.exported' }),
});

const assignmentsDownload = download({
  route: 'GET /console/t/:tenant/assignments.csv',
  query: {},
  name: 'assignments',
  columns: [
    { title: 'assignment_id', of: (one: ListedAssignment) => one.assignment_id },
    { title: 'slot', of: (one) => one.slot },
    { title: 'item', of: (one) => one.item },
    { title: 'target', of: (one) => one.target },
    { title: 'group', of: (one) => one.group_name },
    { title: 'person', of: (one) => one.account_name },
    { title: 'field', of: (one) => one.field },
    { title: 'values', of: (one) => jsonOf(one.field_values) },
    { title: 'except', of: (one) => String(one.except) },
    { title: 'priority', of: (one) => String(one.priority) },
    { title: 'starts_at', of: (one) => isoOf(one.starts_at) },
    { title: 'ends_at', of: (one) => isoOf(one.ends_at) },
    { title: 'state', of: (one) => one.state },
    { title: 'people', of: (one) => String(one.accounts) },
    { title: 'created_by', of: (one) => one.created_by },
  ],
  lot: async (read, { params }, after) => {
    const tenantId = params.tenant ?? '';
    if (!(await isTenant(read, tenantId))) return undefined;
    return after === undefined ? listAssignments(read, tenantId) : [];
  },
  audit: () => ({ act: 'assignments.exported' }),
});

const invitationsDownload = download({
  route: 'GET /console/invitations.csv',
  query: {},
  name: 'invitations',
  columns: [
    { title: 'invitation_id', of: (one: ListedInvitation) => one.invitation_id },
    { title: 'customer', of: (one) => one.external_ref },
    { title: 'name', of: (one) => one.name },
    { title: 'tenant_id', of: (one) => one.tenant_id },
    { title: 'tenant', of: (one) => one.tenant_name },
    { title: 'tenant_status', of: (one) => one.tenant_status },
    { title: 'made_by', of: (one) => one.actor },
    { title: 'made_at', of: (one) => isoOf(one.created_at) },
    { title: 'expires_at', of: (one) => isoOf(one.expires_at) },
  ],
  lot: (read, _, after, limit) =>
    listInvitations(read, { after: after ? [after.sort_key, after.invitation_id] : null, limit }),
  audit: () => ({ act: 'invitations.exported' }),
});

const webhooksDownload = download({
  route: 'GET /console/webhooks.csv',
  query: {},
  name: 'webhooks',
  columns: [
    { title: 'webhook_id', of: (one: ListedWebhook) => one.webhook_id },
    // As on the page: the rest of an address may be a secret.
    { title: 'address', of: shownAddress },
    { title: 'form', of: (one) => one.form },
    { title: 'kinds', of: (one) => one.kinds.join(' ') },
    { title: 'tenant', of: (one) => one.tenant_name },
    { title: 'state', of: (one) => one.state },
    { title: 'paused_because', of: (one) => one.paused_because },
    { title: 'failures', of: (one) => String(one.failures) },
    { title: 'last_status', of: (one) => (one.last_status === null ? null : String(one.last_status)) },
    { title: 'last_problem', of: (one) => one.last_problem },
    { title: 'taken_at', of: (one) => isoOf(one.taken_at) },
  ],
  lot: async (read, _, after) => (after === undefined ? listWebhooks(read) : []),
  audit: () => ({ act: 'webhooks.exported' }),
});

const findDownload = download({
  route: 'GET /console/find.csv',
  query: findQuery,
  name: 'found',
  columns: [
    { title: 'kind', of: (one: Found) => (one.kind === 'group' ? 'group' : 'person') },
    { title: 'display_name', of: (one) => one.display_name },
    { title: 'user_principal_name', of: (one) => one.user_principal_name },
    { title: 'mail', of: (one) => one.mail },
    { title: 'state', of: (one) => one.state },
    { title: 'fit', of: (one) => one.fit },
    { title: 'tenant', of: (one) => one.tenant_name },
    { title: 'tenant_id', of: (one) => one.tenant_id },
    { title: 'account_id', of: (one) => one.account_id },
    { title: 'group_id', of: (one) => one.group_id },
    { title: 'entra_object_id', of: (one) => one.entra_object_id },
  ],
  lot: async (read, { query }, after) => {
    const words = query.q?.trim() ?? '';
    return after !== undefined || words === '' ? [] : findByWords(read, null, words, mostFound);
  },
  // The words may be a person's name, and the audit keeps none.
  audit: () => ({ act: 'found.exported' }),
});

export const shortDownloads: readonly Download[] = [
  removalsDownload,
  cyclesDownload,
  assignmentsDownload,
  invitationsDownload,
  webhooksDownload,
  findDownload,
];
