// Signing in to the web by the simulated Entra ID over TLS, behind a proxy that gives it a path: who comes in as what, every
// refusal, and what an attacker may try.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeJwt, SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openSignIn } from '../../../src/app.ts';
import { readEnvironment, readTrustedProxies } from '../../../src/environment.ts';
import { loadDefaults } from '../../../src/settings/settings.ts';
import { createTenant } from '../../../src/simulator/index.ts';
import { disconnectTenant } from '../../../src/store/tenants/disconnect.ts';
import { addTenant } from '../../../src/store/tenants/tenants.ts';
import { access, type Route } from '../../../src/web/access.ts';
import { consoleFrame } from '../../../src/web/console/frame.ts';
import { html, markOf } from '../../../src/web/html.ts';
import { action, page } from '../../../src/web/page.ts';
import { pagesPart } from '../../../src/web/serve-pages.ts';
import { serveWeb, type WebServer } from '../../../src/web/server.ts';
import { enteredPath, signInEntrance } from '../../../src/web/sign-in.ts';
import { typedText } from '../../../src/web/typed.ts';
import { readWebLanguages } from '../../../src/web/web-language.ts';
import { expectOneLine, runCli, temporaryDirectory } from '../../support/cli.ts';
import { type Browser, openBrowser, type Shown } from '../../support/consent.ts';
import { freePort } from '../../support/free-port.ts';
import { type HttpsProxy, startHttpsProxy } from '../../support/https-proxy.ts';
import { ask } from '../../support/stage.ts';
import { bufferLog, openWorld, trust, type World } from '../../support/system.ts';

const everyRole = ['ops_act', 'ops_read', 'admin', 'reader', 'user'];
Object.assign(access, { 'GET /test/me': everyRole, 'POST /test/me': everyRole });
const me = page({
  route: 'GET /test/me' as Route,
  query: {},
  load: async () => ({}),
  render: (_data, { viewer, form, token }) => ({
    title: 'Me',
    content: html`<pre>${JSON.stringify(viewer)}</pre><p>typed ${typedText(form, 'text') ?? 'nothing'}</p><p>${form?.problems[0]?.message ?? ''}</p><i>${token}</i><b>${markOf(viewer)}</b>`,
  }),
});
const save = action({
  route: 'POST /test/me' as Route,
  form: {},
  audit: 'test.saved',
  act: async () => ({ to: '/test/me' }),
  again: me,
});

const vendor = createTenant({ seed: 31, users: 2, name: 'Vendor' });
const stranger = createTenant({ seed: 32, users: 2, name: 'Stranger' });
const opsRole = 'somebody with a role';

let world: World;
let proxy: HttpsProxy;
let url: string;
let readLog: () => string;
/** Starts another process of the web on the same database; the proxy forwards to it from then on. */
let startReplica: () => Promise<WebServer>;
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  world = await openWorld({
    users: 12,
    name: 'Contoso',
    others: [vendor, stranger],
    simulator: { directoryRoles: true },
    onEnd: ((close: () => Promise<void>) => void closers.push(close)) as never,
  });
  const { simulator, database } = world;
  trust(simulator.certificate);
  await world.cycle();
  simulator.options.signInApplication = { clientId: randomUUID(), clientSecret: 'the secret of sign-in' };
  simulator.options.appRoles = { 'apps@vendor.example': ['Ops.Read'], 'user@vendor.example': ['Ops.Act', opsRole] };
  const { AZURE_CLIENT_SECRET: _, ...variables } = simulator.environment();
  const environment = readEnvironment({
    ...variables,
    DATABASE_URL: world.url,
    ENTRA_SYNC_SIGN_IN_CLIENT_ID: simulator.options.signInApplication.clientId,
    ENTRA_SYNC_SIGN_IN_CLIENT_SECRET: simulator.options.signInApplication.clientSecret,
  });
  proxy = await startHttpsProxy();
  closers.push(() => proxy.close());
  url = `${proxy.origin}/sync`;
  const { log, text } = bufferLog();
  readLog = text;
  const { signIn, ownRegistration } = openSignIn(environment, url + enteredPath);
  expect(ownRegistration).toBe(true);
  startReplica = async () => {
    const languages = await readWebLanguages();
    const entrance = signInEntrance({
      ...{ database, signIn, url, log, languages, opsTenant: vendor.tenantId },
      onSignIn: () => {},
    });
    const part = pagesPart({
      ...{ database, log, url, entrance, cookie: '__Host-entra-sync-session', pages: [me, save], frame: consoleFrame },
      languages,
      start: () => '/test/me',
    });
    const port = await freePort('127.0.0.1');
    const trustedProxies = readTrustedProxies({ ENTRA_SYNC_TRUSTED_PROXIES: '127.0.0.0/8, ::1' });
    const ready = async () => {};
    const server = await serveWeb({ url, host: '127.0.0.1', port, log, parts: [part], trustedProxies, ready });
    proxy.forwardTo(port);
    return server;
  };
  const first = await startReplica();
  closers.push(() => first.close());
});

