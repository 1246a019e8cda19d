// `/me`: one's own page. What is the person's own can be edited, the rest is told.
import { z } from 'zod';
import { type Html, html, nothing, postForm, say } from '../html.ts';
import type { View } from '../page.ts';
import { besidePreview } from '../preview.ts';
import { isEditable, labelOf, type Person, type PersonField, readPerson, shownText } from './fields.ts';
import type { Head } from './frame.ts';
import { type History, historyList, readHistory } from './history.ts';
import { fieldInput, stateInput, underInput } from './inputs.ts';
import { fill, textsOf } from './language.ts';
import { findPhoto, photoAbove } from './photo.ts';
import { portalPage } from './portal-page.ts';
import { hasPreview, previewPanel } from './preview.ts';
import { timeOf } from './times.ts';

/** The message of the page after a form. */
export const outcomes = ['saved', 'reset', 'undone', 'unchanged'] as const;

export const mePage = portalPage({
  route: 'GET /me',
  section: 'me',
  needs: 'people',
  query: { done: z.enum(outcomes) },
  load: async (contract, view, head) => {
    const person = await readPerson(contract, view.viewer.accountId ?? '');
    if (!person) return undefined;
    const history = await readHistory(contract, view, head, person);
    const id = view.viewer.accountId ?? '';
    return { person, history, previewed: await hasPreview(contract, id), photo: await findPhoto(contract, id) };
  },
  // One's own page is one's own affair, unless an operator looks as the person.
  audit: (_data, { viewer }) => (viewer.standing ? [{ act: 'person.viewed', accountId: viewer.accountId }] : []),
  render: ({ person, history, previewed, photo }, view, head) => {
    const { me } = textsOf(view);
    const mine = person.fields.filter((one) => isEditable(one, 'user'));
    const isKept = Number.parseInt(head.portal.history, 10) > 0;
    return {
      title: `${me.title} · ${head.tenant}`,
      content: html`${done(view)}${photoAbove(photo, view, head.person, me.photo)}<h1>${me.title}</h1>
<p class="lead">${say(mine.length > 0 ? me.lead : me.leadNothing, { tenant: head.tenant })}</p>
${mine.length > 0 ? ownForm(mine, { person, history, previewed }, view, head) : nothing}
${previewed && mine.length === 0 ? html`<section class="panel">${previewPanel(view, '/me/preview', false).details}</section>` : nothing}
${companyPanel(
  person.fields.filter((one) => !mine.includes(one)),
  view,
  head,
)}
${isKept ? historyList(history, person, view, head) : nothing}`,
    };
  },
});

function done(view: View<{ readonly done: (typeof outcomes)[number] | undefined }>): Html {
  const { done: outcome } = view.query;
  // A form that came back says what became of it by itself.
  if (outcome === undefined || view.form) return nothing;
  return html`<p class="done" role="status">${textsOf(view).me.done[outcome]}</p>`;
}

type Data = { readonly person: Person; readonly history: History; readonly previewed: boolean };

function ownForm(
  mine: readonly PersonField[],
  { person, history, previewed }: Data,
  view: View<unknown>,
  head: Head,
): Html {
  const { me } = textsOf(view);
  const save = html`<button class="main" name="act" value="save">${me.save}</button>`;
  // Enter presses the first button of a form, which must not be that of one field.
  const first = html`<button class="hidden" name="act" value="save" tabindex="-1" aria-hidden="true">${me.save}</button>`;
  const inputs = mine.map((one) => fieldInput(one, view, underInput(one, view), true));
  const isOwn = (one: PersonField) => one.origin === 'user' && one.mappedFrom !== null;
  const mayAct = view.may('POST /me');
  const fields = html`<fieldset class="plain" role="none"${mayAct ? nothing : html` disabled`}>${inputs}</fieldset>
${mayAct ? html`<div class="acts">${save}</div>` : nothing}`;
  const panel = previewed ? previewPanel(view, '/me/preview', mayAct) : undefined;
  const form = html`${first}${stateInput(view, person)}${besidePreview(fields, panel)}`;
  const more = [
    ...(history.undo ? [undoForm(history.undo, person, view, head)] : []),
    ...(mine.some(isOwn) ? [resetForm(person, view)] : []),
  ];
  return html`<section class="panel" aria-labelledby="yours"><h2 id="yours">${me.yours}</h2>
${postForm(view, '/me', form)}
${mayAct && more.length > 0 ? html`<div class="acts more">${more}</div>` : nothing}</section>`;
}

function undoForm(undo: NonNullable<History['undo']>, person: Person, view: View<unknown>, head: Head): Html {
  const { me } = textsOf(view);
  const names = person.fields.filter(({ field }) => undo.fields.includes(field)).map((one) => labelOf(one, view));
  const inputs = html`<input type="hidden" name="at" value="${person.at}"><input type="hidden" name="change" value="${undo.change}">`;
  const about = html`<small>${names.join(', ')}, ${timeOf(undo.at, view, head)}</small>`;
  return postForm(view, '/me', html`${inputs}<button name="act" value="undo">${me.undo}</button> ${about}`);
}

function resetForm(person: Person, view: View<unknown>): Html {
  const { me } = textsOf(view);
  return postForm(
    view,
    '/me',
    html`<input type="hidden" name="at" value="${person.at}"><button name="act" value="reset_all">${me.resetAll}</button>`,
  );
}

function companyPanel(fields: readonly PersonField[], view: View<unknown>, head: Head): Html {
  const { me } = textsOf(view);
  if (fields.length === 0) return nothing;
  const [full, empty] = [fields.filter((one) => one.value !== null), fields.filter((one) => one.value === null)];
  const lines = full.map(
    (one) => html`<div class="field"><dt>${labelOf(one, view)}</dt><dd>${shownText(one.value, view)}</dd></div>`,
  );
  const names = empty.map((one) => labelOf(one, view)).join(', ');
  return html`<section class="panel" aria-labelledby="company"><h2 id="company">${me.company}</h2>
<p class="under">${helpOf(view, head)}</p>
${full.length === 0 ? nothing : html`<dl class="fields">${lines}</dl>`}
${empty.length === 0 ? nothing : html`<p class="under">${fill(me.empty, { fields: names })}</p>`}</section>`;
}

function helpOf(view: View<unknown>, { help }: Head): Html {
  const { me } = textsOf(view);
  if (help === null) return html`${me.wrongAsk}`;
  const { text, url } = help;
  return html`${me.wrong} ${url === undefined ? text : html`<a href="${url}">${text}</a>`}`;
}
