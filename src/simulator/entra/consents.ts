// What each tenant's administrators have consented to, and how long the service takes to know it.
import type { SimulatorOptions } from '../options.ts';

export type Consents = {
  /** An administrator consents to what the application asks for, or to `roles`. */
  grant(tenantId: string, roles?: readonly string[]): void;
  /** `deleted`: the application is removed from the tenant. `permissions`: it stays, and nothing is granted any more. */
  revoke(tenantId: string, how?: 'deleted' | 'permissions'): void;
  /** What is granted: null where the application is unknown. */
  granted(tenantId: string): readonly string[] | null;
};

type State = { roles: readonly string[] | null; before: readonly string[] | null; late: number };

/** Tenants of which nothing was said have consented to whatever `options.roles` holds at the time, or to nothing. */
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
    /** What a token that is asked for now is told: for a few of them, as it was before the consent. */
    forToken(tenantId: string): readonly string[] | null {
      const state = states.get(tenantId);
      if (!state || state.late === 0) return now(tenantId);
      state.late -= 1;
      return state.before;
    },
  };
}
