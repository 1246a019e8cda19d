// The console over a synced tenant: each page with data, empty and wrong; roles and foreign tenants; what its acts change.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadDefaults } from '../../../src/settings/settings.ts';
import { createTenant, type Simulator, startSimulator, type Tenant } from '../../../src/simulator/index.ts';
import { changeAccount } from '../../../src/store/accounts/edit.ts';
import { openLists } from '../../../src/store/commit/removal-lists.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { addTenant } from '../../../src/store/tenants/tenants.ts';
import { borrowDatabase } from '../../support/borrowed.ts';
import { setSettings } from '../../support/settings.ts';
import { cycleOf, takeEverybody } from '../../support/system.ts';
import { ops, serveOn, type Web, type WebBrowser } from '../../support/web.ts';

const nasty = `<b>Ann</b> "&' ${'שלום '.repeat(3)}${'Z\u0351\u036b'.repeat(20)}`;

let simulator: Simulator;
let web: Web;
let borrowed: Awaited<ReturnType<typeof borrowDatabase>>;
const tenants: Tenant[] = [];
let operator: WebBrowser;

const at = (tenant: Tenant | undefined, path = '') => `/console/t/${tenant?.tenantId}${path}`;
const ask = <Row>(sql: string, values: Record<string, unknown> = {}) => rows<Row>(borrowed.database, sql, values);
const cycle = (tenant: Tenant | undefined) => cycleOf(simulator, tenant?.tenantId ?? '', borrowed.database);

beforeAll(async () => {
  for (const seed of [1, 2]) tenants.push(createTenant({ seed, users: 130, groups: 6 }));
  simulator = await startSimulator({ tenants });
  borrowed = await borrowDatabase();
  await takeEverybody(borrowed.database, 'delta');
  await setSettings(borrowed.database, {
    removals: { max: 500, percent: 20, floor: 20 },
    sourceOfTruth: 'hybrid',
    fields: { mobilePhone: { owner: 'user', max: 20 } },
  });
  for (const { tenantId, name } of tenants)
    await addTenant(borrowed.database, { tenantId, name, ref: null }, loadDefaults());
  const [first] = tenants;
  first?.updateUser(first.users()[0]?.id ?? '', { displayName: nasty });
  for (const one of tenants) await cycle(one);
  web = await serveOn(borrowed.database);
  operator = await web.browser(ops('act'));
  for (const one of tenants) await operator.post(at(one, '/reason'), { reason: 'a test', to: '/console' });
});

afterAll(async () => {
  await web?.close();
  await borrowed?.giveBack();
  await simulator?.close();
});

const links = (html: string, part: string) =>
  [...html.matchAll(/href="([^"]+)"/g)].map((one) => one[1] ?? '').filter((href) => href.includes(part));
const idsOf = async (view: string, tenant: Tenant | undefined) =>
  (
    await ask<{ id: string }>(`select ${view}_id as id from directory.${view}s where tenant_id = :of order by 1`, {
      of: tenant?.tenantId,
    })
  ).map(({ id }) => id);

async function pathsOf(tenant: Tenant | undefined): Promise<string[]> {
  const [account] = await ask<{ id: string }>(
    'select account_id as id from directory.accounts where tenant_id = :of and display_name = :name',
    { of: tenant?.tenantId, name: nasty },
  );
  const person = account?.id ?? (await idsOf('account', tenant))[0];
  const [group] = await idsOf('group', tenant);
  const [one] = await ask<{ id: string }>('select max(cycle_id) as id from directory.cycles where tenant_id = :of', {
    of: tenant?.tenantId,
  });
  return [
    ...['', '/removals', '/people', '/groups', '/assignments', '/changes', '/settings'],
    ...[`/people/${person}`, `/people/${person}/history`, `/groups/${group}`, `/cycles/${one?.id}`, '/audit'],
  ];
}

