// Settings on pages: shown as `tenant set --dry-run` counts them, done as it stores them, by those who may.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadDefaults } from '../../../src/settings/settings.ts';
import { changeSettings } from '../../../src/store/preview/settings.ts';
import { settingsVersion } from '../../../src/store/settings/versions.ts';
import { ask, objectId } from '../../support/stage.ts';
import { type Answer, type OwnWeb, openWeb, ops, type WebBrowser } from '../../support/web.ts';
import { openScene, type Scene } from '../../support/writers.ts';

const nasty = `<b>Bänner</b> "&' שלום`;

let web: OwnWeb;
let scene: Scene;
let operator: WebBrowser;
let admin: WebBrowser;
let page: string;

beforeAll(async () => {
  web = await openWeb();
  scene = await openScene(web.store);
  page = `/console/t/${scene.tenantId}/settings`;
  operator = await web.browser(ops('act'));
  const { tenantId } = scene;
  admin = await web.browser({ tenantId, objectId: randomUUID(), directoryRole: 'admin', actor: `entra:${tenantId}/x` });
});

afterAll(() => web?.close());

type Form = Record<string, string>;
const version = () => settingsVersion(web.store.database, scene.tenantId);
const seenIn = ({ text }: Answer) => text.match(/name="seen" value="([^"]+)"/)?.[1] ?? '';
const send = async (who: WebBrowser, name: string, form: Form) =>
  who.post(`${page}/${name}`, { form: name, version: String(await version()), ...form });

async function press(who: WebBrowser, name: string, form: Form): Promise<{ looked: Answer; done: Answer }> {
  const looked = await send(who, name, form);
  expect([looked.status, looked.text.match(/<div class="error"[\s\S]*?<\/div>/)?.[0]]).toEqual([200, undefined]);
  return { looked, done: await send(who, name, { ...form, act: 'apply', seen: seenIn(looked) }) };
}

const stored = async () =>
  (
    await ask<{ document: Record<string, unknown>; actor: string }>(
      web.store,
      'select document, actor from entra_sync.settings where tenant_id = :tenant order by version desc limit 1',
      { tenant: scene.tenantId },
    )
  )[0];

test('owner and editors of a field: shown, stored by the administrator, and nothing else is written', async () => {
  const before = await stored();
  const { looked, done } = await press(admin, 'fields', {
    'owner.jobTitle': 'user',
    'editors.jobTitle': 'user manager',
    'owner.displayName': 'user',
  });
  expect(looked.text).toContain('owned by the user from now on: jobTitle');
  // Each of the same buttons is told from the others by its heading.
  const about = [...looked.text.matchAll(/<button name="act" value="look" aria-describedby="([^"]+)"/g)].map(
    ([, id]) => id,
  );
  expect([about.length, new Set(about).size]).toEqual([3, 3]);
  for (const id of about) expect(looked.text).toContain(`<h2 id="${id}"`);
  expect(looked.text).toMatch(
    /<select id="owner.jobTitle"[^>]*><option value="directory">directory<\/option><option value="user" selected>/,
  );
  expect([done.status, await stored()]).toMatchObject([303, { actor: `entra:${scene.tenantId}/x` }]);
  expect((await stored())?.document).toEqual({
    ...before?.document,
    fields: { displayName: { owner: 'user' }, jobTitle: { owner: 'user', editableBy: ['user', 'manager'] } },
  });
  // The tenant's page tells it in words, with its layer and the way to all settings; to readers too.
  const { tenantId } = scene;
  const reader = { tenantId, objectId: randomUUID(), directoryRole: 'reader', actor: 'entra:a/reader' } as const;
  const overview = (await (await web.browser(reader)).get(`/console/t/${tenantId}`)).text;
  const section = overview.slice(overview.indexOf('id="settings"'));
  expect(section).toMatch(
    RegExp(
      `Job title: editors<small>fields\\.jobTitle\\.editableBy.*>the person and the manager<.*settings, version ${await version()}<`,
    ),
  );
  expect(section).toContain(`<a href="${page}">All settings</a>`);
  const [row] = await ask<{ kind: string; actor: string }>(
    web.store,
    'select kind, actor from entra_sync.changes where tenant_id = :tenant order by change_id desc limit 1',
    { tenant: scene.tenantId },
  );
  expect(row).toEqual({ kind: 'tenant.settings_changed', actor: `entra:${scene.tenantId}/x` });
});

test('the people who leave are counted and named as the dry run of tenant set does; nothing is stored before', async () => {
  const [one] = await ask<{ object: string; name: string }>(
    web.store,
    `select entra_object_id as object, profile ->> 'displayName' as name from entra_sync.accounts
      where account_id = :id`,
    { id: scene.accounts[6] },
  );
  const was = await version();
  const form = { 'scope.except': `${one?.object}\r\n`, 'scope.userType': 'Guest Member' };
  const looked = await send(operator, 'scope', form);
  const document = { scope: { except: [one?.object ?? ''] } };
  const change = { tenantId: scene.tenantId, document, actor: 'Ann' };
  const dry = await changeSettings(web.store.database, loadDefaults(), change, { dryRun: true });
  expect(dry.tenants[0]?.leaving.out_of_scope).toBe(1);
  expect(looked.text).toContain(`1 person leaves the scope, ${dry.tenants[0]?.staying} stay.`);
  const nothing = await send(operator, 'scope', { 'scope.where': '- { property: department, in: [Nonexisting] }' });
  expect(nothing.text).toContain('The next cycle would hold the removals of these users until a person decides: ');
  expect(looked.text).toContain(`>${one?.name}<`);
  expect(await version()).toBe(was);
  const apply = () => send(operator, 'scope', { ...form, version: String(was), act: 'apply', seen: seenIn(looked) });
  const both = await Promise.all([apply(), apply()]);
  expect(both.map(({ status }) => status).toSorted()).toEqual([303, 409]);
  expect(await version()).toBe(was + 1);
});

