// Numbers, times and changes as people read them.

export { count, duration, plural } from '../rules/numbers.ts';
export { cut, describeChange, describeMembership, showValue } from '../words/changes.ts';
export { when } from '../words/times.ts';

import { when } from '../words/times.ts';

/** The time of a tenant's next cycle; without one it is due at once, like the first. */
export function dueIn(tenant: { status: string; paused: boolean; next_cycle_at: Date | null }): string {
  if (tenant.next_cycle_at) return when(tenant.next_cycle_at);
  return tenant.status === 'disconnected' || tenant.paused ? 'none' : 'at once';
}

/** Names a tenant with its id beside the name. A tenant that `sync` registered has its id as its name: shown once. */
export function nameWithId(name: string, tenantId: string): string {
  return name === tenantId ? name : `${name} (${tenantId})`;
}