test('each page shows a synced tenant: escaped, small, and with nothing that a program would say', async () => {
  const paths = await pathsOf(tenants[0]);
  const pages = [
    '/console',
    '/console?show=need',
    '/console/find?q=ann',
    '/console/audit',
    '/console/invitations',
    ...paths.map((path) => at(tenants[0], path)),
  ];
  for (const path of [...pages, at(tenants[0], '/people?q=ann'), at(tenants[0], '/people?show=removed')]) {
    const { status, text } = await operator.get(path);
    expect([path, status]).toEqual([path, 200]);
    expect(text, path).not.toMatch(/undefined|\[object|>null<|NaN|<b>Ann/);
    expect(text, path).not.toMatch(
      / on\w+="| style="|<script(?! type="module" src="\/news\.js\?v=\w+" integrity="sha256-[\w+/=]+"><\/script>)/,
    );
    // A table whose rows are cards on a phone keeps its roles because they are written out. No key alone does anything.
    expect(text, path).not.toMatch(/<(table|thead|tbody|tr|th|td)(?![^>]* role=)|accesskey/);
    // A chart is a picture with a sentence, beside the table of its numbers.
    expect(text, path).not.toMatch(/<svg(?![^>]* role="img" aria-label="[^"]*\d)/);
    if (path === '/console' || path === at(tenants[0])) expect(text).toMatch(/<svg[\s\S]*<table|<table[\s\S]*<svg/);
    expect(Buffer.byteLength(text), path).toBeLessThan(200_000);
    expect(text.match(/<h1/g), path).toHaveLength(1);
  }
  expect((await operator.get(at(tenants[0], paths[7]))).text).toContain('&lt;b&gt;Ann&lt;/b&gt;');
});

test('a query that makes no sense is dropped, and never an error', async () => {
  for (const path of (await pathsOf(tenants[0])).filter((one) => !one.includes('-') || one.includes('history'))) {
    const query =
      'show=nonsense&after=%00%00&kind=;&since=yesterday&until=2026-99-99&at=x&members=1&field=%22&q=%00&actor=%00&value=%00';
    expect((await operator.get(`${at(tenants[0], path)}?${query}`)).status, path).toBe(200);
  }
  for (const odd of ['0000-01-01', '2026-02-30', '9999-12-31'])
    for (const path of [`/changes?since=${odd}&until=${odd}`, `${(await pathsOf(tenants[0]))[8]}?at=${odd}`])
      expect((await operator.get(at(tenants[0], path))).status, path).toBe(200);
  for (const keys of [
    '["x","no-id"]',
    '[{}]',
    '[1e999, null]',
    '[999999999999]',
    `["\\u0000","${randomUUID()}"]`,
    '["\\u0000","x"]',
    '{',
  ])
    for (const path of ['/people', '/groups', '/changes', `/groups/${(await idsOf('group', tenants[0]))[0]}`])
      expect(
        (await operator.get(`${at(tenants[0], path)}?after=${Buffer.from(keys).toString('base64url')}`)).status,
        `${path} ${keys}`,
      ).toBe(200);
});

test('pages of a list show each row once, in order, those without a name too', async () => {
  await ask(`update entra_sync.accounts set user_principal_name = null where tenant_id = :of and account_no % 10 = 3`, {
    of: tenants[1]?.tenantId,
  });
  const seen: string[] = [];
  for (let path: string | undefined = at(tenants[1], '/people'); path !== undefined; ) {
    const { text }: { text: string } = await operator.get(path.replaceAll('&amp;', '&'));
    seen.push(
      ...[...text.matchAll(/<th scope="row" role="rowheader"><a href="[^"]*people\/([^"]+)"/g)].map(
        (one) => one[1] ?? '',
      ),
    );
    path = text.match(/href="([^"]+)" rel="next"/)?.[1];
  }
  expect(seen.toSorted()).toEqual(await idsOf('account', tenants[1]));
});

