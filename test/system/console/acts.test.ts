// Acts of the console on tenants, people and held removals: each changes what its page says, refuses wrong forms, and is in the history.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadDefaults } from '../../../src/settings/settings.ts';
import type { Tenant } from '../../../src/simulator/index.ts';
import { changeAccount } from '../../../src/store/accounts/edit.ts';
import { openLists } from '../../../src/store/commit/removal-lists.ts';
import { addTenant } from '../../../src/store/tenants/tenants.ts';
import { at, type ConsoleWorld, linksOf, openConsole } from '../../support/console-world.ts';
import { ops, type WebBrowser } from '../../support/web.ts';

let world: ConsoleWorld;
let tenants: readonly Tenant[];
let operator: WebBrowser;

const ask = <Row>(sql: string, values: Record<string, unknown> = {}) => world.ask<Row>(sql, values);
const idsOf = (view: string, tenant: Tenant | undefined) => world.idsOf(view, tenant);

beforeAll(async () => {
  world = await openConsole();
  ({ tenants, operator } = world);
});

afterAll(() => world?.close());

test('the row of a tenant has the acts of its page, by its state and for its viewer', async () => {
  const of = randomUUID();
  await addTenant(world.database, { tenantId: of, name: 'Row & Co', ref: 'C-9' }, loadDefaults());
  const set = (values: string) => ask(`update entra_sync.tenants set ${values} where tenant_id = :of`, { of });
  const base = `/console/t/${of}`;
  const rowFor = async (browser: WebBrowser) =>
    (await browser.get('/console?q=Row+%26+Co')).text.match(/<tbody[\s\S]*<\/tbody>/)?.[0] ?? '';
  const actsIn = (text: string) =>
    [...text.matchAll(/(?:form)?action="\/console\/t\/[\w-]{36}\/(\w+)"/g)].map((one) => one[1] ?? '');
  const row = async () => {
    const acts = new Set(actsIn(await rowFor(operator)));
    // The page has the same, with the mass change where there is one.
    expect(new Set(actsIn((await operator.get(base)).text))).toEqual(acts);
    return [...acts].join(' ');
  };
  expect(await row()).toBe('sync pause');
  await set("status = 'quarantined', failures = 3");
  expect(await row()).toBe('sync retry pause');
  await set("status = 'active', failures = 1");
  expect(await row()).toBe('sync retry pause');
  const shown = await rowFor(operator);
  expect(shown).toMatch(/formaction="[^"]*\/pause">Pause<span class="hidden"> Row &amp; Co<\/span><\/button>/);
  expect((await operator.post(`${base}/pause`)).headers.get('location')).toBe(`${base}?done=paused`);
  expect((await operator.get(`${base}?done=paused`)).text).toContain('role="status">Paused. The worker leaves');
  expect(await row()).toBe('resume');
  await set("paused = false, status = 'disconnected'");
  expect(await row()).toBe('');
  // The link fills the form that invites the tenant's customer for this tenant, whatever its state.
  const invite = linksOf(await rowFor(operator), '/invitations')[0]?.replaceAll('&amp;', '&') ?? '';
  const form = (await operator.get(invite)).text;
  for (const value of ['C-9', 'Row &amp; Co', of]) expect(form).toContain(`value="${value}"`);
  await set("status = 'active'");
  expect(await rowFor(await world.web.browser(ops('read')))).not.toMatch(/<form|<button|invitations/);
  await set('external_ref = null');
  expect(linksOf(await rowFor(operator), '/invitations')).toEqual([]);
  await ask('delete from entra_sync.tenants where tenant_id = :of', { of });
});

