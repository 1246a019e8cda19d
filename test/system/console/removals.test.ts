// The removals of a cycle or an approved list are taken back on a page as by the command line, and a list that changed says
// who came and who went.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decideRemovals } from '../../../src/store/commit/held-removals.ts';
import { undoRemovals } from '../../../src/store/commit/undo-removals.ts';
import { expectOneLine, runCli } from '../../support/cli.ts';
import { ask, objectId } from '../../support/stage.ts';
import { type Answer, type OwnWeb, openWeb, ops, type WebBrowser } from '../../support/web.ts';
import { openScene, type Scene } from '../../support/writers.ts';

let web: OwnWeb;
let scene: Scene;
let operator: WebBrowser;
let base: string;

beforeAll(async () => {
  web = await openWeb();
  scene = await openScene(web.store);
  base = `/console/t/${scene.tenantId}`;
  operator = await web.browser(ops('act'));
  await operator.post(`${base}/reason`, { reason: 'a test', to: base });
});

afterAll(() => web?.close());

const seenIn = ({ text }: Answer) => text.match(/name="seen" value="([^"]+)"/)?.[1] ?? '';
const removed = async () =>
  (
    await ask<{ id: string }>(
      web.store,
      'select account_id as id from directory.removed_accounts where tenant_id = :tenant order by 1',
      { tenant: scene.tenantId },
    )
  ).map(({ id }) => id);

test('the removals of a cycle are shown, taken back once, and the change rows name the person', async () => {
  // The rounds of the scene run without a cycle.
  const [cycle] = await ask<{ id: string }>(
    web.store,
    `with cycle as (
       insert into entra_sync.cycles (tenant_id, kind, actor, fence, started_at, finished_at, outcome, settings_version)
       values (:tenant, 'incremental', 'worker', 1, now() - interval '1 hour', now(), 'committed', 1) returning cycle_id)
     update entra_sync.changes c set cycle_id = cycle.cycle_id from cycle
      where c.tenant_id = :tenant and c.kind = 'account.removed' returning c.cycle_id as id`,
    { tenant: scene.tenantId },
  );
  const page = `${base}/cycles/${cycle?.id}`;
  expect((await operator.get(page)).text).toContain('2 people and groups that it removed');
  const looked = await operator.post(`${page}/undo`, {});
  expect([looked.status, looked.text.match(/2 accounts.* would be shown again/) !== null]).toEqual([200, true]);
  expect(await removed()).toEqual([scene.accounts[2], scene.accounts[3]].toSorted());
  const dry = { tenantId: scene.tenantId, of: { cycle: cycle?.id ?? '' }, actor: 'Ann', dryRun: true };
  const { removals } = await undoRemovals(web.store.database, dry);
  for (const { name } of removals) expect(looked.text).toContain(`>${name}<`);

  const press = () => operator.post(`${page}/undo`, { act: 'apply', seen: seenIn(looked) });
  const both = await Promise.all([press(), press()]);
  expect(both.map(({ status }) => status).toSorted()).toEqual([303, 409]);
  expect(both.find(({ status }) => status === 409)?.text).toContain('2 stay as they are');
  expect(await removed()).toEqual([]);
  const told = await ask(
    web.store,
    `select distinct kind, left(actor, 6) as actor from entra_sync.changes
      where tenant_id = :tenant and account_id = any(:ids::uuid[]) and change_id > (
        select max(change_id) from entra_sync.changes where tenant_id = :tenant and kind = 'account.removed')
        and kind like 'account.%' order by 1`,
    { tenant: scene.tenantId, ids: [scene.accounts[2], scene.accounts[3]] },
  );
  expect(told.every((row) => (row as { actor: string }).actor === 'entra:')).toBe(true);
  expect(told.length).toBeGreaterThan(0);
  const audit = await ask(
    web.store,
    `select detail from directory.audit where act = 'removals.undone' and detail ->> 'outcome' = 'done'`,
  );
  expect(audit).toEqual([
    { detail: { cycle: cycle?.id, shown: 2, skipped: 0, memberships: expect.any(Number), outcome: 'done' } },
  ]);
  const reader = await web.browser(ops('read'));
  expect((await reader.post(`${page}/undo`, {})).status).toBe(404);
  expect((await operator.post(`${base}/cycles/999999/undo`, {})).status).toBe(404);
});

