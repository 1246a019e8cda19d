// Assignments on pages: shown before they are done, done as the command line does them, and all that a publisher reaches.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { assign, assigning, changeAssignment, unassign } from '../../../src/store/accounts/assignments.ts';
import { changeAccount } from '../../../src/store/accounts/edit.ts';
import { keepNewWords } from '../../../src/store/accounts/words.ts';
import { access, mayUse, type Route } from '../../../src/web/access.ts';
import { type Assigner, assigner } from '../../support/assigner.ts';
import { ask, objectId } from '../../support/stage.ts';
import { type Answer, type OwnWeb, openWeb, ops, type WebBrowser } from '../../support/web.ts';
import { openScene, type Scene } from '../../support/writers.ts';

const nasty = `<b>Bänner</b> "&' שלום`;

let web: OwnWeb;
let scene: Scene;
let give: Assigner;
let operator: WebBrowser;
let publisher: WebBrowser;

const base = () => `/console/t/${scene.tenantId}`;
const at = (path: string) => `${base()}/assignments${path}`;

beforeAll(async () => {
  web = await openWeb();
  scene = await openScene(web.store);
  give = await assigner(web.store, scene);
  operator = await web.browser(ops('act'));
  await operator.post(`${base()}/reason`, { reason: 'a test', to: base() });
  // Group 102 has user 5 as its direct member.
  await ask(
    web.store,
    `insert into entra_sync.settings (tenant_id, document, actor)
     select tenant_id, document || jsonb_build_object('publishers', jsonb_build_object('groups', jsonb_build_array(:group::text))), 'test'
       from entra_sync.settings where tenant_id = :tenant order by version desc limit 1`,
    { tenant: scene.tenantId, group: objectId(102) },
  );
  const sync = 'update entra_sync.tenants set last_success_at = now(), status = $$active$$ where tenant_id = :tenant';
  await ask(web.store, sync, { tenant: scene.tenantId });
  publisher = await web.browser({ tenantId: scene.tenantId, objectId: objectId(5), actor: 'entra:x' });
});

afterAll(async () => {
  await give?.close();
  await web?.close();
});

type Form = Record<string, string | readonly string[]>;
const blank = { priority: '', starts: '', starts_time: '', ends: '', ends_time: '' };
const forGroup = (item: string, more: Form = {}): Form => ({
  ...blank,
  ...{ item: JSON.stringify(['banner', item]), target: 'group', group: give.group(101), ...more },
});
const seenIn = ({ text }: Answer) => text.match(/name="seen" value="([^"]+)"/)?.[1] ?? '';

/** Sends a form to be looked at, then presses what it shows. */
async function press(who: WebBrowser, path: string, form: Form): Promise<{ looked: Answer; done: Answer }> {
  const looked = await who.post(path, form);
  expect([looked.status, looked.text.match(/<div class="error"[\s\S]*?<\/div>/)?.[0]]).toEqual([200, undefined]);
  return { looked, done: await who.post(path, { ...form, act: 'apply', seen: seenIn(looked) }) };
}

const rules = () =>
  ask<Record<string, unknown>>(
    web.store,
    `select slot, item, target, priority, "except", starts_at, ends_at, assignment_id, created_by
       from directory.assignments where tenant_id = :tenant order by assignment_id`,
    { tenant: scene.tenantId },
  );
/** The last change rows, without what differs between two runs of one act. */
async function changes(since: number) {
  const found = await ask<{ kind: string; actor: string; account_id: string | null; before: unknown; after: unknown }>(
    web.store,
    `select kind, actor, account_id, before - 'assignment_id' as before, after - 'assignment_id' as after
       from entra_sync.changes where tenant_id = :tenant and change_id > :since order by kind, account_id`,
    { tenant: scene.tenantId, since },
  );
  return found.map(({ actor, ...one }) => [one, actor.replace(/^(entra|account):.*/, 'a person')] as const);
}
const lastChange = async () =>
  Number((await ask<{ last: string }>(web.store, 'select max(change_id) as last from entra_sync.changes'))[0]?.last);

