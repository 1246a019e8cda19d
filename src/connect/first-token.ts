// The first app-only token of a tenant that has just consented: Microsoft needs a while to make a consent known everywhere.
import pRetry from 'p-retry';
import { ExpectedError } from '../errors.ts';
import { rolesOf, type TokenSource } from '../graph/credential.ts';
import { SignInRefused } from '../graph/sign-in-errors.ts';
import { rolesToAskFor } from '../rules/roles.ts';

/** How long to wait for a consent to take effect: tries again after `firstWaitMs`, then twice that, and so on. */
export type Patience = { readonly retries: number; readonly firstWaitMs: number };

export type FirstToken =
  /** A good token: the roles that would let more be read. */
  | { missing: string[] }
  /** None, and what the administrator can do. `again`: consenting again may help. */
  | { failure: ExpectedError; status: number; what: string; cure: string; again: boolean };

const notYet: ReadonlySet<string> = new Set(['consent_missing', 'permission_missing']);

// The application appears in a tenant with the consent, and until that is known everywhere a sign-in may be refused.
const isUnknown = (error: ExpectedError) => error instanceof SignInRefused && error.mayPass;

/** Takes a token, and looks at what it may do. Each try asks anew: a token from before the consent lacks its roles. */
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

const wait =
  'Microsoft can take some minutes to make a consent known. Wait a little, then check again; if it stays like this, consent again as a Privileged Role Administrator or Global Administrator.';

function explain(error: ExpectedError): Omit<Extract<FirstToken, { failure: unknown }>, 'failure'> {
  const what = `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}.`;
  if (error.code === 'consent_missing' || isUnknown(error)) return { status: 409, what, cure: wait, again: true };
  switch (error.code) {
    case 'permission_missing':
      return {
        status: 409,
        what,
        cure: `${wait} The application may also not ask for it yet: then tell whoever sent you the link.`,
        again: true,
      };
    case 'role_refused':
      return {
        status: 403,
        what,
        cure: 'Tell whoever sent you the link: the application has to ask for less. After that, consent again.',
        again: true,
      };
    case 'graph_unavailable':
      return {
        status: 503,
        what: 'The sign-in service of Microsoft did not answer.',
        cure: 'Check again in a few minutes.',
        again: false,
      };
    default:
      return {
        status: 502,
        what,
        cure: 'Tell whoever sent you the link what stands here; then check again.',
        again: false,
      };
  }
}