afterAll(async () => {
  for (const name of ['GET /test/me', 'POST /test/me']) delete (access as Record<string, unknown>)[name];
  for (const close of closers.reverse()) await close();
});

let tests = 0;

beforeEach(async () => {
  // The number of sign-ins of one address is limited.
  tests += 1;
  proxy.comeFrom(`203.0.113.${tests}`);
  world.simulator.options.idTokenClaims = {};
  world.simulator.options.userConsent = true;
  const clear = "select set_config('entra_sync.audit_upkeep', 'on', false)";
  await ask(world, clear);
  await ask(world, 'truncate entra_sync.audit');
});

/** Goes from our address to the picker of Entra ID, and picks an account: one that is shown, or any user of a tenant. */
async function signIn(browser: Browser, principal: string, path = '/'): Promise<Shown> {
  return browser.open(await back(browser, principal, path));
}

/** Picks an account, and returns the address that Entra ID sends the browser back to. */
async function back(browser: Browser, principal: string, path = '/'): Promise<string> {
  // Else Entra ID would take the account that is signed in there.
  browser.cookies.delete(`${new URL(world.simulator.origin).host} simulated-account`);
  const picker = await browser.open(url + path);
  const answer = await browser.ask(`${picker.url}&account=${encodeURIComponent(principal)}`);
  return answer.headers.get('location') ?? expect.unreachable(answer.text);
}

const viewerOn = (shown: Shown) => {
  const [, json = ''] = /<pre>(.*)<\/pre>/.exec(shown.text) ?? [];
  if (json === '') expect.unreachable(`no viewer on ${shown.status} ${shown.url} ${shown.text}`);
  return JSON.parse(json.replaceAll('&quot;', '"'));
};
const sessionOf = (browser: Browser) =>
  [...browser.cookies].find(([name]) => name.endsWith('__Host-entra-sync-session'))?.[1];
const auditOf = () =>
  ask<{ act: string; actor: string; tenant_id: string | null; detail: object }>(
    world,
    'select act, actor, tenant_id, detail from directory.audit order by audit_id',
  );
const userNames = () => world.tenant.users().map(({ properties }) => String(properties.userPrincipalName));

