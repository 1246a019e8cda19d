// The inputs of an assignment that can be changed later too: priority, exception, begin and end; and how they are read.
import { z } from 'zod';
import type { Options } from '../../store/accounts/assignments.ts';
import { type LocalTime, momentsIn } from '../../store/console/assignments.ts';
import type { Database } from '../../store/database/pool.ts';
import { type Html, html, nothing } from '../html.ts';
import type { Problem, SentForm } from '../page.ts';
import { typedText } from '../typed.ts';
import { localEndOf, localOf } from '../zone.ts';
import { fieldLine } from './form-parts.ts';

// Programs write the first day of all or the last one, and a change of something else sends it back. The database has no year 0.
const isDay = (text: string) => z.iso.date().safeParse(text).success && text >= '0001';
const aDay = z.string().refine((text) => text === '' || isDay(text), 'Write a day, such as 2026-05-12.');
const aTime = z.string().regex(/^$|^([01]\d|2[0-3]):[0-5]\d$/, 'Write a time of the day, such as 08:30.');

/** The fields of the form, as a browser sends them. */
export const optionFields = {
  priority: z.string().regex(/^\s*[-−]?\d{0,7}\s*$/, 'Write a whole number, such as 10.'),
  except: z.literal('yes').optional(),
  starts: aDay,
  starts_time: aTime,
  ends: aDay,
  ends_time: aTime,
};

type Sent = { readonly [Name in keyof typeof optionFields]: z.output<(typeof optionFields)[Name]> };

/** Returns the options that a form means, or the problem of a time without a day. */
export async function optionsIn(
  database: Database,
  zone: string,
  sent: Sent,
): Promise<{ readonly options: Required<Options> } | { readonly problems: readonly Problem[] }> {
  const alone = (['starts', 'ends'] as const).filter((name) => sent[name] === '' && sent[`${name}_time`] !== '');
  if (alone.length > 0)
    return { problems: alone.map((field) => ({ field, message: 'Say the day too, or take the time away.' })) };
  const local = (name: 'starts' | 'ends'): LocalTime | null =>
    sent[name] === '' ? null : { day: sent[name], time: sent[`${name}_time`] || null };
  const times = await momentsIn(database, zone, { starts: local('starts'), ends: local('ends') });
  const priority = Number(sent.priority.replace('−', '-').trim() || '0');
  return { options: { priority, except: sent.except === 'yes', ...times } };
}

/** Returns the field of the form that a refused argument of the contract is about. */
export function optionField(argument: string | undefined): string | undefined {
  return { priority: 'priority', except: 'except', starts_at: 'starts', ends_at: 'ends' }[argument ?? ''];
}

/** The values that the inputs show before anything is typed. */
export type Kept = {
  readonly priority: number;
  readonly except: boolean;
  readonly starts_at: Date | null;
  readonly ends_at: Date | null;
};

export const none: Kept = { priority: 0, except: false, starts_at: null, ends_at: null };

const noTime = { day: '', time: '' };
const longestDay = '9999-12-31'.length;

/**
 * Returns day and time of begin and end as the inputs show them; an empty time counts whole days. A day that no input holds
 * is shown beside the form alone.
 */
function shownTimes({ starts_at: from, ends_at: to }: Kept, zone: string) {
  const inInput = (one: typeof noTime) => (one.day.length > longestDay ? noTime : one);
  const starts = from ? inInput(localOf(from, zone)) : noTime;
  const ends = to ? inInput(localEndOf(to, zone)) : noTime;
  return { starts: starts.time === '00:00' ? { ...starts, time: '' } : starts, ends };
}

/** Returns the options that a form changes: a stored time has seconds, which an untouched input does not. */
export function changedOptions(sent: Sent, options: Required<Options>, kept: Kept, zone: string): Options {
  const shown = shownTimes(kept, zone);
  const same = (name: 'starts' | 'ends') => sent[name] === shown[name].day && sent[`${name}_time`] === shown[name].time;
  const { starts_at, ends_at, ...rest } = options;
  return { ...rest, ...(same('starts') ? {} : { starts_at }), ...(same('ends') ? {} : { ends_at }) };
}

/** Returns the inputs, with what was typed, else with `kept`. `form`: what came back of this form. */
export function optionInputs(form: SentForm | undefined, zone: string, kept: Kept): Html {
  const { starts, ends } = shownTimes(kept, zone);
  const text = (name: string, stored: string) => typedText(form, name) ?? stored;
  const moment = (name: 'starts' | 'ends', stored: typeof starts) => (attributes: Html) =>
    html`<span class="pair"><input type="date" id="${name}" name="${name}" autocomplete="off" value="${text(name, stored.day)}"${attributes}>
<input type="time" id="${name}_time" name="${name}_time" autocomplete="off" value="${text(`${name}_time`, stored.time)}" aria-label="${name === 'starts' ? 'Begins' : 'Ends'} at this time"></span>`;
  const except = form ? typedText(form, 'except') === 'yes' : kept.except;
  return html`${fieldLine(
    form,
    {
      id: 'priority',
      label: 'Priority',
      under: html`The higher one wins among rules with the same kind of target.`,
    },
    (more) =>
      html`<input type="text" id="priority" name="priority" inputmode="numeric" autocomplete="off" value="${text('priority', String(kept.priority))}"${more}>`,
  )}
${fieldLine(form, { id: 'starts', label: 'Begins', under: html`In ${zone}. Empty: at once; without a time: with the day.` }, moment('starts', starts))}
${fieldLine(form, { id: 'ends', label: 'Ends', under: html`In ${zone}. Empty: never; without a time: with the end of that day.` }, moment('ends', ends))}
${fieldLine(
  form,
  {
    id: 'except',
    label: 'Exception',
    under: html`Ticked, it takes the item away from those it reaches, whatever else gives it.`,
  },
  (more) =>
    html`<input type="checkbox" id="except" name="except" value="yes"${except ? html` checked` : nothing}${more}>`,
)}`;
}
