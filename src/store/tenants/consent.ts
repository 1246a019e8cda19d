// A customer's consent makes its tenant one that is synced: registered, or connected again, for this customer and no other.
// Without a role shown, and of a tenant that the vendor did not name, it waits for the vendor's word.
import { ExpectedError } from '../../errors.ts';
import type { SettingsDocument } from '../../settings/settings.ts';
import { type Database, inTransaction, rowCount, rows, type Transaction } from '../database/pool.ts';
import { nextFeedBatch } from '../feed/batches.ts';
import { inReportedTransaction } from '../feed/receipts.ts';
import { completeRules, shareSettings } from '../settings/versions.ts';
import { writeTenantChange } from './disconnect.ts';
import { keepWaiting, lockAsking, nothingWaits } from './waiting-consents.ts';

export type Consent = {
  readonly invitationId: string;
  readonly tenantId: string;
  /** The object id of the person who signed in. */
  readonly adminId: string;
  /** The verified sign-in showed that this person may consent for the tenant. */
  readonly administrator: boolean;
  readonly actor: string;
};

type Connected = {
  kind: 'connected';
  name: string;
  how: 'new' | 'pending' | 'again' | 'renewed';
  /** References that had asked for the same tenant, and ask no longer. */
  dropped: string[];
};

export type Connection =
  | Connected
  /** Kept until the vendor approves, no longer than this. */
  | { kind: 'waiting'; until: Date }
  /** Why nothing was done: see {@link mayConnect}. */
  | { kind: 'refused'; reason: 'withdrawn' | 'expired' | 'other_tenant' | 'other_customer' | 'unassigned' };

type Refused = Extract<Connection, { kind: 'refused' }>['reason'];
type Invited = { external_ref: string; name: string | null; tenant_id: string | null; expired: boolean };
type Known = { name: string; status: string; external_ref: string | null; synced: boolean };

/**
 * Registers the tenant that has just given a good token: for the customer of the invitation, due at once, and `active`,
 * because it has signed in. That needs a tenant that the vendor named for this customer, or a person who is shown to be its
 * administrator; without either the consent waits, and the tenant's row stays as it is. One that is there for the same customer is
 * connected likewise: the accounts of a disconnected one
 * are adopted by the full round that comes next; one that was active is tried again at once.
 */
export async function connectTenant(
  database: Database,
  consent: Consent,
  defaults: SettingsDocument,
): Promise<Connection> {
  return inReportedTransaction(database, async (transaction) => {
    // The order in which every other transaction locks: settings, then tenants.
    await shareSettings(transaction);
    return connectIn(transaction, consent, defaults);
  });
}

async function connectIn(transaction: Transaction, consent: Consent, defaults: SettingsDocument): Promise<Connection> {
  const { invited, known } = await look(transaction, consent, 'for update');
  const refused = judge(invited, known, consent.tenantId);
  if (refused || !invited) return { kind: 'refused', reason: refused ?? 'withdrawn' };
  if (!consent.administrator && !isNamed(invited, known, consent.tenantId))
    return { kind: 'waiting', until: await keepWaiting(transaction, consent) };
  // Another program may register it between the look and now; that row has to be judged first.
  return (
    (await register(transaction, consent, { invited, known }, defaults)) ?? connectIn(transaction, consent, defaults)
  );
}

/** Makes the tenant this customer's; undefined, with nothing written, where it was registered meanwhile. */
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
  const ended = await rows<{ external_ref: string }>(transaction, endWaiting, { tenantId, invitationId });
  const dropped = [...new Set(ended.map((one) => one.external_ref))].filter((one) => one !== ref).sort();
  const how = known ? knownAs(known.status) : 'new';
  // A consent that is given again, for more permissions say, changes nothing that an application could see.
  if (how !== 'renewed') {
    const scope = { tenant: tenantId, actor, batch: await nextFeedBatch(transaction) };
    const kind = how === 'again' ? 'tenant.reconnected' : 'tenant.connected';
    await writeTenantChange(transaction, scope, kind, ...difference(known, ref));
  }
  return { kind: 'connected', name, how, dropped };
}

/**
 * Makes a tenant the customer's whose consent waits for the vendor's word: `active`, and due at once. Other references that
 * asked for it are dropped. Without `ref` only one may ask. Throws `unknown_name` where none waits, `usage` where several
 * do, `tenant_exists` for a tenant that is connected already, or of another customer.
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
      cure: `entra-sync tenant reject ${tenantId} --ref ${JSON.stringify(ref)}, or entra-sync tenant rename ${tenantId} --ref ${JSON.stringify(ref)} if it is this customer's`,
    });
  }
  const consent = { invitationId: invited.invitation_id, tenantId, actor };
  const done = await register(transaction, consent, { invited, known }, defaults);
  return done ? { ...done, ref } : approveIn(transaction, approval, defaults);
}

const selectAsking = `select i.invitation_id, i.external_ref, i.name, i.tenant_id, false as expired
  from entra_sync.invitations i join entra_sync.waiting_consents w on w.invitation_id = i.invitation_id
 where w.tenant_id = :tenantId::uuid and w.expires_at > clock_timestamp() and i.invitation_id = any(:locked::uuid[])
 order by w.asked_at, i.invitation_id`;

const endWaiting = `delete from entra_sync.waiting_consents w using entra_sync.invitations i
 where i.invitation_id = w.invitation_id and (w.tenant_id = :tenantId::uuid or w.invitation_id = :invitationId)
returning i.external_ref`;

// What an application can see of the change: a new tenant has no before.
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
 * What would stop this tenant from being connected by this invitation, asked before anybody consents; null for nothing.
 * `named`: the vendor named the tenant, in the invitation or by registering it for this customer.
 * `other_tenant`: the invitation is for another one. `other_customer`: the tenant is bound to somebody else.
 * `unassigned`: it is synced, and the vendor has not said for which customer.
 */
export async function mayConnect(
  database: Database,
  invitationId: string,
  tenantId: string,
): Promise<{ refused: Refused | null; named: boolean }> {
  return inTransaction(database, async (transaction) => {
    const { invited, known } = await look(transaction, { invitationId, tenantId }, '');
    const named = invited !== undefined && isNamed(invited, known, tenantId);
    return { refused: judge(invited, known, tenantId), named };
  });
}

function isNamed(invited: Invited, known: Known | undefined, tenantId: string): boolean {
  return invited.tenant_id === tenantId || known?.external_ref === invited.external_ref;
}

const selectKnown = `select name, status, external_ref, last_success_at is not null
          or exists (select from entra_sync.accounts a where a.tenant_id = t.tenant_id) as synced
   from entra_sync.tenants t where tenant_id = :tenantId`;

async function look(
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

function judge(invited: Invited | undefined, known: Known | undefined, tenantId: string): Refused | null {
  if (!invited) return 'withdrawn';
  if (invited.expired) return 'expired';
  if (invited.tenant_id !== null && invited.tenant_id !== tenantId) return 'other_tenant';
  if (known && known.external_ref === null && known.synced) return 'unassigned';
  if (known && known.external_ref !== null && known.external_ref !== invited.external_ref) return 'other_customer';
  return null;
}

// Commands find tenants by their names, so a name that is taken is not given twice.
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
