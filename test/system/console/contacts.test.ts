// Contacts on a page: seen and changed by the customer's administrator, by no reader and by no other customer.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { contactsOf } from '../../../src/store/tenants/contacts.ts';
import { ask, leasedTenant } from '../../support/stage.ts';
import { type OwnWeb, openWeb, ops } from '../../support/web.ts';
import { openScene, type Scene } from '../../support/writers.ts';

let web: OwnWeb;
let scene: Scene;
let page: string;

beforeAll(async () => {
  web = await openWeb();
  scene = await openScene(web.store);
  page = `/console/t/${scene.tenantId}/contacts`;
});

afterAll(() => web?.close());

const signedIn = (tenantId: string, directoryRole: 'admin' | 'reader') =>
  web.browser({ tenantId, objectId: randomUUID(), directoryRole, actor: `entra:${tenantId}/x` });

test('the administrator of a customer changes the contacts, and a wrong address is told at its field with what was typed', async () => {
  const admin = await signedIn(scene.tenantId, 'admin');
  expect((await admin.get(`/console/t/${scene.tenantId}/settings`)).text).toContain(`href="${page}"`);
  const saved = await admin.post(page, { contacts: 'it@contoso.example\r\n\r\n a@contoso.example\r\n' });
  expect([saved.status, saved.headers.get('location')]).toEqual([303, expect.stringContaining('/contacts?done=saved')]);
  expect((await admin.get(page)).text).toContain('\na@contoso.example\nit@contoso.example</textarea>');
  const wrong = await admin.post(page, { contacts: 'it@contoso.example\n<b>@x' });
  expect([
    wrong.status,
    wrong.text.includes('href="#contacts"'),
    wrong.text.includes('&lt;b&gt;@x</textarea>'),
    /class="problem" id="under-contacts">[^<]*cannot be a contact/.test(wrong.text),
  ]).toEqual([422, true, true, true]);
  expect(await contactsOf(web.store.database, scene.tenantId)).toEqual(['a@contoso.example', 'it@contoso.example']);
  const audit = await ask(
    web.store,
    "select detail ->> 'outcome' as outcome, detail ->> 'contacts' as contacts from directory.audit where act = 'contacts.changed' order by audit_id",
  );
  expect(audit).toEqual([
    { outcome: 'done', contacts: '2' },
    { outcome: 'refused', contacts: null },
  ]);
});

test('readers and people of another customer neither see nor change contacts', async () => {
  const other = await leasedTenant(web.store);
  await other.release();
  const others = [
    await signedIn(scene.tenantId, 'reader'),
    await signedIn(other.tenantId, 'admin'),
    await web.browser(ops('read')),
  ];
  for (const one of others) {
    expect((await one.get(page)).status).toBe(404);
    expect((await one.post(page, { contacts: '' })).status).toBe(404);
  }
  expect(await contactsOf(web.store.database, scene.tenantId)).toHaveLength(2);
});
