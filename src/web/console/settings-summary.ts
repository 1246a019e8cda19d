// The settings in force on a tenant's page: those that are not as shipped, each with the layer that says so.
import { loadDefaults } from '../../settings/settings.ts';
import type { StoredVersion } from '../../store/settings/versions.ts';
import { describeOthers, type SettingInForce, settingsBeyondShipped } from '../../words/settings-beyond-shipped.ts';
import { type Html, html, nothing } from '../html.ts';
import type { View } from '../page.ts';
import { type Column, listTable } from '../table.ts';
import type { FieldLabels } from './field-labels.ts';

const shownSettings = 30;

/** Returns the section, with the way to the page that shows and changes all settings. */
export function settingsSummary(view: View<unknown>, stored: readonly StoredVersion[], labels: FieldLabels): Html {
  const all = settingsBeyondShipped(loadDefaults(), stored, labels);
  const shown = all.slice(0, shownSettings);
  const table = shown.length === 0 ? nothing : listTable('Settings in force', columns, shown);
  const settings = html`<a href="${view.href(`/console/t/${view.params.tenant}/settings`)}">All settings</a>`;
  return html`<h2 id="settings">Settings in force</h2>
${table}<p class="${shown.length === 0 ? 'empty' : 'crumb'}">${describeOthers(shown, all)} ${settings}</p>`;
}

const columns: readonly Column<SettingInForce>[] = [
  { title: 'Setting', head: true, cell: (one) => html`${one.label}<small>${one.key}</small>` },
  { title: 'Value', cell: (one) => one.value },
  { title: 'Says so', cell: (one) => one.says },
];