test('another tab: what was typed stays, and nothing is stored over the newer version', async () => {
  const old = String(await version());
  expect((await press(admin, 'fields', { 'editors.mail': 'manager' })).done.status).toBe(303);
  const late = await send(admin, 'fields', { 'editors.jobTitle': '', version: old });
  expect([late.status, late.text.includes(`version ${await version()} is in force`)]).toEqual([409, true]);
  expect(late.text).toMatch(
    /<li>fields\.mail\.editableBy: .*<ins><span class="hidden">now <\/span>manager<\/ins><\/li>/,
  );
  expect(late.text.match(/<li>fields\./g)).toHaveLength(1);
  expect(late.text).toMatch(/<select id="editors.jobTitle"[^>]*><option value="" selected>/);
  const looked = await send(admin, 'fields', { 'editors.jobTitle': '' });
  const other = await send(admin, 'fields', { 'editors.jobTitle': 'user', act: 'apply', seen: seenIn(looked) });
  expect([other.status, other.text.includes('You have changed the form since')]).toEqual([422, true]);
  const same = await send(admin, 'fields', { 'editors.mail': 'manager' });
  expect([same.status, same.text.includes('Nothing of this differs')]).toEqual([422, true]);
});

test('a mistake is told at its field, and the typed text is kept', async () => {
  for (const [name, form, field, says] of [
    ['scope', { 'scope.domains': `${nasty} x` }, 'scope.domains', 'is not a domain'],
    ['scope', { 'scope.where': '- { property: [' }, 'scope.where', 'no YAML'],
    ['scope', { 'scope.where': '- &a { in: [*a] }' }, 'scope.where', 'an alias refers to a value that contains it'],
    ['portal', { portal: '&a { people: *a }' }, 'portal', 'an alias refers to a value that contains it'],
    ['scope', { 'scope.where': '- { property: department, like: x }' }, 'scope.where', 'like'],
    ['scope', { 'scope.groups': 'No such group' }, 'scope.groups', 'no synced group'],
    ['roles', { publishers: 'No such group' }, 'publishers', 'no synced group'],
    ['file', { file: 'intervall: 5m' }, 'file', 'interval'],
    ['file', { file: '' }, 'file', 'empty'],
  ] as const) {
    const answer = await send(operator, name, form);
    expect([says, answer.status, answer.text.includes(`href="#${field}"`)]).toEqual([says, 422, true]);
    expect(answer.text).toContain(says);
    expect(answer.text).not.toContain('<b>Bänner');
    const [typed = ''] = Object.values(form);
    if (typed !== '')
      expect(answer.text, typed).toContain(
        typed
          .replaceAll('&', '&amp;')
          .replaceAll('<', '&lt;')
          .replaceAll('>', '&gt;')
          .replaceAll('"', '&quot;')
          .replaceAll("'", '&#39;'),
      );
  }
});

test('an administrator changes the portal, and a wrong value is told at its field', async () => {
  const shown = (await admin.get(page)).text.match(/name="portal"[^>]*>\n([^<]*)</)?.[1] ?? '';
  expect(shown).toContain('people: true');
  const { done } = await press(admin, 'portal', { portal: shown.replace('people: true', 'people: false') });
  expect([done.status, await stored()]).toMatchObject([303, { document: { portal: { people: false } } }]);
  for (const portal of ['people: perhaps', 'persons: true', 'people: [']) {
    const wrong = await send(admin, 'portal', { portal });
    expect([portal, wrong.status, wrong.text.includes('href="#portal"')]).toEqual([portal, 422, true]);
    expect(wrong.text).toContain(portal);
  }
});

test('roles and a settings file are the vendor’s, and a group that is open to all gives no role', async () => {
  for (const name of ['roles', 'file']) expect((await send(admin, name, {})).status).toBe(404);
  const { text } = await admin.get(page);
  expect(text).toContain('/settings/scope"');
  expect(text).not.toMatch(/\/settings\/(roles|file)"/);
  const set = (source: object, name: string) =>
    ask(
      web.store,
      `update entra_sync.groups set source = source || :source::jsonb, display_name = :name
        where tenant_id = :tenant and entra_object_id = :object`,
      { source: JSON.stringify(source), name, tenant: scene.tenantId, object: objectId(101) },
    );
  await set({ visibility: 'Public' }, nasty);
  const open = await send(operator, 'roles', { publishers: nasty });
  expect([open.status, open.text.includes('is open to all people')]).toEqual([422, true]);
  await set({ visibility: 'Private' }, nasty);
  expect((await press(operator, 'roles', { publishers: nasty })).done.status).toBe(303);
  expect((await stored())?.document).toMatchObject({ publishers: { groups: [objectId(101)] } });
  const { looked, done } = await press(operator, 'file', { file: 'interval: 7m\r\n' });
  expect([looked.text.includes('No profile changes'), done.status]).toEqual([true, 303]);
  expect((await stored())?.document).toMatchObject({ interval: '7m', publishers: { groups: [objectId(101)] } });
  expect((await press(operator, 'file', { file: '', reset: 'yes' })).done.status).toBe(303);
  expect((await stored())?.document).toEqual({});
});