test('members of a group, changes of a cycle and results of a search can be downloaded, and the audit says so', async () => {
  const [of, other] = tenants;
  const bind = { of: of?.tenantId };
  const linesOf = async (path: string) => {
    const { status, text } = await operator.get(path);
    expect([path, status]).toEqual([path, 200]);
    return text.trimEnd().split('\r\n').slice(1);
  };
  const firsts = (lines: readonly string[]) => lines.map((line) => line.split(',')[0]).toSorted();
  const [group] = await ask<{ id: string; direct: string[]; all: string[] }>(
    `select group_id as id, array_agg(account_id::text order by account_id) filter (where is_direct) as direct,
            array_agg(account_id::text order by account_id) as all
       from directory.effective_memberships where tenant_id = :of group by 1 order by bool_and(is_direct), 1 limit 1`,
    bind,
  );
  expect(group?.all.length).toBeGreaterThan(group?.direct.length ?? 0);
  const page = at(of, `/groups/${group?.id}`);
  expect(firsts(await linesOf(`${page}/members.csv`))).toEqual(group?.all);
  expect(firsts(await linesOf(`${page}/members.csv?members=direct`))).toEqual(group?.direct);
  expect((await operator.get(`${page}?members=direct`)).text).toContain(`href="${page}/members.csv?members=direct"`);

  const [first] = await ask<{ id: string; changes: string[] }>(
    `select cycle_id as id, array_agg(change_id::text order by change_id::text) as changes from directory.changes
      where tenant_id = :of and kind = 'account.created' group by 1`,
    bind,
  );
  const cycle = at(of, `/cycles/${first?.id}`);
  expect(firsts(await linesOf(`${cycle}/changes.csv?kind=account.created`))).toEqual(first?.changes);
  expect((await linesOf(`${cycle}/changes.csv`)).length).toBeGreaterThan(first?.changes.length ?? 0);
  expect((await operator.get(`${cycle}?kind=account.created`)).text).toContain(
    `href="${cycle}/changes.csv?kind=account.created"`,
  );

  // A name like a formula is one in no spreadsheet.
  const name = '=cmd|sum';
  await ask(
    `update entra_sync.accounts set overrides = jsonb_build_object('displayName', :name::text) where account_id = :id::uuid`,
    {
      ...{ name, id: group?.direct[0] },
    },
  );
  const found = await linesOf('/console/find.csv?q=cmd');
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(new RegExp(`^person,"'=cmd\\|sum",.*,${of?.tenantId},${group?.direct[0]},`));
  expect((await operator.get('/console/find?q=cmd')).text).toContain('href="/console/find.csv?q=cmd"');
  expect(await linesOf('/console/find.csv')).toEqual([]);
  expect((await linesOf(`${page}/members.csv`)).join()).toContain(`"'=cmd|sum"`);

  for (const path of [
    `/groups/${group?.id}/members.csv`,
    `/cycles/${first?.id}/changes.csv`,
    '/groups/x/members.csv',
    '/cycles/x/changes.csv',
  ])
    expect([path, (await operator.get(at(other, path))).status]).toEqual([path, 404]);
  const reader = await web.browser({ tenantId: of?.tenantId ?? '', objectId: randomUUID(), directoryRole: 'reader' });
  expect([(await reader.get(`${page}/members.csv`)).status, (await reader.get(`${cycle}/changes.csv`)).status]).toEqual(
    [200, 404],
  );
  expect((await reader.get(cycle)).text).not.toContain('changes.csv');
  const vendor = await web.browser(ops('read'));
  expect((await vendor.get(`${cycle}/changes.csv`)).text).toContain('Why do you look at people of');
  const exported = await ask<{ act: string; detail: object }>(
    `select distinct act, detail from directory.audit
      where act in ('members.exported', 'cycle.exported', 'found.exported') order by act, detail`,
  );
  expect(exported).toEqual([
    { act: 'cycle.exported', detail: { cycle: first?.id } },
    { act: 'cycle.exported', detail: { cycle: first?.id, kind: 'account.created' } },
    { act: 'found.exported', detail: {} },
    { act: 'members.exported', detail: { group: group?.id, members: 'all' } },
    { act: 'members.exported', detail: { group: group?.id, members: 'direct' } },
  ]);
  await ask("update entra_sync.accounts set overrides = '{}' where account_id = :id::uuid", { id: group?.direct[0] });
});

