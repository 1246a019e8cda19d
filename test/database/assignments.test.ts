// Rule 37: what each account gets, by the functions and views of the contract.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Assigner, assigner } from '../support/assigner.ts';
import { answerOf } from '../support/people-edit.ts';
import { expectSound } from '../support/soundness.ts';
import { ask, openStore, type Store, sync, tombstone, user } from '../support/stage.ts';
import { commitGroups, openScene, pullGroups, type Scene } from '../support/writers.ts';

let store: Store;
let scene: Scene;
let give: Assigner;

beforeEach(async () => {
  store = await openStore();
  scene = await openScene(store);
  give = await assigner(store, scene);
  await give.put('banner', 1, 'corp', 'spring', 'sales');
  await give.put('signature', 2, 'plain', 'fancy', 'legal');
});

afterEach(() => store.close());

const sound = () => expectSound(store.database, scene.tenantId);

/** Everyone who is live in the scene gets these items. */
const all = (...items: string[]) => Object.fromEntries([0, 1, 4, 5, 6, 7, 8].map((n) => [n, items]));

describe('rule 37: the order', () => {
  test('an account goes before a group, a field and everyone, whatever the priorities', async () => {
    await give.assign('banner', 'corp', { everyone: true }, { priority: 9 });
    expect(await give.got('banner')).toEqual(all('corp'));
    await give.assign('banner', 'sales', { field: 'jobTitle', in: ['clerk', 'x'] }, { priority: 5 });
    expect(await give.got('banner')).toEqual({ ...all('sales'), 0: ['corp'] });
    await give.assign('banner', 'spring', { group: give.group(102) });
    expect(await give.got('banner')).toEqual({ ...all('sales'), 0: ['corp'], 5: ['spring'] });
    await give.assign('banner', 'corp', { accounts: [give.account(5), give.account(0)] }, { priority: -1 });
    expect(await give.got('banner')).toEqual({ ...all('sales'), 0: ['corp'], 5: ['corp'] });
    await sound();
  });

  test('a higher priority goes before a lower one, and an older assignment before a younger one', async () => {
    await give.assign('banner', 'corp', { group: give.group(101) });
    await give.assign('banner', 'spring', { group: give.group(101) });
    expect(await give.got('banner')).toEqual({ 1: ['corp'], 4: ['corp'], 5: ['corp'] });
    const third = await give.assign('banner', 'sales', { group: give.group(102) }, { priority: 1 });
    // A nested group counts like the outer one.
    expect(await give.got('banner')).toEqual({ 1: ['corp'], 4: ['corp'], 5: ['sales'] });
    await give.change(third, { priority: null });
    expect(await give.got('banner')).toEqual({ 1: ['corp'], 4: ['corp'], 5: ['corp'] });
    await sound();
  });

  test('an exception takes its item away from each account that it reaches, also from one assigned to the account itself', async () => {
    await give.assign('signature', 'plain', { everyone: true });
    await give.assign('signature', 'fancy', { account: give.account(5) }, { priority: 100 });
    const exception = await give.assign('signature', 'fancy', { group: give.group(101) }, { except: true });
    expect(await give.got('signature')).toEqual(all('plain'));
    await give.change(exception, { except: false });
    expect(await give.got('signature')).toEqual({
      ...all('plain'),
      1: ['fancy', 'plain'],
      4: ['fancy', 'plain'],
      5: ['fancy', 'plain'],
    });
    await sound();
  });

  test('winners are distinct items, and the first assignment of an item is the one that is named', async () => {
    const first = await give.assign('signature', 'plain', { group: give.group(102) });
    await give.assign('signature', 'plain', { everyone: true });
    await give.assign('signature', 'legal', { everyone: true });
    await give.assign('signature', 'fancy', { everyone: true });
    expect(await give.got('signature')).toEqual(all('plain', 'legal'));
    const named = await ask(
      store,
      'select rank, item, assignment_id, via_group_id from directory.assigned where account_id = :id order by rank limit 1',
      { id: give.account(5) },
    );
    expect(named).toEqual([{ rank: 1, item: 'plain', assignment_id: first, via_group_id: give.group(102) }]);
    expect(await give.explain(5, 'signature')).toEqual([
      ['plain', 'wins', 'it is number 1 of 2'],
      ['plain', 'repeated', 'an assignment before it gives the same item'],
      ['legal', 'wins', 'it is number 2 of 2'],
      ['fancy', 'beaten', 'the slot has 2 winners, and assignments before it fill it'],
    ]);
    const placed = await ask(
      store,
      "select rank::int, item, target, via_group_id, priority from directory.explain_assignment(:id, 'signature')",
      { id: give.account(5) },
    );
    expect(placed).toEqual([
      { rank: 1, item: 'plain', target: 'group', via_group_id: give.group(102), priority: 0 },
      { rank: null, item: 'plain', target: 'everyone', via_group_id: null, priority: 0 },
      { rank: 2, item: 'legal', target: 'everyone', via_group_id: null, priority: 0 },
      { rank: null, item: 'fancy', target: 'everyone', via_group_id: null, priority: 0 },
    ]);
    await sound();
  });
});

