// Pages and acts as the server answers them: sessions, tokens, refusals, the audit, slow statements.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { inTransaction, rows } from '../../src/store/database/pool.ts';
import { access, type Route } from '../../src/web/access.ts';
import { html, markOf } from '../../src/web/html.ts';
import { fallbackOf } from '../../src/web/language.ts';
import { action, page } from '../../src/web/page.ts';
import { position, positionOf } from '../../src/web/query.ts';
import { typedList, typedText } from '../../src/web/typed.ts';
import { readWebLanguages } from '../../src/web/web-language.ts';
import { tenantWith } from '../support/people-edit.ts';
import { ask } from '../support/stage.ts';
import { cookieName, type OwnWeb, openWeb, ops } from '../support/web.ts';

// Routes of this test alone.
const lines: Record<string, readonly string[]> = {
  'GET /test': ['ops_read'],
  'GET /test/t/:tenant/person': ['ops_read', 'admin'],
  'POST /test/t/:tenant/act': ['ops_act', 'admin'],
  'POST /test/t/:tenant/late': ['admin'],
};
Object.assign(access, lines);
const route = (name: string) => name as Route;

let acted = 0;

const listPage = page({
  route: route('GET /test'),
  query: { state: z.enum(['held', 'failing']), after: position('text', 'number'), wait: z.coerce.number().int() },
  audit: () => [{ act: 'test.listed' }],
  load: async (read, { query }) => {
    if (query.wait) await rows(read, 'select pg_sleep(:seconds)', { seconds: query.wait });
    return { state: query.state ?? 'all' };
  },
  render: ({ state }, view) => ({
    title: 'Test <page>',
    content: html`<h1>${state}</h1><p>${view.query.after?.keys.join('|') ?? 'start'}</p><p>${'<script>alert(1)</script>'}</p>
<a href="${view.here({ after: positionOf(['a', 1]) })}">next</a>`,
  }),
});

const personPage = page({
  route: route('GET /test/t/:tenant/person'),
  query: {},
  asksReason: true,
  load: async () => ({}),
  render: (_data, view) => ({
    title: 'Person',
    content: html`<p id="count">the person</p><p>${typedText(view.form, 'count') ?? ''}</p><p>${typedList(view.form, 'id').join('+')}</p>`,
  }),
  audit: () => [{ act: 'person.viewed' }],
});

const act = action({
  route: route('POST /test/t/:tenant/act'),
  form: { count: z.string().max(60_000).regex(/^\d+$/, 'The count is a number.'), other: z.string().max(9).optional() },
  audit: 'test.done',
  act: async (_database, { query, params }) => {
    acted += 1;
    if (query.count === '404') return undefined;
    if (query.count === '500') throw new Error('a secret of a defect');
    if (query.count === '409') return { problems: [{ message: 'Changed meanwhile.' }], conflict: true };
    return { to: `/test/t/${params.tenant}/person` };
  },
  again: personPage,
});

// A long act, in the ways that statements run: in a transaction that has written, alone, and behind a lock.
const late = action({
  route: route('POST /test/t/:tenant/late'),
  form: { count: z.string(), way: z.enum(['written', 'alone', 'locked', 'in time']) },
  audit: 'test.late',
  statementMs: 200,
  act: async (database, { query: { way }, params }) => {
    if (way === 'alone') await rows(database, 'select pg_sleep(20)');
    await inTransaction(database, async (on) => {
      await rows(on, "update entra_sync.tenants set name = 'half' where tenant_id = :tenant", params);
      if (way === 'written') await rows(on, 'select pg_sleep(20)');
    });
    return { to: `/test/t/${params.tenant}/person` };
  },
  again: personPage,
});

let web: OwnWeb;
let tenant: string;
let foreign: string;

beforeAll(async () => {
  web = await openWeb([listPage, personPage, act, late]);
  tenant = await tenantWith(web.store, {});
  foreign = await tenantWith(web.store, {});
});

afterAll(async () => {
  for (const name of Object.keys(lines)) delete (access as Record<string, unknown>)[name];
  await web.close();
});

beforeEach(async () => {
  acted = 0;
  await ask(web.store, "select set_config('entra_sync.audit_upkeep', 'on', false)");
  await ask(web.store, 'truncate entra_sync.audit');
});

