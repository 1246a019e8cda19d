// The inputs of a form that edits a person's fields: what is stored, what was typed, what is wrong, what is beneath.
import { z } from 'zod';
import { type Html, html, nothing, say } from '../html.ts';
import type { SentForm, View } from '../page.ts';
import { typedText } from '../typed.ts';
import { inputText, labelOf, lines, type Person, type PersonField, shownText, widgetOf } from './fields.ts';
import { textsOf, wordsOf } from './language.ts';

/** Returns the name of a field's input, which is its id too. */
export const inputOf = (field: string) => `field.${field}`;
const wasOf = (field: string) => `was.${field}`;

/** The three texts of a field in a form. */
type Texts = {
  /** In the input. */
  readonly typed: string;
  /** What the input showed when the form was filled. */
  readonly was: string;
  readonly stored: string;
  /** It was typed, and something else was saved meanwhile. */
  readonly inConflict: boolean;
};

// After a conflict the form begins anew at what is stored now: what is sent next is meant. Otherwise it keeps its beginning.
function textsIn(form: SentForm | undefined, { field, value }: PersonField): Texts {
  const stored = inputText(value);
  const [typed, was] = [typedText(form, inputOf(field)), typedText(form, wasOf(field))];
  if (typed === undefined || was === undefined) return { typed: stored, was: stored, stored, inConflict: false };
  const wrote = lines(typed) !== lines(was);
  if (!form?.conflict) return { typed, was, stored, inConflict: false };
  const inConflict = wrote && lines(was) !== stored && lines(typed).trim() !== stored;
  return { typed: wrote ? typed : stored, was: stored, stored, inConflict };
}

/** Returns the texts that a form sent for a field that the person changed in it; undefined for one left as it was. */
export function typedIn(form: Readonly<Record<string, unknown>>, field: string): string | undefined {
  const [typed, was] = [form[inputOf(field)], form[wasOf(field)]];
  if (typeof typed !== 'string' || typeof was !== 'string') return undefined;
  return lines(typed) === lines(was) ? undefined : typed;
}

/** The value of {@link stateInput} in a form. The database has no year 0. */
export const stateAt = z.iso.datetime().refine((text) => text >= '1970');

/** Returns the hidden value that says of which state of the person the form was filled. */
export function stateInput({ form }: View<unknown>, { at }: Person): Html {
  const kept = form?.conflict ? undefined : typedText(form, 'at');
  return html`<input type="hidden" name="at" value="${kept ?? at}">`;
}

/** Returns the input of a field. `beneath`: what stands under it. `isOwn`: browsers may fill it with the person's own. */
export function fieldInput(field: PersonField, view: View<unknown>, beneath: Html, isOwn: boolean): Html {
  const texts = textsOf(view).fields;
  const name = inputOf(field.field);
  const { typed, was, stored, inConflict } = textsIn(view.form, field);
  const label = labelOf(field, view);
  const problem = view.form?.problems.find((one) => one.field === name)?.message;
  const isWrong = problem !== undefined || inConflict;
  const help = wordsOf(field.help, view) ?? (widgetOf(field) === 'list' ? texts.list : undefined);
  const described = [help && `help.${field.field}`, isWrong && `wrong.${field.field}`, `under.${field.field}`];
  const about = html` aria-describedby="${described.filter(Boolean).join(' ')}"${isWrong ? html` aria-invalid="true"` : nothing}`;
  const wrong = inConflict
    ? html`<dl class="both" id="wrong.${field.field}"><dt>${texts.yours}</dt><dd>${typed || texts.none}</dd><dt>${texts.theirs}</dt><dd>${shownText(field.value, view) || texts.none} <button class="quiet" name="act" value="leave:${field.field}" formnovalidate>${texts.keepTheirs}<span class="hidden">: ${label}</span></button></dd></dl>`
    : html`<p class="problem" id="wrong.${field.field}">${problem ?? ''}</p>`;
  return html`<div class="field${isWrong ? ' wrong' : ''}"><label for="${name}">${label}</label>
${control(field, typed, html` id="${name}" name="${name}"${about}`, isOwn, view)}
<input type="hidden" name="${wasOf(field.field)}" value="${was}">${isWrong ? wrong : nothing}
${help === undefined ? nothing : html`<p class="under" id="help.${field.field}">${help}</p>`}
<p class="under" id="under.${field.field}">${stored === '' && field.origin === 'user' ? html`${texts.cleared} ` : nothing}${beneath}</p></div>`;
}

