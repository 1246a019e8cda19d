// The one script of the pages: a line that says how many things changed since the page was loaded, with a link that loads
// it again. It replaces nothing that is read. Without script there is no such line, and all else is the same.
import { createHash } from 'node:crypto';
import { feedPositionIn } from '../store/console/news.ts';
import type { Transaction } from '../store/database/pool.ts';
import { type Html, hashOf, html, nothing } from './html.ts';

/** The milliseconds between two looks. They double with each line that is told, up to `longestMs`. */
export const lookMs = 15_000;
const longestMs = 300_000;

// A tab in the background asks nothing. The node of the link stays, since it may have the focus. An answer that is
// neither a number nor a fault that passes ends it: the session is over.
const script = `const line = document.querySelector('[data-news]');
const { news, to, one, many, most, reload } = line.dataset;
const words = document.createElement('span');
let told = 0, wait = ${lookMs}, timer, looking = false;

function tell(count) {
  if (count === told) return;
  told = count;
  wait = Math.min(wait * 2, ${longestMs});
  words.textContent = count > 99 ? most : count === 1 ? one : many.replace('{n}', count);
  if (words.isConnected) return;
  const link = document.createElement('a');
  link.href = to;
  link.textContent = reload;
  line.append(words, ' ', link);
}

async function look() {
  if (looking) return;
  looking = true;
  let over = false;
  try {
    const answer = await fetch(news, { redirect: 'manual' });
    if (answer.ok) tell(Number(await answer.text()));
    else over = answer.status !== 429 && answer.status < 500;
  } catch {
    // The server or the network is away for a moment.
  }
  looking = false;
  if (over) document.removeEventListener('visibilitychange', change);
  else next();
}

function next() {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(look, wait);
}

function change() {
  clearTimeout(timer);
  if (!document.hidden) look();
}

document.addEventListener('visibilitychange', change);
next();
`;

/** The script as it is served; its path has its hash, so that a browser may keep it. */
export const newsScript = {
  text: script,
  route: 'GET /news.js',
  path: '/news.js',
  version: createHash('sha256').update(script).digest('hex').slice(0, 12),
  /** The source of a policy that allows it, with the attribute `integrity` of the same hash. */
  source: hashOf(script),
  integrity: hashOf(script).replaceAll("'", ''),
} as const;

/** The words of the line, in the language of its page. `many` has `{n}` for the number. */
export type NewsWords = {
  readonly one: string;
  readonly many: string;
  readonly most: string;
  readonly reload: string;
};

/** The longest mark of a page, in characters. */
export const longestMark = 1_000;

/** Returns the mark from which a page counts the changes. */
export async function newsMark(read: Transaction): Promise<string | undefined> {
  const mark = await feedPositionIn(read);
  return mark.length <= longestMark ? mark : undefined;
}

/**
 * Returns the line, still empty, and the script that fills it; nothing without an address of the question, which is as
 * `view.href` makes it.
 */
export function newsLine(
  view: { href(path: string, query?: Readonly<Record<string, string>>): string; here(): string },
  question: string | undefined,
  { one, many, most, reload }: NewsWords,
): Html {
  if (question === undefined) return nothing;
  const { path: file, version: v, integrity } = newsScript;
  return html`<div class="news" role="status" aria-live="polite" data-news="${question}" data-to="${view.here()}" data-one="${one}" data-many="${many}" data-most="${most}" data-reload="${reload}"></div>
<script type="module" src="${view.href(file, { v })}" integrity="${integrity}"></script>`;
}
