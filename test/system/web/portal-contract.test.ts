// The portal has nothing but the contract: as a tenant-bound role, in the tenant of the person, and of no other.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDatabase } from '../../../src/store/database/pool.ts';
import { TooSlow } from '../../../src/store/database/reading.ts';
import { requirePortalRole } from '../../../src/store/schema/portal-role.ts';
import type { Viewer } from '../../../src/web/access.ts';
import { type Contract, contractAction, contractPage } from '../../../src/web/contract-page.ts';
import { html } from '../../../src/web/html.ts';
import { fallbackOf } from '../../../src/web/language.ts';
import type { Asked } from '../../../src/web/page.ts';
import { portalPages } from '../../../src/web/portal/pages.ts';
import { viewerOf } from '../../../src/web/session.ts';
import { readWebLanguages } from '../../../src/web/web-language.ts';
import { isDeep } from '../../support/deep.ts';
import { accountOf, changesOf, storedAccount, tenantWith } from '../../support/people-edit.ts';
import { openPortal, type Portal } from '../../support/portal.ts';
import { setSettings } from '../../support/settings.ts';
import { ask } from '../../support/stage.ts';
import { keeping, storing } from '../../support/stored-memberships.ts';

let portal: Portal;
let tenant: string;
let foreign: string;
const [ann, eve] = [randomUUID(), randomUUID()];
let account: string;
let stranger: string;

beforeAll(async () => {
  portal = await openPortal();
  [tenant, foreign] = [
    await tenantWith(portal.store, { jobTitle: {} }),
    await tenantWith(portal.store, { jobTitle: {} }),
  ];
  account = await accountOf(portal.store, tenant, { objectId: ann, mapped: { jobTitle: 'Clerk' } });
  stranger = await accountOf(portal.store, foreign, { objectId: eve, mapped: { jobTitle: 'Spy' } });
});

afterAll(() => portal.close());

const again = portalPages.find((one) => one.kind === 'page') ?? expect.unreachable();

async function asked(more: Partial<Asked> = {}): Promise<Asked> {
  const viewer: Viewer = {
    ...{ roles: ['user'], tenantId: tenant, accountId: account, actor: `account:${account}`, shownAs: '', reasons: {} },
  };
  return {
    ...{ database: portal.store.database, route: 'GET /me', path: '/me', params: {}, given: {}, token: '', base: '' },
    ...{ viewer, language: fallbackOf(await readWebLanguages()), contractRole: portal.role, ...more },
  };
}
/** Runs a transaction as a page of the portal does, or as an act does. */
async function read<Answer>(work: (contract: Contract) => Promise<Answer>, more: Partial<Asked> = {}): Promise<Answer> {
  let answer: Answer | undefined;
  const load = async (contract: Contract) => {
    answer = await work(contract);
    return {};
  };
  const page = contractPage({ route: 'GET /me', query: {}, load, render: () => ({ title: '', content: html`` }) });
  await page.show(await asked(more));
  return answer as Answer;
}
async function write<Answer>(work: (contract: Contract) => Promise<Answer>): Promise<Answer> {
  let answer: Answer | undefined;
  const act = contractAction({
    ...{ route: 'POST /me', form: {}, audit: 'test', again },
    act: async (within) => {
      answer = await within(work);
      return { to: '/me' };
    },
  });
  await act.act(await asked());
  return answer as Answer;
}
const stateOf = `select current_setting('role') as role, current_setting('directory.tenant', true) as tenant,
  current_setting('statement_timeout') as time, current_setting('transaction_read_only') as "readOnly"`;