describe('rule 37: assigned follows', () => {
  test('an account that is suspended keeps its items, and one that is removed, restored or purged loses, regains and loses them', async () => {
    await give.assign('banner', 'spring', { group: give.group(101) });
    await give.assign('banner', 'corp', { everyone: true });
    const { lease } = scene;
    await sync(store, lease, 'incremental', [[user(1, { accountEnabled: false })]]);
    expect(await give.got('banner')).toMatchObject({ 1: ['spring'] });
    await sync(store, lease, 'incremental', [[tombstone(1), user(9)]]);
    const there = await give.got('banner');
    expect(there).toMatchObject({ 9: ['corp'] });
    expect(there[1]).toBeUndefined();
    await sound();
    await sync(store, lease, 'incremental', [[user(1)]], { now: [user(1)] });
    expect(await give.got('banner')).toMatchObject({ 1: ['spring'] });
    await sync(store, lease, 'incremental', [[tombstone(1)]]);
    await ask(store, "update entra_sync.accounts set purge_at = now() - interval '1 day' where removed_at is not null");
    await sync(store, lease, 'incremental', [[user(6, { jobTitle: 'Mate' })]]);
    await sound();
  });

  test('memberships, and groups that are nested, taken out, removed and restored', async () => {
    await give.assign('banner', 'spring', { group: give.group(101) });
    const { lease } = scene;
    const round = (groups: number[], members: [number, number][], kind: 'full' | 'incremental' = 'incremental') =>
      pullGroups(store, lease, kind, groups, members).then((one) => commitGroups(store.database, lease, one));
    await round([101], [[101, -102]]);
    expect(await give.got('banner')).toEqual({ 1: ['spring'], 4: ['spring'] });
    await round(
      [101, 102],
      [
        [101, 102],
        [102, 6],
      ],
    );
    expect(await give.got('banner')).toEqual({ 1: ['spring'], 4: ['spring'], 5: ['spring'], 6: ['spring'] });
    // A ring.
    await round([102], [[102, 101]]);
    await sound();
    // A full round that does not show group 101.
    await round([102], [[102, 5]], 'full');
    expect(await give.got('banner')).toEqual({});
    expect(await give.states()).toEqual([['dormant', 'Group 101']]);
    await sound();
    await round([101], [[101, 1]]);
    expect(await give.got('banner')).toMatchObject({ 1: ['spring'] });
    expect(await give.states()).toEqual([['active', 'Group 101']]);
    await sound();
  });

  test('accounts that had different items and get the same in one commit are each told of what they had', async () => {
    await give.assign('banner', 'corp', { everyone: true });
    await give.assign('banner', 'spring', { group: give.group(101) });
    await give.assign('banner', 'sales', { group: give.group(102) });
    const { lease } = scene;
    const round = (...members: [number, number][]) =>
      pullGroups(store, lease, 'incremental', [101, 102], members).then((one) =>
        commitGroups(store.database, lease, one),
      );
    await round([101, -102]);
    const told = await give.moved(() => round([101, -1], [101, -4], [102, -5]));
    const turn = (n: number, had: string) => ({
      account: give.account(n),
      before: { banner: [had] },
      after: { banner: ['corp'] },
    });
    expect(told).toHaveLength(3);
    expect(told).toEqual(expect.arrayContaining([turn(1, 'spring'), turn(4, 'spring'), turn(5, 'sales')]));
    await sound();
  });

  test('an edit of a field that an assignment goes by, and a manual account that is created and removed', async () => {
    await give.assign('banner', 'spring', { field: 'displayName', in: ['USER 1', 'Edited', 'By hand'] });
    expect(await give.got('banner')).toEqual({ 0: ['spring'], 1: ['spring'] });
    const edit = (n: number, value: string | null) =>
      ask(store, `select directory.edit_account(:id, :patch::jsonb, 'Ann', 'user')`, {
        id: give.account(n),
        patch: JSON.stringify({ displayName: value }),
      });
    await edit(1, null);
    await edit(6, 'edited');
    expect(await give.got('banner')).toEqual({ 0: ['spring'], 6: ['spring'] });
    await ask(store, `select directory.revert_account(:id, null, 'Ann', 'user')`, { id: give.account(1) });
    expect(await give.got('banner')).toEqual({ 0: ['spring'], 1: ['spring'], 6: ['spring'] });
    await ask(store, `select directory.remove_account(:id, 'Ann', 'user')`, { id: give.account(0) });
    await ask(store, `select directory.create_account(:tenant, '{"displayName": "BY HAND"}', 'Ann')`, {
      tenant: scene.tenantId,
    });
    expect(Object.values(await give.got('banner'))).toEqual([['spring'], ['spring'], ['spring']]);
    await sound();
  });

  test('an edit that began before an assignment by its field was made is waited for, and one that begins after it takes the tenant', async () => {
    const edit = `select directory.edit_account($1, '{"displayName": "Late"}', 'Ann', 'user')`;
    const [first, second] = [await store.connect(), await store.connect()];
    await first.query('begin');
    await first.query(edit, [give.account(6)]);
    const given = second.query(
      `select directory.assign($1, 'banner', 'spring', '{"field": "displayName", "in": ["late"]}', null, 'Ann')`,
      [scene.tenantId],
    );
    await give.waits(second);
    await first.query('commit');
    await given;
    expect(await give.got('banner')).toEqual({ 6: ['spring'] });
    await second.query('begin');
    await second.query(
      `select directory.assign($1, 'banner', 'corp', '{"field": "displayName", "in": ["x"]}', null, 'Ann')`,
      [scene.tenantId],
    );
    const edited = answerOf(first, edit, [give.account(7)]);
    await give.waits(first);
    await second.query('commit');
    expect(await edited).not.toHaveProperty('code');
    expect(await give.got('banner')).toEqual({ 6: ['spring'], 7: ['spring'] });
    await sound();
  });

  test('fewer and more winners, a slot of the tenant before one of all tenants, and the end of it', async () => {
    const forAll = (winners: number) =>
      ask(store, `select directory.put_slot(null, 'footer', :winners, null, 'Ann')`, { winners });
    await forAll(1);
    for (const item of ['a', 'b', 'c'])
      await ask(store, `select directory.put_item(null, 'footer', :item, null, null, 'Ann')`, { item });
    for (const item of ['a', 'b', 'c']) await give.assign('footer', item, { account: give.account(1) });
    expect(await give.got('footer')).toEqual({ 1: ['a'] });
    await forAll(3);
    // The tenant follows in a transaction of its own.
    expect(await give.got('footer')).toEqual({ 1: ['a'] });
    await give.tick();
    expect(await give.got('footer')).toEqual({ 1: ['a', 'b', 'c'] });
    await give.put('footer', 2);
    expect(await give.got('footer')).toEqual({ 1: ['a', 'b'] });
    await sound();
    await ask(store, `select directory.drop_slot(:tenant, 'footer', 'Ann')`, { tenant: scene.tenantId });
    expect(await give.got('footer')).toEqual({ 1: ['a', 'b', 'c'] });
    await sound();
  });

  test('a full round of the groups repairs what an error has left', async () => {
    await give.assign('banner', 'corp', { everyone: true });
    await ask(store, 'delete from entra_sync.assigned where rank = 1 and account_no % 2 = 0');
    const full = await pullGroups(store, scene.lease, 'full', [101, 102], [[102, 5]]);
    await commitGroups(store.database, scene.lease, full);
    expect(await give.got('banner')).toEqual(all('corp'));
  });

  test('a tenant whose last assignment is taken back pays nothing any more', async () => {
    const one = await give.assign('banner', 'spring', { everyone: true });
    await give.unassign(one);
    expect(await give.got('banner')).toEqual({});
    expect(await ask(store, 'select assigned_at from entra_sync.tenants where tenant_id = :tenantId', scene)).toEqual([
      { assigned_at: null },
    ]);
    await sound();
  });
});

