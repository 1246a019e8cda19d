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

const cutMark = /…"? \([\d,]+ characters\)/;

/** Returns a table with a remark below it if values in it are cut. */
export function withCutRemark(shown: string): string {
  // Lines that were broken to fit the terminal.
  return cutMark.test(shown.replaceAll(/\s+/g, ' '))
    ? `${shown}\n\nValues that end in … are cut -> --json shows them whole`
    : shown;
}

/** Names a tenant with its id beside the name. A tenant that `sync` registered has its id as its name: shown once. */
export function nameWithId(name: string, tenantId: string): string {
  return name === tenantId ? name : `${name} (${tenantId})`;
}
