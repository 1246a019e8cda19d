// The trouble of a tenant in words, and a summary above a long table.

import { count } from '../rules/numbers.ts';
import { isDatabasesFault, quarantineAfter } from '../rules/quarantine.ts';
import { commandWord } from '../rules/shell.ts';
import type { TenantState, TenantStatus } from '../store/tenants/status.ts';
import { when } from './times.ts';

/** Returns the line of `status` below its table; undefined for a healthy tenant. */
export function describeTrouble(tenant: TenantState): string | undefined {
  const { failures, last_error_message: message, next_cycle_at: next, paused } = tenant;
  if (failures < quarantineAfter) {
    if (!isDatabasesFault(tenant.last_cycle_error_code)) return message ?? undefined;
    const stopped = `the database stopped the last cycle: ${tenant.last_cycle_error_message}`;
    // An interrupt of an earlier cycle no longer matters.
    return message === null || tenant.last_error_code === 'interrupted'
      ? stopped
      : `${stopped}; before that: ${message}`;
  }
  const again = paused
    ? 'Paused: not tried again before entra-sync tenant resume'
    : `${next && next > new Date() ? `Tried again ${when(next)}` : 'Due now'}, then less and less often; entra-sync tenant retry makes it due now`;
  return `in quarantine: ${failures} cycles in a row have failed, the last one because ${message ?? 'of an unknown cause'}. ${again}.`;
}

/** Returns when the data of a disconnected tenant ends; undefined where no time was given. */
export function describeErasure({ name, erase_at: at }: TenantState): string | undefined {
  if (!at) return undefined;
  const time = at > new Date() ? `A worker erases it ${when(at)}` : 'The next tick of a worker erases it';
  return `${time}, with all its data, unless entra-sync tenant reconnect ${commandWord(name)} comes first.`;
}

/** Returns the command that takes a notice away. */
function acknowledgeCommand(name: string): string {
  return `entra-sync tenant acknowledge ${commandWord(name)}`;
}

/** Returns the notice of a mass change, with its cure; undefined without one. */
export function describeNotice({ notice, name }: Pick<TenantState, 'notice' | 'name'>): string | undefined {
  return notice === null ? undefined : `${notice} -> look whether Entra ID is right, then ${acknowledgeCommand(name)}`;
}

const maxAtAGlance = 20;
const failed: ReadonlySet<string | null> = new Set(['failed', 'partial', 'cut off']);

/** Returns the summary above a long table, with the options that list each group; none for a short one. */
export function summarize(tenants: readonly TenantStatus[]): string[] {
  if (tenants.length <= maxAtAGlance) return [];
  const of = (is: (tenant: TenantStatus) => boolean) => tenants.filter(is).length;
  const connected = (one: TenantStatus) => one.status !== 'disconnected';
  const numbers: [number, string][] = [
    [of((one) => one.status === 'active'), 'active'],
    [of((one) => one.status === 'quarantined'), 'in quarantine'],
    [of((one) => !connected(one)), 'disconnected'],
    [of((one) => one.paused), 'paused'],
    [
      of((one) => connected(one) && (one.status === 'quarantined' || failed.has(one.last_outcome))),
      'failing (--only failing)',
    ],
    [of((one) => one.held_removals > 0), 'with held removals (--only held)'],
    [of((one) => one.set_aside > 0), 'with objects set aside (--set-aside)'],
    [of((one) => one.notice !== null), 'with a notice'],
    [of((one) => one.running), 'in a cycle now'],
  ];
  const shown = numbers.filter(([number]) => number > 0).map(([number, words]) => `${count(number)} ${words}`);
  return [`${count(tenants.length)} tenants: ${shown.join(', ')}.`, ''];
}