test('rule 37: the feed tells each step, with what each account had and has', async () => {
  const position = (await ask<{ p: string }>(store, 'select directory.feed_position() as p'))[0]?.p ?? '';
  const one = await give.assign('banner', 'spring', { group: give.group(102) });
  await give.change(one, { priority: 3 });
  await give.move(102, 101);
  await give.unassign(one);
  const told = await ask<{ kind: string; account_id: string | null; before: object; after: object }>(
    store,
    'select kind, account_id, before, after from directory.read_changes(:position)',
    { position },
  );
  const [spring, none] = [{ banner: ['spring'] }, { banner: [] }];
  const id = { assignment_id: one };
  const target = (n: number) => ({ target: { group: give.group(n) } });
  const whole = { ...id, slot: 'banner', item: 'spring', except: false, starts_at: null, ends_at: null };
  const changed = (n: number, before: object, after: object) => ['assigned.changed', give.account(n), before, after];
  expect(told.map(({ kind, account_id, before, after }) => [kind, account_id, before, after])).toEqual([
    ['assignment.created', null, null, { ...whole, ...target(102), priority: 0 }],
    changed(5, none, spring),
    ['assignment.changed', null, { ...id, priority: 0 }, { ...id, priority: 3 }],
    ['assignment.changed', null, { ...id, ...target(102) }, { ...id, ...target(101) }],
    ...[1, 4].map((n) => changed(n, none, spring)),
    ['assignment.removed', null, { ...whole, ...target(101), priority: 3 }, id],
    ...[1, 4, 5].map((n) => changed(n, spring, none)),
  ]);
  const history = await ask(
    store,
    `select kind, field, before, after from directory.account_history(:id) where kind like 'assign%'`,
    {
      id: give.account(5),
    },
  );
  expect(history).toEqual([
    { kind: 'assigned.changed', field: 'assigned.banner', before: ['spring'], after: [] },
    { kind: 'assigned.changed', field: 'assigned.banner', before: [], after: ['spring'] },
  ]);
});

