// App-only tokens of a customer's tenant, by @azure/identity, and what a refused sign-in means.
import type { AccessToken, TokenCredential } from '@azure/identity';
import { ExpectedError } from '../errors.ts';
import { judgeRoles } from '../rules/roles.ts';
import type { Cloud } from './clouds.ts';

/** How this installation proves who it is. A secret or a certificate file, never both. */
export type AppCredential = {
  readonly clientId: string;
  readonly secret?: string;
  readonly certificatePath?: string;
  readonly certificatePassword?: string;
};

export type TokenSource = {
  /** The current access token; `renew` drops the one at hand first, because Graph has just refused it. */
  token(options?: { renew?: boolean; signal?: AbortSignal }): Promise<string>;
};

/**
 * A source of tokens for one customer's tenant. Every token's `roles` are judged before it is used: one that could write
 * is refused by name. Throws `sign_in_failed`, `consent_missing`, `role_refused`, `permission_missing` or `graph_unavailable`.
 */
export function openTokenSource(options: {
  tenantId: string;
  credential: AppCredential;
  cloud: Cloud;
  allowRoles: readonly string[];
}): TokenSource {
  const { tenantId, cloud, allowRoles } = options;
  // A new credential has an empty cache: the only documented way to make sure of a token that was not used before.
  let credential: Promise<TokenCredential> | undefined;
  let asking: Promise<AccessToken | null> | undefined;
  return {
    token: async ({ renew = false, signal } = {}) => {
      if (renew || !credential) {
        credential = makeCredential(options);
        asking = undefined;
      }
      const scope = `${cloud.graphOrigin}/.default`;
      // The streams of a cycle ask side by side; the sign-in that is under way serves them both.
      if (!asking) {
        const work = credential.then((one) => one.getToken(scope));
        asking = work;
        const done = () => {
          if (asking === work) asking = undefined;
        };
        work.then(done, done);
      }
      const access = await withinTime(asking, signal).catch(async (error: unknown) => {
        throw await describeSignInError(error, tenantId, cloud.authorityHost);
      });
      if (!access) throw new ExpectedError('sign_in_failed', `no token for tenant ${tenantId} was issued`);
      requirePlain(access.token, tenantId);
      requireRoles(access.token, tenantId, allowRoles);
      return access.token;
    },
  };
}

async function makeCredential(options: {
  tenantId: string;
  credential: AppCredential;
  cloud: Cloud;
}): Promise<TokenCredential> {
  // A third of a second to load: not for commands that never talk to Graph.
  const { ClientCertificateCredential, ClientSecretCredential } = await import('@azure/identity');
  const { tenantId, credential, cloud } = options;
  const settings = {
    authorityHost: cloud.authorityHost,
    // An authority that Microsoft's instance discovery does not know would be refused by it.
    disableInstanceDiscovery: !cloud.knownAuthority,
    retryOptions: { maxRetries: 2, retryDelayInMs: 500 },
  };
  if (credential.secret !== undefined) {
    return new ClientSecretCredential(tenantId, credential.clientId, credential.secret, settings);
  }
  return new ClientCertificateCredential(
    tenantId,
    credential.clientId,
    {
      certificatePath: credential.certificatePath ?? '',
      ...(credential.certificatePassword !== undefined && { certificatePassword: credential.certificatePassword }),
    },
    settings,
  );
}

const signInTimeoutMs = 60_000;

