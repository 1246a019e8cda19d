// The sign-in side: discovery, keys and the token endpoint for client credentials, as Entra answers them.
import { randomUUID } from 'node:crypto';
import { exportJWK, jwtVerify, SignJWT } from 'jose';
import { type Answer, signInError, unknownTenant } from '../answers.ts';
import type { Authority } from './authority-state.ts';
import { isFederated, refuseFederated } from './federation.ts';
import { applicationOf, redeemCode } from './sign-in.ts';

/** Hosts of Graph in the national clouds, accepted as resource like the simulator itself. */
const graphHosts = [
  'graph.microsoft.com',
  'graph.microsoft.us',
  'dod-graph.microsoft.us',
  'microsoftgraph.chinacloudapi.cn',
];

/** The path segment for the tenant of the user who signs in. */
const anyTenant = 'organizations';

const isThere = (authority: Authority, id: string) => id === anyTenant || authority.tenants.has(id);

/** Answers `/{tenant}/v2.0/.well-known/openid-configuration`. */
export function answerDiscovery(authority: Authority, tenant: string): Answer {
  const id = tenant.toLowerCase();
  if (!isThere(authority, id)) return unknownTenant(tenant, 'invalid_tenant');
  const base = `${authority.origin}/${id}`;
  return {
    status: 200,
    body: {
      token_endpoint: `${base}/oauth2/v2.0/token`,
      token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
      jwks_uri: `${base}/discovery/v2.0/keys`,
      response_modes_supported: ['query', 'fragment', 'form_post'],
      subject_types_supported: ['pairwise'],
      id_token_signing_alg_values_supported: ['RS256'],
      response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
      scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
      // A template, since the tenant is not known yet.
      issuer: id === anyTenant ? `${authority.origin}/{tenantid}/v2.0` : `${base}/v2.0`,
      request_uri_parameter_supported: false,
      authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      device_authorization_endpoint: `${base}/oauth2/v2.0/devicecode`,
      http_logout_supported: true,
      end_session_endpoint: `${base}/oauth2/v2.0/logout`,
      tenant_region_scope: 'EU',
      cloud_instance_name: 'localhost',
      msgraph_host: new URL(authority.origin).host,
    },
  };
}

/** Answers `/{tenant}/discovery/v2.0/keys`: the public key that tokens are signed with. */
export async function answerKeys(authority: Authority, tenant: string): Promise<Answer> {
  if (!isThere(authority, tenant.toLowerCase())) return unknownTenant(tenant, 'invalid_tenant');
  const { publicKey, thumbprint } = authority.certificates.tls;
  return {
    status: 200,
    body: { keys: [{ ...(await exportJWK(publicKey)), use: 'sig', alg: 'RS256', kid: thumbprint }] },
  };
}

type Credentials = { clientId: string; secret: string | undefined; assertion: string | undefined };

function credentialsOf(form: URLSearchParams, authorization: string | undefined): Credentials {
  const assertion = form.get('client_assertion') ?? undefined;
  if (authorization?.startsWith('Basic ')) {
    const [id = '', secret = ''] = Buffer.from(authorization.slice(6), 'base64').toString('utf8').split(':');
    const plain = (text: string) => new URLSearchParams(`x=${text}`).get('x') ?? '';
    return { clientId: plain(id), secret: plain(secret), assertion };
  }
  return { clientId: form.get('client_id') ?? '', secret: form.get('client_secret') ?? undefined, assertion };
}

async function refuseAssertion(authority: Authority, tenant: string, assertion: string): Promise<Answer | undefined> {
  const { options, origin, certificates } = authority;
  const base = `${origin}/${tenant}`;
  try {
    const { payload } = await jwtVerify(assertion, certificates.client.publicKey, {
      algorithms: ['RS256', 'PS256'],
      audience: [`${base}/oauth2/v2.0/token`, `${base}/v2.0`, base],
      issuer: options.clientId,
      subject: options.clientId,
      requiredClaims: ['exp', 'jti'],
      clockTolerance: 300,
    });
    return payload.exp ? undefined : signInError(401, 'invalid_client', 700027, 'The client assertion has no expiry.');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'not a signed token';
    return signInError(
      401,
      'invalid_client',
      700027,
      `Client assertion failed signature validation. [Reason - ${reason}] The expected certificate has the thumbprint '${certificates.client.thumbprint}'.`,
    );
  }
}

