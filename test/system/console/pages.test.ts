// The console over a synced tenant: each page with data, empty and wrong; roles and foreign tenants.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadDefaults } from '../../../src/settings/settings.ts';
import { createTenant, type Tenant } from '../../../src/simulator/index.ts';
import { addTenant } from '../../../src/store/tenants/tenants.ts';
import { at, type ConsoleWorld, nasty, openConsole } from '../../support/console-world.ts';
import { isDeep } from '../../support/deep.ts';
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

test.runIf(isDeep)('a query that makes no sense is dropped, and never an error', async () => {
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
  const reader = await world.web.browser({
    tenantId: of?.tenantId ?? '',
    objectId: randomUUID(),
    directoryRole: 'reader',
  });
  expect([(await reader.get(`${page}/members.csv`)).status, (await reader.get(`${cycle}/changes.csv`)).status]).toEqual(
    [200, 404],
  );
  expect((await reader.get(cycle)).text).not.toContain('changes.csv');
  const vendor = await world.web.browser(ops('read'));
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
    world.web.browser({
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
  const admin = await world.web.browser({
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
  await addTenant(world.database, { tenantId: failing.tenantId, name: 'Müller "X"', ref: null }, loadDefaults());
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