const admin = () =>
  web.browser({ tenantId: tenant, objectId: randomUUID(), directoryRole: 'admin', actor: `entra:${tenant}/x` });
const auditOf = () =>
  ask<{
    act: string;
    outcome: string | null;
    actor: string;
    role: string;
    tenant_id: string | null;
    reference: string;
  }>(
    web.store,
    "select act, detail ->> 'outcome' as outcome, actor, role, tenant_id, reference from directory.audit order by audit_id",
  );

describe('the local entrance', () => {
  test('lets one browser in, once, as the operator who acts, and the audit says so', async () => {
    const nobody = web.with();
    const path = web.enter();
    const entered = await nobody.get(path);
    expect(entered.status).toBe(303);
    const cookie = entered.headers.get('set-cookie') ?? '';
    expect(cookie).toMatch(new RegExp(`^${cookieName}=[\\w-]{43}; Path=/; HttpOnly; SameSite=Lax$`));
    const [, value = ''] = /=([\w-]+);/.exec(cookie) ?? [];
    expect((await web.with(value).get('/test')).status).toBe(200);
    expect((await nobody.get(path)).status).toBe(401);
    const [entry] = await auditOf();
    expect(entry).toMatchObject({ act: 'sign_in.local', actor: 'the operator', role: 'ops_act' });
    // Signing out ends the session itself, not only the cookie.
    expect((await web.with(value).post('/leave')).status).toBe(303);
    expect((await web.with(value).get('/test')).status).toBe(401);
  });

  test('answers no other Host: a page of elsewhere that resolves to this machine reads nothing', async () => {
    const answer = await new Promise<number>((resolve, reject) => {
      import('node:http').then(({ get }) =>
        get(`${web.url}/test`, { headers: { host: 'evil.example' } }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        }).on('error', reject),
      );
    });
    expect(answer).toBe(421);
  });
});

test('without a session there is no page, whatever the cookie', async () => {
  for (const one of [web.with(), web.with('x'), web.with('a'.repeat(43)), web.with("' or true --".padEnd(43, '-'))]) {
    expect((await one.get('/test')).status).toBe(401);
    expect((await one.post(`/test/t/${tenant}/act`, { count: '1' })).status).toBe(401);
  }
  expect(acted).toBe(0);
});

test('every page has a policy with one script, by its hash, and is kept by no cache', async () => {
  const { headers, text } = await (await web.browser(ops('read'))).get('/test');
  const policy = headers.get('content-security-policy') ?? '';
  expect(policy).toMatch(
    /^default-src 'none'; style-src 'sha256-[\w+/=]+'; script-src 'sha256-[\w+/=]+'; connect-src 'self'; img-src/,
  );
  expect(policy).not.toMatch(/unsafe|\*/);
  expect(headers.get('cache-control')).toBe('no-store');
  expect(headers.get('x-frame-options')).toBe('DENY');
  expect(headers.get('referrer-policy')).toBe('no-referrer');
  expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
  expect(text).toContain('<title>Test &lt;page&gt; · entra-sync</title>');
  expect(text).not.toMatch(/<script| style="| on\w+=/);
});

test('a value of the query that does not fit is dropped, never an error', async () => {
  const browser = await web.browser(ops('read'));
  expect((await browser.get('/test?state=held')).text).toContain('<h1>held</h1>');
  for (const bad of [
    'state=nonsense',
    'state=held&state=failing',
    'after=%00',
    'after=e30',
    `after=${'a'.repeat(5_000)}`,
  ]) {
    const { status, text } = await browser.get(`/test?${bad}`);
    expect([bad, status]).toEqual([bad, 200]);
    expect(text).toContain('start');
  }
  const next = /href="([^"]+)">next/.exec((await browser.get('/test?state=held')).text)?.[1] ?? '';
  const after = await browser.get(next.replaceAll('&amp;', '&'));
  expect(after.text).toContain('<h1>held</h1>');
  expect(after.text).toContain('<p>a|1</p>');
});

test('a page whose statement takes longer than 3 s says so, and keeps its filters', async () => {
  const { status, text } = await (await web.browser(ops('read'))).get('/test?state=held&wait=20');
  expect(status).toBe(503);
  expect(text).toContain('This takes too long');
  expect(text).toContain('href="/test?state=held&amp;wait=20"');
});

