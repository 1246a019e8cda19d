// What a refused sign-in means, and who can do what about it: the words of MSAL and Entra as one line with its cure.
import { ExpectedError } from '../errors.ts';
import { failureTable } from '../rules/failures.ts';
import { explainCertificate } from './certificate.ts';
import type { AppCredential } from './credential.ts';

/** The sign-in failed for a cause that may pass; `reason` is a code: of the network, HTTP_503, AADSTS90033. */
export class SignInUnavailable extends ExpectedError {
  readonly reason: string;
  readonly retryAfter: string | null;

  constructor(
    reason: string,
    message: string,
    options: { cure: string; detail?: string; retryAfter?: string | null | undefined },
  ) {
    super('graph_unavailable', message, options);
    this.reason = reason;
    this.retryAfter = options.retryAfter ?? null;
  }
}

/** What the last answer of the authority was, or what kept it away, of which the libraries tell nothing. */
export type LastAnswer = { status?: number; retryAfter?: string | undefined; code?: string };

// For the wording only (the page of these codes asks not to build logic on them): what an administrator can do.
const cures: Readonly<Record<string, (credential: AppCredential) => string>> = {
  '7000215': ({ holder }) => `set ${holder} to the value of the secret (not its id)`,
  '7000222': ({ holder }) => `the client secret has expired: make a new one and set ${holder}`,
  '700016': () =>
    'its administrator has not consented, or has revoked it: entra-sync connect --print-url --ref CUSTOMER asks again; or AZURE_CLIENT_ID is wrong',
  '90002': () => 'check the tenant id, and ENTRA_SYNC_CLOUD if the tenant is in a national cloud',
  '700027': ({ holder }) => `register the certificate that ${holder} names with the application`,
  '7000112': () => 'the application is disabled: enable it in Entra ID',
  '90038': () => 'the tenant is in a national cloud: set ENTRA_SYNC_CLOUD',
  '700024': ({ holder }) => `check the clock of this machine, and that ${holder} is kept fresh`,
  '70021': trust,
  '700211': trust,
  '700212': trust,
  '700213': trust,
};

// What only whoever holds the credential can mend: no tenant is to blame, unless it brings its own.
const faultsOfCredential = new Set([
  '7000215',
  '7000222',
  '700027',
  '7000112',
  '700024',
  '70021',
  '700211',
  '700212',
  '700213',
]);

function trust(credential: AppCredential): string {
  const claims = credential.kind === 'federated' ? claimsOf(credential.assertion) : undefined;
  const told = claims
    ? `issuer ${claims.iss}, subject ${claims.sub} and audience ${claims.aud}`
    : 'the issuer, subject and audience of its token';
  return `add a federated credential to the application with ${told}, or check ${credential.holder}`;
}

// Names of a cluster and of a service account there, no secret; what does not look like that is not repeated.
function claimsOf(assertion: string): Record<'iss' | 'sub' | 'aud', string> | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(assertion.split('.')[1] ?? '', 'base64url').toString('utf8'));
    const { iss, sub, aud } = claims as Record<string, unknown>;
    const [one, two, three] = [iss, sub, [aud].flat()[0]].map((claim) =>
      typeof claim === 'string' && /^[\w:/.~-]{1,200}$/.test(claim) ? claim : '?',
    );
    return { iss: one ?? '?', sub: two ?? '?', aud: three ?? '?' };
  } catch {
    return undefined;
  }
}

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
/** Says what stopped a sign-in; what is an expected error already, or an abort, is returned as it came. */
export async function describeSignInError(
  error: unknown,
  tenantId: string,
  credential: AppCredential,
  authorityHost: string,
  last: LastAnswer = {},
): Promise<unknown> {
  if (!(error instanceof Error) || error instanceof ExpectedError || error.name === 'AbortError') return error;
  const said = `${messages(error)} ${last.code ?? ''}`;
  const text = undiscovered.test(said) ? `${said} ${await whyUndiscovered(authorityHost, tenantId)}` : said;
  const aadsts = /AADSTS(\d{3,10})/.exec(text)?.[1];
  if (aadsts && !passing.has(aadsts)) {
    return new ExpectedError(
      faultsOfCredential.has(aadsts) && !credential.ofTenant ? 'credential_refused' : 'sign_in_failed',
      `${authorityHost} refused to sign in to tenant ${tenantId} (AADSTS${aadsts})`,
      {
        cure:
          cures[aadsts]?.(credential) ?? `look up AADSTS${aadsts} in the sign-in error reference of Microsoft Entra`,
        detail: idsIn(text),
      },
    );
  }
  const certificate = certificateCodes.exec(text)?.[1];
  if (certificate) {
    const { message, cure } = explainCertificate(authorityHost, certificate);
    return new SignInUnavailable(certificate, message, { cure });
  }
  const reason = aadsts ? `AADSTS${aadsts}` : passingReason(error, text, last.status);
  if (reason) {
    return new SignInUnavailable(reason, `${authorityHost} cannot be reached, or does not sign in now (${reason})`, {
      cure: 'check the network, HTTPS_PROXY and AZURE_AUTHORITY_HOST, then run the command again: it goes on where it stopped',
      detail: idsIn(text),
      retryAfter: last.retryAfter,
    });
  }
  return new ExpectedError('sign_in_failed', `no token for tenant ${tenantId} could be had`, {
    cure: `check the client id, and ${credential.holder}; --verbose shows the reason`,
    detail: idsIn(text),
  });
}

/** The same for the managed identity that the application proves itself with. */
export function describeIdentityError(
  error: unknown,
  { identity, holder }: Extract<AppCredential, { kind: 'managed_identity' }>,
): unknown {
  if (!(error instanceof Error) || error.name === 'AbortError') return error;
  const text = messages(error);
  const message = `the managed identity ${identity} gave no token`;
  const cure = `check that it is assigned to where entra-sync runs, and ${holder}`;
  const reason = passingReason(error, text);
  return reason
    ? new SignInUnavailable(reason, `${message} (${reason})`, { cure, detail: idsIn(text) })
    : new ExpectedError('credential_refused', message, { cure, detail: idsIn(text) });
}

function passingReason(error: Error, text: string, lastStatus?: number): string | undefined {
  const network = networkCodes.exec(text)?.[1];
  if (network) return network;
  if (error.name === 'TimeoutError' || /timed? ?out/i.test(text)) return 'TIMEOUT';
  const status = lastStatus ?? Number(/\bstatus(?: code)?:? (\d{3})\b/i.exec(text)?.[1]);
  if (status === 429 || status >= 500) return `HTTP_${status}`;
  return undiscovered.test(text) || /network_error/.test(text) || error instanceof SyntaxError
    ? 'NO_ANSWER'
    : undefined;
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
