// `/console/t/ID/assignments/preview`: the template of an item, stored or as it is typed, with the name of each field for its value. No
// person's values are in it, since who makes items may see people by name alone.
import { loadDefaults } from '../../settings/settings.ts';
import { findItem } from '../../store/accounts/assignment-lists.ts';
import { fieldsOf } from '../../store/console/settings.ts';
import { isTenant } from '../../store/console/tenants.ts';
import { readWithin } from '../../store/database/reading.ts';
import { storedSettings } from '../../store/settings/versions.ts';
import { plainText, renderHtml } from '../../words/template.ts';
import type { Route } from '../access.ts';
import { type Html, html, nothing } from '../html.ts';
import { type Asked, statementMs, type View } from '../page.ts';
import { type Preview, type PreviewPanel, previewPanelOf } from '../preview.ts';

const textOf = (given: Asked['given'], name: string) => {
  const value = given[name];
  return typeof value === 'string' && !value.includes('\0') ? value : '';
};

function itemPreview(route: Route): Preview {
  return {
    kind: 'preview',
    route,
    audit: 'item.previewed',
    show: ({ database, given, params }) =>
      readWithin(database, statementMs, async (read) => {
        const { tenant = '' } = params;
        if (!(await isTenant(read, tenant))) return undefined;
        const [slot, item] = [textOf(given, 'slot'), textOf(given, 'item')];
        const stored = route.startsWith('GET ') ? (await findItem(read, tenant, slot, item))?.html : undefined;
        const template = stored ?? textOf(given, 'html');
        const settings = await storedSettings(read, tenant);
        const images = settings.map(({ document }) => document.previewImages).findLast((one) => one !== undefined);
        const values = (await fieldsOf(read, tenant)).map(({ field }) => [field, `‹${field}›`]);
        const rendered = renderHtml(template, Object.fromEntries(values));
        return {
          shown: {
            title: 'Preview',
            content: shownOf(template, rendered),
            images: images ?? loadDefaults().previewImages ?? [],
            isRefused: false,
          },
          audited: { detail: { slot, item } },
        };
      }),
  };
}

function shownOf(template: string, rendered: string | undefined): Html {
  if (template.trim() === '') return html`<p>The item has no template yet.</p>`;
  if (rendered === undefined) return html`<p class="preview-wrong">Its elements are nested too deeply to be shown.</p>`;
  const text = plainText(rendered);
  return html`<div>${{ html: rendered }}</div>
${text === '' ? nothing : html`<h2 class="preview-name">As plain text</h2><pre class="preview-text">${text}</pre>`}`;
}

/** Returns the part of an item's form that shows its template, and again with what is typed. */
export function itemPreviewPanel(view: View<unknown>, { slot, item }: { slot: string; item: string }): PreviewPanel {
  const path = `/console/t/${view.params.tenant}/assignments/preview`;
  return previewPanelOf(view, {
    ...{ title: 'Preview', show: 'Show as typed', lead: 'With the name of each field for its value.' },
    ...{ shown: view.href(path, { slot, item }), path, more: 'panel' },
  });
}

export const itemPreviews = [
  itemPreview('GET /console/t/:tenant/assignments/preview'),
  itemPreview('POST /console/t/:tenant/assignments/preview'),
];
