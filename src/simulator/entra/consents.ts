// The consents of each tenant's administrators, and how long the service takes to apply them.
import type { SimulatorOptions } from '../options.ts';

export type Consents = {
  /** An administrator consents to `roles`, by default to those that the application requests. */
  grant(tenantId: string, roles?: readonly string[]): void;
  /** `deleted`: the application is removed from the tenant. `permissions`: it stays without any permission. */
  revoke(tenantId: string, how?: 'deleted' | 'permissions'): void;
  /** The granted roles; null where the application is unknown. */
  granted(tenantId: string): readonly string[] | null;
};

type State = { roles: readonly string[] | null; before: readonly string[] | null; late: number };

/** A tenant without an entry has consented to the current `options.roles`, or not at all with `consented: false`. */
export function createConsents(options: SimulatorOptions, consented: boolean) {
  const states = new Map<string, State>();
  const first = () => (consented ? options.roles : null);
  const set = (tenantId: string, roles: readonly string[] | null, late: number) => {
    const id = tenantId.toLowerCase();
    states.set(id, { roles, before: now(id), late });
  };
  const now = (id: string) => {
    const state = states.get(id);
    return state ? state.roles : first();
  };
  const consents: Consents = {
    grant: (tenantId, roles = options.roles) => set(tenantId, [...roles], options.lateConsent),
    revoke: (tenantId, how = 'deleted') => set(tenantId, how === 'deleted' ? null : [], 0),
    granted: (tenantId) => now(tenantId.toLowerCase()),
  };
  return {
    ...consents,
    /** The roles for a new token. The first `lateConsent` tokens have those from before the consent. */
    forToken(tenantId: string): readonly string[] | null {
      const state = states.get(tenantId);
      if (!state || state.late === 0) return now(tenantId);
      state.late -= 1;
      return state.before;
    },
  };
}
