// The cookie of a session, the viewer behind it, and the token of its forms.
import { createHash, createHmac, randomBytes } from 'node:crypto';
import type { Role } from '../rules/viewers.ts';
import type { Database } from '../store/database/pool.ts';
import { type FoundSession, findSession, type NewSession, openSession } from '../store/web/sessions.ts';
import type { Viewer } from './access.ts';

/** A browser with a session. */
export type Found = { readonly viewer: Viewer; readonly cookie: string };

/** Returns a random value for a cookie: 256 bits that nothing tells. */
export const newCookie = () => randomBytes(32).toString('base64url');

/** Returns the hash by which a session is kept: a copy of the table opens no session. */
export const hashOfCookie = (cookie: string) => createHash('sha256').update(cookie).digest();

/** Returns the token that the forms of a session carry. Only pages of this session hold it. */
export const tokenOfForms = (cookie: string) => createHmac('sha256', cookie).update('form').digest('base64url');

/** Opens a session and returns the value of its cookie, which is new at every sign-in. */
export async function beginSession(database: Database, session: Omit<NewSession, 'hash'>): Promise<string> {
  const cookie = newCookie();
  await openSession(database, { ...session, hash: hashOfCookie(cookie) });
  return cookie;
}

/**
 * Returns the viewer of a cookie; undefined for none, for a session that has ended, and for one without a role. A request
 * that does not count lets the session grow old.
 */
export async function viewerOf(
  database: Database,
  cookie: string | undefined,
  { counts = true } = {},
): Promise<Viewer | undefined> {
  if (cookie === undefined || !/^[\w-]{43}$/.test(cookie)) return undefined;
  const found = await findSession(database, hashOfCookie(cookie), { counts });
  return found && asViewer(found);
}

const named: Readonly<Record<Role, string>> = {
  ops_act: 'ops',
  ops_read: 'ops, reading only',
  admin: 'administrator',
  reader: 'reader',
  publisher: 'publisher',
  publisher_read: 'publisher, looking only',
  user: 'signed in',
  manager: 'manager',
};

/** Returns the viewer of a session; undefined for one without a role. */
export function asViewer({ roles, actor, tenantId, accountId, reasons }: FoundSession): Viewer | undefined {
  if (typeof roles === 'string') return undefined;
  const [first] = roles;
  if (first === undefined) return undefined;
  // Only `--local` has an actor with a name; an id tells a person nothing.
  const shownAs = /^(account|entra):/.test(actor) ? named[first] : `${named[first]} · ${actor}`;
  return { roles, tenantId, accountId, actor, shownAs, reasons };
}
