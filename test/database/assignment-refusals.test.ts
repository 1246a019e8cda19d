// Rule 37: what the functions of slots, items and assignments refuse, and what a role that is bound to a tenant sees of them.
import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Assigner, assigner } from '../support/assigner.ts';
import { answerOf, openEditStore } from '../support/people-edit.ts';
import { ask, openStore, type Store } from '../support/stage.ts';
import { openScene } from '../support/writers.ts';

let store: Store;
let give: Assigner;
let used: string;

beforeAll(async () => {
  store = await openStore();
  give = await assigner(store, await openScene(store));
  await give.put('banner', 1, 'corp', 'spring', 'sales');
  await give.put('templates', 1);
  used = await give.assign('banner', 'spring', { group: give.group(101) });
});

afterAll(() => store.close());

describe('rule 37: a refusal changes nothing', () => {
  const unknown = randomUUID();
  test.each<[string, () => Promise<unknown>, string, string, column?: string, facts?: object]>([
    [
      'an unknown slot',
      () => give.assign('no', 'spring', { everyone: true }),
      'ES010',
      'there is no slot "no"',
      'slot',
      {},
    ],
    [
      'an unknown item',
      () => give.assign('banner', 'no', { everyone: true }),
      'ES010',
      'the slot has no item "no"',
      'item',
      {},
    ],
    [
      'an unknown group',
      () => give.assign('banner', 'corp', { group: unknown }),
      'ES004',
      `there is no group ${unknown}`,
    ],
    [
      'an unknown account',
      () => give.assign('banner', 'corp', { accounts: [give.account(1), unknown] }),
      'ES004',
      `there is no account ${unknown}`,
    ],
    [
      'a removed account',
      () => give.assign('banner', 'corp', { account: give.account(2) }),
      'ES004',
      'there is no account',
    ],
    [
      'an unknown field',
      () => give.assign('banner', 'corp', { field: 'no', in: ['x'] }),
      'ES002',
      'there is no field "no"',
    ],
    [
      'values that are none',
      () => give.assign('banner', 'corp', { field: 'jobTitle', in: [] }),
      'ES005',
      'in does not fit',
      'target',
      { type: 'text[]', max_items: 1_000, max_length: 1_000 },
    ],
    [
      'no target',
      () => give.assign('banner', 'corp', {}),
      'ES005',
      'the target does not fit',
      'target',
      { type: 'object' },
    ],
    [
      'two targets',
      () => give.assign('banner', 'corp', { everyone: true, group: give.group(101) }),
      'ES005',
      'the target does not fit',
      'target',
      { type: 'object' },
    ],
    [
      'everyone that is not',
      () => give.assign('banner', 'corp', { everyone: false }),
      'ES005',
      'the target does not fit',
      'target',
      { type: 'object' },
    ],
    [
      'no id',
      () => give.assign('banner', 'corp', { group: 'Sales' }),
      'ES005',
      'group is no id',
      'target',
      { type: 'uuid' },
    ],
    [
      '1,001 accounts',
      () => give.assign('banner', 'corp', { accounts: Array.from({ length: 1001 }, () => unknown) }),
      'ES005',
      'accounts names 1001 accounts',
      'target',
      { type: 'text[]', max_items: 1_000 },
    ],
    [
      'an end before the start',
      () =>
        give.assign('banner', 'corp', { everyone: true }, { starts_at: '2030-01-02', ends_at: '2030-01-01T10:00:00Z' }),
      'ES005',
      'ends_at is not after starts_at',
      'ends_at',
      { type: 'time' },
    ],
    [
      'no time',
      () => give.assign('banner', 'corp', { everyone: true }, { starts_at: '2030-02-31' }),
      'ES005',
      'starts_at is no time',
      'starts_at',
      { type: 'time' },
    ],
    [
      'an unknown option',
      () => give.assign('banner', 'corp', { everyone: true }, { weight: 1 }),
      'ES005',
      'there is no option "weight"',
      'options',
      { options: ['priority', 'except', 'starts_at', 'ends_at'] },
    ],
    [
      'half a priority',
      () => give.assign('banner', 'corp', { everyone: true }, { priority: 1.5 }),
      'ES005',
      'priority does not fit',
      'priority',
      { type: 'number' },
    ],
    ['an unknown assignment', () => give.unassign(unknown), 'ES004', `there is no assignment ${unknown}`],
    ['a slot without winners', () => give.put('x', 0), 'ES005', 'winners does not fit', 'winners', { type: 'number' }],
    [
      'a slot without a name',
      () => give.put(' ', 1),
      'ES005',
      'the slot has no name',
      'slot',
      { type: 'text', max_length: 200 },
    ],
    ['an item without a slot', () => give.item('x', 'y', null), 'ES010', 'there is no slot "x"', 'slot', {}],
    ['a slot in use', () => give.drop('banner'), 'ES010', 'the slot "banner" is used', 'slot', {}],
    ['an item in use', () => give.drop('banner', 'spring'), 'ES010', 'the item "spring" is assigned', 'item', {}],
  ])('%s', async (_what, act, code, message, column, facts) => {
    const before = await give.everything();
    const refused = await act().then(
      () => expect.unreachable(),
      (error) => error,
    );
    expect(refused).toMatchObject({ code, message: expect.stringContaining(message), hint: expect.any(String) });
    if (column !== undefined)
      expect([refused.column, JSON.parse(refused.detail)]).toEqual([column, { code, field: column, ...facts }]);
    expect(await give.everything()).toEqual(before);
  });

  test('a group and an account of another tenant, as a target and as the new group', async () => {
    const theirs = await assigner(store, await openScene(store));
    const before = await give.everything();
    for (const target of [
      { group: theirs.group(101) },
      { account: theirs.account(1) },
      { accounts: [theirs.account(1)] },
    ])
      await expect(give.assign('banner', 'corp', target), JSON.stringify(target)).rejects.toMatchObject({
        code: 'ES004',
      });
    for (const [from, to] of [
      [give, theirs],
      [theirs, give],
    ] as const)
      await expect(give.moveBetween(from.group(101), to.group(101))).rejects.toMatchObject({ code: 'ES004' });
    expect(await give.everything()).toEqual(before);
    await theirs.close();
  });

  test('the 10,001st assignment of a tenant', async () => {
    const other = await openScene(store);
    const given = await assigner(store, other);
    await given.put('banner', 1, 'corp');
    await ask(
      store,
      `insert into entra_sync.assignments (tenant_id, slot, item, target, account_id, is_exception, priority, created_by)
       select :tenantId, 'banner', 'corp', 'account', gen_random_uuid(), false, 0, 'Ann' from generate_series(1, 10000)`,
      other,
    );
    await expect(given.assign('banner', 'corp', { everyone: true })).rejects.toMatchObject({
      code: 'ES005',
      hint: expect.stringContaining('10,000'),
      column: 'target',
      detail: expect.stringMatching(/"max_items": 10000\b/),
    });
  });

  test('what is not in use is dropped', async () => {
    await give.unassign(used);
    await give.drop('banner', 'spring');
    for (const item of ['corp', 'sales']) await give.drop('banner', item);
    await give.drop('banner');
    await expect(give.drop('banner')).rejects.toMatchObject({ code: 'ES010' });
  });
});