// @azure/identity does not let go of a request that hangs, neither for its own signal nor for a time of its own.
async function withinTime<Answer>(work: Promise<Answer>, signal: AbortSignal | undefined): Promise<Answer> {
  const time = AbortSignal.timeout(signInTimeoutMs);
  const end = signal ? AbortSignal.any([signal, time]) : time;
  const ended = new Promise<never>((_resolve, reject) => {
    end.addEventListener(
      'abort',
      () => reject(signal?.aborted ? signal.reason : new Error('network_error: sign-in timeout')),
      { once: true },
    );
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
        cure: 'have an administrator of that tenant grant admin consent: entra-sync connect --print-url --ref CUSTOMER (README, "Connect a customer")',
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

// For the wording only (the page of these codes asks not to build logic on them): what an administrator can do.
const cures: Readonly<Record<string, string>> = {
  '7000215': 'set AZURE_CLIENT_SECRET to the value of the secret (not its id)',
  '7000222': 'the client secret has expired: make a new one and set AZURE_CLIENT_SECRET',
  '700016':
    'its administrator has not consented, or has revoked it: entra-sync connect --print-url --ref CUSTOMER asks again; or AZURE_CLIENT_ID is wrong',
  '90002': 'check the tenant id, and ENTRA_SYNC_CLOUD if the tenant is in a national cloud',
  '700027': 'register the certificate that AZURE_CLIENT_CERTIFICATE_PATH names with the application',
  '7000112': 'the application is disabled: enable it in Entra ID',
  '90038': 'the tenant is in a national cloud: set ENTRA_SYNC_CLOUD',
};

const networkCodes = /\b(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE)\b/;
const certificateFault = /self[- ]signed certificate|unable to (get|verify)|certificate has expired|CERT_|altname/i;

const undiscovered = /endpoints_resolution_error|openid_config_error/;

/** What a refused sign-in means, for an administrator; `tenant` is the one that was asked of. */
export async function describeSignInError(error: unknown, tenantId: string, authorityHost: string): Promise<unknown> {
  if (!(error instanceof Error) || error.name === 'AbortError') return error;
  const said = messages(error);
  const text = undiscovered.test(said) ? `${said} ${await whyUndiscovered(authorityHost, tenantId)}` : said;
  const number = /AADSTS(\d+)/.exec(text)?.[1];
  if (number) {
    return new ExpectedError(
      'sign_in_failed',
      `${authorityHost} refused to sign in to tenant ${tenantId} (AADSTS${number})`,
      {
        cure: cures[number] ?? `look up AADSTS${number} in the sign-in error reference of Microsoft Entra`,
        detail: firstLine(text.slice(text.indexOf('AADSTS'))),
        cause: error,
      },
    );
  }
  if (certificateFault.test(text)) {
    return new ExpectedError('graph_unavailable', `the certificate of ${authorityHost} is not trusted`, {
      cure: 'set NODE_EXTRA_CA_CERTS to the certificate authority that signed it',
      cause: error,
    });
  }
  const network = networkCodes.exec(text)?.[1];
  if (network || /endpoints_resolution_error|openid_config_error|network_error|timeout/i.test(text)) {
    return new ExpectedError(
      'graph_unavailable',
      `${authorityHost} cannot be reached${network ? ` (${network})` : ''}`,
      {
        cure: 'check the network, HTTPS_PROXY and AZURE_AUTHORITY_HOST',
        detail: firstLine(text),
        cause: error,
      },
    );
  }
  return new ExpectedError('sign_in_failed', `no token for tenant ${tenantId} could be had`, {
    cure: 'check AZURE_CLIENT_ID and the secret or certificate; --verbose shows the reason',
    detail: firstLine(text),
    cause: error,
  });
}

/**
 * MSAL says of a tenant that does not exist, of a certificate and of a cut cable only that endpoints cannot be resolved.
 * The public document that it could not read, asked for plainly, tells which it is.
 */
async function whyUndiscovered(authorityHost: string, tenantId: string): Promise<string> {
  try {
    const answer = await fetch(`${authorityHost}/${tenantId}/v2.0/.well-known/openid-configuration`, {
      redirect: 'manual',
      signal: AbortSignal.timeout(10_000),
    });
    return answer.ok ? '' : ((await answer.text()).match(/AADSTS\d+[^"\\]*/)?.[0] ?? '');
  } catch (error) {
    return messages(error);
  }
}

function messages(error: unknown): string {
  const parts: string[] = [];
  for (let level: unknown = error; level instanceof Error && parts.length < 5; level = level.cause) {
    parts.push(level.message, String((level as { code?: unknown }).code ?? ''));
  }
  return parts.join(' ');
}

function firstLine(text: string): string {
  return (text.split(/[\r\n]/)[0] ?? '')
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, ' ')
    .slice(0, 300);
}
