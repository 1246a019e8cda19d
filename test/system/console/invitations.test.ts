// Invitations on a page: made once, shown once, withdrawn as the command line does.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSteps } from '../../../src/web/connect/steps.ts';
import { ask } from '../../support/stage.ts';
import { type OwnWeb, openWeb, ops, type WebBrowser } from '../../support/web.ts';

const nasty = `<b>Bänner</b> "&' שלום`;
const page = '/console/invitations';

let web: OwnWeb;
let operator: WebBrowser;

beforeAll(async () => {
  web = await openWeb();
  operator = await web.browser(ops('act'));
});

afterAll(() => web?.close());

const form = (more: Record<string, string> = {}) => ({
  id: randomUUID(),
  ref: 'C-17',
  name: '',
  tenant: '',
  contacts: '',
  expires: '7d',
  ...more,
});
const made = () =>
  ask<{ external_ref: string; name: string | null; tenant_id: string | null; actor: string }>(
    web.store,
    'select external_ref, name, tenant_id, actor from entra_sync.invitations order by created_at',
  );

test('a link is shown once, leads to the consent page, and a second press makes no other', async () => {
  const sent = form({ ref: nasty, name: nasty });
  const answer = await operator.post(page, sent);
  const [, link = ''] = answer.text.match(/readonly value="([^"]+)"/) ?? [];
  expect([answer.status, link.startsWith(`${web.url}/invitation/`)]).toEqual([200, true]);
  const steps = await openSteps(web.store.database);
  expect(await steps.invitationOf(link.split('/').at(-1) ?? '')).toMatchObject({ external_ref: nasty, name: nasty });
  const twice = await operator.post(page, sent);
  expect([twice.status, twice.text.includes('is made already')]).toEqual([409, true]);
  expect(await made()).toMatchObject([
    { external_ref: nasty, tenant_id: null, actor: expect.stringMatching(/^entra:/) },
  ]);
  // Refused, it leaves no half of itself: the tenant that it names is not registered.
  const named = randomUUID();
  expect((await operator.post(page, { ...sent, tenant: named })).status).toBe(409);
  expect(await ask(web.store, 'select from directory.tenants where tenant_id = :named', { named })).toEqual([]);
  const list = await operator.get(page);
  expect(list.text).toContain('&lt;b&gt;Bänner');
  for (const text of [list.text, twice.text]) expect(text).not.toMatch(/\/invitation\/|<b>Bänner/);
  const told = await ask(
    web.store,
    `select act, detail ->> 'outcome' as outcome, detail ->> 'ref' as ref from directory.audit
      where act like 'invitation.%' order by audit_id`,
  );
  expect(told).toEqual([
    { act: 'invitation.created', outcome: 'done', ref: nasty },
    { act: 'invitation.created', outcome: 'conflict', ref: null },
    { act: 'invitation.created', outcome: 'conflict', ref: null },
  ]);
});

test('a tenant that it names is registered as pending; one of another customer is refused at its field', async () => {
  const tenant = randomUUID();
  const contacts = 'it@contoso.example, IT@contoso.example';
  expect((await operator.post(page, form({ tenant: tenant.toUpperCase(), name: 'Contoso', contacts }))).status).toBe(
    200,
  );
  const registered = 'select name, status, external_ref from directory.tenants where tenant_id = :tenant';
  expect(await ask(web.store, registered, { tenant })).toEqual([
    { name: 'Contoso', status: 'pending', external_ref: 'C-17' },
  ]);
  expect(
    await ask(web.store, 'select contacts from entra_sync.invitations where tenant_id = :tenant', { tenant }),
  ).toEqual([{ contacts: ['it@contoso.example'] }]);
  const other = await operator.post(page, form({ tenant, ref: 'C-18' }));
  expect([other.status, other.text.includes('href="#tenant"')]).toEqual([422, true]);
  expect(other.text).toContain('value="C-18"');
  for (const [wrong, field] of [
    [{ ref: ' ' }, 'ref'],
    [{ name: 'a\u0007' }, 'name'],
    [{ tenant: 'contoso.com' }, 'tenant'],
    [{ contacts: 'it' }, 'contacts'],
  ] as const) {
    const { status, text } = await operator.post(page, form(wrong));
    expect([field, status, text.includes(`href="#${field}"`)]).toEqual([field, 422, true]);
  }
});

test('all invitations of a customer are withdrawn; those who only look make and withdraw none', async () => {
  const answer = await operator.post(`${page}/withdraw`, { ref: 'C-17' });
  expect([answer.status, answer.text.includes('1 invitation of C-17 withdrawn')]).toEqual([200, true]);
  expect((await made()).map((one) => one.external_ref)).toEqual([nasty]);
  const reader = await web.browser(ops('read'));
  const { status, text } = await reader.get(page);
  expect([status, text.includes('<form method="post" action="/console')]).toEqual([200, false]);
  for (const path of ['', '/withdraw']) expect((await reader.post(page + path, form())).status).toBe(404);
});