beforeEach(async () => {
  await ask(web.store, 'delete from entra_sync.assigned');
  for (const table of ['assignments', 'items', 'slots'])
    await ask(web.store, `delete from entra_sync.${table} where tenant_id = :tenant`, { tenant: scene.tenantId });
  await give.put('banner', 1, 'corp', 'spring', nasty);
});

test('a rule is shown before it is made, and made as assignments assign does: rows, change rows and actor', async () => {
  const since = await lastChange();
  const form = forGroup('spring', { priority: '10', starts: '2020-05-01', ends: '2099-05-12' });
  const { looked, done } = await press(operator, at('/new'), form);
  expect(looked.text).toMatch(/These 3 people change|from <time[^>]*>1 May 2020<\/time>, until <time[^>]*>12 May 2099/);
  expect(await changes(since)).toHaveLength(done.status === 303 ? 4 : 0);
  const [made] = await rules();
  expect(made).toMatchObject({ item: 'spring', target: 'group', priority: 10, except: false });
  // The day of the end counts whole.
  expect(made?.ends_at).toEqual(new Date('2099-05-13T00:00:00Z'));
  const byWeb = await changes(since);
  expect(new Set(byWeb.map(([, actor]) => actor))).toEqual(new Set(['a person']));

  await ask(web.store, 'delete from entra_sync.assigned');
  await ask(web.store, 'delete from entra_sync.assignments where tenant_id = :tenant', { tenant: scene.tenantId });
  const again = await lastChange();
  const given = {
    ...{ tenantId: scene.tenantId, slot: 'banner', item: 'spring', target: { group: give.group(101) } },
    options: { priority: 10, starts_at: '2020-05-01', ends_at: '2099-05-13' },
  };
  await assigning(web.store.database, false, (on) => assign(on, given, 'Ann'));
  expect((await changes(again)).map(([row]) => row)).toEqual(byWeb.map(([row]) => row));
});

test('a choice of people or of a group is kept from its preview to the act, as a browser sends it', async () => {
  const inputsOf = ({ text }: Answer) =>
    [...text.matchAll(/<input type="hidden" name="(account_id|group_id|seen)" value="([^"]*)"/g)].map(
      ([, name, value]) => [name, value] as const,
    );
  const [one] = await ask<{ id: string; name: string }>(
    web.store,
    `select account_id as id, display_name as name from directory.accounts
      where tenant_id = :tenant and display_name is not null order by 1 limit 1`,
    { tenant: scene.tenantId },
  );
  const form = {
    ...{ ...blank, item: JSON.stringify(['banner', 'spring']), target: 'people', group: '' },
    people: one?.name.split(' ')[0]?.slice(0, 4) ?? '',
  };
  const choice = await operator.post(at('/new'), form);
  expect([choice.status, choice.text.includes('Who is meant?')]).toEqual([422, true]);
  const looked = await operator.post(at('/new'), { ...form, account_id: one?.id ?? '' });
  expect(looked.status).toBe(200);
  const done = await operator.post(at('/new'), { ...form, act: 'apply', ...Object.fromEntries(inputsOf(looked)) });
  expect(done.status).toBe(303);
  expect(await rules()).toMatchObject([{ target: 'account', item: 'spring' }]);
});

test('of a thousand people that there are not, twenty are told and no more are looked for', async () => {
  const names = Array.from({ length: 1_000 }, (_, n) => `Nobody${n}`).join('\n');
  const form = { ...blank, item: JSON.stringify(['banner', 'spring']), target: 'people', group: '', people: names };
  const { status, text } = await publisher.post(at('/new'), form);
  expect([status, text.match(/<li><a[^>]*>No person is called/g)?.length]).toEqual([422, 20]);
  expect(text).toContain('The other lines are not looked at yet.');
});

