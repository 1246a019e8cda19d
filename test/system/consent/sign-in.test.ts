// Sign-ins of people with each kind of application credential, against the simulated Entra ID.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openConsent } from '../../../src/app.ts';
import { readEnvironment } from '../../../src/environment.ts';
import { createTenant, type Simulator, startSimulator } from '../../../src/simulator/index.ts';
import { openBrowser } from '../../support/consent.ts';
import { failureOf, trust } from '../../support/system.ts';

const tenant = createTenant({ seed: 77, users: 1, name: 'Contoso' });
const redirectUri = 'http://localhost:1/callback';
let simulator: Simulator;

beforeAll(async () => {
  simulator = await startSimulator({ tenants: [tenant] });
  trust(simulator.certificate);
});
afterAll(() => simulator.close());

/** Signs a person in, up to the code, which the caller redeems. */
async function signIn(environment: Record<string, string>) {
  const { signIn: page } = openConsent(readEnvironment(environment), redirectUri);
  let kept = { nonce: '', verifier: '' };
  const url = await page.begin(async (made) => {
    kept = made;
    return 'state';
  });
  const browser = openBrowser();
  const back = new URL(await browser.chooseAndStop(await browser.open(url), 'admin@contoso.example'));
  expect(back.searchParams.get('state')).toBe('state');
  return { page, kept, code: back.searchParams.get('code') ?? '' };
}

test.each([
  ['a secret', () => simulator.environment()],
  ['a certificate', () => simulator.certificateEnvironment()],
  ['a federated token', () => simulator.federatedEnvironment()],
])('%s', async (_kind, environment) => {
  const { page, kept, code } = await signIn(await environment());
  expect(await page.finish(code, kept)).toEqual({
    tenantId: tenant.tenantId,
    objectId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    ...{ domain: 'contoso.example', directoryRoles: [], appRoles: [], guest: false },
  });
});

test('a wrong secret is a refused sign-in, with its cure', async () => {
  const { page, kept, code } = await signIn({ ...simulator.environment(), AZURE_CLIENT_SECRET: 'wrong' });
  const { code: what, message, cure } = await failureOf(page.finish(code, kept));
  expect([what, cure]).toEqual([
    'credential_refused',
    'set AZURE_CLIENT_SECRET to the value of the secret (not its id)',
  ]);
  expect(message).toMatch(/AADSTS7000215/);
});

test('Microsoft refuses a redirect address that is not registered', async () => {
  simulator.options.redirectUris = ['https://connect.example.com/callback'];
  try {
    const { signIn: page } = openConsent(readEnvironment(simulator.environment()), redirectUri);
    const shown = await openBrowser().open(await page.begin(async () => 'state'));
    expect([shown.status, /AADSTS50011/.test(shown.text)]).toEqual([400, true]);
  } finally {
    simulator.options.redirectUris = null;
  }
});
