// Finds a tenant's accounts by object id, account id, user principal name or mail.
import { asGuid } from '../../rules/decode.ts';
import { type Database, rows, type Transaction } from '../database/pool.ts';

export type KnownAccount = {
  account_id: string;
  entra_object_id: string | null;
  state: string;
  user_principal_name: string | null;
  display_name: string | null;
  removed_at: Date | null;
  removed_reason: string | null;
  purge_at: Date | null;
};

const personColumns = `a.account_id, a.entra_object_id, a.state, a.user_principal_name,
  coalesce(a.profile ->> 'displayName', a.source ->> 'displayName') as display_name,
  a.removed_at, a.removed_reason, a.purge_at`;

/**
 * Returns a tenant's accounts that `word` names, also removed ones: live ones first, of these matches of the user
 * principal name.
 */
export async function findAccountsByWord(
  on: Database | Transaction,
  tenantId: string,
  word: string,
): Promise<KnownAccount[]> {
  return rows<KnownAccount>(
    on,
    `select ${personColumns} from entra_sync.accounts a
      where a.tenant_id = :tenantId
        and (a.entra_object_id = :id::uuid or a.account_id = :id::uuid
             or entra_sync.folded(a.user_principal_name) = entra_sync.folded(:word)
             or entra_sync.folded(a.mail) = entra_sync.folded(:word))
      order by a.removed_at is not null,
               entra_sync.folded(a.user_principal_name) is distinct from entra_sync.folded(:word),
               a.removed_at desc, a.account_id`,
    { tenantId, word, id: asGuid(word) ?? null },
  );
}

/** Returns the account of an object in Entra ID, removed or not. */
export async function accountOfObject(
  on: Database | Transaction,
  tenantId: string,
  entraObjectId: string,
): Promise<KnownAccount | undefined> {
  const [person] = await rows<KnownAccount>(
    on,
    `select ${personColumns} from entra_sync.accounts a
      where a.tenant_id = :tenantId and a.entra_object_id = :entraObjectId`,
    { tenantId, entraObjectId },
  );
  return person;
}
