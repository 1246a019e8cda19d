// The accounts that an assignment reaches, whatever its times say, and the stored assignments that do the same.
import { type Database, rows, type Transaction } from '../database/pool.ts';
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

/** The values of a field target as they are compared: without case, order and repeats. */
const wordsOf = (alias: string) =>
  `(select array_agg(distinct entra_sync.folded(v)) from unnest(${alias}.field_values) v)`;

/** Returns the ids of stored assignments with the item, target and options of this one, the oldest first; not those of `made`. */
export async function findSame(
  on: Database | Transaction,
  given: Given,
  made: readonly string[] = [],
): Promise<string[]> {
  const found = await call<{ id: string }>(
    on,
    `select r.assignment_id as id
       from unnest(entra_sync.rules_given(:tenantId, :slot, :item, :target::jsonb, :options::jsonb, '')) g
       join entra_sync.assignments r
         on r.tenant_id = g.tenant_id and r.slot = g.slot and r.item = g.item and r.target = g.target
        and coalesce(r.account_id, r.group_id, r.tenant_id) = coalesce(g.account_id, g.group_id, g.tenant_id)
        and r.is_exception = g.is_exception and r.priority = g.priority
        and r.starts_at is not distinct from g.starts_at and r.ends_at is not distinct from g.ends_at
        and r.field is not distinct from g.field and ${wordsOf('r')} is not distinct from ${wordsOf('g')}
      where r.assignment_id <> all(:made::uuid[])
      order by r.seq`,
    { ...bound(given), made: [...made] },
  );
  return found.map(({ id }) => id);
}