test('the lists can be downloaded as CSV, each row once, and the audit says so', async () => {
  const { status, text, headers } = await operator.get(at(tenants[0], '/people.csv'));
  expect([status, headers.get('content-type')]).toEqual([200, expect.stringContaining('text/csv')]);
  const lines = text.trimEnd().split('\r\n');
  expect(lines[0]).toContain('account_id');
  expect(
    lines
      .slice(1)
      .map((line) => line.split(',')[0]?.replaceAll('"', ''))
      .toSorted(),
  ).toEqual(await idsOf('account', tenants[0]));
  expect((await operator.get(at(tenants[0], '/groups.csv'))).text.trimEnd().split('\r\n')).toHaveLength(
    (await idsOf('group', tenants[0])).length + 1,
  );
  const linesOf = async (path: string) => (await operator.get(path)).text.trimEnd().split('\r\n');
  const changes = await linesOf(at(tenants[0], '/changes.csv?kind=group.*'));
  const numberOf = (sql: string) => ask<{ n: number }>(sql, { of: tenants[0]?.tenantId });
  const [groups] = await numberOf(
    "select count(*)::int as n from directory.changes where tenant_id = :of and kind like 'group.%'",
  );
  expect([changes.length, changes[0]?.includes('change_id')]).toEqual([(groups?.n ?? 0) + 1, true]);
  expect((await linesOf('/console/tenants.csv')).slice(1).every((line) => line.includes(','))).toBe(true);
  expect(await linesOf('/console/tenants.csv')).toHaveLength(tenants.length + 1);
  expect((await linesOf(at(tenants[0], '/audit.csv?act=changes.exported')))[1]).toContain(tenants[0]?.name);
  expect((await linesOf('/console/audit.csv?act=tenants.exported')).length).toBe(3);
  for (const list of ['people', 'changes', 'audit'])
    expect((await operator.get(`/console/t/${randomUUID()}/${list}.csv`)).status, list).toBe(404);
  const told = await ask<{ act: string }>(
    "select act from directory.audit where act like '%.exported' and act not in ('members.exported', 'cycle.exported', 'found.exported') order by audit_id",
  );
  expect(told.map(({ act }) => act)).toEqual([
    ...['people.exported', 'groups.exported', 'changes.exported', 'tenants.exported', 'tenants.exported'],
    ...['audit.exported', 'audit.exported'],
  ]);
  // The audit names the person by role, and the id of another person alone.
  const audit = (await operator.get(at(tenants[0], '/audit'))).text;
  expect(audit).toMatch(/>you<\/a><small>ops_act, web<\/small>/);
});

test('a search that finds no person says who is not copied, and why the user of an object id is not there', async () => {
  const [outside] = await ask<{ id: string }>(
    `insert into entra_sync.outside_scope (tenant_id, entra_object_id, condition)
     values (:of, :id, 1) returning entra_object_id as id`,
    { of: tenants[0]?.tenantId, id: randomUUID() },
  );
  const none = (await operator.get(at(tenants[0], '/people?q=nonesuch'))).text;
  expect(none).toMatch(/There are \d+ users? outside the scope of the settings/);
  const { text } = await operator.get(at(tenants[0], `/people?q=${outside?.id}`));
  expect(text).toContain('outside the scope of the settings by <code>scope.');
  await ask('delete from entra_sync.outside_scope where entra_object_id = :id', { id: outside?.id });
});

