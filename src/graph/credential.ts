// Gets app-only tokens for a customer's tenant, by @azure/identity.

import { createHmac } from 'node:crypto';
import type { AccessToken, TokenCredential } from '@azure/identity';
import { readSecretFile } from '../environment.ts';
import { ExpectedError } from '../errors.ts';
import { judgeRoles } from '../rules/roles.ts';
import type { Access, AppCredential } from './app-credential.ts';
import { credentialEnd } from './client-certificate.ts';
import type { Cloud } from './clouds.ts';
import { identityOptions, type LastAnswer } from './identity-http.ts';
import {
  type Customer,
  describeIdentityError,
  describeSignInError,
  invitationCommand,
  SignInUnavailable,
} from './sign-in-errors.ts';

/**
 * Returns a hash of a credential, keyed by `salt`, to notice a change. It covers a certificate's file and password; of
 * a token that is renewed all the time, only where it comes from.
 */
export function credentialFingerprint(read: () => AppCredential, salt: string): string {
  return createHmac('sha256', salt)
    .update(JSON.stringify(proofOf(read)))
    .digest('base64url');
}

function proofOf(read: () => AppCredential): unknown {
  try {
    const credential = read();
    const { kind, clientId, holder } = credential;
    if (kind === 'secret') return [kind, clientId, credential.secret];
    if (kind === 'certificate') return [kind, clientId, readSecretFile(credential.path), credential.password ?? null];
    return [kind, clientId, kind === 'managed_identity' ? credential.identity : holder];
  } catch {
    return 'unreadable';
  }
}

export type TokenSource = {
  /** Returns the current access token. `renew` first drops the kept one, because Graph has just refused it. */
  token(options?: { renew?: boolean; signal?: AbortSignal }): Promise<string>;
  /** Returns the facts of the last token that was issued, also of one that was refused; undefined before the first. */
  access(): Access | undefined;
};

/**
 * Opens a source of tokens for one customer's tenant. `credential` is called before every sign-in, so the credential
 * may change; it may throw. A token's `roles` are judged before it is used: one that could write is refused. Throws
 * `credential_refused`, `sign_in_failed`, `consent_missing`, `role_refused`, `permission_missing` or
 * `graph_unavailable`.
 */
export function openTokenSource(options: {
  tenantId: string;
  credential: () => AppCredential;
  cloud: Cloud;
  allowRoles: readonly string[];
  /** Asked for the cure of a missing consent. */
  customer?: () => Promise<Customer | undefined>;
}): TokenSource {
  let held: AccessToken | undefined;
  let issued: Access | undefined;
  let asking: Promise<AccessToken> | undefined;
  return {
    access: () => issued,
    token: async ({ renew = false, signal } = {}) => {
      if (renew) held = asking = undefined;
      if (held && Date.now() < held.expiresOnTimestamp - renewBeforeMs) return held.token;
      // The streams of a cycle share one sign-in.
      if (!asking) {
        const onIssued = (access: Access) => {
          issued = access;
        };
        const work = askToken({ ...options, onIssued });
        asking = work;
        const done = (access?: AccessToken) => {
          if (asking !== work) return;
          asking = undefined;
          held = access;
        };
        work.then(done, () => done());
      }
      const access = await withinTime(asking, signal).catch((error: unknown) => {
        // The next try must not wait for a sign-in that hangs.
        asking = undefined;
        throw error === signInTimeout ? noAnswer(options.cloud.authorityHost) : error;
      });
      return access.token;
    },
  };
}

// As @azure/identity does itself: a token must not expire while a request is on its way.
const renewBeforeMs = 5 * 60_000;

async function askToken(options: {
  tenantId: string;
  credential: () => AppCredential;
  cloud: Cloud;
  allowRoles: readonly string[];
  customer?: () => Promise<Customer | undefined>;
  onIssued: (access: Access) => void;
}): Promise<AccessToken> {
  const { tenantId, cloud, allowRoles, customer = async () => undefined, onIssued } = options;
  const credential = options.credential();
  const last: LastAnswer = {};
  try {
    // An unusable certificate is refused here: the libraries would only report that there is no token.
    const endsAt = credentialEnd(credential) ?? null;
    // A new credential has an empty cache, which is the only documented way to force a new token.
    const made = await makeCredential(tenantId, credential, cloud, last);
    const access = await made.getToken(`${cloud.graphOrigin}/.default`);
    if (!access) throw new ExpectedError('sign_in_failed', `no token for tenant ${tenantId} was issued`);
    requirePlain(access.token, tenantId);
    onIssued({ roles: rolesOf(access.token), credential: credential.kind, endsAt });
    // Checked before the token is kept: the next caller must not get a refused one.
    await requireRoles(access.token, tenantId, allowRoles, customer);
    return access;
  } catch (error) {
    throw await describeSignInError(error, tenantId, credential, cloud.authorityHost, last, customer);
  }
}

