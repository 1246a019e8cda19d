// Signing in at the simulator: discovery, the token endpoint, @azure/identity with secret and certificate.
import { execFile } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { createLocalJWKSet, decodeJwt, jwtVerify, SignJWT } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTenant, type Simulator, startSimulator } from '../../../src/simulator/index.ts';
import { askToken, createReader, errorOf, type Reply, send } from './client.ts';

const tenant = createTenant({ seed: 31, users: 3, groups: 2 });
let simulator: Simulator;

beforeAll(async () => {
  simulator = await startSimulator({ tenants: [tenant] });
});
afterAll(() => simulator.close());

const signInError = (reply: Reply) => {
  const body = JSON.parse(reply.text);
  return [reply.status, body.error, body.error_codes[0], body.error_description.split(':')[0]];
};

test('a token is a signed JWT with audience, issuer, application, tenant, roles and expiry', async () => {
  const reply = await askToken(simulator);
  const { access_token: token, expires_in: lifetime, token_type: type } = JSON.parse(reply.text);
  expect([reply.status, lifetime, type]).toEqual([200, 3599, 'Bearer']);
  const keys = JSON.parse((await send(simulator, `/${tenant.tenantId}/discovery/v2.0/keys`)).text);
  const { payload } = await jwtVerify(token, createLocalJWKSet(keys), { audience: simulator.origin });
  expect(payload).toMatchObject({
    iss: `${simulator.origin}/${tenant.tenantId}/`,
    appid: simulator.options.clientId,
    tid: tenant.tenantId,
    roles: ['User.Read.All', 'GroupMember.Read.All'],
  });
  expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(3599);
});

test('without roles the token has no roles claim, and Graph denies', async () => {
  const { roles } = simulator.options;
  simulator.options.roles = [];
  try {
    const { access_token: token } = JSON.parse((await askToken(simulator)).text);
    expect(decodeJwt(token)).not.toHaveProperty('roles');
    const reply = await send(simulator, '/v1.0/users/delta', { headers: { authorization: `Bearer ${token}` } });
    expect([reply.status, errorOf(reply).code]).toEqual([403, 'Authorization_RequestDenied']);
  } finally {
    simulator.options.roles = roles;
  }
});

test.each([
  ['users', 'User.Read.All', 200, 403],
  ['groups', 'GroupMember.Read.All', 403, 200],
  ['both', 'Directory.Read.All', 200, 200],
  ['neither', 'Mail.Read', 403, 403],
])('roles for %s (%s) open users with %i and groups with %i', async (_name, role, users, groups) => {
  const before = simulator.options.roles;
  simulator.options.roles = [role];
  try {
    const { ask } = createReader(simulator);
    const [a, b] = [await ask('/v1.0/users/delta'), await ask('/v1.0/groups/delta')];
    expect([a.status, b.status]).toEqual([users, groups]);
  } finally {
    simulator.options.roles = before;
  }
});

test('refusals are worded as Entra words them', async () => {
  expect(signInError(await askToken(simulator, { client_secret: 'wrong' }))).toEqual([
    401,
    'invalid_client',
    7000215,
    'AADSTS7000215',
  ]);
  expect(signInError(await askToken(simulator, { client_id: 'stranger' }))).toEqual([
    400,
    'unauthorized_client',
    700016,
    'AADSTS700016',
  ]);
  expect(signInError(await askToken(simulator, { scope: 'https://foo.microsoft.com/.default' }))).toEqual([
    400,
    'invalid_scope',
    70011,
    'AADSTS70011',
  ]);
  expect(signInError(await askToken(simulator, { grant_type: 'password' }))).toEqual([
    400,
    'unsupported_grant_type',
    70003,
    'AADSTS70003',
  ]);
  const unknown = '/99999999-9999-4999-8999-999999999999';
  expect(signInError(await send(simulator, `${unknown}/v2.0/.well-known/openid-configuration`))).toEqual([
    400,
    'invalid_tenant',
    90002,
    'AADSTS90002',
  ]);
  const body = 'grant_type=client_credentials';
  expect(signInError(await send(simulator, `${unknown}/oauth2/v2.0/token`, { method: 'POST', body }))).toEqual([
    400,
    'invalid_request',
    90002,
    'AADSTS90002',
  ]);
});

