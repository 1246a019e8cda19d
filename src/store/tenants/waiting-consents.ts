// Consents that wait for the vendor because the sign-in did not show an administrator.
import { ExpectedError } from '../../errors.ts';
import { type Database, rowCount, rows, type Transaction } from '../database/pool.ts';
import { inReportedTransaction } from '../feed/receipts.ts';

/** A customer's consent that waits for `tenant approve`. */
export type WaitingConsent = {
  readonly tenant_id: string;
  readonly external_ref: string;
  /** The tenant's future name; null: the reference. */
  readonly name: string | null;
  readonly asked_at: Date;
  readonly expires_at: Date;
  /** The object id of the person who signed in. */
  readonly signed_in_as: string;
};

/** Invitations are kept for 30 days after their end, so their consents can wait as long. */
const waitingDays = 30;

/** Deletes expired consents of all tenants, except locked ones. */
export const forgetExpiredConsents = `delete from entra_sync.waiting_consents where invitation_id in (
    select invitation_id from entra_sync.waiting_consents where expires_at < clock_timestamp() for update skip locked)`;

/**
 * Stores that an invitation asks for a tenant, in place of an earlier one, and returns the end of the wait. The caller
 * has locked the invitation's row.
 */
export async function keepWaiting(
  transaction: Transaction,
  consent: { invitationId: string; tenantId: string; adminId: string },
): Promise<Date> {
  await transaction.raw(forgetExpiredConsents);
  const [kept] = await rows<{ expires_at: Date }>(
    transaction,
    `insert into entra_sync.waiting_consents as w (invitation_id, tenant_id, admin_object_id, expires_at)
     values (:invitationId, :tenantId::uuid, :adminId::uuid, clock_timestamp() + :waitingDays * interval '1 day')
     on conflict (invitation_id) do update
       set tenant_id = excluded.tenant_id, admin_object_id = excluded.admin_object_id, asked_at = excluded.asked_at,
           expires_at = excluded.expires_at
     returning expires_at`,
    { ...consent, waitingDays },
  );
  if (!kept) throw new Error('a waiting consent was not stored');
  return kept.expires_at;
}

// A consent to a tenant that has a customer no longer waits, even if its row remains.
const waiting = `
  select distinct on (w.tenant_id, i.external_ref)
         w.tenant_id, i.external_ref, i.name, w.asked_at, w.expires_at, w.admin_object_id as signed_in_as
    from entra_sync.waiting_consents w
    join entra_sync.invitations i on i.invitation_id = w.invitation_id
    left join entra_sync.tenants t on t.tenant_id = w.tenant_id
   where w.expires_at > clock_timestamp() and t.external_ref is null`;

/** Returns waiting consents of one tenant or all, one per tenant and reference, the longest waiting first. */
export async function listWaiting(database: Database, tenantId: string | null): Promise<WaitingConsent[]> {
  return rows<WaitingConsent>(
    database,
    `select * from (${waiting} and (:tenantId::uuid is null or w.tenant_id = :tenantId)
                    order by w.tenant_id, i.external_ref, w.asked_at desc) one
      order by min(asked_at) over (partition by tenant_id), tenant_id, asked_at, external_ref`,
    { tenantId },
  );
}

/** Returns the waiting consents whose tenant id or reference is `word`. */
export async function findWaiting(database: Database, word: string): Promise<WaitingConsent[]> {
  return rows<WaitingConsent>(
    database,
    `select * from (${waiting} and (w.tenant_id::text = lower(:word) or i.external_ref = :word)
                    order by w.tenant_id, i.external_ref, w.asked_at desc) one order by asked_at`,
    { word },
  );
}

/**
 * Locks the invitations that ask for a tenant, in a fixed order, and returns their ids. One may change during the wait:
 * read its consent in a later statement.
 */
