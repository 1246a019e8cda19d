// A customer's consent registers or reconnects its tenant. It waits for the vendor's approval if the vendor did not
// name the tenant and the sign-in showed no administrator role.

import { ExpectedError } from '../../errors.ts';
import { commandWord } from '../../rules/shell.ts';
import type { SettingsDocument } from '../../settings/settings.ts';
import { type Database, inTransaction, rowCount, rows, type Transaction } from '../database/pool.ts';
import { nextFeedBatch } from '../feed/batches.ts';
import { inReportedTransaction } from '../feed/receipts.ts';
import { completeRules, shareSettings } from '../settings/versions.ts';
import { contactsOf, writeContacts } from './contacts.ts';
import { writeTenantChange } from './disconnect.ts';
import { keepWaiting, lockAsking, nothingWaits } from './waiting-consents.ts';

export type Consent = {
  readonly invitationId: string;
  readonly tenantId: string;
  /** The object id of the person who signed in. */
  readonly adminId: string;
  /** The sign-in showed a role that may consent. */
  readonly administrator: boolean;
  readonly actor: string;
};

type Connected = {
  kind: 'connected';
  name: string;
  how: 'new' | 'pending' | 'again' | 'renewed';
  /** Other references whose waiting consent to this tenant was deleted. */
  dropped: string[];
};

export type Connection =
  | Connected
  /** Waits for the vendor's approval until this time. */
  | { kind: 'waiting'; until: Date }
  /** Nothing was changed, for this reason: see {@link mayConnect}. */
  | { kind: 'refused'; reason: 'withdrawn' | 'expired' | 'other_tenant' | 'other_customer' | 'unassigned' };

type Refused = Extract<Connection, { kind: 'refused' }>['reason'];
type Invited = { external_ref: string; name: string | null; tenant_id: string | null; expired: boolean };
type Known = { name: string; status: string; external_ref: string | null; synced: boolean };

/**
 * Connects a tenant with a valid token: registers it for the invitation's customer, or makes its row `active` and due
 * now. The next full round adopts the accounts of a disconnected one. The consent only waits, unless the vendor named
 * the tenant for this customer or the sign-in showed its administrator.
 */
export async function connectTenant(
  database: Database,
  consent: Consent,
  defaults: SettingsDocument,
): Promise<Connection> {
  return inReportedTransaction(database, async (transaction) => {
    // The order of every other transaction: settings, then tenants.
    await shareSettings(transaction);
    return connectIn(transaction, consent, defaults);
  });
}

async function connectIn(transaction: Transaction, consent: Consent, defaults: SettingsDocument): Promise<Connection> {
  const { invited, known } = await readConsentFacts(transaction, consent, 'for update');
  const refused = consentRefusal(invited, known, consent.tenantId);
  if (refused || !invited) return { kind: 'refused', reason: refused ?? 'withdrawn' };
  if (!consent.administrator && !isNamed(invited, known, consent.tenantId))
    return { kind: 'waiting', until: await keepWaiting(transaction, consent) };
  // A tenant registered meanwhile has a row to check first.
  return (
    (await register(transaction, consent, { invited, known }, defaults)) ?? connectIn(transaction, consent, defaults)
  );
}

/** Binds the tenant to this customer. Returns undefined, with nothing written, if it was registered meanwhile. */
async function register(
  transaction: Transaction,
  consent: { invitationId: string; tenantId: string; actor: string },
  { invited, known }: { invited: Invited; known: Known | undefined },
  defaults: SettingsDocument,
): Promise<Connected | undefined> {
  const { invitationId, tenantId, actor } = consent;
  const ref = invited.external_ref;
  const name = known?.name ?? (await freeName(transaction, tenantId, invited));
  const written = await rowCount(transaction, known ? update : insert, { tenantId, name, ref });
  if (written === 0) return undefined;
  await completeRules(transaction, defaults);
  await transaction.raw('update entra_sync.invitations set tenant_id = :tenantId where invitation_id = :invitationId', {
    tenantId,
    invitationId,
  });
  await takeContacts(transaction, consent);
  const ended = await rows<{ external_ref: string }>(transaction, endWaiting, { tenantId, invitationId });
  const dropped = [...new Set(ended.map((one) => one.external_ref))].filter((one) => one !== ref).sort();
  const how = known ? knownAs(known.status) : 'new';
  // A repeated consent, as for more permissions, changes nothing that applications see.
  if (how !== 'renewed') {
    const scope = { tenant: tenantId, actor, batch: await nextFeedBatch(transaction) };
    const kind = how === 'again' ? 'tenant.reconnected' : 'tenant.connected';
    await writeTenantChange(transaction, scope, kind, ...difference(known, ref));
  }
  return { kind: 'connected', name, how, dropped };
}

