// Sessions of the web: rows that a cookie's hash names (rule 47).
import { type GroupRole, type NoRole, type Role, rolesOf } from '../../rules/viewers.ts';
import { type Database, inTransaction, rowCount, rows, type Transaction, written } from '../database/pool.ts';
import { readWithin } from '../database/reading.ts';
import { intervalOf, liveManaged, settingOf } from '../database/vocabulary.ts';
import { type AuditLine, addToAudit } from '../feed/audit.ts';

/** A sign-in that was verified, or `web --local`. */
export type NewSession = {
  readonly hash: Buffer;
  /** `entra:TENANT/ID`, or the name that `--local` was given. */
  readonly actor: string;
  readonly tenantId: string | null;
  readonly objectId: string | null;
  readonly ops: 'read' | 'act' | null;
  readonly directoryRole: 'admin' | 'reader' | null;
};

/** A session as a request finds it. */
export type FoundSession = {
  /** `account:ID` where the sign-in has an account; else as in `NewSession`. */
  readonly actor: string;
  readonly tenantId: string | null;
  readonly accountId: string | null;
  readonly roles: readonly Role[] | NoRole;
  /** By tenant: the reason for looking at people there. */
  readonly reasons: Readonly<Record<string, string>>;
};

// A directory role counts for an hour, since only a sign-in shows that it is still held.
const wholeOf = { withDirectoryRole: '1 hour', without: '8 hours' };
const idle = "interval '1 hour'";

/** The time that the look at a session may take, in milliseconds. */
const lookupMs = 3_000;

/** Opens a session. It ends after an hour without a request, and after eight hours or, with a directory role, one. */
export async function openSession(database: Database, session: NewSession): Promise<void> {
  const { withDirectoryRole, without } = wholeOf;
  await written(
    database,
    `insert into entra_sync.sessions (session_hash, actor, tenant_id, entra_object_id, ops, directory_role, ends_at)
     values (:hash, :actor, :tenantId::uuid, :objectId::uuid, :ops, :directoryRole,
             clock_timestamp() + :whole::interval)`,
    { ...session, whole: session.directoryRole === null ? without : withDirectoryRole },
  );
}

type Row = {
  actor: string;
  tenant_id: string | null;
  ops: 'read' | 'act' | null;
  directory_role: 'admin' | 'reader' | null;
  reasons: Record<string, string>;
  stale: boolean;
  status: string | null;
  account_id: string | null;
  enabled: boolean | null;
  removed_reason: string | null;
  group_roles: GroupRole[];
  old: boolean | null;
  manages: boolean | null;
};

// Direct members of groups that Graph shows, that people fill and that are not open to all. A held membership or removal
// (rule 10) gives no role.
const groupRoles = `
select r.role
  from (values ('admin', 'admins'), ('reader', 'readers'), ('publisher', 'publishers')) r (role, setting)
 cross join lateral jsonb_array_elements_text((
         select d.document #> array[r.setting, 'groups'] from entra_sync.settings d
          where d.tenant_id = s.tenant_id order by d.version desc limit 1)) named (id)
  join entra_sync.groups g on g.tenant_id = s.tenant_id and g.entra_object_id = named.id::uuid
  join entra_sync.member_groups m on m.tenant_id = s.tenant_id and m.member_object_id = s.entra_object_id
 where g.group_no = any(m.group_nos) and ${liveManaged('g')} and not g.is_dynamic
   and lower(coalesce(g.source ->> 'visibility', '')) <> 'public'
   and not exists (select from entra_sync.held_memberships h
                    where h.group_no = g.group_no and h.member_object_id = s.entra_object_id)
   and not exists (select from entra_sync.held_removals h
                    where h.tenant_id = s.tenant_id and h.object_id in (s.entra_object_id, g.entra_object_id))
 group by r.role`;

// As directory.managers says, by the indexes of one account.
const manages = `
coalesce((${settingOf('a.tenant_id', '{portal,managers}')})::boolean, false) and (
  exists (select from entra_sync.accounts r
            join entra_sync.tenants_with_managers k on k.tenant_id = r.tenant_id
           where r.tenant_id = a.tenant_id and r.manager_object_id = a.entra_object_id
             and r.removed_at is null and r.account_id <> a.account_id)
  or exists (
    select from entra_sync.managed_by b
      join entra_sync.groups h on h.tenant_id = b.tenant_id and h.entra_object_id = b.managers_id
      join entra_sync.effective_members e on e.group_no = h.group_no and e.account_no = a.account_no
     where b.tenant_id = a.tenant_id and case when b.people_id is null
       then exists (select from entra_sync.accounts p
                     where p.tenant_id = b.tenant_id and p.removed_at is null and p.account_id <> a.account_id)
       else exists (select from entra_sync.groups g
                      join entra_sync.effective_members x on x.group_no = g.group_no and x.account_no <> a.account_no
                      join entra_sync.accounts p on p.account_no = x.account_no and p.removed_at is null
                     where g.tenant_id = b.tenant_id and g.entra_object_id = b.people_id) end))`;

const ofNow = `
t.status, a.account_id, a.enabled, a.removed_reason, array(${groupRoles}) as group_roles, (${manages}) as manages,
t.last_success_at is null or t.last_success_at < clock_timestamp() - 2 * ${intervalOf('t.tenant_id')} as old`;

const facts = `
left join entra_sync.tenants t on t.tenant_id = s.tenant_id
left join entra_sync.accounts a on a.tenant_id = s.tenant_id and a.entra_object_id = s.entra_object_id`;

/**
 * Returns the session of a hash with its roles of now: account and tenant are looked at each time. Undefined once it has
 * ended. Counts as a request unless it says otherwise. Throws `TooSlow` after three seconds, since every page waits for it.
 */