test('pause, resume and sync now: the same as the verbs, with the actor in the audit', async () => {
  const state = async () =>
    (
      await ask<{ paused: boolean }>('select paused from directory.tenants where tenant_id = :of', {
        of: tenants[0]?.tenantId,
      })
    )[0]?.paused;
  expect((await operator.post(at(tenants[0], '/pause'))).status).toBe(303);
  expect(await state()).toBe(true);
  expect((await operator.get(at(tenants[0]))).text).toContain('Paused');
  expect((await operator.post(at(tenants[0], '/resume'))).status).toBe(303);
  expect(await state()).toBe(false);
  const { status, headers } = await operator.post(at(tenants[0], '/sync'));
  expect([status, headers.get('location')]).toEqual([303, at(tenants[0], '?done=asked')]);
  expect((await operator.get(at(tenants[0], '?done=asked'))).text).toContain('A cycle is asked for');
  const told = await ask<{ act: string }>(
    `select act from directory.audit where tenant_id = :of and act like 'tenant.%' and detail ->> 'outcome' = 'done'
      order by at`,
    { of: tenants[0]?.tenantId },
  );
  expect(told.map(({ act }) => act)).toEqual(['tenant.paused', 'tenant.resumed', 'tenant.sync_requested']);
});

test('an edit saves what was changed on the page alone, and a refusal keeps what was typed', async () => {
  const [account] = await ask<{ id: string }>(
    `select account_id as id from directory.accounts
      where tenant_id = :of and profile ->> 'mobilePhone' is null order by 1 limit 1`,
    { of: tenants[0]?.tenantId },
  );
  const { id } = account ?? {};
  const path = at(tenants[0], `/people/${id}`);
  const edit = (value: string, was: string) =>
    operator.post(`${path}/edit`, {
      act: 'save',
      'field.mobilePhone': value,
      'was.mobilePhone': was,
      'field.website': '',
      'was.website': '',
    });
  expect((await edit('+1 555', '')).status).toBe(303);
  const edits = () =>
    ask<{ fields: string[]; actor: string }>(
      `select array(select jsonb_object_keys(after -> 'profile')) as fields, actor from directory.changes where account_id = :id and kind = 'account.edited' order by change_id`,
      { id },
    );
  expect(await edits()).toMatchObject([{ fields: ['mobilePhone'], actor: expect.stringMatching(/^entra:/) }]);
  // Fields by their labels, and the viewer's own act by no id.
  expect((await operator.get(at(tenants[0], '/changes?kind=account.*'))).text).toMatch(
    /<small>Mobile phone<\/small> <ins>[\s\S]*?>you<\/a>/,
  );
  expect((await edit('a\u0000b', '+1 555')).status).toBe(422);
  const refused = await edit('1'.repeat(21), '+1 555');
  expect(refused.status).toBe(422);
  expect(refused.text).toContain('1'.repeat(21));
  expect(refused.text).toContain('href="#field.mobilePhone"');
  expect(
    (await operator.post(`${path}/edit`, { act: 'save', 'field.jobTitle': 'Chief', 'was.jobTitle': '' })).text,
  ).toContain('jobTitle');
  expect(await edits()).toHaveLength(1);
  expect((await operator.post(`${path}/edit`, { act: 'revert' })).status).toBe(303);
  expect(await edits()).toHaveLength(2);
});