test('a list that has changed since its page was loaded decides nothing, and says who came and who went', async () => {
  const { text } = await operator.get(`${base}/removals`);
  expect(text).toContain(`name="shown" value="${scene.accounts[4]}"`);
  const decide = (shown: string) =>
    operator.post(`${base}/removals`, { list: scene.listId, decision: 'reject', typed: '1', shown });
  // The page had another account in the list.
  const late = await decide(scene.accounts[5] ?? '');
  const nameOf = async (n: number) =>
    (
      await ask<{ name: string }>(
        web.store,
        `select profile ->> 'displayName' as name from entra_sync.accounts where account_id = :id`,
        { id: scene.accounts[n] },
      )
    )[0]?.name;
  expect(late.status).toBe(409);
  expect(late.text).toContain(`Came to the list since: ${await nameOf(4)}.`);
  expect(late.text).toContain(`Went from the list since: ${await nameOf(5)}.`);
  expect((await decide(scene.accounts[4] ?? '')).status).toBe(303);
});

test('the approved removals of a list are shown on its page, and taken back once', async () => {
  const [held] = await ask<{ list: string; account: string }>(
    web.store,
    `insert into entra_sync.removal_lists (tenant_id, stream, why) values (:tenant, 'users', 'a test')
     returning list_id as list, :account::uuid as account`,
    { tenant: scene.tenantId, account: scene.accounts[5] },
  );
  const list = held?.list ?? '';
  await ask(
    web.store,
    `insert into entra_sync.held_removals (list_id, tenant_id, object_id, account_id, reason, held_since, missed)
     select :list::bigint, a.tenant_id, a.entra_object_id, a.account_id, 'deleted', now(), 2
       from entra_sync.accounts a where a.account_id = :account`,
    { list, account: held?.account },
  );
  const page = `${base}/removals/${list}`;
  // A list without a decision has no page of its own.
  expect((await operator.get(page)).status).toBe(404);
  expect((await operator.post(`${page}/undo`, {})).status).toBe(404);
  const decision = {
    tenantId: scene.tenantId,
    listId: list,
    ids: null,
    decision: 'approve',
    side: 'vendor',
    actor: 'Ann',
  } as const;
  await decideRemovals(web.store.database, decision);
  expect(await removed()).toEqual([scene.accounts[5]]);
  expect((await operator.get(`${base}/removals`)).text).toContain(`href="${page}"`);

  const looked = await operator.post(`${page}/undo`, {});
  expect([looked.status, looked.text.includes('1 account')]).toEqual([200, true]);
  expect(await removed()).toEqual([scene.accounts[5]]);
  const press = () => operator.post(`${page}/undo`, { act: 'apply', seen: seenIn(looked) });
  const both = await Promise.all([press(), press()]);
  expect(both.map(({ status }) => status).toSorted()).toEqual([303, 409]);
  expect(await removed()).toEqual([]);
  const to = both.find(({ status }) => status === 303)?.headers.get('location') ?? '';
  expect((await operator.get(to)).text).toContain('They are shown again');
  const audit = await ask(
    web.store,
    `select detail - 'memberships' as detail from directory.audit
      where act = 'removals.undone' and detail ->> 'list' = :list and detail ->> 'outcome' = 'done'`,
    { list },
  );
  expect(audit).toEqual([{ detail: { list, shown: 1, skipped: 0, outcome: 'done' } }]);
  const reader = await web.browser(ops('read'));
  expect([
    (await reader.get(page)).text.includes('Take it back'),
    (await reader.post(`${page}/undo`, {})).status,
  ]).toEqual([false, 404]);
});

