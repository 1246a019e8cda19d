// The stage of the users stream.
import type { Json, Occurrence, Source } from '../../rules/decode.ts';
import type { Member } from '../../rules/groups.ts';
import type { KnownObject, MergedObject } from '../../rules/merge.ts';
import { type Lease, requireFence } from '../cycle/lease.ts';
import { type Database, inTransaction, rowCount, rows, type Transaction } from '../database/pool.ts';
import { removedWithObject } from '../database/vocabulary.ts';
import { inDryRun } from '../feed/receipts.ts';
import { problemsOf, withoutCulprits } from './culprits.ts';
import {
  doubtLifted,
  idsOf,
  knownObjects,
  knownOfOdd,
  liftSetAside,
  liftWhollySetAside,
  settleUnreadable,
  type Unsettled,
} from './doubts.ts';
import { jsonChunks } from './json-chunks.ts';
import { stageWholeList } from './members.ts';
import { advanceRound, type PageOfRound, type Round, type StageState } from './rounds.ts';

/** A merged user with its mapped fields. */
export type StagedUser = MergedObject & {
  readonly mapped: { readonly [field: string]: Json };
  readonly userPrincipalName: string | null;
  readonly mail: string | null;
  readonly enabled: boolean;
  /** In scope by the user's properties; the commit judges scope groups. */
  readonly inScope: boolean;
  /** Why the properties put the user outside. */
  readonly outside: 'out_of_scope' | 'disabled' | null;
  /** The number of the condition that failed. */
  readonly condition: number | null;
};

export type UsersPageToStage = PageOfRound & {
  readonly occurrences: readonly Occurrence[];
  /** Makes the rows from the known objects of the page, and those with unreadable properties; pure. */
  readonly merge: (
    known: ReadonlyMap<string, KnownObject>,
    stored: ReadonlyMap<string, Source>,
  ) => readonly StagedUser[];
};

/** Stages pages of users with the resume link, in one transaction. Throws like {@link advanceRound}. */
export async function stageUsersPage(
  database: Database,
  lease: Lease,
  round: Round,
  page: UsersPageToStage,
): Promise<Round> {
  return withoutCulprits(database, lease, round.round_id, {
    units: () => [idsOf(page.occurrences)],
    attempt: (aside, trial) => {
      const occurrences = page.occurrences.filter((occurrence) => !aside.has(occurrence.id));
      const stage = async (transaction: Transaction, { anyAside }: StageState) => {
        const known = await knownObjects(transaction, lease.tenantId, round, idsOf(occurrences), 'users');
        const stored = await knownOfOdd(transaction, lease.tenantId, round.round_id, 'users', occurrences);
        const lifted = anyAside ? await liftSetAside(transaction, round.round_id, occurrences) : new Set<string>();
        const users = page.merge(known, stored).filter((user) => !aside.has(user.id));
        return stageUsers(transaction, round.round_id, doubtLifted(round, 'users', users, lifted));
      };
      const problems = [...page.problems, ...problemsOf(aside)];
      return advanceRound(database, lease, round, { ...page, problems }, stage, trial);
    },
  });
}

/** Stages users. Returns how many rows were new or different. */
export async function stageUsers(
  transaction: Transaction,
  roundId: string,
  users: readonly StagedUser[],
): Promise<number> {
  if (users.length === 0) return 0;
  const { own, rest } = passedOn(users);
  let staged = 0;
  for (const chunk of jsonChunks(users.map((user, place) => ({ ...user, mapped: rest[place] })))) {
    staged += await rowCount(transaction, insertUsers, { roundId, own: [...own], users: chunk });
  }
  return staged;
}

const insertUsers = `insert into entra_sync.stage_users as s
       (round_id, entra_object_id, removed, source, mapped, user_principal_name, mail, enabled, in_scope,
        outside, condition, doubt)
     select :roundId, r.id, r.removed, r.source, (r.source - :own::text[]) || r.mapped, r."userPrincipalName", r.mail,
            r.enabled, r."inScope", r.outside, r.condition, r.doubt
       from jsonb_to_recordset(:users::jsonb)
         as r (id uuid, removed text, source jsonb, mapped jsonb, "userPrincipalName" text, mail text, enabled boolean,
               "inScope" boolean, outside text, condition smallint, doubt text)
     on conflict (round_id, entra_object_id) do update
        set removed = excluded.removed, source = excluded.source, mapped = excluded.mapped,
            user_principal_name = excluded.user_principal_name, mail = excluded.mail, enabled = excluded.enabled,
            in_scope = excluded.in_scope, outside = excluded.outside, condition = excluded.condition,
            doubt = excluded.doubt
      where (s.removed, s.source, s.doubt) is distinct from (excluded.removed, excluded.source, excluded.doubt)`;

/**
 * Leaves out mapped fields that equal the property of the same name, so that they are sent once. `own`: the names for
 * which any user's differ; `rest`: each user's fields under these.
 */
function passedOn(users: readonly StagedUser[]): { own: ReadonlySet<string>; rest: readonly StagedUser['mapped'][] } {
  const own = new Set<string>();
  for (const { source, mapped } of users) {
    for (const name of Object.keys(source)) if (source[name] !== mapped[name]) own.add(name);
    for (const name of Object.keys(mapped)) if (source[name] !== mapped[name]) own.add(name);
  }
  const rest = users.map(({ mapped }) => Object.fromEntries(Object.entries(mapped).filter(([name]) => own.has(name))));
  return { own, rest };
}