test('an act whose statement takes longer than its time is taken back whole, says so, and keeps what was typed', async () => {
  const browser = await admin();
  const nameOf = async () =>
    (
      await ask<{ name: string }>(web.store, 'select name from entra_sync.tenants where tenant_id = :tenant', {
        tenant,
      })
    )[0]?.name;
  const before = await nameOf();
  const send = (way: string) => browser.post(`/test/t/${tenant}/late`, { way, count: '17' });
  for (const way of ['written', 'alone']) {
    const { status, text } = await send(way);
    expect([way, status, text.includes('Nothing was changed.')]).toEqual([way, 503, true]);
    expect(text).toContain('It took longer than 1 s, and was ended: everything is as it was.');
    expect(text).toContain('<p>17</p>');
  }
  const behind = await inTransaction(web.store.database, async (on) => {
    await rows(on, 'select from entra_sync.tenants where tenant_id = :tenant for update', { tenant });
    return send('locked');
  });
  expect([behind.status, behind.text.includes('Another transaction held')]).toEqual([503, true]);
  expect(await nameOf()).toBe(before);
  expect((await auditOf()).map(({ act, outcome }) => [act, outcome])).toEqual([
    ...Array.from({ length: 3 }).flatMap(() => [
      ['test.late', 'failed'],
      ['person.viewed', null],
    ]),
  ]);
  expect((await send('in time')).status).toBe(303);
  expect(await nameOf()).toBe('half');
  // The limit ends with the act: it lies on no connection.
  const [{ limit } = { limit: '' }] = await ask<{ limit: string }>(
    web.store,
    "select current_setting('statement_timeout') as limit",
  );
  expect(limit).toBe('0');
  await ask(web.store, 'update entra_sync.tenants set name = :before where tenant_id = :tenant', { before, tenant });
});

test('a page writes nothing: its transaction only reads', async () => {
  const writing = page({
    route: route('GET /test'),
    query: {},
    load: async (read) => rows(read, "update entra_sync.tenants set name = 'x'"),
    render: () => ({ title: '', content: html`` }),
  });
  const shown = writing.show({
    ...{
      database: web.store.database,
      route: route('GET /test'),
      path: '/test',
      params: {},
      given: {},
      token: '',
      base: '',
      language: fallbackOf(await readWebLanguages()),
    },
    viewer: { roles: ['ops_read'], tenantId: null, accountId: null, actor: 'x', shownAs: 'x', reasons: {} },
  });
  await expect(shown).rejects.toThrow(/read-only transaction/);
});

describe('rule 46: access', () => {
  test('another tenant is a 404, as is a tenant that there is not', async () => {
    const browser = await admin();
    expect((await browser.get(`/test/t/${tenant}/person`)).status).toBe(200);
    const pages = [foreign, randomUUID(), 'x', '%00', tenant.toUpperCase().slice(1)];
    const texts = new Set<string>();
    for (const id of pages) {
      const { status, text } = await browser.get(`/test/t/${id}/person`);
      expect([id, status]).toEqual([id, 404]);
      texts.add(text);
      expect((await browser.post(`/test/t/${id}/act`, { count: '1' })).status).toBe(404);
    }
    expect(texts.size).toBe(1);
    expect(acted).toBe(0);
    expect((await browser.get('/test')).status).toBe(404);
    // An id is one however it is written.
    expect((await browser.get(`/test/t/${tenant.toUpperCase()}/person`)).status).toBe(200);
  });

  test('ops that only read do not act', async () => {
    expect((await (await web.browser(ops('read'))).post(`/test/t/${tenant}/act`, { count: '1' })).status).toBe(404);
    const acting = await web.browser(ops('act'));
    await acting.post(`/console/t/${tenant}/reason`, { reason: 'ticket 4711' });
    expect((await acting.post(`/test/t/${tenant}/act`, { count: '1' })).status).toBe(303);
    expect(acted).toBe(1);
  });
});

test('rule 48: a look of ops at a page of no tenant is none of the tenant that they signed in to', async () => {
  await (await web.browser(ops('read'))).get('/test');
  expect(await auditOf()).toMatchObject([{ act: 'test.listed', role: 'ops_read', tenant_id: null }]);
});

