// A consent cannot be stolen: id tokens without roles, a person without a role who starts before the consent, and the
// real administrator. Each test is an attack, or a view or decision of the vendor.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeRegistration } from '../../../src/engine/registration.ts';
import type { Tenant } from '../../../src/simulator/index.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { readRegistration } from '../../../src/store/tenants/registrations.ts';
import { listWaiting } from '../../../src/store/tenants/waiting-consents.ts';
import { expectOneLine, runCli, startCli } from '../../support/cli.ts';
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
import { freePort } from '../../support/free-port.ts';

let world: ConsentWorld;

beforeAll(async () => {
  world = await openConsentWorld({ tenants: 20 });
});
afterAll(() => world.close());

/** Forges the redirect that claims consent. */
async function forge(browser: Browser, offer: Shown): Promise<Shown> {
  const asked = new URL(await browser.leave(offer, 'Continue to consent'));
  return browser.open(`${world.url}/callback?admin_consent=True&state=${asked.searchParams.get('state')}`);
}

const cli = (...args: string[]) => runCli(args, world.environment);
const rowOf = async ({ tenantId }: Tenant) => (await world.registered()).find((one) => one.tenant_id === tenantId);
const askedBy = async ({ tenantId }: Tenant) =>
  (await listWaiting(world.database, tenantId)).map((one) => one.external_ref);
const stepsOf = (tenant: Tenant) =>
  rows<{ step: string; tries: number; expires_at: Date }>(
    world.database,
    'select step, tries, expires_at from entra_sync.consent_steps where tenant_id = ?',
    [tenant.tenantId],
  );

/** Signs in a person without a role, who then claims consent. */
async function lie(tenant: Tenant, ref: string): Promise<{ browser: Browser; shown: Shown }> {
  const browser = openBrowser();
  const offer = await signInAs(browser, await world.invite(ref), principalOf(tenant, 'user'));
  return { browser, shown: await forge(browser, offer) };
}

async function consentAs(tenant: Tenant, ref: string): Promise<Shown> {
  const browser = openBrowser();
  return browser.choose(await toConsent(browser, await world.invite(ref), principalOf(tenant)), 'accept');
}

test('the race: a person without a role checks again until the real consent, and the tenant is not connected before the vendor approves', async () => {
  const tenant = world.nextTenant();
  const { browser, shown } = await lie(tenant, 'thief-1');
  expect([shown.status, /The consent does not work yet/.test(shown.text)]).toEqual([409, true]);
  const [early, owners] = await Promise.all([browser.press(shown, 'Check again'), consentAs(tenant, 'owner-1')]);
  const thiefs = early.status === 202 ? early : await browser.press(early, 'Check again');
  for (const page of [owners, thiefs]) {
    expect([page.status, /now confirms/.test(page.text)]).toEqual([202, true]);
    expect(page.text).not.toContain('is connected');
  }
  expect(await rowOf(tenant)).toBeUndefined();
  expect((await askedBy(tenant)).sort()).toEqual(['owner-1', 'thief-1']);
  // The tenant is not read.
  for (const args of [
    ['sync', tenant.tenantId],
    ['sync', 'owner-1'],
    ['status', tenant.tenantId],
  ]) {
    expectOneLine(await cli(...args), 3, /waits for your approval .*"(owner|thief)-1".* -> entra-sync tenant approve/);
  }
  const status = await cli('status');
  expect(status.stdout).toMatch(
    new RegExp(
      `${tenant.tenantId}: waits for your approval.*(owner|thief)-1 \\(since .*(owner|thief)-1.* -> entra-sync tenant approve ${tenant.tenantId} --ref REF`,
    ),
  );
  expectOneLine(await cli('tenant', 'approve', tenant.tenantId), 2, /2 references ask/);
  const approved = await cli('tenant', 'approve', tenant.tenantId, '--ref', 'owner-1', '--actor', 'mary');
  expect(approved.stdout).toMatch(
    /is connected for owner-1, and due now, but no worker has ever been seen -> entra-sync worker\nDropped: thief-1 asked/,
  );
  const again = expectOneLine(await cli('tenant', 'approve', 'owner-1'), 2, /is connected for "owner-1" already -> /);
  expect(again).toContain(tenant.tenantId);
  expect(await rowOf(tenant)).toMatchObject({ status: 'active', external_ref: 'owner-1' });
  const refused = await signInAs(openBrowser(), await world.invite('thief-1'), principalOf(tenant, 'user'));
  expect([refused.status, /belongs to another customer/.test(refused.text)]).toEqual([409, true]);
  const expired = `insert into entra_sync.waiting_consents (invitation_id, tenant_id, admin_object_id, expires_at)
    select invitation_id, gen_random_uuid(), gen_random_uuid(), now() from entra_sync.invitations where external_ref = 'thief-1' limit 1`;
  await world.database.raw(expired);
  const synced = await cli('sync', tenant.tenantId);
  expect(synced.code, synced.stderr).toBe(0);
  // A cycle of any tenant deletes expired consents.
  expect(await rows(world.database, 'select 1 from entra_sync.waiting_consents where expires_at < now()')).toEqual([]);
});

