// The past as the contract shows it: `account_history`, `group_history`, `accounts_at`, `memberships_at`.
import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accountAt } from '../../src/store/accounts/history.ts';
import { listChanges } from '../../src/store/console/changes.ts';
import { inTransaction } from '../../src/store/database/pool.ts';
import { findChanges } from '../../src/store/feed/changes.ts';
import { describeChange } from '../../src/words/changes.ts';
import { accountOf, answerOf, type EditStore, openEditStore, tenantWith } from '../support/people-edit.ts';
import { ask } from '../support/stage.ts';

let store: EditStore;
let client: Client;
let tenant: string;

beforeAll(async () => {
  store = await openEditStore();
  client = await (await store.application({ grant: 'open' })).connect();
  tenant = await tenantWith(store, { jobTitle: {}, displayName: {} });
});

afterAll(() => store.close());

type Written = { kind: string; account?: string; group?: string; groups?: string[]; before?: object; after?: object };

/** Writes change rows as one batch, and returns the time between it and the next. */
async function write(...changes: Written[]): Promise<string> {
  for (const [index, { kind, account, group, groups, before, after }] of changes.entries()) {
    await ask(
      store,
      `with batch as (
         insert into entra_sync.batches (tenant_id) select :tenant where :first
         returning batch_id
       )
       insert into entra_sync.changes
              (change_id, batch_id, tenant_id, actor, kind, account_id, group_id, group_ids, change_ids, before, after)
       overriding system value
       select x.ids[1], coalesce((select batch_id from batch), (select max(batch_id) from entra_sync.batches)), :tenant,
              'test', :kind, :account, :group, :groups, case when :groups::uuid[] is not null then x.ids end, :before, :after
         from (select array(select nextval('entra_sync.changes_change_id_seq')
                              from generate_series(1, coalesce(cardinality(:groups::uuid[]), 1))) as ids) x`,
      {
        ...{ tenant, kind, first: index === 0, account: account ?? null, group: group ?? null, groups: groups ?? null },
        ...{ before: before ? JSON.stringify(before) : null, after: after ? JSON.stringify(after) : null },
      },
    );
  }
  await ask(store, 'select entra_sync.number_batches()');
  const [now] = await ask<{ at: string }>(store, 'select clock_timestamp()::text as at');
  return now?.at ?? '';
}

const at = async (time: string, id: string) =>
  (
    await ask<Record<string, unknown>>(
      store,
      'select * from directory.accounts_at(:tenant, :time) where account_id = :id',
      { tenant, time, id },
    )
  )[0];

const facts = (title: string | null) => ({
  ...{ entra_object_id: null, state: 'managed', enabled: true, user_principal_name: 'u', mail: null },
  profile: { displayName: 'Ann', ...(title !== null && { jobTitle: title }) },
});

test('rule 26: a restore of an older release hides no value: what the account was is in the rows before it', async () => {
  const id = await accountOf(store, tenant, { mapped: { displayName: 'Ann', jobTitle: 'Head' } });
  const created = await write({ kind: 'account.created', account: id, after: facts('Clerk') });
  await write({ kind: 'account.removed', account: id, after: { removed: 'deleted' } });
  const restored = await write({
    kind: 'account.restored',
    account: id,
    before: { removed: 'deleted' },
    after: facts('Head'),
  });
  expect(await at(created, id)).toMatchObject({ profile: { displayName: 'Ann', jobTitle: 'Clerk' }, erased: false });
  expect(await at(restored, id)).toMatchObject({ profile: { displayName: 'Ann', jobTitle: 'Head' } });
});

test('rule 26: a restore says the old values of what it changed, so nothing before it is needed', async () => {
  const id = await accountOf(store, tenant, { mapped: { displayName: 'Ann', jobTitle: 'Head' } });
  const start = await write({ kind: 'account.updated', account: id, before: {}, after: {} });
  await write({ kind: 'account.removed', account: id, after: { removed: 'deleted' } });
  await write({
    kind: 'account.restored',
    account: id,
    before: { removed: 'deleted', profile: { jobTitle: null } },
    after: facts('Head'),
  });
  expect(await at(start, id)).toMatchObject({ profile: { displayName: 'Ann' } });
  expect((await at(start, id))?.profile).not.toHaveProperty('jobTitle');
});

test('rule 26: an account that was purged since is erased: its id without values', async () => {
  const id = randomUUID();
  const live = await write({ kind: 'account.created', account: id });
  await write({ kind: 'account.removed', account: id, after: { removed: 'deleted' } });
  const purged = await write({ kind: 'account.purged', account: id });
  expect(await at(live, id)).toEqual({
    ...{ tenant_id: tenant, account_id: id, entra_object_id: null, state: null, enabled: null },
    ...{ user_principal_name: null, mail: null, profile: null, erased: true },
  });
  expect(await at(purged, id)).toBeUndefined();
  const { rows: history } = await client.query('select kind, field from directory.account_history($1)', [id]);
  expect(history).toEqual([
    { kind: 'account.purged', field: null },
    { kind: 'account.removed', field: 'removed' },
    { kind: 'account.created', field: null },
  ]);
});

