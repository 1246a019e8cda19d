// The first app-only token after a consent, which takes a while to take effect everywhere.
import pRetry from 'p-retry';
import { ExpectedError } from '../../errors.ts';
import { rolesOf, type TokenSource } from '../../graph/credential.ts';
import { SignInRefused } from '../../graph/sign-in-errors.ts';
import { rolesToAskFor } from '../../rules/roles.ts';
import type { NotYet } from './pages.ts';

/** How long to wait for a consent to take effect. The first retry comes after `firstWaitMs`; each wait doubles. */
export type Patience = { readonly retries: number; readonly firstWaitMs: number };

export type FirstToken =
  /** A valid token, and the roles that it lacks for reading more. */
  | { missing: string[] }
  /** No valid token, and the reason for the page. `again`: consenting again may help. */
  | { failure: ExpectedError; status: number; why: NotYet; again: boolean };

const notYet: ReadonlySet<string> = new Set(['consent_missing', 'permission_missing']);

// The consent creates the application in the tenant. Until that is known everywhere, a sign-in may be refused.
const isUnknown = (error: ExpectedError) => error instanceof SignInRefused && error.mayPass;

/**
 * Returns the missing roles of a token, or why there is none. Each try needs a new token: an older one lacks the roles.
 * Throws defects, and the reason of an abort.
 */
export async function firstToken(
  source: () => TokenSource,
  patience: Patience,
  signal: AbortSignal,
): Promise<FirstToken> {
  try {
    const token = await pRetry(() => source().token({ signal }), {
      retries: patience.retries,
      minTimeout: patience.firstWaitMs,
      factor: 2,
      signal,
      shouldRetry: ({ error }) => error instanceof ExpectedError && (notYet.has(error.code) || isUnknown(error)),
    });
    return { missing: rolesToAskFor(rolesOf(token)) };
  } catch (error) {
    if (!(error instanceof ExpectedError) || signal.aborted) throw error;
    return { failure: error, ...explain(error) };
  }
}

function explain(error: ExpectedError): Omit<Extract<FirstToken, { failure: unknown }>, 'failure'> {
  if (error.code === 'consent_missing' || isUnknown(error)) return { status: 409, why: 'not_known', again: true };
  switch (error.code) {
    case 'permission_missing':
      return { status: 409, why: 'permission_missing', again: true };
    case 'role_refused':
      return { status: 403, why: 'too_much', again: true };
    case 'graph_unavailable':
    case 'proxy_refused':
      return { status: 503, why: 'unavailable', again: false };
    default:
      return { status: 502, why: 'other', again: false };
  }
}
