// Consent with faults: each ends on a clear page with its status, and registers nothing.
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { expectOneLine, runCli } from '../../support/cli.ts';
import {
  type Browser,
  type ConsentWorld,
  openBrowser,
  openConsentWorld,
  principalOf,
  type Shown,
  signInAs,
  toConsent,
} from '../../support/consent.ts';
import { isDeep } from '../../support/deep.ts';

let world: ConsentWorld;
/** The answer to a form that a slow client began to send before the first test. */
let slowAnswer: Promise<string>;

beforeAll(async () => {
  world = await openConsentWorld({ tenants: 46 });
  slowAnswer = sendSlowly(Number(new URL(world.origin).port));
});

async function sendSlowly(port: number): Promise<string> {
  const socket = connect(port, 'localhost');
  const head = 'host: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n';
  socket.write(`POST /sign-in HTTP/1.1\r\n${head}\r\ni`);
  let answer = '';
  socket.on('data', (data) => {
    answer += String(data);
  });
  await once(socket, 'close');
  return answer;
}
afterAll(() => world.close());

let before: unknown;
const remember = async () => {
  before = await world.registered();
};
beforeEach(remember);

/** Expects our page with this status and text, and that no tenant was registered since `remember`. */
async function expectRefused(shown: Shown, status: number, says: RegExp): Promise<void> {
  expect([shown.status, shown.headers.get('content-type')], shown.text).toEqual([status, 'text/html; charset=utf-8']);
  expect(shown.text).toContain('Nothing was connected');
  expect(shown.text).toMatch(says);
  expect(await world.registered()).toEqual(before);
}

/** Runs with id tokens that contain the directory roles, so that an administrator needs no approval. */
async function withRoles(work: () => Promise<void>): Promise<void> {
  world.simulator.options.directoryRoles = true;
  await work().finally(() => {
    world.simulator.options.directoryRoles = false;
  });
}

/** Returns the address with other parameters; undefined removes one. */
function changed(url: string, values: Record<string, string | undefined>): string {
  const made = new URL(url);
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) made.searchParams.delete(name);
    else made.searchParams.set(name, value);
  }
  return made.href;
}

async function atConsent(ref: string, kind = 'admin'): Promise<{ browser: Browser; asked: Shown; tenantId: string }> {
  const tenant = world.nextTenant();
  const browser = openBrowser();
  const asked = await toConsent(browser, await world.invite(ref), principalOf(tenant, kind));
  return { browser, asked, tenantId: tenant.tenantId };
}

describe('the invitation', () => {
  test('none, and unsigned ones', async () => {
    const browser = openBrowser();
    const good = await world.invite('ref');
    await expectRefused(await browser.open(`${world.url}/`), 404, /personal link/);
    const cut = good.slice(0, -1);
    const other = good.replace(/[0-9a-f]{8}-/, '00000000-');
    const longer = good.replace(/\.(\d+)\./, (_all, end) => `.${Number(end) + 1}.`);
    const unreadable = ['%E0%A4%A', 'x'.repeat(600), '..%2f', '%00'].map((text) => `${world.url}/invitation/${text}`);
    for (const link of [cut, other, longer, `${world.url}/invitation/x`, ...unreadable]) {
      const shown = await browser.open(link);
      await expectRefused(shown, 404, /need an invitation/);
      expect(shown.headers.get('content-security-policy'), link).toContain("default-src 'none'");
    }
    for (const type of ['application/json', 'text/plain']) {
      const headers = { 'content-type': type, 'sec-fetch-site': 'same-origin' };
      const invitation = good.split('/').at(-1);
      const body = JSON.stringify({ invitation });
      await expectRefused(await browser.ask(`${world.url}/sign-in`, { method: 'POST', headers, body }), 404, /need an/);
    }
  });

  test.runIf(isDeep)('expired before it was opened, and during the sign-in', async () => {
    const tenant = world.nextTenant();
    const browser = openBrowser();
    await expectRefused(await browser.open(await world.invite('ref', { expiresInMs: -5_000 })), 410, /has expired/);
    const asked = await toConsent(browser, await world.invite('late'), principalOf(tenant));
    await world.database.raw("update entra_sync.invitations set expires_at = now() where external_ref = 'late'");
    await expectRefused(await browser.choose(asked, 'accept'), 410, /has expired/);
    const offer = await signInAs(browser, await world.invite('later'), principalOf(world.nextTenant()));
    await world.database.raw("update entra_sync.invitations set expires_at = now() where external_ref = 'later'");
    await expectRefused(await browser.press(offer, 'Continue to consent'), 410, /has expired/);
  });

  test.runIf(isDeep)('withdrawn', async () => {
    const tenant = world.nextTenant();
    const browser = openBrowser();
    const invitation = await world.invite('gone');
    const asked = await toConsent(browser, invitation, principalOf(tenant));
    const ended = await runCli(['connect', '--withdraw', '--ref', 'gone'], world.environment);
    expect(ended.stdout).toBe('1 invitation of gone withdrawn\n');
    await expectRefused(await browser.open(invitation), 410, /was withdrawn/);
    await expectRefused(await browser.choose(asked, 'accept'), 409, /already done/);
  });

  test('the signature of one step is invalid for another', async () => {
    const browser = openBrowser();
    const invitation = (await world.invite('ref')).split('/').at(-1) ?? '';
    await expectRefused(
      await browser.open(`${world.url}/callback?code=x&state=${invitation}`),
      400,
      /belongs to no sign-in/,
    );
    await expectRefused(await browser.open(`${world.url}/consent?step=${invitation}`), 400, /belongs to no sign-in/);
  });
});