test.each(['before the person signed in', 'after the person signed in'])(
  'a consent that was given elsewhere, %s, waits for the vendor, regardless of the user that signs in',
  async (when) => {
    const tenant = world.nextTenant();
    if (when.startsWith('before')) world.simulator.consents.grant(tenant.tenantId);
    const thief = openBrowser();
    const offer = await signInAs(thief, await world.invite('thief-2'), principalOf(tenant, 'user'));
    expect(offer.text).toMatch(/After your consent, Example &lt;Signatures&gt; confirms that this tenant belongs to/);
    world.simulator.consents.grant(tenant.tenantId);
    expect((await forge(thief, offer)).status).toBe(202);
    expect((await consentAs(tenant, 'owner-2')).status).toBe(202);
    expect([await rowOf(tenant), await askedBy(tenant)]).toEqual([undefined, ['thief-2', 'owner-2']]);
  },
);

test.runIf(isDeep)('a tenant that the vendor named is connected at once, even while others ask for it', async () => {
  const tenant = world.nextTenant();
  world.simulator.consents.grant(tenant.tenantId);
  const { shown } = await lie(tenant, 'thief-3');
  expect(shown.status).toBe(202);
  const printed = await cli('connect', '--print-url', '--ref', 'owner-3', '--tenant', tenant.tenantId);
  expect(await askedBy(tenant)).toEqual([]);
  const browser = openBrowser();
  const offer = await signInAs(browser, printed.stdout.trim(), principalOf(tenant));
  expect(offer.text).not.toContain('After your consent');
  const connected = await browser.choose(await browser.press(offer, 'Continue to consent'), 'accept');
  expect([connected.status, await rowOf(tenant)]).toEqual([
    200,
    expect.objectContaining({ status: 'active', external_ref: 'owner-3' }),
  ]);
});

test.runIf(isDeep)('a rejected consent is reported, and a new attempt needs a new invitation', async () => {
  const tenant = world.nextTenant();
  world.simulator.consents.grant(tenant.tenantId);
  const browser = openBrowser();
  const invitation = await world.invite('thief-4');
  await forge(browser, await signInAs(browser, invitation, principalOf(tenant, 'user')));
  const rejected = await cli('tenant', 'reject', tenant.tenantId, '--ref', 'thief-4');
  expect(rejected.stdout).toMatch(/thief-4 does not get tenant .*: 1 invitation withdrawn/);
  const again = await browser.open(invitation);
  expect([again.status, /was withdrawn/.test(again.text)]).toEqual([410, true]);
  expectOneLine(await cli('tenant', 'approve', tenant.tenantId), 2, /no consent to tenant .* waits for approval/);
  expectOneLine(await cli('tenant', 'reject', tenant.tenantId, '--ref', 'x'), 2, /no consent to tenant/);
});

test('a reference is plain text on the page and one line in the terminal', async () => {
  const tenant = world.nextTenant();
  world.simulator.consents.grant(tenant.tenantId);
  const { shown } = await lie(tenant, `<img src=x onerror="alert(1)">\n2nd\u001b[31m`);
  expect(shown.status).toBe(202);
  expect(shown.text).not.toContain('<img');
  expect(shown.text).toContain('&lt;img src=x onerror=&quot;alert(1)&quot;&gt;');
  const status = await cli('status');
  const [line, ...others] = status.stdout.split('\n').filter((one) => one.includes(tenant.tenantId));
  expect(line).toContain('<img src=x');
  expect(line).not.toContain('\u001b');
  expect(others).toEqual([]);
});

