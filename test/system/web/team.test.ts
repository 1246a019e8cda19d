// The preview of what people get, and the pages of managers.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { portalFrame } from '../../../src/web/portal/frame.ts';
import { portalPages, portalStartOf } from '../../../src/web/portal/pages.ts';
import { positionOf } from '../../../src/web/query.ts';
import { accountOf, changesOf, storedAccount, tenantWith } from '../../support/people-edit.ts';
import { openPortal, type Portal } from '../../support/portal.ts';
import { ask } from '../../support/stage.ts';
import { type Answer, serveOn, type WebBrowser } from '../../support/web.ts';

let portal: Portal;
let tenant: string;
let ann: { object: string; id: string };
let boss: { object: string; id: string };
let browser: WebBrowser;
let manager: WebBrowser;

const picture =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const html = `<style>.card { color: #036 }</style><table class="card"><tr><td><b>{{displayName}}</b>{{#jobTitle}}<br>{{jobTitle}}{{/jobTitle}}</td>
<td><img src="${picture}" alt="{{inner}}"></td></tr><tr><td><a href="tel:{{phone}}">{{phone}}</a></td></tr></table>`;

const given = { managers: true, portal: { managers: true }, previewImages: ['cdn.example.com', '*.pictures.example'] };

async function settings(document: object): Promise<void> {
  await ask(
    portal.store,
    "insert into entra_sync.settings (tenant_id, document, actor) values (:tenant, :document, 'test')",
    { tenant, document: JSON.stringify(document) },
  );
}

beforeAll(async () => {
  portal = await openPortal();
  const fields = {
    displayName: { owner: 'directory' },
    inner: { editableBy: ['user'] },
    hidden: { editableBy: ['manager'] },
    jobTitle: { max: 20 },
    phone: {},
    pronouns: { mappedFrom: null, editableBy: ['user'] },
  } as const;
  tenant = await tenantWith(portal.store, fields as never);
  await ask(
    portal.store,
    `update entra_sync.field_rules set kind = 'text', shown = field not in ('inner', 'hidden'), private = field = 'pronouns' where tenant_id = :tenant`,
    { tenant },
  );
  await settings(given);
  await ask(portal.store, `select directory.put_slot(:tenant, 'signature', 1, 'Signature', 'x')`, { tenant });
  await ask(portal.store, `select directory.put_item(:tenant, 'signature', 'card', 'Card', :html, 'x')`, {
    tenant,
    html,
  });
});

afterAll(() => portal.close());

beforeEach(async () => {
  const [person, chief] = [randomUUID(), randomUUID()];
  const mapped = { displayName: 'Ann <Berg>', inner: 'kept & inside', hidden: 'h', jobTitle: 'Clerk', phone: '+49 30' };
  boss = {
    object: chief,
    id: await accountOf(portal.store, tenant, { objectId: chief, mapped: { displayName: 'Bo Chief' } }),
  };
  ann = {
    object: person,
    id: await accountOf(portal.store, tenant, {
      objectId: person,
      mapped,
      source: { manager: chief },
      mail: `${person}@a.example`,
    }),
  };
  const target = JSON.stringify({ account: ann.id });
  await ask(portal.store, `select directory.assign(:tenant, 'signature', 'card', :target::jsonb, null, 'x')`, {
    tenant,
    target,
  });
  browser = await portal.person(tenant, ann.object);
  manager = await portal.person(tenant, boss.object);
});

/** Returns the form of a page as a browser sends it. */
function formOf(text: string, changed: Record<string, string> = {}): Record<string, string> {
  const inputs = [...text.matchAll(/<input[^>]* name="((?:field|was)\.\w+|at)"[^>]*value="([^"]*)"/g)];
  const unescaped = (value = '') => value.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
  return { ...Object.fromEntries(inputs.map(([, name, value]) => [name, unescaped(value)])), ...changed };
}

