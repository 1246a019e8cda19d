// The line that says how much changed: its number, its refusals, and the one script that asks for it.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { editAccount } from '../../src/store/accounts/accounts.ts';
import { inTransaction } from '../../src/store/database/pool.ts';
import { newsScript } from '../../src/web/news.ts';
import { accountOf, tenantWith } from '../support/people-edit.ts';
import { ask } from '../support/stage.ts';
import { type OwnWeb, openWeb, ops } from '../support/web.ts';

let web: OwnWeb;
let tenant: string;
let foreign: string;

beforeAll(async () => {
  web = await openWeb();
  tenant = await tenantWith(web.store, { phone: {} });
  foreign = await tenantWith(web.store, { phone: {} });
});

afterAll(() => web.close());

const by = { actor: 'ann', role: 'user' };
let number = 0;
const edit = (account: string) => {
  number += 1;
  return editAccount(web.store.database, account, { phone: `${number}` }, by);
};

/** Returns the address of the question that a page of the tenant carries. */
async function questionOf(text: string): Promise<string> {
  const [, address = ''] = /data-news="([^"]+)"/.exec(text) ?? [];
  expect(address).not.toBe('');
  return address.replaceAll('&amp;', '&');
}

test('the number is of accounts and groups of this tenant that changed since the page was read, and exact', async () => {
  const browser = await web.browser(ops('read'));
  const accounts = await Promise.all([1, 2, 3].map(() => accountOf(web.store, tenant)));
  const [one = '', two = '', three = ''] = accounts;
  const other = await accountOf(web.store, foreign);
  await edit(one);
  const page = await browser.get(`/console/t/${tenant}/people`);
  const question = await questionOf(page.text);
  const count = async (address = question) => {
    const { status, text, headers } = await browser.get(address);
    expect([status, headers.get('cache-control')]).toEqual([200, 'no-store']);
    return Number(text);
  };
  expect(await count()).toBe(0);
  await edit(other);
  expect(await count()).toBe(0);
  await edit(one);
  await edit(one);
  expect(await count()).toBe(1);
  // Numbered or not, a change is counted once.
  await ask(web.store, 'select entra_sync.number_batches()');
  expect(await count()).toBe(1);
  await edit(two);
  expect(await count()).toBe(2);

  // A page that is read while a transaction is open learns of it once that is committed, whatever was committed between.
  const late = await inTransaction(web.store.database, async (on) => {
    await on.raw('select directory.edit_account(?::uuid, ?::jsonb, ?, ?)', [three, '{"phone": "late"}', 'ann', 'user']);
    await edit(one);
    const address = await questionOf((await browser.get(`/console/t/${tenant}/people`)).text);
    expect(await count(address)).toBe(0);
    return address;
  });
  expect(await count(late)).toBe(1);
});

test('many changes, and a mark of long ago or of elsewhere, are more than 99', async () => {
  const browser = await web.browser(ops('read'));
  const path = `/console/t/${tenant}/news`;
  const question = await questionOf((await browser.get(`/console/t/${tenant}`)).text);
  const accounts = await Promise.all(Array.from({ length: 101 }, () => accountOf(web.store, tenant)));
  for (const account of accounts) await edit(account);
  expect((await browser.get(question)).text).toBe('100');
  for (const since of ['00000000:1:1', 'x', "'", ''])
    expect([since, (await browser.get(`${path}?since=${encodeURIComponent(since)}`)).text]).toEqual([since, '100']);
  for (const bad of ['', `?since=${'1'.repeat(2_000)}`, '?since=1&since=2', '?since=%00'])
    expect((await browser.get(path + bad)).status).toBe(404);
});

test('rule 46: the question is answered to those who see the tenant, and to no other', async () => {
  const question = await questionOf((await (await web.browser(ops('read'))).get(`/console/t/${tenant}`)).text);
  const signedIn = (tenantId: string, directoryRole: 'reader' | null) =>
    web.browser({ tenantId, objectId: tenantId, directoryRole, actor: `entra:${tenantId}/x` });
  expect((await (await signedIn(tenant, 'reader')).get(question)).status).toBe(200);
  for (const browser of [await signedIn(foreign, 'reader'), await signedIn(tenant, null), web.with()])
    expect((await browser.get(question)).status).toBe(404);
});

test('rule 47: a page that is only open does not keep its session', async () => {
  const browser = await web.browser(ops('read'));
  const question = await questionOf((await browser.get(`/console/t/${tenant}`)).text);
  const ages = async () =>
    (
      await ask<{ old: boolean }>(
        web.store,
        "select seen_at < now() - interval '30 minutes' as old from entra_sync.sessions",
      )
    ).filter(({ old }) => old).length;
  await ask(web.store, "update entra_sync.sessions set seen_at = seen_at - interval '40 minutes'");
  const before = await ages();
  expect((await browser.get(question)).status).toBe(200);
  expect(await ages()).toBe(before);
  expect((await browser.get(`/console/t/${tenant}`)).status).toBe(200);
  expect(await ages()).toBe(before - 1);
  await ask(web.store, "update entra_sync.sessions set seen_at = seen_at - interval '61 minutes'");
  expect((await browser.get(question)).status).toBe(404);
});

test('the script is small, of the hash that pages and policy name, and on pages of a tenant alone', async () => {
  const browser = await web.browser(ops('read'));
  const { text, headers } = await browser.get(`/console/t/${tenant}`);
  const [, address = '', integrity = ''] = /<script type="module" src="([^"]+)" integrity="([^"]+)">/.exec(text) ?? [];
  const script = await web.with().get(address);
  expect(script.status).toBe(200);
  expect(script.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
  expect(script.headers.get('cache-control')).toContain('immutable');
  expect(Buffer.byteLength(script.text)).toBeLessThan(4_096);
  expect(script.text).not.toMatch(/key(down|up|press)/);
  const hash = `sha256-${createHash('sha256').update(script.text).digest('base64')}`;
  expect(integrity).toBe(hash);
  expect(headers.get('content-security-policy')).toContain(`script-src '${hash}';`);
  expect(address).toContain(newsScript.version);
  expect(text.match(/<script/g)).toHaveLength(1);
  expect((await browser.get('/console')).text).not.toContain('<script');
});
