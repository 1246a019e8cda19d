// What an assignment reaches that is given, whatever its times say.
import { type Database, rows } from '../database/pool.ts';
import { call } from './accounts.ts';
import { bound, type Given } from './assignments.ts';

/** A value of a field, and how many accounts have it. */
export type FrequentValue = { readonly value: string; readonly accounts: number };

/** Returns how many live accounts the assignment reaches. */
export async function countReached(database: Database, given: Given): Promise<number> {
  const [row] = await call<{ accounts: number }>(
    database,
    `select cardinality(entra_sync.reached_by(:tenantId, entra_sync.rules_given(
       :tenantId, :slot, :item, :target::jsonb, :options::jsonb, ''))) as accounts`,
    bound(given),
  );
  return row?.accounts ?? 0;
}

/** Returns the values that most accounts have in a field, without case; 'private': they are for the person alone. */
export async function frequentValues(
  database: Database,
  tenantId: string,
  field: string,
): Promise<'private' | FrequentValue[]> {
  const [rule] = await rows<{ hidden: boolean }>(
    database,
    'select :field = any(entra_sync.private_fields(:tenantId)) as hidden',
    { tenantId, field },
  );
  if (rule?.hidden !== false) return 'private';
  return rows<FrequentValue>(
    database,
    `select mode() within group (order by e #>> '{}') as value, count(distinct a.account_id)::int as accounts
       from directory.accounts a
      cross join lateral (select a.profile -> :field as value) f
      cross join lateral jsonb_array_elements(
        case jsonb_typeof(f.value) when 'array' then f.value else jsonb_build_array(f.value) end) e
      where a.tenant_id = :tenantId and jsonb_typeof(e) in ('string', 'number', 'boolean') and e #>> '{}' <> ''
      group by entra_sync.folded(e #>> '{}')
      order by accounts desc, value limit 5`,
    { tenantId, field },
  );
}
