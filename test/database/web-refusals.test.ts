// Forms that are refused, or come without a session: what they leave behind, in the audit and in the browser.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { createLog } from '../../src/logger.ts';
import { TooSlow } from '../../src/store/database/reading.ts';
import { access, type Route } from '../../src/web/access.ts';
import { html } from '../../src/web/html.ts';
import { action, page } from '../../src/web/page.ts';
import { serveWeb } from '../../src/web/server.ts';
import { viewerOf } from '../../src/web/session.ts';
import { freePort } from '../support/free-port.ts';
import { tenantWith } from '../support/people-edit.ts';
import { ask } from '../support/stage.ts';
import { type OwnWeb, openWeb, ops } from '../support/web.ts';

// Routes of this test alone.
const lines: Record<string, readonly string[]> = {
  'GET /refusals/t/:tenant/:account': ['ops_read', 'admin'],
  'POST /refusals/t/:tenant/:account': ['ops_act', 'admin'],
};
Object.assign(access, lines);

let acted = 0;

const personPage = page({
  route: 'GET /refusals/t/:tenant/:account' as Route,
  query: {},
  asksReason: true,
  load: async () => ({}),
  render: () => ({ title: 'Person', content: html`<p>the person</p>` }),
});

const act = action({
  route: 'POST /refusals/t/:tenant/:account' as Route,
  form: {},
  audit: 'test.done',
  act: async (_database, { params }) => {
    acted += 1;
    return { to: `/refusals/t/${params.tenant}/${params.account}` };
  },
  again: personPage,
});

const account = randomUUID();
let web: OwnWeb;
let tenant: string;
let foreign: string;

beforeAll(async () => {
  web = await openWeb([personPage, act]);
  tenant = await tenantWith(web.store, {});
  foreign = await tenantWith(web.store, {});
});

afterAll(async () => {
  for (const name of Object.keys(lines)) delete (access as Record<string, unknown>)[name];
  await web.close();
});

test.each(['/%E0%A4%A', '/refusals/t/%ff/x?lang=de', `/refusals/t/${'x'.repeat(600)}/x`, '/%'])(
  'an address that cannot be read is not found, and ends no server: %.30s',
  async (path) => {
    const german = { 'accept-language': 'de', cookie: 'entra-sync-language=xx' };
    const { status, text } = await web.with().get(path, german);
    expect([status, /<html lang="de">/.test(text)]).toEqual([404, true]);
  },
  2_000,
);

test('a part that fails to refuse an address that cannot be read ends no server', async () => {
  const part = {
    register: async () => {},
    refuseAddress: () => {
      throw new Error('a defect');
    },
  };
  const port = await freePort();
  const options = { host: '127.0.0.1', port, log: createLog('silent'), ready: async () => {} };
  const server = await serveWeb({ ...options, url: `http://127.0.0.1:${port}`, parts: [part] });
  onTestFinished(() => server.close());
  expect((await fetch(`http://127.0.0.1:${port}/%E0%A4%A`)).status).toBe(404);
});

beforeEach(async () => {
  acted = 0;
  await ask(web.store, "select set_config('entra_sync.audit_upkeep', 'on', false)");
  await ask(web.store, 'truncate entra_sync.audit');
});

const admin = () =>
  web.browser({ tenantId: tenant, objectId: randomUUID(), directoryRole: 'admin', actor: `entra:${tenant}/x` });
const auditOf = () =>
  ask<Record<string, unknown>>(
    web.store,
    'select act, detail, role, tenant_id, account_id from directory.audit order by audit_id',
  );
const reasonsOf = async () => {
  const [row] = await ask<{ reasons: object }>(
    web.store,
    'select reasons from entra_sync.sessions order by created_at desc limit 1',
  );
  return row?.reasons;
};

const elsewhere: readonly [string, Record<string, string>][] = [
  ['another site', { 'sec-fetch-site': 'cross-site' }],
  ['another port of this machine', { 'sec-fetch-site': 'same-site' }],
];

