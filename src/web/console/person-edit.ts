// The form on a person's page: the fields that a manager may edit, and the buttons to give back and to read the person now.
import type { ExplainedField } from '../../store/accounts/accounts.ts';
import type { FoundAccount } from '../../store/accounts/explain.ts';
import { cut, showValue } from '../../words/changes.ts';
import { type Html, html, nothing, postForm } from '../html.ts';
import type { SentForm, View } from '../page.ts';
import { typedText } from '../typed.ts';
import type { FieldKinds, FieldLabels } from './field-labels.ts';

/** Returns a value of a field as the page shows it. */
export const text = (value: unknown): string => {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return cut(value);
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
    ? cut(value.join(', '))
    : showValue(value);
};

type Words = { readonly labels: FieldLabels; readonly kinds: FieldKinds };

/** Returns the form of the fields that a manager may edit, and the buttons to read the person now. */
export function editForm(
  account: FoundAccount,
  fields: readonly ExplainedField[],
  words: Words,
  view: View<unknown>,
): Html {
  const base = `/console/t/${account.tenant_id}/people/${account.account_id}`;
  const read =
    account.entra_object_id !== null &&
    account.removed_at === null &&
    view.may('POST /console/t/:tenant/people/:account/read')
      ? postForm(view, `${base}/read`, html`<button>Read from Entra ID now</button>`)
      : nothing;
  const editable = fields.filter((one) => one.editable_by.includes('manager') && isText(one));
  if (account.removed_at !== null || editable.length === 0 || !view.may('POST /console/t/:tenant/people/:account/edit'))
    return read === nothing ? nothing : html`<div class="acts">${read}</div>`;
  const inputs = editable.map((one) => inputOf(one, words, view.form));
  return html`<details class="panel"${view.form ? html` open` : nothing}><summary>Edit as a manager may</summary>
${postForm(view, `${base}/edit`, html`${inputs}<div class="acts"><button class="main" name="act" value="save">Save</button><button name="act" value="revert">Give all back to the directory</button></div>`)}</details>
${read === nothing ? nothing : html`<div class="acts">${read}</div>`}`;
}

const isText = ({ value, directory_value: below }: ExplainedField) =>
  [value, below].every((one) => one === null || one === undefined || typeof one === 'string');

/** Returns a text as it is stored: a form sends a line break as two characters. */
export const lines = (value: unknown) => (typeof value === 'string' ? value.replaceAll(/\r\n?/g, '\n') : '');

// After a conflict the form begins anew at what is stored now: what is sent next is meant.
function textsIn(form: SentForm | undefined, { field, value }: ExplainedField) {
  const stored = lines(value);
  const [typed, was] = [typedText(form, `field.${field}`), typedText(form, `was.${field}`)];
  if (typed === undefined || was === undefined) return { typed: stored, was: stored, inConflict: false };
  if (!form?.conflict) return { typed, was, inConflict: false };
  const wrote = lines(typed) !== lines(was);
  const inConflict = wrote && lines(was) !== stored && lines(typed).trim() !== stored;
  return { typed: wrote ? typed : stored, was: stored, inConflict };
}

function inputOf(one: ExplainedField, { labels, kinds }: Words, form: SentForm | undefined): Html {
  const name = `field.${one.field}`;
  const { typed, was, inConflict } = textsIn(form, one);
  const problem = form?.problems.find(({ field }) => field === name)?.message;
  const isWrong = problem !== undefined || inConflict;
  const says = one.mapped_from === null ? '' : `The directory says ${text(one.directory_value) || 'nothing'}.`;
  const attributes = html` id="${name}" name="${name}" autocomplete="off"${isWrong ? html` aria-invalid="true"` : nothing} aria-describedby="under.${one.field}"`;
  const both = html`<dl class="both" id="under.${one.field}"><dt>You typed</dt><dd>${typed || 'nothing'}</dd><dt>It is now</dt><dd>${text(one.value) || 'nothing'}</dd></dl>`;
  return html`<div class="field${isWrong ? ' wrong' : ''}"><label for="${name}">${labels.get(one.field) ?? one.field}</label>
${
  // An input of one line takes line breaks out.
  /[\r\n]/.test(typed)
    ? html`<textarea inputmode="text" rows="3"${attributes}>\n${typed}</textarea>`
    : html`<input${inputKind(kinds.get(one.field))}${attributes} value="${typed}">`
}
<input type="hidden" name="was.${one.field}" value="${was}">
${inConflict ? both : html`<p class="under" id="under.${one.field}">${problem ?? says}</p>`}</div>`;
}

// Of the type url or email a browser would send no form while a stored value does not fit.
function inputKind(kind: string | undefined): Html {
  if (kind === 'tel') return html` type="tel" inputmode="tel"`;
  return html` type="text" inputmode="${kind === 'url' ? 'url' : kind === 'mail' ? 'email' : 'text'}"`;
}
