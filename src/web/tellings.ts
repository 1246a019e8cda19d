// Pages that only tell something: refusals, faults, and the question for a reason.

import { secondsOf } from './act-time.ts';
import { document } from './frame.ts';
import { type HeldForm, heldForm, heldPart, typedValues } from './held-form.ts';
import { type Html, html, nothing, postForm, say } from './html.ts';
import type { Content, View } from './page.ts';
import { typedText } from './typed.ts';
import type { WebLanguage } from './web-language.ts';

const telling = (title: string, words: Html): Content => ({ title, content: html`<h1>${title}</h1>${words}` });

/** The pages that only tell something, in the language of the reader. */
export const tellings = {
  notFound: ({ texts }: WebLanguage, start: string) => {
    const { title, what, start: label } = texts.tellings.notFound;
    return telling(title, html`<p class="lead">${what}</p><p><a href="${start}">${label}</a></p>`);
  },
  /** `action`: the address of the form that the page should have shown; undefined where a cookie goes on keeping it. */
  tooSlow: (view: View<unknown>, action: string | undefined) => {
    const { title, what, again } = view.language.texts.tellings.tooSlow;
    const { typed = {}, shown = nothing } = view.form ?? {};
    // Without what was typed the act is done, and tells something once.
    if (view.form && Object.keys(typed).length === 0) return telling(title, html`<p class="lead">${what}</p>${shown}`);
    if (view.form && action !== undefined)
      return telling(title, html`<p class="lead">${what}</p>${heldPart({ action, typed }, view.language)}`);
    const narrower = html` A narrower filter asks for less.</p>
<p><a href="${view.here()}">${again}</a> · <a href="${view.href(view.path)}">Clear filters</a></p>`;
    const isList = Object.keys(view.query as object).length > 0;
    return telling(
      title,
      html`<p class="lead">${what}${isList ? narrower : html`</p><p><a href="${view.here()}">${again}</a></p>`}${typedValues(typed, view.language)}`,
    );
  },
  notFromHere: ({ texts }: WebLanguage) => plain(texts.tellings.notFromHere),
  notUnderstood: ({ texts }: WebLanguage) => plain(texts.tellings.notUnderstood),
  tooLarge: ({ texts }: WebLanguage) => plain(texts.tellings.tooLarge),
  /** `seconds`: the browser asks again by itself after so many. `isForm`: a form was sent. */
  notNow: (language: WebLanguage, seconds: number | undefined, { isForm, held }: FailedForm) => {
    const { title, what, again, byItself, form } = language.texts.tellings.notNow;
    const next = seconds === undefined ? again : say(byItself, { seconds: String(seconds) });
    const words = html`<p class="lead">${what} ${next}${isForm ? ` ${form}` : ''}</p>`;
    return telling(title, html`${words}${held ? heldPart(held, language) : nothing}`);
  },
  defect: (language: WebLanguage, reference: string, held?: HeldForm) => {
    const { title, what } = language.texts.tellings.defect;
    const words = html`<p class="lead">${say(what, { reference: html`<code>${reference}</code>` })}</p>`;
    return telling(title, html`${words}${held ? heldPart(held, language) : nothing}`);
  },
  /** A sign-out that did not happen: `form` is its button. */
  stillIn: ({ texts }: WebLanguage, why: 'late' | 'earlier', ms: number, form: (button: Html) => Html) => {
    const { title, signOut, [why]: words } = texts.stillIn;
    return telling(
      title,
      html`<p class="lead">${say(words, { seconds: secondsOf(ms) })}</p>${form(html`<button class="main">${signOut}</button>`)}`,
    );
  },
  openTheAddress: () =>
    telling(
      'Come in by the terminal',
      html`<p class="lead">Open the address that the terminal shows. It is valid once, for a minute; Enter there shows another.</p>`,
    ),
  openTheAddressAndComeBack: ({ texts }: WebLanguage, form: HeldForm) =>
    telling(
      'Your session has ended',
      html`<p class="lead">Nothing was saved. Leave this page open, and open the address that the terminal shows in a new window: it is valid once, for a minute; Enter there shows another. Then go back to the form here. It is as you filled it, and is sent only when you press its button once more.</p>
<div class="acts">${heldForm(form, texts.held.back)}</div>`,
    ),
};

/** A form whose answer failed. `held`: what was typed, where the form is one of ours. */
export type FailedForm = { readonly isForm: boolean; readonly held: HeldForm | undefined };

const plain = ({ title, what }: { readonly title: string; readonly what: string }) =>
  telling(title, html`<p class="lead">${what}</p>`);

/** Returns a whole page that only tells something, without a navigation: its reader may be unknown. */
export function toldPage(language: WebLanguage, { title, content }: Content): string {
  return document({ title, language, body: html`<main id="main" class="narrow">${content}</main>` });
}

/** Asks the vendor's person why, before a page of a person opens. `to`: the page that was asked for. */
export function reasonForm(
  view: View<unknown>,
  { tenantId, name }: { readonly tenantId: string; readonly name: string },
  to: string,
): Content {
  const typed = typedText(view.form, 'reason') ?? '';
  const form = html`<input type="hidden" name="to" value="${to}">
<p><label for="reason">Why do you look at people of ${name}?</label></p>
<p><input type="text" inputmode="text" id="reason" name="reason" value="${typed}" required maxlength="200" autocomplete="off"${view.form ? nothing : html` autofocus`}></p>
<p><button class="main">Go on</button></p>`;
  return telling(
    'A reason first',
    html`<p class="lead">Say it once, such as the number of a ticket: it holds for this tenant until you sign out, and the customer can read it in the audit.</p>
${postForm(view, `/console/t/${tenantId}/reason`, form)}`,
  );
}

/** Tells the vendor's person to say why first, in another window: meanwhile this page holds the form. `to`: the page of the form. */
export function reasonElsewhere(view: View<unknown>, to: string, form: HeldForm): Content {
  return telling(
    'A reason first',
    html`<p class="lead">Leave this page open, say in a new window why you look at people of this tenant, and then go back to the form here. It is as you filled it, and is sent only when you press its button once more.</p>
<div class="acts"><a class="button" target="_blank" rel="noopener" href="${view.href(to)}">Say why</a>${heldForm(form, view.language.texts.held.back)}</div>`,
  );
}