describe('without a session', () => {
  test.each(elsewhere)('a form of %s is not kept', async (_words, headers) => {
    const path = `/refusals/t/${tenant}/${account}`;
    const sent = await web.with().post(path, { text: 'evil' }, headers);
    expect([sent.status, sent.headers.getSetCookie()]).toEqual([403, []]);
    const own = await web.with().post(path, { text: 'mine' });
    expect([own.status, own.headers.getSetCookie().length]).toEqual([401, 1]);
  });

  test('a sign-out leads to the page that says so', async () => {
    const { status, headers } = await web.with().post('/leave');
    expect([status, headers.get('location')]).toEqual([303, '/']);
  });

  test('a database that does not answer is told after 3 s', async () => {
    const cookie = await web.cookie(ops('act'));
    const browser = web.with(cookie);
    await web.store.database.transaction(async (other) => {
      await other.raw('lock table entra_sync.sessions in access exclusive mode');
      // By the end of the statement, and not by that of the patience with locks.
      const looked = expect(viewerOf(web.store.database, cookie)).rejects.toThrow(TooSlow);
      const { status, text } = await browser.get(`/refusals/t/${tenant}/${account}`);
      await looked;
      expect(status).toBe(503);
      expect(text).toContain('The database does not answer as it should.');
    });
    expect((await browser.get(`/refusals/t/${tenant}/${account}`)).status).toBe(200);
  });

  test('a session whose row another request has locked is found, without a wait', async () => {
    const browser = await admin();
    await ask(web.store, "update entra_sync.sessions set seen_at = seen_at - interval '10 minutes'");
    await web.store.database.transaction(async (other) => {
      await other.raw('select from entra_sync.sessions for update');
      expect((await browser.get(`/refusals/t/${tenant}/${account}`)).status).toBe(200);
    });
  });
});

