// Signatures by the scheme of Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks
import { createHmac } from 'node:crypto';

/** Returns a key as its receiver is given it. */
export const shownSecret = (secret: Buffer) => `whsec_${secret.toString('base64')}`;

/** Returns the headers of a message. Several keys sign while one replaces another. `at` counts seconds since 1970. */
export function signatureHeaders(
  { id, at, body }: { readonly id: string; readonly at: number; readonly body: string },
  secrets: readonly Buffer[],
): Record<string, string> {
  const signatures = secrets.map(
    (secret) => `v1,${createHmac('sha256', secret).update(`${id}.${at}.${body}`).digest('base64')}`,
  );
  return { 'webhook-id': id, 'webhook-timestamp': String(at), 'webhook-signature': signatures.join(' ') };
}
