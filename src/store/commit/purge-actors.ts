// Whoever is purged may have edited others: as the actor of those edits the person stands there by name or address (rule 7).

import type { Transaction } from '../database/pool.ts';
import type { CommitBindings } from './bindings.ts';

/** By which a person may be called as an actor. */
export type Names = {
  readonly user_principal_name: string | null;
  readonly mail: string | null;
  readonly profile_name: string | null;
  readonly directory_name: string | null;
};

/** Puts `purged` in place of these people wherever they are an actor, whatever the case of the letters. */
export async function forgetActors(
  transaction: Transaction,
  bind: CommitBindings,
  people: readonly Names[],
): Promise<void> {
  const names = people.flatMap(({ user_principal_name, mail, profile_name, directory_name }) =>
    [user_principal_name, mail, profile_name, directory_name].flatMap((name) => name ?? []),
  );
  for (const statement of [inChanges, inEdits]) await transaction.raw(statement, { tenant: bind.tenant, names });
}

const inChanges = `
update entra_sync.changes set actor = 'purged'
 where tenant_id = :tenant and actor <> 'purged' and entra_sync.folded(actor) = any(select entra_sync.folded(n) from unnest(:names::text[]) as n)`;

const inEdits = `
update entra_sync.accounts a
   set edits = (select jsonb_object_agg(e.key, case when entra_sync.folded(e.value ->> 'by') = any(select entra_sync.folded(n) from unnest(:names::text[]) as n)
                                                    then e.value || '{"by": "purged"}' else e.value end)
                  from jsonb_each(a.edits) e)
 where a.tenant_id = :tenant and a.edits <> '{}'
   and exists (select from jsonb_each(a.edits) e where entra_sync.folded(e.value ->> 'by') = any(select entra_sync.folded(n) from unnest(:names::text[]) as n))`;
