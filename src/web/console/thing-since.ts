// A form of a slot or an item that meets a newer one: nothing is saved, and both stand on the page.
import { createHash } from 'node:crypto';
import { type Html, html, nothing } from '../html.ts';
import type { Problem, View } from '../page.ts';
import { typedText } from '../typed.ts';

/** The parts of a slot, or of an item, that its form changes. */
export type Parts =
  | { readonly title: string | null; readonly winners: number }
  | { readonly title: string | null; readonly html: string | null };

function markOf(parts: Parts | undefined): string {
  if (!parts) return '';
  const meant = 'winners' in parts ? [parts.title, parts.winners] : [parts.title, parts.html];
  return createHash('sha256').update(JSON.stringify(meant)).digest('base64url').slice(0, 22);
}

/** Returns the hidden value that says which slot or item the form was filled from. After a conflict it is the newer one. */
export function wasInput({ form }: View<unknown>, stored: Parts | undefined): Html {
  const kept = form?.conflict ? undefined : typedText(form, 'was');
  return html`<input type="hidden" name="was" value="${kept ?? markOf(stored)}">`;
}

/** Returns the refusal of a form that was filled from another slot or item than the stored one. The same text twice is none. */
export function newerThan(
  was: string | undefined,
  stored: Parts | undefined,
  typed: Parts,
): { readonly problems: readonly Problem[]; readonly conflict: true; readonly shown: Html } | undefined {
  const now = markOf(stored);
  if (was === undefined || was === '' || was === now || markOf(typed) === now) return undefined;
  const message =
    'It has changed since this page was loaded. Above is what you typed, below it as it is now: press again for yours.';
  const text = stored && 'html' in stored ? stored.html : null;
  const shown = stored
    ? html`<p>As it is now: ${stored.title ?? 'without a title'}${'winners' in stored ? `, ${stored.winners} for each person` : ''}.</p>${text === null ? nothing : html`<pre>${text}</pre>`}`
    : html`<p>It is gone.</p>`;
  return {
    problems: [{ message }],
    conflict: true,
    shown: html`<div class="panel need" role="group" aria-label="As it is now">${shown}</div>`,
  };
}
