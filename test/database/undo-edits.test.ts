// `directory.undo_account`: an edit is taken back where its fields still show what it gave, under the rules of an edit.
import fc from 'fast-check';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadDefaults } from '../../src/settings/settings.ts';
import { applySettings } from '../../src/store/settings/versions.ts';
import { runsOf } from '../support/deep.ts';
import { drawn } from '../support/histories.ts';
import { accountOf, answerOf, type EditStore, openEditStore, setRule, tenantWith } from '../support/people-edit.ts';
import { expectSound } from '../support/soundness.ts';
import { ask, leasedTenant, sync, untilBlocked, user } from '../support/stage.ts';

let store: EditStore;
let client: Client;
let tenant: string;

beforeAll(async () => {
  store = await openEditStore();
  client = await (await store.application({ grant: 'open' })).connect();
  tenant = await tenantWith(store, { jobTitle: {}, nickname: {}, mail: {} });
});

afterAll(() => store.close());

type Answer = Awaited<ReturnType<typeof answerOf>>;

const edit = (account: string, patch: object, actor = 'Ann', by = client) =>
  answerOf(by, "select directory.edit_account($1, $2, $3, 'user') as profile", [account, JSON.stringify(patch), actor]);
const revert = (account: string, fields: string[]) =>
  answerOf(client, "select directory.revert_account($1, $2, 'Ann', 'user') as profile", [account, fields]);
const undo = (
  account: string,
  change: string | null,
  { role = 'user', expected = null as string | null, by = client } = {},
) =>
  answerOf(by, 'select directory.undo_account($1, $2, $3, $4, $5) as profile', [
    account,
    change,
    'Eve',
    role,
    expected,
  ]);
const profileOf = (answer: Answer) => ('rows' in answer ? answer.rows[0]?.profile : answer);

async function lastEdit(account: string): Promise<string> {
  const [found] = await ask<{ id: string }>(
    store,
    "select max(change_id)::text as id from entra_sync.changes where account_id = :account and kind = 'account.edited'",
    { account },
  );
  return found?.id ?? expect.unreachable();
}

const seen = async (account: string) =>
  (
    await ask<{ profile: Record<string, unknown>; edited_fields: string[]; updated_at: string }>(
      store,
      'select profile, edited_fields, updated_at::text from directory.accounts where account_id = :account',
      { account },
    )
  )[0] ?? expect.unreachable();

describe('an edit taken back', () => {
  test('a field that showed the directory’s value follows the directory again', async () => {
    const account = await accountOf(store, tenant, { mapped: { jobTitle: 'Clerk' } });
    await edit(account, { jobTitle: 'Boss', nickname: 'Bo' });
    expect(profileOf(await undo(account, await lastEdit(account)))).toEqual({ jobTitle: 'Clerk' });
    expect((await seen(account)).edited_fields).toEqual([]);
  });

  test('a person’s value before it is in force again, with the actor of the undoing', async () => {
    const account = await accountOf(store, tenant, { mapped: { jobTitle: 'Clerk' } });
    await edit(account, { jobTitle: 'Chief' });
    await edit(account, { jobTitle: null });
    expect(profileOf(await undo(account, await lastEdit(account)))).toEqual({ jobTitle: 'Chief' });
    const { rows: why } = await client.query(
      "select changed_by from directory.explain_account($1) where field = 'jobTitle'",
      [account],
    );
    expect(why).toEqual([{ changed_by: 'Eve' }]);
  });

  test('a revert is taken back like an edit, and so is an undoing', async () => {
    const account = await accountOf(store, tenant, { mapped: { jobTitle: 'Clerk' } });
    await edit(account, { jobTitle: 'Chief' });
    await revert(account, ['jobTitle']);
    await undo(account, await lastEdit(account));
    expect((await seen(account)).profile).toEqual({ jobTitle: 'Chief' });
    await undo(account, await lastEdit(account));
    expect(await seen(account)).toMatchObject({ profile: { jobTitle: 'Clerk' }, edited_fields: [] });
  });

  test('the mail of a manual account moves its key, which must be free', async () => {
    const account = await accountOf(store, tenant, { state: 'manual' });
    await edit(account, { mail: 'one@example.com' });
    await edit(account, { mail: 'two@example.com' });
    const change = await lastEdit(account);
    const other = await accountOf(store, tenant, { state: 'manual', mail: 'ONE@example.com' });
    expect(await undo(account, change)).toMatchObject({ code: 'ES008' });
    await ask(store, 'delete from entra_sync.accounts where account_id = :other', { other });
    expect(profileOf(await undo(account, change))).toEqual({ mail: 'one@example.com' });
    expect(await ask(store, 'select mail from directory.accounts where account_id = :account', { account })).toEqual([
      { mail: 'one@example.com' },
    ]);
  });
});

