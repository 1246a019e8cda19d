// The console in a real browser: each page with data and empty, at two widths, in light and dark; a decision by keyboard alone.
// SCREENSHOTS=docs/images keeps pictures of the main pages there.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import axe from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadDefaults } from '../../src/settings/settings.ts';
import { createTenant, type Simulator, startSimulator, type Tenant } from '../../src/simulator/index.ts';
import { assign, putItem, putSlot } from '../../src/store/accounts/assignments.ts';
import { openLists } from '../../src/store/commit/removal-lists.ts';
import { inTransaction, rows } from '../../src/store/database/pool.ts';
import { addTenant } from '../../src/store/tenants/tenants.ts';
import { addWebhook } from '../../src/store/webhooks/webhooks.ts';
import { lookMs } from '../../src/web/news.ts';
import { type Borrowed, borrowDatabase } from '../support/borrowed.ts';
import { startChromium } from '../support/chromium.ts';
import { isDeep, rowsOf } from '../support/deep.ts';
import { setSettings } from '../support/settings.ts';
import { cycleOf, takeEverybody } from '../support/system.ts';
import { cookieName, ops, serveOn, type Web } from '../support/web.ts';

let simulator: Simulator;
let borrowed: Borrowed;
let web: Web;
let browser: Browser;
let cookie: string;
const [contoso, fabrikam, adatum] = ['Contoso', 'Fabrikam', 'Adatum'].map((name, n) =>
  createTenant({ seed: 11 + n, users: 60, groups: 8, name }),
) as [Tenant, Tenant, Tenant];

// Long without a blank, from right to left, with marks that stack up, and like markup: each with a value like it.
const names = [
  ['x'.repeat(256), 'y'.repeat(128)],
  [`محمد بن عبد الله ${'العربي '.repeat(30)}`.trim(), 'مدير (R&D) <b>'],
  [`Zo\u0308e ${'Z\u0351\u036b\u0343'.repeat(60)}`, '\u202eevil\u202c'],
  ['"><script>alert(1)</script><img src=x onerror=alert(1)>', "'; drop table accounts; --"],
] as const;

beforeAll(async () => {
  simulator = await startSimulator({ tenants: [contoso, fabrikam] });
  borrowed = await borrowDatabase();
  const { database } = borrowed;
  await takeEverybody(database, 'delta');
  await setSettings(database, { removals: { max: 500, percent: 20, floor: 20 } });
  for (const { tenantId, name } of [contoso, fabrikam, adatum])
    await addTenant(database, { tenantId, name, ref: `customer-${name}` }, loadDefaults());
  for (const one of [contoso, fabrikam]) await cycleOf(simulator, one.tenantId, database);
  const [first] = contoso.users();
  contoso.updateUser(first?.id ?? '', { jobTitle: 'Head of Sales', displayName: 'Ann Ödegård' });
  for (const [index, [displayName, jobTitle]] of names.entries())
    contoso.updateUser(contoso.users()[index + 1]?.id ?? '', { displayName, jobTitle });
  contoso.updateGroup(contoso.groups()[1]?.id ?? '', { displayName: names[0][0] });
  for (const user of fabrikam.users().slice(10, 40)) fabrikam.deleteUser(user.id);
  for (const one of [contoso, fabrikam]) await cycleOf(simulator, one.tenantId, database);
  const [group] = await rows<{ group_id: string }>(
    database,
    'select group_id from directory.groups where tenant_id = :of order by display_name limit 1',
    { of: contoso.tenantId },
  );
  await inTransaction(database, async (on) => {
    const tenant_id = contoso.tenantId;
    await putSlot(on, { tenant_id, slot: 'banner', winners: 1, title: 'Banner' }, 'test');
    await putItem(on, { tenant_id, slot: 'banner', item: 'spring', title: 'Spring conference', html: null }, 'test');
    const given = { tenantId: tenant_id, slot: 'banner', item: 'spring', options: {} };
    await assign(on, { ...given, target: { group: group?.group_id ?? '' } } as Parameters<typeof assign>[1], 'test');
  });
  const hook = {
    tenantId: contoso.tenantId,
    url: 'https://app.example.com/hook',
    kinds: ['account.*'],
    told: 'names',
  } as const;
  await addWebhook(database, { ...hook, insecureLocal: false, form: 'changes', actor: 'a test' });
  web = await serveOn(database);
  cookie = await web.cookie(ops('act'));
  for (const { tenantId } of [contoso, fabrikam, adatum])
    await web.with(cookie).post(`/console/t/${tenantId}/reason`, { reason: 'a test', to: '/console' });
  browser = await startChromium();
});