export async function lockAsking(transaction: Transaction, tenantId: string): Promise<string[]> {
  const locked = await rows<{ invitation_id: string }>(
    transaction,
    `select i.invitation_id
       from entra_sync.invitations i join entra_sync.waiting_consents w on w.invitation_id = i.invitation_id
      where w.tenant_id = :tenantId::uuid order by w.asked_at, i.invitation_id for update of i`,
    { tenantId },
  );
  return locked.map((one) => one.invitation_id);
}

/**
 * Rejects a customer's consent to a tenant and withdraws the invitations that asked. Returns how many, and the
 * references that still wait. Throws `unknown_name` if this one does not wait, `tenant_exists` if the tenant is
 * connected.
 */
export async function rejectWaiting(
  database: Database,
  { tenantId, ref }: { tenantId: string; ref: string },
): Promise<{ withdrawn: number; waiting: string[] }> {
  const withdrawn = await inReportedTransaction(database, async (transaction) => {
    const locked = await lockAsking(transaction, tenantId);
    return rowCount(
      transaction,
      `delete from entra_sync.invitations i using entra_sync.waiting_consents w
        where w.invitation_id = i.invitation_id and w.tenant_id = :tenantId::uuid and i.external_ref = :ref
          and i.invitation_id = any(:locked::uuid[])`,
      { tenantId, ref, locked },
    );
  });
  const left = (await listWaiting(database, tenantId)).map((one) => one.external_ref);
  if (withdrawn === 0) throw await nothingWaits(database, tenantId, left, ref);
  return { withdrawn, waiting: left };
}

/** The error for a tenant whose consent does not wait, under this reference or any. */
export async function nothingWaits(
  on: Database | Transaction,
  tenantId: string,
  refs: readonly string[],
  ref: string | undefined,
): Promise<ExpectedError> {
  const [connected] = await rows<{ owner: string }>(
    on,
    `select external_ref as owner from entra_sync.tenants
      where tenant_id = :tenantId::uuid and status = 'active' and external_ref is not null`,
    { tenantId },
  );
  const owner = connected?.owner;
  if (owner !== undefined && (refs.length === 0 || ref === owner)) {
    return new ExpectedError('tenant_exists', `tenant ${tenantId} is connected for ${JSON.stringify(owner)} already`, {
      cure: `there is nothing to decide; entra-sync status ${tenantId} shows the tenant`,
    });
  }
  const asked = refs.map((one) => JSON.stringify(one)).join(', ');
  const what =
    refs.length === 0
      ? `no consent to tenant ${tenantId} waits for approval`
      : ref === undefined
        ? `${refs.length} references ask for tenant ${tenantId}: ${asked}`
        : `reference ${JSON.stringify(ref)} does not ask for tenant ${tenantId}; these do: ${asked}`;
  const cure =
    refs.length === 0
      ? 'entra-sync tenant approve --list shows those that wait; an invitation with --tenant needs no approval'
      : 'name one of them with --ref, after asking the customer whether the tenant is theirs';
  return new ExpectedError(refs.length === 0 || ref !== undefined ? 'unknown_name' : 'usage', what, { cure });
}

/** The error for a command that reads a tenant whose consent waits. */
export function consentWaiting(consents: readonly WaitingConsent[]): ExpectedError {
  const [first] = consents;
  const refs = consents.map((one) => JSON.stringify(one.external_ref)).join(', ');
  return new ExpectedError(
    'consent_waiting',
    `nothing is read of tenant ${first?.tenant_id} yet: its consent waits for your approval (asked for by ${refs})`,
    { cure: approveCommand(consents) },
  );
}

/** The command that approves, with the placeholder REF for several references. */
export function approveCommand(consents: readonly Pick<WaitingConsent, 'tenant_id' | 'external_ref'>[]): string {
  const [first] = consents;
  const only = consents.length === 1 && first ? JSON.stringify(first.external_ref) : 'REF';
  return `entra-sync tenant approve ${first?.tenant_id ?? 'TENANT'} --ref ${only}`;
}