/**
 * Approves a waiting consent (without `ref` the only one): binds the tenant to the customer, `active` and due now, and
 * deletes other consents to it. Throws `unknown_name` if none waits, `usage` if several do, `tenant_exists` for a
 * tenant that is connected or another customer's.
 */
export async function approveConsent(
  database: Database,
  approval: { tenantId: string; ref: string | undefined; actor: string },
  defaults: SettingsDocument,
): Promise<Connected & { ref: string }> {
  return inReportedTransaction(database, async (transaction) => {
    await shareSettings(transaction);
    return approveIn(transaction, approval, defaults);
  });
}

async function approveIn(
  transaction: Transaction,
  approval: { tenantId: string; ref: string | undefined; actor: string },
  defaults: SettingsDocument,
): Promise<Connected & { ref: string }> {
  const { tenantId, actor } = approval;
  const [known] = await rows<Known>(transaction, `${selectKnown} for update`, { tenantId });
  const locked = await lockAsking(transaction, tenantId);
  const asking = await rows<Invited & { invitation_id: string }>(transaction, selectAsking, { tenantId, locked });
  const refs = [...new Set(asking.map((one) => one.external_ref))].sort();
  const ref = approval.ref ?? (refs.length === 1 ? refs[0] : undefined);
  const invited = asking.findLast((one) => one.external_ref === ref);
  if (!invited || ref === undefined) throw await nothingWaits(transaction, tenantId, refs, approval.ref);
  if (known && known.external_ref !== null && known.external_ref !== ref) {
    throw new ExpectedError('tenant_exists', `tenant ${tenantId} is registered for customer ${known.external_ref}`, {
      cure: `entra-sync tenant reject ${tenantId} --ref ${commandWord(ref)}, or entra-sync tenant rename ${tenantId} --ref ${commandWord(ref)} if it is this customer's`,
    });
  }
  const consent = { invitationId: invited.invitation_id, tenantId, actor };
  const done = await register(transaction, consent, { invited, known }, defaults);
  return done ? { ...done, ref } : approveIn(transaction, approval, defaults);
}

/** Makes the addresses of the invitation contacts of a tenant that has none. */
async function takeContacts(
  transaction: Transaction,
  { invitationId, tenantId, actor }: { invitationId: string; tenantId: string; actor: string },
): Promise<void> {
  const [invited] = await rows<{ contacts: string[] }>(
    transaction,
    'select contacts from entra_sync.invitations where invitation_id = :invitationId',
    { invitationId },
  );
  const addresses = invited?.contacts ?? [];
  if (addresses.length > 0 && (await contactsOf(transaction, tenantId)).length === 0)
    await writeContacts(transaction, { tenantId, addresses, actor });
}

const selectAsking = `select i.invitation_id, i.external_ref, i.name, i.tenant_id, false as expired
  from entra_sync.invitations i join entra_sync.waiting_consents w on w.invitation_id = i.invitation_id
 where w.tenant_id = :tenantId::uuid and w.expires_at > clock_timestamp() and i.invitation_id = any(:locked::uuid[])
 order by w.asked_at, i.invitation_id`;

const endWaiting = `delete from entra_sync.waiting_consents w using entra_sync.invitations i
 where i.invitation_id = w.invitation_id and (w.tenant_id = :tenantId::uuid or w.invitation_id = :invitationId)
returning i.external_ref`;