test('the preview, the rule and the changes name slots and items by their titles, and an item without a title by its id', async () => {
  const titles = `update entra_sync.%s set title = :title where tenant_id = :tenant`;
  const tenant = scene.tenantId;
  await ask(web.store, titles.replace('%s', 'slots'), { tenant, title: 'Banner of the mail' });
  await ask(web.store, `${titles.replace('%s', 'items')} and item = 'spring'`, { tenant, title: 'Spring <sale>' });
  const { looked, done } = await press(operator, at('/new'), forGroup('spring'));
  expect(looked.text).toContain('Spring &lt;sale&gt;, slot Banner of the mail, for');
  expect(looked.text).toContain('<ins><span class="hidden">now </span>Spring &lt;sale&gt;</ins>');
  expect([done.status, done.headers.get('location')]).toEqual([303, at('?done=3')]);
  expect((await operator.get(at('?done=3'))).text).toContain('Done. 3 people change.');
  await press(operator, at('/new'), forGroup('corp', { priority: '9' }));
  const { text } = await operator.get(`${base()}/changes?kind=assign*`);
  expect(text).toContain(
    '<small>Banner of the mail</small> <del><span class="hidden">was </span>Spring &lt;sale&gt;</del>',
  );
  expect(text).toContain('<ins><span class="hidden">now </span>corp</ins>');
  const [rule] = await rules();
  expect((await operator.get(at(`/${rule?.assignment_id}`))).text).toContain('Banner of the mail');
  const [person] = await ask<{ id: string }>(
    web.store,
    'select account_id as id from directory.assigned where tenant_id = :tenant limit 1',
    { tenant },
  );
  expect((await operator.get(at(`/people/${person?.id}`))).text).toContain('<h2>Banner of the mail</h2>');
  expect((await operator.get(`${base()}/people/${person?.id}/history`)).text).toContain('Spring &lt;sale&gt;');
});

test('a second press, another tab and a form that was changed do nothing, and show what it would do now', async () => {
  const form = forGroup('spring');
  const { looked } = await press(operator, at('/new'), form);
  const apply = (more: Form, seen = seenIn(looked)) =>
    operator.post(at('/new'), { ...form, ...more, act: 'apply', seen });
  const twice = await apply({});
  expect(twice.status).toBe(409);
  expect(twice.text).toContain('perhaps by your own second press');
  expect(await rules()).toHaveLength(1);
  // The other item would take them over, and the mark is that of now.
  const other = await operator.post(at('/new'), forGroup('corp', { priority: '5' }));
  const changed = await operator.post(at('/new'), {
    ...forGroup('corp', { priority: '6' }),
    act: 'apply',
    seen: seenIn(other),
  });
  expect([changed.status, changed.text.includes('You have changed the form since')]).toEqual([422, true]);
  expect(changed.text).toContain('These 3 people change');
  const together = await Promise.all(
    [1, 2].map(() =>
      operator.post(at('/new'), { ...forGroup('corp', { priority: '6' }), act: 'apply', seen: seenIn(changed) }),
    ),
  );
  expect(together.map(({ status }) => status).toSorted()).toEqual([303, 409]);
  expect(await rules()).toHaveLength(2);
});

