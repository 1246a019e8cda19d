// The permissions of a tenant's token, and the end of the credential, on the tenant's page.
import type { StoredVersion } from '../../store/settings/versions.ts';
import type { TenantState } from '../../store/tenants/status.ts';
import { describeCredential, describePermissions, isFromBefore, type PermissionLine } from '../../words/permissions.ts';
import { ago, type Html, html, nothing } from '../html.ts';
import type { View } from '../page.ts';
import { type Column, listTable } from '../table.ts';
import { mergedOf } from './settings-forms.ts';

/** Returns the section; nothing for a disconnected tenant, whose consent does not matter any more. */
export function permissionsOf(tenant: TenantState, stored: readonly StoredVersion[], view: View<unknown>): Html {
  if (tenant.status === 'disconnected') return nothing;
  const { photos, allowRoles } = mergedOf(stored);
  const lines = describePermissions(tenant, { photos: photos?.read === true, allowed: allowRoles ?? [] });
  const since = tenant.permissions_since;
  return html`<h2 id="permissions">Permissions</h2>
${
  since === null
    ? html`<p class="empty">Not known yet: no cycle has got a token.</p>`
    : listTable('Permissions', columns, lines, {
        caption: html`From the last token that a cycle got. They are so since ${ago(since, view.now)}.${isFromBefore(tenant) ? ' The last cycle got none.' : ''}`,
      })
}
${credentialLine(tenant, view)}`;
}

const marks: Readonly<Record<PermissionLine['state'], Html>> = {
  granted: html`<span class="state">Granted</span>`,
  missing: html`<span class="state fail">Missing</span>`,
  beyond: html`<span class="state held">More than needed</span>`,
  allowed: html`<span class="state held">More than needed, and allowed</span>`,
  refused: html`<span class="state fail">Refused</span>`,
};

const columns: readonly Column<PermissionLine>[] = [
  { title: 'Permission', head: true, cell: (one) => html`<code class="whole">${one.permission}</code>` },
  { title: 'State', cell: (one) => marks[one.state] },
  { title: 'Use', cell: (one) => one.says },
];

/** The credential is the vendor's, and so is the knowledge of its end. */
function credentialLine(tenant: TenantState, view: View<unknown>): Html {
  const credential = describeCredential(tenant, view.now);
  if (credential === undefined || !view.viewer.roles.some((role) => role.startsWith('ops'))) return nothing;
  const mark = { good: ' line', soon: ' need', over: ' need bad' }[credential.state];
  return html`<div class="panel${mark}"><p><b>Credential.</b> ${credential.says}</p></div>`;
}