type Line = { act: string; role: string; outcome: string | null; mine: boolean };
const audited = (accountId: string) =>
  ask<Line>(
    portal.store,
    `select act, role, detail ->> 'outcome' as outcome, actor = 'account:' || :accountId as mine
       from directory.audit where account_id = :accountId::uuid order by audit_id`,
    { accountId },
  );
const path = () => `/team/${ann.id}`;
const titleOf = ({ text }: Answer) => /<title>([^<]*)/.exec(text)?.[1];

describe('the preview', () => {
  test('is a document with a policy of its own, which pages of this site may frame', async () => {
    const { status, headers, text } = await browser.get('/me/preview');
    expect(status).toBe(200);
    expect(headers.get('content-security-policy')).toBe(
      "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data: https://cdn.example.com https://*.pictures.example; frame-ancestors 'self'; base-uri 'none'; form-action 'none'",
    );
    expect([headers.get('x-frame-options'), headers.get('cross-origin-opener-policy')]).toEqual(['SAMEORIGIN', null]);
    expect(text).toContain('<b>Ann &lt;Berg&gt;</b><br>Clerk');
    expect(text).toContain('<pre class="preview-text">Ann &lt;Berg&gt;\nClerk kept &amp; inside\n+49 30</pre>');
    const page = await browser.get('/me');
    expect(page.headers.get('x-frame-options')).toBe('DENY');
    expect(page.headers.get('content-security-policy')).toContain("frame-src 'self'; form-action 'self'");
    expect(page.text).toMatch(/<iframe name="preview" title="Preview" src="\/me\/preview" sandbox loading="lazy">/);
    expect(page.text).toMatch(/<button formaction="\/me\/preview" formtarget="preview" formnovalidate>/);
  });

  test('shows what is typed and not saved, and stores nothing of it', async () => {
    const form = formOf((await browser.get('/me')).text, { 'field.jobTitle': 'Head of "A" <b>', 'field.phone': '' });
    const { status, text } = await browser.post('/me/preview', form);
    expect(status).toBe(200);
    expect(text).toContain('<br>Head of &quot;A&quot; &lt;b&gt;</td>');
    expect(text).toContain('<a href="tel:"></a>');
    expect(await storedAccount(portal.store, ann.id)).toMatchObject({ moved: false, overrides: {}, edits: {} });
    expect((await changesOf(portal.store, ann.id)).filter(({ kind }) => kind.startsWith('account.'))).toEqual([]);
    expect((await browser.get('/me/preview')).text).toContain('<br>Clerk');
    // A look at oneself is in no audit, a form is.
    expect(await audited(ann.id)).toEqual([{ act: 'me.previewed', role: 'user', outcome: 'done', mine: true }]);
  });

  test('says which field is refused, and shows the others', async () => {
    const typed = { 'field.jobTitle': 'Head of '.repeat(9), 'field.phone': '+1' };
    const { status, text } = await browser.post('/me/preview?lang=de', formOf((await browser.get('/me')).text, typed));
    expect(status).toBe(200);
    expect(text).toContain('<li>jobTitle: ');
    expect(text).toMatch(/<html lang="de">[\s\S]*Das kann nicht gespeichert werden/);
    expect(text).toMatch(/<br>Clerk<[\s\S]*<a href="tel:\+1">/);
    expect((await audited(ann.id)).map(({ outcome }) => outcome)).toEqual(['refused']);
  });

  test('takes no field that the person may not edit', async () => {
    const { text } = await browser.post('/me/preview', { 'field.displayName': 'Eve', 'was.displayName': 'x' });
    expect(text).toContain('Ann &lt;Berg&gt;');
    expect(text).not.toContain('Eve');
  });

  test('tells refusals in the frame, and in the audit', async () => {
    const isFramed = ({ headers, status }: Answer) => [status, headers.get('x-frame-options')];
    expect(isFramed(await portal.with().post('/me/preview'))).toEqual([401, 'SAMEORIGIN']);
    expect(isFramed(await browser.post('/me/preview', { _token: 'x' }))).toEqual([403, 'SAMEORIGIN']);
    expect(isFramed(await browser.get(`${path()}/preview`))).toEqual([404, 'SAMEORIGIN']);
    expect(isFramed(await browser.post(`${path()}/preview`))).toEqual([404, 'SAMEORIGIN']);
    expect(await audited(ann.id)).toEqual([
      { act: 'me.previewed', role: 'user', outcome: 'not_from_this_page', mine: true },
      { act: 'person.previewed', role: 'user', outcome: 'not_allowed', mine: true },
    ]);
  });

  test('is shown to an operator who looks as the person, told in the audit, and takes no form', async () => {
    const standing = { actor: 'Bob', looksOnly: true };
    const parts = { frame: portalFrame, start: portalStartOf, contractRole: portal.role, standing };
    const local = await serveOn(portal.store.database, portalPages, parts);
    onTestFinished(() => local.close());
    const session = { tenantId: tenant, objectId: ann.object, actor: 'Bob' };
    const operator = await local.browser(session);
    const page = await operator.get('/me');
    expect(page.text).toMatch(/<iframe name="preview"/);
    expect(page.text).not.toContain('formtarget');
    expect((await operator.get('/me/preview')).text).toContain('<br>Clerk');
    expect((await operator.post('/me/preview', formOf(page.text, { 'field.jobTitle': 'X' }))).status).toBe(404);
    expect((await audited(ann.id)).map(({ act, outcome }) => [act, outcome])).toEqual([
      ['person.viewed', null],
      ['me.previewed', 'done'],
    ]);
  });

  test('is not on the page of a person who gets no item with html', async () => {
    expect((await manager.get('/me')).text).not.toContain('<iframe');
    expect((await manager.get('/me/preview')).text).toContain('There is nothing to show.');
  });
});

