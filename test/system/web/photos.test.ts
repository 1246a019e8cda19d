// The photo of an account in the web: on one's own page and on the console's page of the person, for those who may open it (rule 57).
import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { drawPicture } from '../../../src/simulator/tenant/pictures.ts';
import { access } from '../../../src/web/access.ts';
import { consolePages } from '../../../src/web/console/pages.ts';
import { initialsOf } from '../../../src/web/picture.ts';
import { portalFrame } from '../../../src/web/portal/frame.ts';
import { portalPages, portalStartOf } from '../../../src/web/portal/pages.ts';
import { accountOf, type EditStore, openEditStore, tenantWith } from '../../support/people-edit.ts';
import { ask } from '../../support/stage.ts';
import { ops, serveOn, type Web, type WebBrowser } from '../../support/web.ts';

const { bytes } = drawPicture('web', { type: 'jpeg', width: 48, height: 48 });
const sha256 = createHash('sha256').update(bytes).digest('hex');
const [withPhoto, without] = [randomUUID(), randomUUID()];
let store: EditStore;
let web: Web;
let tenant: string;
let account: string;
let bare: string;

beforeAll(async () => {
  store = await openEditStore();
  const { role } = await store.application({ grant: 'tenant-bound' });
  const parts = { frame: portalFrame, start: portalStartOf, contractRole: role };
  web = await serveOn(store.database, [...consolePages, ...portalPages], parts);
  tenant = await tenantWith(store, { displayName: { owner: 'directory' } });
  account = await accountOf(store, tenant, { objectId: withPhoto, mapped: { displayName: 'Ann Example' } });
  bare = await accountOf(store, tenant, { objectId: without, mapped: { displayName: 'zoë van der Berg' } });
  await ask(
    store,
    `insert into entra_sync.photos (account_id, tenant_id, read_at, content, content_type, sha256, width, height, updated_at)
     values (:account, :tenant, now(), :bytes, 'image/jpeg', :sha256, 48, 48, now())`,
    { account, tenant, bytes, sha256 },
  );
});

afterAll(async () => {
  await web.close();
  await store.close();
});

const person = (objectId: string): Promise<WebBrowser> =>
  web.browser({ tenantId: tenant, objectId, actor: `entra:${tenant}/${objectId}` });
const pathOf = (id: string) => `/console/t/${tenant}/people/${id}/photo`;
const looks = async () =>
  (
    await ask<{ looks: number }>(
      store,
      "select count(*)::int as looks from entra_sync.audit where act = 'person.photo_viewed'",
    )
  )[0]?.looks;

test('rule 57: one’s own page has one’s own photo, with its hash as ETag, kept by the browser alone', async () => {
  const browser = await person(withPhoto);
  expect((await browser.get('/me')).text).toContain('<img class="photo" src="/me/photo" alt="Your photo"');
  const { status, headers } = await browser.get('/me/photo');
  expect([status, headers.get('content-type'), headers.get('etag')]).toEqual([200, 'image/jpeg', `"${sha256}"`]);
  expect([headers.get('cache-control'), headers.get('x-content-type-options')]).toEqual([
    'private, no-cache',
    'nosniff',
  ]);
  expect(headers.get('content-security-policy')).toContain("img-src 'self'");
  const cookie = await web.cookie({ tenantId: tenant, objectId: withPhoto, actor: 'x' });
  const answer = await fetch(`${web.url}/me/photo`, { headers: { cookie: `entra-sync-test=${cookie}` } });
  expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true);
  const again = await browser.get('/me/photo', { 'if-none-match': `W/"x", "${sha256}"` });
  expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', `"${sha256}"`]);
  expect(await looks()).toBe(0);
});

test('a person without a photo has initials', async () => {
  const browser = await person(without);
  expect((await browser.get('/me')).text).toContain('<span class="photo" aria-hidden="true">ZB</span>');
  expect((await browser.get('/me/photo')).status).toBe(404);
});

test('rule 57: the table of access gives a photo to those who may open its page, and to no other', () => {
  expect(access['GET /me/photo']).toEqual(access['GET /me']);
  const page = 'GET /console/t/:tenant/people/:account';
  expect(access[`${page}/photo`]).toEqual(access[page]);
});

describe('rule 57: the photo of another person', () => {
  test('is for those who may open the person’s page, and each look is in the audit', async () => {
    const admin = await web.browser({
      tenantId: tenant,
      objectId: randomUUID(),
      directoryRole: 'admin',
      actor: 'admin',
    });
    const page = await admin.get(pathOf(account).replace('/photo', ''));
    expect(page.text).toContain(`<img class="photo" src="${pathOf(account)}" alt="Photo of Ann Example"`);
    const before = await looks();
    expect((await admin.get(pathOf(account))).status).toBe(200);
    expect((await admin.get(pathOf(account), { 'if-none-match': `"${sha256}"` })).status).toBe(304);
    expect(await looks()).toBe((before ?? 0) + 1);
    expect((await admin.get(pathOf(bare))).status).toBe(404);
  });

  test('is a 404 without a session, in a foreign tenant and for another person', async () => {
    const foreign = await tenantWith(store, {});
    const other = await web.browser({ tenantId: foreign, objectId: randomUUID(), directoryRole: 'admin', actor: 'x' });
    const own = pathOf(account).replace(tenant, foreign);
    for (const [browser, path] of [
      [web.with(), pathOf(account)],
      [web.with(), '/me/photo'],
      [other, pathOf(account)],
      [other, own],
      [await person(without), pathOf(account)],
    ] as const)
      expect((await browser.get(path)).status, path).toBe(404);
  });

  test('waits for the reason of the vendor’s people, as its page does', async () => {
    const vendor = await web.browser(ops('read'));
    expect((await vendor.get(pathOf(account))).status).toBe(404);
    await vendor.post(`/console/t/${tenant}/reason`, { reason: 'a ticket', to: `/console/t/${tenant}` });
    expect((await vendor.get(pathOf(account))).status).toBe(200);
  });

  test('is hidden with the account', async () => {
    const admin = await web.browser({
      tenantId: tenant,
      objectId: randomUUID(),
      directoryRole: 'admin',
      actor: 'admin',
    });
    const set = (removed: string) =>
      ask(store, `update entra_sync.accounts set ${removed} where account_id = :account`, { account });
    await set("removed_at = now(), removed_reason = 'by_hand', purge_at = now() + interval '1 day'");
    expect((await admin.get(pathOf(account))).status).toBe(404);
    expect((await admin.get(pathOf(account).replace('/photo', ''))).text).not.toContain('<img');
    await set('removed_at = null, removed_reason = null, purge_at = null');
  });
});

test.each([
  ['Ann Example', 'AE'],
  ['Ann', 'A'],
  ['Łucja Maria Nowak', 'ŁN'],
  ['ann (Sales)', 'AS'],
  ['山田 太郎', '山太'],
  ['e\u0301ric x', 'ÉX'],
  ['007', '?'],
  ['', '?'],
])('the initials of %j are %s', (name, initials) => {
  expect(initialsOf(name)).toBe(initials);
});
