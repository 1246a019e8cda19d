// App-only tokens of a customer's tenant, by @azure/identity, and what a refused sign-in means.
import type { AccessToken, TokenCredential } from '@azure/identity';
import { ExpectedError } from '../errors.ts';
import { failureTable } from '../rules/failures.ts';
import { judgeRoles } from '../rules/roles.ts';
import { explainCertificate } from './certificate.ts';
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

/** The sign-in failed for a cause that may pass; `reason` is a code: of the network, HTTP_503, AADSTS90033. */
export class SignInUnavailable extends ExpectedError {
  readonly reason: string;

  constructor(reason: string, message: string, options: { cure: string; detail?: string }) {
    super('graph_unavailable', message, options);
    this.reason = reason;
  }
}

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
        // What hangs or has failed is not waited for by the next try.
        credential = undefined;
        asking = undefined;
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
    // Tried again by the policy of the reader alone, which tells every wait.
    retryOptions: { maxRetries: 0 },
    // A redirect would carry the secret along.
    redirectOptions: { maxRetries: 0 },
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
        cure: 'have an administrator of that tenant grant admin consent to the application (README, "Connect a real tenant")',
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

// Read, not verified: the token came straight from the authority over TLS, and Graph is who it is for.
function rolesOf(token: string): string[] {
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
  '700016': 'check AZURE_CLIENT_ID, and that an administrator of this tenant granted consent',
  '90002': 'check the tenant id, and ENTRA_SYNC_CLOUD if the tenant is in a national cloud',
  '700027': 'register the certificate that AZURE_CLIENT_CERTIFICATE_PATH names with the application',
  '7000112': 'the application is disabled: enable it in Entra ID',
  '90038': 'the tenant is in a national cloud: set ENTRA_SYNC_CLOUD',
};

const networkCodes =
  /\b(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE|EPROTO|UND_ERR_\w+)\b/;
const certificateCodes = new RegExp(
  `\\b(${failureTable.flatMap(({ verdict, codes = [] }) => (verdict.act === 'stop' && verdict.why === 'certificate' ? codes : [])).join('|')})\\b`,
);
// Throttled, or a passing fault of Entra ID (docs/graph.md, "Sign-in errors").
const passing = new Set(['90055', '90006', '90024', '90033', '90090']);

const undiscovered = /endpoints_resolution_error|openid_config_error/;

// The words of an error are free text and may quote an answer whole, so nothing but codes and ids is taken from them, and
// the error itself is not kept as the cause (rule 18).
async function describeSignInError(error: unknown, tenantId: string, authorityHost: string): Promise<unknown> {
  if (!(error instanceof Error) || error instanceof ExpectedError || error.name === 'AbortError') return error;
  const said = messages(error);
  const text = undiscovered.test(said) ? `${said} ${await whyUndiscovered(authorityHost, tenantId)}` : said;
  const aadsts = /AADSTS(\d{3,10})/.exec(text)?.[1];
  if (aadsts && !passing.has(aadsts)) {
    return new ExpectedError(
      'sign_in_failed',
      `${authorityHost} refused to sign in to tenant ${tenantId} (AADSTS${aadsts})`,
      {
        cure: cures[aadsts] ?? `look up AADSTS${aadsts} in the sign-in error reference of Microsoft Entra`,
        detail: idsIn(text),
      },
    );
  }
  const certificate = certificateCodes.exec(text)?.[1];
  if (certificate) {
    const { message, cure } = explainCertificate(authorityHost, certificate);
    return new SignInUnavailable(certificate, message, { cure });
  }
  const reason = aadsts ? `AADSTS${aadsts}` : passingReason(error, text);
  if (reason) {
    return new SignInUnavailable(reason, `${authorityHost} cannot be reached, or does not sign in now (${reason})`, {
      cure: 'check the network, HTTPS_PROXY and AZURE_AUTHORITY_HOST, then run the command again: it goes on where it stopped',
      detail: idsIn(text),
    });
  }
  return new ExpectedError('sign_in_failed', `no token for tenant ${tenantId} could be had`, {
    cure: 'check AZURE_CLIENT_ID and the secret or certificate; --verbose shows the reason',
    detail: idsIn(text),
  });
}

function passingReason(error: Error, text: string): string | undefined {
  const network = networkCodes.exec(text)?.[1];
  if (network) return network;
  if (error.name === 'TimeoutError' || /network_error|timed? ?out/i.test(text)) return 'TIMEOUT';
  const status = /\bstatus(?: code)?:? (\d{3})\b/i.exec(text)?.[1];
  if (status && (status === '429' || status.startsWith('5'))) return `HTTP_${status}`;
  return undiscovered.test(text) || error instanceof SyntaxError ? 'NO_ANSWER' : undefined;
}

// What Microsoft's support asks for, and the codes of the libraries.
function idsIn(text: string): string {
  const ids = text.match(/\b(?:trace|correlation) id: [0-9a-f-]{36}\b/gi) ?? [];
  const codes =
    text.match(/\bAADSTS\d{3,10}\b|\b[a-z]+(?:_[a-z]+)*_(?:error|client|request|grant|scope|tenant)\b/g) ?? [];
  return [...new Set([...codes, ...ids])].slice(0, 8).join('; ') || 'no code was given';
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
    return `status ${answer.status} ${/AADSTS\d{3,10}/.exec(await answer.text())?.[0] ?? ''}`;
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