test('rule 60: held removals are decided by the side that the settings name, on pages and by the command line, and the other looks', async () => {
  const decide = (decider: string | null) =>
    ask(
      web.store,
      `insert into entra_sync.settings (tenant_id, document, actor)
       values (:tenant, jsonb_build_object('removals', jsonb_strip_nulls(jsonb_build_object('decide', :decider::text))), 'test')`,
      { tenant: scene.tenantId, decider },
    );
  const [made] = await ask<{ list: string }>(
    web.store,
    `with list as (insert into entra_sync.removal_lists (tenant_id, stream, why)
                   values (:tenant, 'users', 'a test') returning list_id)
     insert into entra_sync.held_removals (list_id, tenant_id, object_id, account_id, reason, held_since, missed)
     select list_id, a.tenant_id, a.entra_object_id, a.account_id, 'deleted', now(), 2
       from list, entra_sync.accounts a where a.account_id = :account returning list_id as list`,
    { tenant: scene.tenantId, account: scene.accounts[1] },
  );
  const admin = await web.browser({
    ...{ tenantId: scene.tenantId, objectId: objectId(77), actor: `entra:${scene.tenantId}/${objectId(77)}` },
    directoryRole: 'admin',
  });
  const keep = { list: made?.list ?? '', decision: 'reject', typed: '1' };
  const page = `${base}/removals`;
  const mayBy = async (browser: WebBrowser) => (await browser.get(page)).text.includes('name="decision"');
  await decide('customer');
  expect([await mayBy(operator), await mayBy(admin)]).toEqual([false, true]);
  const refused = await operator.post(page, keep);
  expect([
    refused.status,
    refused.text.includes('decides about removals of this tenant (removals.decide: customer)'),
  ]).toEqual([422, true]);
  const cli = await runCli(['removals', 'reject', scene.tenantId, '--list', keep.list, '--all'], {
    DATABASE_URL: web.store.url,
  });
  expectOneLine(cli, 2, /administrator decides about removals of this tenant \(removals\.decide: customer\) -> /);
  await decide('vendor');
  expect([await mayBy(operator), await mayBy(admin)]).toEqual([true, false]);
  expect((await admin.post(page, keep)).status).toBe(422);
  expect((await operator.get(page)).text).toContain(`name="list" value="${keep.list}"`);
  await decide(null);
  expect([await mayBy(operator), await mayBy(admin)]).toEqual([true, true]);
  expect((await admin.post(page, keep)).status).toBe(303);
});

test('a list of 600 people is a page of less than 200 kB, which says how many it shows', async () => {
  const { tenantId: tenant, listId: list } = await openScene(web.store);
  await ask(
    web.store,
    `with made as (
       insert into entra_sync.accounts (tenant_id, state, entra_object_id, user_principal_name, mapped)
       select :tenant, 'managed', gen_random_uuid(), 'a-person-with-a-long-name-' || n || '@contoso.example',
              jsonb_build_object('displayName', 'A person with a name that is rather long, number ' || n)
         from generate_series(1, 600) n returning account_id, entra_object_id)
     insert into entra_sync.held_removals (list_id, tenant_id, object_id, account_id, reason)
     select :list, :tenant, entra_object_id, account_id, 'not_seen' from made`,
    { tenant, list },
  );
  const path = `/console/t/${tenant}/removals`;
  const { text } = await operator.get(path);
  expect(text).toContain('The first 200 of 601 are shown');
  expect(Buffer.byteLength(text)).toBeLessThan(200_000);
  // A decision about all is about those that are not shown too, and the list is still the one that was seen.
  const shown = /name="shown" value="([^"]*)"/.exec(text)?.[1] ?? '';
  const done = await operator.post(path, { list, decision: 'reject', typed: '601', shown });
  expect([done.status, done.text]).toEqual([303, '']);
});