export async function findSession(
  database: Database,
  hash: Buffer,
  { counts = true } = {},
): Promise<FoundSession | undefined> {
  const [row] = await readWithin(database, lookupMs, (read) =>
    rows<Row>(
      read,
      `select s.actor, s.tenant_id, s.ops, s.directory_role, s.reasons,
            s.seen_at < clock_timestamp() - interval '1 minute' as stale,
            ${ofNow}
       from entra_sync.sessions s ${facts}
      where s.session_hash = :hash and s.ends_at > clock_timestamp() and s.seen_at > clock_timestamp() - ${idle}`,
      { hash },
    ),
  );
  if (!row) return undefined;
  // Another request that has the row locked counts as well.
  if (row.stale && counts) {
    await written(
      database,
      `update entra_sync.sessions set seen_at = clock_timestamp()
        where session_hash = (select s.session_hash from entra_sync.sessions s
                               where s.session_hash = :hash for update skip locked)`,
      { hash },
    );
  }
  return found(row);
}

function found(row: Row): FoundSession {
  const account = row.account_id === null ? null : { enabled: row.enabled === true, removedReason: row.removed_reason };
  const roles = rolesOf({
    ...{ ops: row.ops, directoryRole: row.directory_role, groupRoles: row.group_roles, stale: row.old !== false },
    ...{ tenantStatus: row.status, account, manages: row.manages === true },
  });
  return {
    actor: row.account_id === null ? row.actor : `account:${row.account_id}`,
    tenantId: row.tenant_id,
    accountId: row.account_id,
    roles,
    reasons: row.reasons,
  };
}

/** Returns the roles that a sign-in would have now, and its account, without a session. */
export async function lookAtSignIn(database: Database, session: Omit<NewSession, 'hash'>): Promise<FoundSession> {
  const [row] = await rows<Row>(
    database,
    `select s.*, '{}'::jsonb as reasons, false as stale, ${ofNow}
       from (select :actor::text as actor, :tenantId::uuid as tenant_id, :objectId::uuid as entra_object_id,
                    :ops::text as ops, :directoryRole::text as directory_role) s ${facts}`,
    { ...session },
  );
  if (!row) throw new Error('the database returned no row');
  return found(row);
}

/** Returns the name of a tenant; undefined without one of this id. */
export async function tenantName(on: Database | Transaction, tenantId: string): Promise<string | undefined> {
  const sql = 'select t.name from entra_sync.tenants t where t.tenant_id = :tenantId';
  const [found] = await rows<{ name: string }>(on, sql, { tenantId });
  return found?.name;
}

/** Keeps why the vendor's person looks at people of a tenant, for the rest of the session. */
export async function keepReason(database: Database, hash: Buffer, tenantId: string, reason: string): Promise<void> {
  await written(
    database,
    `update entra_sync.sessions set reasons = reasons || jsonb_build_object(:tenantId::text, :reason::text)
      where session_hash = :hash`,
    { hash, tenantId, reason },
  );
}

/** Ends a session by a sign-out. Without its line in the audit the session goes on. */
export async function endSession(database: Database, hash: Buffer, line: AuditLine): Promise<void> {
  await inTransaction(database, async (on) => {
    await rows(on, 'delete from entra_sync.sessions where session_hash = :hash', { hash });
    await addToAudit(on, line);
  });
}

export type ListedSession = {
  /** The beginning of the hash, which names the session and opens nothing. */
  session_id: string;
  actor: string;
  tenant_id: string | null;
  tenant_name: string | null;
  account_id: string | null;
  ops: string | null;
  directory_role: string | null;
  created_at: Date;
  seen_at: Date;
};

const idOf = (session: string) => `left(encode(${session}.session_hash, 'hex'), 12)`;
const isOpen = (session: string) =>
  `${session}.ends_at > clock_timestamp() and ${session}.seen_at > clock_timestamp() - ${idle}`;

/** Returns the open sessions, newest first. */
export function listSessions(database: Database): Promise<ListedSession[]> {
  return rows<ListedSession>(
    database,
    `select ${idOf('s')} as session_id, s.actor, s.tenant_id, t.name as tenant_name, a.account_id, s.ops,
            s.directory_role, s.created_at, s.seen_at
       from entra_sync.sessions s ${facts} where ${isOpen('s')} order by s.created_at desc, 1`,
  );
}

/** Returns the number of open sessions. */
export async function countSessions(database: Database): Promise<number> {
  const [found] = await rows<{ open: number }>(
    database,
    `select count(*)::int as open from entra_sync.sessions s where ${isOpen('s')}`,
  );
  return found?.open ?? 0;
}

/** The sessions to end: one, those of a tenant, those of an account, or all. */
export type WhichSessions = {
  readonly sessionId: string | null;
  readonly tenantId: string | null;
  readonly accountId: string | null;
};

/** Ends sessions, and returns how many of them were open. */
export async function endSessions(database: Database, which: WhichSessions): Promise<number> {
  const ended = await written<{ open: boolean }>(
    database,
    `delete from entra_sync.sessions s
      where (:sessionId::text is null or ${idOf('s')} = :sessionId)
        and (:tenantId::uuid is null or s.tenant_id = :tenantId)
        and (:accountId::uuid is null or (s.tenant_id, s.entra_object_id) in (
          select a.tenant_id, a.entra_object_id from entra_sync.accounts a where a.account_id = :accountId))
     returning ${isOpen('s')} as open`,
    { ...which },
  );
  return ended.filter(({ open }) => open).length;
}

/** Deletes the rows of sessions that have ended by themselves. */
export async function forgetEndedSessions(database: Database): Promise<number> {
  return rowCount(database, `delete from entra_sync.sessions s where not (${isOpen('s')})`);
}
