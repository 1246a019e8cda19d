// A purged account may be the actor of other accounts' edits (rule 7).

import type { Transaction } from '../database/pool.ts';
import type { CommitBindings } from './bindings.ts';

/** The names by which a person may be an actor. */
export type Names = {
  readonly user_principal_name: string | null;
  readonly mail: string | null;
  readonly profile_name: string | null;
  readonly directory_name: string | null;
};

/** Puts `purged` in the place of these actors, ignoring case. */
export async function forgetActors(
  transaction: Transaction,
  bind: CommitBindings,
  people: readonly Names[],
): Promise<void> {
  const names = people.flatMap(({ user_principal_name, mail, profile_name, directory_name }) =>
    [user_principal_name, mail, profile_name, directory_name].flatMap((name) => name ?? []),
  );
  for (const statement of [inChanges, inEdits, inAssignments])
    await transaction.raw(statement, { tenant: bind.tenant, names });
}

const isNamed = (actor: string) =>
  `entra_sync.folded(${actor}) = any(select entra_sync.folded(n) from unnest(:names::text[]) as n)`;

const inChanges = `
update entra_sync.changes set actor = 'purged'
 where tenant_id = :tenant and actor <> 'purged' and ${isNamed('actor')}`;

const inEdits = `
update entra_sync.accounts a
   set edits = (select jsonb_object_agg(e.key, case when ${isNamed("e.value ->> 'by'")}
                                                    then e.value || '{"by": "purged"}' else e.value end)
                  from jsonb_each(a.edits) e)
 where a.tenant_id = :tenant and a.edits <> '{}'
   and exists (select from jsonb_each(a.edits) e where ${isNamed("e.value ->> 'by'")})`;

const inAssignments = `
update entra_sync.assignments set created_by = 'purged'
 where tenant_id = :tenant and created_by <> 'purged' and ${isNamed('created_by')}`;
