// Delta and skip tokens: opaque, sealed per tenant, and written so that a client that rebuilds the link breaks them.
import { createCipheriv, createDecipheriv, createHash, createHmac } from 'node:crypto';
import type { StreamName } from '../tenant/properties.ts';
import type { Truth } from '../tenant/truth.ts';

export type Token =
  | {
      kind: 'delta';
      epoch: number;
      stream: StreamName;
      since: number;
      nonce: string;
      select: readonly string[] | undefined;
    }
  | { kind: 'skip'; epoch: number; stream: StreamName; round: string; page: number }
  | { kind: 'list'; epoch: number; path: string; query: string; after: number };

const keyOf = (truth: Truth) => createHash('sha256').update(`token key ${truth.tenantId} ${truth.seed}`).digest();

// Sealing is deterministic: the same page has to carry the same link whenever it is asked for.
function seal(truth: Truth, text: string): string {
  const key = keyOf(truth);
  const nonce = createHmac('sha256', key).update(text).digest().subarray(0, 12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url');
}

function unseal(truth: Truth, sealed: string): string | undefined {
  const bytes = Buffer.from(sealed, 'base64url');
  if (bytes.length < 29 || bytes.toString('base64url') !== sealed) {
    return undefined;
  }
  const decipher = createDecipheriv('aes-256-gcm', keyOf(truth), bytes.subarray(0, 12));
  decipher.setAuthTag(bytes.subarray(12, 28));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8');
  } catch {
    // Damaged, or sealed by another tenant: to the service both are just a token it does not know.
    return undefined;
  }
}

/**
 * Writes a token as it stands in a link. It holds `+`, `/`, `=` and `%2B` on purpose: who decodes and encodes the query
 * again changes at least one of them (seen in production: "+" became a space and Graph said the link was too old).
 */
export function writeToken(truth: Truth, token: Token): string {
  const sealed = seal(truth, JSON.stringify(token));
  return `${sealed.slice(0, 12)}+${sealed.slice(12, 20)}/${sealed.slice(20, 28)}%2B${sealed.slice(28)}=`;
}

/** Reads a token exactly as it stood in the query; undefined for one that this tenant never wrote. */
export function readToken(truth: Truth, raw: string): Token | undefined {
  const parts = /^([\w-]{12})\+([\w-]{8})\/([\w-]{8})%2B([\w-]+)=$/.exec(raw);
  const text = parts && unseal(truth, parts.slice(1).join(''));
  return text ? (JSON.parse(text) as Token) : undefined;
}

/** How a token that was once good is refused now, if it is. */
export function expiryOf(truth: Truth, token: Token): '410' | '400' | undefined {
  return token.epoch < truth.expiries.length ? truth.expiries.at(-1) : undefined;
}
