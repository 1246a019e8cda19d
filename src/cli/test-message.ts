// A message that tells nothing, to try an address: `webhook test`, `notify test` and the page of a webhook.
import { randomUUID } from 'node:crypto';
import type { Notice } from '../rules/notices.ts';
import type { Database } from '../store/database/pool.ts';
import { type ListedWebhook, secretsOf } from '../store/webhooks/webhooks.ts';
import { testBody } from '../webhooks/message.ts';
import type { Answer } from '../webhooks/post.ts';
import { sendBody, sendNotice } from '../webhooks/send.ts';
import { sendingOf } from './sending.ts';

/** Sends the message and returns the answer. Throws `usage` for a variable of the environment that does not fit. */
export async function sendTest(
  database: Database,
  webhook: ListedWebhook,
  { variables, signal }: { readonly variables: NodeJS.ProcessEnv; readonly signal: AbortSignal },
): Promise<Answer> {
  const at = new Date();
  const message = { webhookId: webhook.webhook_id, at };
  const secrets = await secretsOf(database, webhook.webhook_id);
  const options = { signal, secrets, messageId: `msg_${randomUUID()}`, ...sendingOf(variables) };
  return webhook.form === 'changes'
    ? sendBody(webhook, testBody(message), options)
    : sendNotice(webhook, { ...message, notice: testNotice(at), publicUrl: options.publicUrl }, options);
}

const testNotice = (at: Date): Notice => ({
  ...{ trouble_id: '0', phase: 'begins', kind: 'test', key: '', tenant_id: null, tenant_name: null, detail: {} },
  since: at.toISOString(),
});

/** The time for which a page waits for the answer, in milliseconds: longer than the message itself may take. */
const pageMs = 20_000;

/** Returns the sender of such messages for pages. */
export const testSender = (variables: NodeJS.ProcessEnv) => (database: Database, webhook: ListedWebhook) =>
  sendTest(database, webhook, { variables, signal: AbortSignal.timeout(pageMs) });