describe('rule 44: the portal has nothing but the contract', () => {
  test('its transactions are a tenant-bound role in the tenant of the viewer, and leave nothing of it behind', async () => {
    // A pool of one connection: the next user has the same one.
    const database = openDatabase(portal.store.url, { maxConnections: 1 });
    const state = async () => (await database.raw(stateOf)).rows[0];
    const before = await state();
    const [within] = await read((contract) => contract.rows(stateOf), { database });
    expect(within).toEqual({ role: portal.role, tenant, time: '3s', readOnly: 'on' });
    expect(await state()).toEqual({ ...before, tenant: '' });
    const failing = read((contract) => contract.rows('select 1 / 0'), { database });
    await expect(failing).rejects.toThrow(/division by zero/);
    expect(await state()).toEqual({ ...before, tenant: '' });
    await database.destroy();
    expect(await write((contract) => contract.rows(stateOf))).toEqual([
      { role: portal.role, tenant, time: '3s', readOnly: 'off' },
    ]);
  });

  test.each([
    ['select * from entra_sync.accounts', /permission denied/],
    ['select * from entra_sync.sessions', /permission denied/],
    ['select * from directory.audit', /permission denied/],
    ["select entra_sync.write_audit('x', 'web', 'user', 'x', null, null, null, null)", /permission denied/],
    ["update directory.accounts set profile = '{}'", /cannot update view/],
    ['create table directory.mine ()', /permission denied|read-only/],
  ])('%s is refused', async (sql, words) => {
    await expect(read((contract) => contract.rows(sql))).rejects.toThrow(words);
    await expect(write((contract) => contract.rows(sql))).rejects.toThrow(words);
  });

  test('a page writes nothing, and a statement that takes too long ends', async () => {
    const edit = 'select directory.edit_as(:account, :account, \'{"jobTitle": "Boss"}\')';
    await expect(read((contract) => contract.rows(edit, { account }))).rejects.toThrow(/read-only transaction/);
    const slow = (contract: Contract) =>
      contract
        .rows("select set_config('statement_timeout', '10ms', true)")
        .then(() => contract.rows('select pg_sleep(9)'));
    await expect(read(slow)).rejects.toThrow(TooSlow);
    expect((await storedAccount(portal.store, account)).overrides).toEqual({});
  });

  test('the role is checked at the start, and each thing that is missing is named with its command', async () => {
    const { database } = portal.store;
    await requirePortalRole(database, portal.role);
    await expect(requirePortalRole(database, 'nobody_at_all')).rejects.toMatchObject({
      ...{ code: 'usage', cure: expect.stringContaining('create role "nobody_at_all"') },
    });
    const open = await portal.store.application({ grant: 'open' });
    await expect(requirePortalRole(database, open.role)).rejects.toMatchObject({
      cure: expect.stringMatching(/^entra-sync grant App .* --tenant-bound$/),
    });
    const login = await portal.store.application();
    const other = openDatabase(portal.store.url);
    const cannot = await other.transaction(async (on) => {
      await on.raw(`grant usage on schema entra_sync to ${quoted(login.role)}`);
      await on.raw(`grant select on entra_sync.grants to ${quoted(login.role)}`);
      await on.raw("select set_config('role', :role, true)", { role: login.role });
      return requirePortalRole(on, portal.role).catch((error: { cure?: string }) => error.cure);
    });
    await other.destroy();
    expect(cannot).toMatch(/^grant "App .*" to "App .*"$/);
  });
});

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`.replaceAll('?', '\\?');

describe('rule 44: another tenant is not there', () => {
  test('no id of it reads, edits or undoes anything', async () => {
    const seen = async (id: string) =>
      read((contract) => contract.rows('select account_id from directory.accounts where account_id = :id', { id }));
    expect([await seen(account), await seen(stranger)]).toEqual([[{ account_id: account }], []]);
    expect(await read((contract) => contract.rows('select tenant_id from directory.tenants'))).toEqual([
      { tenant_id: tenant },
    ]);
    const refused = (sql: string) =>
      write((contract) => contract.rows(sql, { account, stranger })).then(
        (answer) => answer,
        (error: unknown) => error,
      );
    // Refused as nothing, so the act is a 404.
    for (const sql of [
      `select directory.edit_as(:account, :stranger, '{"jobTitle": "x"}')`,
      `select directory.edit_as(:stranger, :account, '{"jobTitle": "x"}')`,
      'select directory.revert_as(:account, :stranger, null)',
      'select directory.undo_edit(:stranger, 1, :account)',
      'select * from directory.explain_account(:stranger)',
    ])
      expect(await refused(sql), sql).toBeUndefined();
    expect([await changesOf(portal.store, account), await changesOf(portal.store, stranger)]).toEqual([[], []]);
  });

  test('a change of another tenant, or of another account, is a 404 on one’s own page', async () => {
    const theirs = await portal.person(foreign, eve);
    const page = await theirs.get('/me');
    const at = /name="at" value="([^"]*)"/.exec(page.text)?.[1] ?? '';
    await theirs.post('/me', { act: 'save', at, 'field.jobTitle': 'Chief', 'was.jobTitle': 'Spy' });
    const [edit] = await ask<{ id: string }>(
      portal.store,
      'select max(change_id)::text as id from entra_sync.changes where account_id = :stranger',
      { stranger },
    );
    const own = await portal.person(tenant, ann);
    const undone = async (change: string) =>
      (await own.post('/me', { act: 'undo', at: '2026-01-01T00:00:00.000Z', change })).status;
    expect([await undone(edit?.id ?? ''), await undone('999999999')]).toEqual([404, 404]);
    expect((await storedAccount(portal.store, stranger)).overrides).toEqual({ jobTitle: 'Chief' });
  });

  test('the same object id of another tenant is no account here', async () => {
    const browser = await portal.person(foreign, ann);
    expect([(await browser.get('/me')).status, (await browser.post('/me', { act: 'save' })).status]).toEqual([
      401, 401,
    ]);
  });
});

test('directory.tenants tells the settings of the portal: the tenant’s over the installation’s over the defaults', async () => {
  const { database } = portal.store;
  const told = async () =>
    (
      await ask(portal.store, 'select time_zone, help, portal from directory.tenants where tenant_id = :tenant', {
        tenant,
      })
    )[0];
  const usual = { people: true, managers: false, history: '90d' };
  expect(await told()).toEqual({ time_zone: 'UTC', help: null, portal: usual });
  await setSettings(database, { timeZone: 'Asia/Tokyo', portal: { history: '7d', managers: true } });
  expect(await told()).toEqual({
    time_zone: 'Asia/Tokyo',
    help: null,
    portal: { ...usual, managers: true, history: '7d' },
  });
  await setSettings(database, { portal: { managers: false }, help: { text: 'Ask' } }, tenant);
  await setSettings(database, { timeZone: 'Europe/Oslo' }, tenant);
  expect(await told()).toEqual({
    time_zone: 'Europe/Oslo',
    help: { text: 'Ask' },
    portal: { ...usual, history: '7d' },
  });
  await setSettings(database, { help: null }, tenant);
  expect(await told()).toMatchObject({ help: null });
  await ask(
    portal.store,
    "delete from entra_sync.settings where tenant_id = :tenant or document ->> 'timeZone' = 'Asia/Tokyo'",
    { tenant },
  );
});

describe('rule 46: a manager', () => {
  const rolesOf = async (objectId: string) =>
    (await viewerOf(portal.store.database, await portal.cookie({ tenantId: tenant, objectId })))?.roles;
  const settings = (managers: boolean, kept = true) =>
    ask(
      portal.store,
      "insert into entra_sync.settings (tenant_id, document, actor) values (:tenant, :document, 'test')",
      {
        ...{ tenant, document: JSON.stringify({ portal: { managers }, managers: kept }) },
      },
    );

  test('is who manages a live person, where the settings give managers the portal', async () => {
    const [boss, deputy] = [randomUUID(), randomUUID()];
    await accountOf(portal.store, tenant, { objectId: boss });
    const report = await accountOf(portal.store, tenant, { objectId: randomUUID(), source: { manager: boss } });
    expect(await rolesOf(boss)).toEqual(['user']);
    await settings(true);
    expect([await rolesOf(boss), await rolesOf(ann)]).toEqual([['user', 'manager'], ['user']]);
    await settings(true, false);
    expect(await rolesOf(boss)).toEqual(['user']);
    await settings(true);
    await ask(portal.store, "update entra_sync.accounts set source = '{}' where account_id = :report", { report });
    expect(await rolesOf(boss)).toEqual(['user']);
    // By a group, of which the person is a nested member or a direct one.
    const member = await accountOf(portal.store, tenant, { objectId: deputy });
    const [chiefs, people] = [randomUUID(), randomUUID()];
    await ask(
      portal.store,
      `insert into entra_sync.groups (tenant_id, entra_object_id, state, kind, is_dynamic, source)
       select :tenant, g, 'managed', 'security', false, '{}' from unnest(array[:chiefs, :people]::uuid[]) g`,
      { tenant, chiefs, people },
    );
    await ask(
      portal.store,
      `insert into entra_sync.group_closure select group_no, group_no from entra_sync.groups where tenant_id = :tenant`,
      { tenant },
    );
    await ask(
      portal.store,
      storing(`select tenant_id, group_no, :deputy::uuid as member_object_id, 'u' as member_type
      from entra_sync.groups where tenant_id = :tenant`),
      { tenant, deputy },
    );
    await ask(portal.store, keeping);
    const managing = (of: string | null) =>
      ask(
        portal.store,
        `with gone as (delete from entra_sync.managed_by where tenant_id = :tenant)
        insert into entra_sync.managed_by (tenant_id, managers_id, people_id) values (:tenant, :chiefs, :of)`,
        { tenant, chiefs, of },
      );
    await managing(null);
    expect([member !== '', await rolesOf(deputy), await rolesOf(ann)]).toEqual([true, ['user', 'manager'], ['user']]);
    // A group of nobody but oneself is none to manage.
    await managing(people);
    expect(await rolesOf(deputy)).toEqual(['user']);
    await settings(false);
    await managing(null);
    expect(await rolesOf(deputy)).toEqual(['user']);
  });
});

test.runIf(isDeep)('rule 42: 50 people who edit at once lose nothing, and each is told of a conflict', async () => {
  const shared = await tenantWith(
    portal.store,
    Object.fromEntries(Array.from({ length: 5 }, (_, n) => [`field${n}`, {}])),
  );
  const objectId = randomUUID();
  const one = await accountOf(portal.store, shared, { objectId });
  const browsers = await Promise.all(Array.from({ length: 50 }, () => portal.person(shared, objectId)));
  const forms = await Promise.all(
    browsers.map(async (browser, n) => {
      const at = /name="at" value="([^"]*)"/.exec((await browser.get('/me')).text)?.[1] ?? '';
      const name = `field${n % 5}`;
      return { act: 'save', at, [`field.${name}`]: `by ${n}`, [`was.${name}`]: '' };
    }),
  );
  const answers = await Promise.all(browsers.map((browser, n) => browser.post('/me', forms[n])));
  const saved = answers.flatMap(({ status }, n) => (status === 303 ? [n] : []));
  // Of the ten who edit one field one is first; all others see that value and their own.
  expect(answers.map(({ status }) => status).toSorted()).toEqual([...Array(5).fill(303), ...Array(45).fill(409)]);
  const { overrides } = await storedAccount(portal.store, one);
  expect(overrides).toEqual(Object.fromEntries(saved.map((n) => [`field${n % 5}`, `by ${n}`])));
  for (const [n, { status, text }] of answers.entries())
    if (status === 409) {
      expect(text).toContain(`<dd>by ${n}</dd>`);
      expect(text).toContain(`<dd>${overrides[`field${n % 5}`]} <button`);
    }
  expect(await changesOf(portal.store, one)).toHaveLength(5);
});