test('rule 51: earlier values of a private field are told to the person alone', async () => {
  const owner = { owner: 'user' as const, editableBy: ['user'], private: true };
  const other = await tenantWith(store, { displayName: {}, pronouns: owner });
  const [ann, bob] = [
    await accountOf(store, other, { mapped: { displayName: 'Ann' } }),
    await accountOf(store, other, { mapped: { displayName: 'Bob' } }),
  ];
  const edit = (pronouns: string) =>
    ask(store, `select directory.edit_account(:ann, :patch, 'Ann', 'user')`, {
      ann,
      patch: JSON.stringify({ pronouns }),
    });
  await edit('she/her');
  await ask(store, 'select entra_sync.number_batches()');
  const [moment] = await ask<{ at: string }>(store, 'select clock_timestamp()::text as at');
  await edit('they/them');
  const told = async (sql: string, values: unknown[]) => (await client.query(sql, values)).rows;
  const history = (viewer: string | null) =>
    told(`select before, after from directory.account_history($1, $2) where field = 'profile.pronouns'`, [ann, viewer]);
  const hidden = { private: true };
  const theirs = [
    { before: 'she/her', after: 'they/them' },
    { before: null, after: 'she/her' },
  ];
  expect(await history(ann)).toEqual(theirs);
  for (const viewer of [bob, null]) {
    const seen = await history(viewer);
    expect(
      seen.map(({ after }) => after),
      String(viewer),
    ).toEqual([hidden, hidden]);
    expect(seen[0]?.before).toEqual(hidden);
  }
  const alone = await told(`select before, after from directory.account_history($1) where field = 'profile.pronouns'`, [
    ann,
  ]);
  expect(alone.map(({ after }) => after)).toEqual([hidden, hidden]);
  const then = async (...viewer: (string | null)[]) =>
    (
      await told(
        `select profile from directory.accounts_at($1, $2${viewer.length > 0 ? ', $4' : ''}) where account_id = $3`,
        [other, moment?.at, ann, ...viewer],
      )
    )[0];
  expect(await then(ann)).toEqual({ profile: { displayName: 'Ann', pronouns: 'she/her' } });
  for (const viewer of [[bob], [null], []])
    expect(await then(...viewer), String(viewer)).toEqual({ profile: { displayName: 'Ann' } });
  // What the command line and the console list.
  const found = await findChanges(store.database, { accountId: ann, kind: 'account.edited' }, 10);
  const listed = await inTransaction(store.database, (on) =>
    listChanges(on, { accountId: ann, kind: 'account.edited' }, { after: null, limit: 10 }),
  );
  for (const list of [found, listed]) {
    expect(list).toHaveLength(2);
    expect(JSON.stringify(list)).not.toMatch(/she|they/);
    expect(describeChange('account.edited', list[0]?.before, list[0]?.after)).toBe('pronouns: private');
  }
  expect(await accountAt(store.database, { tenantId: other, accountId: ann, at: moment?.at ?? '' })).toMatchObject({
    profile: { displayName: 'Ann' },
  });
  // The feed is the application's own: it rebuilds every value.
  const [last] = await told(
    'select after from directory.changes where account_id = $1 order by change_id desc limit 1',
    [ann],
  );
  expect(last).toEqual({ after: { profile: { pronouns: 'they/them' } } });
});

test('a group finds its memberships in packed rows, and each has its own id', async () => {
  const account = await accountOf(store, tenant);
  const [one, other] = [randomUUID(), randomUUID()];
  await write({ kind: 'membership.added', account, groups: [one, other] });
  await write({ kind: 'membership.removed', account, group: one });
  const { rows: history } = await client.query('select * from directory.group_history($1)', [one]);
  expect(history).toMatchObject([
    { kind: 'membership.removed', field: 'member', before: account, after: null },
    { kind: 'membership.added', field: 'member', before: null, after: account },
  ]);
  const { rows: its } = await client.query(
    "select change_id from directory.account_history($1) where field = 'group' order by 1",
    [account],
  );
  expect(new Set(its.map((row) => row.change_id)).size).toBe(3);
});

describe('refusals', () => {
  const never = '00000000-0000-4000-8000-000000000000';
  test.each([
    ['an account that is not there', 'select directory.account_history($1)', [never], 'ES004'],
    ['no account', 'select directory.account_history($1)', [null], 'ES004'],
    ['a group that is not there', 'select directory.group_history($1)', [never], 'ES004'],
    ['a tenant that is not there', 'select directory.accounts_at($1, now())', [never], 'ES004'],
    ['its memberships', 'select directory.memberships_at($1, now())', [never], 'ES004'],
    ['a time before the first row', "select directory.accounts_at($1, '2001-01-01')", ['mine'], 'ES006'],
    ['no time', 'select directory.memberships_at($1, null)', ['mine'], 'ES006'],
    ['a tenant without any stored change', 'select directory.accounts_at($1, now())', ['empty'], 'ES006'],
  ])('%s', async (_what, sql, values, code) => {
    const empty = await tenantWith(store, {});
    const given = values.map((value) => (value === 'mine' ? tenant : value === 'empty' ? empty : value));
    expect(await answerOf(client, sql, given)).toMatchObject({ code, hint: expect.any(String) });
  });

  test('another tenant than that of directory.tenant has no past', async () => {
    const account = await accountOf(store, tenant);
    await write({ kind: 'account.created', account, after: facts(null) });
    const group = randomUUID();
    await write({ kind: 'membership.added', account, group });
    const other = await tenantWith(store, {});
    await client.query("select set_config('directory.tenant', $1, false)", [other]);
    for (const [sql, id] of [
      ['select directory.account_history($1)', account],
      ['select directory.group_history($1)', group],
      ['select directory.accounts_at($1, now())', tenant],
      ['select directory.memberships_at($1, now())', tenant],
    ] as const) {
      expect([sql, await answerOf(client, sql, [id])]).toMatchObject([sql, { code: 'ES004' }]);
    }
    await client.query('reset directory.tenant');
  });
});