test('a rule is changed, given to another group and ended, each as its verb does it', async () => {
  const id = await give.assign('banner', 'spring', { group: give.group(101) }, { starts_at: '2020-01-01T10:20:30Z' });
  const page = at(`/${id}`);
  const shown = await operator.get(page);
  expect(shown.text).toContain('value="2020-01-01"');
  const was = shown.text.match(/name="was" value="([^"]+)"/)?.[1] ?? '';
  const form = { ...blank, form: 'change', was, priority: '7', starts: '2020-01-01', starts_time: '10:20' };
  expect((await press(operator, `${page}/change`, { ...form, except: 'yes' })).looked.text).toContain('These 3 people');
  expect(await rules()).toMatchObject([{ priority: 7, except: true, starts_at: new Date('2020-01-01T10:20:30Z') }]);
  const stale = await operator.post(`${page}/change`, { ...form, priority: '8' });
  expect([stale.status, stale.text.includes('changed since this page was loaded')]).toEqual([409, true]);
  expect(stale.text).toContain('value="8"');
  await assigning(web.store.database, false, (on) => changeAssignment(on, id, { except: false }, 'Ann'));

  const { looked, done } = await press(operator, `${page}/move`, { form: 'move', to: give.group(102) });
  expect([looked.text.includes('These 2 people change'), done.status]).toEqual([true, 303]);
  expect((await operator.get(page)).text).toContain(`/groups/${give.group(102)}`);

  const since = await lastChange();
  expect((await press(operator, `${page}/end`, { form: 'end' })).done.status).toBe(303);
  const byWeb = await changes(since);
  expect(await rules()).toEqual([]);
  expect((await operator.get(page)).status).toBe(404);
  const same = await give.assign(
    'banner',
    'spring',
    { group: give.group(102) },
    { priority: 7, starts_at: '2020-01-01T10:20:30Z' },
  );
  const again = await lastChange();
  await assigning(web.store.database, false, (on) => unassign(on, same, 'Ann'));
  expect((await changes(again)).map(([row]) => row)).toEqual(byWeb.map(([row]) => row));
});

test('slots and items are made, changed and dropped, whatever their names', async () => {
  const slot = { slot: nasty, known: '', title: nasty, winners: '2' };
  expect((await press(operator, at('/slot'), slot)).done.status).toBe(303);
  const item = { slot: nasty, item: nasty, known: '', title: '', html: '<p>{{displayName}}</p>\r\n' };
  expect((await press(operator, at('/item'), item)).done.status).toBe(303);
  await press(operator, at('/new'), { ...blank, item: JSON.stringify([nasty, nasty]), target: 'everyone' });
  const stored = 'select html, title from directory.items where tenant_id = :tenant and slot = :nasty';
  const found = await ask(web.store, stored, { tenant: scene.tenantId, nasty });
  expect(found).toEqual([{ html: '<p>{{displayName}}</p>\n', title: null }]);
  for (const path of ['', '/new', `/slot?slot=${encodeURIComponent(nasty)}`, `/people/${give.account(5)}`]) {
    const { status, text } = await operator.get(at(path));
    expect([path, status]).toEqual([path, 200]);
    expect(text).not.toContain('<b>Bänner');
    expect(text).toContain('&lt;b&gt;Bänner&lt;/b&gt;');
  }
  const typed = '<p title="{{mail}}">Dear {{displayName}}</p><script>alert(1)</script>';
  for (const shown of [
    await publisher.get(at(`/preview?slot=${encodeURIComponent(nasty)}&item=${encodeURIComponent(nasty)}`)),
    await publisher.post(at('/preview'), { slot: nasty, item: nasty, html: typed }),
  ]) {
    expect([shown.status, shown.text.includes('‹displayName›')]).toEqual([200, true]);
    expect(shown.headers.get('content-security-policy')).toContain("sandbox; default-src 'none'");
    expect(shown.text).not.toContain('@');
  }
  expect((await (await web.browser(ops('read'))).post(at('/preview'), { html: typed })).status).toBe(404);
  const used = await operator.post(at('/item'), { ...item, known: nasty, drop: 'yes' });
  expect([used.status, used.text.includes('href="#drop"')]).toEqual([422, true]);
  const bad = await operator.post(at('/item'), { ...item, html: '<img src="{{photo}}">' });
  expect([bad.status, bad.text.includes('href="#html"')]).toEqual([422, true]);
  expect(bad.text).toContain('&lt;img src=&quot;{{photo}}&quot;&gt;');
});

