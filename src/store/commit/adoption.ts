// Adoption: manual accounts become managed (rules 20, 25), released ones by object id, others by a match key, one to
// one.
import type { Problem } from '../../rules/decode.ts';
import type { MatchKey } from '../../rules/mapping.ts';
import { rowCount, rows, type Transaction } from '../database/pool.ts';
import { liveManaged, liveManual, shownAgain } from '../database/vocabulary.ts';
import { becameManaged, changeRows, restoredFrom } from '../feed/change-rows.ts';
import { stageProblems } from '../stage/problems.ts';
import type { CommitBindings } from './bindings.ts';
import { type StagedKinds, unbound } from './staged-kinds.ts';

/** Adopts the accounts of staged users. Sets users with an ambiguous match aside. Part of `applyUsers`. */
export async function adoptAccounts(
  transaction: Transaction,
  bind: CommitBindings,
  staged: Pick<StagedKinds, 'unknown' | 'unbound' | 'released'>,
): Promise<{ adopted: number; restored: number; setAside: number }> {
  const found = staged.released
    ? await rows<Pair & { rival: string | null }>(transaction, released(bind.match), bind)
    : [];
  const pairs: Pair[] = found.filter((one) => one.rival === null);
  const problems: Problem[] = found.flatMap(({ rival, entra_object_id: key }) =>
    rival === null ? [] : { key, reason: `its account was removed by hand, and a manual account has its ${rival}` },
  );
  for (const key of staged.unknown && staged.unbound ? bind.match : []) {
    const candidates = await rows<Candidate>(transaction, candidatesBy(matchColumns[key]), {
      ...bind,
      taken: pairs.map((pair) => pair.account_id),
      settled: [...pairs.map((pair) => pair.entra_object_id), ...problems.map((problem) => problem.key)],
    });
    pairs.push(...candidates.filter((one) => one.accounts === 1 && one.people === 1));
    problems.push(...ambiguities(key, candidates));
  }
  const left = await setAside(transaction, bind, problems);
  if (pairs.length === 0) return { adopted: 0, restored: 0, setAside: left };
  const paired = {
    ...bind,
    accountIds: pairs.map((pair) => pair.account_id),
    objectIds: pairs.map((pair) => pair.entra_object_id),
  };
  await transaction.raw(
    'select from entra_sync.accounts where account_id = any(:accountIds::uuid[]) order by account_id for update',
    paired,
  );
  const written = await rows<{ kind: string; count: number }>(transaction, adopt, paired);
  const count = (kind: string) => written.find((row) => row.kind === kind)?.count ?? 0;
  return { adopted: count('account.adopted'), restored: count('account.restored'), setAside: left };
}

/** Adopts released groups, by object id. Part of `applyGroups`, before groups are updated. */
export async function adoptGroups(transaction: Transaction, bind: CommitBindings): Promise<number> {
  return rowCount(
    transaction,
    `with written as (
       update entra_sync.groups g set state = 'managed', updated_at = now()
         from entra_sync.stage_groups s
        where s.round_id = :round and s.removed is null
          and g.tenant_id = :tenant and g.entra_object_id = s.entra_object_id
          and g.state = 'manual' and coalesce(s.copied, true)
       returning g.group_id
     )
     ${changeRows("'group.adopted'", { group_id: 'group_id', ...becameManaged }, 'from written')}`,
    bind,
  );
}

// Begins every reason of an ambiguous match.
const ambiguous = 'ambiguous match';

const matchColumns = { mail: 'mail', userPrincipalName: 'user_principal_name' } as const satisfies Record<
  MatchKey,
  string
>;

type Pair = { account_id: string; entra_object_id: string };
type Candidate = Pair & { accounts: number; people: number };

// Values of manual accounts are stored trimmed; Graph's are not.
const keyOf = (alias: string, column: string) => `entra_sync.folded(entra_sync.trimmed(${alias}.${column}))`;

const sharedKey = (key: MatchKey) => `case when exists (
  select from entra_sync.accounts o
   where o.tenant_id = :tenant and ${liveManual('o')} and o.entra_object_id is null
     and entra_sync.folded(o.${matchColumns[key]}) = ${keyOf('s', matchColumns[key])}) then '${key}' end`;

/**
 * Released accounts whose user Graph shows live again, except those removed by hand beside a manual account with the
 * same key (`rival`).
 */
