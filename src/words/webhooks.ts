// How a webhook stands, in words.
import type { ListedWebhook } from '../store/webhooks/webhooks.ts';
import { when } from './times.ts';

type Standing = Pick<
  ListedWebhook,
  | 'state'
  | 'paused_because'
  | 'failing_since'
  | 'failures'
  | 'next_at'
  | 'behind_since'
  | 'last_status'
  | 'last_problem'
  | 'is_told'
>;

/** Returns the state of a webhook: "up to date", "failing since 3 h (503)", "paused: it answered 410", "not told …". */
export function describeWebhook(one: Standing, now: Date = new Date()): string {
  const last = one.last_status === null ? (one.last_problem ?? 'no answer') : `status ${one.last_status}`;
  if (one.state === 'paused') {
    if (one.paused_because === 'gone') return 'paused: it answered 410, gone';
    if (one.paused_because === 'failing') return `paused: five days without success (${last})`;
    return 'paused by hand';
  }
  if (!one.is_told) return 'not told: notify.customer is false';
  if (one.failures > 0)
    return `failing since ${when(one.failing_since, now)} (${last}), tried again ${when(one.next_at, now)}`;
  return one.behind_since === null ? 'up to date' : `behind: the oldest change is of ${when(one.behind_since, now)}`;
}

/** Returns a line for each webhook that needs a person. */
export function webhooksInNeed(webhooks: readonly (Standing & Pick<ListedWebhook, 'url' | 'webhook_id' | 'form'>)[]) {
  return webhooks
    .filter((one) => one.paused_because === 'gone' || one.paused_because === 'failing' || one.failures >= failuresTold)
    .map((one) => ({
      says: `${one.form === 'changes' ? 'The webhook' : 'The address of notices'} ${shownUrl(one.url)} is ${describeWebhook(one)}`,
      cure: `entra-sync ${one.form === 'changes' ? 'webhook' : 'notify'} log ${one.webhook_id}`,
    }));
}

// The path and the query of a chat's address are its password, and a status is shown to many.
function shownUrl(text: string): string {
  const { protocol, origin, pathname } = new URL(text);
  return protocol === 'mailto:' ? `mailto:${pathname}` : `${origin}/…`;
}

// About ten minutes of trying.
const failuresTold = 7;