afterAll(async () => {
  await browser?.close();
  await web?.close();
  await borrowed?.giveBack();
  await simulator?.close();
});

const views = [
  { name: 'desktop', width: 1280, height: 900, colorScheme: 'light' },
  { name: 'phone', width: 390, height: 844, colorScheme: 'light' },
  { name: 'desktop-dark', width: 1280, height: 900, colorScheme: 'dark' },
  { name: 'phone-dark', width: 390, height: 844, colorScheme: 'dark' },
] as const;

async function openWindow({ width, height, colorScheme }: (typeof views)[number], javaScriptEnabled = true) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, javaScriptEnabled });
  await context.addCookies([{ name: cookieName, value: cookie, url: web.url }]);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  return { page, complaints };
}

const pictures = process.env.SCREENSHOTS;
const pictured: readonly string[] = ['tenants', 'tenant', 'person', 'removals', 'history', 'assignments', 'contacts'];

const isWhole = isDeep || Boolean(pictures);
// axe takes most of the time: in `npm test` it judges each kind of page once, in the deep run all.
const judged: ReadonlySet<string> = new Set([
  ...['tenants', 'tenant', 'people', 'person', 'history', 'group', 'changes', 'removals', 'settings'],
  ...['a new rule', 'a rule', 'invitations', 'the audit of a tenant', 'webhooks', 'a webhook'],
]);

async function look(page: Page, view: (typeof views)[number], name: string): Promise<void> {
  if (pictures && view.colorScheme === 'light' && pictured.includes(name)) {
    await mkdir(pictures, { recursive: true });
    await page.screenshot({ path: join(pictures, `console-${name}-${view.name}.png`) });
  }
  const sticksOut = await page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth');
  expect([name, sticksOut, await page.locator('h1').count()]).toEqual([name, false, 1]);
  if (!isWhole && !judged.has(name)) return;
  await page.evaluate(axe.source);
  const faults = await page.evaluate(
    'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)]))',
  );
  expect(faults, name).toEqual([]);
}

const linkIn = (page: Page, place: string) => page.locator(place).first().getAttribute('href');

const shown = rowsOf(views, ({ name }) => name === 'phone-dark' || isWhole);

