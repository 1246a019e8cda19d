// Lists as every page of console and portal shows them: tables that are cards on a phone, filters, pages, empty states.
import { type Html, html, nothing } from './html.ts';
import type { Query } from './page.ts';
import type { Order } from './query.ts';

/** A column of a list. The one that is `head` names the row. */
export type Column<Row> = {
  readonly title: string;
  readonly cell: (row: Row) => Html | string | number;
  readonly head?: true;
  /** The name of the order by this column, with a minus sign where the last row is the first that one looks for. */
  readonly order?: string;
  /** Aligned to the right. */
  readonly number?: true;
  /** A count of which 0 says nothing: a card on a phone leaves it out, as it does every empty cell. */
  readonly count?: true;
};

/** How a list is ordered: the heads of columns with an order lead to it, and the head of the current one to its opposite. */
export type Ordered = {
  readonly view: Links;
  readonly current: Order;
  /** The order without a value in the query. */
  readonly usual: Order;
  /** Stands before the heads on a phone, in the language of the page. */
  readonly label: string;
};

/**
 * Returns rows as a table. Roles are written out: a table whose rows are blocks on a phone loses its own. It scrolls by
 * itself where it is too wide, so the keyboard has to reach it.
 */
export function listTable<Row>(
  name: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  { caption = nothing, ordered }: { readonly caption?: Html; readonly ordered?: Ordered | undefined } = {},
): Html {
  const heads = columns.map((column) => headOf(column, ordered));
  const lines = rows.map(
    (row) =>
      html`<tr role="row">${columns.map(({ title, cell, head, number, count }) => {
        const shown = cell(row);
        return head
          ? html`<th scope="row" role="rowheader">${breakable(shown)}</th>`
          : html`<td role="cell" data-label="${title}"${classOf(number, isBlank(shown, count))}>${breakable(shown)}</td>`;
      })}</tr>
`,
  );
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${name}"><table class="cards${ordered ? ' ordered' : ''}" role="table">${
    caption === nothing ? nothing : html`<caption>${caption}</caption>`
  }
<thead role="rowgroup"><tr role="row"${ordered ? html` data-label="${ordered.label}"` : nothing}>${heads}</tr></thead><tbody role="rowgroup">
${lines}</tbody></table></div>`;
}

function headOf<Row>({ title, number, order }: Column<Row>, ordered: Ordered | undefined): Html {
  if (order === undefined || ordered === undefined)
    return html`<th scope="col" role="columnheader"${classOf(number)}>${title}</th>`;
  const { view, current, usual } = ordered;
  const by = order.replace(/^-/, '');
  const isCurrent = current.by === by;
  const next = isCurrent ? `${current.descending ? '' : '-'}${by}` : order;
  const sort = isCurrent ? html` aria-sort="${current.descending ? 'descending' : 'ascending'}"` : nothing;
  const link = view.here({ order: next === String(usual) ? undefined : next, after: undefined });
  return html`<th scope="col" role="columnheader"${classOf(number)}${sort}><a href="${link}">${title}</a></th>`;
}

/** Returns values of the query as hidden inputs of a form, which a search would take out of the address otherwise. */
export const keptInputs = (values: Query): Html =>
  html`${Object.entries(values).map(([name, value]) =>
    value === undefined ? nothing : html`<input type="hidden" name="${name}" value="${String(value)}">`,
  )}`;

/** Returns the way from what a search has found back to the list, with its filters; nothing without a search. */
export const clearSearch = (view: Links, q: string | undefined): Html =>
  q === undefined ? nothing : html`<a class="button" href="${view.here({ q: undefined, after: undefined })}">Clear</a>`;

/** An address that has no room breaks behind its @, and not within a word. */
function breakable(cell: Html | string | number): Html | string | number {
  const [, name, host] = typeof cell === 'string' ? (/^([^\s@]+@)([^\s@]+)$/.exec(cell) ?? []) : [];
  return name === undefined || host === undefined ? cell : html`${name}<wbr>${host}`;
}

const isBlank = (cell: Html | string | number, count: true | undefined) =>
  (typeof cell === 'object' ? cell.html : cell) === '' || (count === true && String(cell) === '0');

function classOf(number: true | undefined, blank = false): Html {
  const names = [number && 'n', blank && 'blank'].filter(Boolean).join(' ');
  return names === '' ? nothing : html` class="${names}"`;
}

type Links = { here(changes?: Query): string };

/** Returns links that set one value of the query; the current one is marked. */
export function filterLinks(
  view: Links,
  { name, label, current }: { name: string; label: string; current: string | undefined },
  choices: readonly { readonly value: string | undefined; readonly label: string }[],
): Html {
  const links = choices.map(
    (one) =>
      html`<a href="${view.here({ [name]: one.value, after: undefined })}"${
        one.value === current ? html` aria-current="true"` : nothing
      }>${one.label}</a>`,
  );
  return html`<div class="filters" role="group" aria-label="${label}">${links}</div>`;
}

/** Returns the way to the first and the next rows. `next`: the position of the last row, where there are more. */
export function pager(view: Links, after: unknown, next: string | undefined): Html {
  if (after === undefined && next === undefined) return nothing;
  const first =
    after === undefined ? html`<span></span>` : html`<a href="${view.here({ after: undefined })}">First page</a>`;
  return html`<p class="pager">${first}${next === undefined ? nothing : html`<a href="${view.here({ after: next })}" rel="next">Next page</a>`}</p>`;
}

/** Returns what stands where a list is empty: the next step, or with filters the way to all. */
export function emptyList(view: Links, filtered: boolean, clear: Query, nextStep: Html): Html {
  return filtered
    ? html`<p class="empty">Nothing fits these filters. <a href="${view.here({ ...clear, after: undefined })}">Clear filters</a></p>`
    : html`<p class="empty">${nextStep}</p>`;
}

/** The link to the list as CSV, with the filters of its page. */
export const csvLink = (
  view: { href(path: string, query?: Query): string },
  path: string,
  query: Query = {},
  label = 'Download as CSV',
): Html => html`<p class="crumb"><a href="${view.href(path, query)}">${label}</a></p>`;
