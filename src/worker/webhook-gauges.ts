// Metrics of webhooks: how they stand, from the database, and what this worker sent.
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Database } from '../store/database/pool.ts';
import { countWebhooks, type WebhookCounts } from '../store/webhooks/webhooks.ts';

export type WebhookGauges = {
  onAttempt(outcome: 'taken' | 'again' | 'paused'): void;
  /** Reads how the webhooks stand. */
  read(database: Database): Promise<WebhookCounts>;
  /** Shows it; undefined: the database did not answer, and nothing is shown. */
  set(found: WebhookCounts | undefined): void;
};

export function openWebhookGauges(registry: Registry, prefix: string): WebhookGauges {
  const registers = [registry];
  const attempts = new Counter({
    name: `${prefix}webhook_attempts_total`,
    help: 'Attempts to send a webhook its changes, by what followed: taken, again (it is tried later), paused.',
    labelNames: ['outcome'],
    registers,
  });
  const webhooks = new Gauge({
    name: `${prefix}webhooks`,
    help: 'Webhooks by state: active, failing, paused (by hand), stopped (paused after five days of failures, or by status 410).',
    labelNames: ['state'],
    registers,
  });
  const behind = new Gauge({
    name: `${prefix}webhook_behind_seconds`,
    help: 'The age of the oldest change that an active webhook has not taken; 0 while none is left.',
    registers,
  });
  behind.remove();
  return {
    onAttempt: (outcome) => attempts.inc({ outcome }),
    read: countWebhooks,
    set: (found) => {
      webhooks.reset();
      behind.remove();
      if (!found) return;
      const { behind_seconds: seconds, ...states } = found;
      for (const [state, number] of Object.entries(states)) webhooks.set({ state }, number);
      behind.set(seconds);
    },
  };
}