describe('rule 37: starts and ends', () => {
  const inAnHour = () => give.time('1 hour');

  test('the tick applies them, also where the tenant is paused or disconnected, and two workers write one row', async () => {
    await give.assign('banner', 'corp', { everyone: true });
    await give.assign(
      'banner',
      'spring',
      { account: give.account(1) },
      { starts_at: await inAnHour(), ends_at: await give.time('90 minutes') },
    );
    expect(await give.states()).toEqual([
      ['active', null],
      ['scheduled', null],
    ]);
    expect(await give.tick()).toBe(0);
    expect(await give.got('banner')).toEqual(all('corp'));
    await ask(
      store,
      "update entra_sync.tenants set paused = true, status = 'disconnected' where tenant_id = :tenantId",
      scene,
    );
    await give.anHourPasses();
    const applied = await Promise.all([give.tick(), give.tick()]);
    expect(applied.reduce((sum, one) => sum + one)).toBe(1);
    expect(await give.got('banner')).toMatchObject({ 1: ['spring'] });
    await give.anHourPasses();
    expect(await give.tick()).toBe(1);
    expect(await give.got('banner')).toEqual(all('corp'));
    expect(await give.states()).toEqual([
      ['active', null],
      ['ended', null],
    ]);
    const told = await ask(
      store,
      `select actor from directory.changes where kind = 'assigned.changed' and account_id = :id order by change_id`,
      {
        id: give.account(1),
      },
    );
    expect(told).toEqual([{ actor: 'Ann' }, { actor: 'entra-sync' }, { actor: 'entra-sync' }]);
    await sound();
  });

  test('the tick passes by a tenant that another writer has', async () => {
    await give.assign('banner', 'spring', { account: give.account(1) }, { starts_at: await inAnHour() });
    await give.anHourPasses();
    const other = await store.connect();
    await other.query('begin');
    await other.query('select from entra_sync.tenants where tenant_id = $1 for no key update', [scene.tenantId]);
    expect(await give.tick()).toBe(0);
    await other.query('rollback');
    expect(await give.tick()).toBe(1);
  });

  test('each commit applies them, an idle one too', async () => {
    await give.assign('banner', 'spring', { account: give.account(1) }, { starts_at: await inAnHour() });
    await give.anHourPasses();
    await sync(store, scene.lease, 'incremental', [[user(6, { jobTitle: 'Mate' })]]);
    expect(await give.got('banner')).toEqual({ 1: ['spring'] });
    const one = await give.assign('banner', 'sales', { account: give.account(6) }, { starts_at: await inAnHour() });
    await give.anHourPasses();
    await sync(store, scene.lease, 'incremental', [[]]);
    expect(await give.got('banner')).toEqual({ 1: ['spring'], 6: ['sales'] });
    // Nothing changes for an account that gets the item anyway: no batch is left in the feed.
    await give.assign('banner', 'sales', { account: give.account(6) }, { starts_at: await inAnHour() });
    await give.anHourPasses();
    const batches = 'select count(*)::int as n from entra_sync.batches';
    const [before] = await ask(store, batches);
    await sync(store, scene.lease, 'incremental', [[]]);
    expect(await ask(store, batches)).toEqual([before]);
    await give.unassign(one);
    await sound();
  });
});