async function refuseCredentials(
  authority: Authority,
  tenant: string,
  credentials: Credentials,
  signsIn = false,
): Promise<Answer | undefined> {
  const { clientId, secret, assertion } = credentials;
  if (clientId === '') {
    return signInError(
      400,
      'invalid_request',
      900144,
      "The request body must contain the following parameter: 'client_id'.",
    );
  }
  const { options } = authority;
  const isSame = (other: string) => clientId.toLowerCase() === other.toLowerCase();
  const own = options.ownApplications.find((one) => one.tenantId === tenant && isSame(one.clientId));
  // Only people get tokens of the second registration.
  const ofPeople = signsIn ? applicationOf(authority, clientId) : undefined;
  if (!own && !ofPeople && !isSame(options.clientId)) return unknownApplication(authority, tenant, clientId);
  if (assertion !== undefined && isFederated(assertion, clientId)) return refuseFederated(assertion, options.federated);
  if (assertion !== undefined) return refuseAssertion(authority, tenant, assertion);
  if (secret === undefined) {
    return signInError(
      401,
      'invalid_client',
      7000218,
      "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    );
  }
  if (secret !== (own ?? ofPeople ?? options).clientSecret) {
    return signInError(
      401,
      'invalid_client',
      7000215,
      `Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '${clientId}'.`,
    );
  }
  return undefined;
}

function unknownApplication(authority: Authority, tenant: string, clientId: string): Answer {
  return signInError(
    400,
    'unauthorized_client',
    700016,
    `Application with identifier '${clientId}' was not found in the directory '${authority.tenants.get(tenant)}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.`,
  );
}

function resourceOf(authority: Authority, scope: string): string | undefined {
  const resource = /^(https:\/\/[^/]+)\/{1,2}\.default$/.exec(scope.trim())?.[1];
  const isGraph = resource === authority.origin || graphHosts.some((host) => resource === `https://${host}`);
  return isGraph ? resource : undefined;
}

/**
 * Answers `POST /{tenant}/oauth2/v2.0/token`: client credentials, and the code of a sign-in. Without a granted role the
 * token has no `roles` claim (entra-docs, v2-oauth2-client-creds-grant-flow).
 */
export async function answerToken(
  authority: Authority,
  tenant: string,
  body: string,
  authorization: string | undefined,
): Promise<Answer> {
  const id = tenant.toLowerCase();
  if (!isThere(authority, id)) return unknownTenant(tenant, 'invalid_request');
  const form = new URLSearchParams(body);
  if (!form.has('grant_type')) {
    return signInError(
      400,
      'invalid_request',
      900144,
      "The request body must contain the following parameter: 'grant_type'.",
    );
  }
  if (form.get('grant_type') === 'authorization_code') {
    const credentials = credentialsOf(form, authorization);
    return (await refuseCredentials(authority, id, credentials, true)) ?? redeemCode(authority, form);
  }
  if (form.get('grant_type') !== 'client_credentials') {
    return signInError(
      400,
      'unsupported_grant_type',
      70003,
      `The app requested an unsupported grant type '${form.get('grant_type')}'.`,
    );
  }
  if (!authority.tenants.has(id)) return unknownTenant(tenant, 'invalid_request');
  const credentials = credentialsOf(form, authorization);
  const refused = await refuseCredentials(authority, id, credentials);
  if (refused) return refused;
  const scope = form.get('scope') ?? '';
  const resource = resourceOf(authority, scope);
  if (resource === undefined) {
    return signInError(
      400,
      'invalid_scope',
      70011,
      `The provided value for the input parameter 'scope' is not valid. The scope ${scope} is not valid.`,
    );
  }
  const granted = authority.consents.forToken(id);
  if (granted === null) return unknownApplication(authority, id, authority.options.clientId);
  return { status: 200, body: await issue(authority, id, credentials.clientId, resource, granted) };
}

async function issue(
  authority: Authority,
  tenantId: string,
  clientId: string,
  resource: string,
  granted: readonly string[],
): Promise<Record<string, unknown>> {
  const { options, certificates, origin } = authority;
  const now = Math.floor(Date.now() / 1000);
  const roles = [...granted];
  const claims = {
    appid: clientId,
    idtyp: 'app',
    oid: randomUUID(),
    tid: tenantId,
    uti: randomUUID(),
    ver: '1.0',
    ...(roles.length > 0 ? { roles } : {}),
  };
  const token = await new SignJWT(claims)
    .setProtectedHeader({ typ: 'JWT', alg: 'RS256', kid: certificates.tls.thumbprint })
    .setAudience(resource)
    .setIssuer(`${origin}/${tenantId}/`)
    .setIssuedAt(now)
    .setNotBefore(now)
    .setExpirationTime(now + options.tokenLifetimeSeconds)
    .sign(certificates.tls.privateKey);
  authority.issued.set(token, { tenantId, roles, expiresAtMs: Date.now() + options.tokenLifetimeSeconds * 1000 });
  return {
    token_type: 'Bearer',
    expires_in: options.tokenLifetimeSeconds,
    ext_expires_in: options.tokenLifetimeSeconds,
    access_token: token,
  };
}
