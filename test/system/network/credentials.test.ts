// Every kind of credential, with real processes over real sockets: secret and certificate, a federated token, a managed
// identity, and a tenant's own credential. Files are read again for every token.
import { rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, type TestContext, test } from 'vitest';
import { stringify } from 'yaml';
import { openGraphAccess } from '../../../src/app.ts';
import { readEnvironment } from '../../../src/environment.ts';
import type { ExpectedError } from '../../../src/errors.ts';
import { loadDefaults } from '../../../src/settings/settings.ts';
import { createTenant, type Simulator, startSimulator } from '../../../src/simulator/index.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { addTenant } from '../../../src/store/tenants/tenants.ts';
import { expectOneLine, runCli, temporaryDirectory } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { expectTruth, isDeltaRequest, openWorld, trust } from '../../support/system.ts';

const worldOf = ({ onTestFinished }: TestContext, registered = true) =>
  openWorld({ registered, onEnd: onTestFinished });

/** The tenants whose token endpoint was asked. */
const signIns = (simulator: Simulator) =>
  simulator.requests.flatMap(({ path }) => /^\/([^/]+)\/oauth2\/v2\.0\/token/.exec(path)?.[1] ?? []);

describe.concurrent('workload identity federation', () => {
  test('a token of the cluster signs in to the customer’s tenant', async (context) => {
    const world = await worldOf(context);
    const environment = { ...(await world.simulator.federatedEnvironment()), DATABASE_URL: world.url };
    const ended = await runCli(['sync'], environment);
    expect([ended.code, ended.stderr]).toEqual([0, expect.not.stringContaining('AZURE_TENANT_ID')]);
    await expectTruth(world.tenant, world.database);
    expect(signIns(world.simulator)).toEqual([world.tenant.tenantId]);
  });

  test('AZURE_TENANT_ID, there the tenant of the vendor, is never registered', async (context) => {
    const world = await worldOf(context, false);
    const environment = { ...(await world.simulator.federatedEnvironment()), DATABASE_URL: world.url };
    expectOneLine(await runCli(['sync'], environment), 2, /no tenant is registered -> run entra-sync tenant add/);
    expect(await rows(world.database, 'select from entra_sync.tenants')).toEqual([]);
  });

  test.runIf(isDeep)('a token that is not trusted says what is to be done, and appears in no log', async (context) => {
    const world = await worldOf(context);
    const token = { subject: 'system:serviceaccount:other:other' };
    const environment = { ...(await world.simulator.federatedEnvironment(token)), DATABASE_URL: world.url };
    const ended = await runCli(['sync', '--verbose'], environment);
    expectOneLine(ended, 3, /AADSTS700213.*add a federated credential .* AZURE_FEDERATED_TOKEN_FILE/);
    expect(ended.stdout + ended.stderr).not.toContain('eyJ');
  });
});

test.each([
  ['the right token', {}, /^e/],
  ['another issuer', { issuer: 'https://elsewhere.example/' }, /AADSTS700211.*add a federated credential/],
  ['another subject', { subject: 'system:serviceaccount:other:other' }, /AADSTS700213.*AZURE_FEDERATED_TOKEN_FILE/],
  ['another audience', { audience: 'sts.example' }, /AADSTS700212.*audience/],
  ['a token that has ended', { lifetimeSeconds: -600 }, /AADSTS700024.*kept fresh/],
  ['a token that somebody else signed', { stranger: true }, /AADSTS7000272/],
])('federated: %s', async (_what, token, says) => {
  const tenant = createTenant({ seed: 1, users: 1 });
  const simulator = await startSimulator({ tenants: [tenant] });
  try {
    trust(simulator.certificate);
    const access = openGraphAccess(readEnvironment(await simulator.federatedEnvironment(token)));
    const answer = await access
      .tokens(tenant.tenantId, [])
      .token()
      .catch((error: ExpectedError) => `${error.message} -> ${error.cure}`);
    expect(answer).toMatch(says);
  } finally {
    await simulator.close();
  }
});