describe.each(shown)('$name', (view) => {
  test.runIf(isWhole)('each page of a tenant with data, of one that is empty, and each that is wrong', async () => {
    const { page, complaints } = await openWindow(view);
    const at = async (path: string, name: string) => {
      await page.goto(web.url + path);
      await look(page, view, name);
    };
    await at('/console', 'tenants');
    await at('/console?show=paused', 'no tenant fits');
    await at('/console/find?q=ann', 'find');
    const both = [[contoso, ''] as const, [adatum, ' of an empty tenant'] as const];
    for (const [tenant, kind] of rowsOf(both, ([, name]) => name === '' || isWhole)) {
      const base = `/console/t/${tenant.tenantId}`;
      await at(base, `tenant${kind}`);
      for (const tab of ['people', 'groups', 'assignments', 'changes', 'settings', 'removals'])
        await at(`${base}/${tab}`, kind === '' && tab === 'removals' ? 'no removals' : `${tab}${kind}`);
    }
    const base = `/console/t/${contoso.tenantId}`;
    await at(`${base}/people?q=%C3%B6degard`, 'people found');
    const person = (await linkIn(page, 'tbody th a')) ?? '';
    const words = [...['xxxxxxxx', 'العربي', 'Zo\u0308e', 'onerror'].entries()];
    for (const [index, word] of rowsOf(words, ([number]) => number === 0)) {
      await at(`${base}/people?q=${encodeURIComponent(word)}`, `people with names like ${word}`);
      const link = page.locator('tbody th a').first();
      expect(await link.textContent()).toBe(names[index]?.[0]);
      await at((await link.getAttribute('href')) ?? '', `a person with a name like ${word}`);
      expect(await page.locator('h1').textContent()).toBe(names[index]?.[0]);
    }
    await at(`${base}/groups?q=xxxxxxxx`, 'groups with a long name');
    await at((await linkIn(page, 'tbody th a')) ?? '', 'a group with a long name');
    await at(person, 'person');
    await at(`${person}/history`, 'history');
    await at(`${person}/history?at=2001-01-01`, 'before all history');
    await page.goto(`${web.url}${base}/groups`);
    await at((await linkIn(page, 'tbody th a')) ?? '', 'group');
    await page.goto(web.url + base);
    await at((await linkIn(page, 'tbody th a')) ?? '', 'cycle');
    await at(`/console/t/${fabrikam.tenantId}/removals`, 'removals');
    await at(`${base}/people/none`, 'nothing here');
    expect(complaints).toEqual([]);
  });

  // Their forms and refusals are tried in test/system/console in every run.
  test.runIf(isWhole)('each page that acts: empty, wrong, and with what it would do', async () => {
    const { page, complaints } = await openWindow(view);
    const base = `/console/t/${contoso.tenantId}`;
    const at = async (path: string, name: string) => {
      await page.goto(web.url + path);
      await look(page, view, name);
    };
    const press = async (button: string, shows: '#preview' | '.error' | '#link' | '.done', name: string) => {
      await page
        .getByRole('button', { name: new RegExp(`^${button}( now)?$`) })
        .last()
        .click();
      await page.locator(shows).waitFor();
      await look(page, view, name);
    };
    await at(`${base}/assignments/new`, 'a new rule');
    await press('Show who changes', '.error', 'a rule for no group');
    await page.locator('#group').fill('e');
    await press('Show who changes', '.error', 'a choice of groups');
    await page.getByLabel('everyone').check();
    await page.locator('#ends').fill('2099-05-12');
    await press('Show who changes', '#preview', 'a rule that changes people');
    await at(`/console/t/${adatum.tenantId}/assignments/new`, 'a rule without items');
    for (const [path, name] of [
      ['slot', 'a new slot'],
      ['slot?slot=banner', 'a slot'],
      ['item?slot=banner', 'a new item'],
      ['item?slot=banner&item=spring', 'an item'],
      ['people', 'nobody looked for'],
      ['people?q=xqz', 'nobody found'],
      ['people?q=ann', 'people found by name'],
    ] as const)
      await at(`${base}/assignments/${path}`, name);
    await page.goto(`${web.url}${base}/assignments/item?slot=banner&item=spring`);
    const [frame, field] = [page.locator('iframe'), page.locator('#title')];
    const isPhone = view.width < 500;
    // On a phone the fields come first, above the closed preview; on a wide window it is beside them.
    expect(await frame.isVisible()).toBe(!isPhone);
    const [shown, first] = [await (isPhone ? page.locator('summary') : frame).boundingBox(), await field.boundingBox()];
    if (isPhone) expect(shown?.y).toBeGreaterThan(first?.y ?? Number.POSITIVE_INFINITY);
    else expect(shown?.x).toBeGreaterThan((first?.x ?? 0) + (first?.width ?? 0));
    await page.goto(`${web.url}${base}/assignments/people?q=ann`);
    await at((await linkIn(page, 'tbody th a')) ?? '', 'why a person gets it');
    await page.goto(`${web.url}${base}/assignments`);
    await at((await linkIn(page, 'tbody th a')) ?? '', 'a rule');
    await page.locator('#starts_time').fill('10:00');
    await page.getByRole('button', { name: 'Show who changes' }).first().click();
    await page.locator('.error').waitFor();
    await look(page, view, 'a time without a day');
    await press('Show who changes', '#preview', 'the end of a rule');
    await page.goto(`${web.url}${base}/settings`);
    await page.locator('[id="scope.domains"]').fill('elsewhere.example');
    await page.getByRole('button', { name: 'Show what changes' }).nth(1).click();
    await page.locator('#preview').waitFor();
    await look(page, view, 'settings by which people leave');
    await page.locator('#file').fill('intervall: 1m');
    await press('Show what changes', '.error', 'settings that are wrong');
    await at('/console/invitations', 'invitations');
    await press('Make the link', '.error', 'an invitation without a customer');
    await page.locator('#ref').fill('customer-9');
    await press('Make the link', '#link', 'an invitation');
    await at('/console/webhooks', 'webhooks');
    await at((await linkIn(page, 'tbody th a')) ?? '', 'a webhook');
    await at('/console/audit', 'the audit of all');
    await at(`${base}/audit`, 'the audit of a tenant');
    await at(`${base}/contacts`, 'no contacts');
    await page.locator('#contacts').fill('it@contoso.example\n<b>@x');
    await press('Save', '.error', 'contacts that are wrong');
    await page.locator('#contacts').fill('directory@contoso.example\nit@contoso.example');
    await press('Save', '.done', 'contacts that are saved');
    await at(`${base}/contacts`, 'contacts');
    await page.goto(`${web.url}/console/t/${adatum.tenantId}/contacts`);
    await page.locator('#contacts').fill(`${'x'.repeat(60)}@${'adatum-'.repeat(8)}it.example`);
    await press('Save', '.done', 'a contact with a long address');
    await at(`/console/t/${adatum.tenantId}/audit?actor=none`, 'no line of the audit');
    expect(complaints).toEqual([]);
  });
});

