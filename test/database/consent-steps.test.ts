// The key that signs the links of the consent page is read once per request, whatever the answer.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ExpectedError } from '../../src/errors.ts';
import { createLog } from '../../src/logger.ts';
import { loadDefaults } from '../../src/settings/settings.ts';
import { type Database, openDatabase } from '../../src/store/database/pool.ts';
import { createInvitation } from '../../src/store/tenants/invitations.ts';
import * as flow from '../../src/web/connect/flow.ts';
import { language as english } from '../../src/web/connect/languages/en.ts';
import { openSteps } from '../../src/web/connect/steps.ts';
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts';

let fresh: FreshDatabase;
let database: Database;
let keysRead = 0;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = openDatabase(fresh.url);
  database.on('query', ({ sql }: { sql: string }) => {
    if (/\bsigning_key\b/.test(sql)) keysRead += 1;
  });
});
afterAll(async () => {
  await database.destroy();
  await fresh.drop();
});

const site = { brand: { product: 'Example' }, url: 'https://connect.example', language: english };
const tenantId = '00000000-0000-4000-8000-000000000001';
const parts: Omit<flow.ConsentParts, 'database'> = {
  defaults: loadDefaults(),
  log: createLog('silent'),
  site,
  signIn: {
    clientId: () => '00000000-0000-4000-8000-00000000000a',
    begin: async (state) => `https://entra.example/?state=${await state({ nonce: 'nonce', verifier: 'verifier' })}`,
    finish: async () => ({
      ...{ tenantId, objectId: tenantId, domain: 'contoso.example', administrator: true },
      ...{ directoryRoles: [], appRoles: [], guest: false },
    }),
    signInConsentUrl: () => '',
    consentUrl: (_, state) => `https://entra.example/?state=${state}`,
  },
  // Without a token the answer contains the most links.
  tokens: () => ({
    access: () => undefined,
    token: async () => {
      throw new ExpectedError('consent_missing', 'no consent yet', { cure: 'wait' });
    },
  }),
  patience: { retries: 0, firstWaitMs: 1 },
  signal: new AbortController().signal,
};

async function keysReadBy<Answer>(request: () => Promise<Answer>): Promise<readonly [Answer, number]> {
  const before = keysRead;
  const answer = await request();
  return [answer, keysRead - before];
}

const parameter = (outcome: flow.Outcome, name: string) =>
  'goTo' in outcome ? (new URL(outcome.goTo).searchParams.get(name) ?? '') : '';

test('each request of a consent, from its invitation to the check, reads the key once', async () => {
  const on = { ...parts, database };
  const wanted = { ref: 'contoso', name: null, tenantId: null, expiresInMs: 600_000, actor: 'test' };
  const invitation = await createInvitation(database, wanted);
  // The first read creates the key.
  const link = (await openSteps(database)).urlOf(site, invitation).split('/').at(-1) ?? '';
  const browser = randomBytes(32).toString('base64url');
  const back = (state: string, more: Record<string, string> = {}) =>
    flow.answered(on, (name) => ({ state, ...more })[name], browser);

  const [, welcome] = await keysReadBy(() => flow.welcome(on, link));
  const [toSignIn, beginSignIn] = await keysReadBy(() => flow.beginSignIn(on, link, browser));
  const [toOffer, signedIn] = await keysReadBy(() => back(parameter(toSignIn, 'state'), { code: 'code' }));
  const step = parameter(toOffer, 'step');
  const [, offer] = await keysReadBy(() => flow.offer(on, step, browser));
  const [toConsent, beginConsent] = await keysReadBy(() => flow.beginConsent(on, step, browser));
  const [notYet, consented] = await keysReadBy(() => back(parameter(toConsent, 'state'), { admin_consent: 'True' }));
  expect(notYet).toMatchObject({ status: 409 });
  const checkLink = /name="step" value="([^"]+)"/.exec('page' in notYet ? notYet.page : '')?.[1];
  const [, check] = await keysReadBy(() => flow.check(on, checkLink, browser));
  const [refusal, refused] = await keysReadBy(() => back(parameter(toConsent, 'state')).catch((error) => error));
  expect(refusal).toMatchObject({ refusal: 'state_used' });

  expect({ welcome, beginSignIn, signedIn, offer, beginConsent, consented, check, refused }).toEqual({
    ...{ welcome: 1, beginSignIn: 1, signedIn: 1, offer: 1, beginConsent: 1, consented: 1, check: 1, refused: 1 },
  });
});
