// A page that holds a form which could not be taken: what was typed can be read in it, and a button brings the form back to its
// own page. Nothing is done by that: the form is sent from there.
import type { FastifyRequest } from 'fastify';
import { type Html, html, nothing } from './html.ts';
import type { SentForm } from './page.ts';
import type { WebLanguage } from './web-language.ts';

export type HeldForm = {
  /** The address that the form was sent to. */
  readonly action: string;
  /** By field, without the token: the form then comes back to its page, and is not taken. */
  readonly typed: SentForm['typed'];
};

/** The field by which a form that a page has held tells that no session has ended meanwhile. */
export const backField = '_back';

/** Returns what was typed, without the token and the mark of a page that held it. */
export function typedOf(given: Readonly<Record<string, unknown>>): SentForm['typed'] {
  const isTyped = (value: unknown) => [value].flat().every((one) => typeof one === 'string');
  const sent = Object.entries(given).filter(
    ([name, value]) => name !== '_token' && name !== backField && isTyped(value),
  );
  return Object.fromEntries(sent as [string, string | readonly string[]][]);
}

/** Returns the form with a button that brings it back. */
export function heldForm({ action, typed }: HeldForm, back: string): Html {
  const inputs = Object.entries(typed).flatMap(([name, values]) =>
    [values].flat().map((value) => html`<input type="hidden" name="${name}" value="${value}">`),
  );
  return html`<form method="post" action="${action}">${inputs}<button>${back}</button></form>`;
}

/** The fields that no person types: marks of ours, what a value was, the button that was pressed. */
const isOurs = /^(?:_|was(?:\.|$)|(?:at|act|seen|to|list|known|form|change)$)/;

/** Returns what was typed, to be read; nothing for a form in which nothing was. A problem of a field leads there. */
export function typedValues(typed: SentForm['typed'], { texts }: WebLanguage): Html {
  const lines = Object.entries(typed).flatMap(([name, values]) => {
    const texts = isOurs.test(name) ? [] : [values].flat().filter((value) => value.trim() !== '');
    const [first, ...more] = texts.map((value) => html`<dd>${value}</dd>`);
    return first === undefined
      ? []
      : [html`<div class="field" id="${name}"><dt>${name.replace(/^field\./, '')}</dt>${first}${more}</div>`];
  });
  return lines.length === 0 ? nothing : html`<h2>${texts.held.typed}</h2><dl class="fields typed panel">${lines}</dl>`;
}

/** Returns what stands on a page that could not take a form: the way back to it, and what was typed. */
export function heldPart({ action, typed }: HeldForm, language: WebLanguage): Html {
  const { what, back } = language.texts.held;
  const form = heldForm({ action, typed: { ...typed, [backField]: '1' } }, back);
  return html`<p>${what}</p><div class="acts">${form}</div>${typedValues(typed, language)}`;
}

/** Returns the form of a request without its token; undefined for none in which something was typed. */
export function heldOf({ method, url, body }: Pick<FastifyRequest, 'method' | 'url' | 'body'>): HeldForm | undefined {
  if (method !== 'POST') return undefined;
  const typed = typedOf((body ?? {}) as Readonly<Record<string, unknown>>);
  return Object.keys(typed).every((name) => isOurs.test(name)) ? undefined : { action: url, typed };
}
