// Finds the account that a word means, or shows several to choose from.
import { ExpectedError } from '../errors.ts';
import { asGuid } from '../rules/decode.ts';
import { commandWord } from '../rules/shell.ts';
import { type FoundAccount, findAbsences, findAccounts } from '../store/accounts/explain.ts';
import type { Database } from '../store/database/pool.ts';
import { cut, when } from './format.ts';
import { pickByWords } from './found.ts';
import { table } from './layout.ts';
import type { Terminal } from './terminal.ts';

/** The names of an account that verbs take, as their help tells them. */
export const anyName = 'account id, object id, user principal name or mail, or words of a name';

export type Picked = {
  readonly account: FoundAccount;
  /** Removed accounts that had the same name. */
  readonly others: readonly FoundAccount[];
};

/**
 * Returns the live account that `word` means, else the removed one: by id, name or address, else by words of these. Shows
 * several, and throws `unknown_name`.
 */
export async function pickAccount(
  terminal: Terminal,
  database: Database,
  tenantId: string | null,
  word: string,
): Promise<Picked | undefined> {
  const named = await findAccounts(database, tenantId, word);
  const meant = named.length > 0 ? undefined : await pickByWords(terminal, database, tenantId, word, ['account']);
  const found = meant ? await findAccounts(database, meant.tenant_id, meant.account_id ?? '') : named;
  const live = found.filter((one) => one.removed_at === null);
  const candidates = live.length > 0 ? live : found;
  const [account] = candidates;
  if (account === undefined) return undefined;
  if (candidates.length === 1) return { account, others: found.filter((one) => one !== account) };
  terminal.say(accountTable(found));
  throw new ExpectedError('unknown_name', `${candidates.length} accounts match ${word}`, {
    cure: 'name one by its account id',
    list: terminal.json ? candidates.map((one) => one.account_id) : [],
  });
}

/**
 * Returns the id of the account that `word` means, for what outlives accounts: an id that no account has is returned as
 * it is. Throws `unknown_name` for other words that mean none.
 */
export async function pickAccountId(
  terminal: Terminal,
  database: Database,
  tenantId: string | null,
  word: string,
): Promise<string> {
  const picked = await pickAccount(terminal, database, tenantId, word);
  const id = picked?.account.account_id ?? asGuid(word.trim());
  if (id !== undefined) return id;
  throw new ExpectedError('unknown_name', `there is no account ${word}`, {
    cure: `entra-sync find ${commandWord(word)} shows the nearest, entra-sync explain says why`,
  });
}

/** An account of which only its id and its change rows without values are kept. */
type Purged = {
  readonly account_id: string;
  readonly tenant_id: string;
  readonly tenant_name: string;
  readonly purged_at: Date | null;
};

/** Returns the purged account that had this account id; undefined if none is known. */
export async function findPurged(
  database: Database,
  tenantId: string | null,
  word: string,
): Promise<Purged | undefined> {
  const id = asGuid(word);
  const absences = id === undefined ? [] : await findAbsences(database, tenantId, word);
  const purge = absences.find((one) => one.why === 'purged');
  if (id === undefined || !purge) return undefined;
  return { account_id: id, tenant_id: purge.tenant_id, tenant_name: purge.tenant_name, purged_at: purge.since };
}

/** Throws `unknown_name` for a removed account, which gets no item. */
export function requireLive(account: FoundAccount): void {
  if (account.removed_at === null) return;
  const name = cut(account.display_name ?? account.user_principal_name ?? account.account_id);
  throw new ExpectedError('unknown_name', `${name} was removed ${when(account.removed_at)} and gets nothing`, {
    cure: `entra-sync explain ${account.account_id} says why`,
  });
}

/** Returns accounts as a table to choose from. */
export function accountTable(accounts: readonly FoundAccount[]): string {
  return table(
    [
      { title: 'account', whole: true },
      { title: 'tenant', long: true },
      { title: 'state' },
      { title: 'name', long: true },
      { title: 'user principal name', long: true },
    ],
    accounts.map((one) => [
      one.account_id,
      one.tenant_name,
      one.removed_at === null ? one.state : 'removed',
      one.display_name ?? '',
      one.user_principal_name ?? '',
    ]),
  );
}
