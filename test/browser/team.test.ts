// The preview and the pages of managers in a real browser: what the frame draws under its own policy, by two widths, in light and
// dark, with script and without. SCREENSHOTS=docs/images keeps pictures there.
import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import axe from 'axe-core';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadDefaults } from '../../src/settings/settings.ts';
import { drawPicture } from '../../src/simulator/tenant/pictures.ts';
import { addTenant } from '../../src/store/tenants/tenants.ts';
import { startChromium } from '../support/chromium.ts';
import { isDeep } from '../support/deep.ts';
import { accountOf } from '../support/people-edit.ts';
import { openPortal, type Portal } from '../support/portal.ts';
import { setSettings } from '../support/settings.ts';
import { ask } from '../support/stage.ts';
import { cookieName } from '../support/web.ts';

let portal: Portal;
let browser: Browser;
let cookie: string;
let ann: string;
const [tenantId, boss] = [randomUUID(), randomUUID()];

// Four pixels of one colour.
const logo =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR42mN4zMANRAwQCgAddgO5aexjRgAAAABJRU5ErkJggg==';
const signature = `<style>.name { color: #0b5cad; font-size: 18px }</style>
<table cellpadding="0" style="font-family: Arial, sans-serif; font-size: 14px"><tr><td style="padding-right: 16px"><img src="${logo}" width="56" height="56" alt="{{companyName}}"></td>
<td style="border-left: 3px solid rgb(227, 0, 11); padding-left: 16px"><b class="name">{{displayName}}</b>{{#pronouns}} <small>({{pronouns}})</small>{{/pronouns}}
{{#jobTitle}}<br>{{jobTitle}}{{/jobTitle}}<br><br>{{#mobilePhone}}<a href="tel:{{mobilePhone}}">{{mobilePhone}}</a><br>{{/mobilePhone}}
<a href="https://contoso.example">contoso.example</a></td></tr></table>`;

beforeAll(async () => {
  portal = await openPortal();
  const { store } = portal;
  const { database } = store;
  await addTenant(database, { tenantId, name: 'Contoso', ref: null }, loadDefaults());
  await setSettings(database, {
    sourceOfTruth: 'hybrid',
    managers: true,
    portal: { managers: true },
    fields: { mobilePhone: { owner: 'user', max: 30 }, jobTitle: { owner: 'user' } },
  });
  const of = (displayName: string, jobTitle: string, source: object, objectId: string = randomUUID()) => {
    const mail = `${displayName.split(' ')[0]?.toLowerCase()}@contoso.example`;
    const mapped = {
      displayName,
      jobTitle,
      mail,
      companyName: 'Contoso',
      mobilePhone: '+49 30 901820',
      city: 'Berlin',
    };
    return accountOf(store, tenantId, { objectId, mapped, mail, principal: mail, source });
  };
  await of('Bo Chief', 'Head of Sales', {}, boss);
  ann = await of('Ann Ödegård', 'Account manager', { manager: boss });
  await givePhoto(ann);
  for (const name of ['Chris Lam', 'Dana Novak', 'Emre Yılmaz', 'Femi Okafor', 'Grete Holm'])
    await givePhoto(await of(name, 'Account manager', { manager: boss }), name.length % 2 === 0);
  await ask(store, `select directory.put_slot(:tenantId, 'signature', 1, 'Signature', 'x')`, { tenantId });
  await ask(store, `select directory.put_item(:tenantId, 'signature', 'contoso', 'Contoso', :signature, 'x')`, {
    tenantId,
    signature,
  });
  await ask(store, `select directory.assign(:tenantId, 'signature', 'contoso', '{"everyone": true}', null, 'x')`, {
    tenantId,
  });
  cookie = await portal.cookie({ tenantId, objectId: boss, actor: `entra:${tenantId}/${boss}` });
  browser = await startChromium();
});

const givePhoto = async (account: string, given = true) => {
  const { bytes } = drawPicture(account, { type: 'jpeg', width: 240, height: 240 });
  if (given)
    await ask(
      portal.store,
      `insert into entra_sync.photos (account_id, tenant_id, read_at, content, content_type, sha256, width, height, updated_at)
       values (:account, :tenantId, now(), :bytes, 'image/jpeg', encode(sha256(:bytes), 'hex'), 240, 240, now())`,
      { account, tenantId, bytes },
    );
};

afterAll(async () => {
  await browser?.close();
  await portal?.close();
});

