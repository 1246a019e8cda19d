// The bad days of the web: the database away, a tenant that goes while a form is open, two tabs, a second press, a form of a
// megabyte, ten thousand rows, a replica that is killed.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { openDatabase } from '../../src/store/database/pool.ts';
import { disconnectTenant, purgeTenant } from '../../src/store/tenants/disconnect.ts';
import { isDeep } from '../support/deep.ts';
import { accountOf, tenantWith } from '../support/people-edit.ts';
import { freshDatabase } from '../support/postgres.ts';
import { run } from '../support/postgres-admin.ts';
import { ask } from '../support/stage.ts';
import { type OwnWeb, openWeb, ops, serveOn, type WebBrowser } from '../support/web.ts';

let web: OwnWeb;
let operator: WebBrowser;

beforeAll(async () => {
  web = await openWeb();
  operator = await web.browser(ops('act'));
});

afterAll(() => web.close());

/** Makes a tenant with a person, who has two fields that people edit; the operator has said why. */
async function personOf(): Promise<{ tenant: string; account: string; path: string }> {
  const tenant = await tenantWith(web.store, { phone: {}, room: {} });
  const account = await accountOf(web.store, tenant);
  await operator.post(`/console/t/${tenant}/reason`, { reason: 'a test', to: '/console' });
  return { tenant, account, path: `/console/t/${tenant}/people/${account}` };
}

const edit = (path: string, field: string, value: string, was = '', browser = operator) =>
  browser.post(`${path}/edit`, { act: 'save', [`field.${field}`]: value, [`was.${field}`]: was });
const profileOf = async (account: string) =>
  (
    await ask<{ profile: object }>(web.store, 'select profile from directory.accounts where account_id = :account', {
      account,
    })
  )[0]?.profile;
const editsOf = (account: string) =>
  ask(web.store, "select from directory.changes where account_id = :account and kind = 'account.edited'", { account });