test('without script and by keyboard alone: a wrong number is told at its field, the right one decides', async () => {
  const { page, complaints } = await openWindow(views[0], false);
  await page.goto(`${web.url}/console/t/${fabrikam.tenantId}/removals`);
  const [list] = await openLists(borrowed.database, fabrikam.tenantId);
  const field = `#typed-${list?.list_id}`;
  const decide = async (typed: string) => {
    await page.locator(field).focus();
    await page.keyboard.type(typed);
    // Enter in the field presses the first button, which takes nothing away.
    await Promise.all([page.waitForLoadState('load'), page.waitForResponse(() => true), page.keyboard.press('Enter')]);
  };
  await decide('1');
  await page.locator('.error').waitFor();
  expect(await page.locator(`.error a[href="${field}"]`).count()).toBe(1);
  expect(await page.evaluate('document.activeElement?.className')).toBe('error');
  // Two of them are ticked and removed: past the button that keeps them.
  for (const number of [0, 1]) {
    await page.locator('input[name="id"]').nth(number).focus();
    await page.keyboard.press('Space');
  }
  await page.locator(field).fill('2');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByText('2 removed').waitFor();
  const left = (list?.held ?? 0) - 2;
  await decide(String(left));
  await page.getByText(`${left} kept`).waitFor();
  expect(await openLists(borrowed.database, fabrikam.tenantId)).toEqual([]);
  expect(complaints).toEqual([]);
});