describe('roles and tenants', () => {
  test('no id of one tenant gives anything under another, but a 404', async () => {
    for (const path of (await pathsOf(tenants[1])).filter((one) => one.split('/').length > 2))
      expect([path, (await operator.get(at(tenants[0], path))).status]).toEqual([path, 404]);
    for (const path of ['/people/x', `/people/${randomUUID()}`, '/groups/1', '/cycles/x', '/cycles/999999999', '/none'])
      expect([path, (await operator.get(at(tenants[0], path))).status]).toEqual([path, 404]);
    expect((await operator.get(`/console/t/${randomUUID()}`)).status).toBe(404);
  });

  const signedIn = (directoryRole: 'admin' | 'reader', tenant = tenants[0]) =>
    web.browser({
      tenantId: tenant?.tenantId ?? '',
      objectId: randomUUID(),
      directoryRole,
      actor: `entra:${tenant?.tenantId}/x`,
    });

  test('an admin sees the own tenant and no other; a reader sees no history and sends nothing', async () => {
    const [admin, reader] = [await signedIn('admin'), await signedIn('reader')];
    for (const path of await pathsOf(tenants[0])) {
      expect([path, (await admin.get(at(tenants[0], path))).status]).toEqual([path, 200]);
      // A reader sees the numbers of a cycle, and no value that was.
      const hidden = ['/history', '/changes', '/audit'].some((one) => path.endsWith(one));
      if (path.includes('/cycles/')) expect((await reader.get(at(tenants[0], path))).text).not.toMatch(/<del>|<ins>/);
      expect([path, (await reader.get(at(tenants[0], path))).status]).toEqual([path, hidden ? 404 : 200]);
    }
    for (const path of await pathsOf(tenants[1]))
      expect((await admin.get(at(tenants[1], path))).status, path).toBe(404);
    expect((await admin.get('/console')).status).toBe(404);
    expect((await admin.get('/console/find?q=ann')).status).toBe(404);
    const { text } = await reader.get(at(tenants[0]));
    expect(text).not.toContain('Sync now');
    expect(text).not.toContain('/changes');
    for (const [who, path] of [
      [reader, '/sync'],
      [reader, '/removals'],
      [admin, '/pause'],
    ] as const)
      expect((await who.post(at(tenants[0], path))).status, path).toBe(404);
  });
});

test('an admin sees the audit of the own tenant, the vendor’s people included, page by page and filtered', async () => {
  const [tenant, other] = tenants;
  const insert = `insert into entra_sync.audit (actor, role, via, act, tenant_id, detail)
    select :actor, 'ops_act', 'web', 'test.done', :of, jsonb_build_object('n', n) from generate_series(1, :rows) n`;
  await ask(insert, { actor: nasty, of: tenant?.tenantId, rows: 120 });
  await ask(insert, { actor: 'of another tenant', of: other?.tenantId, rows: 3 });
  const admin = await web.browser({
    ...{ tenantId: tenant?.tenantId ?? '', objectId: randomUUID(), directoryRole: 'admin' },
    actor: `entra:${tenant?.tenantId}/y`,
  });
  const seen: string[] = [];
  let path: string | undefined = `${at(tenant, '/audit')}?act=test.*&actor=${encodeURIComponent(nasty)}`;
  while (path !== undefined) {
    const { status, text }: { status: number; text: string } = await admin.get(path.replaceAll('&amp;', '&'));
    expect(status).toBe(200);
    expect(text).not.toMatch(/of another tenant|<b>Ann/);
    seen.push(...[...text.matchAll(/<small>n<\/small> (\d+)/g)].map((one) => one[1] ?? ''));
    path = text.match(/href="([^"]+)" rel="next"/)?.[1];
  }
  expect(seen.map(Number)).toEqual(Array.from({ length: 120 }, (_, at) => 120 - at));
  for (const [query, rows] of [
    ['since=2001-01-01&until=2001-01-02', 0],
    ['kind=person.*&actor=nobody', 0],
    [`act=test.done&since=${new Date().toISOString().slice(0, 10)}`, 50],
  ] as const) {
    const { text } = await admin.get(`${at(tenant, '/audit')}?${query}`);
    expect(text.match(/<small>n<\/small>/g)?.length ?? 0, query).toBe(rows);
  }
  expect((await operator.get('/console/audit?act=test.done&actor=of+another+tenant')).text).toContain(
    'of another tenant',
  );
});