describe('the sign-in', () => {
  test('an unsigned state, none, or the same parameter twice', async () => {
    const browser = openBrowser();
    const welcome = await browser.open(await world.invite('ref'));
    const picked = await browser.chooseAndStop(
      await browser.press(welcome, 'Sign in with Microsoft'),
      principalOf(world.nextTenant()),
    );
    const forged = changed(picked, { state: '11111111-1111-4111-8111-111111111111.9999999999.'.padEnd(92, 'x') });
    for (const url of [forged, changed(picked, { state: undefined }), `${picked}&state=x`]) {
      await expectRefused(await browser.open(url), 400, /belongs to no sign-in/);
    }
  });

  test('a used state, also by two requests at the same time', async () => {
    const browser = openBrowser();
    const welcome = await browser.open(await world.invite('ref'));
    const picked = await browser.chooseAndStop(
      await browser.press(welcome, 'Sign in with Microsoft'),
      principalOf(world.nextTenant()),
    );
    const both = await Promise.all([browser.open(picked), browser.open(picked)]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
    await expectRefused(await browser.open(picked), 409, /already done/);
  });

  test('an expired state', async () => {
    const browser = openBrowser();
    const welcome = await browser.open(await world.invite('ref'));
    const picked = await browser.chooseAndStop(
      await browser.press(welcome, 'Sign in with Microsoft'),
      principalOf(world.nextTenant()),
    );
    await world.database.raw('update entra_sync.consent_steps set expires_at = now()');
    await expectRefused(await browser.open(picked), 409, /used already/);
  });

  test('in another browser: without a cookie, and with one of its own', async () => {
    const browser = openBrowser();
    const welcome = await browser.open(await world.invite('ref'));
    const picked = await browser.chooseAndStop(
      await browser.press(welcome, 'Sign in with Microsoft'),
      principalOf(world.nextTenant()),
    );
    const stranger = openBrowser();
    await expectRefused(await stranger.open(picked), 400, /no cookie/);
    await stranger.leave(await stranger.open(await world.invite('ref')), 'Sign in with Microsoft');
    await expectRefused(await stranger.open(picked), 409, /another browser/);
    expect((await browser.ask(picked, { method: 'HEAD' })).status).toBe(404);
    // The step is still unused for its own browser.
    expect((await browser.open(picked)).status).toBe(200);
  });

  test('an error, and a cancelled sign-in', async () => {
    const browser = openBrowser();
    const welcome = await browser.open(await world.invite('ref'));
    const cancelled = await browser.choose(await browser.press(welcome, 'Sign in with Microsoft'), 'cancel');
    await expectRefused(cancelled, 403, /Consent was not given[\s\S]*AADSTS65004[\s\S]*Start again/);
    const page = await browser.press(welcome, 'Sign in with Microsoft');
    const picked = await browser.chooseAndStop(page, principalOf(world.nextTenant()));
    const wrong = { code: undefined, error: 'server_error', error_description: 'AADSTS90033: <b>mary@contoso.com</b>' };
    const failed = await browser.open(changed(picked, wrong));
    await expectRefused(failed, 403, /did not let you in[\s\S]*AADSTS90033/);
    expect(failed.text).not.toContain('contoso.com');
  });

  test('a code that Microsoft does not know, or none', async () => {
    for (const code of ['made-up', undefined]) {
      const browser = openBrowser();
      const welcome = await browser.open(await world.invite('ref'));
      const page = await browser.press(welcome, 'Sign in with Microsoft');
      const picked = await browser.chooseAndStop(page, principalOf(world.nextTenant()));
      await expectRefused(await browser.open(changed(picked, { code })), 502, /could not be confirmed/);
    }
  });

  test('the code of another sign-in: PKCE', async () => {
    const [browser, thief] = [openBrowser(), openBrowser()];
    const pickedBy = async (one: Browser) => {
      const welcome = await one.open(await world.invite('ref'));
      return one.chooseAndStop(await one.press(welcome, 'Sign in with Microsoft'), principalOf(world.nextTenant()));
    };
    const code = new URL(await pickedBy(browser)).searchParams.get('code') ?? '';
    await expectRefused(await thief.open(changed(await pickedBy(thief), { code })), 502, /AADSTS50148/);
  });

  test.each([
    ['of another audience', { aud: 'another-application' }],
    ['of another issuer', { iss: 'https://login.example/x/v2.0' }],
    ['without its nonce', { nonce: 'another' }],
    ['that names another tenant', { tid: '11111111-1111-4111-8111-111111111111' }],
    ['that expired', { exp: 1_000_000_000 }],
    ['without an object id', { oid: undefined }],
  ])('an id token %s', async (_what, claims) => {
    world.simulator.options.idTokenClaims = claims;
    try {
      const browser = openBrowser();
      const shown = await signInAs(browser, await world.invite('ref'), principalOf(world.nextTenant()));
      await expectRefused(shown, 502, /could not be confirmed/);
    } finally {
      world.simulator.options.idTokenClaims = {};
    }
  });

  test('an id token that Microsoft did not sign', async () => {
    const stop = world.simulator.transform((_request, body) => {
      const { id_token: token } = body as { id_token?: string };
      return token === undefined ? body : { ...body, id_token: `${token.slice(0, -20)}${'A'.repeat(20)}` };
    });
    const browser = openBrowser();
    const principal = principalOf(world.nextTenant());
    await expectRefused(await signInAs(browser, await world.invite('ref'), principal).finally(stop), 502, /confirmed/);
  });

  test('a personal account', async () => {
    const shown = await signInAs(openBrowser(), await world.invite('ref'), 'personal@outlook.example');
    await expectRefused(shown, 403, /personal Microsoft account/);
  });

  test('the button of another page', async () => {
    const browser = openBrowser();
    const welcome = await browser.open(await world.invite('ref'));
    for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }]) {
      const shown = await browser.press(welcome, 'Sign in with Microsoft', headers);
      await expectRefused(shown, 403, /is not on a page of this site/);
    }
    const old = await browser.ask(`${world.url}/sign-in`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', origin: 'https://evil.example' },
      body: 'invitation=x',
    });
    await expectRefused(old, 403, /is not on a page of this site/);
  });
});

