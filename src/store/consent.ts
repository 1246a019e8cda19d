// A customer's consent makes its tenant one that is synced: registered, or connected again, for this customer and no other.
import type { SettingsDocument } from '../settings.ts';
import { nextBatch } from './batches.ts';
import { writeTenantChange } from './connection.ts';
import { type Database, inTransaction, rowCount, rows, type Transaction } from './pool.ts';
import { inReportedTransaction } from './receipts.ts';
import { completeRules, shareSettings } from './settings.ts';

export type Consent = { readonly invitationId: string; readonly tenantId: string; readonly actor: string };

export type Connection =
  | { kind: 'connected'; name: string; how: 'new' | 'pending' | 'again' | 'renewed' }
  /** Why nothing was done: see {@link mayConnect}. */
  | { kind: 'refused'; reason: 'withdrawn' | 'expired' | 'other_tenant' | 'other_customer' | 'unassigned' };

type Refused = Extract<Connection, { kind: 'refused' }>['reason'];
type Invited = { external_ref: string; name: string | null; tenant_id: string | null; expired: boolean };
type Known = { name: string; status: string; external_ref: string | null; synced: boolean };

/**
 * Registers the tenant that has just given a good token: for the customer of the invitation, due at once, and `active`,
 * because it has signed in. One that is there for the same customer is connected likewise: the accounts of a disconnected one
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
  const ref = invited.external_ref;
  const name = known?.name ?? (await freeName(transaction, consent.tenantId, invited));
  const written = await rowCount(transaction, known ? update : insert, { ...consent, name, ref });
  // Somebody registered it between the look and now; their row has to be judged first.
  if (written === 0) return connectIn(transaction, consent, defaults);
  await completeRules(transaction, defaults);
  await transaction.raw('update entra_sync.invitations set tenant_id = :tenantId where invitation_id = :invitationId', {
    ...consent,
  });
  const how = known ? howKnown(known.status) : 'new';
  // A consent that is given again, for more permissions say, changes nothing that an application could see.
  if (how !== 'renewed') {
    const scope = { tenant: consent.tenantId, actor: consent.actor, batch: await nextBatch(transaction) };
    const kind = how === 'again' ? 'tenant.reconnected' : 'tenant.connected';
    await writeTenantChange(transaction, scope, kind, ...difference(known, ref));
  }
  return { kind: 'connected', name, how };
}

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

function howKnown(status: string): 'pending' | 'again' | 'renewed' {
  return status === 'disconnected' ? 'again' : status === 'pending' ? 'pending' : 'renewed';
}

/**
 * What would stop this tenant from being connected by this invitation, asked before anybody consents; null for nothing.
 * `vouched`: the vendor named the tenant, in the invitation or by registering it for this customer.
 * `other_tenant`: the invitation is for another one. `other_customer`: the tenant is bound to somebody else.
 * `unassigned`: it is synced, and the vendor has not said for which customer.
 */
export async function mayConnect(
  database: Database,
  invitationId: string,
  tenantId: string,
): Promise<{ refused: Refused | null; vouched: boolean }> {
  return inTransaction(database, async (transaction) => {
    const { invited, known } = await look(transaction, { invitationId, tenantId }, '');
    const named = invited?.tenant_id === tenantId || (known && known.external_ref === invited?.external_ref);
    return { refused: judge(invited, known, tenantId), vouched: named === true };
  });
}

async function look(
  transaction: Transaction,
  { invitationId, tenantId }: { invitationId: string; tenantId: string },
  lock: 'for update' | '',
): Promise<{ invited: Invited | undefined; known: Known | undefined }> {
  const [known] = await rows<Known>(
    transaction,
    `select name, status, external_ref, last_success_at is not null
              or exists (select from entra_sync.accounts a where a.tenant_id = t.tenant_id) as synced
       from entra_sync.tenants t where tenant_id = :tenantId ${lock}`,
    { tenantId },
  );
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
