// The consent page in a real browser: clicks through on a desktop and a phone, in light and dark, and checks each page.
// SCREENSHOTS=docs/images keeps the pictures there.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startChromium } from '../support/chromium.ts';
import { type ConsentWorld, openConsentWorld, principalOf } from '../support/consent.ts';
import { isDeep, rowsOf } from '../support/deep.ts';

let world: ConsentWorld;
let browser: Browser;
let pictures: string;
let folder: string;

beforeAll(async () => {
  pictures = process.env.SCREENSHOTS || (await mkdtemp(join(tmpdir(), 'consent-pages-')));
  await mkdir(pictures, { recursive: true });
  folder = await mkdtemp(join(tmpdir(), 'consent-brand-'));
  const logo = join(folder, 'logo.svg');
  await writeFile(
    logo,
    '<svg xmlns="http://www.w3.org/2000/svg" width="180" height="40"><rect width="40" height="40" rx="8" fill="#5b2d90"/><path d="M10 26q6-16 10-4t10-6" stroke="#fff" stroke-width="3" fill="none"/></svg>',
  );
  world = await openConsentWorld({
    tenants: [
      ...['Contoso', 'Fabrikam', 'Adatum', 'Nordwind', 'Tailspin', 'Wingtip'],
      ...['Litware', 'Proseware', 'Alpine', 'Margie', 'Relecloud', 'Southridge'],
      ...['Fourth Coffee', 'Lamna', 'Munson', 'Trey'],
    ],
    product: 'Example Signatures',
    arguments: ['--logo', logo, '--color', '#5b2d90', '--return-url', 'https://app.example.com/'],
    variables: {
      ENTRA_SYNC_CONTACT: 'support@example.com',
      ENTRA_SYNC_PRIVACY_URL: 'https://example.com/privacy',
      ENTRA_SYNC_TERMS_URL: 'https://example.com/terms',
    },
    simulator: { directoryRoles: true },
  });
  browser = await startChromium();
});
afterAll(async () => {
  await browser?.close();
  await world?.close();
  await rm(folder, { recursive: true, force: true });
  if (!process.env.SCREENSHOTS) await rm(pictures, { recursive: true, force: true });
});

const views = [
  { name: 'desktop', width: 1280, height: 900, colorScheme: 'light' },
  { name: 'phone', width: 390, height: 844, colorScheme: 'light' },
  { name: 'desktop-dark', width: 1280, height: 900, colorScheme: 'dark' },
  { name: 'phone-dark', width: 390, height: 844, colorScheme: 'dark' },
] as const;

type View = (typeof views)[number];

/** Opens a browser window; `complaints` are the browser's errors about our pages, such as violations of their policy. */
async function openWindow(
  { width, height, colorScheme }: View,
  more: { locale?: string; timezoneId?: string; javaScriptEnabled?: boolean } = {},
): Promise<{ page: Page; complaints: string[] }> {
  // Only this test knows the simulator's certificate.
  const window = { viewport: { width, height }, colorScheme, ignoreHTTPSErrors: true };
  const context = await browser.newContext({ ...window, ...more });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    // Browsers request an icon by themselves.
    if (message.type() === 'error' && !message.location().url.endsWith('/favicon.ico')) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  return { page, complaints };
}

/** Takes a picture and checks the page: no horizontal overflow, one heading, and axe's rules. */
async function look(page: Page, view: View, name: string): Promise<void> {
  // The kept pictures are for readers: one colour scheme is enough.
  if (view.colorScheme === 'light' || !process.env.SCREENSHOTS)
    await page.screenshot({ path: join(pictures, `consent-${name}-${view.name}.png`), fullPage: true });
  const sticksOut = await page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth');
  expect([name, sticksOut, await page.locator('h1').count()]).toEqual([name, false, 1]);
  expect(await faultsOf(page), `${name} ${view.name}`).toEqual([]);
}

async function faultsOf(page: Page): Promise<unknown> {
  await page.evaluate(axe.source);
  return page.evaluate(
    'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)]))',
  );
}