test('rule 37: a preview is what then happens, and writes nothing', async () => {
  await give.assign('banner', 'corp', { everyone: true });
  await give.assign('banner', 'spring', { group: give.group(102) }, { priority: 2 });
  for (const [target, options] of [
    [{ group: give.group(101) }, { priority: 1 }],
    [{ accounts: [give.account(1), give.account(5)] }, {}],
    [{ field: 'jobTitle', in: ['CLERK'] }, {}],
    [{ everyone: true }, { except: true }],
  ] as const) {
    const before = await give.got('banner');
    const foreseen = await give.preview('banner', 'sales', target, options);
    expect(await give.got('banner')).toEqual(before);
    expect(await give.moved(() => give.assign('banner', 'sales', target, options))).toEqual(foreseen);
  }
  await sound();
});

test('rule 37: a preview of an assignment that starts later is of that moment', async () => {
  await give.assign('banner', 'corp', { account: give.account(1) }, { ends_at: await give.time('1 hour') });
  const later = { starts_at: await give.time('2 hours') };
  const foreseen = await give.preview('banner', 'sales', { account: give.account(1) }, later);
  expect(foreseen).toEqual([{ account: give.account(1), before: { banner: [] }, after: { banner: ['sales'] } }]);
});

describe('rule 38: no cycle writes or deletes an assignment', () => {
  test('a group that is renamed, removed, restored and purged, and a person who is', async () => {
    await give.assign('banner', 'spring', { group: give.group(101) });
    await give.assign('banner', 'sales', { account: give.account(5) });
    const kept = await give.rows();
    const { lease } = scene;
    const round = (
      groups: number[],
      members: [number, number][],
      name?: string,
      kind: 'full' | 'incremental' = 'incremental',
    ) => pullGroups(store, lease, kind, groups, members, name).then((one) => commitGroups(store.database, lease, one));
    await round([101], [], 'Renamed');
    expect(await give.states()).toEqual([
      ['active', 'Renamed 101'],
      ['active', null],
    ]);
    await sync(store, lease, 'incremental', [[tombstone(5)]]);
    await round([102], [], undefined, 'full');
    expect(await give.states()).toEqual([
      ['dormant', 'Renamed 101'],
      ['dormant', null],
    ]);
    expect(await give.rows()).toEqual(kept);
    await ask(store, "update entra_sync.groups set purge_at = now() - interval '1 day' where removed_at is not null");
    await ask(store, "update entra_sync.accounts set purge_at = now() - interval '1 day' where removed_at is not null");
    await sync(store, lease, 'incremental', [[user(6, { jobTitle: 'Mate' })]]);
    await round([102], [[102, 7]]);
    expect(await give.states()).toEqual([
      ['orphaned', null],
      ['orphaned', null],
    ]);
    expect(await give.rows()).toEqual(kept);
    expect(await give.move(101, 102)).toBe(1);
    expect(await give.states()).toEqual([
      ['active', 'Group 102'],
      ['orphaned', null],
    ]);
    expect(await give.got('banner')).toMatchObject({ 7: ['spring'] });
    await sound();
  });
});