describe('rule 46: people who come in', () => {
  test('a user, as the account of the object id, and nothing more', async () => {
    const [principal = ''] = userNames();
    const browser = openBrowser();
    const viewer = viewerOn(await signIn(browser, principal));
    expect(viewer).toMatchObject({ roles: ['user'], tenantId: world.tenant.tenantId });
    const [account] = await ask<{ account_id: string }>(
      world,
      'select account_id from directory.accounts where user_principal_name = :principal',
      { principal },
    );
    expect(viewer).toMatchObject({ accountId: account?.account_id, actor: `account:${account?.account_id}` });
    expect(await auditOf()).toMatchObject([{ act: 'sign_in', actor: viewer.actor, detail: { roles: ['user'] } }]);
  });

  test.each([
    ['Global Administrator', 'admin@contoso.example', {}, ['admin', 'reader']],
    ['Privileged Role Administrator', 'roles@contoso.example', {}, ['admin', 'reader']],
    [
      'User Administrator',
      'user@contoso.example',
      { wids: ['FE930BE7-5e62-47db-91af-98c3a49a38b1'] },
      ['admin', 'reader'],
    ],
    ['Global Reader', 'user@contoso.example', { wids: ['f2ef992c-3afb-46b9-b7cf-a126ee74c451'] }, ['reader']],
    ['Security Reader', 'user@contoso.example', { wids: ['5d6b6bb7-de71-4623-b4af-96380a352509'] }, ['reader']],
  ])('a %s without an account, of the own tenant alone', async (_words, principal, claims, roles) => {
    world.simulator.options.idTokenClaims = claims;
    const viewer = viewerOn(await signIn(openBrowser(), principal));
    expect(viewer).toMatchObject({ roles, tenantId: world.tenant.tenantId, accountId: null });
    expect(viewer.actor).toMatch(new RegExp(`^entra:${world.tenant.tenantId}/[0-9a-f-]{36}$`));
  });

  test('a member of a group that the tenant’s settings name; of no group that is open to all', async () => {
    const { tenant } = world;
    const [, , , person] = tenant.users();
    const principal = String(person?.properties.userPrincipalName);
    const folder = await temporaryDirectory((remove) => void closers.push(remove));
    const set = async (name: string) => {
      const file = join(folder, 'settings.yaml');
      await writeFile(file, `admins: { groups: ["${name}"] }\n`);
      return runCli(['tenant', 'set', 'Contoso', file], { ...world.simulator.environment(), DATABASE_URL: world.url });
    };
    for (const visibility of ['Private', 'Public']) {
      const id = tenant.createGroup({ displayName: `${visibility} admins`, groupTypes: ['Unified'], visibility });
      tenant.addMember(id, person?.id ?? '');
    }
    await world.cycle();
    expectOneLine(await set('Public admins'), 2, /1 group cannot give a role in the web/);
    expect((await set('Private admins')).code).toBe(0);
    const browser = openBrowser();
    expect(viewerOn(await signIn(browser, principal)).roles).toEqual(['admin', 'reader', 'user']);
    // As the last cycle read it, at the next request.
    const group = tenant.groups().find(({ properties }) => properties.displayName === 'Private admins');
    tenant.updateGroup(group?.id ?? '', { visibility: 'Public' });
    await world.cycle();
    expect(viewerOn(await browser.open(`${url}/test/me`)).roles).toEqual(['user']);
  });

  test.each([
    ['Ops.Read', 'apps@vendor.example', ['ops_read']],
    ['Ops.Act', 'user@vendor.example', ['ops_act', 'ops_read']],
  ])('the vendor’s people with %s', async (_words, principal, roles) => {
    expect(viewerOn(await signIn(openBrowser(), principal))).toMatchObject({ roles, accountId: null });
  });

  test('the same application role of another tenant makes no ops', async () => {
    world.simulator.options.idTokenClaims = { roles: ['Ops.Act'] };
    expect(viewerOn(await signIn(openBrowser(), 'admin@contoso.example')).roles).toEqual(['admin', 'reader']);
    const shown = await signIn(openBrowser(), 'admin@stranger.example');
    expect([shown.status, /not connected/.test(shown.text)]).toEqual([403, true]);
  });

  test('to the page that was asked for, and nowhere else', async () => {
    const browser = openBrowser();
    const shown = await signIn(browser, 'user@vendor.example', '/test/me?x=1');
    expect(shown.url).toBe(`${url}/test/me?x=1`);
    const search = '/test/me?q=M%C3%BCller%20%26%20Co';
    expect((await signIn(openBrowser(), 'user@vendor.example', search)).url).toBe(url + search);
    for (const to of [
      'https://evil.example/',
      '//evil.example/',
      '/\\evil.example',
      '/a\nb',
      `/${'a'.repeat(3_000)}`,
    ]) {
      const landed = await signIn(openBrowser(), 'user@vendor.example', `/enter?${new URLSearchParams({ to })}`);
      expect(landed.url).toBe(`${url}/test/me`);
    }
  });

  test('a disconnected tenant’s people still do: the accounts keep their object ids', async () => {
    const other = stranger.tenantId;
    const { database, simulator } = world;
    await addTenant(database, { tenantId: other, name: 'Stranger', ref: null }, loadDefaults());
    const principal = 'admin@stranger.example';
    const browser = openBrowser();
    expect(viewerOn(await signIn(browser, principal)).roles).toEqual(['admin', 'reader']);
    await disconnectTenant(database, other, { actor: 'test', dryRun: false });
    const again = await browser.ask(`${url}/test/me`);
    expect([again.status, again.headers.get('location')]).toEqual([303, '/sync/enter?to=%2Ftest%2Fme']);
    expect(viewerOn(await signIn(browser, principal)).roles).toEqual(['admin', 'reader']);
    await ask(world, 'delete from entra_sync.tenants where tenant_id = :other', { other });
    expect(simulator.requests.length).toBeGreaterThan(0);
  });
});