// A new tenant has no `before`.
function difference(known: Known | undefined, ref: string): [before: object | null, after: object] {
  const after = { status: 'active', external_ref: ref };
  if (!known) return [null, after];
  const { status, external_ref } = known;
  return external_ref === ref ? [{ status }, { status: after.status }] : [{ status, external_ref }, after];
}

const insert = `insert into entra_sync.tenants (tenant_id, name, external_ref, status)
  values (:tenantId::uuid, :name, :ref, 'active') on conflict (tenant_id) do nothing`;

const update = `update entra_sync.tenants
   set external_ref = :ref, status = 'active', next_cycle_at = null, failures = 0, failing_credential = null,
       last_error_code = null, last_error_message = null
 where tenant_id = :tenantId`;

function knownAs(status: string): 'pending' | 'again' | 'renewed' {
  return status === 'disconnected' ? 'again' : status === 'pending' ? 'pending' : 'renewed';
}

/**
 * Returns why this invitation could not connect this tenant, before the customer consents; null: it could. `named`: the
 * vendor named the tenant in the invitation, or registered it for this customer. `other_tenant`: the invitation is for
 * another one. `other_customer`: the tenant is another's. `unassigned`: the tenant is synced without a customer.
 */
export async function mayConnect(
  database: Database,
  invitationId: string,
  tenantId: string,
): Promise<{ refused: Refused | null; named: boolean }> {
  return inTransaction(database, async (transaction) => {
    const { invited, known } = await readConsentFacts(transaction, { invitationId, tenantId }, '');
    const named = invited !== undefined && isNamed(invited, known, tenantId);
    return { refused: consentRefusal(invited, known, tenantId), named };
  });
}

/** Returns the number of people read of a tenant so far; undefined if it is not connected. */
export async function countPeople(database: Database, tenantId: string): Promise<number | undefined> {
  const [found] = await rows<{ people: number }>(
    database,
    `select (select count(*)::int from entra_sync.accounts a
              where a.tenant_id = t.tenant_id and a.state = 'managed' and a.removed_at is null) as people
       from entra_sync.tenants t where t.tenant_id = :tenantId and t.status not in ('pending', 'disconnected')`,
    { tenantId },
  );
  return found?.people;
}

function isNamed(invited: Invited, known: Known | undefined, tenantId: string): boolean {
  return invited.tenant_id === tenantId || known?.external_ref === invited.external_ref;
}

const selectKnown = `select name, status, external_ref, last_success_at is not null
          or exists (select from entra_sync.accounts a where a.tenant_id = t.tenant_id) as synced
   from entra_sync.tenants t where tenant_id = :tenantId`;

async function readConsentFacts(
  transaction: Transaction,
  { invitationId, tenantId }: { invitationId: string; tenantId: string },
  lock: 'for update' | '',
): Promise<{ invited: Invited | undefined; known: Known | undefined }> {
  const [known] = await rows<Known>(transaction, `${selectKnown} ${lock}`, { tenantId });
  const [invited] = await rows<Invited>(
    transaction,
    `select external_ref, name, tenant_id, expires_at <= clock_timestamp() as expired
       from entra_sync.invitations where invitation_id = :invitationId ${lock}`,
    { invitationId },
  );
  return { invited, known };
}

function consentRefusal(invited: Invited | undefined, known: Known | undefined, tenantId: string): Refused | null {
  if (!invited) return 'withdrawn';
  if (invited.expired) return 'expired';
  if (invited.tenant_id !== null && invited.tenant_id !== tenantId) return 'other_tenant';
  if (known && known.external_ref === null && known.synced) return 'unassigned';
  if (known && known.external_ref !== null && known.external_ref !== invited.external_ref) return 'other_customer';
  return null;
}

// Commands find tenants by name, so names are unique.
async function freeName(transaction: Transaction, tenantId: string, { name, external_ref }: Invited): Promise<string> {
  for (const wanted of name === null ? [external_ref] : [name, `${name} (${external_ref})`]) {
    const [taken] = await rows(
      transaction,
      'select 1 from entra_sync.tenants where entra_sync.folded(name) = entra_sync.folded(:wanted)',
      {
        wanted,
      },
    );
    if (!taken) return wanted;
  }
  return tenantId;
}
