// The preview of what a person gets: the html of each item with the values of the profile, those that are typed and not yet
// saved included, and its plain text beneath (rule 45).
import { type FieldValues, plainText, renderHtml } from '../../words/template.ts';
import type { Route } from '../access.ts';
import { type Contract, contractPreview, type Within } from '../contract-page.ts';
import { html, nothing } from '../html.ts';
import type { Problem, View } from '../page.ts';
import { type Preview, type Previewed, type PreviewPanel, previewPanelOf } from '../preview.ts';
import { isEditable, meaningOf, type Person, readPerson } from './fields.ts';
import { typedIn } from './inputs.ts';
import { textsOf } from './language.ts';
import { readHead } from './portal-page.ts';
import { tryOut } from './save.ts';

/** `html` is null for what does not fit in one preview. */
type Item = { readonly slot: string; readonly item: string; readonly html: string | null };

/** The most characters of html in one preview, of its templates and again of what is rendered. */
const mostHtml = 1_000_000;

// A tenant's own item and slot stand before those of all tenants.
const assignedItems = `
select coalesce(s.title, x.slot) as slot, coalesce(i.title, x.item) as item,
       case when sum(octet_length(i.html)) over (order by x.slot, x.rank) <= ${mostHtml} then i.html end as html
  from directory.assigned x
 cross join lateral (
   select i.title, i.html from directory.items i
    where i.slot = x.slot and i.item = x.item and (i.tenant_id = x.tenant_id or i.tenant_id is null)
    order by i.tenant_id nulls last limit 1) i
  left join lateral (
   select s.title from directory.slots s
    where s.slot = x.slot and (s.tenant_id = x.tenant_id or s.tenant_id is null)
    order by s.tenant_id nulls last limit 1) s on true
 where x.account_id = :accountId and i.html is not null
 order by x.slot, x.rank`;

/** Returns whether a person gets an item that has html. */
export async function hasPreview(contract: Contract, accountId: string): Promise<boolean> {
  const found = await contract.rows<Item>(`${assignedItems} limit 1`, { accountId });
  return found.length > 0;
}

/** Returns the part of a form that shows the preview at `path`, and again with what is typed in the form. */
export function previewPanel(view: View<unknown>, path: string, mayForm: boolean): PreviewPanel {
  const { title, lead, show } = textsOf(view).preview;
  return previewPanelOf(view, { title, show, lead: mayForm ? lead : undefined, shown: view.href(path), path });
}

/** Describes the preview of one person. `accountOf`: undefined for a 404. */
export function portalPreview(description: {
  readonly route: Route;
  readonly needs: 'people' | 'managers';
  readonly audit: string;
  readonly role: 'user' | 'manager';
  readonly accountOf: (within: Within, view: View<unknown>) => Promise<string | undefined>;
}): Preview {
  const { route, needs, audit, role, accountOf } = description;
  return contractPreview({
    ...{ route, audit },
    show: async (within, view) => {
      const head = await within((contract) => readHead(contract, view));
      if (!head?.portal[needs]) return undefined;
      const account = await accountOf(within, view);
      if (account === undefined) return undefined;
      const person = await within((contract) =>
        readPerson(contract, account, role === 'manager' ? 'manager' : undefined),
      );
      if (!person) return undefined;
      const saving = { actor: view.viewer.accountId ?? '', account, edits: editsOf(person, role, view) };
      const { profile, problems } = await tryOut(within, saving, person.fields, view);
      const found = await within((contract) => readItems(contract, account));
      return shownOf(found, profile as FieldValues, problems, view);
    },
  });
}

/** Returns what the form would save. */
function editsOf({ fields }: Person, role: 'user' | 'manager', { query }: View<Readonly<Record<string, string>>>) {
  return new Map(
    fields.flatMap((field): [string, unknown][] => {
      const typed = isEditable(field, role) ? typedIn(query, field.field) : undefined;
      return typed === undefined ? [] : [[field.field, meaningOf(field, typed)]];
    }),
  );
}

async function readItems(contract: Contract, accountId: string) {
  const items = await contract.rows<Item>(assignedItems, { accountId });
  const [tenant] = await contract.rows<{ images: string[] }>(
    `select t.preview_images as images from directory.tenants t join directory.accounts a using (tenant_id)
      where a.account_id = :accountId`,
    { accountId },
  );
  return { items, images: tenant?.images ?? [] };
}

function shownOf(
  { items, images }: { readonly items: readonly Item[]; readonly images: readonly string[] },
  values: FieldValues,
  problems: readonly Problem[],
  view: View<unknown>,
): Previewed {
  const { preview } = textsOf(view);
  const wrong = problems.map(({ message }) => html`<li>${message}</li>`);
  let room = mostHtml;
  const rendered = items.map(({ slot, item, html: template }) => {
    const name = slot === item ? slot : `${slot}: ${item}`;
    const shown = template === null ? undefined : renderHtml(template, values, room);
    room -= shown?.length ?? 0;
    return { name, html: shown };
  });
  const sections = rendered.map(
    (one) => html`<h2 class="preview-name">${one.name}</h2>
<div>${one.html === undefined ? html`<p class="preview-wrong">${preview.tooMuch}</p>` : { html: one.html }}</div>`,
  );
  const text = rendered.flatMap((one) => (one.html === undefined ? [] : plainText(one.html))).join('\n\n');
  return {
    title: preview.title,
    content: html`${wrong.length === 0 ? nothing : html`<div class="preview-wrong"><p>${preview.refused}</p><ul>${wrong}</ul></div>`}
${sections.length === 0 ? html`<p>${preview.nothing}</p>` : sections}
${text === '' ? nothing : html`<h2 class="preview-name">${preview.text}</h2><pre class="preview-text">${text}</pre>`}`,
    images,
    isRefused: problems.length > 0,
  };
}

export const previewsOfMe = (['GET /me/preview', 'POST /me/preview'] as const).map((route) =>
  portalPreview({
    ...{ route, needs: 'people', role: 'user', audit: 'me.previewed' },
    accountOf: async (_within, { viewer }) => viewer.accountId ?? undefined,
  }),
);
