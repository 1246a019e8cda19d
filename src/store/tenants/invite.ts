// An invitation, and the tenant that it names, which is registered with it.
import { ExpectedError } from '../../errors.ts';
import { commandWord } from '../../rules/shell.ts';
import type { SettingsDocument } from '../../settings/settings.ts';
import type { Database, Transaction } from '../database/pool.ts';
import { inReportedTransaction } from '../feed/receipts.ts';
import { type Invitation, type NewInvitation, storeInvitation } from './invitations.ts';
import { findTenant, registerTenant } from './tenants.ts';

/**
 * Stores an invitation for a customer; the tenant that it names is registered at once, as pending. Throws `tenant_exists` for
 * a tenant of another customer.
 */
export async function invite(
  database: Database,
  defaults: SettingsDocument,
  invitation: NewInvitation,
): Promise<Invitation> {
  return inReportedTransaction(database, async (transaction) => {
    if (invitation.tenantId !== null) await registerPending(transaction, defaults, invitation.tenantId, invitation);
    return storeInvitation(transaction, invitation);
  });
}

async function registerPending(
  transaction: Transaction,
  defaults: SettingsDocument,
  tenantId: string,
  { name, ref }: NewInvitation,
): Promise<void> {
  const there = await findTenant(transaction, tenantId).catch((error: unknown) => {
    // The vendor names the tenant here, and that overrides a waiting consent.
    if (error instanceof ExpectedError && ['unknown_name', 'consent_waiting'].includes(error.code)) return undefined;
    throw error;
  });
  if (!there) return registerTenant(transaction, { tenantId, name: name ?? ref, ref }, defaults);
  if (there.external_ref === ref) return;
  throw new ExpectedError(
    'tenant_exists',
    `tenant ${tenantId} is registered ${there.external_ref === null ? 'without a customer' : `for customer ${there.external_ref}`}`,
    { cure: `entra-sync tenant rename ${tenantId} --ref ${commandWord(ref)} assigns it to this customer` },
  );
}