const released = (match: readonly MatchKey[]) => `
select a.account_id, s.entra_object_id,
       case when a.removed_reason = 'by_hand'
            then (array_remove(array[${match.map(sharedKey).join(', ')}]::text[], null))[1] end as rival
  from entra_sync.stage_users s
  join entra_sync.accounts a on a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id and a.state = 'manual'
 where s.round_id = :round and s.removed is null and s.in_scope and (s.enabled or not a.suspension_rejected)`;

/**
 * Pairs, by key, users without an account and unbound manual accounts, with how many share the key on each side. Users
 * with an account count too; so do, in an on-demand read, users set aside as ambiguous, whose keys are not stored.
 */
const candidatesBy = (column: string) => `
with person as materialized (
  select s.entra_object_id, s.key, s.is_bound,
         count(*) filter (where s.is_bound) over (partition by s.key) as staged_rivals
    from (select s.entra_object_id, ${keyOf('s', column)} as key,
                 s.entra_object_id = any(:settled::uuid[]) or exists (select from entra_sync.accounts a
                   where a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id offset 0) as is_bound
            from entra_sync.stage_users s
           where s.round_id = :round and s.removed is null and s.in_scope) s
   where s.key is not null
), pair as materialized (
  select p.entra_object_id, a.account_id, p.key, p.staged_rivals
    from person p cross join ${accountsWithKey(column, 'p.key')} a
   where not p.is_bound and ${unbound('a')} and a.account_id <> all(:taken::uuid[])
)
select p.account_id, p.entra_object_id, count(*) over (partition by p.entra_object_id)::int as accounts,
       (count(*) over (partition by p.account_id) + p.staged_rivals + r.people)::int as people
  from pair p cross join lateral (
    select count(*) as people from (
      select a.entra_object_id from ${accountsWithKey(column, 'p.key')} a
       where ${liveManaged('a')}
         and not exists (select from entra_sync.stage_users s
                          where s.round_id = :round and s.entra_object_id = a.entra_object_id offset 0)
      union
      select o.object_key::uuid from entra_sync.set_aside o
       where :onDemand::boolean and o.tenant_id = :tenant and o.stream = 'users' and o.reason like '${ambiguous}%'
    ) x offset 0) r`;

// One look-up per key. With a condition on the object id here, Postgres would use that index: it expects few accounts
// without one.
const accountsWithKey = (column: string, key: string) => `lateral (
  select a.account_id, a.tenant_id, a.entra_object_id, a.state, a.removed_at from entra_sync.accounts a
   where a.tenant_id = :tenant and entra_sync.folded(a.${column}) = ${key} offset 0)`;

function ambiguities(key: MatchKey, candidates: readonly Candidate[]): Problem[] {
  return candidates
    .filter((one) => one.accounts > 1 || one.people > 1)
    .map((one) => ({
      key: one.entra_object_id,
      reason:
        one.accounts > 1
          ? `${ambiguous}: ${one.accounts} manual accounts have its ${key}`
          : `${ambiguous}: ${one.people} people have the ${key} of one manual account`,
    }));
}

async function setAside(transaction: Transaction, bind: CommitBindings, problems: readonly Problem[]): Promise<number> {
  if (problems.length === 0) return 0;
  await stageProblems(transaction, bind.round, problems);
  return rowCount(
    transaction,
    'delete from entra_sync.stage_users where round_id = :round and entra_object_id = any(:ids::uuid[])',
    { ...bind, ids: problems.map((problem) => problem.key) },
  );
}

// Edits stay: in force where the user owns the field, else shelved; of two the one in force wins. The guard judges
// suspensions, so none here.
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
         user_principal_name = p.user_principal_name, mail = p.mail, enabled = p.enabled or a.enabled,
         suspension_rejected = false,
         overrides = p.kept, shelf = entra_sync.without_keys(p.given, p.kept),
         ${shownAgain}, updated_at = now()
    from pair p where a.account_id = p.account_id
  returning a.account_id, p.removed_reason, p.old_facts, entra_sync.account_facts(a) as new_facts
), change as (${changeRows(
  "case when removed_reason is null then 'account.adopted' else 'account.restored' end",
  {
    account_id: 'account_id',
    before: `case when removed_reason is null then entra_sync.differing_facts(old_facts, new_facts)
                  else ${restoredFrom('removed_reason', 'old_facts', 'new_facts')} end`,
    after: `case when removed_reason is null then entra_sync.differing_facts(new_facts, old_facts) else new_facts end`,
  },
  'from written returning kind',
)}
)
select kind, count(*)::int as count from change group by kind`;
