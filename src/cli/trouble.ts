// Why a tenant is not well, in a sentence or two, with when it is tried again.
import { isDatabasesFault, quarantineAfter } from '../rules/quarantine.ts';
import type { TenantStatus } from '../store/status.ts';
import { when } from './format.ts';

/** What `status` says below its table; undefined for a tenant that is well. */
export function describeTrouble(tenant: TenantStatus): string | undefined {
  const { failures, last_error_message: message, next_cycle_at: next, paused } = tenant;
  if (failures < quarantineAfter) {
    if (!isDatabasesFault(tenant.last_cycle_error_code)) return message ?? undefined;
    const stopped = `the database stopped the last cycle: ${tenant.last_cycle_error_message}`;
    // An interrupt of an earlier cycle is of no interest any more.
    return message === null || tenant.last_error_code === 'interrupted'
      ? stopped
      : `${stopped}; before that: ${message}`;
  }
  const again = paused
    ? 'Paused: not tried again before entra-sync tenant resume'
    : `${next && next > new Date() ? `Tried again ${when(next)}` : 'Due now'}, then less and less often; entra-sync tenant retry tries it at once`;
  return `in quarantine: ${failures} cycles in a row have failed, the last one because ${message ?? 'of an unknown cause'}. ${again}.`;
}
