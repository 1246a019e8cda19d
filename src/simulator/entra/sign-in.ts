// The sign-in of people: the account picker of /authorize, and the code that the application redeems for an id token.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { type Answer, signInError } from '../answers.ts';
import { type Account, accountsOf, personalTenant } from './accounts.ts';
import type { Authority, Code } from './authority-state.ts';
import { cookieOf, errorPage, needAdminPage, pickPage, principalIn, redirect } from './entra-pages.ts';

/** The accounts that can be picked. What `options.people` says of one of them counts. */
export function accounts({ domains, options: { people } }: Authority): Account[] {
  return accountsOf(domains).map((account) => ({ ...account, says: people[account.principal] ?? account.says }));
}

function peopleOf({ options, userOf }: Authority): Account[] {
  return Object.entries(options.people).flatMap(([principal, says]) => {
    const user = userOf(principal);
    return user ? [{ ...user, says }] : [];
  });
}

/** Returns the accounts of the picker. Those that `options.people` describes come first, in its order. */
function pickable(authority: Authority): Account[] {
  const described = Object.keys(authority.options.people);
  const place = ({ principal }: Account) => described.indexOf(principal) + 1 || described.length + 1;
  return [...accounts(authority), ...peopleOf(authority)].sort((one, other) => place(one) - place(other));
}

/** Returns the application of this id, to which people may sign in, with its secret. */
export function applicationOf(
  { options }: Authority,
  clientId: string | null,
): { clientId: string; clientSecret: string } | undefined {
  const known = [options, ...(options.signInApplication ? [options.signInApplication] : [])];
  return known.find((one) => one.clientId.toLowerCase() === clientId?.toLowerCase());
}

/** Returns an error page, not a redirect, if the application or its redirect address is unknown. */
export function refuseApplication(authority: Authority, query: URLSearchParams): Answer | undefined {
  const { options } = authority;
  if (applicationOf(authority, query.get('client_id')) === undefined) {
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

/**
 * Answers `GET /{tenant}/oauth2/v2.0/authorize`: the account picker, then a redirect with a code. An account that is
 * signed in already is taken unless the request prompts.
 */
export function answerAuthorize(authority: Authority, url: string, cookies: string | undefined): Answer {
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
  const principal = query.get('account') ?? (query.get('prompt') === null ? principalIn(cookies) : undefined);
  const picked =
    accounts(authority).find((account) => account.principal === principal) ??
    (principal === undefined ? undefined : authority.userOf(principal));
  if (!picked) return pickPage('Pick an account', url, pickable(authority));
  if (!maySignIn(authority, picked, query.get('client_id') ?? '')) {
    const says = 'AADSTS90094: An administrator of the organization has to allow the application.';
    return query.get('decision') === 'cancel'
      ? back({ error: 'access_denied', error_description: says })
      : needAdminPage(url, picked);
  }
  const code = `0.${randomBytes(48).toString('base64url')}`;
  authority.codes.set(code, {
    account: picked,
    clientId: query.get('client_id') ?? '',
    nonce: query.get('nonce'),
    challenge: query.get('code_challenge_method') === 'S256' ? query.get('code_challenge') : null,
    redirectUri: uri,
    scope: query.get('scope') ?? '',
    expiresAtMs: Date.now() + 600_000,
  });
  const answer = back({ code, session_state: randomUUID() });
  return { ...answer, headers: { ...answer.headers, 'Set-Cookie': cookieOf(picked) } };
}

// An administrator may allow it for the own sign-in.
function maySignIn(authority: Authority, { tenantId, mayConsent }: Account, clientId: string): boolean {
  const { options, allowed, consents } = authority;
  if (options.userConsent || mayConsent || tenantId === personalTenant || allowed.has(`${tenantId} ${clientId}`))
    return true;
  return clientId === options.clientId && options.declaresSignIn && consents.granted(tenantId) !== null;
}

/** Answers the token endpoint for a code; the caller has checked the application's credential. */
export async function redeemCode(authority: Authority, form: URLSearchParams): Promise<Answer> {
  const given = form.get('code') ?? '';
  const code = authority.codes.get(given);
  // A code works once, even if the rest of the request is wrong.
  authority.codes.delete(given);
  const invalid = (number: number, says: string) => signInError(400, 'invalid_grant', number, says);
  if (!code || code.expiresAtMs <= Date.now()) {
    return invalid(70008, 'The provided authorization code or refresh token has expired due to inactivity.');
  }
  if (applicationOf(authority, form.get('client_id'))?.clientId !== applicationOf(authority, code.clientId)?.clientId) {
    return invalid(700005, 'Provided Authorization Code is intended to use against other application.');
  }
  if (form.get('redirect_uri') !== code.redirectUri) {
    return invalid(50011, 'The redirect URI specified in the request does not match the one of the sign-in.');
  }
  // The scopes of this leg have to be among those of the first (entra-docs, v2-oauth2-auth-code-flow).
  const first = code.scope.split(' ');
  if ((form.get('scope') ?? '').split(' ').some((scope) => scope !== '' && !first.includes(scope))) {
    return signInError(400, 'invalid_scope', 70011, 'The provided value for the input parameter scope is not valid.');
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
  const { account, clientId } = code;
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
    aud: clientId,
    name: account.says,
    preferred_username: account.principal,
    ...(code.nonce !== null && { nonce: code.nonce }),
    ...(options.directoryRoles && { wids: account.roles }),
    ...(options.appRoles[account.principal] && { roles: options.appRoles[account.principal] }),
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
