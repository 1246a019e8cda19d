// The settings that changed since a page was loaded, each with both values, for a form that meets a newer version.
import { isDeepStrictEqual } from 'node:util';
import { count } from '../../rules/numbers.ts';
import type { Database } from '../../store/database/pool.ts';
import { storedSettings } from '../../store/settings/versions.ts';
import { type Html, html, nothing } from '../html.ts';
import { values } from './change-words.ts';
import { mergedOf } from './settings-forms.ts';

const shownSettings = 20;

/** Returns the settings of a tenant that differ from those of this version, as a list: was, is. */
export async function settingsSince(database: Database, tenantId: string, version: number): Promise<Html> {
  const was = leavesOf(mergedOf(await storedSettings(database, tenantId, version)));
  const is = leavesOf(mergedOf(await storedSettings(database, tenantId)));
  const names = [...new Set([...was.keys(), ...is.keys()])]
    .filter((name) => !isDeepStrictEqual(was.get(name), is.get(name)))
    .sort();
  if (names.length === 0) return nothing;
  const lines = names
    .slice(0, shownSettings)
    .map((name) => html`<li>${name}: ${values(was.get(name), is.get(name))}</li>`);
  const more = names.length - shownSettings;
  return html`<div class="panel need" role="group" aria-label="Changed since"><p>Changed since this page was loaded:</p>
<ul>${lines}${more > 0 ? html`<li>and ${count(more)} more</li>` : nothing}</ul></div>`;
}

function leavesOf(value: unknown, path = ''): Map<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return new Map([[path, value]]);
  const below = Object.entries(value).flatMap(([name, one]) => [
    ...leavesOf(one, path === '' ? name : `${path}.${name}`),
  ]);
  return new Map(below);
}
