// Consent without faults: a real connect process, the simulated Entra ID, a browser with cookies; from the invitation
// to the first cycle.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { disconnectTenant } from '../../../src/store/tenants/disconnect.ts';
import { runCli } from '../../support/cli.ts';
import {
  type ConsentWorld,
  openBrowser,
  openConsentWorld,
  principalOf,
  signInAs,
  toConsent,
} from '../../support/consent.ts';
import { isDeep } from '../../support/deep.ts';

let world: ConsentWorld;

beforeAll(async () => {
  // As docs/connect.md recommends: id tokens contain the directory roles.
  world = await openConsentWorld({ tenants: 8, simulator: { directoryRoles: true } });
});
afterAll(() => world.close());

const nothing = () => rows(world.database, 'select step from entra_sync.consent_steps');

test('an administrator signs in, consents, and the tenant is registered for the customer, due at once', async () => {
  const tenant = world.nextTenant();
  const browser = openBrowser();
  const invitation = await world.invite('customer-1', { name: 'Contoso' });
  const welcome = await browser.open(invitation);
  expect(welcome.status).toBe(200);
  for (const said of [
    'Privileged Role Administrator',
    'Global Administrator',
    'User.Read.All',
    'GroupMember.Read.All',
    'business phones',
    '30 days',
    'Nothing.',
    'Enterprise applications',
    'Example &lt;Signatures&gt;',
  ]) {
    expect(welcome.text).toContain(said);
  }
  const offer = await signInAs(browser, invitation, principalOf(tenant));
  expect([offer.status, new URL(offer.url).pathname]).toEqual([200, '/consent']);
  // A person knows the domain, and not the id.
  expect(offer.text).toContain('Give consent for customer0.example');
  expect(offer.text).not.toContain(tenant.tenantId);
  expect(await world.registered()).toEqual([]);
  // Reloading a page returns the same page.
  expect((await browser.open(offer.url)).status).toBe(200);
  const asked = await browser.press(offer, 'Continue to consent');
  expect(new URL(asked.url).pathname).toBe(`/${tenant.tenantId}/v2.0/adminconsent`);
  const connected = await browser.choose(asked, 'accept');
  expect(connected.status).toBe(200);
  expect(connected.text).toContain('is connected');
  expect(await world.registered()).toEqual([
    { tenant_id: tenant.tenantId, name: 'Contoso', status: 'active', external_ref: 'customer-1' },
  ]);
  expect(await nothing()).toEqual([]);
  const changes = await rows(
    world.database,
    'select kind, actor, before, after from directory.changes where tenant_id = ?',
    [tenant.tenantId],
  );
  expect(changes).toEqual([
    {
      kind: 'tenant.connected',
      actor: 'connect',
      before: null,
      after: { status: 'active', external_ref: 'customer-1' },
    },
  ]);
  const due = await rows(world.database, 'select next_cycle_at from directory.tenants where tenant_id = ?', [
    tenant.tenantId,
  ]);
  expect(due).toEqual([{ next_cycle_at: null }]);
  const synced = await runCli(['sync', 'Contoso'], world.environment);
  expect(synced.code, synced.stderr).toBe(0);
  const accounts = await rows(world.database, 'select 1 from directory.accounts where tenant_id = ?', [
    tenant.tenantId,
  ]);
  expect(accounts.length).toBeGreaterThan(0);
  // A reload says how far the reading is.
  expect(connected.text).toContain('People read so far: <strong>0</strong>');
  expect(connected.text).toContain('The first reading is due at once.');
  const later = await browser.open(connected.url);
  expect(later.text).toContain(`People read so far: <strong>${accounts.length}</strong>`);
  expect(later.text).not.toContain(tenant.tenantId);
  // The link is for this browser, and as it was signed.
  const stranger = openBrowser();
  await stranger.leave(await stranger.open(await world.invite('customer-1')), 'Sign in with Microsoft');
  expect((await stranger.open(connected.url)).status).toBe(409);
  expect((await browser.open(connected.url.replace(/tenant=./, 'tenant=X'))).status).toBe(400);
  await disconnectTenant(world.database, tenant.tenantId, { actor: 'test', dryRun: false });
  expect((await browser.open(connected.url)).status).toBe(410);
});

