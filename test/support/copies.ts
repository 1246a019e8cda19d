// Copies of a tenant, taken while a history runs, and compared at its end with the tenant as the contract shows it then.
import { expect } from 'vitest';
import { type Database, rows } from '../../src/store/database/pool.ts';

type Account = { account_id: string } & Record<string, unknown>;
type Membership = Record<string, unknown>;

/** A tenant at a moment of the database's clock; `told`: by account, the manager whose values it shows. */
export type Copy = { at: string; accounts: Account[]; memberships: Membership[]; told: Record<string, string> };

/** Copies the tenant's live accounts and its memberships. Nothing may write at the same time. */
export async function takeCopy(database: Database, tenantId: string): Promise<Copy | undefined> {
  // Numbering raises the times of batches.
  await database.raw('select entra_sync.number_batches()');
  const batches = await rows(database, 'select from entra_sync.batches where tenant_id = :tenantId limit 1', {
    tenantId,
  });
  if (batches.length === 0) return undefined;
  const accounts = await rows<Account>(
    database,
    `select account_id, entra_object_id, state, enabled, user_principal_name, mail, jsonb_strip_nulls(profile) as profile
       from directory.accounts where tenant_id = :tenantId order by account_id`,
    { tenantId },
  );
  const memberships = await rows<Membership>(database, `${membershipsOf('directory.memberships')}`, { tenantId });
  // Microseconds, which a Date does not hold.
  const [now] = await rows<{ at: string }>(database, 'select clock_timestamp()::text as at');
  const told = await rows<{ id: string; manager: string }>(
    database,
    `select account_id as id, told_manager as manager from entra_sync.accounts
      where tenant_id = :tenantId and told_manager is not null`,
    { tenantId },
  );
  return {
    at: now?.at ?? '',
    accounts,
    memberships,
    told: Object.fromEntries(told.map(({ id, manager }) => [id, manager])),
  };
}

const membershipsOf = (source: string) => `
select group_id, member_kind, account_id, member_group_id from ${source}
 where tenant_id = :tenantId order by 1, 2, 3, 4`;

/** Expects that each copy equals the tenant as of its moment. Of accounts purged since, the ids alone are compared. */
export async function expectAsOf(database: Database, tenantId: string, copies: readonly Copy[]): Promise<void> {
  const [kept] = await rows<{ ids: string[] | null; fields: string[] }>(
    database,
    `select array_agg(account_id) as ids, entra_sync.manager_fields(:tenantId) as fields
       from entra_sync.accounts where tenant_id = :tenantId`,
    { tenantId },
  );
  for (const { at, accounts, memberships, told } of copies) {
    // The values of a purged manager are blanked where others showed them.
    const asTold = (account: Account): Account => {
      const manager = told[account.account_id];
      if (manager === undefined || kept?.ids?.includes(manager)) return account;
      const profile = Object.entries(account.profile as object).filter(([field]) => !kept?.fields.includes(field));
      return { ...account, profile: Object.fromEntries(profile) };
    };
    const then = await rows<Account & { erased: boolean }>(
      database,
      `select account_id, entra_object_id, state, enabled, user_principal_name, mail, profile, erased
         from entra_sync.accounts_then(:tenantId, :at) order by account_id`,
      { tenantId, at },
    );
    const erased = new Set(then.filter((account) => account.erased).map(({ account_id }) => account_id));
    const nothing = { entra_object_id: null, state: null, enabled: null, user_principal_name: null, mail: null };
    expect(then, `accounts at ${at}`).toEqual(
      accounts.map((account) =>
        erased.has(account.account_id)
          ? { account_id: account.account_id, ...nothing, profile: null, erased: true }
          : { ...asTold(account), erased: false },
      ),
    );
    expect(
      await rows(database, membershipsOf('directory.memberships_at(:tenantId, :at)'), { tenantId, at }),
      `memberships at ${at}`,
    ).toEqual(memberships);
  }
}
