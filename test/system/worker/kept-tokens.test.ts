// The worker's way to Graph: a token serves many cycles, and nothing about credentials and roles is noticed later for it.
import { expect, test } from 'vitest';
import { openGraphAccess } from '../../../src/app.ts';
import { readEnvironment } from '../../../src/environment.ts';
import { loadDefaults, resolveSettings } from '../../../src/settings/settings.ts';
import { bufferLog, failureOf, fastPolicy, openWorld, trust } from '../../support/system.ts';

async function openKept() {
  const world = await openWorld({ users: 2 });
  const { simulator, tenant } = world;
  trust(simulator.certificate);
  const variables = { ...simulator.environment(tenant.tenantId) };
  // A variable that changes stands for a file that does: both are read when a credential is.
  const graph = openGraphAccess({ ...readEnvironment(variables), variables }, { policy: fastPolicy, keepTokens: true });
  const settings = resolveSettings([loadDefaults()], 1);
  const read = async (more: Partial<typeof settings> = {}) => {
    const reader = graph.openReader({
      tenantId: tenant.tenantId,
      settings: { ...settings, ...more },
      signal: new AbortController().signal,
      log: bufferLog().log,
    });
    await reader.getJson(`${simulator.origin}/v1.0/users/delta`, { carriedToken: false, parse: () => ({}) });
  };
  const signIns = () => simulator.requests.filter(({ path }) => path.includes('/oauth2/v2.0/token')).length;
  return { ...world, variables, read, signIns };
}

test('a later cycle goes on with the token of the one before', async () => {
  const { read, signIns } = await openKept();
  await read();
  await read();
  expect(signIns()).toBe(1);
});

test('another credential signs in at once, and a wrong one fails at once', async () => {
  const { read, variables } = await openKept();
  await read();
  variables.AZURE_CLIENT_SECRET = 'wrong';
  expect((await failureOf(read())).code).toBe('credential_refused');
});

test('roles are judged anew where others are allowed', async () => {
  const { read, signIns } = await openKept();
  await read();
  await read({ allowRoles: ['User.Invite.All'] });
  expect(signIns()).toBe(2);
});

test('rule 16: a token that Graph refuses is replaced in the same cycle', async () => {
  const { read, signIns, simulator } = await openKept();
  await read();
  simulator.revokeTokens();
  await read();
  expect(signIns()).toBe(2);
});

test('after a refusal the next cycle signs in: what was granted meanwhile is in a new token alone', async () => {
  const { read, signIns, simulator } = await openKept();
  await read();
  const off = simulator.intercept(({ url }) => (url.includes('/delta') ? { status: 403, body: {} } : undefined));
  await failureOf(read());
  off();
  await read();
  expect(signIns()).toBe(2);
});