test('an item’s html is a template, and the refusal names the argument', async () => {
  await give.item('templates', 'spring', '<p>{{displayName}}</p>');
  await expect(give.item('templates', 'spring', '<img src="{{photo}}">')).rejects.toMatchObject({
    code: 'ES005',
    column: 'html',
    message: 'a {{field}} of the html stands in the attribute src (line 1)',
    hint: expect.stringContaining('Put it into text'),
  });
});

describe('roles that are bound', () => {
  let own: Awaited<ReturnType<typeof openEditStore>>;
  let bound: Client;
  let tenant: string;

  beforeAll(async () => {
    own = await openEditStore();
    const other = await openScene(own);
    tenant = other.tenantId;
    bound = await (await own.application({ grant: { tenant } })).connect();
  });

  afterAll(() => own.close());

  test('see the slots and items of all tenants, and write only those of their tenant', async () => {
    await ask(own, `select directory.put_slot(null, 'banner', 1, 'All', 'Ann')`);
    await ask(own, `select directory.put_item(null, 'banner', 'corp', null, null, 'Ann')`);
    for (const sql of [
      `select directory.put_slot(null, 'banner', 2, null, 'Eve')`,
      `select directory.put_item(null, 'banner', 'corp', 'Mine', null, 'Eve')`,
      `select directory.drop_item(null, 'banner', 'corp', 'Eve')`,
      `select directory.drop_slot(null, 'banner', 'Eve')`,
    ])
      expect(await answerOf(bound, sql)).toMatchObject({ code: 'ES004', message: 'there is no tenant null' });
    expect((await bound.query('select slot, title from directory.slots')).rows).toEqual([
      { slot: 'banner', title: 'All' },
    ]);
    expect((await bound.query('select item from directory.items')).rows).toEqual([{ item: 'corp' }]);
    await bound.query(`select directory.put_slot($1, 'banner', 2, 'Mine', 'Eve')`, [tenant]);
    await bound.query(`select directory.assign($1, 'banner', 'corp', '{"everyone": true}', null, 'Eve')`, [tenant]);
    expect((await bound.query('select count(*)::int as n from directory.assigned')).rows).toEqual([{ n: 7 }]);
    const nowhere = await own.connect();
    await nowhere.query(`set directory.tenant = '${randomUUID()}'`);
    for (const view of ['slots', 'items', 'assignments', 'assigned'])
      expect((await nowhere.query(`select * from directory.${view}`)).rows).toEqual([]);
  });
});