test('an edit keeps whole values and line breaks, and a newer edit is told beside what was typed', async () => {
  const [, , id] = await idsOf('account', tenants[0]);
  const path = at(tenants[0], `/people/${id}`);
  const long = `\nline two, ${'and more '.repeat(30)}`;
  const edit = (value: string, was: string) =>
    operator.post(`${path}/edit`, { act: 'save', 'field.pronouns': value, 'was.pronouns': was });
  const stored = async () =>
    (
      await ask<{ value: string }>(
        "select profile ->> 'pronouns' as value from directory.accounts where account_id = :id",
        { id },
      )
    )[0]?.value;
  const edits = async () =>
    (await ask("select from directory.changes where account_id = :id and kind = 'account.edited'", { id })).length;
  // Another test may have edited the same account.
  const before = await edits();
  expect((await edit(long.replaceAll('\n', '\r\n'), '')).status).toBe(303);
  expect(await stored()).toBe(long);
  const shown = (await operator.get(path)).text;
  // A browser leaves out a line break that begins the text.
  expect(/<textarea[^>]* id="field.pronouns"[^>]*>\n?([^<]*)/.exec(shown)?.[1]).toBe(long);
  // Each input says what a keyboard on a phone offers.
  expect(shown).toMatch(/<input type="tel" inputmode="tel" id="field\.mobilePhone"/);
  expect(shown).toMatch(/<input type="text" inputmode="url" id="field\.website"/);
  expect((await edit(long.replaceAll('\n', '\r\n'), long)).status).toBe(303);
  expect(await edits()).toBe(before + 1);
  const late = await edit('mine', '');
  expect(late.status).toBe(409);
  expect(late.text).toMatch(/<dt>You typed<\/dt><dd>mine<\/dd><dt>It is now<\/dt><dd>\nline two/);
  expect(late.text).toContain('<a href="#field.pronouns">Pronouns has changed since this page was loaded.');
  expect(await stored()).toBe(long);
  // The form that came back begins at the newer value: sent again, it is meant.
  const was = /name="was\.pronouns" value="([^"]*)"/.exec(late.text)?.[1] ?? '';
  expect(was).toBe(long);
  expect((await edit('mine', was)).status).toBe(303);
  expect(await stored()).toBe('mine');
});

test('the last edit of a person is taken back from the history, once, and one that no longer shows is told', async () => {
  const [, , , id] = await idsOf('account', tenants[0]);
  const path = at(tenants[0], `/people/${id}`);
  const edit = (value: string, was: string) =>
    operator.post(`${path}/edit`, { act: 'save', 'field.website': value, 'was.website': was });
  expect((await edit('https://one.example', '')).status).toBe(303);
  const { text } = await operator.get(`${path}/history`);
  const change = text.match(/name="change" value="(\d+)"/)?.[1] ?? '';
  expect(text.match(/Take this edit back/g)).toHaveLength(1);
  const press = () => operator.post(`${path}/undo`, { change });
  const done = await press();
  expect([done.status, done.headers.get('location')]).toEqual([303, `${path}/history?done=undone`]);
  const [profile] = await ask<{ value: string | null }>(
    "select profile ->> 'website' as value from directory.accounts where account_id = :id",
    { id },
  );
  expect(profile?.value).toBeNull();
  const again = await press();
  expect([again.status, again.text.includes('no longer shows what that edit gave')]).toEqual([422, true]);
  expect((await operator.post(`${path}/undo`, { change: 'x' })).status).toBe(422);
  // A value that does not fit is told in the words of the form.
  const wrong = await edit('www.example.com', '');
  expect(wrong.text).toContain('Website does not take this value. An address with https://');
  expect((await edit(`https://example.com/${'a'.repeat(300)}`, '')).text).toContain('It takes at most 256 characters.');
  const acts = await ask<{ detail: unknown }>(
    "select detail from directory.audit where act = 'person.edit_undone' and account_id = :id and detail ->> 'outcome' = 'done'",
    { id },
  );
  expect(acts).toEqual([{ detail: { change, outcome: 'done' } }]);
});

test('a group that the settings leave out is in no list and has no page', async () => {
  const [left] = await idsOf('group', tenants[1]);
  const [group] = await ask<{ object: string }>(
    `update entra_sync.groups set copied = false, display_name = null, removed_reason = 'not_copied', removed_at = now(),
            purge_at = 'infinity' where group_id = :left returning entra_object_id as object`,
    { left },
  );
  expect((await operator.get(at(tenants[1], `/groups/${left}`))).status).toBe(404);
  for (const path of ['/groups', '/groups?show=removed'])
    expect((await operator.get(at(tenants[1], path))).text, path).not.toContain(left);
  const found = await operator.get(`/console/find?q=${group?.object}`);
  expect(found.text).toContain('the settings leave the group out');
  expect(linksOf(found.text, '/groups/')).toEqual([]);
});