describe('one sign-in', () => {
  test.runIf(isDeep)('allows five tries within half an hour, and no check extends that', async () => {
    const tenant = world.nextTenant();
    let { browser, shown } = await lie(tenant, 'loop');
    const [first] = await stepsOf(tenant);
    expect(Number(first?.expires_at) - Date.now()).toBeLessThanOrEqual(30 * 60_000);
    for (let tries = 2; tries <= 5; tries += 1) {
      expect((await stepsOf(tenant)).map((one) => [one.tries, one.expires_at])).toEqual([
        [tries - 1, first?.expires_at],
      ]);
      shown = await browser.press(shown, 'Check again');
      expect(shown.status).toBe(409);
    }
    expect(await stepsOf(tenant)).toEqual([]);
    expect(shown.text).toContain('This sign-in has used up its checks.');
    expect(shown.text).not.toMatch(/Check again<|Consent again</);
    expect(shown.text).toMatch(/<a class="button" href="[^"]*\/invitation\/[^"]*">Start again/);
  });

  test.runIf(isDeep)('expires while its page is open', async () => {
    const tenant = world.nextTenant();
    const { browser, shown } = await lie(tenant, 'ended');
    await world.database.raw('update entra_sync.consent_steps set expires_at = now() where tenant_id = ?', [
      tenant.tenantId,
    ]);
    world.simulator.consents.grant(tenant.tenantId);
    const late = await browser.press(shown, 'Check again');
    expect([late.status, await askedBy(tenant)]).toEqual([409, []]);
  });

  test.runIf(isDeep)(
    'has one next step for both buttons: of two tabs one succeeds, and the back button repeats nothing',
    async () => {
      const tenant = world.nextTenant();
      const { browser, shown } = await lie(tenant, 'tabs');
      const both = await Promise.all([browser.press(shown, 'Check again'), browser.press(shown, 'Consent again')]);
      expect(both.filter(({ text }) => /This step was already done/.test(text))).toHaveLength(1);
      for (const label of ['Check again', 'Consent again'])
        expect((await browser.press(shown, label)).status).toBe(409);
      expect((await stepsOf(tenant)).length).toBeLessThanOrEqual(1);
    },
  );

  test.runIf(isDeep)('belongs to one browser: its check is invalid in another one', async () => {
    const tenant = world.nextTenant();
    const { browser, shown } = await lie(tenant, 'forwarded');
    const stranger = openBrowser();
    expect((await stranger.press(shown, 'Check again')).status).toBe(400);
    await stranger.leave(await stranger.open(await world.invite('other')), 'Sign in with Microsoft');
    const taken = await stranger.press(shown, 'Check again');
    expect([taken.status, /belongs to another browser/.test(taken.text)]).toEqual([409, true]);
    world.simulator.consents.grant(tenant.tenantId);
    expect((await browser.press(shown, 'Check again')).status).toBe(202);
  });

  test.runIf(isDeep)('cannot check again after the invitation was withdrawn', async () => {
    const tenant = world.nextTenant();
    const { browser, shown } = await lie(tenant, 'withdrawn');
    world.simulator.consents.grant(tenant.tenantId);
    await cli('connect', '--withdraw', '--ref', 'withdrawn');
    expect((await browser.press(shown, 'Check again')).status).toBe(409);
    expect(await askedBy(tenant)).toEqual([]);
  });

  test.runIf(isDeep)('cannot check again after the invitation expired', async () => {
    const tenant = world.nextTenant();
    const { browser, shown } = await lie(tenant, 'expired');
    world.simulator.consents.grant(tenant.tenantId);
    await world.database.raw("update entra_sync.invitations set expires_at = now() where external_ref = 'expired'");
    const late = await browser.press(shown, 'Check again');
    expect([late.status, await askedBy(tenant)]).toEqual([410, []]);
  });

  test('does not accept an offer as a check', async () => {
    const tenant = world.nextTenant();
    const browser = openBrowser();
    const offer = await signInAs(browser, await world.invite('around'), principalOf(tenant, 'user'));
    world.simulator.consents.grant(tenant.tenantId);
    const around = { ...offer, text: offer.text.replace('/consent"', '/check"') };
    const refused = await browser.press(around, 'Continue to consent');
    expect([refused.status, await askedBy(tenant)]).toEqual([400, []]);
  });
});

test.runIf(isDeep)(
  'connect and doctor report whether id tokens of the registration contain roles (unknown, no, yes), and the cure',
  async () => {
    const { clientId } = world.simulator.options;
    const told = async () => describeRegistration(await readRegistration(world.database, clientId));
    const signIn = async () => signInAs(openBrowser(), await world.invite('tells'), principalOf(world.nextTenant()));
    await world.database.raw('delete from entra_sync.registrations');
    expect(await told()).toEqual({ says: expect.stringMatching(/^not known yet/), value: true });
    await signIn();
    const [running, doctor] = [
      startCli(['connect', '--port', String(await freePort()), '--host', 'localhost'], world.environment),
      await cli('doctor', '--json'),
    ];
    const no = /id tokens tell no directory roles .*waits for tenant approve -> .*groupMembershipClaims/;
    expect(await running.shows(/directory roles[^\n]*\n/)).toMatch(no);
    running.interrupt();
    const { checks } = JSON.parse(doctor.stdout) as { checks: { check: string }[] };
    expect(checks.find(({ check }) => check === 'consent: roles')).toMatchObject({
      state: 'warning',
      cure: expect.stringContaining('Add groups claim'),
    });
    world.simulator.options.directoryRoles = true;
    await signIn().finally(() => {
      world.simulator.options.directoryRoles = false;
    });
    expect(await told()).toEqual({ says: expect.stringMatching(/^id tokens tell the directory roles/), value: true });
    await running.ended;
  },
);

test('doctor names a waiting tenant with the cure, and checks what it can of it', async () => {
  const tenant = world.nextTenant();
  world.simulator.consents.grant(tenant.tenantId);
  await lie(tenant, 'doctored');
  const looked = await cli('doctor', tenant.tenantId);
  expect([looked.code, looked.stdout]).toEqual([
    3,
    expect.stringMatching(
      /failed +tenant +nothing is read of tenant .* -> entra-sync tenant approve .* --ref "doctored"/,
    ),
  ]);
  expect(looked.stdout).toMatch(/warning +consent: waiting +\d+ tenants? waits? for your approval/);
  expect(looked.stdout).toMatch(/ok +token +issued/);
});
