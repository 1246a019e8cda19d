// How much of a tenant has changed since a page was read, by the feed: exact, whichever transaction committed first.
import { rows, sqlState, type Transaction } from '../database/pool.ts';

/** Returns where the feed stands for this transaction. */
export async function feedPositionIn(read: Transaction): Promise<string> {
  const [row] = await rows<{ position: string }>(read, 'select directory.feed_position() as position');
  return row?.position ?? '';
}

/**
 * Returns how many accounts and groups of the tenant have changed since a position, at most `most`: that many also where
 * the position is no longer known. The transaction is bound to the tenant afterwards.
 */
export async function countChangesSince(
  read: Transaction,
  tenantId: string,
  since: string,
  most: number,
): Promise<number> {
  try {
    await rows(read, "select set_config('directory.tenant', :tenantId, true)", { tenantId });
    const [row] = await rows<{ things: number; changes: number }>(
      read,
      `select count(distinct coalesce(c.account_id, c.group_id, c.tenant_id))::int as things, count(*)::int as changes
         from directory.read_changes(:since, :most) c`,
      { since, most },
    );
    return !row || row.changes >= most ? most : row.things;
  } catch (error) {
    if (sqlState(error) === 'ES006') return most;
    throw error;
  }
}
