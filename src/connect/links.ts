// The links of the consent page: an id, an end and a signature, so that nothing is looked up that we did not hand out.
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** What a signature is for: one made for an invitation is worth nothing as the state of a sign-in. */
export type Purpose = 'invitation' | 'sign_in' | 'offer' | 'consent' | 'check';

/** `ID.END.SIGNATURE`, END in seconds since 1970. */
export function signLink(key: Buffer, purpose: Purpose, id: string, expiresAt: Date): string {
  const body = `${id}.${Math.floor(expiresAt.getTime() / 1000)}`;
  return `${body}.${signature(key, purpose, body).toString('base64url')}`;
}

/** The id in a link and whether its time is over; undefined for one that was not signed by this key for this purpose. */
export function readLink(
  key: Buffer,
  purpose: Purpose,
  text: string,
  now: number,
): { id: string; expired: boolean } | undefined {
  const [, body = '', id = '', end = '', signed = ''] = /^(([0-9a-f-]{36})\.(\d{1,12}))\.([\w-]{43})$/.exec(text) ?? [];
  if (id === '' || !timingSafeEqual(Buffer.from(signed, 'base64url'), signature(key, purpose, body))) return undefined;
  return { id, expired: Number(end) * 1000 <= now };
}

function signature(key: Buffer, purpose: Purpose, body: string): Buffer {
  return createHmac('sha256', key).update(`${purpose} ${body}`).digest();
}

/** What a browser keeps as its cookie. */
export function newBrowser(): string {
  return randomBytes(32).toString('base64url');
}

/** What is kept of a browser's cookie; undefined for what is none. */
export function browserHash(cookie: string | undefined): Buffer | undefined {
  return cookie && /^[\w-]{43}$/.test(cookie) ? createHash('sha256').update(cookie).digest() : undefined;
}
