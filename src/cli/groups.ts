// Finds the group that a word means.
import { ExpectedError } from '../errors.ts';
import { commandWord } from '../rules/shell.ts';
import { type FoundGroup, findGroups } from '../store/accounts/history.ts';
import type { Database } from '../store/database/pool.ts';
import { pickByWords } from './found.ts';
import type { Terminal } from './terminal.ts';

/**
 * Returns the live group that `word` means, else the removed one: by id, name or address, else by words of these. Throws
 * `unknown_name` for none and for several; `accountsToo`: the caller has looked for an account before.
 */
export async function pickGroup(
  terminal: Terminal,
  database: Database,
  tenantId: string | null,
  word: string,
  options: { accountsToo?: boolean } = {},
): Promise<FoundGroup> {
  const named = await findGroups(database, tenantId, word);
  const meant = named.length > 0 ? undefined : await pickByWords(terminal, database, tenantId, word, ['group']);
  const found = meant ? await findGroups(database, meant.tenant_id, meant.group_id ?? '') : named;
  const live = found.filter((one) => one.removed_at === null);
  const candidates = live.length > 0 ? live : found;
  const [group] = candidates;
  if (!group) {
    const cure = `entra-sync find ${commandWord(word)} shows the nearest`;
    if (!options.accountsToo) throw new ExpectedError('unknown_name', `no group is called ${word}`, { cure });
    throw new ExpectedError('unknown_name', `no account and no group is called ${word}`, {
      cure: `${cure}; entra-sync explain says why there is no account`,
    });
  }
  if (candidates.length === 1) return group;
  throw new ExpectedError('unknown_name', `${candidates.length} groups match ${word}`, {
    cure: 'name one by its group id',
    list: candidates.map((one) => `${one.group_id}  ${one.display_name ?? ''}, ${one.tenant_name}`),
  });
}
