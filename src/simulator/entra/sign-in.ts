// Signing people in: the page of /authorize where an account is picked, and the code that is redeemed for an id token.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { type Answer, signInError } from '../answers.ts';
import { type Account, accountsOf } from './accounts.ts';
import type { Authority, Code } from './authority-state.ts';
import { cookieOf, errorPage, pickPage, redirect } from './entra-pages.ts';

/** The accounts that can be picked. */
export function accounts(authority: Authority): Account[] {
  return accountsOf(authority.domains);
}

/** The page that says why the application or its redirect address is refused: nobody is sent anywhere then. */
export function refuseApplication(authority: Authority, query: URLSearchParams): Answer | undefined {
  const { options } = authority;
  if (query.get('client_id')?.toLowerCase() !== options.clientId.toLowerCase()) {
    return errorPage(
      'AADSTS700016',
      `Application with identifier '${query.get('client_id') ?? ''}' was not found in the directory.`,
    );
  }
  const uri = query.get('redirect_uri') ?? '';
  const registered = options.redirectUris;
  const known = registered ? registered.includes(uri) : /^(https:\/\/|http:\/\/localhost[:/])/.test(uri);
  return known
    ? undefined
    : errorPage(
        'AADSTS50011',
        `The redirect URI '${uri}' specified in the request does not match the redirect URIs configured for the application '${options.clientId}'.`,
      );
}

/** Answers `GET /{tenant}/oauth2/v2.0/authorize`: the page to pick an account on, then the way back with a code. */
export function answerAuthorize(authority: Authority, url: string): Answer {
  const query = new URL(url, authority.origin).searchParams;
  const refused = refuseApplication(authority, query);
  if (refused) return refused;
  const uri = query.get('redirect_uri') ?? '';
  const state = query.get('state');
  const back = (values: Record<string, string>) => redirect(uri, { ...values, ...(state !== null && { state }) });
  if (query.get('response_type') !== 'code') {
    const says = "AADSTS70011: The provided value for the input parameter 'response_type' is not allowed.";
    return back({ error: 'unsupported_response_type', error_description: says });
  }
  if (query.get('cancel') !== null) {
    return back({
      error: 'access_denied',
      error_description: 'AADSTS65004: User declined to consent to access the app.',
    });
  }
  const picked = accounts(authority).find((account) => account.principal === query.get('account'));
  if (!picked) return pickPage('Pick an account', url, accounts(authority));
  const code = `0.${randomBytes(48).toString('base64url')}`;
  authority.codes.set(code, {
    account: picked,
    nonce: query.get('nonce'),
    challenge: query.get('code_challenge_method') === 'S256' ? query.get('code_challenge') : null,
    redirectUri: uri,
    scope: query.get('scope') ?? '',
    expiresAtMs: Date.now() + 600_000,
  });
  const answer = back({ code, session_state: randomUUID() });
  return { ...answer, headers: { ...answer.headers, 'Set-Cookie': cookieOf(picked) } };
}

/** Answers the token endpoint for a code; the application's own proof has been checked before. */
export async function redeemCode(authority: Authority, form: URLSearchParams): Promise<Answer> {
  const given = form.get('code') ?? '';
  const code = authority.codes.get(given);
  // Taken at the first try, right or wrong.
  authority.codes.delete(given);
  const invalid = (number: number, says: string) => signInError(400, 'invalid_grant', number, says);
  if (!code || code.expiresAtMs <= Date.now()) {
    return invalid(70008, 'The provided authorization code or refresh token has expired due to inactivity.');
  }
  if (form.get('redirect_uri') !== code.redirectUri) {
    return invalid(50011, 'The redirect URI specified in the request does not match the one of the sign-in.');
  }
  const verifier = createHash('sha256')
    .update(form.get('code_verifier') ?? '')
    .digest('base64url');
  if (code.challenge !== null && verifier !== code.challenge) {
    return invalid(
      50148,
      'The code_verifier does not match the code_challenge supplied in the authorization request for PKCE.',
    );
  }
  return { status: 200, body: await idTokenOf(authority, code) };
}

async function idTokenOf(authority: Authority, code: Code): Promise<Record<string, unknown>> {
  const { options, origin, certificates } = authority;
  const { account } = code;
  const now = Math.floor(Date.now() / 1000);
  const sign = (claims: Record<string, unknown>) =>
    new SignJWT(claims)
      .setProtectedHeader({ typ: 'JWT', alg: 'RS256', kid: certificates.tls.thumbprint })
      .sign(certificates.tls.privateKey);
  const about = {
    iss: `${origin}/${account.tenantId}/v2.0`,
    iat: now,
    nbf: now,
    exp: now + 3600,
    oid: account.objectId,
    tid: account.tenantId,
    sub: randomUUID(),
    uti: randomUUID(),
    ver: '2.0',
  };
  const idToken = await sign({
    ...about,
    aud: options.clientId,
    name: account.says,
    preferred_username: account.principal,
    ...(code.nonce !== null && { nonce: code.nonce }),
    ...(options.directoryRoles && { wids: account.roles }),
    ...options.idTokenClaims,
  });
  return {
    token_type: 'Bearer',
    scope: code.scope,
    expires_in: 3600,
    ext_expires_in: 3600,
    access_token: await sign({ ...about, aud: '00000003-0000-0000-c000-000000000000', scp: code.scope }),
    id_token: idToken,
    client_info: Buffer.from(JSON.stringify({ uid: account.objectId, utid: account.tenantId })).toString('base64url'),
  };
}
