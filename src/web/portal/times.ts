// Times as people of a tenant read them: in its time zone, in the language of the page.
import { type Html, html } from '../html.ts';
import type { View } from '../page.ts';
import type { Head } from './frame.ts';

/** Returns a time with its day, as `12 Nov 2026, 15:54`. */
export function timeOf(time: Date, view: View<unknown>, { timeZone }: Pick<Head, 'timeZone'>): Html {
  const format = new Intl.DateTimeFormat(view.language.tag, { dateStyle: 'medium', timeStyle: 'short', timeZone });
  return html`<time datetime="${time.toISOString()}">${format.format(time)}</time>`;
}
