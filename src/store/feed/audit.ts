// The audit: who did and looked at what, by the web and by the command line (rule 48).
import { type Database, rows, type Transaction, written } from '../database/pool.ts';

export type AuditLine = {
  /** `account:ID`, `entra:TENANT/ID`, or the name that the command line was given. */
  readonly actor: string;
  /** The role that allowed it; `cli` for the command line. */
  readonly role: string;
  readonly via: 'web' | 'cli';
  readonly act: string;
  readonly tenantId?: string | null;
  readonly accountId?: string | null;
  /** Ids, counts, words of ours: never values of people. */
  readonly detail?: Readonly<Record<string, unknown>>;
  /** The id of the request of the web. */
  readonly reference?: string | null;
};

const write = `
select entra_sync.write_audit(
  :actor, :role, :via, :act, :tenantId::uuid, :accountId::uuid, :detail::jsonb, :reference)`;

const boundOf = (line: AuditLine) => ({
  ...{ tenantId: null, accountId: null, reference: null },
  ...line,
  detail: JSON.stringify(line.detail ?? {}),
});

/** Adds a line to the audit in an open transaction. */
export async function addToAudit(transaction: Transaction, line: AuditLine): Promise<void> {
  await rows(transaction, write, boundOf(line));
}

/** Adds lines to the audit in one transaction of their own. */
export async function writeAudit(database: Database, lines: readonly AuditLine[]): Promise<void> {
  for (const line of lines) await written(database, write, boundOf(line));
}

/** The person who does something, in which role and by which way. */
export type AuditedBy = Pick<AuditLine, 'actor' | 'role' | 'via'>;

/** Leaves of an erased tenant one row: its id, what was erased in numbers, and the actor. */
export async function leavePurgeInAudit(
  transaction: Transaction,
  tenantId: string,
  by: AuditedBy,
  counts: Readonly<Record<string, number>>,
): Promise<void> {
  await transaction.raw('select entra_sync.purge_audit(:tenantId::uuid, :actor, :role, :via, :counts::jsonb)', {
    tenantId,
    ...{ actor: by.actor, role: by.role, via: by.via },
    counts: JSON.stringify(counts),
  });
}

/** The most rows that {@link expireAudit} deletes at a time. */
export const expiredAtOnce = 10_000;

/** Deletes the rows that are older than 400 days, at most 10,000 at a time; returns how many. */
export async function expireAudit(database: Database): Promise<number> {
  const [done] = await written<{ expired: number }>(database, 'select entra_sync.expire_audit() as expired');
  return done?.expired ?? 0;
}

export type AuditFilter = {
  readonly tenantId: string | null;
  readonly accountId: string | null;
  readonly actor: string | null;
  /** An act, or its beginning with `*` behind it. */
  readonly act: string | null;
  readonly since: string | null;
  readonly until: string | null;
  /** Only rows before this one. */
  readonly before: string | null;
  readonly limit: number;
};

export type AuditRow = {
  audit_id: string;
  at: Date;
  actor: string;
  role: string;
  via: 'web' | 'cli';
  act: string;
  tenant_id: string | null;
  tenant_name: string | null;
  account_id: string | null;
  detail: Record<string, unknown>;
  reference: string | null;
};

/** Returns the newest rows of the audit that fit, newest first. */
export function readAudit(on: Database | Transaction, filter: AuditFilter): Promise<AuditRow[]> {
  return rows<AuditRow>(
    on,
    // Not the view, whose halves are sorted whole before the first row comes.
    `select a.audit_id, a.at, a.actor, a.role, a.via, a.act, a.tenant_id, t.name as tenant_name, a.account_id, a.detail,
            a.reference
       from entra_sync.audit a left join directory.tenants t on t.tenant_id = a.tenant_id
      where ((select entra_sync.narrowed_to()) is null or a.tenant_id = (select entra_sync.narrowed_to()))
        and (:tenantId::uuid is null or a.tenant_id = :tenantId)
        and (:accountId::uuid is null or a.account_id = :accountId)
        and (:actor::text is null or entra_sync.folded(a.actor) = entra_sync.folded(:actor))
        and (:act::text is null or a.act = :act
             or right(:act, 1) = '*' and starts_with(a.act, left(:act, -1)))
        and (:since::timestamptz is null or a.at >= :since)
        and (:until::timestamptz is null or a.at < :until)
        and (:before::bigint is null or a.audit_id < :before)
      order by a.audit_id desc limit :limit`,
    { ...filter },
  );
}