test('an act on a tenant that is not registered is a 404', async () => {
  for (const act of ['sync', 'pause', 'resume', 'retry', 'acknowledge'])
    expect([act, (await operator.post(`/console/t/${randomUUID()}/${act}`)).status]).toEqual([act, 404]);
});

test('held removals are decided by the typed number: another number, a changed list and a second press change nothing', async () => {
  const [tenant] = tenants;
  for (const user of tenant?.users().slice(50, 90) ?? []) tenant?.deleteUser(user.id);
  await world.cycle(tenant);
  const [list] = await openLists(world.database, tenant?.tenantId ?? '');
  const shown = await operator.get(at(tenant, '/removals'));
  expect(shown.text).toContain(`List ${list?.list_id}: 40 accounts`);
  expect((await operator.get('/console')).text).toContain('40 removals');
  const ids = [...shown.text.matchAll(/name="id" value="([^"]+)"/g)].map((one) => one[1] ?? '');
  expect(ids).toHaveLength(40);
  const decide = (form: Record<string, string | readonly string[]>) =>
    operator.post(at(tenant, '/removals'), { list: list?.list_id ?? '', decision: 'approve', typed: '', ...form });
  const left = async () => (await openLists(world.database, tenant?.tenantId ?? ''))[0]?.held ?? 0;

  const wrong = await decide({ typed: '39' });
  expect([wrong.status, await left()]).toEqual([409, 40]);
  expect(wrong.text).toContain('You typed 39');
  expect((await decide({})).status).toBe(422);
  const one = await decide({ typed: '2', id: ids.slice(0, 1) });
  expect(one.status).toBe(422);
  // The ticks come back with the number, or a second press would mean all.
  expect(one.text.match(/ checked>/g)).toHaveLength(1);
  expect((await decide({ typed: '40', list: '999' })).status).toBe(409);
  expect(await left()).toBe(40);
  expect((await decide({ typed: '2', id: ids.slice(0, 2), decision: 'reject' })).status).toBe(303);
  expect(await left()).toBe(38);
  const again = await decide({ typed: '40' });
  expect([again.status, await left()]).toEqual([409, 38]);
  expect((await decide({ typed: '38' })).status).toBe(303);
  expect((await decide({ typed: '38' })).status).toBe(409);
  const counts = await ask<{ kind: string; count: number }>(
    `select kind, count(*)::int as count from directory.changes where tenant_id = :of and kind in ('removal.approved', 'removal.rejected') and actor like 'entra:%' group by 1 order by 1`,
    { of: tenant?.tenantId },
  );
  expect(counts).toEqual([
    { kind: 'removal.approved', count: 38 },
    { kind: 'removal.rejected', count: 2 },
  ]);
  expect((await operator.get(at(tenant, '/removals'))).text).toContain('38 removed');
});

test('the history tells an edit, and a day before all of it is said to be unknown', async () => {
  const [, id] = await idsOf('account', tenants[0]);
  await changeAccount(
    world.database,
    { tenant_id: tenants[0]?.tenantId ?? '', account_id: id ?? '' },
    { edits: { mobilePhone: '+49 1' }, reverts: [] },
    { actor: 'ann', role: 'user' },
  );
  const path = at(tenants[0], `/people/${id}/history`);
  const { text } = await operator.get(path);
  expect(text).toMatch(/was edited <small>by ann[\s\S]*\+49 1/);
  // The state of the account is not the field `state` of the profile.
  expect(text).toContain('<small>Account</small> <ins><span class="hidden">now </span>managed</ins>');
  expect((await operator.get(`${path}?at=2001-01-01`)).text).toContain('nothing is kept');
  const today = new Date().toISOString().slice(0, 10);
  expect((await operator.get(`${path}?at=${today}`)).text).toContain('+49 1');
  expect(linksOf((await operator.get(path)).text, '/cycles/').length).toBeGreaterThan(0);
});
