// Times in the time zone of a tenant, as assignments take and show them.
import type { SettingsDocument } from '../settings/settings.ts';
import { type Html, html } from './html.ts';

/** The zone where a tenant names none. */
const usual = 'UTC';

/** Returns the time zone of a tenant: `timeZone` of its settings, the installation's first, or UTC. */
export function zoneOf(stored: readonly { readonly document: SettingsDocument }[]): string {
  const zone = stored.map(({ document }) => document.timeZone).findLast((one) => one !== undefined);
  return zone !== undefined && isZone(zone) ? zone : usual;
}

function isZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/** Returns day and time of a moment in a zone, as inputs of a form have them; the day of a year beyond 9999 is longer. */
export function localOf(moment: Date, zone: string): { readonly day: string; readonly time: string } {
  // The Swedish form is that of the inputs: 2026-05-12 08:30.
  const format = { timeZone: zone, dateStyle: 'short', timeStyle: 'short' } as const;
  const [day = '', time = ''] = new Intl.DateTimeFormat('sv-SE', format).format(moment).split(' ');
  // The form leaves the zeros of early years out.
  return { day: day.padStart(10, '0'), time };
}

/** Returns day and time of an end: one at midnight is that of the whole day before. */
export function localEndOf(moment: Date, zone: string): { readonly day: string; readonly time: string } {
  const { day, time } = localOf(moment, zone);
  return time === '00:00' ? { day: localOf(new Date(moment.getTime() - 1), zone).day, time: '' } : { day, time };
}

const shortDay = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });

/** Returns a beginning or an end in words: "12 May 2026", with the time unless it counts whole days. */
export function shownIn(moment: Date, zone: string, kind: 'start' | 'end'): Html {
  const { day, time } = kind === 'end' ? localEndOf(moment, zone) : localOf(moment, zone);
  // Programs write the last moment that they know for "never", and some zones have it in a year of five digits.
  const date = new Date(`${day}T00:00:00Z`);
  const words = Number.isNaN(date.getTime()) ? day : shortDay.format(date);
  const whole = kind === 'end' ? time === '' : time === '00:00';
  const utc = `${moment.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  return html`<time datetime="${moment.toISOString()}" title="${utc}">${words}${whole ? '' : ` ${time}`}</time>`;
}