const views = [
  { name: 'desktop', width: 1280, height: 900, colorScheme: 'light' },
  { name: 'phone', width: 390, height: 844, colorScheme: 'light' },
  { name: 'desktop-dark', width: 1280, height: 900, colorScheme: 'dark' },
  { name: 'phone-dark', width: 390, height: 844, colorScheme: 'dark' },
] as const;

async function openWindow({ width, height, colorScheme }: (typeof views)[number], javaScriptEnabled = true) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, javaScriptEnabled });
  await context.addCookies([{ name: cookieName, value: cookie, url: portal.url }]);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      complaints.push(message.text());
  });
  return { page, complaints };
}

const pictures = process.env.SCREENSHOTS;

async function look(page: Page, view: (typeof views)[number], name: string): Promise<void> {
  if (pictures && view.colorScheme === 'light') {
    await mkdir(pictures, { recursive: true });
    await page.screenshot({ path: join(pictures, `portal-${name}-${view.name}.png`) });
  }
  const sticksOut = await page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth');
  expect([name, sticksOut, await page.locator('h1').count()]).toEqual([name, false, 1]);
  await page.evaluate(axe.source);
  const faults = await page.evaluate(
    'axe.run({ iframes: false }).then(({ violations }) => violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)]))',
  );
  expect(faults, name).toEqual([]);
}

type Styles = { getComputedStyle(element: unknown): { getPropertyValue(name: string): string } };
const styleOf = (at: Locator, property: string) =>
  at.evaluate(
    (element, name) => (globalThis as unknown as Styles).getComputedStyle(element).getPropertyValue(name),
    property,
  );

const inFrame = (page: Page) => page.frameLocator('iframe[name=preview]');

describe.runIf(isDeep || Boolean(pictures)).each(views)('$name', (view) => {
  test('the team, a person of it, and the preview with what is typed', async () => {
    const { page, complaints } = await openWindow(view);
    await page.goto(`${portal.url}/team`);
    const drawn = () => page.evaluate('[...document.images].filter((one) => one.naturalWidth === 240).length');
    await expect.poll(drawn, { timeout: 120_000 }).toBe(3);
    await look(page, view, 'team');
    await page.getByRole('link', { name: 'Ann Ödegård' }).click();
    await page.getByRole('heading', { name: 'Ann Ödegård' }).waitFor();
    // The name stands beside the photo.
    const [photo, heading] = [await page.locator('img.photo').boundingBox(), await page.locator('h1').boundingBox()];
    expect(heading?.y).toBeLessThan((photo?.y ?? 0) + 20);
    const frame = page.locator('iframe[name=preview]');
    const isPhone = view.width < 500;
    // On a phone the fields come first, and the preview is closed.
    expect(await frame.isVisible()).toBe(!isPhone);
    if (isPhone) await page.locator('summary').click();
    const name = inFrame(page).locator('b.name');
    await name.waitFor();
    expect(await styleOf(name, 'color')).toBe('rgb(11, 92, 173)');
    const cell = inFrame(page).locator('td').nth(1);
    expect(await styleOf(cell, 'border-left-color')).toBe('rgb(227, 0, 11)');
    expect(
      await inFrame(page)
        .locator('img')
        .evaluate((image) => (image as unknown as { naturalWidth: number }).naturalWidth),
    ).toBe(2);
    await page.getByLabel('Job title').fill('Lead <of> "Sales"');
    await page.getByRole('button', { name: 'Show it in the preview' }).click();
    await inFrame(page).getByText('Lead <of> "Sales"').first().waitFor();
    await inFrame(page).locator('pre', { hasText: '+49 30 901820' }).waitFor();
    await look(page, view, 'team-person');
    await page.getByLabel('Mobile phone').evaluate((input) => input.removeAttribute('maxlength'));
    await page.getByLabel('Mobile phone').fill('1'.repeat(31));
    await page.getByRole('button', { name: 'Show it in the preview' }).click();
    await inFrame(page).getByText('Mobile phone: at most 30 characters.').waitFor();
    // A link leads nowhere from here.
    await inFrame(page).getByRole('link', { name: 'contoso.example' }).click();
    await inFrame(page).locator('b.name').waitFor();
    expect(complaints.filter((one) => !one.includes('allow-popups'))).toEqual([]);
    const [stored] = await ask<{ edits: object }>(
      portal.store,
      'select edits from entra_sync.accounts where account_id = :ann',
      { ann },
    );
    expect(stored?.edits).toEqual({});
  });
});

