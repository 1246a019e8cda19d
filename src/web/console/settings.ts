// `/console/t/ID/settings`: the settings in force, and which layer says so.
import { fieldsOf } from '../../store/console/settings.ts';
import { settingsHistory } from '../../store/settings/history.ts';
import { type StoredVersion, storedSettings } from '../../store/settings/versions.ts';
import { ago, type Html, html, nothing } from '../html.ts';
import { page, type View } from '../page.ts';
import { type Column, listTable } from '../table.ts';
import { byWhom } from './change-words.ts';
import { fieldLabels } from './field-labels.ts';
import { fieldsForm, fileForm, headingOf, mergedOf, portalForm, rolesForm, scopeForm } from './settings-forms.ts';
import { tenantHead, tenantOf } from './tenant-frame.ts';

const shownVersions = 20;

export const settingsPage = page({
  route: 'GET /console/t/:tenant/settings',
  query: {},
  load: async (read, view) => {
    const tenant = await tenantOf(read, view);
    if (!tenant) return undefined;
    return {
      tenant,
      fields: await fieldsOf(read, tenant.tenant_id),
      stored: await storedSettings(read, tenant.tenant_id),
      labels: await fieldLabels(read, tenant.tenant_id),
      versions: (await settingsHistory(read, tenant.tenant_id)).slice(0, shownVersions),
    };
  },
  render: ({ tenant, fields, stored, labels, versions }, view) => {
    const inForce = {
      fields,
      labels,
      merged: mergedOf(stored),
      own: stored.find((one) => one.tenant_id !== null)?.document ?? {},
      version: Math.max(0, ...stored.map((one) => one.version)),
    };
    return {
      title: `Settings · ${tenant.name}`,
      section: 'tenants',
      content: html`${tenantHead(view, tenant, '/settings', { title: 'Settings' })}
<p class="lead">Source of truth: ${tenant.source_of_truth}. A change says first who changes and who leaves, and is then done as shown.</p>
${view.may('GET /console/t/:tenant/contacts') ? html`<p><a href="${view.href(`/console/t/${tenant.tenant_id}/contacts`)}">Contacts</a>: the people who are told by mail of lost consent and of removals that wait.</p>` : nothing}
<h2 id="${headingOf('fields')}">Fields of the profile</h2>
${fieldsForm(view, inForce)}
${scopeForm(view, inForce)}
${portalForm(view, inForce)}
${rolesForm(view, inForce)}
${fileForm(view, inForce)}
<h2>Everything else</h2>
${listTable('Settings', settingColumns, linesOf(stored))}
<h2>Versions</h2>
${versions.length === 0 ? nothing : listTable('Versions', versionColumns(view), versions)}`,
    };
  },
});

type Line = { readonly name: string; readonly value: unknown; readonly own: boolean };

/** Returns what is in force beside the fields: a tenant's list or value counts whole, a group of settings key by key. */
function linesOf(stored: readonly StoredVersion[]): Line[] {
  const lines = new Map<string, Line>();
  const isGroup = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  for (const { document, tenant_id: of } of stored) {
    for (const [key, value] of Object.entries(document)) {
      if (key === 'fields') continue;
      const parts = isGroup(value)
        ? Object.entries(value).map(([name, one]) => [`${key}.${name}`, one])
        : [[key, value]];
      for (const [name, one] of parts) lines.set(String(name), { name: String(name), value: one, own: of !== null });
    }
  }
  return [...lines.values()].sort((a, b) => a.name.localeCompare(b.name));
}

/** Returns a value of the settings: a list of texts one after another, the rest as JSON. */
function written(value: unknown): Html | string {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value) || value.some((one) => typeof one !== 'string')) return JSON.stringify(value);
  return value.length === 0 ? html`<small>none</small>` : value.join(', ');
}

const settingColumns: readonly Column<Line>[] = [
  { title: 'Setting', head: true, cell: (one) => one.name },
  { title: 'Value', cell: (one) => written(one.value) },
  { title: 'Says so', cell: (one) => (one.own ? 'this tenant' : 'the installation') },
];

const versionColumns = (view: View<unknown>): readonly Column<StoredVersion>[] => [
  { title: 'Version', head: true, cell: (one) => one.version },
  { title: 'Of', cell: (one) => (one.tenant_id === null ? 'the installation' : 'this tenant') },
  { title: 'Stored', cell: (one) => ago(one.applied_at, view.now) },
  { title: 'By', cell: (one) => byWhom(view, one.actor) },
];
