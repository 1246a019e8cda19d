// The settings of a tenant as the console shows them.
import { rows, type Transaction } from '../database/pool.ts';

export type ShownField = {
  readonly field: string;
  readonly owner: 'directory' | 'user';
  readonly editable_by: readonly string[];
  readonly mapped_from: string | null;
};

/** Returns the fields of the profile of a tenant, by name. */
export function fieldsOf(read: Transaction, tenantId: string): Promise<ShownField[]> {
  return rows<ShownField>(
    read,
    `select field, owner, array(select unnest(editable_by)::text) as editable_by, mapped_from
       from directory.fields where tenant_id = :tenantId order by field`,
    { tenantId },
  );
}