test.runIf(isDeep)(
  'without script, on one’s own page: the preview with what is typed, and nothing is saved',
  async () => {
    const { page } = await openWindow(views[0], false);
    await page.goto(`${portal.url}/me`);
    await page.getByLabel('Job title').fill('Chief of All');
    await page.getByRole('button', { name: 'Show it in the preview' }).focus();
    await page.keyboard.press('Enter');
    await inFrame(page).locator('td', { hasText: 'Chief of All' }).waitFor();
    expect(page.url()).toBe(`${portal.url}/me`);
    await page.reload();
    expect(await page.getByLabel('Job title').inputValue()).toBe('Head of Sales');
  },
);

type Stop = { readonly name: string; readonly place: number; readonly top: number; readonly left: number };

// Where the keyboard stands: its place in the document, and where the eye finds it. A string, for the browser.
const stop = `(() => {
  const one = document.activeElement;
  const { top, left } = one.getBoundingClientRect();
  const place = [...document.querySelectorAll('*')].indexOf(one);
  return { name: one.id || one.textContent, place, top: top + scrollY, left };
})()`;

/** Presses Tab from the first field to the button of the preview, and returns the stops. */
async function stopsOf(page: Page): Promise<Stop[]> {
  await page.locator('main form input:not([type=hidden])').first().focus();
  const found = [await page.evaluate<Stop>(stop)];
  while (found.length < 20 && found.at(-1)?.name !== 'Show it in the preview') {
    await page.keyboard.press('Tab');
    found.push(await page.evaluate<Stop>(stop));
  }
  return found;
}

const kindsOf = (stops: readonly Stop[]) => [
  ...new Set(stops.map(({ name }) => (name.startsWith('field.') ? 'a field' : name))),
];
const rising = (numbers: readonly number[]) => numbers.every((one, n) => n === 0 || one >= (numbers[n - 1] ?? 0));

test('on a phone, without script and by keyboard: the fields come first, and the closed preview below them opens', async () => {
  const { page } = await openWindow(views[3], false);
  for (const path of ['/me', `/team/${ann}`]) {
    await page.goto(portal.url + path);
    const [summary, field] = [page.locator('summary'), page.getByLabel('Mobile phone')];
    expect((await field.boundingBox())?.y).toBeLessThan((await summary.boundingBox())?.y ?? 0);
    expect(await page.locator('iframe').isVisible()).toBe(false);
    // A link above the fields leads to it.
    await page.getByRole('link', { name: 'Preview' }).click();
    await expect.poll(() => page.evaluate('scrollY')).toBeGreaterThan(0);
    expect(await page.evaluate(`document.querySelector('summary').getBoundingClientRect().top < innerHeight`)).toBe(
      true,
    );
    await summary.focus();
    await page.keyboard.press('Enter');
    await inFrame(page).locator('b.name').waitFor();
    await page.getByLabel('Job title').fill('Chief of All');
    // By keyboard the order is that of the eye, and of the document: browsers differ in other means to make it so.
    const stops = await stopsOf(page);
    expect(kindsOf(stops)).toEqual(['a field', 'Save', 'Preview', 'Show it in the preview']);
    expect([rising(stops.map(({ place }) => place)), rising(stops.map(({ top }) => top))]).toEqual([true, true]);
    await page.keyboard.press('Enter');
    await inFrame(page).locator('td', { hasText: 'Chief of All' }).waitFor();
  }
});

test.runIf(isDeep)(
  'on a wide window the preview is open beside the fields, and comes after them by keyboard',
  async () => {
    const { page } = await openWindow(views[0]);
    for (const path of ['/me', `/team/${ann}`]) {
      await page.goto(portal.url + path);
      const [frame, field] = [
        await page.locator('iframe').boundingBox(),
        await page.getByLabel('Mobile phone').boundingBox(),
      ];
      expect(frame?.x).toBeGreaterThan((field?.x ?? 0) + (field?.width ?? 0));
      expect(await page.locator('summary').isVisible()).toBe(false);
      expect(await page.getByRole('link', { name: 'Preview' }).isVisible()).toBe(false);
      const stops = await stopsOf(page);
      expect(kindsOf(stops)).toEqual(['a field', 'Save', 'Show it in the preview']);
      expect(rising(stops.map(({ place }) => place))).toBe(true);
      // One column after the other.
      expect(rising(stops.slice(0, -1).map(({ top }) => top))).toBe(true);
      expect(stops.at(-1)?.left).toBeGreaterThan(Math.max(...stops.slice(0, -1).map(({ left }) => left)));
    }
  },
);