test('the headers of every page keep frames, scripts, referrers and caches out, and a cookie is HttpOnly and Lax', async () => {
  const browser = openBrowser();
  const welcome = await browser.open(await world.invite('customer-2'));
  const missing = await browser.open(`${world.url}/nowhere`);
  for (const { headers } of [welcome, missing]) {
    expect(headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-[^']+'; form-action 'self' https:\/\/localhost:\d+; frame-ancestors 'none'; base-uri 'none'$/,
    );
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  }
  expect(welcome.text).not.toMatch(/<script.*<script|<script\s|src=|href="http/s);
  const sent = await browser.ask(`${world.url}/sign-in`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', origin: world.url },
    body: new URLSearchParams({ invitation: welcome.url.split('/').at(-1) ?? '' }).toString(),
  });
  expect(sent.status).toBe(303);
  const [cookie = ''] = sent.headers.getSetCookie();
  expect(cookie).toMatch(/^entra-sync=[\w-]{43}; Max-Age=3600; Path=\/; HttpOnly; SameSite=Lax$/);
  const authorize = new URL(sent.headers.get('location') ?? '').searchParams;
  expect(Object.fromEntries(authorize)).toMatchObject({
    response_type: 'code',
    code_challenge_method: 'S256',
    redirect_uri: `${world.url}/callback`,
    prompt: 'select_account',
  });
  expect(authorize.get('nonce')).toBeTruthy();
});

test('waits for a consent that shows in tokens a little later', async () => {
  const tenant = world.nextTenant();
  world.simulator.options.lateConsent = 2;
  try {
    const browser = openBrowser();
    const asked = await toConsent(browser, await world.invite('customer-3'), principalOf(tenant, 'roles'));
    expect((await browser.choose(asked, 'accept')).text).toContain('is connected');
  } finally {
    world.simulator.options.lateConsent = 0;
  }
});

test.each([
  ['AADSTS7000229', 'invalid_client', 7000229],
  ['an unknown number', 'unauthorized_client', 7999999],
])('waits for a consent that is first answered with %s', async (_, error, number) => {
  const tenant = world.nextTenant();
  let refused = 0;
  const off = world.simulator.intercept(({ url, tenantId }) => {
    if (!url.includes('/oauth2/v2.0/token') || tenantId !== tenant.tenantId || refused >= 2) return undefined;
    refused += 1;
    return { status: 401, body: { error, error_description: `AADSTS${number}: Not yet.`, error_codes: [number] } };
  });
  try {
    const browser = openBrowser();
    const asked = await toConsent(browser, await world.invite(`customer-${number}`), principalOf(tenant, 'roles'));
    expect((await browser.choose(asked, 'accept')).text).toContain('is connected');
    expect(refused).toBe(2);
  } finally {
    off();
  }
});

test.runIf(isDeep)('a consent that shows too late: nothing is registered, and a later check connects', async () => {
  const tenant = world.nextTenant();
  const browser = openBrowser();
  const before = await world.registered();
  const asked = await toConsent(browser, await world.invite('customer-4'), principalOf(tenant));
  world.simulator.options.lateConsent = 5;
  const late = await browser.choose(asked, 'accept').finally(() => {
    world.simulator.options.lateConsent = 0;
  });
  expect([late.status, await world.registered()]).toEqual([409, before]);
  expect(late.text).toContain('AADSTS700016');
  const connected = await browser.press(late, 'Check again');
  expect(connected.text).toContain('is connected');
  expect(await world.registered()).toHaveLength(before.length + 1);
});

test('missing and excess permissions are named, and nothing is registered', async () => {
  const tenant = world.nextTenant();
  const before = await world.registered();
  const { roles } = world.simulator.options;
  const browser = openBrowser();
  const invitation = await world.invite('customer-5');
  const consentTo = async (...asked: string[]) => {
    world.simulator.options.roles = asked;
    const shown = await browser.choose(await toConsent(browser, invitation, principalOf(tenant)), 'accept');
    world.simulator.options.roles = roles;
    return shown;
  };
  try {
    const lacking = await consentTo('GroupMember.Read.All');
    expect([lacking.status, /lacks User\.Read\.All/.test(lacking.text)]).toEqual([409, true]);
    const writing = await consentTo('User.Read.All', 'GroupMember.Read.All', 'Mail.Send');
    expect([writing.status, /carries Mail\.Send/.test(writing.text)]).toEqual([403, true]);
    const none = await consentTo();
    expect([none.status, /carries no permission/.test(none.text)]).toEqual([409, true]);
    expect(await world.registered()).toEqual(before);
    const users = await consentTo('User.Read.All');
    expect([users.status, /GroupMember\.Read\.All was not granted/.test(users.text)]).toEqual([200, true]);
  } finally {
    world.simulator.options.roles = roles;
  }
  expect(await world.registered()).toHaveLength(before.length + 1);
});

test('a pending tenant becomes active by its first valid token', async () => {
  const tenant = world.nextTenant();
  const printed = await runCli(
    [
      'connect',
      '--print-url',
      '--ref',
      'customer-6',
      '--name',
      'Adatum',
      '--tenant',
      tenant.tenantId,
      '--expires',
      '2d',
    ],
    world.environment,
  );
  expect(printed.stderr).toMatch(/for Adatum, valid until/);
  expect(printed.stderr).toMatch(/leads to http:\/\/localhost:\d+, which only this machine .* ENTRA_SYNC_PUBLIC_URL/);
  const invitation = printed.stdout.trim();
  expect(invitation).toMatch(/^http:\/\/localhost:\d+\/invitation\/[\w.-]+$/);
  const own = async () => (await world.registered()).find((one) => one.tenant_id === tenant.tenantId);
  expect(await own()).toMatchObject({ name: 'Adatum', status: 'pending', external_ref: 'customer-6' });
  const browser = openBrowser();
  const asked = await toConsent(browser, invitation, principalOf(tenant));
  expect((await own())?.status).toBe('pending');
  expect((await browser.choose(asked, 'accept')).status).toBe(200);
  expect((await own())?.status).toBe('active');
  const changes = await rows(world.database, 'select kind, before, after from directory.changes where tenant_id = ?', [
    tenant.tenantId,
  ]);
  expect(changes).toEqual([
    {
      kind: 'tenant.connected',
      before: { status: 'pending' },
      after: { status: 'active' },
    },
  ]);
});

test('a customer who left comes back by a new invitation; the old one is void', async () => {
  const tenant = world.nextTenant();
  const first = await world.invite('customer-7', { name: 'Nordwind' });
  const browser = openBrowser();
  await browser.choose(await toConsent(browser, first, principalOf(tenant)), 'accept');
  await disconnectTenant(world.database, tenant.tenantId, { actor: 'test', dryRun: false });
  expect((await browser.open(first)).status).toBe(410);
  const second = await world.invite('customer-7');
  await browser.choose(await toConsent(browser, second, principalOf(tenant)), 'accept');
  const kinds = await rows<{ kind: string }>(
    world.database,
    'select kind from directory.changes where tenant_id = ? order by change_id',
    [tenant.tenantId],
  );
  expect(kinds.map(({ kind }) => kind)).toEqual(['tenant.connected', 'tenant.disconnected', 'tenant.reconnected']);
  const own = (await world.registered()).find((one) => one.tenant_id === tenant.tenantId);
  expect(own).toMatchObject({ name: 'Nordwind', status: 'active' });
});

test.runIf(isDeep)(
  'behind a TLS proxy, under a path: links lead there, and the cookie is for this host and TLS only',
  async () => {
    const proxied = await openConsentWorld({ publicUrl: 'https://connect.example.com/entra/' });
    try {
      const browser = openBrowser();
      const behind = (url: string) => url.replace('https://connect.example.com', proxied.origin);
      const invitation = await proxied.invite('customer-8');
      expect(invitation).toMatch(/^https:\/\/connect\.example\.com\/entra\/invitation\//);
      const welcome = await browser.open(behind(invitation));
      expect(welcome.headers.get('strict-transport-security')).toBe('max-age=31536000');
      expect(welcome.text).toContain('action="https://connect.example.com/entra/sign-in"');
      const press = (headers: Record<string, string>) =>
        browser.ask(`${proxied.origin}/entra/sign-in`, {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
          body: new URLSearchParams({ invitation: invitation.split('/').at(-1) ?? '' }).toString(),
        });
      expect((await press({ origin: proxied.origin })).status).toBe(403);
      const sent = await press({ origin: 'https://connect.example.com' });
      expect(sent.headers.getSetCookie()[0]).toMatch(
        /^__Host-entra-sync=[\w-]{43}; Max-Age=3600; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
      );
      const asked = new URL(sent.headers.get('location') ?? '').searchParams;
      expect(asked.get('redirect_uri')).toBe('https://connect.example.com/entra/callback');
      for (const path of ['/livez', '/readyz', '/entra/livez', '/entra/readyz'])
        expect((await browser.open(proxied.origin + path)).status, path).toBe(200);
    } finally {
      await proxied.close();
    }
  },
);
