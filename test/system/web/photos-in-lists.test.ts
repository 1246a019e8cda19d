// The small photos in the lists of people: the manager's team and the console's people, for those who may open the photo (rule 57).
import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { drawPicture } from '../../../src/simulator/tenant/pictures.ts';
import { access } from '../../../src/web/access.ts';
import { consolePages } from '../../../src/web/console/pages.ts';
import { portalFrame } from '../../../src/web/portal/frame.ts';
import { portalPages, portalStartOf } from '../../../src/web/portal/pages.ts';
import { accountOf, type EditStore, openEditStore, tenantWith } from '../../support/people-edit.ts';
import { ask } from '../../support/stage.ts';
import { ops, serveOn, type Web, type WebBrowser } from '../../support/web.ts';

const { bytes } = drawPicture('web', { type: 'jpeg', width: 48, height: 48 });
const sha256 = createHash('sha256').update(bytes).digest('hex');
const [boss, outsider] = [randomUUID(), randomUUID()];
let store: EditStore;
let web: Web;
let tenant: string;
let ann: string;
let bo: string;
let chief: string;
let manager: WebBrowser;
let admin: WebBrowser;

beforeAll(async () => {
  store = await openEditStore();
  const { role } = await store.application({ grant: 'tenant-bound' });
  const parts = { frame: portalFrame, start: portalStartOf, contractRole: role };
  web = await serveOn(store.database, [...consolePages, ...portalPages], parts);
  tenant = await tenantWith(store, { displayName: { owner: 'directory' } });
  await settings({ photos: { read: true }, managers: true, portal: { managers: true } });
  const of = (displayName: string, source: object, objectId: string = randomUUID()) =>
    accountOf(store, tenant, { objectId, mapped: { displayName }, source });
  chief = await of('Cleo Chief', {}, boss);
  ann = await of('Ann <Berg>', { manager: boss });
  bo = await of('Bo Lind', { manager: boss });
  manager = await web.browser({ tenantId: tenant, objectId: boss, actor: 'x' });
  admin = await web.browser({ tenantId: tenant, objectId: randomUUID(), directoryRole: 'admin', actor: 'admin' });
});

afterAll(async () => {
  await web.close();
  await store.close();
});

const settings = (document: object) =>
  ask(store, "insert into entra_sync.settings (tenant_id, document, actor) values (:tenant, :document, 'test')", {
    tenant,
    document: JSON.stringify(document),
  });
const givePhoto = (account: string) =>
  ask(
    store,
    `insert into entra_sync.photos (account_id, tenant_id, read_at, content, content_type, sha256, width, height, updated_at)
     values (:account, :tenant, now(), :bytes, 'image/jpeg', :sha256, 48, 48, now())`,
    { account, tenant, bytes, sha256 },
  );
/** Runs a test with the photo of an account, which is gone afterwards. */
async function withPhoto(account: string, then: () => Promise<void>): Promise<void> {
  await givePhoto(account);
  await then().finally(() => ask(store, 'delete from entra_sync.photos where account_id = :account', { account }));
}
const pathOf = (account: string) => `/console/t/${tenant}/people/${account}`;
const small = (path: string) =>
  `<span class="person"><img class="photo small" src="${path}/photo" alt="" width="28" height="28" loading="lazy" decoding="async"><a href="${path}">`;
const initials = (letters: string, path: string) =>
  `<span class="person"><span class="photo small" aria-hidden="true">${letters}</span><a href="${path}">`;
const bare = (path: string) => `role="rowheader"><a href="${path}">`;
/** The statements of a request: the fewest of two, since a session's upkeep may come with one. */
const statementsOf = async (work: () => Promise<unknown>) => {
  const counts: number[] = [];
  for (let time = 0; time < 2; time += 1) {
    let count = 0;
    const counted = () => {
      count += 1;
    };
    store.database.on('query', counted);
    await work().finally(() => store.database.removeListener('query', counted));
    counts.push(count);
  }
  return Math.min(...counts);
};

test('a list without a photo has neither picture nor initials', async () => {
  for (const text of [(await manager.get('/team')).text, (await manager.get(`/team/${ann}`)).text]) {
    expect(text).toContain('Ann &lt;Berg&gt;');
    expect(text).not.toMatch(/class="photo|\/photo"/);
  }
  const list = (await admin.get(`/console/t/${tenant}/people`)).text;
  expect(list).toContain(bare(pathOf(ann)));
  expect(list).not.toMatch(/class="photo|\/photo"/);
});