describe('forms', () => {
  test.each([
    ['without the token', { _token: '' }, {}],
    ['with the token of another session', { _token: 'x'.repeat(43) }, {}],
    ['from another site', {}, { 'sec-fetch-site': 'cross-site' }],
    ['from another port of this machine', {}, { 'sec-fetch-site': 'same-site' }],
    ['of an old browser from elsewhere', {}, { 'sec-fetch-site': '', origin: 'https://evil.example' }],
  ])('%s nothing is done', async (_words, form, headers) => {
    const browser = await admin();
    const given: Record<string, string> = { ...headers };
    const { status } = await browser.post(`/test/t/${tenant}/act`, { count: '1', ...form }, given);
    expect(status).toBe(403);
    expect(acted).toBe(0);
    expect(await auditOf()).toMatchObject([{ act: 'test.done', outcome: 'not_from_this_page' }]);
  });

  test('a token is of one session, also of the same person', async () => {
    const [one, other] = [await admin(), await admin()];
    expect(one.token).not.toBe(other.token);
    expect((await one.post(`/test/t/${tenant}/act`, { count: '1', _token: other.token })).status).toBe(403);
  });

  test('of an earlier session of the same person come back as they were filled, and those of others do not', async () => {
    const [one, other] = [await admin(), await admin()];
    const form = { count: '17', id: ['a', 'b'], _token: other.token, _of: markOf({ actor: `entra:${tenant}/x` }) };
    const path = `/test/t/${tenant}/act`;
    const back = await one.post(path, form);
    expect([back.status, back.text.includes('Your session had ended.')]).toEqual([422, true]);
    expect(back.text).toContain('<p>17</p><p>a+b</p>');
    for (const [more, headers] of [
      [{ _of: markOf({ actor: 'entra:a/b' }) }, {}],
      [{}, { 'sec-fetch-site': 'cross-site' }],
    ] as const)
      expect((await one.post(path, { ...form, ...more }, headers)).status).toBe(403);
    // The vendor's person says why first, and the form is there after it.
    const session = { ...ops('act'), actor: `entra:${randomUUID()}/x` };
    const cookie = await web.cookie(session);
    const asked = await web.with(cookie).post(path, { ...form, _of: markOf(session) });
    expect([asked.status, asked.text.includes('A reason first')]).toEqual([422, true]);
    const [kept = ''] = asked.headers.getSetCookie();
    await web.with(cookie).post(`/console/t/${tenant}/reason`, { reason: 'a test', to: '/' });
    const headers = { cookie: `${cookieName}=${cookie}; ${kept.split(';')[0]}` };
    expect((await web.with(cookie).get(`/test/t/${tenant}/person`, headers)).text).toContain('<p>17</p><p>a+b</p>');
    expect([acted, (await auditOf()).filter(({ outcome }) => outcome === 'done')]).toMatchObject([
      0,
      [{ act: 'people.reason_given' }],
    ]);
  });

  test('lead on by 303, and what does not fit comes back with what was typed', async () => {
    const browser = await admin();
    const done = await browser.post(`/test/t/${tenant}/act`, { count: '3' });
    expect([done.status, done.headers.get('location')]).toEqual([303, `/test/t/${tenant}/person`]);
    const wrong = await browser.post(`/test/t/${tenant}/act`, { count: 'three <b>' });
    expect(wrong.status).toBe(422);
    expect(wrong.text).toContain('<a href="#count">The count is a number.</a>');
    expect(wrong.text).toContain('<title>Nothing was changed · Person · entra-sync</title>');
    expect(wrong.text).toContain('<p>three &lt;b&gt;</p>');
    const long = await browser.post(`/test/t/${tenant}/act`, { count: '1'.repeat(60_001), other: 'x'.repeat(10) });
    expect([long.status, long.text.includes('Too big')]).toEqual([422, false]);
    // A link leads to a field that the page has, and to no other.
    expect(long.text).toContain('<li><a href="#count">At most 60000 characters fit here.</a></li>');
    expect(long.text).toContain('<li>At most 9 characters fit here.</li>');
    const ticked = await browser.post(`/test/t/${tenant}/act`, { count: 'x', id: ['one', 'two'] });
    expect(ticked.text).toContain('<p>one+two</p>');
    const once = await browser.post(`/test/t/${tenant}/act`, { count: ['1', '2'], id: 'one' });
    expect([once.status, once.text.includes('<p></p><p>one</p>')]).toEqual([422, true]);
    const conflict = await browser.post(`/test/t/${tenant}/act`, { count: '409' });
    expect(conflict.status).toBe(409);
    expect(conflict.text).toContain('Changed meanwhile.');
    expect((await browser.post(`/test/t/${tenant}/act`, { count: '404' })).status).toBe(404);
  });

  test('rule 48: each is in the audit with its outcome, its actor and its role', async () => {
    const browser = await admin();
    for (const count of ['3', 'x', '409', '404', '500']) await browser.post(`/test/t/${tenant}/act`, { count });
    const found = (await auditOf()).filter(({ act: one }) => one === 'test.done');
    expect(found.map(({ outcome }) => outcome)).toEqual(['done', 'refused', 'conflict', 'not_found', 'failed']);
    for (const line of found)
      expect(line).toMatchObject({ actor: `entra:${tenant}/x`, role: 'admin', tenant_id: tenant });
    expect(new Set(found.map(({ reference }) => reference)).size).toBe(5);
  });

  test('a defect tells its reference, and nothing of itself', async () => {
    const { status, text } = await (await admin()).post(`/test/t/${tenant}/act`, { count: '500' });
    expect(status).toBe(500);
    const [line] = (await auditOf()).filter(({ outcome }) => outcome === 'failed');
    expect(text).toContain(line?.reference ?? 'no line');
    expect(text).not.toContain('secret');
  });

  test('that are too large, or no form, are refused', async () => {
    const browser = await admin();
    expect((await browser.post(`/test/t/${tenant}/act`, { count: '1'.repeat(70_000) })).status).toBe(413);
    expect((await browser.post(`/test/t/${tenant}/act`, {}, { 'content-type': 'application/json' })).status).toBe(415);
    expect(acted).toBe(0);
    // A list of removals has 200 rows with a GUID each, and is sent twice: those that were shown, and those that are ticked.
    expect((await browser.post(`/test/t/${tenant}/act`, { count: '1'.repeat(60_000) })).status).toBe(303);
  });
});