test.runIf(isDeep)(
  'on a phone, without script and by keyboard alone: a list is ordered by the head of a column, which is in sight',
  async () => {
    const { page, complaints } = await openWindow(views[1], false);
    await page.goto(`${web.url}/console/t/${contoso.tenantId}/people?show=managed`);
    // The search takes little of the first screen: its button stands beside the field.
    const [field, find] = [
      await page.locator('#q').boundingBox(),
      await page.getByRole('button', { name: 'Find' }).boundingBox(),
    ];
    expect([find?.y, (find?.x ?? 0) > (field?.x ?? 0) + (field?.width ?? 0)]).toEqual([field?.y, true]);
    const head = page.getByRole('columnheader', { name: 'Mail' });
    const mails = () => page.locator('td[data-label="User principal name"]').allInnerTexts();
    for (const [sort, order] of [
      ['ascending', 'mail'],
      ['descending', '-mail'],
    ] as const) {
      await head.getByRole('link').focus();
      const box = await head.getByRole('link').boundingBox();
      expect(box && box.x >= 0 && box.x + box.width <= 390 && box.height >= 24).toBe(true);
      await Promise.all([page.waitForURL(`**/people?show=managed&order=${order}`), page.keyboard.press('Enter')]);
      expect(await head.getAttribute('aria-sort')).toBe(sort);
      const shown = await mails();
      expect(shown.length).toBeGreaterThan(10);
      const sorted = shown.toSorted((one, other) => (one.toLowerCase() < other.toLowerCase() ? -1 : 1));
      expect(shown).toEqual(sort === 'ascending' ? sorted : sorted.toReversed());
    }
    const before = "getComputedStyle(document.querySelector('table.ordered thead tr'), '::before').content";
    expect(await page.evaluate(before)).toMatch(/^"Order by"/);
    expect(complaints).toEqual([]);
  },
);

