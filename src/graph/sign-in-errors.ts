// Turns the errors of MSAL and Entra ID for a failed sign-in into one line with its cure.

import { ExpectedError } from '../errors.ts';
import { failureTable } from '../rules/failures.ts';
import { commandWord } from '../rules/shell.ts';
import type { AppCredential } from './app-credential.ts';
import { maxIdentityBytes } from './body.ts';
import { explainCertificate } from './certificate.ts';
import { fetchIdentity, type LastAnswer } from './identity-http.ts';
import { isProxyRefusal, proxyRefused } from './proxy-refused.ts';

/** The sign-in failed for a cause that may pass. `reason` is a code: of the network, HTTP_503, AADSTS90033. */
export class SignInUnavailable extends ExpectedError {
  readonly reason: string;
  /** The wait that the authority asked for; undefined: none. */
  readonly retryAfterMs: number | undefined;

  constructor(
    reason: string,
    message: string,
    options: { cure: string; detail?: string; retryAfterMs?: number | undefined },
  ) {
    super('graph_unavailable', message, options);
    this.reason = reason;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** The authority refused the sign-in. */
export class SignInRefused extends ExpectedError {
  /** Whether a recent consent may end the refusal once it has been replicated. */
  readonly mayPass: boolean;

  constructor(
    code: 'credential_refused' | 'sign_in_failed',
    message: string,
    options: { cure: string; detail: string; mayPass: boolean },
  ) {
    super(code, message, options);
    this.mayPass = options.mayPass;
  }
}

type Refusal = {
  readonly cure: (credential: AppCredential, customer: Customer | undefined) => string;
  /** The credential is at fault. No tenant is to blame, unless it is the tenant's own. */
  readonly credential?: true;
  /** The application is not in the tenant, or not yet replicated. */
  readonly unknownApplication?: true;
};

/** The known facts of the customer of a tenant, for the cure of a missing consent. */
export type Customer = {
  /** The stored reference. */
  readonly ref: string | null;
  /** Another tenant signs in with the application of the environment, so its id is right. */
  readonly othersSignIn: boolean;
};

/** Returns the command that asks a customer for consent. */
export function invitationCommand(customer: Customer | undefined): string {
  const ref = customer?.ref ?? 'CUSTOMER';
  return `entra-sync connect --print-url --ref ${/^[\w.:@/-]+$/.test(ref) ? ref : commandWord(ref)}`;
}

const applicationId = ({ ofTenant }: AppCredential) =>
  ofTenant ? 'the client id of its credential (entra-sync tenant set)' : 'AZURE_CLIENT_ID';

// The id of the application can be wrong only where no other tenant signs in with it.
const mayBeWrong = ({ ofTenant }: AppCredential, customer: Customer | undefined) =>
  ofTenant === true || customer?.othersSignIn !== true;

const consent: Refusal = {
  cure: (credential, customer) =>
    `its administrator has not consented, or has revoked it: ${invitationCommand(customer)} asks again${
      mayBeWrong(credential, customer) ? `; or ${applicationId(credential)} is wrong` : ''
    }`,
  unknownApplication: true,
};
const cloud: Refusal = { cure: () => 'the tenant is in another cloud than this sign-in: set ENTRA_SYNC_CLOUD' };
const trusted: Refusal = { cure: trust, credential: true };
const blocked: Refusal = {
  cure: () =>
    "a Conditional Access policy of the customer for workload identities blocks it: the customer's administrator has to allow the public addresses that entra-sync calls from, or to exclude the application",
};

// Decides the cure and the side at fault. The page of these numbers asks programs not to depend on them, so an unknown
// number is handled by the `error` beside it.
const refusals: Readonly<Record<string, Refusal>> = {
  '7000215': { cure: ({ holder }) => `set ${holder} to the value of the secret (not its id)`, credential: true },
  '7000222': {
    cure: ({ holder }) => `the client secret has expired: make a new one and set ${holder}`,
    credential: true,
  },
  '700016': consent,
  '7000229': consent,
  '90002': { cure: () => 'check the tenant id, and ENTRA_SYNC_CLOUD if the tenant is in a national cloud' },
  '700027': {
    cure: ({ holder }) => `register the certificate that ${holder} names with the application`,
    credential: true,
  },
  '7000112': { cure: () => 'the application is disabled: enable it in Entra ID', credential: true },
  '90038': cloud,
  '900382': cloud,
  '53003': blocked,
  '530032': blocked,
  '530035': blocked,
  '700024': {
    cure: ({ holder }) => `check the clock of this machine, and that ${holder} is kept fresh`,
    credential: true,
  },
  '70021': trusted,
  '700211': trusted,
  '700212': trusted,
  '700213': trusted,
};

/**
 * The cures of the documented `error` values
 * (learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow).
 */
const byError: readonly (readonly [RegExp, Refusal['cure']])[] = [
  [/\binvalid_client\b/, ({ holder }) => `check ${holder} and AZURE_CLIENT_ID`],
  [
    /\b(unauthorized_client|consent_required)\b/,
    (credential, customer) =>
      `check ${mayBeWrong(credential, customer) ? `${applicationId(credential)} and ` : ''}the administrator's consent (${invitationCommand(customer)})`,
  ],
  [
    /\b(interaction_required|access_denied)\b/,
    () => 'a policy of the customer refuses the application: its administrator has to allow it',
  ],
  [/\binvalid_(resource|scope|request)\b/, () => 'check ENTRA_SYNC_CLOUD, GRAPH_BASE_URL and the tenant id'],
];

function cureOf(number: string, said: string, credential: AppCredential, customer: Customer | undefined): string {
  const known = refusals[number]?.cure(credential, customer);
  if (known) return known;
  const guess = byError.find(([error]) => error.test(said))?.[1](credential, customer);
  const look = `https://login.microsoftonline.com/error?code=${number} tells more`;
  return guess ? `${guess}; ${look}` : look;
}

function trust(credential: AppCredential): string {
  const claims = credential.kind === 'federated' ? claimsOf(credential.assertion) : undefined;
  const told = claims
    ? `issuer ${claims.iss}, subject ${claims.sub} and audience ${claims.aud}`
    : 'the issuer, subject and audience of its token';
  return `add a federated credential to the application with ${told}, or check ${credential.holder}`;
}

// These claims name a cluster and a service account, which are not secret. Other texts are not repeated.
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
  /\b(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE|EPROTO|PROXY_\d{3}|UND_ERR_\w+)\b/;
const certificateCodes = new RegExp(
  `\\b(${failureTable.flatMap(({ verdict, codes = [] }) => (verdict.act === 'stop' && verdict.why === 'certificate' ? codes : [])).join('|')})\\b`,
);
// Throttled, or a passing fault of Entra ID (docs/graph.md, "Sign-in errors").
const passing = new Set(['90055', '90006', '90024', '90033', '90090']);

// RFC 6749 and the table of `error` values of the authorization code flow say that a later try may succeed.
const isPassing = (number: string, said: string) =>
  passing.has(number) || (!refusals[number] && /\b(temporarily_unavailable|server_error)\b/.test(said));

const undiscovered = /endpoints_resolution_error|openid_config_error/;

// A message is free text and may quote a whole answer, so only codes and ids are kept from it, and the error itself is
// not kept as the cause (rule 18).
/** Returns the expected error for a failed sign-in. An expected error or an abort is returned unchanged. */
export async function describeSignInError(
  error: unknown,
  tenantId: string,
  credential: AppCredential,
  authorityHost: string,
  last: LastAnswer = {},
  customerOf: () => Promise<Customer | undefined> = async () => undefined,
): Promise<unknown> {
  if (!(error instanceof Error) || error instanceof ExpectedError || error.name === 'AbortError') return error;
  const said = `${messages(error)} ${last.code ?? ''}`;
  const isDark = last.code === undefined && undiscovered.test(said);
  const text = isDark ? `${said} ${await whyUndiscovered(authorityHost, tenantId)}` : said;
  const aadsts = /AADSTS(\d{3,10})/.exec(text)?.[1];
  if (/\bBODY_TOO_LARGE\b/.test(text)) {
    const most = `${maxIdentityBytes / 1024 / 1024} MiB, and no sign-in needs it`;
    return new ExpectedError('sign_in_failed', `${authorityHost} answered with more than ${most}`, {
      cure: 'check AZURE_AUTHORITY_HOST and any proxy between here and it, then run the command again',
    });
  }
  if (aadsts && !isPassing(aadsts, text)) {
    const known = refusals[aadsts];
    return new SignInRefused(
      known?.credential && !credential.ofTenant ? 'credential_refused' : 'sign_in_failed',
      `${authorityHost} refused to sign in to tenant ${tenantId} (AADSTS${aadsts})`,
      {
        cure: cureOf(aadsts, text, credential, await customerOf()),
        detail: idsIn(text),
        mayPass: known === undefined || known.unknownApplication === true,
      },
    );
  }
  const proxy = /\bPROXY_\d{3}\b/.exec(text)?.[0];
  if (proxy && isProxyRefusal(proxy)) return proxyRefused(proxy);
  const certificate = certificateCodes.exec(text)?.[1];
  if (certificate) {
    const { message, cure } = explainCertificate(authorityHost, certificate);
    return new SignInUnavailable(certificate, message, { cure });
  }
  const reason = aadsts ? `AADSTS${aadsts}` : passingReason(error, text, last.status);
  if (reason) {
    return new SignInUnavailable(reason, `${authorityHost} cannot be reached, or does not sign in now (${reason})`, {
      cure: 'check the network, HTTPS_PROXY and AZURE_AUTHORITY_HOST, then run the command again: it resumes where it stopped',
      detail: idsIn(text),
      retryAfterMs: last.retryAfterMs,
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

// The ids that Microsoft's support asks for, and the codes of the libraries.
function idsIn(text: string): string {
  const ids = text.match(/\b(?:trace|correlation) id: [0-9a-f-]{36}\b/gi) ?? [];
  const codes =
    text.match(/\bAADSTS\d{3,10}\b|\b[a-z]+(?:_[a-z]+)*_(?:error|client|request|grant|scope|tenant)\b/g) ?? [];
  return [...new Set([...codes, ...ids])].slice(0, 8).join('; ') || 'no code was given';
}

/**
 * Asks for the public document that MSAL could not read, to find the reason: for an unknown tenant, a rejected
 * certificate and a broken connection alike, MSAL only reports that endpoints cannot be resolved.
 */
async function whyUndiscovered(authorityHost: string, tenantId: string): Promise<string> {
  try {
    const answer = await fetchIdentity(`${authorityHost}/${tenantId}/v2.0/.well-known/openid-configuration`, {
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