describe('refusals', () => {
  const refused = async (principal: string) => {
    const browser = openBrowser();
    const shown = await signIn(browser, principal);
    expect(sessionOf(browser)).toBeUndefined();
    return { status: shown.status, title: /<h1>(.*?)<\/h1>/.exec(shown.text)?.[1], shown };
  };
  const why = async () => (await auditOf()).map(({ act, detail, tenant_id }) => [act, detail, tenant_id]);

  test('people of an organization that is not connected', async () => {
    expect(await refused('admin@stranger.example')).toMatchObject({
      status: 403,
      title: 'Your organization is not connected',
    });
    // Its id names no tenant here.
    expect(await why()).toEqual([['sign_in.refused', { why: 'tenant_unknown' }, null]]);
  });

  test('a personal account', async () => {
    expect(await refused('personal@outlook.example')).toMatchObject({ status: 403, title: 'A personal account' });
    expect(await why()).toEqual([['sign_in.refused', { why: 'personal' }, null]]);
  });

  test.each([
    ['by the optional claim', { acct: 1 }],
    ['by the provider of the identity', { idp: `https://sts.windows.net/${randomUUID()}/` }],
  ])('a guest, told %s', async (_words, claims) => {
    world.simulator.options.idTokenClaims = claims;
    expect(await refused('admin@contoso.example')).toMatchObject({
      status: 403,
      title: 'A guest of this organization',
    });
    expect(await why()).toEqual([['sign_in.refused', { why: 'guest' }, world.tenant.tenantId]]);
  });

  test('a person who is not copied', async () => {
    expect(await refused('user@contoso.example')).toMatchObject({ status: 403, title: 'There is no account of yours' });
  });

  test.each([
    ['suspended', 'enabled = false', 'Your account is disabled'],
    ['removed', "removed_at = now(), removed_reason = 'deleted', purge_at = now()", 'Your account is removed'],
  ])('a %s account, before and after the sign-in', async (word, change, title) => {
    const principal = userNames()[word === 'removed' ? 1 : 2] ?? '';
    const browser = openBrowser();
    expect(viewerOn(await signIn(browser, principal)).roles).toEqual(['user']);
    await ask(world, `update entra_sync.accounts set ${change} where user_principal_name = :principal`, { principal });
    expect((await browser.ask(`${url}/test/me`)).status).toBe(303);
    expect(await refused(principal)).toMatchObject({ status: 403, title });
  });

  test('a sign-in that was cancelled', async () => {
    const browser = openBrowser();
    const picker = await browser.open(`${url}/`);
    const shown = await browser.open(`${picker.url}&cancel=cancel`);
    expect([shown.status, /You did not sign in/.test(shown.text)]).toEqual([403, true]);
  });

  test('an answer to a sign-in that this browser has not begun tells doctor nothing', async () => {
    for (const more of ['', `&state=${'a'.repeat(43)}`]) {
      const answer = await openBrowser().ask(`${url}/entered?error=consent_required${more}`);
      expect(answer.status).toBe(400);
    }
    expect(await ask(world, 'select from entra_sync.sign_in_addresses where consent_code is not null')).toEqual([]);
  });

  test('people of an organization that lets only an administrator allow it, until one does', async () => {
    const { options } = world.simulator;
    options.userConsent = false;
    const principal = userNames()[3] ?? '';
    const browser = openBrowser();
    const picker = await browser.open(`${url}/`);
    const asked = await browser.open(`${picker.url}&account=${encodeURIComponent(principal)}`);
    expect(asked.text).toContain('Need admin approval');
    const told = await browser.open(`${asked.url}&decision=cancel`);
    expect([told.status, /<h1>(.*?)<\/h1>/.exec(told.text)?.[1]]).toEqual([
      403,
      'Your administrator has to allow this first',
    ]);
    expect(
      await ask(
        world,
        'select redirect_uri, consent_code, worked_at is null as never from entra_sync.sign_in_addresses where consent_code is not null',
      ),
    ).toEqual([{ redirect_uri: `${url}/entered`, consent_code: 'AADSTS90094', never: expect.any(Boolean) }]);
    const address = (/<code>([^<]*adminconsent[^<]*)</.exec(told.text)?.[1] ?? '').replaceAll('&amp;', '&');
    // A scope of its own could take away what was granted before.
    expect(new URL(address).searchParams.get('scope')).toMatch(/\/\.default$/);
    const administrator = openBrowser();
    const offered = await administrator.open(`${address}&account=admin@contoso.example`);
    expect(offered.text).toContain('<li>openid</li><li>profile</li>');
    // Back from there the administrator, who had begun no sign-in, is led to one.
    const again = await administrator.open(`${offered.url}&decision=accept`);
    expect(viewerOn(await administrator.open(`${again.url}&account=admin@contoso.example`)).roles).toEqual([
      'admin',
      'reader',
    ]);
    expect(viewerOn(await signIn(openBrowser(), principal)).tenantId).toBe(world.tenant.tenantId);
    const declined = await openBrowser().open(`${url}/entered?admin_consent=True&error=access_denied&state=allowed`);
    expect([declined.status, /You did not sign in/.test(declined.text)]).toEqual([403, true]);
  });

  test('a sign-in whose code is refused for lack of consent is told as such', async () => {
    const browser = openBrowser();
    const address = await back(browser, 'admin@contoso.example');
    const body = {
      error: 'invalid_grant',
      error_description: 'AADSTS65001: The user or administrator has not consented.',
    };
    const end = world.simulator.intercept(({ url: at }) => (at.includes('/token') ? { status: 400, body } : undefined));
    const shown = await browser.open(address);
    end();
    expect([shown.status, /has to allow this first/.test(shown.text)]).toEqual([403, true]);
  });

  test('in German, by Accept-Language and by ?lang', async () => {
    const browser = openBrowser('de-AT,en;q=0.5');
    const shown = await signIn(browser, 'admin@stranger.example');
    expect(shown.text).toContain('<html lang="de">');
    expect(shown.text).toContain('Ihre Organisation ist nicht verbunden');
    expect((await openBrowser().ask(`${url}/left?lang=de`)).text).toContain('Abgemeldet');
  });

  test('while Microsoft does not answer', async () => {
    const browser = openBrowser();
    const address = await back(browser, 'admin@contoso.example');
    const end = world.simulator.intercept(({ url: at }) => (at.includes('/token') ? { status: 503 } : undefined));
    const shown = await browser.open(address);
    end();
    expect([shown.status, /does not answer/.test(shown.text)]).toEqual([503, true]);
  });
});

