// Checks what sign-ins have shown of the registrations that people sign in to: entra-sync may not read them.
import { rolesCure } from '../graph/sign-in.ts';
import type { Database } from '../store/database/pool.ts';
import { readRegistration, readSignInAddresses, type SignInAddress } from '../store/tenants/registrations.ts';
import type { Checklist, Finding } from './checklist.ts';

/** The ids of the applications; undefined where the environment names none. */
export type Applications = {
  /** The one that reads directories, and that administrators sign in to on the consent page. */
  readonly reads: string | undefined;
  /** The one that people sign in to on the web. */
  readonly signsIn: string | undefined;
};

/** Adds the checks. `publicUrl`: reads the public address of the web, without a trailing slash. Throws `usage` for a wrong one. */
export async function checkRegistrations(
  list: Checklist,
  database: Database,
  { reads, signsIn }: Applications,
  publicUrl: (() => string) | undefined,
): Promise<void> {
  if (signsIn !== undefined && signsIn !== reads)
    await list.make('sign-in: roles', [], async () => judgeRoles(database, signsIn));
  for (const [path, clientId] of [
    ['/callback', reads],
    ['/entered', signsIn],
  ] as const) {
    if (clientId === undefined) continue;
    const seen = await readSignInAddresses(database, clientId);
    if (publicUrl !== undefined) await list.make(`redirect: ${path}`, [], () => judgeAddress(publicUrl() + path, seen));
  }
  for (const clientId of new Set([reads, signsIn])) {
    const refused = clientId === undefined ? undefined : await lastRefusal(database, clientId);
    if (refused) await list.make('sign-in: consent', [], () => refused);
  }
}

async function judgeRoles(database: Database, clientId: string): Promise<Finding<true>> {
  const registration = await readRegistration(database, clientId);
  const value = true;
  if (!registration)
    return { says: 'not known yet whether id tokens tell directory roles: no person has signed in', value };
  const seen = `(last sign-in ${dayOf(registration.seen_at)})`;
  if (registration.tells_roles) return { says: `id tokens tell the directory roles of the person ${seen}`, value };
  const says = `id tokens tell no directory roles ${seen}: administrators and readers by a directory role cannot come in`;
  return { says, cure: rolesCure, value };
}

function judgeAddress(address: string, seen: readonly SignInAddress[]): Finding<true> {
  const found = seen.find(({ redirect_uri: uri }) => uri === address);
  if (found?.worked_at) return { says: `${address} works (last sign-in ${dayOf(found.worked_at)})`, value: true };
  return {
    says: `no sign-in has come back to ${address} yet, and no permission of entra-sync shows whether it is registered`,
    cure: 'look at Authentication of the application: platform Web, exactly this address; entra-sync register --print sets it',
    value: true,
  };
}

/** The days for which a refusal is told. */
const toldDays = 7;

async function lastRefusal(database: Database, clientId: string): Promise<Finding<true> | undefined> {
  const seen = await readSignInAddresses(database, clientId);
  const [last] = seen
    .flatMap(({ consent_wanted_at: at, consent_code: code }) => (at && code ? [{ at, code }] : []))
    .toSorted((one, other) => other.at.getTime() - one.at.getTime());
  if (!last || Date.now() - last.at.getTime() > toldDays * 86_400_000) return undefined;
  return {
    says: `a person could not sign in, because only an administrator of the organization may allow it (${last.code}, last ${dayOf(last.at)})`,
    cure: 'declare the delegated permissions openid and profile (entra-sync register --print), and have the administrator consent once more: the page that the person saw has the address',
    value: true,
  };
}

const dayOf = (time: Date) => time.toISOString().slice(0, 10);
