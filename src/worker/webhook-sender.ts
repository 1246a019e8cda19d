// Sends the change feed to webhooks. One worker at a time sends to an address, and a slow address delays no other.
import type { Log } from '../logger.ts';
import { outcomeOf } from '../rules/webhooks.ts';
import type { Database } from '../store/database/pool.ts';
import { endAttempt } from '../store/webhooks/attempts.ts';
import { type ClaimedWebhook, claimWebhook, endForWebhooks, nextLot, releaseWebhook } from '../store/webhooks/lots.ts';
import { secretsOf } from '../store/webhooks/webhooks.ts';
import { type NoticeOptions, sendLot } from '../webhooks/send.ts';

export type WebhookSender = {
  /** Starts to send what is due, as far as there is room. */
  look(): void;
  /** Resolves when nothing is under way; never rejects. */
  idle(): Promise<void>;
};

export type SenderOptions = NoticeOptions & {
  readonly database: Database;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly onError: (error: unknown) => void;
  /** Counts an attempt by what followed from it. */
  readonly onAttempt?: ((outcome: 'taken' | 'again' | 'paused') => void) | undefined;
  /** The hosts that a proxy may be asked for; undefined: there is no proxy. */
  readonly proxiedHosts?: readonly string[] | undefined;
  readonly random?: () => number;
  /** The time for one answer, in milliseconds. */
  readonly withinMs?: number;
  /** The time after which another webhook gets a turn, in milliseconds. */
  readonly turnMs?: number;
};

/** The webhooks that one worker sends to at a time. */
const atOnce = 4;
/** Another webhook gets a turn after so many lots in a row, or after so long: a slow address delays no other for more. */
const lotsInARow = 50;
const turnMs = 30_000;
/** A webhook that fails by a defect waits for so long, in milliseconds: the first in line, it would keep all others from theirs. */
const putOffMs = 60_000;

/** Each look works until nothing is due; further looks work beside it. */
export function openWebhookSender(options: SenderOptions): WebhookSender {
  const { database, log, signal, onError, proxiedHosts, withinMs, publicUrl, mail, random = Math.random } = options;
  const turn = options.turnMs ?? turnMs;
  const underWay = new Set<Promise<void>>();
  // By id the positions at which nothing was left, and the end of the feed then.
  const quiet = new Map<string, string>();
  let quietEnd = '';

  async function work(): Promise<void> {
    const end = await endForWebhooks(database);
    if (end === undefined) return;
    if (quietEnd !== end) quiet.clear();
    quietEnd = end;
    while (!signal.aborted) {
      const webhook = await claimWebhook(database, quiet);
      if (!webhook) return;
      const done = await sendAll(webhook).then(
        (nothingAt) => ({ nothingAt }),
        (error: unknown) => ({ error }),
      );
      await releaseWebhook(database, webhook, 'error' in done ? putOffMs : 0);
      if ('error' in done) {
        onError(done.error);
        continue;
      }
      const { nothingAt } = done;
      if (nothingAt !== undefined && webhook.form === 'changes' && quietEnd === end)
        quiet.set(webhook.webhook_id, nothingAt);
    }
  }

  /** Sends lot by lot. Returns the position at which nothing is left; undefined: there may be more. */
  async function sendAll(webhook: ClaimedWebhook): Promise<string | undefined> {
    const began = performance.now();
    for (let sent = 0; sent < lotsInARow && !signal.aborted; sent += 1) {
      const lot = await nextLot(database, webhook);
      if (!lot) return undefined;
      if ('nothingAt' in lot) return lot.nothingAt;
      const secrets = await secretsOf(database, webhook.webhook_id);
      const messageId = `msg_${lot.id}`;
      const answer = await sendLot(webhook, lot, {
        ...{ signal, proxiedHosts, withinMs, publicUrl, mail, messageId, secrets },
      }).catch((error: unknown) => {
        // The worker stops amid the attempt: another one sends the lot again.
        if (signal.aborted) return undefined;
        throw error;
      });
      if (!answer) return undefined;
      const { retryAfter, ...attempt } = answer;
      const outcome = outcomeOf({ status: answer.status, retryAfter }, { ...lot, random: random() });
      const changes = Array.isArray(lot.changes) ? lot.changes.length : 0;
      const isOurs = await endAttempt(database, webhook, lot, { ...attempt, messageId, changes }, outcome);
      options.onAttempt?.(outcome.kind);
      const told = { webhookId: webhook.webhook_id, status: answer.status, reason: answer.problem ?? undefined };
      if (outcome.kind === 'paused') log.error({ ...told, because: outcome.because }, 'a webhook is paused');
      if (outcome.kind === 'again' && lot.failures === 0) log.warn(told, 'a webhook did not take its changes');
      if (outcome.kind !== 'taken' || !isOurs || performance.now() - began >= turn) return undefined;
    }
    return undefined;
  }

  return {
    look: () => {
      if (underWay.size >= atOnce || signal.aborted) return;
      const one = work()
        .catch(onError)
        .finally(() => underWay.delete(one));
      underWay.add(one);
    },
    idle: async () => void (await Promise.all(underWay)),
  };
}
