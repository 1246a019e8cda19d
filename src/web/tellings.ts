// Pages that only tell something: refusals, faults, and the question for a reason.
import { document } from './frame.ts';
import { type Html, html, postForm, say } from './html.ts';
import type { Content, View } from './page.ts';
import type { WebLanguage } from './web-language.ts';

const telling = (title: string, words: Html): Content => ({ title, content: html`<h1>${title}</h1>${words}` });

/** The pages that only tell something, in the language of the reader. */
export const tellings = {
  notFound: ({ texts }: WebLanguage, start: string) => {
    const { title, what, start: label } = texts.tellings.notFound;
    return telling(title, html`<p class="lead">${what}</p><p><a href="${start}">${label}</a></p>`);
  },
  tooSlow: (view: View<unknown>) => {
    const { title, what, again } = view.language.texts.tellings.tooSlow;
    const narrower = html` A narrower filter asks for less.</p>
<p><a href="${view.here()}">${again}</a> · <a href="${view.href(view.path)}">Clear filters</a></p>`;
    const isList = Object.keys(view.query as object).length > 0;
    return telling(
      title,
      html`<p class="lead">${what}${isList ? narrower : html`</p><p><a href="${view.here()}">${again}</a></p>`}`,
    );
  },
  notFromHere: ({ texts }: WebLanguage) => plain(texts.tellings.notFromHere),
  notUnderstood: ({ texts }: WebLanguage) => plain(texts.tellings.notUnderstood),
  tooLarge: ({ texts }: WebLanguage) => plain(texts.tellings.tooLarge),
  /** `seconds`: the browser asks again by itself after so many. `isForm`: a form was sent. */
  notNow: ({ texts }: WebLanguage, seconds: number | undefined, isForm: boolean) => {
    const { title, what, again, byItself, form } = texts.tellings.notNow;
    const next = seconds === undefined ? again : say(byItself, { seconds: String(seconds) });
    return telling(title, html`<p class="lead">${what} ${next}${isForm ? ` ${form}` : ''}</p>`);
  },
  defect: ({ texts }: WebLanguage, reference: string) => {
    const { title, what } = texts.tellings.defect;
    return telling(title, html`<p class="lead">${say(what, { reference: html`<code>${reference}</code>` })}</p>`);
  },
  openTheAddress: () =>
    telling(
      'Come in by the terminal',
      html`<p class="lead">Open the address that the terminal shows. It is valid once, for a minute; Enter there shows another.</p>`,
    ),
};

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
  const form = html`<input type="hidden" name="to" value="${to}">
<p><label for="reason">Why do you look at people of ${name}?</label></p>
<p><input type="text" inputmode="text" id="reason" name="reason" required maxlength="200" autocomplete="off" autofocus></p>
<p><button class="main">Go on</button></p>`;
  return telling(
    'A reason first',
    html`<p class="lead">Say it once, such as the number of a ticket: it holds for this tenant until you sign out, and the customer can read it in the audit.</p>
${postForm(view, `/console/t/${tenantId}/reason`, form)}`,
  );
}
