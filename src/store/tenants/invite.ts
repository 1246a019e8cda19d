// An invitation, and the tenant that it names, which is registered with it.
import { ExpectedError } from '../../errors.ts';
import { commandWord } from '../../rules/shell.ts';
import type { SettingsDocument } from '../../settings/settings.ts';
import type { Database } from '../database/pool.ts';
import { createInvitation, type Invitation, type NewInvitation } from './invitations.ts';
import { addTenant, findTenant } from './tenants.ts';

/**
 * Stores an invitation for a customer; the tenant that it names is registered at once, as pending. Throws `tenant_exists` for
 * a tenant of another customer.
 */
export async function invite(
  database: Database,
  defaults: SettingsDocument,
  invitation: NewInvitation,
): Promise<Invitation> {
  if (invitation.tenantId !== null) await registerPending(database, defaults, invitation.tenantId, invitation);
  return createInvitation(database, invitation);
}

async function registerPending(
  database: Database,
  defaults: SettingsDocument,
  tenantId: string,
  { name, ref }: NewInvitation,
): Promise<void> {
  const there = await findTenant(database, tenantId).catch((error: unknown) => {
    // The vendor names the tenant here, and that overrides a waiting consent.
    if (error instanceof ExpectedError && ['unknown_name', 'consent_waiting'].includes(error.code)) return undefined;
    throw error;
  });
  if (!there) return addTenant(database, { tenantId, name: name ?? ref, ref }, defaults);
  if (there.external_ref === ref) return;
  throw new ExpectedError(
    'tenant_exists',
    `tenant ${tenantId} is registered ${there.external_ref === null ? 'without a customer' : `for customer ${there.external_ref}`}`,
    { cure: `entra-sync tenant rename ${tenantId} --ref ${commandWord(ref)} assigns it to this customer` },
  );
}