describe('the consent', () => {
  test('declined, with admin_consent=True next to the error', async () => {
    const { browser, asked } = await atConsent('ref');
    const back = await browser.chooseAndStop(asked, 'cancel');
    expect(Object.fromEntries(new URL(back).searchParams)).toMatchObject({
      admin_consent: 'True',
      error: 'access_denied',
    });
    const shown = await browser.open(back);
    await expectRefused(shown, 403, /Consent was not given[\s\S]*You cancelled[\s\S]*AADSTS65004/);
    expect(shown.text).not.toContain('administrator');
  });

  test('an error next to admin_consent=True counts even if the tenant consented earlier', async () => {
    const { browser, asked, tenantId } = await atConsent('ref');
    world.simulator.consents.grant(tenantId);
    const back = changed(await browser.chooseAndStop(asked, 'accept'), { error: 'consent_required' });
    await expectRefused(await browser.open(back), 403, /did not accept the consent[\s\S]*consent_required/);
  });

  test('by a user who may not consent', async () => {
    const { browser, asked } = await atConsent('ref', 'apps');
    expect(asked.text).toContain('Need admin approval');
    const shown = await browser.choose(asked, 'cancel');
    await expectRefused(shown, 403, /account may not give this consent[\s\S]*AADSTS90094/);
    expect(shown.text).not.toContain('Consent was not given');
    // The invitation itself, for another person.
    const [, link = ''] = /Send this link to your administrator:<\/p><p><code>([^<]+)</.exec(shown.text) ?? [];
    expect(link).toMatch(new RegExp(`^${world.url}/invitation/`));
    expect((await openBrowser().open(link)).status).toBe(200);
  });

  test('the refusal of the older form', async () => {
    const { browser, asked } = await atConsent('ref');
    const back = await browser.chooseAndStop(asked, 'cancel');
    const older = { error: 'permission_denied', error_description: 'The admin canceled the request' };
    await expectRefused(await browser.open(changed(back, older)), 403, /Consent was not given/);
  });

  test('a forged tenant in the redirect: neither tenant is registered', async () => {
    const other = world.nextTenant();
    world.simulator.consents.grant(other.tenantId);
    const { browser, asked } = await atConsent('ref');
    const back = await browser.chooseAndStop(asked, 'accept');
    await expectRefused(await browser.open(changed(back, { tenant: other.tenantId })), 400, /names another tenant/);
  });

  test('a redirect that claims consent without one: the token disproves it', async () => {
    const { browser, asked } = await atConsent('ref');
    const state = new URL(asked.url).searchParams.get('state') ?? '';
    const shown = await browser.open(`${world.url}/callback?admin_consent=True&state=${state}`);
    expect([shown.status, await world.registered()]).toEqual([409, before]);
    expect(shown.text).toContain('The consent does not work yet');
  });

  test('a redirect that does not claim consent', async () => {
    const { browser, asked } = await atConsent('ref');
    const back = await browser.chooseAndStop(asked, 'accept');
    await expectRefused(
      await browser.open(changed(back, { admin_consent: undefined })),
      400,
      /without saying that consent/,
    );
  });

  test('a used state, and the callback twice', async () => {
    const { browser, asked } = await atConsent('ref');
    const back = await browser.chooseAndStop(asked, 'cancel');
    await browser.open(back);
    await expectRefused(await browser.open(changed(back, { error: undefined })), 409, /already done/);
  });

  test('Microsoft that does not answer', async () => {
    const { browser, asked } = await atConsent('ref');
    const back = await browser.chooseAndStop(asked, 'accept');
    const stop = world.simulator.intercept(({ url }) => (url.includes('/token') ? { destroy: true } : undefined));
    const shown = await browser.open(back).finally(stop);
    expect([shown.status, await world.registered()]).toEqual([503, before]);
    expect(shown.text).toContain('did not answer');
  });
});

