// The meaning of words: the one account or group that fits, or a table to choose from.
import { ExpectedError } from '../errors.ts';
import { commandWord } from '../rules/shell.ts';
import { type Found, findByWords } from '../store/accounts/find.ts';
import type { Database } from '../store/database/pool.ts';
import { count, plural } from './format.ts';
import { table } from './layout.ts';
import type { Terminal } from './terminal.ts';

const most = 20;
const read = 200;

/**
 * Returns the account or group of these kinds that `words` mean: the only one whose words they are, else the only one that
 * they fit; live ones before removed ones. Undefined if none fits. Shows several, and throws `unknown_name`.
 */
export async function pickByWords(
  terminal: Terminal,
  database: Database,
  tenantId: string | null,
  words: string,
  kinds: ReadonlyArray<Found['kind']>,
): Promise<Found | undefined> {
  if (words.trim() === '') {
    throw new ExpectedError('usage', `an empty word names no ${kinds.join(' and no ')}`, {
      cure: 'give a name, an address or an id',
    });
  }
  const found = await findByWords(database, tenantId, words, read);
  // A group that was set aside before it was stored has no id here.
  const isHere = (one: Found) => one.account_id !== null || one.group_id !== null;
  const fitting = found.filter((one) => one.fit !== 'near' && kinds.includes(one.kind) && isHere(one));
  const live = fitting.filter((one) => one.state !== 'removed');
  const candidates = live.length > 0 ? live : fitting;
  const exact = candidates.filter((one) => one.fit === 'id' || one.fit === 'whole');
  const [picked] = exact.length === 1 ? exact : candidates;
  if (!picked) return undefined;
  if (exact.length === 1 || candidates.length === 1) {
    terminal.note(`${words}: ${nameOf(picked)}, ${picked.tenant_name}`);
    return picked;
  }
  terminal.say(foundTable(candidates.slice(0, most)));
  const atLeast = found.length < read ? '' : 'at least ';
  if (candidates.length > most) terminal.say(`\n… and ${atLeast}${count(candidates.length - most)} more`);
  const tenants = new Set(candidates.map((one) => one.tenant_id)).size;
  throw new ExpectedError('unknown_name', `${atLeast}${plural(candidates.length, picked.kind)} match ${words}`, {
    cure: `name one by its id or address, or write more of the name${tenants > 1 ? ', or name the tenant' : ''}: entra-sync find ${commandWord(words)}`,
    list: terminal.json ? candidates.slice(0, most).map((one) => one.account_id ?? one.group_id ?? '') : [],
  });
}

/** The most lines that `find` shows. */
export const mostFound = 1_000;

/** Returns in words how more is found than this number of lines. */
export function wayToMore(limit: number): string {
  return limit < mostFound
    ? `--limit ${Math.min(limit * 10, mostFound)}, or another word`
    : 'another word, or --tenant';
}

/** Returns the best name of what was found. */
export function nameOf(one: Found): string {
  return one.display_name ?? one.user_principal_name ?? one.mail ?? one.entra_object_id ?? '';
}

/** Returns what was found as a table; `several` names the tenants. */
export function foundTable(found: readonly Found[]): string {
  const several = new Set(found.map((one) => one.tenant_id)).size > 1;
  return table(
    [
      { title: 'what' },
      { title: 'name', long: true },
      { title: 'user principal name or mail', long: true },
      ...(several ? [{ title: 'tenant', long: true }] : []),
      { title: 'state' },
      { title: 'id', whole: true },
    ],
    found.map((one) => [
      one.kind,
      one.display_name ?? '',
      one.user_principal_name ?? one.mail ?? '',
      ...(several ? [one.tenant_name] : []),
      one.state.replaceAll('_', ' '),
      one.account_id ?? one.group_id ?? one.entra_object_id ?? '',
    ]),
  );
}