/** The error with its fields. */
async function failureOf(account: string, change: string | null, options?: Parameters<typeof undo>[2]) {
  const error = await client
    .query('select directory.undo_account($1, $2, $3, $4, $5)', [
      ...[account, change, 'Eve', options?.role ?? 'user', options?.expected ?? null],
    ])
    .then(
      () => ({}),
      (thrown: { code: string; column?: string; detail?: string; hint?: string }) => thrown,
    );
  const { code, column, detail, hint } = error as Record<string, string | undefined>;
  return { code, column, detail: detail === undefined ? undefined : JSON.parse(detail), hint };
}

describe('refusals', () => {
  test('ES009: a field no longer shows what the edit gave; nothing is written', async () => {
    const account = await accountOf(store, tenant);
    await edit(account, { jobTitle: 'Boss', nickname: 'Bo' });
    const change = await lastEdit(account);
    await edit(account, { nickname: 'Bob' });
    const before = await seen(account);
    expect(await failureOf(account, change)).toEqual({
      ...{ code: 'ES009', column: 'nickname', detail: { code: 'ES009', field: 'nickname' } },
      hint: expect.stringContaining('account_history'),
    });
    expect(await seen(account)).toEqual(before);
  });

  test('ES009: a field changed since expected_updated_at; other fields are no conflict', async () => {
    const account = await accountOf(store, tenant);
    await edit(account, { jobTitle: 'Boss' });
    const change = await lastEdit(account);
    const { updated_at: read } = await seen(account);
    await edit(account, { nickname: 'Bo' });
    await edit(account, { jobTitle: 'Chief' });
    await edit(account, { jobTitle: 'Boss' });
    expect(await failureOf(account, change, { expected: read })).toMatchObject({ code: 'ES009', column: 'jobTitle' });
    const cut = new Date((await seen(account)).updated_at).toISOString();
    await edit(account, { nickname: 'Bob' });
    expect(profileOf(await undo(account, change, { expected: cut }))).toEqual({ nickname: 'Bob' });
  });

  test('what an edit refuses: the owner, the role, the type, the field', async () => {
    const own = await tenantWith(store, { jobTitle: {} });
    const account = await accountOf(store, own);
    await edit(account, { jobTitle: 'Clerk' });
    await edit(account, { jobTitle: 'Boss' });
    const change = await lastEdit(account);
    expect(await failureOf(account, change, { role: 'guest' })).toMatchObject({ code: 'ES003', column: 'jobTitle' });
    await setRule(store, own, 'jobTitle', { valueType: 'number' });
    expect(await failureOf(account, change)).toMatchObject({ code: 'ES005' });
    await setRule(store, own, 'jobTitle', { owner: 'directory' });
    expect(await failureOf(account, change)).toMatchObject({ code: 'ES001' });
    await ask(store, 'delete from entra_sync.field_rules where tenant_id = :own', { own });
    expect(await failureOf(account, change)).toMatchObject({ code: 'ES002' });
  });

  test('a change that is no edit of this account', async () => {
    const account = await accountOf(store, tenant);
    const other = await accountOf(store, tenant);
    await edit(other, { jobTitle: 'Boss' });
    for (const change of [await lastEdit(other), '0', null]) {
      expect(await failureOf(account, change)).toMatchObject({ code: '22023', hint: expect.any(String) });
    }
  });
});