describe('the customer of the tenant', () => {
  test('another customer has the tenant: refused before the consent', async () => {
    const tenant = world.nextTenant();
    await world.add(tenant, 'somebody-else');
    await remember();
    const shown = await signInAs(openBrowser(), await world.invite('ref'), principalOf(tenant));
    await expectRefused(shown, 409, /belongs to another customer/);
    expect(world.simulator.consents.granted(tenant.tenantId)).toBeNull();
  });

  test('another customer gets the tenant during the consent', async () => {
    const { browser, asked, tenantId } = await atConsent('ref');
    const rename = `insert into entra_sync.tenants (tenant_id, name, external_ref) values (?, 'Quick', 'quick')`;
    await world.database.raw(rename, [tenantId]);
    await remember();
    await expectRefused(await browser.choose(asked, 'accept'), 409, /belongs to another customer/);
  });

  test('a synced tenant that the vendor assigned to no customer', async () => {
    const tenant = world.nextTenant();
    await world.add(tenant, null);
    await world.database.raw('update entra_sync.tenants set last_success_at = now() where tenant_id = ?', [
      tenant.tenantId,
    ]);
    await remember();
    const shown = await signInAs(openBrowser(), await world.invite('ref'), principalOf(tenant));
    await expectRefused(shown, 409, /not yet assigned to a customer/);
  });

  test('an invitation connects one tenant: the first, or the one that it names', () =>
    withRoles(async () => {
      const [first, second, named] = [world.nextTenant(), world.nextTenant(), world.nextTenant()];
      const invitation = await world.invite('one');
      const browser = openBrowser();
      await browser.choose(await toConsent(browser, invitation, principalOf(first)), 'accept');
      await remember();
      await expectRefused(
        await signInAs(openBrowser(), invitation, principalOf(second)),
        403,
        /invitation is for another tenant/,
      );
      await world.add(named, 'two');
      await remember();
      const only = await world.invite('two', { tenantId: named.tenantId });
      await expectRefused(
        await signInAs(openBrowser(), only, principalOf(second)),
        403,
        /invitation is for another tenant/,
      );
      // The same tenant may consent again.
      const again = await browser.choose(await toConsent(browser, invitation, principalOf(first)), 'accept');
      expect(again.status).toBe(200);
    }));
});

