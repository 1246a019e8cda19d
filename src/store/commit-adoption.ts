// Who is recognised: accounts that people made, and those that were released, become managed (rules 20, 25). Bound by
// object id first; a manual account that was never bound by a match key, one to one, or not at all.
import type { MatchKey } from '../rules/mapping.ts';
import type { CommitScope } from './commit.ts';
import { stageProblems } from './doubts.ts';
import { rowCount, rows, type Transaction } from './pool.ts';

/** Adopts the accounts of staged people. People whose match is ambiguous are set aside and leave the stage. Part of `applyUsers`. */
export async function adoptAccounts(
  transaction: Transaction,
  scope: CommitScope,
): Promise<{ adopted: number; restored: number }> {
  const pairs = await rows<Pair>(transaction, released, scope);
  for (const key of scope.match) {
    const candidates = await rows<Candidate>(transaction, candidatesBy(matchColumns[key]), {
      ...scope,
      taken: pairs.map((pair) => pair.account_id),
      matched: pairs.map((pair) => pair.entra_object_id),
    });
    pairs.push(...candidates.filter((one) => one.accounts === 1 && one.people === 1));
    await setAsideAmbiguous(transaction, scope, key, candidates);
  }
  if (pairs.length === 0) return { adopted: 0, restored: 0 };
  const bind = {
    ...scope,
    accountIds: pairs.map((pair) => pair.account_id),
    objectIds: pairs.map((pair) => pair.entra_object_id),
  };
  await transaction.raw(
    'select from entra_sync.accounts where account_id = any(:accountIds::uuid[]) order by account_id for update',
    bind,
  );
  const written = await rows<{ kind: string; count: number }>(transaction, adopt, bind);
  const count = (kind: string) => written.find((row) => row.kind === kind)?.count ?? 0;
  return { adopted: count('account.adopted'), restored: count('account.restored') };
}

/** Adopts groups that were released, by object id. Part of `applyGroups`, before groups are updated. */
export async function adoptGroups(transaction: Transaction, scope: CommitScope): Promise<number> {
  return rowCount(
    transaction,
    `with written as (
       update entra_sync.groups g set state = 'managed', updated_at = now()
         from entra_sync.stage_groups s
        where s.round_id = :round and s.removed is null and g.tenant_id = :tenant and g.entra_object_id = s.entra_object_id
          and g.state = 'manual'
       returning g.group_id
     )
     insert into entra_sync.changes (batch_id, tenant_id, cycle_id, actor, kind, group_id, before, after)
     select :batch, :tenant, :cycle, :actor, 'group.adopted', group_id, '{"state": "manual"}', '{"state": "managed"}' from written`,
    scope,
  );
}

const matchColumns = { mail: 'mail', userPrincipalName: 'user_principal_name' } as const satisfies Record<
  MatchKey,
  string
>;

type Pair = { account_id: string; entra_object_id: string };
type Candidate = Pair & { accounts: number; people: number };

// Released by a disconnect, or kept by a person's decision: whoever Graph shows live again is managed again.
const released = `
select a.account_id, s.entra_object_id
  from entra_sync.stage_users s
  join entra_sync.accounts a on a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id and a.state = 'manual'
 where s.round_id = :round and s.removed is null and s.in_scope`;

/** People without an account and manual accounts without an object that share a key, with how many share it. */
const candidatesBy = (column: string) => `
with person as (
  select s.entra_object_id, lower(s.${column}) as key
    from entra_sync.stage_users s
   where s.round_id = :round and s.removed is null and s.in_scope and s.${column} <> ''
     and not exists (select from entra_sync.accounts a where a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id)
     and s.entra_object_id <> all(:matched::uuid[])
), pair as (
  select p.entra_object_id, a.account_id
    from person p
    join entra_sync.accounts a on a.tenant_id = :tenant and a.state = 'manual' and a.removed_at is null
     and a.entra_object_id is null and lower(a.${column}) = p.key
   where a.account_id <> all(:taken::uuid[])
)
select account_id, entra_object_id, count(*) over (partition by entra_object_id)::int as accounts,
       count(*) over (partition by account_id)::int as people
  from pair`;

async function setAsideAmbiguous(
  transaction: Transaction,
  scope: CommitScope,
  key: MatchKey,
  candidates: readonly Candidate[],
): Promise<void> {
  const ambiguous = candidates.filter((one) => one.accounts > 1 || one.people > 1);
  if (ambiguous.length === 0) return;
  const problems = ambiguous.map((one) => ({
    key: one.entra_object_id,
    reason:
      one.accounts > 1
        ? `ambiguous match: ${one.accounts} manual accounts have its ${key}`
        : `ambiguous match: ${one.people} people have the ${key} of one manual account`,
  }));
  await stageProblems(transaction, scope.round, problems);
  await transaction.raw(
    'delete from entra_sync.stage_users where round_id = :round and entra_object_id = any(:ids::uuid[])',
    { ...scope, ids: ambiguous.map((one) => one.entra_object_id) },
  );
}

// What people gave stays: in force where the user owns the field, on the shelf elsewhere. What was edited last, in the
// overrides, wins over what lay on the shelf before.
const adopt = `
with pair as materialized (
  select a.account_id, a.removed_reason, a.entra_object_id is null as is_new, entra_sync.account_facts(a) as old_facts,
         a.shelf || a.overrides as given, entra_sync.user_owned(:tenant, a.shelf || a.overrides) as kept,
         s.entra_object_id, s.source, s.mapped, s.user_principal_name, s.mail, s.enabled
    from unnest(:accountIds::uuid[], :objectIds::uuid[]) as m (account_id, object_id)
    join entra_sync.accounts a on a.account_id = m.account_id
    join entra_sync.stage_users s on s.round_id = :round and s.entra_object_id = m.object_id
), written as (
  update entra_sync.accounts a
     set entra_object_id = p.entra_object_id, state = 'managed', source = p.source, mapped = p.mapped,
         user_principal_name = p.user_principal_name, mail = p.mail, enabled = p.enabled,
         overrides = p.kept, shelf = entra_sync.without_keys(p.given, p.kept),
         removed_at = null, removed_reason = null, purge_at = null, removal_approved = false, updated_at = now()
    from pair p where a.account_id = p.account_id
  returning a.account_id, p.removed_reason, p.old_facts, entra_sync.account_facts(a) as new_facts
), change as (
  insert into entra_sync.changes (batch_id, tenant_id, cycle_id, actor, kind, account_id, before, after)
  select :batch, :tenant, :cycle, :actor, case when removed_reason is null then 'account.adopted' else 'account.restored' end, account_id,
         case when removed_reason is null then entra_sync.differing_facts(old_facts, new_facts) else jsonb_build_object('removed', removed_reason) end,
         case when removed_reason is null then entra_sync.differing_facts(new_facts, old_facts) else new_facts end
    from written
  returning kind
)
select kind, count(*)::int as count from change group by kind`;