/**
 * Returns users whose groups GET has to answer for (rule 8): deleted before and live in this round, in scope or not, or
 * with groups that could not be read or kept. Delta names the memberships of users that were only outside the scope.
 */
export async function restoredUsers(database: Database, tenantId: string, roundId: string): Promise<string[]> {
  const found = await rows<{ id: string }>(
    database,
    `select s.entra_object_id::text as id
       from entra_sync.stage_users s
       join entra_sync.accounts a on a.tenant_id = :tenantId and a.entra_object_id = s.entra_object_id
      where s.round_id = :roundId and s.removed is null
        and ${removedWithObject('a')}
     union
     select left(p.object_key, 36) from entra_sync.set_aside p
      where p.tenant_id = :tenantId and p.stream = 'users'
        and (p.object_key like '%/memberOf' or p.object_key like '%/directReports')
     union
     select s.entra_object_id::text
       from entra_sync.stage_users s
       join entra_sync.deleted_strangers d
         on d.tenant_id = :tenantId and d.stream = 'users' and d.entra_object_id = s.entra_object_id
      where s.round_id = :roundId and s.removed is null
     union
     select d.entra_object_id::text from entra_sync.deleted_strangers d
      where d.tenant_id = :tenantId and d.stream = 'users' and d.is_back
        and exists (select from entra_sync.checkpoints c where c.tenant_id = :tenantId and c.stream = 'groups')`,
    { tenantId, roundId },
  );
  return found.map((row) => row.id);
}

/** Returns those of the users that the round shows live. */
export async function stagedLive(database: Database, roundId: string, ids: readonly string[]): Promise<string[]> {
  const found = await rows<{ id: string }>(
    database,
    `select entra_object_id::text as id from entra_sync.stage_users
      where round_id = :roundId and removed is null and entra_object_id = any(:ids::uuid[]) order by 1`,
    { roundId, ids },
  );
  return found.map((row) => row.id);
}

/**
 * Returns users that enter the scope and have to be asked for (rule 22): in a scope group, without an account or with
 * one that went out of date outside the scope or released. Not users outside for other reasons, deleted ones, or
 * groups. One that GET did not find is asked again: delta may run ahead of GET.
 */
export async function enteringUsers(
  database: Database | Transaction,
  tenantId: string,
  roundId: string,
  groups: readonly string[],
): Promise<string[]> {
  if (groups.length === 0) return [];
  const found = await rows<{ id: string }>(
    database,
    `select distinct m.member_object_id::text as id
       from entra_sync.groups g
      cross join lateral (
        select c.descendant_no from entra_sync.group_closure c where c.ancestor_no = g.group_no offset 0) c
      cross join lateral (select m.member_object_id from entra_sync.member_groups m
        where m.tenant_id = :tenantId and m.group_nos @> array[c.descendant_no]
          and m.member_type in ('u', 'x') offset 0) m
       left join lateral (select a.account_id, a.state, a.removed_reason from entra_sync.accounts a
        where a.tenant_id = :tenantId and a.entra_object_id = m.member_object_id offset 0) a on true
      where g.tenant_id = :tenantId and g.entra_object_id = any(:groups::uuid[])
        and (a.account_id is null or a.state = 'manual' or a.removed_reason in ('out_of_scope', 'disabled'))
        and not exists (select from entra_sync.outside_scope o
                         where o.tenant_id = :tenantId and o.entra_object_id = m.member_object_id offset 0)
        and not exists (select from entra_sync.deleted_strangers d
                         where d.tenant_id = :tenantId and d.stream = 'users'
                           and d.entra_object_id = m.member_object_id and not d.is_back offset 0)
        and not exists (select from entra_sync.groups n
                         where n.tenant_id = :tenantId and n.entra_object_id = m.member_object_id offset 0)
        and not exists (select from entra_sync.stage_users s
                         where s.round_id = :roundId and s.entra_object_id = m.member_object_id offset 0)`,
    { tenantId, roundId, groups },
  );
  return found.map((row) => row.id);
}

export type SettledUsers = Unsettled & {
  /** Found live by GET, each with the groups that hold it directly. */
  readonly live: readonly { readonly user: StagedUser; readonly memberOf: readonly Member[] | undefined }[];
  /** The database's clock before `memberOf` was asked for. */
  readonly readAt: Date;
};

/** Stages GET's answers for users in doubt. A `memberOf` that was read replaces the stored groups of the user. */
export async function settleUsers(
  database: Database,
  lease: Lease,
  roundId: string,
  settled: SettledUsers,
): Promise<void> {
  await withoutCulprits(database, lease, roundId, {
    units: () => [settled.live.map(({ user }) => user.id)],
    attempt: async (aside, trial) => {
      const live = settled.live.filter(({ user }) => !aside.has(user.id));
      const problems = [...settled.problems, ...problemsOf(aside)];
      const work = (transaction: Transaction) =>
        settleLive(transaction, lease, roundId, { ...settled, live, problems });
      await (trial ? inDryRun(database, true, work) : inTransaction(database, work));
    },
  });
}

async function settleLive(
  transaction: Transaction,
  lease: Lease,
  roundId: string,
  settled: SettledUsers,
): Promise<void> {
  await requireFence(transaction, lease);
  const users = settled.live.map((one) => one.user);
  await liftWhollySetAside(
    transaction,
    roundId,
    users.map((user) => user.id),
  );
  await stageUsers(transaction, roundId, users);
  for (const { user, memberOf } of settled.live) {
    if (memberOf) await stageWholeList(transaction, roundId, user.id, 'user', memberOf, settled.readAt);
  }
  await settleUnreadable(transaction, roundId, 'users', settled);
}
