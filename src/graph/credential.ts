// App-only tokens of a customer's tenant, by @azure/identity, and what a refused sign-in means.

import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { AccessToken, TokenCredential } from '@azure/identity';
import { ExpectedError } from '../errors.ts';
import { judgeRoles } from '../rules/roles.ts';
import type { AppCredential } from './app-credential.ts';
import { readClientCertificate } from './client-certificate.ts';
import type { Cloud } from './clouds.ts';
import { type LastAnswer, limitAnswers } from './identity-http.ts';
import { describeIdentityError, describeSignInError, SignInUnavailable } from './sign-in-errors.ts';

/**
 * A hash of what `read` gives, keyed by `salt`: another one means another credential. Of a certificate the file counts,
 * which may be exchanged in its place, and its password; of what is issued anew all the time, where it comes from.
 */
export function credentialMark(read: () => AppCredential, salt: string): string {
  return createHmac('sha256', salt)
    .update(JSON.stringify(proofOf(read)))
    .digest('base64url');
}

function proofOf(read: () => AppCredential): unknown {
  try {
    const credential = read();
    const { kind, clientId, holder } = credential;
    if (kind === 'secret') return [kind, clientId, credential.secret];
    if (kind === 'certificate')
      return [kind, clientId, readFileSync(credential.path, 'base64'), credential.password ?? null];
    return [kind, clientId, kind === 'managed_identity' ? credential.identity : holder];
  } catch {
    return 'unreadable';
  }
}

export type TokenSource = {
  /** The current access token; `renew` drops the one at hand first, because Graph has just refused it. */
  token(options?: { renew?: boolean; signal?: AbortSignal }): Promise<string>;
};

/**
 * A source of tokens for one customer's tenant. `credential` is asked before every sign-in, so that what it reads may
 * change; it may throw. Every token's `roles` are judged before it is used: one that could write is refused by name.
 * Throws `credential_refused`, `sign_in_failed`, `consent_missing`, `role_refused`, `permission_missing` or `graph_unavailable`.
 */
export function openTokenSource(options: {
  tenantId: string;
  credential: () => AppCredential;
  cloud: Cloud;
  allowRoles: readonly string[];
}): TokenSource {
  let held: AccessToken | undefined;
  let asking: Promise<AccessToken> | undefined;
  return {
    token: async ({ renew = false, signal } = {}) => {
      if (renew) held = asking = undefined;
      if (held && Date.now() < held.expiresOnTimestamp - renewBeforeMs) return held.token;
      // The streams of a cycle ask side by side; the sign-in that is under way serves them both.
      if (!asking) {
        const work = askToken(options);
        asking = work;
        const done = (access?: AccessToken) => {
          if (asking !== work) return;
          asking = undefined;
          held = access;
        };
        work.then(done, () => done());
      }
      const access = await withinTime(asking, signal).catch((error: unknown) => {
        // What hangs is not waited for by the next try.
        asking = undefined;
        throw error === signInTimeout ? noAnswer(options.cloud.authorityHost) : error;
      });
      return access.token;
    },
  };
}

// As @azure/identity does by itself: what is on its way must not arrive with a token that has ended meanwhile.
const renewBeforeMs = 5 * 60_000;

async function askToken(options: {
  tenantId: string;
  credential: () => AppCredential;
  cloud: Cloud;
  allowRoles: readonly string[];
}): Promise<AccessToken> {
  const { tenantId, cloud, allowRoles } = options;
  const credential = options.credential();
  const last: LastAnswer = {};
  try {
    // A new one for every token has an empty cache: the only documented way to make sure of one that was not used before.
    const made = await makeCredential(tenantId, credential, cloud, last);
    const access = await made.getToken(`${cloud.graphOrigin}/.default`);
    if (!access) throw new ExpectedError('sign_in_failed', `no token for tenant ${tenantId} was issued`);
    requirePlain(access.token, tenantId);
    // Before anybody can hold it: whoever asks next must not get what was refused to the first.
    requireRoles(access.token, tenantId, allowRoles);
    return access;
  } catch (error) {
    throw await describeSignInError(error, tenantId, credential, cloud.authorityHost, last);
  }
}

