// HTML templates that escape every value.
import { createHash } from 'node:crypto';
import { escaped } from '../words/template.ts';

/** Text that is HTML already. */
export type Html = { readonly html: string };

/** Returns HTML from a template. Escapes values unless they are HTML, and joins lists. */
export function html(
  parts: TemplateStringsArray,
  ...values: readonly (string | number | Html | readonly Html[])[]
): Html {
  return {
    html: parts.reduce((text, part, index) => text + part + (index < values.length ? show(values[index]) : ''), ''),
  };
}

function show(value: string | number | Html | readonly Html[] | undefined): string {
  if (typeof value === 'object') return 'html' in value ? value.html : value.map((one) => one.html).join('');
  return escaped(String(value ?? ''));
}

export const nothing: Html = { html: '' };

/**
 * Returns HTML from a text of a language: its markup and its `{names}`, whose values are escaped. An unknown name stays
 * as it is.
 */
export function say(text: string, values: Readonly<Record<string, string | number | Html>> = {}): Html {
  const marked = show(text)
    .replaceAll(/\*\*([^*]+)\*\*/g, '<strong>$1</strong>')
    .replaceAll(/\*([^*]+)\*/g, '<em>$1</em>')
    .replaceAll(/`([^`]+)`/g, '<code>$1</code>');
  return {
    html: marked.replaceAll(/\{(\w+)\}/g, (whole, name: string) =>
      Object.hasOwn(values, name) ? show(values[name]) : whole,
    ),
  };
}

/** Returns the mark by which a form that outlives its session tells whose it is. */
export const markOf = ({ actor }: { readonly actor: string }) =>
  createHash('sha256').update(`form of ${actor}`).digest('base64url').slice(0, 16);

/** Returns a form that a page sends to a path of ours, with the token of the session. */
export function postForm(
  view: { readonly token: string; readonly viewer: { readonly actor: string }; href(path: string): string },
  path: string,
  content: Html,
): Html {
  return html`<form method="post" action="${view.href(path)}"><input type="hidden" name="_token" value="${view.token}"><input type="hidden" name="_of" value="${markOf(view.viewer)}">${content}</form>`;
}

/** Returns the source of a policy that allows this style sheet or script, and no other. */
export const hashOf = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Returns a time: in UTC, and by the script in the reader's zone. */
export function moment(time: Date, { tag }: { readonly tag: string }): Html {
  const format = new Intl.DateTimeFormat(tag, {
    ...({
      weekday: 'long',
      year: 'numeric',
      month: 'long',
      day: 'numeric',
      hour: 'numeric',
      minute: '2-digit',
    } as const),
    timeZone: 'UTC',
    timeZoneName: 'short',
  });
  return html`<time datetime="${time.toISOString()}">${format.format(time)}</time>`;
}

const units = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
] as const;

/** Returns a time in relative English words, with the UTC time in its title. `now` is the database's. */
export function ago(time: Date, now: Date): Html {
  const seconds = Math.round((now.getTime() - time.getTime()) / 1_000);
  const [unit, size] = units.find(([, least]) => Math.abs(seconds) >= least) ?? ['s', 1];
  const count = Math.round(Math.abs(seconds) / size);
  const words = Math.abs(seconds) < 5 ? 'just now' : seconds > 0 ? `${count} ${unit} ago` : `in ${count} ${unit}`;
  const utc = `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
  return html`<time datetime="${time.toISOString()}" title="${utc}">${words}</time>`;
}
