// Why a tenant is not well, in a sentence or two, with when it is tried again.
import { quarantineAfter } from '../rules/quarantine.ts';
import type { TenantStatus } from '../store/status.ts';
import { when } from './format.ts';

/** What `status` says below its table; undefined for a tenant that is well. */
export function describeTrouble(tenant: TenantStatus): string | undefined {
  const { failures, last_error_message: message, next_cycle_at: next, paused } = tenant;
  if (failures < quarantineAfter) return message ?? undefined;
  const again = paused
    ? 'Paused: not tried again before entra-sync tenant resume'
    : `${next && next > new Date() ? `Tried again ${when(next)}` : 'Due now'}, then less and less often; entra-sync tenant retry tries it at once`;
  return `in quarantine: ${failures} cycles in a row have failed, the last one because ${message ?? 'of an unknown cause'}. ${again}.`;
}
