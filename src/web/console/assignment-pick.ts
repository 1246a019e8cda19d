// The group and the people that a form names by words: the one that fits, or a choice of several.
import { asGuid } from '../../rules/decode.ts';
import { findAccounts } from '../../store/accounts/explain.ts';
import { findByWords } from '../../store/accounts/find.ts';
import { findGroups } from '../../store/accounts/history.ts';
import type { Database } from '../../store/database/pool.ts';
import { type Html, html, nothing } from '../html.ts';
import type { Problem, View } from '../page.ts';

/** The object that was meant, or why it is not known yet; `shown`: a choice, as inputs for the form. */
export type Picked<Meant> =
  | { readonly meant: Meant }
  | { readonly problems: readonly Problem[]; readonly shown?: Html };

type Named = { readonly id: string; readonly name: string; readonly more: string };

const mostShown = 20;
const mostPeople = 1_000;

/** Returns the live group that a word names: by id, name, address, or words of these. `chosen`: an id of the choice. */
export async function pickGroup(
  database: Database,
  tenantId: string,
  { word, chosen, field, input }: { word: string; chosen: string | undefined; field: string; input: string },
): Promise<Picked<Named>> {
  if (word.trim() === '') return { problems: [{ field, message: 'Write the name of a group.' }] };
  const exact = (await findGroups(database, tenantId, word.trim())).filter(
    (one) => one.removed_at === null && one.copied,
  );
  const found: Named[] =
    exact.length > 0
      ? exact.map((one) => ({ id: one.group_id, name: one.display_name ?? '', more: one.entra_object_id }))
      : (await findByWords(database, tenantId, word, 100)).flatMap((one) =>
          one.group_id === null || one.state === 'removed' || one.state === 'not_copied'
            ? []
            : [{ id: one.group_id, name: one.display_name ?? '', more: one.entra_object_id ?? '' }],
        );
  const [only] = found;
  const picked = found.find(({ id }) => id === chosen) ?? (found.length === 1 && exact.length === 1 ? only : undefined);
  if (picked) return { meant: picked };
  if (!only) return { problems: [{ field, message: `No group is called ${word.trim()}.` }] };
  return {
    problems: [{ field, message: `Choose the group that you mean by ${word.trim()}.` }],
    shown: choice('radio', input, 'Which group?', found),
  };
}

/**
 * Returns the live people that lines of text name, one a line: by id or name, and by address where the viewer sees
 * addresses. `chosen`: ids of the choice that was shown for lines with several.
 */
export async function pickPeople(
  database: Database,
  view: View<unknown>,
  { text, chosen, field, input }: { text: string; chosen: readonly string[]; field: string; input: string },
): Promise<Picked<readonly Named[]>> {
  const tenantId = view.params.tenant ?? '';
  const words = [...new Set(text.split(/[\r\n;]+/).map((line) => line.trim()))].filter((line) => line !== '');
  if (words.length === 0) return { problems: [{ field, message: 'Write a person, or several, one a line.' }] };
  if (words.length > mostPeople) return { problems: [{ field, message: `At most ${mostPeople} people at a time.` }] };
  const meant: Named[] = [];
  const problems: Problem[] = [];
  const open: Named[] = [];
  for (const word of words) {
    // A word that no name has costs a look at all words of the tenant.
    if (problems.length >= mostShown) {
      problems.push({ field, message: 'The other lines are not looked at yet.' });
      break;
    }
    const found = await peopleCalled(database, view, tenantId, word);
    const picked = found.filter(({ id }) => chosen.includes(id));
    const [first, second] = found.filter((one) => isExact(one, word));
    if (picked.length > 0) meant.push(...picked);
    else if (first && !second) meant.push(first);
    else if (found.length === 0) problems.push({ field, message: `No person is called ${word}.` });
    else {
      open.push(...found.slice(0, mostShown));
      problems.push({ field, message: `Choose whether ${word} is one of the people below.` });
    }
  }
  if (problems.length === 0) return { meant: [...new Map(meant.map((one) => [one.id, one])).values()] };
  // Those that were ticked stay ticked.
  return {
    problems,
    ...(open.length > 0 && { shown: choice('checkbox', input, 'Who is meant?', open, chosen) }),
  };
}

/** Returns the ids of a choice as hidden inputs: the form that comes back with what it does shows the choice no more. */
export const chosenInputs = (input: string, ids: readonly string[]): Html =>
  html`${ids.map((id) => html`<input type="hidden" name="${input}" value="${id}">`)}`;

type Person = Named & { readonly keys: readonly (string | null)[] };

const isExact = (one: Person, word: string) =>
  one.keys.some((key) => key !== null && key.toLowerCase() === word.toLowerCase());

/** Returns live people whose id, name or address is or has this word. A viewer without addresses finds by names alone. */
async function peopleCalled(
  database: Database,
  view: View<unknown>,
  tenantId: string,
  word: string,
): Promise<Person[]> {
  const wide = view.may('GET /console/t/:tenant/people');
  const exact = (wide || asGuid(word) !== undefined ? await findAccounts(database, tenantId, word) : []).filter(
    (one) => one.removed_at === null && (wide || one.account_id === asGuid(word)),
  );
  if (exact.length > 0)
    return exact.map((one) => ({
      ...{ id: one.account_id, name: one.display_name ?? one.account_id },
      ...{ more: wide ? (one.user_principal_name ?? '') : '', keys: [word] },
    }));
  const found = await findByWords(database, tenantId, word, 200);
  return found.flatMap((one) =>
    one.account_id === null || one.state === 'removed' || !(wide || hasWords(one.display_name, word))
      ? []
      : [
          {
            ...{ id: one.account_id, name: one.display_name ?? one.account_id },
            ...{ more: wide ? (one.user_principal_name ?? '') : '', keys: [one.display_name] },
          },
        ],
  );
}

const folded = (text: string) => text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase();

/** Returns whether a name has each of these words, so that a mail address that has them finds no person. */
export function hasWords(name: string | null, words: string): boolean {
  const whole = folded(name ?? '');
  return folded(words)
    .split(/\s+/)
    .every((word) => whole.includes(word));
}

function choice(
  type: 'radio' | 'checkbox',
  input: string,
  legend: string,
  found: readonly Named[],
  chosen: readonly string[] = [],
): Html {
  const lines = found
    .slice(0, mostShown)
    .map(
      ({ id, name, more }) =>
        html`<li><label><input type="${type}" name="${input}" value="${id}"${chosen.includes(id) ? html` checked` : nothing}> ${name}${more === '' ? nothing : html` <small>${more}</small>`}</label></li>`,
    );
  return html`<fieldset class="panel need"><legend>${legend}</legend><ul class="choice">${lines}</ul>${
    found.length > mostShown ? html`<p class="lead">The first ${mostShown}. A longer name shows fewer.</p>` : nothing
  }<div class="acts"><button name="act" value="look">Go on</button></div></fieldset>`;
}
