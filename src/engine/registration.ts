// Describes an application's registration as sign-ins have shown it.
import { rolesCure } from '../graph/sign-in.ts';
import type { Registration } from '../store/tenants/registrations.ts';
import type { Finding } from './checklist.ts';

/** Whether id tokens contain directory roles, with the cure if not. */
export function describeRegistration(registration: Registration | undefined): Finding<true> {
  const value = true;
  if (!registration) {
    return {
      says: 'not known yet whether id tokens tell directory roles: the first sign-in on the consent page shows it',
      value,
    };
  }
  const seen = `(last sign-in ${registration.seen_at.toISOString().slice(0, 10)})`;
  if (registration.tells_roles) return { says: `id tokens tell the directory roles of the person ${seen}`, value };
  return {
    says: `id tokens tell no directory roles ${seen}: a consent to a tenant that you did not name waits for tenant approve`,
    cure: rolesCure,
    value,
  };
}
