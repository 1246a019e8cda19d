// What a refused sign-in means, and who can do what about it: the words of MSAL and Entra as one line with its cure.
import { ExpectedError } from '../errors.ts';
import type { AppCredential } from './credential.ts';

// For the wording only (the page of these codes asks not to build logic on them): what an administrator can do.
const cures: Readonly<Record<string, (credential: AppCredential) => string>> = {
  '7000215': ({ holder }) => `set ${holder} to the value of the secret (not its id)`,
  '7000222': ({ holder }) => `the client secret has expired: make a new one and set ${holder}`,
  '700016': () => 'check AZURE_CLIENT_ID, and that an administrator of this tenant granted consent',
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

function trust({ holder }: AppCredential): string {
  return `add a federated credential to the application whose issuer, subject and audience are those of the token of ${holder} (--verbose shows them)`;
}

const networkCodes = /\b(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE)\b/;
const certificateFault = /self[- ]signed certificate|unable to (get|verify)|certificate has expired|CERT_|altname/i;

const undiscovered = /endpoints_resolution_error|openid_config_error/;

/** Says what stopped a sign-in; what is an expected error already, or an abort, is returned as it came. */
export async function describeSignInError(
  error: unknown,
  tenantId: string,
  credential: AppCredential,
  authorityHost: string,
): Promise<unknown> {
  if (!(error instanceof Error) || error instanceof ExpectedError || error.name === 'AbortError') return error;
  const said = messages(error);
  const text = undiscovered.test(said) ? `${said} ${await whyUndiscovered(authorityHost, tenantId)}` : said;
  const number = /AADSTS(\d+)/.exec(text)?.[1];
  if (number) {
    return new ExpectedError(
      'sign_in_failed',
      `${authorityHost} refused to sign in to tenant ${tenantId} (AADSTS${number})`,
      {
        cure:
          cures[number]?.(credential) ?? `look up AADSTS${number} in the sign-in error reference of Microsoft Entra`,
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
    return unreachable(authorityHost, network, firstLine(text), error);
  }
  return new ExpectedError('sign_in_failed', `no token for tenant ${tenantId} could be had`, {
    cure: `check the client id, and ${credential.holder}; --verbose shows the reason`,
    detail: firstLine(text),
    cause: error,
  });
}

/** The sign-in host did not answer. */
export function unreachable(authorityHost: string, why?: string, detail?: string, cause?: unknown): ExpectedError {
  return new ExpectedError('graph_unavailable', `${authorityHost} cannot be reached${why ? ` (${why})` : ''}`, {
    cure: 'check the network, HTTPS_PROXY and AZURE_AUTHORITY_HOST',
    ...(detail !== undefined && { detail }),
    cause,
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

/** What an error and its causes say. */
export function messages(error: unknown): string {
  const parts: string[] = [];
  for (let level: unknown = error; level instanceof Error && parts.length < 5; level = level.cause) {
    parts.push(level.message, String((level as { code?: unknown }).code ?? ''));
  }
  return parts.join(' ');
}

/** The first line of a text, without what a terminal would obey. */
export function firstLine(text: string): string {
  return (text.split(/[\r\n]/)[0] ?? '')
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, ' ')
    .slice(0, 300);
}