describe('an attacker', () => {
  const invalid = async (browser: Browser, address: string, status = 403) => {
    const shown = await browser.open(address);
    expect([shown.status, sessionOf(browser)]).toEqual([status, undefined]);
    expect(await auditOf()).toEqual([]);
    return shown;
  };
  /** Signs tokens anew, or not at all, on their way from the token endpoint. */
  const forge = (make: (claims: Record<string, unknown>) => Promise<string> | string) => {
    let forged = '';
    return {
      prepare: async (claims: Record<string, unknown>) => {
        forged = await make(claims);
      },
      begin: () =>
        world.simulator.transform(({ url: at }, body) =>
          at.includes('/token') && 'id_token' in (body as object) ? { ...(body as object), id_token: forged } : body,
        ),
    };
  };

  const past = Math.floor(Date.now() / 1000) - 7_200;
  test.each([
    ['a nonce of another sign-in', { nonce: randomUUID() }],
    ['no nonce', { nonce: undefined }],
    ['another audience', { aud: randomUUID() }],
    ['another issuer', { iss: 'https://evil.example/v2.0' }],
    ['the issuer of another tenant', { tid: vendor.tenantId }],
    ['no tenant', { tid: undefined }],
    ['no person', { oid: undefined }],
    ['an end that is past', { exp: past, iat: past - 3_600, nbf: past - 3_600 }],
    ['no end', { exp: undefined }],
    ['a beginning to come', { nbf: past + 14_400 }],
  ])('with %s in a token comes not in', async (_words, claims) => {
    world.simulator.options.idTokenClaims = claims;
    const browser = openBrowser();
    const shown = await invalid(browser, await back(browser, 'admin@contoso.example'));
    expect(shown.text).toContain('The sign-in failed');
  });

  const claimsOf = async (browser: Browser) => {
    // A whole sign-in of another browser shows the claims; the nonce is that of this one.
    let seen: Record<string, unknown> = {};
    const end = world.simulator.transform((_request, body) => {
      const { id_token: token } = body as { id_token?: string };
      if (token) seen = decodeJwt(token);
      return body;
    });
    await signIn(openBrowser(), 'admin@contoso.example');
    end();
    const address = await back(browser, 'admin@contoso.example');
    const picked = world.simulator.requests.map(({ path }) => path).findLast((path) => path.includes('/authorize?'));
    await ask(world, 'truncate entra_sync.audit');
    return { address, claims: { ...seen, nonce: new URL(`https://x${picked}`).searchParams.get('nonce') } };
  };

  test.each([
    ['an unsigned token', (claims: Record<string, unknown>) => new UnsecuredJWT(claims).encode()],
    [
      'a token of another key',
      (claims: Record<string, unknown>) =>
        new SignJWT(claims)
          .setProtectedHeader({ alg: 'RS256', kid: 'x' })
          .sign(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
    ],
    [
      'a token that a shared secret signs',
      (claims: Record<string, unknown>) =>
        new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from('the secret of sign-in'.padEnd(32))),
    ],
  ])('with %s comes not in', async (_words, make) => {
    const browser = openBrowser();
    const { address, claims } = await claimsOf(browser);
    const { prepare, begin } = forge(make);
    await prepare(claims);
    const end = begin();
    await invalid(browser, address);
    end();
  });

  test('with the same claims in a good token would: the forged ones fail for their signature', async () => {
    const browser = openBrowser();
    const { address } = await claimsOf(browser);
    expect(viewerOn(await browser.open(address)).roles).toEqual(['admin', 'reader']);
  });

  test('with the state of another sign-in, or of another browser, or none, comes not in', async () => {
    const browser = openBrowser();
    const address = new URL(await back(browser, 'admin@contoso.example'));
    const other = openBrowser();
    await back(other, 'admin@contoso.example');
    // The browser that began nothing, and the one that began another sign-in.
    await invalid(openBrowser(), address.href, 400);
    await invalid(other, address.href, 400);
    for (const state of ['x', '', `${address.searchParams.get('state')}x`]) {
      const wrong = new URL(address);
      wrong.searchParams.set('state', state);
      const mine = openBrowser();
      for (const [name, value] of browser.cookies) mine.cookies.set(name, value);
      await invalid(mine, wrong.href, 400);
    }
    // The sign-in itself was good all the time.
    expect(viewerOn(await browser.open(address.href)).roles).toEqual(['admin', 'reader']);
  });

  test('with a cookie of the sign-in that is changed comes not in', async () => {
    const browser = openBrowser();
    const address = await back(browser, 'admin@contoso.example');
    const [name = '', value = ''] = [...browser.cookies].find(([one]) => one.includes('-entering-')) ?? [];
    const [facts = '', ...rest] = value.split('.');
    const changed = Buffer.from(facts, 'base64url').toString().replace('"to":"/"', '"to":"/x"');
    browser.cookies.set(name, [Buffer.from(changed).toString('base64url'), ...rest].join('.'));
    await invalid(browser, address, 400);
  });

  test('with a code that was used before comes not in, even with all cookies of then', async () => {
    const browser = openBrowser();
    const address = await back(browser, 'admin@contoso.example');
    const cookies = new Map(browser.cookies);
    expect(viewerOn(await browser.open(address)).roles).toEqual(['admin', 'reader']);
    // The browser's own cookie is gone; the back button leads on, in the same session.
    const session = sessionOf(browser);
    expect((await browser.open(address)).url).toBe(`${url}/test/me`);
    expect(sessionOf(browser)).toBe(session);
    browser.cookies.delete(`${new URL(url).host} __Host-entra-sync-session`);
    expect((await browser.open(address)).status).toBe(400);
    const thief = openBrowser();
    for (const [name, one] of cookies) thief.cookies.set(name, one);
    const shown = await thief.open(address);
    expect([shown.status, sessionOf(thief)]).toEqual([403, undefined]);
  });

  test('with the code of another application comes not in', async () => {
    const browser = openBrowser();
    const address = await back(browser, 'admin@contoso.example');
    const own = world.simulator.options.signInApplication;
    const end = world.simulator.transform((_request, body) => body);
    world.simulator.options.signInApplication = null;
    const shown = await browser.open(address);
    world.simulator.options.signInApplication = own;
    end();
    expect([shown.status, sessionOf(browser)]).toEqual([403, undefined]);
  });

  test('with a cookie that was fixed beforehand there is no session: each sign-in makes a new one', async () => {
    const browser = openBrowser();
    const fixed = 'f'.repeat(43);
    const { host } = new URL(url);
    browser.cookies.set(`${host} __Host-entra-sync-session`, fixed);
    await signIn(browser, 'admin@contoso.example');
    const first = sessionOf(browser);
    expect(first).toMatch(/^[\w-]{43}$/);
    expect(first).not.toBe(fixed);
    await signIn(browser, 'admin@contoso.example', '/enter');
    expect(sessionOf(browser)).not.toBe(first);
  });
});