describe('the person who consents', () => {
  /** Forges the redirect that claims consent. */
  const forge = async (browser: Browser, offer: Shown) => {
    const asked = new URL(await browser.leave(offer, 'Continue to consent'));
    return browser.open(`${world.url}/callback?admin_consent=True&state=${asked.searchParams.get('state')}`);
  };

  test.runIf(isDeep)('if tokens contain roles, an administrator has to sign in, even if the tenant has consented', () =>
    withRoles(async () => {
      const [fresh, old] = [world.nextTenant(), world.nextTenant()];
      world.simulator.consents.grant(old.tenantId);
      for (const principal of [principalOf(fresh, 'user'), principalOf(fresh, 'apps'), principalOf(old, 'user')]) {
        const shown = await signInAs(openBrowser(), await world.invite('thief'), principal);
        await expectRefused(shown, 403, /not an administrator of this tenant/);
      }
      for (const principal of [principalOf(fresh), principalOf(old, 'roles')]) {
        const browser = openBrowser();
        const asked = await toConsent(browser, await world.invite('owner'), principal);
        expect((await browser.choose(asked, 'accept')).text).toContain('is connected');
      }
    }),
  );

  test('a check works only after a consent that came back, never instead of it', async () => {
    const tenant = world.nextTenant();
    await world.add(tenant, 'owner');
    await remember();
    const browser = openBrowser();
    const offer = await signInAs(browser, await world.invite('owner'), principalOf(tenant));
    world.simulator.consents.grant(tenant.tenantId);
    const around = { ...offer, text: offer.text.replace('/consent"', '/check"') };
    await expectRefused(await browser.press(around, 'Continue to consent'), 400, /belongs to no sign-in/);
    expect((await forge(browser, offer)).text).toContain('is connected');
  });
});

test('a taken name is not used twice', async () => {
  const tenants = [world.nextTenant(), world.nextTenant()];
  await withRoles(async () => {
    for (const [index, tenant] of tenants.entries()) {
      const browser = openBrowser();
      const invitation = await world.invite(`same-${index}`, { name: 'Same' });
      await browser.choose(await toConsent(browser, invitation, principalOf(tenant)), 'accept');
    }
  });
  const names = (await world.registered()).map(({ name }) => name).filter((name) => name.startsWith('Same'));
  expect(names).toEqual(['Same', 'Same (same-1)']);
});

test.runIf(isDeep)('a form that is sent letter by letter does not keep its connection', async () => {
  expect(await slowAnswer).toMatch(/^HTTP\/1\.1 408 /);
});

test('the log holds ids and codes: no names, addresses, codes, states, cookies', async () => {
  const { browser, asked } = await atConsent('log');
  await browser.choose(asked, 'accept');
  const declining = await atConsent('log-2');
  await declining.browser.choose(declining.asked, 'cancel');
  const shown = await world.running.shows(/"msg":"tenant connected"[\s\S]*"refusal":"declined"[\s\S]*"status":403/);
  const log = shown
    .split('\n')
    .filter((line) => line.startsWith('{'))
    // A reference is drawn, so its letters may spell anything.
    .map((line) => line.replace(/"reference":"[\w-]+"/, ''))
    .join('\n');
  expect(log).toMatch(/"msg":"request"/);
  expect(log).not.toMatch(/@|\.example|customer ?\d|[?&](code|state|step)=|entra-sync=/i);
  expect(log).not.toMatch(/eyJ/);
  expect(log).not.toMatch(/"level":"error"/);
});

test.runIf(isDeep)('refusals of the command line', async () => {
  const { environment } = world;
  const { DATABASE_URL: _, ...withoutDatabase } = environment;
  const tenant = world.nextTenant();
  await world.add(tenant, 'taken');
  const refused = await Promise.all([
    runCli(['connect'], withoutDatabase),
    runCli(['connect', '--print-url', '--ref', 'x'], withoutDatabase),
    runCli(['connect', '--print-url'], environment),
    runCli(['connect', '--public-url', 'http://connect.example.com'], environment),
    runCli(['connect', '--print-url', '--ref', 'x', '--tenant', tenant.tenantId], environment),
    runCli(['connect', '--port', new URL(world.url).port, '--host', 'localhost'], environment),
  ]);
  const [noDatabase, noDatabaseToo, noRef, plain, taken, busy] = refused;
  expectOneLine(noDatabase as never, 7, /DATABASE_URL is not set/);
  expectOneLine(noDatabaseToo as never, 7, /DATABASE_URL is not set/);
  expectOneLine(noRef as never, 2, /for one customer/);
  expectOneLine(plain as never, 2, /http is for localhost only/);
  expectOneLine(taken as never, 2, /registered for customer taken .*tenant rename/);
  expectOneLine(busy as never, 2, /cannot listen on localhost port \d+ \(EADDRINUSE\)/);
});