test('credentials may come by basic authentication; a missing secret is refused', async () => {
  const { clientId, clientSecret } = simulator.options;
  const path = `/${tenant.tenantId}/oauth2/v2.0/token`;
  const body = `grant_type=client_credentials&scope=${encodeURIComponent(`${simulator.origin}/.default`)}`;
  const basic = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`).toString('base64');
  const good = await send(simulator, path, { method: 'POST', body, headers: { authorization: `Basic ${basic}` } });
  expect(good.status).toBe(200);
  const bad = await send(simulator, path, { method: 'POST', body: `${body}&client_id=${clientId}` });
  expect(signInError(bad)).toEqual([401, 'invalid_client', 7000218, 'AADSTS7000218']);
});

test('an assertion must be signed by the certificate, for this endpoint, by this client, and not be expired', async () => {
  const file = readFileSync(simulator.certificateEnvironment().AZURE_CLIENT_CERTIFICATE_PATH ?? '', 'utf8');
  const right = createPrivateKey(file);
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const endpoint = `${simulator.origin}/${tenant.tenantId}/oauth2/v2.0/token`;
  const id = simulator.options.clientId;
  const answer = async (key: typeof right, audience: string, subject: string, lifetime: number) => {
    const seconds = Math.floor(Date.now() / 1000) + lifetime;
    const assertion = await new SignJWT({ jti: 'one' })
      .setProtectedHeader({ alg: 'RS256' })
      .setAudience(audience)
      .setIssuer(id)
      .setSubject(subject)
      .setExpirationTime(seconds)
      .sign(key);
    const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
    return askToken(simulator, { client_assertion: assertion, client_assertion_type: type });
  };
  expect((await answer(right, endpoint, id, 600)).status).toBe(200);
  const refusals = [
    await answer(stranger, endpoint, id, 600),
    await answer(right, 'https://elsewhere.example/token', id, 600),
    await answer(right, endpoint, 'somebody-else', 600),
    await answer(right, endpoint, id, -3600),
  ];
  for (const refusal of refusals) {
    expect(signInError(refusal)).toEqual([401, 'invalid_client', 700027, 'AADSTS700027']);
  }
});

// In a child process, because the certificate to trust can be named at start only.
const program = `
  import { ClientCertificateCredential, ClientSecretCredential } from '@azure/identity';
  const e = process.env;
  const options = { authorityHost: e.AZURE_AUTHORITY_HOST, disableInstanceDiscovery: true };
  const credential = e.AZURE_CLIENT_CERTIFICATE_PATH
    ? new ClientCertificateCredential(e.AZURE_TENANT_ID, e.AZURE_CLIENT_ID, e.AZURE_CLIENT_CERTIFICATE_PATH, options)
    : new ClientSecretCredential(e.AZURE_TENANT_ID, e.AZURE_CLIENT_ID, e.AZURE_CLIENT_SECRET, options);
  try {
    const { token } = await credential.getToken(e.GRAPH_BASE_URL + '/.default');
    const reply = await fetch(e.GRAPH_BASE_URL + '/v1.0/users/delta', { headers: { authorization: 'Bearer ' + token } });
    process.stdout.write(String(reply.status));
  } catch (error) {
    process.stdout.write(error.message);
  }
`;

async function identity(environment: Record<string, string>): Promise<string> {
  const env = { PATH: process.env.PATH ?? '', ...environment };
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { env });
  return stdout;
}

test('@azure/identity signs in with the secret and with the certificate, and reports a wrong secret', async () => {
  expect(await identity(simulator.environment())).toBe('200');
  expect(await identity(simulator.certificateEnvironment())).toBe('200');
  expect(await identity({ ...simulator.environment(), AZURE_CLIENT_SECRET: 'wrong' })).toContain('AADSTS7000215');
});

test('Graph refuses missing, unknown, revoked and expired tokens', async () => {
  const authorizations = [undefined, 'Bearer nonsense', 'Basic abc'];
  for (const authorization of authorizations) {
    const reply = await send(simulator, '/v1.0/users', { headers: authorization ? { authorization } : {} });
    expect([reply.status, errorOf(reply).code]).toEqual([401, 'InvalidAuthenticationToken']);
  }
  const { ask } = createReader(simulator);
  expect((await ask('/v1.0/users')).status).toBe(200);
  simulator.revokeTokens();
  expect((await ask('/v1.0/users')).status).toBe(401);
  simulator.options.tokenLifetimeSeconds = 0;
  const late = createReader(simulator);
  const reply = await late.ask('/v1.0/users');
  simulator.options.tokenLifetimeSeconds = 3599;
  expect([reply.status, errorOf(reply).message]).toEqual([401, 'Lifetime validation failed, the token is expired.']);
});

test('the files: a private key only its owner reads, in a directory of its own that goes away on close', async () => {
  const other = await startSimulator({ tenants: [tenant] });
  const file = other.certificateEnvironment().AZURE_CLIENT_CERTIFICATE_PATH ?? '';
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(other.environment()).not.toHaveProperty('AZURE_CLIENT_CERTIFICATE_PATH');
  expect(other.certificateEnvironment()).not.toHaveProperty('AZURE_CLIENT_SECRET');
  await other.close();
  expect(existsSync(file)).toBe(false);
});

test('a directory of the caller stays, and a key file found there is closed to others', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'simulator-test-'));
  writeFileSync(join(directory, 'application.pem'), 'old', { mode: 0o644 });
  const other = await startSimulator({ tenants: [tenant], directory });
  const file = other.certificateEnvironment().AZURE_CLIENT_CERTIFICATE_PATH ?? '';
  expect([dirname(file), statSync(file).mode & 0o777]).toEqual([directory, 0o600]);
  await other.close();
  expect(existsSync(file)).toBe(true);
  rmSync(directory, { recursive: true });
});