test('the cookie is of this host alone, over TLS, out of reach of scripts; the address has its path', async () => {
  const browser = openBrowser();
  const entered = await browser.ask(await back(browser, 'user@vendor.example'));
  const cookies = entered.headers.getSetCookie();
  expect(cookies.find((one) => one.startsWith('__Host-entra-sync-session='))).toMatch(
    /^__Host-entra-sync-session=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
  );
  expect(cookies.find((one) => one.startsWith('__Host-entra-sync-entering-'))).toMatch(/Expires=Thu, 01 Jan 1970/);
  expect(entered.headers.get('location')).toBe('/sync/');
  expect(entered.headers.get('strict-transport-security')).toContain('max-age');
});

test('asks Microsoft for who it is and nothing else, with PKCE, nonce and state', async () => {
  const browser = openBrowser();
  const { url: picker } = await browser.open(`${url}/enter?other=1`);
  const query = new URL(picker).searchParams;
  expect(query.get('scope')).toBe('openid profile');
  expect(query.get('client_id')).toBe(world.simulator.options.signInApplication?.clientId);
  expect([query.get('code_challenge_method'), query.get('prompt')]).toEqual(['S256', 'select_account']);
  for (const name of ['nonce', 'state', 'code_challenge']) expect(query.get(name)?.length).toBeGreaterThan(20);
  expect(new URL((await browser.open(`${url}/enter`)).url).searchParams.get('prompt')).toBeNull();
});

