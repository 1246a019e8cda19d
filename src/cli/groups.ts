// Finds the group that a word means.
import { ExpectedError } from '../errors.ts';
import { type FoundGroup, findGroups } from '../store/accounts/history.ts';
import type { Database } from '../store/database/pool.ts';

/** Returns the live group that `word` means, else the removed one. Throws `unknown_name` for none and for several. */
export async function pickGroup(database: Database, tenantId: string | null, word: string): Promise<FoundGroup> {
  const found = await findGroups(database, tenantId, word);
  const live = found.filter((one) => one.removed_at === null);
  const candidates = live.length > 0 ? live : found;
  const [group] = candidates;
  if (!group) {
    throw new ExpectedError('unknown_name', `no account and no group is called ${word}`, {
      cure: `entra-sync explain ${JSON.stringify(word)} says why there is no account; groups are named by name, mail or id`,
    });
  }
  if (candidates.length === 1) return group;
  throw new ExpectedError('unknown_name', `${candidates.length} groups match ${word}`, {
    cure: 'name one by its group id',
    list: candidates.map((one) => `${one.group_id}  ${one.display_name ?? ''}, ${one.tenant_name}`),
  });
}
