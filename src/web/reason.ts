// Why the vendor's people look at people of a tenant: the words that are kept, and the way back to the page.
import { keepReason, tenantName } from '../store/web/sessions.ts';
import { ownPath } from './links.ts';
import type { Asked } from './page.ts';

/** The act by which the vendor's people say why they look at people of a tenant. */
export const giving = {
  route: 'POST /console/t/:tenant/reason',
  path: '/console/t/:tenant/reason',
  audit: 'people.reason_given',
} as const;

const longest = 200;

// In at most 200 characters; empty for none.
function reasonOf(given: unknown): string {
  if (typeof given !== 'string') return '';
  // Control characters are no words, and Postgres stores neither NUL nor half a character.
  const words = given
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, ' ')
    .trim();
  return [...words].slice(0, longest).join('').trimEnd();
}

/** Returns the page of the tenant that the form names, or the tenant's own: no form leads elsewhere. */
export function wayBack(to: unknown, tenant: string | undefined): string {
  if (tenant === undefined) return '/';
  const start = `/console/t/${tenant}`;
  const path = ownPath(to);
  return path.toLowerCase().startsWith(`${start}/`) ? path : start;
}

/**
 * Keeps the reason of a form for a session, and returns the path that it leads back to; undefined for a tenant that there
 * is not. `told` writes the outcome to the audit.
 */
export async function giveReason(
  { database, given, params: { tenant = '' } }: Asked,
  session: Buffer,
  told: (outcome: string, reason?: string) => Promise<void>,
): Promise<string | undefined> {
  if ((await tenantName(database, tenant)) === undefined) {
    await told('not_found');
    return undefined;
  }
  const reason = reasonOf(given.reason);
  if (reason === '') await told('refused');
  else {
    // No page opens by a reason that the audit does not have.
    await told('done', reason);
    await keepReason(database, session, tenant, reason);
  }
  return wayBack(given.to, tenant);
}