test('the team has small photos beside the names, initials where there is none, and no statement a row', async () => {
  const before = await statementsOf(() => manager.get('/team?q=ann'));
  await withPhoto(ann, async () => {
    const { text } = await manager.get('/team');
    expect(text).toContain(small(`/team/${ann}`));
    expect(text).toContain(initials('BL', `/team/${bo}`));
    expect((await manager.get(`/team/${ann}`)).text).toContain(
      `<img class="photo" src="/team/${ann}/photo" alt="Photo of Ann &lt;Berg&gt;"`,
    );
    expect((await manager.get(`/team/${bo}`)).text).toContain('<span class="photo" aria-hidden="true">BL</span>');
    expect(await statementsOf(() => manager.get('/team'))).toBe(before);
  });
});

test('the people of the console have them too, found by words or listed, by one statement more', async () => {
  await withPhoto(ann, async () => {
    for (const query of ['', '?q=ann', '?show=managed'])
      expect((await admin.get(`/console/t/${tenant}/people${query}`)).text, query).toContain(small(pathOf(ann)));
    const list = () => admin.get(`/console/t/${tenant}/people`);
    expect((await list()).text).toContain(initials('BL', pathOf(bo)));
    const all = await statementsOf(list);
    expect(await statementsOf(() => admin.get(`/console/t/${tenant}/people?show=removed`))).toBe(all - 1);
    expect(await statementsOf(() => admin.get(`/console/t/${tenant}/people?field=displayName&value=bo+lind`))).toBe(
      all,
    );
  });
});

test('rule 57: a manager has the photos of the people that the manager manages now, and each look is in the audit', async () => {
  expect(access['GET /team/:account/photo']).toEqual(access['GET /team/:account']);
  const colleague = await accountOf(store, tenant, { objectId: outsider, mapped: { displayName: 'Dan' } });
  await givePhoto(colleague);
  await withPhoto(ann, async () => {
    const photo = await manager.get(`/team/${ann}/photo`);
    expect([photo.status, photo.headers.get('content-type'), photo.headers.get('etag')]).toEqual([
      ...[200, 'image/jpeg', `"${sha256}"`],
    ]);
    expect((await manager.get(`/team/${ann}/photo`, { 'if-none-match': `"${sha256}"` })).status).toBe(304);
    const looks = await ask(
      store,
      `select account_id, role from entra_sync.audit where act = 'person.photo_viewed' and role = 'manager'`,
    );
    expect(looks).toEqual([{ account_id: ann, role: 'manager' }]);
    const person = await web.browser({ tenantId: tenant, objectId: outsider, actor: 'y' });
    for (const [browser, account] of [
      ...[bo, colleague, chief, randomUUID(), 'nobody'].map((one) => [manager, one] as const),
      ...[person, web.with(), admin].map((one) => [one, ann] as const),
    ])
      expect((await browser.get(`/team/${account}/photo`)).status, account).toBe(404);
    await ask(store, `update entra_sync.accounts set source = '{}' where account_id = :ann`, { ann });
    expect((await manager.get(`/team/${ann}/photo`)).status).toBe(404);
    await ask(
      store,
      `update entra_sync.accounts set source = jsonb_build_object('manager', :boss::text) where account_id = :ann`,
      {
        ...{ ann, boss },
      },
    );
    await settings({ photos: { read: true }, portal: { managers: false } });
    expect((await manager.get(`/team/${ann}/photo`)).status).toBe(404);
    await settings({ photos: { read: true }, managers: true, portal: { managers: true } });
  });
});

test('rule 57: the list asks for no photo that the viewer would be refused: the vendor’s people say why first', async () => {
  await withPhoto(ann, async () => {
    const vendor = await web.browser(ops('read'));
    const list = async () => (await vendor.get(`/console/t/${tenant}/people`)).text;
    expect(await list()).not.toMatch(/class="photo|\/photo"/);
    await vendor.post(`/console/t/${tenant}/reason`, { reason: 'a ticket', to: `/console/t/${tenant}` });
    expect(await list()).toContain(small(pathOf(ann)));
    expect((await vendor.get(`${pathOf(ann)}/photo`)).status).toBe(200);
  });
});

test('a tenant that reads no photos is asked for none, though the last pass left some', async () => {
  await withPhoto(ann, async () => {
    await settings({ photos: { read: false }, managers: true, portal: { managers: true } });
    expect((await admin.get(`/console/t/${tenant}/people`)).text).not.toMatch(/class="photo|\/photo"/);
    await settings({ photos: { read: true }, managers: true, portal: { managers: true } });
  });
});