function control(field: PersonField, text: string, attributes: Html, isOwn: boolean, view: View<unknown>): Html {
  const { values } = textsOf(view);
  const fill = html` autocomplete="${isOwn ? (autocomplete[field.field] ?? 'off') : 'off'}"`;
  const most = field.max === null ? nothing : html` maxlength="${field.max}"`;
  switch (widgetOf(field)) {
    case 'list':
    case 'lines':
      return html`<textarea${attributes}${fill} inputmode="text" rows="${Math.min(6, Math.max(2, text.split('\n').length))}"${widgetOf(field) === 'lines' ? most : nothing}>
${text}</textarea>`;
    case 'choice':
      return html`<select${attributes} autocomplete="off">${(['', 'true', 'false'] as const).map(
        (one) =>
          html`<option value="${one}"${one === text ? html` selected` : nothing}>${one === '' ? '' : one === 'true' ? values.yes : values.no}</option>`,
      )}</select>`;
    case 'number':
      return html`<input type="text"${attributes}${fill} inputmode="decimal" value="${text}">`;
    default: {
      const { type, mode } = inputs[field.kind];
      // A browser sends no form with a value that does not fit, and what is stored must keep no other field from being saved.
      const { value } = field;
      // Browsers say it beside their own words about a value that does not fit.
      const help = wordsOf(field.help, view);
      const fits = typeof value !== 'string' || value === '';
      const pattern =
        field.pattern !== null && (fits || field.matches) && !repeatsGroup(field.pattern)
          ? html` pattern="${forBrowser(field.pattern)}"${help === undefined ? nothing : html` title="${help}"`}`
          : nothing;
      return html`<input type="${fits || fitsType(value, type) ? type : 'text'}" inputmode="${mode}"${attributes}${fill}${most}${pattern} value="${text}">`;
    }
  }
}

const inputs: Readonly<Record<PersonField['kind'], { readonly type: string; readonly mode: string }>> = {
  text: { type: 'text', mode: 'text' },
  tel: { type: 'tel', mode: 'tel' },
  url: { type: 'url', mode: 'url' },
  mail: { type: 'email', mode: 'email' },
  list: { type: 'text', mode: 'text' },
};

/**
 * Returns whether a pattern repeats a group more than once. The database matches each in one pass, a browser may try the ways
 * to part a value for hours: such a pattern is told when the form is sent.
 */
const repeatsGroup = (pattern: string) =>
  /\)(?:[*+]|\{\d+,)/.test(pattern.replaceAll(/\\.|\[(?:\\.|[^\]\\])+\]/gsu, ''));

/** Returns whether a browser takes a value for one of the type of its input. */
const fitsType = (value: string, type: string) =>
  (type !== 'url' || URL.canParse(value)) && (type !== 'email' || /^[\w.!#$%&'*+/=?^`{|}~-]+@[a-z\d.-]+$/i.test(value));

/** The words by which a browser knows a person's own values, of the default fields. */
const autocomplete: Readonly<Record<string, string>> = {
  ...{ displayName: 'name', givenName: 'given-name', surname: 'family-name', mail: 'work email' },
  ...{ mobilePhone: 'mobile tel', faxNumber: 'fax tel', jobTitle: 'organization-title', companyName: 'organization' },
  ...{ postalCode: 'postal-code', city: 'address-level2', state: 'address-level1', country: 'country-name' },
  ...{ streetAddress: 'address-line1', website: 'url' },
};

/** Returns what the directory says under a person's own value, with the button that takes it back. */
export function underInput(field: PersonField, view: View<unknown>): Html {
  const texts = textsOf(view).fields;
  const isOthers = field.origin === 'user' && field.changedBy !== `account:${view.viewer.accountId}`;
  const by = isOthers ? html` ${texts.byOther}` : nothing;
  if (field.mappedFrom === null) return html`${texts.notInDirectory}${by}`;
  const below = shownText(field.directoryValue, view);
  if (field.origin === 'directory') return html`${texts.fromDirectory}`;
  const says =
    below === ''
      ? html`${texts.directoryHasNone}`
      : say(texts.directorySays, { value: html`<strong>${below}</strong>` });
  if (field.origin !== 'user') return says;
  return html`${says}${by} <button class="quiet" name="act" value="reset:${field.field}" formnovalidate>${texts.useThat}<span class="hidden">: ${labelOf(field, view)}</span></button>`;
}

/** Returns a pattern as a browser takes it: with the flag v, which wants more of a set escaped, and less outside of one. */
export function forBrowser(pattern: string): string {
  return pattern.replaceAll(/\\.|\[\^?(?:\\.|[^\]\\])+\]/gsu, (part) => {
    if (!part.startsWith('[')) return /^\\[dwsDWS^$\\.*+?()[\]{}|/]$/.test(part) ? part : part.slice(1);
    const [, start = '', set = ''] = /^(\[\^?)(.*)\]$/su.exec(part) ?? [];
    const escaped = set.replaceAll(/\\.|-$|[(){}/|]|([&!#$%*+,.:;<=>?@^`~])(?=\1)/gsu, (one) =>
      one.length > 1 ? one : `\\${one}`,
    );
    return `${start}${escaped}]`;
  });
}