test('an account that is signed in at Microsoft comes in without asking, unless another is wanted', async () => {
  const browser = openBrowser();
  await signIn(browser, 'user@vendor.example');
  await ask(world, 'delete from entra_sync.sessions');
  expect(viewerOn(await browser.open(`${url}/`)).roles).toEqual(['ops_act', 'ops_read']);
  expect((await browser.open(`${url}/enter?other=1`)).text).toContain('Pick an account');
});

test('a replica that ends between two requests goes unnoticed: another goes on with the sign-in and the session', async () => {
  const browser = openBrowser();
  const second = await startReplica();
  const address = await back(browser, 'user@vendor.example');
  await second.close();
  const third = await startReplica();
  closers.push(() => third.close());
  const shown = await browser.open(address);
  expect(viewerOn(shown).roles).toEqual(['ops_act', 'ops_read']);
  const fourth = await startReplica();
  closers.push(() => fourth.close());
  // The token of the form is of the session, not of the process.
  expect((await browser.press(shown, 'Sign out')).url).toBe(`${url}/left`);
});

test('sign-ins that go on at long addresses leave room in the header for the next request', async () => {
  const browser = openBrowser();
  const to = `/console/find?q=${'x'.repeat(1_950)}`;
  const begin = () => browser.ask(`${url}/enter?${new URLSearchParams({ to })}`);
  const statuses: number[] = [];
  for (let n = 0; n < 8; n += 1) statuses.push((await begin()).status);
  expect(new Set(statuses)).toEqual(new Set([303]));
});

test('two tabs that begin a sign-in at the same time both come in, and those that were given up do not pile up', async () => {
  const browser = openBrowser();
  const [one, other] = [
    await back(browser, 'admin@contoso.example', '/test/me?tab=1'),
    await back(browser, 'admin@contoso.example'),
  ];
  expect((await browser.open(one)).url).toBe(`${url}/test/me?tab=1`);
  expect(viewerOn(await browser.open(other)).roles).toEqual(['admin', 'reader']);
  const begun = () =>
    [...browser.cookies].filter(([name, value]) => name.includes('-entering-') && value !== '').length;
  for (let turn = 0; turn < 10; turn += 1) await browser.ask(`${url}/enter`);
  expect(begun()).toBeLessThan(8);
});

test('signing out ends the session, says so, and does not sign in again by itself', async () => {
  const browser = openBrowser();
  const shown = await signIn(browser, 'user@vendor.example');
  const left = await browser.press(shown, 'Sign out');
  expect([left.status, left.url]).toEqual([200, `${url}/left`]);
  expect((await browser.ask(`${url}/test/me`)).status).toBe(303);
  // Not without the question for the account, until the next sign-in.
  expect((await browser.open(`${url}/test/me`)).text).toContain('Pick an account');
  await signIn(browser, 'user@vendor.example');
  await ask(world, 'delete from entra_sync.sessions');
  expect(viewerOn(await browser.open(`${url}/test/me`)).roles).toEqual(['ops_act', 'ops_read']);
  expect((await auditOf()).map(({ act }) => act)).toEqual(['sign_in', 'sign_out', 'sign_in', 'sign_in']);
});