async function makeCredential(
  tenantId: string,
  credential: AppCredential,
  cloud: Cloud,
  last: LastAnswer,
): Promise<TokenCredential> {
  // A third of a second to load: not for commands that never talk to Graph.
  const azure = await import('@azure/identity');
  const settings = {
    authorityHost: cloud.authorityHost,
    // An authority that Microsoft's instance discovery does not know would be refused by it.
    disableInstanceDiscovery: !cloud.knownAuthority,
    ...sentOnce,
    additionalPolicies: [{ position: 'perCall' as const, policy: limitAnswers(last) }],
  };
  const { clientId } = credential;
  switch (credential.kind) {
    case 'secret':
      return new azure.ClientSecretCredential(tenantId, clientId, credential.secret, settings);
    case 'certificate':
      readClientCertificate(credential);
      return new azure.ClientCertificateCredential(
        tenantId,
        clientId,
        {
          certificatePath: credential.path,
          ...(credential.password !== undefined && { certificatePassword: credential.password }),
        },
        settings,
      );
    case 'federated':
      return new azure.ClientAssertionCredential(tenantId, clientId, async () => credential.assertion, settings);
    case 'managed_identity': {
      // The identity lives in the vendor's tenant, the token is the customer's: so it is the application that signs in.
      const assertion = await identityToken(credential, cloud);
      return new azure.ClientAssertionCredential(tenantId, clientId, async () => assertion, settings);
    }
  }
}

/** What a managed identity proves the application with, in place of a secret. */
export async function identityToken(
  credential: Extract<AppCredential, { kind: 'managed_identity' }>,
  cloud: Cloud,
): Promise<string> {
  const { ManagedIdentityCredential } = await import('@azure/identity');
  const own = new ManagedIdentityCredential({
    clientId: credential.identity,
    ...sentOnce,
    additionalPolicies: [{ position: 'perCall', policy: limitAnswers({}) }],
  });
  const access = await own.getToken(`${cloud.exchangeAudience}/.default`).catch((error: unknown) => {
    throw describeIdentityError(error, credential);
  });
  return access.token;
}

const sentOnce = {
  // Tried again by the policy of the reader alone, which tells every wait.
  retryOptions: { maxRetries: 0 },
  // A redirect would carry the secret along.
  redirectOptions: { maxRetries: 0 },
};

const signInTimeoutMs = 60_000;
const signInTimeout = new Error(`no answer to a sign-in within ${signInTimeoutMs / 1000} s`);

function noAnswer(authorityHost: string): SignInUnavailable {
  return new SignInUnavailable('TIMEOUT', `${authorityHost} does not answer (TIMEOUT)`, {
    cure: 'check the network, HTTPS_PROXY and AZURE_AUTHORITY_HOST, then run the command again: it goes on where it stopped',
  });
}

// @azure/identity does not let go of a request that hangs, neither for its own signal nor for a time of its own.
async function withinTime<Answer>(work: Promise<Answer>, signal: AbortSignal | undefined): Promise<Answer> {
  const time = AbortSignal.timeout(signInTimeoutMs);
  const end = signal ? AbortSignal.any([signal, time]) : time;
  const ended = new Promise<never>((_resolve, reject) => {
    end.addEventListener('abort', () => reject(signal?.aborted ? signal.reason : signInTimeout), { once: true });
  });
  end.throwIfAborted();
  return Promise.race([work, ended]);
}

// Anything else would be quoted whole by the error of the HTTP client that refuses it as a header (rule 18).
function requirePlain(token: string, tenantId: string): void {
  if (/^[A-Za-z0-9._~+/=-]+$/.test(token)) return;
  throw new ExpectedError('sign_in_failed', `the token issued for tenant ${tenantId} is no bearer token`, {
    cure: 'check AZURE_AUTHORITY_HOST and what stands between here and it',
  });
}

function requireRoles(token: string, tenantId: string, allowRoles: readonly string[]): void {
  const verdict = judgeRoles(rolesOf(token), allowRoles);
  switch (verdict.kind) {
    case 'ok':
      return;
    case 'none':
      throw new ExpectedError('consent_missing', `the token for tenant ${tenantId} carries no permission`, {
        cure: 'have an administrator of that tenant grant admin consent: entra-sync connect --print-url --ref CUSTOMER (docs/connect.md)',
      });
    case 'missing':
      throw new ExpectedError('permission_missing', `the token for tenant ${tenantId} lacks ${verdict.oneOf[0]}`, {
        cure: `add the application permission ${verdict.oneOf.join(' or ')} and grant admin consent again`,
      });
    case 'refused':
      throw new ExpectedError(
        'role_refused',
        `the token for tenant ${tenantId} carries ${verdict.roles.join(', ')}, which entra-sync does not need: it only reads`,
        { cure: 'take the permission away from the application, or name it under allowRoles in the settings' },
      );
  }
}

/** The application roles of a token: read, not verified, for it came straight from the authority over TLS, and Graph is who it is for. */
export function rolesOf(token: string): string[] {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    const roles = (claims as { roles?: unknown }).roles;
    return Array.isArray(roles) ? roles.filter((role) => typeof role === 'string') : [];
  } catch {
    return [];
  }
}