test.runIf(isDeep)(
  'on a phone a screen reader says the label of a column once, and no mark that only the eye needs',
  async () => {
    const { page } = await openWindow(views[1]);
    const session = await page.context().newCDPSession(page);
    for (const path of [
      '',
      `/t/${contoso.tenantId}`,
      `/t/${contoso.tenantId}/people`,
      `/t/${contoso.tenantId}/groups`,
    ]) {
      await page.goto(`${web.url}/console${path}`);
      const { nodes } = await session.send('Accessibility.getFullAXTree');
      const spoken = nodes.flatMap(({ ignored, role, name }) =>
        ignored ? [] : [[role?.value, String(name?.value ?? '')]],
      );
      const cells = spoken.flatMap(([role, name = '']) => (role === 'cell' ? [name] : []));
      expect(cells.length).toBeGreaterThan(2);
      const labels = await page.locator('thead th').allTextContents();
      // The label is seen all the same.
      const seen = `getComputedStyle(document.querySelector('td[data-label]'), '::before').content`;
      expect(await page.evaluate(seen)).toMatch(/^"\w+/);
      const twice = cells.filter((cell) => labels.some((label) => cell.startsWith(label)));
      expect([path, twice, spoken.filter(([, name = '']) => /[●✓▲■○↑↓]/.test(name))]).toEqual([path, [], []]);
    }
  },
);

test.runIf(isDeep)('without script a new rule asks for what its target needs, and for nothing else', async () => {
  const { page } = await openWindow(views[1], false);
  await page.goto(`${web.url}/console/t/${contoso.tenantId}/assignments/new`);
  for (const [target, fields] of [
    ['a group', ['group']],
    ['people', ['people']],
    ['a field', ['field', 'values']],
    ['everyone', []],
  ] as const) {
    await page.getByLabel(target, { exact: true }).check();
    const asked: string[] = [];
    for (const id of ['group', 'people', 'field', 'values'])
      if (await page.locator(`#${id}`).isVisible()) asked.push(id);
    expect([target, asked]).toEqual([target, fields]);
  }
});

test.runIf(isDeep)('without script and by keyboard alone: a rule is looked at, then made', async () => {
  const { page, complaints } = await openWindow(views[0], false);
  await page.goto(`${web.url}/console/t/${contoso.tenantId}/assignments/new`);
  const [group] = await rows<{ name: string; id: string }>(
    borrowed.database,
    'select display_name as name, group_id as id from directory.groups where tenant_id = :of order by display_name desc limit 1',
    { of: contoso.tenantId },
  );
  await page.locator('#group').focus();
  await page.keyboard.type(group?.id ?? '');
  // Enter in a field looks, and makes nothing.
  await page.keyboard.press('Enter');
  await page.locator('#preview').waitFor();
  expect(await page.evaluate('document.activeElement?.id')).toBe('preview');
  await page.keyboard.press('Tab');
  while (!(await page.evaluate('document.activeElement?.value === "apply"'))) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/assignments?done=*`);
  await page
    .getByText(group?.name ?? '')
    .first()
    .waitFor();
  expect(complaints).toEqual([]);
});

test.runIf(isDeep)(
  'a line says what changed since the page was loaded, replaces nothing, and does not ask in the background',
  async () => {
    const { page, complaints } = await openWindow(views[1]);
    const asked: string[] = [];
    page.on('request', (request) => {
      if (request.url().includes('/news?')) asked.push(request.url());
    });
    await page.clock.install();
    const base = `${web.url}/console/t/${contoso.tenantId}`;
    await page.goto(`${base}/people`);
    const line = page.getByRole('status');
    const change = async (index: number) => {
      contoso.updateUser(contoso.users()[index]?.id ?? '', { officeLocation: `after ${asked.length} looks` });
      await cycleOf(simulator, contoso.tenantId, borrowed.database);
    };
    const wait = async (times: number) => {
      const answered = page.waitForResponse((answer) => answer.url().includes('/news?'));
      await page.clock.fastForward(times * lookMs);
      await answered;
    };
    await look(page, views[1], 'news');
    await wait(1);
    expect(await line.textContent()).toBe('');
    await change(0);
    await wait(1);
    await line.getByText('One thing changed.').waitFor();
    await look(page, views[1], 'news');
    const link = line.getByRole('link', { name: 'Reload' });
    await link.focus();
    await change(1);
    await wait(2);
    await line.getByText('2 things changed.').waitFor();
    // The link that has the focus is the same one.
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Reload');

    const show = (hidden: boolean) =>
      page.evaluate(
        `Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true }); document.dispatchEvent(new Event('visibilitychange'))`,
      );
    await show(true);
    const before = asked.length;
    await page.clock.fastForward(100 * lookMs);
    expect(asked).toHaveLength(before);
    await Promise.all([page.waitForResponse((answer) => answer.url().includes('/news?')), show(false)]);
    expect(asked).toHaveLength(before + 1);

    await Promise.all([page.waitForEvent('load'), link.press('Enter')]);
    expect([page.url(), await line.textContent()]).toEqual([`${base}/people`, '']);
    expect(complaints).toEqual([]);
  },
);

test.each(shown)('a console without a tenant shows the way to the first one ($name)', async (view) => {
  const empty = await borrowDatabase();
  const other = await serveOn(empty.database);
  const context = await browser.newContext({ viewport: view, colorScheme: view.colorScheme });
  await context.addCookies([{ name: cookieName, value: await other.cookie(ops('act')), url: other.url }]);
  const page = await context.newPage();
  await page.goto(`${other.url}/console`);
  await page.getByText('These steps lead to the first customer.').waitFor();
  await look(page, view, 'empty');
  expect(await page.locator('[aria-current="step"] b').textContent()).toBe('The application in Entra ID.');
  await context.close();
  await other.close();
  await empty.giveBack();
});

test('a form of a megabyte is a page in a browser too, and no broken connection', async () => {
  const { page } = await openWindow(views[0]);
  await page.goto(`${web.url}/console/t/${fabrikam.tenantId}`);
  await page.evaluate(`(() => {
    const form = document.querySelector('form[action$="/sync"]');
    const input = document.createElement('input');
    Object.assign(input, { type: 'hidden', name: 'x', value: 'x'.repeat(1_000_000) });
    form.append(input);
    form.submit();
  })()`);
  await page.getByText('Too much at once').waitFor();
});