async function makeCredential(
  tenantId: string,
  credential: AppCredential,
  cloud: Cloud,
  last: LastAnswer,
): Promise<TokenCredential> {
  // Takes a third of a second to load, so commands that do not use Graph skip it.
  const azure = await import('@azure/identity');
  const settings = {
    authorityHost: cloud.authorityHost,
    // Microsoft's instance discovery would refuse an authority that it does not know.
    disableInstanceDiscovery: !cloud.knownAuthority,
    ...identityOptions(last),
  };
  const { clientId } = credential;
  switch (credential.kind) {
    case 'secret':
      return new azure.ClientSecretCredential(tenantId, clientId, credential.secret, settings);
    case 'certificate':
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
      // The identity is in the vendor's tenant and the token for the customer's, so the application has to sign in.
      const assertion = await identityToken(credential, cloud);
      return new azure.ClientAssertionCredential(tenantId, clientId, async () => assertion, settings);
    }
  }
}

/** Gets the token of a managed identity that replaces the application's secret. */
export async function identityToken(
  credential: Extract<AppCredential, { kind: 'managed_identity' }>,
  cloud: Cloud,
): Promise<string> {
  const { ManagedIdentityCredential } = await import('@azure/identity');
  const own = new ManagedIdentityCredential({ clientId: credential.identity, ...identityOptions({}) });
  const access = await own.getToken(`${cloud.exchangeAudience}/.default`).catch((error: unknown) => {
    throw describeIdentityError(error, credential);
  });
  return access.token;
}

const signInTimeoutMs = 60_000;
const signInTimeout = new Error(`no answer to a sign-in within ${signInTimeoutMs / 1000} s`);

function noAnswer(authorityHost: string): SignInUnavailable {
  return new SignInUnavailable('TIMEOUT', `${authorityHost} does not answer (TIMEOUT)`, {
    cure: 'check the network, HTTPS_PROXY and AZURE_AUTHORITY_HOST, then run the command again: it resumes where it stopped',
  });
}

// @azure/identity does not abort a request that hangs: it has no time limit and ignores the signal of getToken.
async function withinTime<Answer>(work: Promise<Answer>, signal: AbortSignal | undefined): Promise<Answer> {
  const time = AbortSignal.timeout(signInTimeoutMs);
  const end = signal ? AbortSignal.any([signal, time]) : time;
  const ended = new Promise<never>((_resolve, reject) => {
    end.addEventListener('abort', () => reject(signal?.aborted ? signal.reason : signInTimeout), { once: true });
  });
  end.throwIfAborted();
  return Promise.race([work, ended]);
}

// The HTTP client would refuse any other token as a header, with an error that quotes it (rule 18).
function requirePlain(token: string, tenantId: string): void {
  if (/^[A-Za-z0-9._~+/=-]+$/.test(token)) return;
  throw new ExpectedError('sign_in_failed', `the token issued for tenant ${tenantId} is no bearer token`, {
    cure: 'check AZURE_AUTHORITY_HOST and any proxy between here and it',
  });
}

async function requireRoles(
  token: string,
  tenantId: string,
  allowRoles: readonly string[],
  customer: () => Promise<Customer | undefined>,
): Promise<void> {
  const verdict = judgeRoles(rolesOf(token), allowRoles);
  switch (verdict.kind) {
    case 'ok':
      return;
    case 'none':
      throw new ExpectedError('consent_missing', `the token for tenant ${tenantId} carries no permission`, {
        cure: `have an administrator of that tenant grant admin consent: ${invitationCommand(await customer())} (docs/connect.md)`,
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

/** Returns the application roles of a token, unverified: it came from the authority over TLS, and Graph verifies it. */
export function rolesOf(token: string): string[] {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    const roles = (claims as { roles?: unknown }).roles;
    return Array.isArray(roles) ? roles.filter((role) => typeof role === 'string') : [];
  } catch {
    return [];
  }
}
