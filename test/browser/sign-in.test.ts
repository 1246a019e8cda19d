// Signing in to the web in a real browser: the refusals, the way in, the way out, on a desktop and a phone, in light and dark.
import { randomUUID } from 'node:crypto';
import axe from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTenant, type SimulatorOptions } from '../../src/simulator/index.ts';
import { startChromium } from '../support/chromium.ts';
import { type Running, startCli } from '../support/cli.ts';
import { isDeep, rowsOf } from '../support/deep.ts';
import { freePort } from '../support/free-port.ts';
import { openWorld } from '../support/system.ts';

const vendor = createTenant({ seed: 61, users: 1, name: 'Vendor' });
const stranger = createTenant({ seed: 62, users: 1, name: 'Stranger' });
const closers: (() => Promise<unknown>)[] = [];
let browser: Browser;
let url: string;
let running: Running;
let options: SimulatorOptions;

beforeAll(async () => {
  const onEnd = ((close: () => Promise<void>) => void closers.push(close)) as never;
  const world = await openWorld({ users: 3, name: 'Contoso', others: [vendor, stranger], onEnd });
  options = world.simulator.options;
  options.directoryRoles = true;
  options.signInApplication = { clientId: randomUUID(), clientSecret: 'the secret of sign-in' };
  options.appRoles = { 'user@vendor.example': ['Ops.Act'] };
  const port = String(await freePort());
  url = `http://localhost:${port}`;
  running = startCli(['web', '--parts', 'console', '--host', 'localhost', '--port', port], {
    ...{ ...world.simulator.environment(), DATABASE_URL: world.url, ENTRA_SYNC_OPS_TENANT: vendor.tenantId },
    ENTRA_SYNC_SIGN_IN_CLIENT_ID: options.signInApplication.clientId,
    ENTRA_SYNC_SIGN_IN_CLIENT_SECRET: options.signInApplication.clientSecret,
  });
  await running.shows(/Served at/);
  browser = await startChromium();
});

afterAll(async () => {
  await browser?.close();
  running?.interrupt();
  await running?.ended;
  for (const close of closers.reverse()) await close();
});

const views = [
  { name: 'desktop', width: 1280, height: 900, colorScheme: 'light' },
  { name: 'phone', width: 390, height: 844, colorScheme: 'light' },
  { name: 'desktop-dark', width: 1280, height: 900, colorScheme: 'dark' },
  { name: 'phone-dark', width: 390, height: 844, colorScheme: 'dark' },
] as const;

async function openWindow({ width, height, colorScheme }: (typeof views)[number], more: { locale?: string } = {}) {
  const context = await browser.newContext({
    ...{ viewport: { width, height }, colorScheme, ignoreHTTPSErrors: true },
    ...more,
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    // The refusals themselves are answers of 403, and browsers ask for an icon by themselves.
    const isAnswer = message.text().startsWith('Failed to load resource');
    if (message.type() === 'error' && !isAnswer) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  return { page, complaints };
}

async function look(page: Page, name: string): Promise<void> {
  const sticksOut = await page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth');
  expect([name, sticksOut, await page.locator('h1').count()]).toEqual([name, false, 1]);
  // The policy lets the one style sheet through.
  const family = await page.evaluate("getComputedStyle(document.body).fontFamily.includes('system-ui')");
  expect([name, family]).toEqual([name, true]);
  await page.evaluate(axe.source);
  const faults = await page.evaluate(
    'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)]))',
  );
  expect(faults, name).toEqual([]);
}

const shown = rowsOf(views, ({ name }) => name === 'phone' || isDeep);

describe.each(shown)('$name, $width pixels wide', (view) => {
  test.runIf(isDeep)('a stranger is refused, the vendor’s person comes in with another account and goes', async () => {
    const { page, complaints } = await openWindow(view);
    await page.goto(url);
    await page.getByText('admin@stranger.example').click();
    await page.getByRole('heading', { name: 'Your organization is not connected' }).waitFor();
    await look(page, 'refused');
    await page.getByRole('link', { name: 'Use another account' }).click();
    await page.getByText('user@vendor.example').click();
    await page.waitForURL(`${url}/console`);
    await look(page, 'console');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Signed out' }).waitFor();
    await look(page, 'left');
    // The way back asks for the account, although it is still signed in at Microsoft.
    await page.goBack();
    await page.getByText('Pick an account').waitFor();
    expect(page.url()).not.toContain(url);
    expect(complaints).toEqual([]);
  });

  test.runIf(isDeep)('in German', async () => {
    const { page, complaints } = await openWindow(view, { locale: 'de-DE' });
    await page.goto(url);
    await page.getByText('personal@outlook.example').click();
    await page.getByRole('heading', { name: 'Ein persönliches Konto' }).waitFor();
    await look(page, 'refused in German');
    expect(await page.locator('html').getAttribute('lang')).toBe('de');
    expect(complaints).toEqual([]);
  });

  test.runIf(view.name === 'phone' || isDeep)('an organization that lets only its administrator allow it', async () => {
    const { page, complaints } = await openWindow(view);
    options.userConsent = false;
    await page.goto(url);
    await page.getByText('user@vendor.example').click();
    await page.getByText('Return to the application').click();
    await page.getByRole('heading', { name: 'Your administrator has to allow this first' }).waitFor();
    options.userConsent = true;
    await look(page, 'allowed by an administrator alone');
    expect(complaints).toEqual([]);
  });
});