test('the row of a failing tenant says its last error and where the cure is', async () => {
  const failing = createTenant({ seed: 3, users: 1 });
  await addTenant(borrowed.database, { tenantId: failing.tenantId, name: 'Müller "X"', ref: null }, loadDefaults());
  await ask(
    `update entra_sync.tenants set status = 'quarantined', last_error_message = 'consent is <missing>' where tenant_id = :of`,
    { of: failing.tenantId },
  );
  const { text } = await operator.get('/console');
  expect(text).toContain(
    '<small class="note">consent is &lt;missing&gt;. <code>entra-sync doctor &#39;Müller &quot;X&quot;&#39;</code> names the cure.</small>',
  );
  expect(text.match(/names the cure/g)).toHaveLength(1);
  await ask('delete from entra_sync.tenants where tenant_id = :of', { of: failing.tenantId });
});

describe('acts', () => {
  test('the row of a tenant has the acts of its page, by its state and for its viewer', async () => {
    const of = randomUUID();
    await addTenant(borrowed.database, { tenantId: of, name: 'Row & Co', ref: 'C-9' }, loadDefaults());
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
    const invite = links(await rowFor(operator), '/invitations')[0]?.replaceAll('&amp;', '&') ?? '';
    const form = (await operator.get(invite)).text;
    for (const value of ['C-9', 'Row &amp; Co', of]) expect(form).toContain(`value="${value}"`);
    await set("status = 'active'");
    expect(await rowFor(await web.browser(ops('read')))).not.toMatch(/<form|<button|invitations/);
    await set('external_ref = null');
    expect(links(await rowFor(operator), '/invitations')).toEqual([]);
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
    expect((await edit(`https://example.com/${'a'.repeat(300)}`, '')).text).toContain(
      'It takes at most 256 characters.',
    );
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
    expect(links(found.text, '/groups/')).toEqual([]);
  });

  test('an act on a tenant that is not registered is a 404', async () => {
    for (const act of ['sync', 'pause', 'resume', 'retry', 'acknowledge'])
      expect([act, (await operator.post(`/console/t/${randomUUID()}/${act}`)).status]).toEqual([act, 404]);
  });

  test('held removals are decided by the typed number: another number, a changed list and a second press change nothing', async () => {
    const [tenant] = tenants;
    for (const user of tenant?.users().slice(50, 90) ?? []) tenant?.deleteUser(user.id);
    await cycle(tenant);
    const [list] = await openLists(borrowed.database, tenant?.tenantId ?? '');
    const shown = await operator.get(at(tenant, '/removals'));
    expect(shown.text).toContain(`List ${list?.list_id}: 40 accounts`);
    expect((await operator.get('/console')).text).toContain('40 removals');
    const ids = [...shown.text.matchAll(/name="id" value="([^"]+)"/g)].map((one) => one[1] ?? '');
    expect(ids).toHaveLength(40);
    const decide = (form: Record<string, string | readonly string[]>) =>
      operator.post(at(tenant, '/removals'), { list: list?.list_id ?? '', decision: 'approve', typed: '', ...form });
    const left = async () => (await openLists(borrowed.database, tenant?.tenantId ?? ''))[0]?.held ?? 0;

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
      borrowed.database,
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
    expect(links((await operator.get(path)).text, '/cycles/').length).toBeGreaterThan(0);
  });
});