describe('rule 49: the page of a manager', () => {
  test('shows the present values that pages show or managers edit, and who changed them last by role alone', async () => {
    const other = await accountOf(portal.store, tenant, { mapped: { displayName: 'Hidden Helper' }, source: {} });
    const edit = (actor: string, role: string, patch: object) =>
      ask(portal.store, 'select directory.edit_account(:id, :patch::jsonb, :actor, :role)', {
        ...{ id: ann.id, actor, role, patch: JSON.stringify(patch) },
      });
    await edit(`account:${ann.id}`, 'user', { jobTitle: 'Former', phone: '1', pronouns: 'zuvor' });
    await edit(`account:${ann.id}`, 'user', { pronouns: 'she', jobTitle: 'Second', inner: 'secret' });
    await edit(`account:${other}`, 'manager', { jobTitle: 'Third' });
    await edit('Eve Admin', 'manager', { phone: '2' });
    const { status, text } = await manager.get(path());
    expect(status).toBe(200);
    const [inputs = '', rest = ''] = text.split('id="rest"');
    expect([...inputs.matchAll(/name="field\.(\w+)"/g)].map(([, name]) => name)).toEqual([
      'hidden',
      'jobTitle',
      'phone',
    ]);
    expect(inputs).toMatch(/value="Third"[\s\S]*Last changed by another person of your company, <time/);
    expect(inputs).toMatch(/value="2"[\s\S]*Last changed by an administrator, <time/);
    expect(rest).toMatch(/<dd>she<\/dd><dd class="under">Last changed by the person, <time/);
    for (const word of ['Former', 'Second', 'zuvor', 'secret', 'kept', 'Helper', 'Eve', other, 'id="history"'])
      expect(text, word).not.toContain(word);
    expect(await audited(ann.id)).toEqual([{ act: 'person.viewed', role: 'manager', outcome: null, mine: false }]);
  });

  test('saves as the manager, and gives back to the directory', async () => {
    const form = formOf((await manager.get(path())).text, {
      act: 'save',
      'field.jobTitle': 'Lead',
      'field.phone': ' ',
    });
    const saved = await manager.post(path(), form);
    expect([saved.status, saved.headers.get('location')]).toEqual([303, `${path()}?done=saved`]);
    const by = `account:${boss.id}`;
    expect(await storedAccount(portal.store, ann.id)).toMatchObject({
      overrides: { jobTitle: 'Lead', phone: null },
      edits: { jobTitle: { by }, phone: { by } },
    });
    const page = await manager.get(`${path()}?done=saved`);
    expect(page.text).toMatch(
      /role="status">Saved\.[\s\S]*The directory says <strong>Clerk<\/strong>\.[\s\S]*Last changed by you, <time/,
    );
    const back = await manager.post(path(), { ...formOf(page.text), act: 'reset:jobTitle' });
    expect(back.headers.get('location')).toBe(`${path()}?done=reset`);
    expect((await storedAccount(portal.store, ann.id)).overrides).toEqual({ phone: null });
    const nothing = await manager.post(path(), { ...formOf((await manager.get(path())).text), act: 'save' });
    expect(nothing.headers.get('location')).toBe(`${path()}?done=unchanged`);
    const foreign = { ...formOf(page.text), act: 'save', 'field.pronouns': 'x', 'was.pronouns': '' };
    expect((await manager.post(path(), foreign)).headers.get('location')).toBe(`${path()}?done=unchanged`);
    expect((await audited(ann.id)).filter(({ act }) => act === 'person.edited').map(({ outcome }) => outcome)).toEqual(
      Array(4).fill('done'),
    );
  });

  test('puts both values side by side where the person was faster, and keeps the form where a value does not fit', async () => {
    const form = formOf((await manager.get(path())).text, {
      act: 'save',
      'field.jobTitle': 'Mine',
      'field.phone': '7',
    });
    await ask(portal.store, `select directory.edit_as(:id, :id, '{"jobTitle": "Hers"}')`, { id: ann.id });
    const conflict = await manager.post(path(), form);
    expect(conflict.status).toBe(409);
    expect(conflict.text).toMatch(/<dd>Mine<\/dd>[\s\S]*<dd>Hers /);
    const again = await manager.post(path(), formOf(conflict.text, { act: 'save' }));
    expect(again.status).toBe(303);
    expect((await storedAccount(portal.store, ann.id)).overrides).toEqual({ jobTitle: 'Mine', phone: '7' });
    const long = 'x'.repeat(21);
    const wrong = await manager.post(
      path(),
      formOf((await manager.get(path())).text, { act: 'save', 'field.jobTitle': long }),
    );
    expect(wrong.status).toBe(422);
    expect(wrong.text).toMatch(new RegExp(`<a href="#field.jobTitle">[\\s\\S]*value="${long}"`));
  });

  test('a form whose time no database has is not whole', async () => {
    const form = formOf((await manager.get(path())).text, { act: 'save', 'field.phone': '+1' });
    for (const at of ['0000-01-01T00:00:00Z', '0001-01-01T00:00:00Z'])
      expect((await manager.post(path(), { ...form, at })).status).toBe(422);
    expect(await storedAccount(portal.store, ann.id)).toMatchObject({ moved: false });
  });

  test('a template that repeats a long value without end is not shown, and the others are', async () => {
    const repeated = '{{phone}}'.repeat(20_000);
    await ask(portal.store, `select directory.put_slot(:tenant, 'alast', 1, null, 'x')`, { tenant });
    await ask(portal.store, `select directory.put_item(:tenant, 'alast', 'big', 'Big', :repeated, 'x')`, {
      tenant,
      repeated,
    });
    const target = JSON.stringify({ account: ann.id });
    await ask(portal.store, `select directory.assign(:tenant, 'alast', 'big', :target::jsonb, null, 'x')`, {
      tenant,
      target,
    });
    const form = formOf((await manager.get(path())).text, { 'field.phone': '7'.repeat(32_000) });
    const { status, text } = await manager.post(`${path()}/preview`, form);
    expect([status, text.includes('or too long')]).toEqual([200, true]);
    expect(text).toContain('<b>Ann &lt;Berg&gt;</b>');
  });

  test('previews what the manager typed', async () => {
    const form = formOf((await manager.get(path())).text, { 'field.jobTitle': 'Lead' });
    expect((await manager.post(`${path()}/preview`, form)).text).toContain('<br>Lead</td>');
    expect((await storedAccount(portal.store, ann.id)).moved).toBe(false);
    expect((await manager.get(`${path()}/preview`)).text).toContain('<br>Clerk</td>');
    expect((await audited(ann.id)).map(({ act, role, outcome }) => [act, role, outcome])).toEqual([
      ['person.viewed', 'manager', null],
      ['person.previewed', 'manager', 'done'],
      ['person.previewed', 'manager', 'done'],
    ]);
  });

  test('is gone once the person is managed by another, in the middle of a form too', async () => {
    const keep = await accountOf(portal.store, tenant, { source: { manager: boss.object } });
    const form = formOf((await manager.get(path())).text, { act: 'save', 'field.jobTitle': 'Lead' });
    await ask(portal.store, `update entra_sync.accounts set source = '{}' where account_id = :id`, { id: ann.id });
    for (const answer of [
      await manager.get(path()),
      await manager.post(path(), form),
      await manager.get(`${path()}/preview`),
      await manager.post(`${path()}/preview`, form),
    ])
      expect([answer.status, titleOf(answer)]).toEqual([404, 'Not found']);
    expect((await manager.get(`/team/${keep}`)).status).toBe(200);
    await ask(portal.store, `update entra_sync.accounts set source = '{}' where account_id = :keep`, { keep });
    for (const answer of [
      await manager.get('/team'),
      await manager.get(`/team/${keep}`),
      await manager.post(path(), form),
    ])
      expect(answer.status).toBe(404);
    expect((await storedAccount(portal.store, ann.id)).moved).toBe(false);
    expect((await audited(ann.id)).map(({ act, role, outcome }) => `${act} ${role} ${outcome}`)).toEqual([
      'person.viewed manager null',
      'person.edited manager not_found',
      'person.previewed manager not_found',
      'person.edited user not_allowed',
    ]);
  });

  test('is a 404 for the person, a manager further up and one of another tenant', async () => {
    const [chief, worker] = [randomUUID(), randomUUID()];
    const above = randomUUID();
    await accountOf(portal.store, tenant, { objectId: above });
    await ask(
      portal.store,
      `update entra_sync.accounts set source = jsonb_build_object('manager', :above::text) where account_id = :id`,
      {
        ...{ above, id: boss.id },
      },
    );
    const abroad = await tenantWith(portal.store, { displayName: {} });
    await ask(
      portal.store,
      `insert into entra_sync.settings (tenant_id, document, actor) values (:abroad, '{"managers": true, "portal": {"managers": true}}', 'test')`,
      {
        abroad,
      },
    );
    await accountOf(portal.store, abroad, { objectId: chief });
    const theirs = await accountOf(portal.store, abroad, { objectId: worker, source: { manager: chief } });
    for (const person of [browser, await portal.person(tenant, above), await portal.person(abroad, chief)]) {
      expect((await person.get(path())).status).toBe(404);
      expect((await person.post(path(), { act: 'save', at: '2026-01-01T00:00:00Z' })).status).toBe(404);
    }
    expect((await (await portal.person(abroad, chief)).get(`/team/${theirs}`)).status).toBe(200);
    expect((await manager.get(`/team/${theirs}`)).status).toBe(404);
    expect((await manager.get(`/team/${boss.id}`)).status).toBe(404);
    expect((await manager.get('/team/nobody')).status).toBe(404);
  });

  test('is not there where the settings do not give it', async () => {
    await settings({ portal: { managers: false } });
    expect((await manager.get('/team')).status).toBe(404);
    expect((await manager.get(path())).status).toBe(404);
    expect((await manager.get('/me')).text).not.toContain('/team');
    await settings(given);
    expect((await manager.get('/me')).text).toContain('<a href="/team">My team</a>');
  });
});

