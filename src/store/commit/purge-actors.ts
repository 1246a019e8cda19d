// A purged account may be the actor of other accounts' edits (rule 7).
import { isOwnActor } from '../../rules/own-actors.ts';
import { rows, type Transaction } from '../database/pool.ts';

/** The names by which a person may be an actor. */
export type Names = {
  readonly account_id: string;
  readonly entra_object_id: string | null;
  readonly user_principal_name: string | null;
  readonly mail: string | null;
  readonly profile_name: string | null;
  readonly directory_name: string | null;
};

/** Puts `purged` in the place of these actors, ignoring case. The change rows of their accounts still have earlier names. */
export async function forgetActors(
  transaction: Transaction,
  { tenant }: { readonly tenant: string },
  people: readonly Names[],
): Promise<void> {
  const given = people.flatMap((one) => [
    ...[one.user_principal_name, one.mail, one.profile_name, one.directory_name].flatMap((name) => name ?? []),
    `account:${one.account_id}`,
    ...(one.entra_object_id === null ? [] : [`entra:${tenant}/${one.entra_object_id}`]),
  ]);
  const earlier = await rows<{ name: string }>(transaction, earlierNames, {
    tenant,
    ids: people.map((one) => one.account_id),
  });
  const names = [...given, ...earlier.map(({ name }) => name)].filter((name) => !isOwnActor(name));
  await transaction.raw('select entra_sync.forget_in_audit(:tenant, :names, :ids)', {
    tenant,
    names,
    ids: people.map((one) => one.account_id),
  });
  await transaction.raw(sessionsOf, { tenant, names });
  for (const statement of [inChanges, inEdits, inCycles, inRequests, inAssignments])
    await transaction.raw(statement, { tenant, names });
}

const earlierNames = `
select distinct n.name
  from entra_sync.changes c
 cross join lateral unnest(array[c.before, c.after]) as f (facts)
 cross join lateral unnest(array[
   f.facts ->> 'user_principal_name', f.facts ->> 'mail', f.facts -> 'profile' ->> 'displayName',
   f.facts -> 'directory' ->> 'displayName']) as n (name)
 where c.tenant_id = :tenant and c.account_id = any(:ids::uuid[]) and c.kind like 'account.%' and n.name <> ''`;

const isNamed = (actor: string) =>
  `entra_sync.folded(${actor}) = any(select entra_sync.folded(n) from unnest(:names::text[]) as n)`;

const inChanges = `
update entra_sync.changes set actor = 'purged'
 where tenant_id = :tenant and actor <> 'purged' and ${isNamed('actor')}`;

const sessionsOf = `
delete from entra_sync.sessions
 where tenant_id = :tenant and 'entra:' || tenant_id || '/' || entra_object_id = any(:names)`;

const inCycles = `
update entra_sync.cycles set actor = 'purged'
 where tenant_id = :tenant and actor <> 'purged' and ${isNamed('actor')}`;

const inRequests = `
update entra_sync.cycle_requests set actor = 'purged'
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