test('a form that comes after the end of its session is there again after the sign-in, and was not sent', async () => {
  const browser = openBrowser();
  const principal = 'user@vendor.example';
  const token = /<i>(.*)<\/i>/.exec((await signIn(browser, principal)).text)?.[1] ?? '';
  const [, of = ''] = /<b>(.*)<\/b>/.exec((await browser.open(`${url}/test/me`)).text) ?? [];
  await ask(world, 'delete from entra_sync.sessions');
  const send = (text: string) =>
    browser.ask(`${url}/test/me`, {
      method: 'POST',
      headers: { 'sec-fetch-site': 'same-origin' },
      body: new URLSearchParams({ _token: token, _of: of, text }),
    });
  const ended = await send('what I <typed>');
  expect([ended.status, /Your session has ended/.test(ended.text)]).toEqual([401, true]);
  const again = /class="button" href="([^"]*)"/.exec(ended.text)?.[1]?.replaceAll('&amp;', '&') ?? '';
  const shown = await signIn(browser, principal, again.slice('/sync'.length));
  expect(shown.text).toContain('typed what I &lt;typed&gt;');
  expect(shown.text).toContain('Your session had ended.');
  expect((await auditOf()).filter(({ act }) => act === 'test.saved')).toEqual([]);
  // Once shown it is gone.
  expect((await browser.open(`${url}/test/me`)).text).toContain('typed nothing');
  await ask(world, 'delete from entra_sync.sessions');
  // A form that no cookie holds stays in its page, from which it comes back.
  const large = `<${'x'.repeat(9_000)}`;
  const held = await send(large);
  expect([held.status, held.headers.getSetCookie().filter((one) => one.includes('-form='))]).toEqual([401, []]);
  const inputs = [...held.text.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g)];
  const typed = inputs.map(([, name = '', value = '']): [string, string] => [name, value.replaceAll('&lt;', '<')]);
  expect(held.text).toContain('<form method="post" action="/sync/test/me">');
  await signIn(browser, principal);
  const comeBack = () =>
    browser.ask(`${url}/test/me`, {
      method: 'POST',
      headers: { 'sec-fetch-site': 'same-origin' },
      body: new URLSearchParams(typed),
    });
  const back = await comeBack();
  expect([back.status, back.text.includes(`typed &lt;${large.slice(1)}`)]).toEqual([422, true]);
  expect(back.text).toContain('Your session had ended.');
  expect(
    (await auditOf()).filter(({ act, detail }) => act === 'test.saved' && JSON.stringify(detail).includes('done')),
  ).toEqual([]);
});

test('without a session the way back from a form is a page, and never the address of an act', async () => {
  const post = async (path: string, form: Record<string, string> = {}) => {
    const init = { method: 'POST', headers: { 'sec-fetch-site': 'same-origin' }, body: new URLSearchParams(form) };
    const { status, headers, text } = await openBrowser().ask(url + path, init);
    const again = /class="button" href="([^"]*)"/.exec(text)?.[1]?.replaceAll('&amp;', '&');
    return [status, headers.get('location') ?? again];
  };
  const tenant = `/console/t/${randomUUID()}`;
  expect(await post('/leave')).toEqual([303, '/sync/left']);
  const enter = (to: string) => `/sync/enter?${new URLSearchParams({ to })}`;
  expect(await post(`${tenant}/reason`, { to: `${tenant}/people` })).toEqual([401, enter(`${tenant}/people`)]);
  expect(await post(`${tenant}/reason`, { to: '/leave' })).toEqual([401, enter(tenant)]);
  expect(await post('/console/t/x/reason')).toEqual([401, '/sync/enter?']);
});

test('the page that says that a person has signed out leads one who has not to the start', async () => {
  const browser = openBrowser();
  await signIn(browser, 'user@vendor.example');
  expect((await browser.open(`${url}/left`)).url).toBe(`${url}/test/me`);
  expect(viewerOn(await browser.open(`${url}/test/me`)).roles).toEqual(['ops_act', 'ops_read']);
  expect((await openBrowser().ask(`${url}/left`)).status).toBe(200);
});

test('an address that signs in too often is told to wait, whatever it says of itself, and no other', async () => {
  const enter = (more: Record<string, string> = {}) => openBrowser().ask(`${url}/enter`, { headers: more });
  let forged = 0;
  const statuses = new Set<number>();
  for (let asked = 0; asked < 40; asked += 1) {
    forged += 1;
    statuses.add((await enter({ 'x-forwarded-for': `198.51.100.${forged}` })).status);
  }
  expect([...statuses]).toEqual([303, 429]);
  expect((await enter()).headers.get('retry-after')).toMatch(/^\d+$/);
  proxy.comeFrom('203.0.113.250');
  expect((await enter()).status).toBe(303);
});

test('rule 18: neither code, cookie, token nor name is in the log', async () => {
  const browser = openBrowser();
  const address = await back(browser, 'admin@contoso.example');
  await browser.open(address);
  const secrets = [new URL(address).searchParams.get('code') ?? '', new URL(address).searchParams.get('state') ?? ''];
  secrets.push(...[...browser.cookies.values()], 'the secret of sign-in', 'admin@contoso', 'Global Administrator');
  const text = readLog();
  expect(text).toContain('"route":"/sync/entered"');
  for (const secret of secrets.filter((one) => one !== '')) expect(text).not.toContain(secret);
});