const zone = (name: string | null) =>
  ask(
    web.store,
    `insert into entra_sync.settings (tenant_id, document, actor)
     select tenant_id, jsonb_strip_nulls(document || jsonb_build_object('timeZone', :name::text)), 'test'
       from entra_sync.settings where tenant_id = :tenant order by version desc limit 1`,
    { tenant: scene.tenantId, name },
  );

test.each(['UTC', 'Europe/Berlin', 'America/New_York'])(
  'the first and the last moment of other programs are shown in %s, and kept by a change of something else',
  async (name) => {
    await zone(name);
    const times = { starts_at: '0001-01-01T00:00:00Z', ends_at: '9999-12-31T23:59:59Z' };
    const id = await give.assign('banner', 'spring', { everyone: true }, times);
    const kept = (await rules()).map(({ starts_at, ends_at }) => ({ starts_at, ends_at }));
    expect((await operator.get(at(''))).status).toBe(200);
    const { text, status } = await operator.get(at(`/${id}`));
    expect(status).toBe(200);
    const names = ['was', 'starts', 'starts_time', 'ends', 'ends_time'];
    const shown = names.map((one) => [one, new RegExp(`name="${one}"[^>]* value="([^"]*)"`).exec(text)?.[1] ?? '']);
    const form = { ...blank, form: 'change', ...Object.fromEntries(shown), priority: '3' };
    expect((await press(operator, at(`/${id}/change`), form)).done.status).toBe(303);
    expect(await rules()).toMatchObject([{ priority: 3, ...kept[0] }]);
    await zone(null);
  },
);

test('a slot or an item that changed since its page was loaded is told beside what was typed, and saved when it is sent again', async () => {
  const put = (html: string) =>
    ask(web.store, `select directory.put_item(:tenant, 'banner', 'shared', null, :html, 'Ann')`, {
      ...{ tenant: scene.tenantId, html },
    });
  await put('<p>one</p>');
  const path = at('/item?slot=banner&item=shared');
  const wasOf = (text: string) => /name="was" value="([^"]*)"/.exec(text)?.[1] ?? '';
  const seenOf = (text: string) => /name="seen" value="([^"]*)"/.exec(text)?.[1] ?? '';
  const form = { slot: 'banner', item: 'shared', known: 'shared', title: '', html: '<p>mine</p>' };
  const loaded = wasOf((await operator.get(path)).text);
  await put('<p>theirs</p>');
  const late = await operator.post(at('/item'), { ...form, was: loaded });
  expect([late.status, late.text.includes('<pre>&lt;p&gt;theirs&lt;/p&gt;</pre>')]).toEqual([409, true]);
  expect(late.text).toContain('&lt;p&gt;mine&lt;/p&gt;</textarea>');
  const looked = await operator.post(at('/item'), { ...form, was: wasOf(late.text) });
  expect(looked.status).toBe(200);
  // Between the look and the press too.
  await put('<p>theirs again</p>');
  const apply = { ...form, act: 'apply', seen: seenOf(looked.text) };
  const pressed = await operator.post(at('/item'), { ...apply, was: wasOf(looked.text) });
  expect([pressed.status, pressed.text.includes('theirs again')]).toEqual([409, true]);
  const slot = { slot: 'banner', known: 'banner', title: 'Other', winners: '3' };
  const stale = await operator.post(at('/slot'), { ...slot, was: 'x'.repeat(22) });
  expect([stale.status, stale.text.includes('As it is now')]).toEqual([409, true]);
});

