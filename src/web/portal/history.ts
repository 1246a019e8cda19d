// The changes on one's own page, newest first, and the last edit of one's own that can be taken back.
import type { Contract } from '../contract-page.ts';
import { type Html, html, nothing, say } from '../html.ts';
import type { View } from '../page.ts';
import { isEditable, labelOf, type Person, shownText } from './fields.ts';
import type { Head } from './frame.ts';
import { fill, textsOf } from './language.ts';
import { timeOf } from './times.ts';

type Row = {
  readonly change: string;
  readonly at: Date;
  readonly actor: string;
  readonly byCycle: boolean;
  readonly kind: string;
  readonly field: string | null;
  readonly before: unknown;
  readonly after: unknown;
  readonly isRecent: boolean;
};

export type History = {
  /** One change each, newest first. */
  readonly changes: readonly (readonly Row[])[];
  /** By account id: the names of other people who edited. */
  readonly names: ReadonlyMap<string, string>;
  /** One's own last edit, if its fields still show what it gave. */
  readonly undo: { readonly change: string; readonly at: Date; readonly fields: readonly string[] } | undefined;
};

const mostRows = 500;
const mostChanges = 100;

/** Returns what changed of the viewer's account, as long as the tenant's settings show it. */
export async function readHistory(
  contract: Contract,
  { viewer }: View<unknown>,
  { portal }: Head,
  person: Person,
): Promise<History> {
  const rows = await contract.rows<Row>(
    `select h.change_id::text as change, h.at, h.actor, h.cycle_id is not null as "byCycle", h.kind, h.field, h.before, h.after,
            h.at > clock_timestamp() - :kept::interval as "isRecent"
       from directory.account_history(:accountId, :reader::uuid) h
      where h.kind like 'account.%' order by h.change_id desc, h.field limit :mostRows`,
    // An operator who looks as the person is told no earlier values of private fields.
    {
      ...{ accountId: viewer.accountId, kept: portal.history, mostRows },
      reader: viewer.standing?.looksOnly ? null : viewer.accountId,
    },
  );
  const changes = [...Map.groupBy(rows, ({ change }) => change).values()];
  const own = `account:${viewer.accountId}`;
  const last = changes.find(([first]) => first?.kind === 'account.edited' && first.actor === own);
  const names = await namesOf(contract, rows, own);
  return { changes: changes.filter(([first]) => first?.isRecent), names, undo: last && undoOf(last, person) };
}

async function namesOf(contract: Contract, rows: readonly Row[], own: string): Promise<ReadonlyMap<string, string>> {
  const actors = new Set(rows.map(({ actor }) => actor).filter((one) => one.startsWith('account:') && one !== own));
  if (actors.size === 0) return new Map();
  const found = await contract.rows<{ actor: string; name: string | null }>(
    `select 'account:' || a.account_id as actor, a.display_name as name
       from directory.accounts a where a.account_id = any(:ids::uuid[])`,
    { ids: [...actors].map((one) => one.slice('account:'.length)) },
  );
  return new Map(found.flatMap(({ actor, name }) => (name === null ? [] : [[actor, name]])));
}

const profileField = (name: string | null) =>
  name?.startsWith('profile.') ? name.slice('profile.'.length) : undefined;

// The contract refuses what does not show any more, so the button is there only where it would do something.
function undoOf(rows: readonly Row[], { fields }: Person): History['undo'] {
  const [first] = rows;
  const edited = rows.flatMap((row) => {
    const found = fields.find(({ field }) => field === profileField(row.field));
    return found ? [{ found, row }] : [];
  });
  const stands = edited.every(
    ({ found, row }) => isEditable(found, 'user') && JSON.stringify(found.value) === JSON.stringify(row.after ?? null),
  );
  if (!first || edited.length === 0 || edited.length !== rows.length || !stands) return undefined;
  return { change: first.change, at: first.at, fields: edited.map(({ found }) => found.field) };
}

/** Returns the changes as a list. */
export function historyList(history: History, person: Person, view: View<unknown>, head: Head): Html {
  const { history: texts } = textsOf(view);
  const entries = history.changes.flatMap((rows) => {
    const [first] = rows;
    const lines = first ? linesOf(first, rows, person, view) : [];
    return first && lines.length > 0
      ? [
          html`<li>${timeOf(first.at, view, head)}<div>${lines} <small>${actorOf(first, history, view)}</small></div></li>`,
        ]
      : [];
  });
  return html`<h2 id="history">${texts.title}</h2>
<p class="lead">${fill(texts.zone, { zone: head.timeZone })}</p>
${entries.length > mostChanges ? html`<p class="lead">${fill(texts.most, { count: String(mostChanges) })}</p>` : nothing}
${entries.length === 0 ? html`<p class="empty">${texts.none}</p>` : html`<ol class="line panel">${entries.slice(0, mostChanges)}</ol>`}`;
}

function linesOf({ kind }: Row, rows: readonly Row[], person: Person, view: View<unknown>): Html[] {
  const { kinds } = textsOf(view).history;
  const sentence = Object.hasOwn(kinds, kind) ? html`<p>${kinds[kind as keyof typeof kinds]}</p>` : undefined;
  // The row of a page that comes into being holds all of its values.
  const fields = wholes.includes(kind) ? [] : rows.flatMap((row) => lineOf(row, person, view) ?? []);
  return [...(sentence ? [sentence] : []), ...fields];
}

const wholes: readonly string[] = ['account.created', 'account.restored'];

function lineOf(row: Row, { fields }: Person, view: View<unknown>): Html | undefined {
  const { history: texts } = textsOf(view);
  const beneath = row.field?.startsWith('directory.') ? row.field.slice('directory.'.length) : undefined;
  const found = fields.find(({ field }) => field === (profileField(row.field) ?? beneath));
  if (!found) return undefined;
  const label = labelOf(found, view);
  const name = beneath === undefined ? label : fill(texts.beneath, { field: label });
  if (isHidden(row.before) || isHidden(row.after))
    return html`<p><span class="name">${name}:</span> <em>${texts.private}</em></p>`;
  const [was, is] = [shownText(row.before, view), shownText(row.after, view)];
  const old = was === '' ? nothing : html`<del><span class="hidden">${texts.was} </span>${was}</del> `;
  const now =
    is === '' ? html`<em>${texts.cleared}</em>` : html`<ins><span class="hidden">${texts.now} </span>${is}</ins>`;
  return html`<p><span class="name">${name}:</span> ${old}${now}</p>`;
}

const isHidden = (value: unknown) => typeof value === 'object' && value !== null && 'private' in value;

function actorOf({ actor, byCycle, kind }: Row, { names }: History, view: View<unknown>): Html {
  const { by } = textsOf(view).history;
  if (byCycle || kind === 'account.photo_changed') return html`${by.directory}`;
  if (actor === `account:${view.viewer.accountId}`) return html`${by.you}`;
  if (!actor.startsWith('account:')) return html`${by.administrator}`;
  const name = names.get(actor);
  return name === undefined ? html`${by.colleague}` : say(by.person, { name });
}