describe('a person’s page', () => {
  test('rule 48: the vendor says why first, once a tenant and session; the look is in the audit', async () => {
    const browser = await web.browser(ops('read'));
    const path = `/test/t/${tenant}/person`;
    const asked = await browser.get(path);
    expect(asked.text).toContain(`Why do you look at people of ${tenant}?`);
    expect(asked.text).not.toContain('the person');
    expect(await auditOf()).toEqual([]);
    const reason = `/console/t/${tenant}/reason`;
    expect((await browser.post(reason, { reason: ' ', to: path })).status).toBe(303);
    expect((await browser.get(path)).text).not.toContain('the person');
    await browser.post(reason, { reason: 'ticket 4711', to: path });
    expect((await browser.get(path)).text).toContain('the person');
    expect((await browser.get(path)).text).toContain('the person');
    expect((await browser.get(`/test/t/${foreign}/person`)).text).not.toContain('the person');
    expect((await (await web.browser(ops('read'))).get(path)).text).not.toContain('the person');
    expect((await auditOf()).map(({ act: one }) => one)).toEqual([
      'people.reason_given',
      'people.reason_given',
      'person.viewed',
      'person.viewed',
    ]);
  });

  test('the administrator of the tenant is not asked, and the look is in the audit', async () => {
    expect((await (await admin()).get(`/test/t/${tenant}/person`)).text).toContain('the person');
    expect(await auditOf()).toMatchObject([{ act: 'person.viewed', role: 'admin', tenant_id: tenant }]);
  });

  test('the reason leads back to a page of this tenant, and nowhere else', async () => {
    const browser = await web.browser(ops('read'));
    for (const to of ['https://evil.example/', '//evil.example', `/console/t/${foreign}/x`, '/leave']) {
      const answer = await browser.post(`/console/t/${tenant}/reason`, { reason: 'x', to });
      expect(answer.headers.get('location')).toBe(`/console/t/${tenant}`);
    }
  });
});