/** The endpoint of a managed identity as App Service serves it; `asked` holds what came. */
async function serveIdentity(context: TestContext, answer: () => Promise<[number, object]>) {
  const asked: { path: string; header: unknown }[] = [];
  const server = createServer((request, response) => {
    asked.push({ path: request.url ?? '', header: request.headers['x-identity-header'] });
    void answer().then(([status, body]) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const { port } = server.address() as AddressInfo;
  const environment = { IDENTITY_ENDPOINT: `http://127.0.0.1:${port}/msi/token`, IDENTITY_HEADER: 'the-header' };
  return { asked, environment };
}

describe.concurrent('managed identity', () => {
  const identity = '9b0b6c0e-8a55-4a7e-9f27-7b8c4a4a0c11';
  const named = { AZURE_CLIENT_SECRET: '', ENTRA_SYNC_MANAGED_IDENTITY_CLIENT_ID: identity };

  test.runIf(isDeep)('its token authenticates the application', async (context) => {
    const world = await worldOf(context);
    const served = await serveIdentity(context, async () => {
      const access_token = await world.simulator.federatedToken();
      const expires_on = Math.floor(Date.now() / 1000) + 3600;
      return [200, { access_token, expires_on, resource: 'api://AzureADTokenExchange', token_type: 'Bearer' }];
    });
    const environment = { ...world.simulator.environment(), DATABASE_URL: world.url, ...named, ...served.environment };
    const ended = await runCli(['sync'], environment);
    expect(ended.code, ended.stderr).toBe(0);
    await expectTruth(world.tenant, world.database);
    const [first] = served.asked;
    const query = new URL(first?.path ?? '', 'http://localhost').searchParams;
    expect([query.get('resource'), query.get('client_id'), first?.header, served.asked.length]).toEqual([
      'api://AzureADTokenExchange',
      identity,
      'the-header',
      1,
    ]);
  });

  test.runIf(isDeep)('an identity that is not assigned here is reported', async (context) => {
    const world = await worldOf(context);
    const served = await serveIdentity(context, async () => [
      400,
      { statusCode: 400, message: 'No User Assigned MSI' },
    ]);
    const environment = { ...world.simulator.environment(), DATABASE_URL: world.url, ...named, ...served.environment };
    expectOneLine(
      await runCli(['sync'], environment),
      3,
      new RegExp(`the managed identity ${identity} gave no token -> check that it is assigned`),
    );
    expect(world.deltaRequests()).toEqual([]);
  });
});

describe.concurrent('a rotated secret', () => {
  test('is read from its file for the next token, without a restart', async (context) => {
    const { simulator, ...world } = await worldOf(context);
    simulator.options.pageSize = 4;
    const folder = await temporaryDirectory(context.onTestFinished);
    const file = join(folder, 'secret');
    await writeFile(file, `${simulator.options.clientSecret}\n`);
    let rotated = false;
    const stop = simulator.intercept(async ({ url }) => {
      if (rotated || !/skiptoken/.test(url) || !isDeltaRequest(url)) return undefined;
      rotated = true;
      // The old secret and its tokens end in the middle of a round; the new one is renamed into place, as mounts do it.
      simulator.options.clientSecret = 'the next secret';
      await writeFile(`${file}.new`, 'the next secret\n');
      await rename(`${file}.new`, file);
      simulator.revokeTokens();
      return { status: 401, body: { error: { code: 'InvalidAuthenticationToken', message: 'revoked' } } };
    });
    const { AZURE_CLIENT_SECRET: _, ...rest } = simulator.environment();
    const environment = { ...rest, AZURE_CLIENT_SECRET_FILE: file, DATABASE_URL: world.url };
    const ended = await runCli(['sync'], environment);
    stop();
    expect([rotated, ended.code], ended.stderr).toEqual([true, 0]);
    await expectTruth(world.tenant, world.database);
  });
});

test('a tenant that brings its own application: its settings name it, and a gap stops this tenant alone', async (context) => {
  const theirs = { clientId: '3c5f0f9e-2b43-4a52-8a1e-0f4d6a6a7b21', clientSecret: 'their own secret' };
  const { tenant: ours, ...world } = await openWorld({ name: 'Contoso', users: 3, onEnd: context.onTestFinished });
  const own = createTenant({ seed: 2, users: 4, name: 'Fabrikam' });
  // A second simulator would have other hosts; the environment names one.
  const simulator = await startSimulator({ tenants: [ours, own] });
  context.onTestFinished(() => simulator.close());
  simulator.options.ownApplications.push({ tenantId: own.tenantId, ...theirs });
  await addTenant(world.database, { tenantId: own.tenantId, name: own.name, ref: null }, loadDefaults());
  const environment = { ...simulator.environment(), DATABASE_URL: world.url };

  const file = join(await temporaryDirectory(context.onTestFinished), 'fabrikam.yaml');
  await writeFile(file, stringify({ credential: { clientId: theirs.clientId, secret: { env: 'FABRIKAM_SECRET' } } }));
  const set = await runCli(['tenant', 'set', 'Fabrikam', file], environment);
  expect(set.code, set.stderr).toBe(0);
  const gap = await runCli(['sync'], environment);
  expect(gap.code).toBe(3);
  expect(gap.stderr).toMatch(
    /entra-sync: Fabrikam .*the variable FABRIKAM_SECRET that credential.secret .* not set -> /,
  );
  expect(
    await rows(world.database, 'select name, last_error_code as code from directory.tenants order by name'),
  ).toEqual([
    { name: 'Contoso', code: null },
    { name: 'Fabrikam', code: 'credential_missing' },
  ]);

  simulator.clearRequests();
  const bare = { ...environment, AZURE_CLIENT_ID: '', AZURE_CLIENT_SECRET: '', AZURE_TENANT_ID: '' };
  const ended = await runCli(['sync', 'Fabrikam'], { ...bare, FABRIKAM_SECRET: theirs.clientSecret });
  expect(ended.code, ended.stderr).toBe(0);
  expect(signIns(simulator)).toEqual([own.tenantId]);
  const [kept] = await rows<{ text: string }>(
    world.database,
    'select string_agg(document::text, chr(10)) as text from entra_sync.settings',
  );
  expect(kept?.text).toContain('FABRIKAM_SECRET');
  expect(kept?.text).not.toContain(theirs.clientSecret);

  // Without a credential in the environment the other tenants cannot be reached, and their errors name the cause.
  const others = openGraphAccess(readEnvironment(bare)).tokens(ours.tenantId, []);
  await expect(others.token()).rejects.toThrow('no credential for Microsoft Graph');
});