test('days and times are those of the time zone of the tenant, also where its clocks change', async () => {
  await zone('Europe/Berlin');
  const form = forGroup('spring', { starts: '2026-03-29', starts_time: '08:00', ends: '2026-10-25' });
  const { looked } = await press(operator, at('/new'), form);
  expect(looked.text).toContain('In Europe/Berlin.');
  expect(looked.text).toMatch(/>29 March 2026 08:00<\/time>, until <time[^>]*>25 October 2026</);
  const [made] = await rules();
  expect([made?.starts_at, made?.ends_at]).toEqual([
    new Date('2026-03-29T06:00:00Z'),
    new Date('2026-10-25T23:00:00Z'),
  ]);
  const { text } = await operator.get(at(`/${made?.assignment_id}`));
  expect(text).toMatch(/id="starts"[^>]* value="2026-03-29"[\s\S]*id="starts_time"[^>]* value="08:00"/);
  expect(text).toMatch(/id="ends"[^>]* value="2026-10-25"[\s\S]*id="ends_time"[^>]* value=""/);
  await zone('Nowhere/None');
  expect((await operator.get(at('/new'))).text).toContain('In UTC.');
  await zone(null);
});

describe('a mistake is told at its field, and the typed text is kept', () => {
  test.each<[string, Form, string, string]>([
    ['an end before its begin', { starts: '2030-01-02', ends: '2030-01-01' }, 'ends', 'ends_at is not after starts_at'],
    ['a day that there is not', { starts: '2030-02-30' }, 'starts', 'Write a day'],
    ['a day of no year', { starts: '0000-01-01' }, 'starts', 'Write a day'],
    ['an end that no calendar has', { ends: '9999-12-31' }, 'ends', 'ends_at is no time'],
    ['a time without a day', { ends_time: '10:00' }, 'ends', 'Say the day too'],
    ['half a priority', { priority: '1.5' }, 'priority', 'whole number'],
    ['a priority without end', { priority: '9999999' }, 'priority', 'priority does not fit'],
    ['an unknown item', { item: '["banner","none"]' }, 'item', 'the slot has no item'],
    ['an unknown group', { group: 'No such group' }, 'group', 'No group is called No such group'],
    ['no person', { target: 'people', people: '  ' }, 'people', 'Write a person'],
    ['an unknown person', { target: 'people', people: 'Ann Nobody' }, 'people', 'No person is called Ann Nobody'],
    ['an unknown field', { target: 'field', field: 'none', values: 'x' }, 'field', 'there is no field'],
    ['a field without values', { target: 'field', field: 'jobTitle', values: ' ' }, 'values', 'Write a value'],
  ])('%s', async (_words, form, field, says) => {
    const answer = await operator.post(at('/new'), forGroup('spring', form));
    expect([answer.status, answer.text.includes(`href="#${field}"`)]).toEqual([422, true]);
    expect(answer.text).toContain(`id="${field}"`);
    expect(answer.text).toContain(says);
    for (const value of Object.values(form)
      .flat()
      .filter((one) => one.trim() !== '' && !one.startsWith('[')))
      expect(answer.text, value).toContain(value);
    expect(await rules()).toEqual([]);
  });
});

test('people are named one a line; of several with a name the form asks which', async () => {
  const twins = [give.account(1), give.account(5)];
  for (const account_id of twins) {
    const account = { tenant_id: scene.tenantId, account_id };
    const requested = { edits: { displayName: 'Ann Twin' }, reverts: [] };
    await changeAccount(web.store.database, account, requested, { actor: 'Ann', role: 'user' });
  }
  await keepNewWords(web.store.database, scene.tenantId);
  const people = `Ann Twin\r\n${give.account(6)}`;
  const form = { ...blank, item: JSON.stringify(['banner', 'spring']), target: 'people', people };
  const asked = await operator.post(at('/new'), form);
  const choices = [...asked.text.matchAll(/name="account_id" value="([^"]+)"/g)].map((found) => found[1]);
  expect([asked.status, choices.toSorted()]).toEqual([422, twins.toSorted()]);
  const { looked, done } = await press(operator, at('/new'), { ...form, account_id: twins });
  expect([looked.text.includes('These 3 people change'), done.status]).toEqual([true, 303]);
  expect((await rules()).map(({ target }) => target)).toEqual(['account', 'account', 'account']);
});

