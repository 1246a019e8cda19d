// The portal in a real browser: one's own page with data, wrong and in conflict, at two widths, in light and dark; saved by
// keyboard alone, and without script. SCREENSHOTS=docs/images keeps pictures there.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import axe from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadDefaults } from '../../src/settings/settings.ts';
import { createTenant, type Simulator, startSimulator, type Tenant } from '../../src/simulator/index.ts';
import { addTenant } from '../../src/store/tenants/tenants.ts';
import { style } from '../../src/web/style.ts';
import { startChromium } from '../support/chromium.ts';
import { isDeep } from '../support/deep.ts';
import { openPortal, type Portal } from '../support/portal.ts';
import { setSettings } from '../support/settings.ts';
import { ask } from '../support/stage.ts';
import { cycleOf } from '../support/system.ts';
import { cookieName } from '../support/web.ts';

let simulator: Simulator;
let portal: Portal;
let browser: Browser;
const contoso: Tenant = createTenant({ seed: 11, users: 12, name: 'Contoso' });

beforeAll(async () => {
  simulator = await startSimulator({ tenants: [contoso] });
  portal = await openPortal();
  const { database } = portal.store;
  const { tenantId, name } = contoso;
  await addTenant(database, { tenantId, name, ref: null }, loadDefaults());
  await setSettings(database, {
    sourceOfTruth: 'hybrid',
    fields: { mobilePhone: { owner: 'user', max: 30, pattern: null }, jobTitle: { owner: 'user' } },
  });
  const help = { text: 'Ask IT', url: 'https://help.contoso.example' };
  await setSettings(database, { timeZone: 'Europe/Berlin', help }, tenantId);
  await cycleOf(simulator, tenantId, database);
  browser = await startChromium();
});

afterAll(async () => {
  await browser?.close();
  await portal?.close();
  await simulator?.close();
});

const views = [
  { name: 'desktop', width: 1280, height: 900, colorScheme: 'light' },
  { name: 'phone', width: 390, height: 844, colorScheme: 'light' },
  { name: 'desktop-dark', width: 1280, height: 900, colorScheme: 'dark' },
  { name: 'phone-dark', width: 390, height: 844, colorScheme: 'dark' },
] as const;

/** Opens a window in which the next user of the tenant is signed in. */
async function openWindow({ width, height, colorScheme }: (typeof views)[number], javaScriptEnabled = true) {
  const person = people.shift() ?? expect.unreachable();
  const actor = `entra:${contoso.tenantId}/${person}`;
  const cookie = await portal.cookie({ tenantId: contoso.tenantId, objectId: person, actor });
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, javaScriptEnabled });
  await context.addCookies([{ name: cookieName, value: cookie, url: portal.url }]);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  return { page, complaints, person };
}

const people = contoso
  .users()
  .filter(({ properties }) => properties.userType !== 'Guest' && properties.mobilePhone)
  .map(({ id }) => id);
const pictures = process.env.SCREENSHOTS;

async function look(page: Page, view: (typeof views)[number], name: string): Promise<void> {
  if (pictures && view.colorScheme === 'light' && name === 'me') {
    await mkdir(pictures, { recursive: true });
    await page.screenshot({ path: join(pictures, `portal-${name}-${view.name}.png`) });
  }
  const sticksOut = await page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth');
  expect([name, sticksOut, await page.locator('h1').count()]).toEqual([name, false, 1]);
  await page.evaluate(axe.source);
  const faults = await page.evaluate(
    'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)]))',
  );
  expect(faults, name).toEqual([]);
}

/** Edits the person's page as another one does, in between. */
const byOther = (person: string, patch: object) =>
  ask(
    portal.store,
    `select directory.edit_account(account_id, :patch::jsonb, 'Eve', 'manager')
       from directory.accounts where entra_object_id = :person`,
    { person, patch: JSON.stringify(patch) },
  );

