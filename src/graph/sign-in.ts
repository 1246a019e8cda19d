// Signs administrators in with @azure/msal-node (authorization code with PKCE) and builds the consent URL.
import { createHash } from 'node:crypto';
import type { Configuration, INetworkModule } from '@azure/msal-node';
import { createRemoteJWKSet, customFetch, errors, jwtVerify } from 'jose';
import { ExpectedError } from '../errors.ts';
import { asGuid } from '../rules/decode.ts';
import type { AppCredential } from './app-credential.ts';
import { readClientCertificate } from './client-certificate.ts';
import type { Cloud } from './clouds.ts';
import { identityToken } from './credential.ts';
import { fetchIdentity, type LastAnswer, limitedNetwork } from './identity-http.ts';
import { describeSignInError } from './sign-in-errors.ts';

/** The person that signed in, from the verified id token. */
export type SignedIn = {
  readonly tenantId: string;
  /** The person's object id in that tenant. */
  readonly objectId: string;
  /** The part of the user name after the @, to show the organization; null if there is none. */
  readonly domain: string | null;
  /** Whether the person may consent for the tenant; undefined if the registration's tokens do not say. */
  readonly administrator: boolean | undefined;
  /** The template ids of the person's directory roles, in lower case; empty if the registration's tokens do not say. */
  readonly directoryRoles: readonly string[];
  /** The application roles that the tenant has given the person. */
  readonly appRoles: readonly string[];
  /** The account's home is another tenant, or a personal one. */
  readonly guest: boolean;
};

/** The change to a registration that puts directory roles into tokens (docs/graph.md, "Consent"). */
export const rolesCure =
  'in the registration: Token configuration, Add groups claim, Directory roles (manifest: "groupMembershipClaims": "DirectoryRole")';

export type SignInPage = {
  /** Returns the id of the application that people sign in to. */
  clientId(): string;
  /**
   * Returns the sign-in URL; `state` keeps nonce and verifier until the browser is back. `quick`: an account that is
   * signed in already is taken without asking.
   */
  begin(state: (kept: { nonce: string; verifier: string }) => Promise<string>, quick?: boolean): Promise<string>;
  /** Redeems the code that came back. Throws `sign_in_failed` or `graph_unavailable`. */
  finish(code: string, kept: { nonce: string; verifier: string }): Promise<SignedIn>;
  /** Returns the URL where an administrator of this tenant consents to the application permissions. */
  consentUrl(tenantId: string, state: string): string;
  /** Returns the URL where an administrator of any organization allows its people to sign in: all that is declared. */
  signInConsentUrl(): string;
};

/** The authority for accounts of any organization, but not for personal ones. */
const organizationsAuthority = 'organizations';

// An administrator comes back with it, who has not begun a sign-in here.
const consentState = 'allowed';

// The ids of tenant and person, and nothing else.
const scopes = ['openid', 'profile'];