describe('rule 50: a publisher reaches assignments alone', () => {
  test('rule 50: by the table, all routes of a publisher are of assignments', () => {
    const viewer = (role: 'publisher' | 'publisher_read') => ({
      ...{ roles: [role], tenantId: scene.tenantId, accountId: null, actor: 'x', shownAs: 'x', reasons: {} },
    });
    for (const route of Object.keys(access) as Route[]) {
      if (access[route] === 'everybody') continue;
      const isOfAssignments = route.includes('/console/t/:tenant/assignments');
      expect([route, mayUse(viewer('publisher'), route, scene.tenantId)]).toEqual([route, isOfAssignments]);
      expect(mayUse(viewer('publisher'), route, randomUUID())).toBe(false);
      if (route.startsWith('POST')) expect(mayUse(viewer('publisher_read'), route, scene.tenantId), route).toBe(false);
    }
  });

  test('rule 50: a publisher assigns, and is shown people by name and groups alone', async () => {
    expect((await publisher.get('/')).headers.get('location')).toBe(at(''));
    for (const path of [
      '',
      '/people',
      `/people/${give.account(5)}`,
      '/groups',
      `/groups/${give.group(101)}`,
      '/settings',
    ])
      expect([path, (await publisher.get(base() + path)).status]).toEqual([path, 404]);
    const id = await give.assign('banner', 'corp', { account: give.account(5) });
    await give.assign('banner', 'spring', { group: give.group(101) });
    const [person] = await ask<{ upn: string; mail: string; name: string; profile: Record<string, string> }>(
      web.store,
      `select user_principal_name as upn, mail, profile ->> 'displayName' as name, profile
         from entra_sync.accounts where account_id = :id`,
      { id: give.account(5) },
    );
    const looked = await publisher.post(at('/new'), forGroup('spring', { priority: '3' }));
    const pages = ['', '/new', '/slot', '/item?slot=banner', `/${id}`, `/people/${give.account(5)}`].map(at);
    const texts = [looked.text, ...(await Promise.all(pages.map(async (path) => (await publisher.get(path)).text)))];
    const hidden = [person?.upn, person?.mail, ...Object.values(person?.profile ?? {})].filter(
      (value): value is string => typeof value === 'string' && value !== '' && value !== person?.name,
    );
    expect(hidden.length).toBeGreaterThan(1);
    for (const text of texts) {
      expect(text).toContain('<h1');
      for (const value of hidden) expect(text).not.toContain(value);
      // No link leads to where a publisher is not let in.
      for (const [, path = ''] of text.matchAll(/href="(\/[^"?]*)/g))
        expect(path.startsWith(at('')) || path === '/', path).toBe(true);
    }
    expect((await publisher.get(at(`/people/${give.account(5)}`))).text).toContain(String(person?.name));
    // An address finds no person.
    expect((await publisher.get(at(`/people?q=${encodeURIComponent(person?.upn ?? '')}`))).text).not.toContain(
      '<tbody',
    );
    const byMail = { ...blank, item: '["banner","corp"]', target: 'people', people: person?.upn ?? '' };
    expect((await publisher.post(at('/new'), byMail)).status).toBe(422);
    expect((await press(publisher, at('/new'), forGroup('spring', { priority: '3' }))).done.status).toBe(303);
    const told = await ask(
      web.store,
      "select role, act from directory.audit where act = 'assignment.made' and detail ->> 'outcome' = 'done' order by audit_id desc limit 1",
    );
    expect(told).toEqual([{ role: 'publisher', act: 'assignment.made' }]);
  });

  test('rule 50: a publisher only looks at a tenant that was not read for long', async () => {
    const set = (time: string) =>
      ask(web.store, `update entra_sync.tenants set last_success_at = ${time} where tenant_id = :tenant`, {
        tenant: scene.tenantId,
      });
    await set("now() - interval '3 days'");
    expect((await publisher.get(at(''))).status).toBe(200);
    expect((await publisher.post(at('/new'), forGroup('spring'))).status).toBe(404);
    await set('now()');
  });
});