test('of an edit and an undoing at the same time the later one is refused, and no time goes back', async () => {
  const account = await accountOf(store, tenant);
  await edit(account, { jobTitle: 'Boss' });
  const change = await lastEdit(account);
  const other = await (await store.application({ grant: 'open' })).connect();
  // Its transaction begins first and writes last.
  await other.query('begin');
  await other.query('select now()');
  await client.query('begin');
  await edit(account, { jobTitle: 'Chief' });
  const undone = undo(account, change, { by: other });
  await untilBlocked(store);
  await client.query('commit');
  expect(await undone).toMatchObject({ code: 'ES009' });
  await other.query('rollback');
  await other.query('begin');
  await other.query('select now()');
  await edit(account, { jobTitle: 'Head' });
  const { updated_at: before } = await seen(account);
  await edit(account, { jobTitle: 'Boss' }, 'Bob', other);
  await other.query('commit');
  expect((await seen(account)).updated_at > before).toBe(true);
});

const value = fc.constantFrom('A', 'B', 'C', null);
const act = fc.oneof(
  { weight: 4, arbitrary: fc.record({ act: fc.constant('edit' as const), value }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('revert' as const) }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('directory' as const), value }) },
  { weight: 4, arbitrary: fc.record({ act: fc.constant('undo' as const), which: fc.nat(20) }) },
);

test('any history of edits, reverts, undoings and changes in the directory shows what a model says', async () => {
  const lease = await leasedTenant(store);
  const { tenantId } = lease;
  const change = {
    tenantId,
    document: { sourceOfTruth: 'hybrid', fields: { jobTitle: { owner: 'user' } } },
    actor: 'test',
  };
  await applySettings(store.database, loadDefaults(), change as never);
  let n = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 4, maxLength: 14 }), async (acts) => {
      n += 1;
      const person = (title: string | null) => user(n, { jobTitle: title });
      let directory: string | null = 'D';
      // Undefined: none in force.
      let given: string | null | undefined;
      const shown = () => (given === undefined ? directory : given);
      const edits: { id: string; before: string | null; after: string | null; directory: string | null }[] = [];
      await sync(store, lease, n === 1 ? 'full' : 'incremental', [[person(directory)]]);
      const [{ id: account } = { id: '' }] = await ask<{ id: string }>(
        store,
        `select account_id as id from directory.accounts where tenant_id = :tenantId order by created_at desc limit 1`,
        { tenantId },
      );
      const noted = async (work: Promise<Answer>, set: () => void) => {
        const before = { shown: shown(), given };
        expect(await work).toHaveProperty('rows');
        set();
        if (given === before.given) return;
        edits.push({ id: await lastEdit(account), before: before.shown, after: shown(), directory });
      };
      for (const one of acts) {
        if (one.act === 'directory') {
          directory = one.value;
          await sync(store, lease, 'incremental', [[person(directory)]]);
        } else if (one.act === 'edit') {
          await noted(edit(account, { jobTitle: one.value }), () => {
            given = one.value;
          });
        } else if (one.act === 'revert') {
          await noted(revert(account, ['jobTitle']), () => {
            given = undefined;
          });
        } else {
          const undone = edits[one.which % Math.max(1, edits.length)];
          if (!undone) continue;
          if (shown() !== undone.after) {
            expect(await undo(account, undone.id)).toMatchObject({ code: 'ES009' });
            continue;
          }
          await noted(undo(account, undone.id), () => {
            given = undone.before === undone.directory ? undefined : undone.before;
          });
        }
        const { profile, edited_fields } = await seen(account);
        expect([profile.jobTitle ?? null, edited_fields]).toEqual([shown(), given === undefined ? [] : ['jobTitle']]);
      }
    }),
    { ...drawn, numRuns: runsOf(12, 80) },
  );
  await expectSound(store.database, tenantId);
  await lease.release();
});

test('rule 51: an application takes an edit of a private field back for the person, and for a manager who made it', async () => {
  const own = await tenantWith(store, { nickname: {} });
  await ask(store, 'update entra_sync.field_rules set private = true where tenant_id = :own', { own });
  const account = await accountOf(store, own, { mapped: {} });
  await edit(account, { nickname: 'Secret' });
  await edit(account, { nickname: 'Chief' });
  expect(await undo(account, await lastEdit(account), { role: 'manager' })).toMatchObject({ code: 'ES003' });
  expect(profileOf(await undo(account, await lastEdit(account)))).toEqual({ nickname: 'Secret' });
  await edit(account, { nickname: 'Queen' }, 'Eve');
  expect(profileOf(await undo(account, await lastEdit(account), { role: 'manager' }))).toEqual({ nickname: 'Secret' });
});
