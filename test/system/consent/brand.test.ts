// The consent page with the vendor's brand and in the reader's language, served by a real connect process.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectOneLine, runCli, temporaryDirectory } from '../../support/cli.ts';
import { type ConsentWorld, openBrowser, openConsentWorld, principalOf } from '../../support/consent.ts';
import { isDeep } from '../../support/deep.ts';

let world: ConsentWorld;
const svg = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>';
const removals: (() => Promise<void>)[] = [];

beforeAll(async () => {
  const folder = await temporaryDirectory((remove) => void removals.push(remove));
  const logo = join(folder, 'logo.svg');
  await writeFile(logo, svg);
  world = await openConsentWorld({
    tenants: 1,
    simulator: { directoryRoles: true },
    arguments: ['--color', '#5b2d90', '--privacy-url', 'https://example.com/privacy?a=1&b=2'],
    variables: {
      ENTRA_SYNC_LOGO: logo,
      ENTRA_SYNC_CONTACT: 'support@example.com',
      ENTRA_SYNC_TERMS_URL: 'https://example.com/terms',
      ENTRA_SYNC_RETURN_URL: 'https://app.example.com/settings',
    },
  });
});
afterAll(async () => {
  await world.close();
  for (const remove of removals) await remove();
});

test('every page has the logo, the contact and the links, and the logo runs nothing', async () => {
  const browser = openBrowser();
  for (const shown of [await browser.open(await world.invite('brand')), await browser.open(`${world.url}/nowhere`)]) {
    for (const said of [
      `<img class="logo" src="${world.url}/logo" alt="Example &lt;Signatures&gt;">`,
      'href="mailto:support@example.com"',
      'href="https://example.com/privacy?a=1&amp;b=2"',
      'href="https://example.com/terms"',
      '--accent: #5b2d90;',
    ])
      expect(shown.text).toContain(said);
    expect(shown.headers.get('content-security-policy')).toContain("img-src 'self';");
  }
  const logo = await browser.ask(`${world.url}/logo`);
  expect([logo.status, logo.text, logo.headers.get('content-type')]).toEqual([200, svg, 'image/svg+xml']);
  expect(logo.headers.get('content-security-policy')).toMatch(/^default-src 'none'; .*sandbox/);
  expect(logo.headers.get('x-content-type-options')).toBe('nosniff');
});

test('in German, from the invitation to the connected tenant and the way back', async () => {
  const tenant = world.nextTenant();
  const browser = openBrowser('de-AT,de;q=0.9,en;q=0.5');
  const welcome = await browser.open(await world.invite('käppeli', { name: 'Käppeli' }));
  for (const said of [
    '<html lang="de" dir="ltr">',
    'Diese Einladung ist für <strong>Käppeli</strong>',
    'geschäftliche Telefonnummern',
    'etwa alle 40 Minuten',
    '30 Tage',
  ])
    expect(welcome.text).toContain(said);
  const offer = await browser.choose(await browser.press(welcome, 'Mit Microsoft anmelden'), principalOf(tenant));
  const asked = await browser.press(offer, 'Weiter zur Zustimmung');
  const declined = await browser.choose(asked, 'cancel');
  expect([declined.status, /Es wurde nicht zugestimmt[\s\S]*AADSTS65004/.test(declined.text)]).toEqual([403, true]);
  const [, again = ''] = /href="([^"]*\/invitation\/[^"]*)">Neu beginnen/.exec(declined.text) ?? [];
  const second = await browser.choose(
    await browser.press(await browser.open(again), 'Mit Microsoft anmelden'),
    principalOf(tenant),
  );
  world.simulator.options.lateConsent = 5;
  const late = await browser.choose(await browser.press(second, 'Weiter zur Zustimmung'), 'accept').finally(() => {
    world.simulator.options.lateConsent = 0;
  });
  // The error itself is in English, and says so.
  expect(late.text).toMatch(
    /Microsoft kennt Ihre Zustimmung noch nicht\.[\s\S]*<dd lang="en" dir="ltr">.*AADSTS700016/,
  );
  const connected = await browser.press(late, 'Erneut prüfen');
  expect(connected.text).toContain('Bisher gelesene Personen: <strong>0</strong>');
  expect(connected.text).toContain(
    '<a class="button" href="https://app.example.com/settings" rel="noreferrer">Zurück zu Example &lt;Signatures&gt;</a>',
  );
});

test.runIf(isDeep)('a wrong link or logo ends connect before it listens', async () => {
  const { environment } = world;
  const [link, logo] = await Promise.all([
    runCli(['connect', '--return-url', 'http://app.example.com'], environment),
    runCli(['connect'], { ...environment, ENTRA_SYNC_LOGO: '/nowhere.png' }),
  ]);
  expectOneLine(
    link,
    2,
    /return link cannot be "http:\/\/app\.example\.com" -> .* https:\/\/ with --return-url or ENTRA_SYNC_RETURN_URL/,
  );
  expectOneLine(logo, 2, /logo cannot be used: \/nowhere\.png -> .*--logo or ENTRA_SYNC_LOGO/);
});