test('while the database is away a page says so and asks again, a form does not, and the session goes on after', async () => {
  const fresh = await freshDatabase();
  const database = openDatabase(fresh.url);
  const own = await serveOn(database);
  const server = inject('postgresUrl');
  const name = new URL(fresh.url).pathname.slice(1);
  try {
    const browser = await own.browser(ops('act'));
    expect((await browser.get('/console')).status).toBe(200);
    await run(server, `alter database ${name} allow_connections false`);
    await run(server, `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
    const page = await browser.get('/console?show=held');
    expect([page.status, page.headers.get('refresh')]).toEqual([503, '10']);
    expect(page.text).toContain('The database does not answer as it should. This page tries again every 10 seconds.');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect((await browser.get('/')).headers.get('refresh')).toBe('10');
    // An address that is good once is not asked for again.
    const entered = await browser.get(own.enter());
    expect([entered.status, entered.headers.get('refresh')]).toEqual([503, null]);
    const form = await browser.post(`/console/t/${randomUUID()}/pause`);
    expect([form.status, form.headers.get('refresh')]).toEqual([503, null]);
    expect(form.text).toContain('Look first whether your form was saved.');
    expect((await browser.get(`/console/t/${randomUUID()}/news?since=1`)).status).toBe(503);
    await run(server, `alter database ${name} allow_connections true`);
    await expect.poll(async () => (await browser.get('/console?show=held')).status).toBe(200);
  } finally {
    await own.close();
    await database.destroy();
    await fresh.drop();
  }
});

describe('while a form is open', () => {
  test('the tenant is disconnected: what still can be done is done, the rest is said, and its people are out', async () => {
    const { tenant, account, path } = await personOf();
    const admin = await web.browser({
      ...{ tenantId: tenant, objectId: randomUUID(), directoryRole: 'admin', actor: `entra:${tenant}/x` },
    });
    expect((await admin.get(path)).status).toBe(200);
    await disconnectTenant(web.store.database, tenant, { actor: 'test', dryRun: false });
    // The account is manual now, and its fields are edited as those of manual accounts.
    expect((await edit(path, 'phone', '1')).status).toBe(303);
    expect(await profileOf(account)).toMatchObject({ phone: '1' });
    const sync = await operator.post(`/console/t/${tenant}/sync`);
    expect([sync.status, /The tenant is disconnected/.test(sync.text)]).toEqual([422, true]);
    expect((await edit(path, 'phone', '2', '1', admin)).status).toBe(401);
    expect(await profileOf(account)).toMatchObject({ phone: '1' });
  });

  test('the tenant is purged: the form and all pages are a 404, as of a tenant that never was', async () => {
    const { tenant, path } = await personOf();
    await disconnectTenant(web.store.database, tenant, { actor: 'test', dryRun: false });
    await purgeTenant(web.store.database, tenant);
    for (const answer of [
      await edit(path, 'phone', '1'),
      await operator.post(`/console/t/${tenant}/pause`),
      await operator.post(`/console/t/${tenant}/removals`, { list: '1', decision: 'approve', typed: '1' }),
      await operator.get(path),
      await operator.get(`/console/t/${tenant}`),
      await operator.get(`/console/t/${tenant}/people.csv`),
    ])
      expect(answer.status).toBe(404);
  });

  test('the person is removed: an edit is refused or a 404, and changes nothing', async () => {
    const { account, path } = await personOf();
    await ask(
      web.store,
      "update entra_sync.accounts set removed_at = now(), removed_reason = 'deleted', purge_at = now() + interval '30 days' where account_id = :account",
      { account },
    );
    expect([404, 422]).toContain((await edit(path, 'phone', '1')).status);
    expect(await editsOf(account)).toEqual([]);
  });
});

describe('two tabs', () => {
  test('of one person change different fields, and both are kept; the same field is told beside both values', async () => {
    const { account, path } = await personOf();
    expect((await edit(path, 'phone', '1')).status).toBe(303);
    expect((await edit(path, 'room', 'A 1')).status).toBe(303);
    const late = await edit(path, 'phone', '2');
    expect(late.status).toBe(409);
    expect(late.text).toContain('<dt>You typed</dt><dd>2</dd><dt>It is now</dt><dd>1</dd>');
    expect(await profileOf(account)).toMatchObject({ phone: '1', room: 'A 1' });
  });

  test('of which one signs out: the other is asked to come in, and its form is not sent', async () => {
    const { account, path } = await personOf();
    const cookie = await web.cookie(ops('act'));
    const [one, other] = [web.with(cookie), web.with(cookie)];
    expect((await one.post('/leave')).status).toBe(303);
    expect((await other.get(path)).status).toBe(401);
    expect((await edit(path, 'phone', '1', '', other)).status).toBe(401);
    expect(await editsOf(account)).toEqual([]);
  });
});

test('a second press, at the same time or after, does it once and says the same', async () => {
  const { tenant, account, path } = await personOf();
  const both = await Promise.all([edit(path, 'phone', '1'), edit(path, 'phone', '1')]);
  expect(both.map(({ status }) => status)).toEqual([303, 303]);
  // The back button shows the form as it was.
  expect((await edit(path, 'phone', '1')).status).toBe(303);
  expect(await editsOf(account)).toHaveLength(1);
  const paused = await Promise.all([1, 2].map(() => operator.post(`/console/t/${tenant}/pause`)));
  expect(paused.map(({ status }) => status)).toEqual([303, 303]);
});

test('a form of a megabyte is answered with a page that says what is too much', async () => {
  const { account, path } = await personOf();
  const large = await edit(path, 'phone', 'x'.repeat(1_000_000));
  expect([large.status, large.text.includes('64 KiB')]).toEqual([413, true]);
  expect(await editsOf(account)).toEqual([]);
});

test.runIf(isDeep)(
  'a list of more than ten thousand people is a small page, says so, and can be downloaded whole',
  async () => {
    const tenant = await tenantWith(web.store, {});
    await operator.post(`/console/t/${tenant}/reason`, { reason: 'a test', to: '/console' });
    await ask(
      web.store,
      `insert into entra_sync.accounts (tenant_id, state, entra_object_id, source, mapped, user_principal_name)
     select :tenant::uuid, 'managed', gen_random_uuid(), jsonb_build_object('displayName', 'Person ' || n), jsonb_build_object('displayName', 'Person ' || n), n || '@x.example'
       from generate_series(1, 10050) n`,
      { tenant },
    );
    const first = await operator.get(`/console/t/${tenant}/people`);
    expect([first.status, Buffer.byteLength(first.text) < 200_000]).toEqual([200, true]);
    const next = /href="([^"]+)" rel="next"/.exec(first.text)?.[1]?.replaceAll('&amp;', '&') ?? '';
    expect((await operator.get(next)).status).toBe(200);
    expect((await operator.get('/console')).text).toContain('over 10,000');
    const { text } = await operator.get(`/console/t/${tenant}/people.csv`);
    expect(text.trimEnd().split('\r\n')).toHaveLength(10_051);
  },
);

test('a replica that is killed between two requests is not noticed: page, form and question go on with another', async () => {
  const { account, path } = await personOf();
  const cookie = await web.cookie(ops('act'));
  const [killed, other] = [await serveOn(web.store.database), await serveOn(web.store.database)];
  await killed.with(cookie).post(path.replace(/\/people.*/, '/reason'), { reason: 'a test', to: '/console' });
  const page = await killed.with(cookie).get(path);
  const [, question = ''] = /data-news="([^"]+)"/.exec(page.text) ?? [];
  await killed.close();
  expect((await other.with(cookie).get(path)).status).toBe(200);
  expect((await edit(path, 'phone', '1', '', other.with(cookie))).status).toBe(303);
  expect((await other.with(cookie).get(question.replaceAll('&amp;', '&'))).text).toBe('1');
  expect(await profileOf(account)).toMatchObject({ phone: '1' });
  await other.close();
});
