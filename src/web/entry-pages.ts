// The pages around sign-in: refusals, the end of a session, signed out. In the language of the reader.
import { document } from './frame.ts';
import { type HeldForm, heldForm } from './held-form.ts';
import { type Html, html, nothing, say } from './html.ts';
import type { WebLanguage } from './web-language.ts';

/** The reasons for which a sign-in lets a person not in. */
export type EntryRefusal = keyof WebLanguage['texts']['refusals'];

function entryPage(language: WebLanguage, title: string, content: Html): string {
  return document({
    title,
    language,
    body: html`<main id="main" class="narrow"><div class="panel"><h1>${title}</h1>${content}</div></main>`,
  });
}

const link = (to: string, label: string) => html`<a class="button" href="${to}">${label}</a>`;

/** The addresses of a sign-in: with the account that is signed in already, and with another; and to allow it for all. */
export type Ways = { readonly again: string; readonly other: string; readonly allow: string | undefined };

/** Returns the page of a refusal with its cure. */
export function entryRefusalPage(language: WebLanguage, refusal: EntryRefusal, ways: Ways, reference: string): string {
  const { refusals, buttons, reference: label } = language.texts;
  const { title, what, cure } = refusals[refusal];
  const shown = refusal === 'failed' ? html`<p>${label} <code>${reference}</code></p>` : nothing;
  const begun =
    refusal === 'cancelled' ||
    refusal === 'stale' ||
    refusal === 'failed' ||
    refusal === 'unavailable' ||
    refusal === 'consent_wanted';
  const { allow } = ways;
  return entryPage(
    language,
    title,
    html`<p>${what}</p><p>${cure}</p>${allow === undefined ? nothing : html`<p><code>${allow}</code></p>`}${shown}
<p class="acts">${begun ? link(ways.again, buttons.again) : nothing}${allow === undefined ? nothing : link(allow, buttons.allow)}${link(ways.other, buttons.other)}</p>`,
  );
}

/** Returns the page after a sign-out. */
export function signedOutPage(language: WebLanguage, again: string): string {
  const { signedOut, buttons } = language.texts;
  return entryPage(language, signedOut.title, html`<p>${signedOut.what}</p><p>${link(again, buttons.signIn)}</p>`);
}

/**
 * Returns the page for a form that came after the end of its session. It comes back after the sign-in; `held`: from this page,
 * because it is too large for a cookie.
 */
export function endedPage(language: WebLanguage, again: string, held: HeldForm | undefined): string {
  const {
    ended,
    buttons,
    held: { back },
  } = language.texts;
  const words = say(ended.what, { kept: held ? ended.lost : ended.kept });
  if (!held) return entryPage(language, ended.title, html`<p>${words}</p><p>${link(again, buttons.again)}</p>`);
  const signIn = html`<a class="button" target="_blank" rel="noopener" href="${again}">${buttons.again}</a>`;
  return entryPage(
    language,
    ended.title,
    html`<p>${words}</p><div class="acts">${signIn}${heldForm(held, back)}</div>`,
  );
}