/** Opens the sign-in to this application, which returns browsers to `redirectUri`. */
export function openSignInPage(options: {
  credential: () => AppCredential;
  cloud: Cloud;
  redirectUri: string;
}): SignInPage {
  const { cloud, redirectUri } = options;
  let keys: { of: string; get: ReturnType<typeof createRemoteJWKSet> } | undefined;

  // A new one each time, because its cache would keep the names of the people who sign in.
  async function application(credential: AppCredential, last: LastAnswer) {
    const { ConfidentialClientApplication } = await import('@azure/msal-node');
    return new ConfidentialClientApplication({
      auth: {
        clientId: credential.clientId,
        authority: `${cloud.authorityHost}/${organizationsAuthority}`,
        // Microsoft's instance discovery would refuse an authority that it does not know.
        ...(!cloud.knownAuthority && { knownAuthorities: [new URL(cloud.authorityHost).host] }),
        ...(await proofOf(credential, cloud)),
      },
      system: { networkClient: withoutRefreshTokens(limitedNetwork(last)) },
    });
  }

  async function verify(idToken: string, clientId: string, nonce: string): Promise<SignedIn> {
    const { issuer, jwks_uri: jwksUri } = await discover(cloud.authorityHost);
    if (keys?.of !== jwksUri)
      keys = { of: jwksUri, get: createRemoteJWKSet(new URL(jwksUri), { [customFetch]: fetchIdentity }) };
    const { payload } = await jwtVerify(idToken, keys.get, {
      audience: clientId,
      algorithms: ['RS256'],
      requiredClaims: ['exp', 'iss', 'tid', 'oid', 'nonce'],
      clockTolerance: 300,
    });
    const tenantId = asGuid(String(payload.tid));
    const objectId = asGuid(String(payload.oid));
    // The issuer of a multi-tenant application is a template for the token's tenant.
    if (!tenantId || !objectId || payload.nonce !== nonce || payload.iss !== issuer.replace('{tenantid}', tenantId))
      throw new errors.JWTInvalid('issuer, tenant or nonce do not match');
    const [, domain = null] = /@([\w.-]{1,253})$/.exec(String(payload.preferred_username ?? '')) ?? [];
    return {
      ...{ tenantId, objectId, domain, administrator: isAdministrator(payload.wids) },
      directoryRoles: textsOf(payload.wids).map((role) => role.toLowerCase()),
      appRoles: textsOf(payload.roles),
      // `acct` is an optional claim; `idp` is there where the account's home is elsewhere.
      guest: payload.acct === 1 || (typeof payload.idp === 'string' && payload.idp !== payload.iss),
    };
  }

  /** Runs `work` with a time limit and turns its failure into an expected error. */
  async function described<Answer>(
    work: (credential: AppCredential, last: LastAnswer) => Promise<Answer>,
  ): Promise<Answer> {
    const credential = options.credential();
    const last: LastAnswer = {};
    try {
      return await Promise.race([work(credential, last), timeOut()]);
    } catch (error) {
      if (error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout)) {
        throw new ExpectedError('sign_in_failed', `the id token that ${cloud.authorityHost} issued is not valid`, {
          cure: 'check AZURE_AUTHORITY_HOST and any proxy between here and it',
          detail: error.code,
        });
      }
      throw await describeSignInError(error, organizationsAuthority, credential, cloud.authorityHost, last);
    }
  }

  return {
    clientId: () => options.credential().clientId,
    begin: async (state, quick = false) => {
      const { CryptoProvider } = await import('@azure/msal-node');
      const crypto = new CryptoProvider();
      const { verifier, challenge } = await crypto.generatePkceCodes();
      const nonce = crypto.createNewGuid();
      const request = {
        scopes,
        redirectUri,
        state: await state({ nonce, verifier }),
        nonce,
        codeChallenge: challenge,
        codeChallengeMethod: 'S256',
        responseMode: 'query',
        // The browser may be signed in as another person than the administrator.
        ...(!quick && { prompt: 'select_account' }),
      } as const;
      const address = await described((credential, last) =>
        application(credential, last).then((app) => app.getAuthCodeUrl(request)),
      );
      const url = new URL(address);
      url.searchParams.set('scope', scopes.join(' '));
      return url.href;
    },
    finish: (code, { nonce, verifier }) =>
      described(async (credential, last) => {
        const app = await application(credential, last);
        const { idToken } = await app.acquireTokenByCode({ code, scopes, redirectUri, codeVerifier: verifier, nonce });
        return verify(idToken, credential.clientId, nonce);
      }),
    // The v2 form: the path names the verified tenant, and the scope the resource (docs/graph.md, "Consent").
    consentUrl: (tenantId, state) => {
      const query = new URLSearchParams({
        client_id: options.credential().clientId,
        scope: `${cloud.graphOrigin}/.default`,
        redirect_uri: redirectUri,
        state,
      });
      return `${cloud.authorityHost}/${tenantId}/v2.0/adminconsent?${query}`;
    },
    signInConsentUrl: () => {
      const query = new URLSearchParams({
        client_id: options.credential().clientId,
        // A narrower scope could take away what was granted before.
        scope: `${cloud.graphOrigin}/.default`,
        redirect_uri: redirectUri,
        state: consentState,
      });
      return `${cloud.authorityHost}/${organizationsAuthority}/v2.0/adminconsent?${query}`;
    },
  };
}

// The ids of Global Administrator and Privileged Role Administrator, the same in every tenant.
const administrators = ['62e90394-69f5-4237-9190-012177145e10', 'e8611ab8-c189-46e8-94e1-60213ab1f814'];

const textsOf = (claim: unknown) => (Array.isArray(claim) ? claim.filter((one) => typeof one === 'string') : []);

// Every user has a role, at least that of a plain user, if tokens have roles.
function isAdministrator(roles: unknown): boolean | undefined {
  return Array.isArray(roles) ? roles.some((role) => administrators.includes(String(role).toLowerCase())) : undefined;
}

type Discovered = { readonly issuer: string; readonly jwks_uri: string };

async function discover(authorityHost: string): Promise<Discovered> {
  const answer = await fetchIdentity(
    `${authorityHost}/${organizationsAuthority}/v2.0/.well-known/openid-configuration`,
    {
      redirect: 'error',
      signal: AbortSignal.timeout(30_000),
    },
  );
  const { issuer, jwks_uri: keys } = (await answer.json()) as Partial<Discovered>;
  if (typeof issuer !== 'string' || typeof keys !== 'string') throw new Error('openid_config_error');
  return { issuer, jwks_uri: keys };
}

// MSAL always asks for a refresh token too (scope offline_access). A sign-in wants none: it has to be consented
// to, and is one secret more.
function withoutRefreshTokens(network: INetworkModule): INetworkModule {
  return {
    sendGetRequestAsync: (url, options, timeout) => network.sendGetRequestAsync(url, options, timeout),
    sendPostRequestAsync: (url, options) => {
      const form = new URLSearchParams(options?.body);
      if (form.get('grant_type') === 'authorization_code') form.set('scope', scopes.join(' '));
      return network.sendPostRequestAsync(url, { ...options, body: form.toString() });
    },
  };
}

const signInTimeoutMs = 30_000;

// MSAL has no time limit, and a person waits for the page.
function timeOut(): Promise<never> {
  const signal = AbortSignal.timeout(signInTimeoutMs);
  return new Promise((_resolve, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
  );
}

type Proof = Pick<Configuration['auth'], 'clientSecret' | 'clientCertificate' | 'clientAssertion'>;

async function proofOf(credential: AppCredential, cloud: Cloud): Promise<Proof> {
  switch (credential.kind) {
    case 'secret':
      return { clientSecret: credential.secret };
    case 'federated':
      return { clientAssertion: credential.assertion };
    case 'managed_identity':
      return { clientAssertion: await identityToken(credential, cloud) };
    case 'certificate': {
      const { certificate, key } = readClientCertificate(credential);
      return {
        clientCertificate: {
          thumbprintSha256: createHash('sha256').update(certificate.raw).digest('hex'),
          privateKey: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
        },
      };
    }
  }
}