describe('rule 48: in the audit is', () => {
  test('an act that the role may not do, of the person’s own tenant', async () => {
    const browser = await admin();
    expect((await browser.post(`/refusals/t/${foreign}/${account}`)).status).toBe(404);
    const reading = await web.browser(ops('read'));
    expect((await reading.post(`/refusals/t/${foreign}/${account}`)).status).toBe(404);
    const of = { act: 'test.done', account_id: account };
    expect(await auditOf()).toEqual([
      { ...of, role: 'admin', tenant_id: tenant, detail: { outcome: 'not_allowed', tenant: foreign } },
      { ...of, role: 'ops_read', tenant_id: foreign, detail: { outcome: 'not_allowed' } },
    ]);
    expect(acted).toBe(0);
  });

  test('the account of the page, whatever the outcome', async () => {
    const browser = await admin();
    await browser.post(`/refusals/t/${tenant}/${account}`, { _token: '' });
    await browser.post(`/refusals/t/${tenant}/${account}`);
    await browser.post(`/refusals/t/${tenant}/no-guid`);
    expect((await auditOf()).map(({ detail, account_id }) => [detail, account_id])).toEqual([
      [{ outcome: 'not_from_this_page' }, account],
      [{ outcome: 'done' }, account],
      [{ outcome: 'done' }, null],
    ]);
  });

  test('a sign-out that no page of ours sent, and it ends nothing', async () => {
    const browser = await admin();
    expect((await browser.post('/leave', { _token: 'x' })).status).toBe(403);
    expect((await browser.post('/leave', {}, { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect((await browser.get(`/refusals/t/${tenant}/${account}`)).status).toBe(200);
    const line = { act: 'sign_out', role: 'admin', tenant_id: tenant, detail: { outcome: 'not_from_this_page' } };
    expect(await auditOf()).toMatchObject([line, line]);
  });

  test('an act of the vendor’s people that wants a reason first, which is not done', async () => {
    const browser = await web.browser(ops('act'));
    const path = `/refusals/t/${tenant}/${account}`;
    const asked = await browser.post(path);
    expect([asked.status, acted]).toEqual([422, 0]);
    expect(asked.text).toContain(`Why do you look at people of ${tenant}?`);
    expect(asked.text).toContain(`name="to" value="${path}"`);
    expect(await auditOf()).toMatchObject([{ detail: { outcome: 'reason_wanted' }, tenant_id: tenant }]);
    await browser.post(`/console/t/${tenant}/reason`, { reason: 'ticket 4711' });
    expect([(await browser.post(path)).status, acted]).toEqual([303, 1]);
  });
});

test('a form that comes back after a sign-in waits for the reason', async () => {
  const path = `/refusals/t/${tenant}/${account}`;
  const kept = (await web.with().post(path, { text: 'mine' })).headers.getSetCookie()[0]?.split(';')[0] ?? '';
  const cookie = await web.cookie(ops('act'));
  const browser = web.with(cookie);
  const both = { cookie: `entra-sync-test=${cookie}; ${kept}` };
  const asked = await browser.get(path, both);
  expect([asked.text.includes('A reason first'), asked.headers.getSetCookie()]).toEqual([true, []]);
  await browser.post(`/console/t/${tenant}/reason`, { reason: 'x' });
  expect((await browser.get(path, both)).headers.getSetCookie().length).toBe(1);
});

describe('a reason', () => {
  const give = async (form: Record<string, string>, of = tenant, headers = {}) => {
    const browser = await web.browser(ops('read'));
    const { status, headers: got } = await browser.post(`/console/t/${of}/reason`, form, headers);
    return [status, got.get('location')];
  };

  test('is kept in whole characters, and as the audit has it', async () => {
    const long = `${'x'.repeat(199)}😀 and more`;
    expect(await give({ reason: long })).toEqual([303, `/console/t/${tenant}`]);
    const reason = `${'x'.repeat(199)}😀`;
    expect(await reasonsOf()).toEqual({ [tenant]: reason });
    expect(await auditOf()).toMatchObject([{ act: 'people.reason_given', detail: { reason, outcome: 'done' } }]);
  });

  test('that is empty, or of another site, or of another’s tenant, is in the audit and opens nothing', async () => {
    expect(await give({ reason: '\u0001 ' })).toEqual([303, `/console/t/${tenant}`]);
    expect(await reasonsOf()).toEqual({});
    expect(await give({ reason: 'x' }, tenant, { 'sec-fetch-site': 'cross-site' })).toEqual([403, null]);
    expect((await (await admin()).post(`/console/t/${tenant}/reason`, { reason: 'x' })).status).toBe(404);
    expect((await auditOf()).map(({ detail, role }) => [role, detail])).toEqual([
      ['ops_read', { outcome: 'refused' }],
      ['ops_read', { outcome: 'not_from_this_page' }],
      ['admin', { outcome: 'not_allowed' }],
    ]);
  });

  test('a page of a tenant that there is not is a 404, and is not kept', async () => {
    expect(await give({ reason: 'x' }, randomUUID())).toEqual([404, null]);
    expect(await reasonsOf()).toEqual({});
    expect(await auditOf()).toMatchObject([{ detail: { outcome: 'not_found' } }]);
  });

  test('that the audit does not take is not kept', async () => {
    await ask(web.store, 'alter table entra_sync.audit add constraint full_disk check (false) not valid');
    expect(await give({ reason: 'x' })).toEqual([500, null]);
    await ask(web.store, 'alter table entra_sync.audit drop constraint full_disk');
    expect(await reasonsOf()).toEqual({});
  });

  test('leads back to the page as it was asked for, and for an address of no page to the tenant', async () => {
    const upper = `/console/t/${tenant.toUpperCase()}/people/${account}`;
    const encoded = `/console/t/${tenant}/people?q=M%C3%BCller`;
    for (const to of [upper, encoded]) expect(await give({ reason: 'x', to })).toEqual([303, to]);
    for (const to of [`/console/t/${tenant}/people?q=Müller`, `/console/t/${tenant}/a\r\nb`])
      expect(await give({ reason: 'x', to })).toEqual([303, `/console/t/${tenant}`]);
  });
});