describe.runIf(isDeep || Boolean(pictures)).each(views)('$name', (view) => {
  test('the page: with data, wrong, in conflict, and in German', async () => {
    const { page, complaints, person } = await openWindow(view);
    const save = () =>
      Promise.all([page.waitForNavigation(), page.locator('button.main', { hasText: /Save|Speichern/ }).click()]);
    await page.goto(`${portal.url}/me`);
    await page.getByLabel('Job title').fill('Chief of Staff');
    await page.getByLabel('Pronouns').fill('she/her');
    await save();
    await page.getByText('Saved.').waitFor();
    await page.goto(`${portal.url}/me`);
    await look(page, view, 'me');
    await page.getByLabel('Mobile phone').evaluate((input) => input.removeAttribute('maxlength'));
    await page.getByLabel('Mobile phone').fill('1'.repeat(31));
    await save();
    // The summary has the focus, and leads to the field.
    await expect.poll(() => page.evaluate('document.activeElement.className')).toBe('error');
    await look(page, view, 'wrong');
    await page.locator('.error a').click();
    expect(await page.evaluate('document.activeElement.id || location.hash')).toContain('field.mobilePhone');
    await page.goto(`${portal.url}/me?lang=de`);
    await byOther(person, { jobTitle: 'Queen', mobilePhone: '7' });
    await page.getByLabel('Position').fill('König');
    await save();
    await look(page, view, 'conflict');
    const edges = await page
      .locator('dl.both > *')
      .evaluateAll((all) => all.map((one) => (one as unknown as { offsetLeft: number }).offsetLeft));
    // On a phone each value has the whole width.
    expect(new Set(edges).size).toBe(view.width < 500 ? 1 : 2);
    await page.getByRole('button', { name: /^Diesen behalten ?: Position/ }).click();
    await page.getByText('Es wurde nichts geändert').waitFor();
    expect(await page.getByLabel('Position').inputValue()).toBe('Queen');
    expect(complaints).toEqual([]);
  });
});

/** The texts that are wider than their element, and whether the page is wider than its window. A string, for the browser. */
const widerThanTheirBox = `[...document.querySelectorAll('body *')].flatMap((one) => [...one.childNodes]
  .filter((node) => node.nodeType === 3 && node.textContent.trim() !== '' && one.tagName !== 'OPTION')
  .flatMap((node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    const isWider = range.getBoundingClientRect().right > one.getBoundingClientRect().right + 1;
    return isWider ? [one.outerHTML.slice(0, 60)] : [];
  })).concat(document.documentElement.scrollWidth > document.documentElement.clientWidth ? ['the page'] : [])`;

test.runIf(isDeep)('a word of a hundred letters stays in its place, on a phone too', async () => {
  const word = 'w'.repeat(100);
  const samples = [
    `<h2>${word}</h2><p>${word}</p><ul><li>${word}</li></ul><p class="done">${word}</p>`,
    `<div class="field wrong"><label>${word}</label><input><p class="under">${word}</p><p class="problem">${word}</p>
     <dl class="both"><dt>${word}</dt><dd>${word}</dd></dl></div><dl class="fields"><div class="field"><dt>${word}</dt><dd>x</dd></div></dl>`,
    `<div class="acts"><button>${word}</button></div><nav class="filters"><a>${word}</a></nav><nav class="pager"><a>${word}</a><a>${word}</a></nav>`,
    `<details class="panel"><summary>${word}</summary></details><ul class="facts"><li><b>${word}</b><span>${word}</span></li></ul>`,
    `<header class="top"><nav><a>${word}</a></nav><div class="viewer"><span>${word}</span></div></header>`,
  ];
  const page = await browser.newPage();
  for (const width of [390, 800, 1280]) {
    await page.setViewportSize({ width, height: 800 });
    for (const sample of samples) {
      await page.setContent(`<style>${style}</style><main class="portal">${sample}</main>`);
      expect([width, await page.evaluate(widerThanTheirBox)]).toEqual([width, []]);
    }
  }
  await page.close();
});

test('without script and by keyboard alone: typed, saved with Enter, and taken back', async () => {
  const { page, complaints } = await openWindow(views[0], false);
  await page.goto(`${portal.url}/me`);
  const before = await page.getByLabel('Mobile phone').inputValue();
  const press = async (key: string) => {
    await Promise.all([page.waitForNavigation(), page.keyboard.press(key)]);
  };
  await page.getByLabel('Mobile phone').focus();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('+49 30 901820');
  // Enter presses the first button of the form, which saves.
  await press('Enter');
  await page.getByText('Saved.').waitFor();
  expect(await page.getByLabel('Mobile phone').inputValue()).toBe('+49 30 901820');
  await page.getByLabel('Mobile phone').focus();
  await page.keyboard.press('Tab');
  expect(await page.locator(':focus').textContent()).toBe('Use that: Mobile phone');
  await press('Enter');
  await page.getByText('the directory’s value is shown again').waitFor();
  expect(await page.getByLabel('Mobile phone').inputValue()).toBe(before);
  await page.getByRole('button', { name: 'Undo my last change' }).focus();
  await press('Enter');
  await page.getByText('Your last change is taken back.').waitFor();
  expect(await page.getByLabel('Mobile phone').inputValue()).toBe('+49 30 901820');
  expect(complaints).toEqual([]);
});