// Pictures for the manual are of all of them.
const isWhole = isDeep || Boolean(process.env.SCREENSHOTS);
describe.runIf(isWhole).each(views)('$name, $width pixels wide', (view) => {
  test('an administrator clicks through, from the invitation to the connected tenant', async () => {
    const tenant = world.nextTenant();
    const { page, complaints } = await openWindow(view);
    await page.goto(await world.invite(`customer-${view.name}`, { name: tenant.name }));
    await look(page, view, 'welcome');
    await page.getByRole('button', { name: 'Sign in with Microsoft' }).click();
    await page.getByText(principalOf(tenant)).click();
    await page.getByRole('heading', { name: /^Give consent for/ }).waitFor();
    await look(page, view, 'offer');
    await page.getByRole('button', { name: 'Continue to consent' }).click();
    await page.getByText('Accept').click();
    await page.getByRole('heading', { name: /is connected$/ }).waitFor();
    await look(page, view, 'connected');
    // A reload changes nothing: it counts the people again.
    await page.getByRole('link', { name: 'Show the current number' }).click();
    expect(await page.getByText('People read so far').innerText()).toBe('People read so far: 0');
    expect(await page.getByRole('link', { name: 'Back to Example Signatures' }).getAttribute('href')).toBe(
      'https://app.example.com/',
    );
    const registered = await world.registered();
    expect(registered.filter((one) => one.tenant_id === tenant.tenantId)).toHaveLength(1);
    expect(complaints).toEqual([]);
  });

  test.runIf(isWhole)(
    'without roles in the id token: after a second check a page without a button says who confirms the tenant',
    async () => {
      const tenant = world.nextTenant();
      const { page } = await openWindow(view);
      world.simulator.options.directoryRoles = false;
      await page.goto(await world.invite(`waits-${view.name}`, { name: tenant.name }));
      await page.getByRole('button', { name: 'Sign in with Microsoft' }).click();
      await page
        .getByText(principalOf(tenant))
        .click()
        .finally(() => {
          world.simulator.options.directoryRoles = true;
        });
      await page.getByText(`confirms that this tenant belongs to ${tenant.name}`).waitFor();
      await look(page, view, 'offer-unconfirmed');
      await page.getByRole('button', { name: 'Continue to consent' }).click();
      world.simulator.options.lateConsent = 5;
      await page.getByText('Accept').click();
      await page.getByRole('heading', { name: 'The consent does not work yet' }).waitFor();
      world.simulator.options.lateConsent = 0;
      await look(page, view, 'not-yet');
      await page.getByRole('button', { name: 'Check again' }).click();
      await page.getByRole('heading', { name: /^Example Signatures now confirms/ }).waitFor();
      await look(page, view, 'waiting');
      expect(await page.getByRole('button').count()).toBe(0);
      expect((await world.registered()).filter((one) => one.tenant_id === tenant.tenantId)).toEqual([]);
      // Going back leads to a step that is done.
      await page.goBack();
      await page.getByRole('heading', { name: 'This step was already done' }).waitFor();
    },
  );

  test.runIf(isWhole)('after a refusal the keyboard starts again', async () => {
    const tenant = world.nextTenant();
    const { page } = await openWindow(view);
    await page.goto(await world.invite(`refused-${view.name}`, { name: tenant.name }));
    await page.getByRole('button', { name: 'Sign in with Microsoft' }).click();
    await page.getByText(principalOf(tenant)).click();
    await page.getByRole('button', { name: 'Continue to consent' }).click();
    await page.getByText('Cancel').click();
    await page.getByRole('heading', { name: 'Consent was not given' }).waitFor();
    await look(page, view, 'declined');
    await page.getByRole('link', { name: 'Start again' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Sign in with Microsoft' }).waitFor();
    expect((await world.registered()).filter((one) => one.tenant_id === tenant.tenantId)).toEqual([]);
  });
});

/** Returns where the lower edge of a button is, in the window before any scrolling. */
async function lowerEdge(page: Page, name: string): Promise<number> {
  const box = await page.getByRole('button', { name }).boundingBox();
  return box ? box.y + box.height : Number.POSITIVE_INFINITY;
}

describe.each(views.filter(({ name, colorScheme }) => colorScheme === 'light' && (isWhole || name === 'phone')))(
  'the first screen, $width × $height',
  (view) => {
    const locales = [
      { locale: 'en-US', signIn: 'Sign in with Microsoft', consent: 'Continue to consent' },
      { locale: 'de-AT', signIn: 'Mit Microsoft anmelden', consent: 'Weiter zur Zustimmung' },
    ];
    test.each(rowsOf(locales, ({ locale }) => isWhole || locale === 'en-US'))(
      'shows the button of each step, $locale',
      async ({ locale, signIn, consent }) => {
        const tenant = world.nextTenant();
        const { page, complaints } = await openWindow(view, { locale });
        await page.goto(await world.invite(`first-${view.name}-${locale}`, { name: tenant.name }));
        expect(await page.locator('html').getAttribute('lang')).toBe(locale.slice(0, 2));
        expect(await lowerEdge(page, signIn)).toBeLessThan(view.height);
        // The logo is there, and the policy lets it be shown.
        expect(await page.evaluate('document.querySelector("img.logo").naturalWidth')).toBe(180);
        await page.getByRole('button', { name: signIn }).click();
        await page.getByText(principalOf(tenant)).click();
        await page.getByRole('button', { name: consent }).waitFor();
        expect(await lowerEdge(page, consent)).toBeLessThan(view.height);
        expect(complaints).toEqual([]);
      },
    );
  },
);

test.runIf(isDeep)('times are in the zone of the reader, and without a script in UTC', async () => {
  const [view] = views;
  const invitation = await world.invite('times');
  await world.database.raw(
    "update entra_sync.invitations set expires_at = '2096-01-15T12:30:00Z' where external_ref = ?",
    ['times'],
  );
  const timeIn = async (more: Parameters<typeof openWindow>[1]) => {
    const { page } = await openWindow(view, more);
    await page.goto(invitation);
    return (await page.locator('time').innerText()).replaceAll('\u202f', ' ');
  };
  expect(await timeIn({ timezoneId: 'Asia/Kolkata' })).toMatch(/^Sunday, January 15, 2096 at 6:00 PM GMT\+5:30$/);
  const plain = await timeIn({ timezoneId: 'Asia/Kolkata', javaScriptEnabled: false });
  expect(plain).toMatch(/^Sunday, January 15, 2096 at 12:30 PM UTC$/);
});