describe('the team', () => {
  test('is a list by name, with search and pages', async () => {
    await ask(
      portal.store,
      `insert into entra_sync.accounts (tenant_id, state, entra_object_id, source, mapped)
       select :tenant, 'managed', gen_random_uuid(), jsonb_build_object('manager', :boss::text),
              jsonb_build_object('displayName', 'Person ' || lpad(n::text, 3, '0')) from generate_series(1, 60) n`,
      { tenant, boss: boss.object },
    );
    const names = ({ text }: Answer) =>
      [...text.matchAll(/href="\/team\/[-0-9a-f]{36}">([^<]*)/g)].map(([, name]) => name);
    const first = await manager.get('/team');
    expect(names(first)).toHaveLength(50);
    expect(names(first).slice(0, 2)).toEqual(['Ann &lt;Berg&gt;', 'Person 001']);
    const next = /href="([^"]*)" rel="next"/.exec(first.text)?.[1] ?? '';
    expect(names(await manager.get(next))).toEqual(Array.from({ length: 11 }, (_, n) => `Person 0${50 + n}`));
    expect(names(await manager.get('/team?q=%3Cbe+ANN'))).toEqual(['Ann &lt;Berg&gt;']);
    expect(names(await manager.get('/team?q=pers+05'))).toHaveLength(10);
    expect((await manager.get('/team?q=%3Czoe%3E')).text).toContain('No person of your team is called &lt;zoe&gt;.');
    const last = await manager.get('/team?q=person&order=-name');
    expect(names(last)).toEqual(Array.from({ length: 50 }, (_, n) => `Person ${String(60 - n).padStart(3, '0')}`));
    expect(last.text).toContain('aria-sort="descending"><a href="/team?q=person">Name</a>');
    expect(last.text).toContain('<input type="hidden" name="order" value="-name">');
    const rest = /href="([^"]*)" rel="next"/.exec(last.text)?.[1]?.replaceAll('&amp;', '&') ?? '';
    const question = /data-news="([^"]*)"/.exec((await manager.get(rest)).text)?.[1]?.replaceAll('&amp;', '&') ?? '';
    expect((await manager.get(question)).text).toBe('0');
    expect(names(await manager.get(rest))).toEqual(
      Array.from({ length: 10 }, (_, n) => `Person ${String(10 - n).padStart(3, '0')}`),
    );
    // She alone has a mail.
    expect(names(await manager.get('/team?order=-mail'))[0]).toBe('Ann &lt;Berg&gt;');
    expect((await manager.get('/team?order=phone&lang=de')).text).toContain('data-label="Sortieren nach"');
    const csv = await manager.get('/team.csv?q=person&order=-name');
    expect(csv.text.split('\r\n')[1]).toBe('Person 060,,line');
    expect(await audited(ann.id)).toEqual([]);
  });

  test('rule 49: is a download too, of the people managed now and with the words of the search, told in the audit', async () => {
    const other = await accountOf(portal.store, tenant, { mapped: { displayName: '=Other' } });
    const formula = await accountOf(portal.store, tenant, {
      objectId: randomUUID(),
      mapped: { displayName: '=Formula' },
      source: { manager: boss.object },
    });
    expect((await manager.get('/team?q=ann')).text).toContain('href="/team.csv?q=ann">Download as CSV<');
    expect((await manager.get('/team?lang=de')).text).toContain('href="/team.csv">Als CSV herunterladen<');
    const { status, headers, text } = await manager.get('/team.csv');
    expect([status, headers.get('content-disposition')]).toEqual([200, 'attachment; filename="team.csv"']);
    expect(text).toBe(`display_name,mail,via\r\n"'=Formula",,line\r\nAnn <Berg>,${ann.object}@a.example,line\r\n`);
    expect((await manager.get('/team.csv?q=ann')).text).not.toContain('Formula');
    const exported = await ask(
      portal.store,
      "select role from directory.audit where act = 'team.exported' and actor = 'account:' || :boss",
      { boss: boss.id },
    );
    expect(exported).toEqual([{ role: 'manager' }, { role: 'manager' }]);
    expect([(await browser.get('/team.csv')).status, (await portal.with().get('/team.csv')).status]).toEqual([
      404, 401,
    ]);
    await settings({ portal: { managers: false } });
    expect((await manager.get('/team.csv')).status).toBe(404);
    await settings(given);
    await ask(portal.store, 'delete from entra_sync.accounts where account_id = any(:ids::uuid[])', {
      ids: [other, formula],
    });
  });

  test('rule 49: a page that stays open tells how many of its rows changed, came or went, and of no other person', async () => {
    const questionOf = ({ text }: Answer) => /data-news="([^"]*)"/.exec(text)?.[1]?.replaceAll('&amp;', '&') ?? '';
    const page = await manager.get('/team?lang=de');
    expect(page.text).toContain('data-to="/team" data-one="Eine Änderung in dieser Liste."');
    expect(page.text).toMatch(/<script type="module" src="\/news\.js/);
    const [all, searched, empty] = [
      page,
      await manager.get('/team?q=ann&order=-mail'),
      await manager.get('/team?q=zoe'),
    ].map(questionOf);
    expect(empty).toBe('/team/news?q=zoe&seen=-');
    const counts = () => Promise.all([all, searched, empty].map(async (one = '') => (await manager.get(one)).text));
    const set = (id: string, sets: string, more = {}) =>
      ask(portal.store, `update entra_sync.accounts set ${sets} where account_id = :id`, { id, ...more });
    expect(await counts()).toEqual(['0', '0', '0']);
    // Neither the list nor its viewer shows these.
    await set(ann.id, `mapped = mapped || '{"jobTitle": "Lead"}'`);
    await set(boss.id, `mapped = mapped || '{"displayName": "Bea Chief"}'`);
    expect(await counts()).toEqual(['0', '0', '0']);
    const objectId = randomUUID();
    const zoe = await accountOf(portal.store, tenant, { objectId, mapped: { displayName: 'Zoe' } });
    expect(await counts()).toEqual(['0', '0', '0']);
    // A new manager leaves no row in the feed.
    await set(zoe, `source = jsonb_build_object('manager', :boss::text)`, { boss: boss.object });
    expect(await counts()).toEqual(['1', '0', '1']);
    await set(ann.id, `mapped = mapped || '{"displayName": "Ann Berg-Ruiz"}'`);
    expect(await counts()).toEqual(['2', '1', '1']);
    await set(zoe, `removed_at = now(), removed_reason = 'deleted', purge_at = now()`);
    expect(await counts()).toEqual(['1', '1', '0']);
    for (const bad of ['/team/news', '/team/news?seen=x', `${all}&seen=-`])
      expect((await manager.get(bad)).status).toBe(404);
    expect((await browser.get(all ?? '')).status).toBe(404);
    await settings({ portal: { managers: false } });
    expect((await manager.get(all ?? '')).status).toBe(404);
    await settings(given);
    await ask(portal.store, 'delete from entra_sync.accounts where account_id = :zoe', { zoe });
  });

  test('a page behind the last person says so, with the way to the first', async () => {
    const { text } = await manager.get(`/team?after=${positionOf(['zz', ann.id])}`);
    expect(text).toContain('No more people follow here.');
    expect(text).toContain('<a href="/team">First page</a>');
  });
});
