// Words of accounts that came many at once (rule 32).
import { type Database, rows } from '../database/pool.ts';

/**
 * Keeps the words by which the new accounts of a tenant are found, a lot a transaction, each lot once, until `signal` is
 * aborted. Accounts that an open edit holds stay due.
 */
export async function keepNewWords(database: Database, tenantId: string, signal?: AbortSignal): Promise<void> {
  for (let after: string | null = '0'; after !== null && !signal?.aborted; ) {
    const [kept]: { lot: string | null }[] = await rows(
      database,
      'select entra_sync.keep_words_due(:tenantId, :after) as lot',
      { tenantId, after },
    );
    after = kept?.lot ?? null;
  }
}

/** Returns the tenants in which {@link keepNewWords} has something to do. */
export async function tenantsWithNewWords(database: Database): Promise<string[]> {
  const due = await rows<{ tenant_id: string }>(
    database,
    'select distinct tenant_id from entra_sync.words_due order by 1',
    {},
  );
  return due.map((one) => one.tenant_id);
}

/** Returns how many accounts, of a tenant or of all, are not found by their words yet. */
export async function countNewWords(database: Database, tenantId: string | null): Promise<number> {
  const [due] = await rows<{ accounts: number }>(
    database,
    `select coalesce(sum(cardinality(account_nos)), 0)::int as accounts from entra_sync.words_due
      where :tenantId::uuid is null or tenant_id = :tenantId`,
    { tenantId },
  );
  return due?.accounts ?? 0;
}
