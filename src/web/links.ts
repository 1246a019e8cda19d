// Signed links and facts: id or facts, end and signature, so that only what was issued is looked up.
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** The purpose of a signature: one for an invitation is invalid as the state of a sign-in. */
export type Purpose = 'entering' | 'form' | 'invitation' | 'sign_in' | 'offer' | 'consent' | 'check' | 'connected';

/** Returns `ID.END.SIGNATURE`, END in seconds since 1970. */
export function signLink(key: Buffer, purpose: Purpose, id: string, expiresAt: Date): string {
  const body = `${id}.${Math.floor(expiresAt.getTime() / 1000)}`;
  return `${body}.${signature(key, purpose, body).toString('base64url')}`;
}

/** Returns the id of a link and whether it has expired; undefined unless this key signed it for this purpose. */
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

/** Returns the address of an invitation at the consent page that is served below `url`. */
export function invitationUrl(key: Buffer, url: string, id: string, expiresAt: Date): string {
  return `${url}/invitation/${signLink(key, 'invitation', id, expiresAt)}`;
}

/** Returns a link that carries what it is about: `FACTS.END.SIGNATURE`. Its reader sees the facts, and cannot change them. */
export function signFacts(key: Buffer, purpose: Purpose, facts: object, expiresAt: Date): string {
  const body = `${Buffer.from(JSON.stringify(facts)).toString('base64url')}.${Math.floor(expiresAt.getTime() / 1000)}`;
  return `${body}.${signature(key, purpose, body).toString('base64url')}`;
}

/** Returns the facts of a link, and whether it has expired; undefined unless this key signed it for this purpose. */
export function readFacts<Facts>(
  key: Buffer,
  purpose: Purpose,
  text: string,
  now: number,
): { facts: Facts; expired: boolean } | undefined {
  const [, body = '', facts = '', end = '', signed = ''] =
    /^(([\w-]{1,6000})\.(\d{1,12}))\.([\w-]{43})$/.exec(text) ?? [];
  if (facts === '' || !timingSafeEqual(Buffer.from(signed, 'base64url'), signature(key, purpose, body)))
    return undefined;
  return {
    facts: JSON.parse(Buffer.from(facts, 'base64url').toString('utf8')) as Facts,
    expired: Number(end) * 1000 <= now,
  };
}

function signature(key: Buffer, purpose: Purpose, body: string): Buffer {
  return createHmac('sha256', key).update(`${purpose} ${body}`).digest();
}

/** Returns a new value for a browser's cookie. */
export function newBrowser(): string {
  return randomBytes(32).toString('base64url');
}

/** Returns the hash of a cookie, which is all that is stored; undefined for an invalid one. */
export function browserHash(cookie: string | undefined): Buffer | undefined {
  return cookie && /^[\w-]{43}$/.test(cookie) ? createHash('sha256').update(cookie).digest() : undefined;
}

/** Returns a path of this site, or `/` for anything else: no link or form leads elsewhere. It is encoded already. */
export function ownPath(to: unknown): string {
  return typeof to === 'string' && to.length <= 2_000 && /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(to) ? to : '/';
}
