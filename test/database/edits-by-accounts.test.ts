// An account edits itself and the accounts that it manages (`edit_as`, `undo_edit`, `revert_as`), and no value is lost where two edit at once.
import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  accountOf,
  changesOf,
  type EditStore,
  keepManagers,
  openEditStore,
  setRule,
  storedAccount,
  tenantWith,
} from '../support/people-edit.ts';
import { ask, untilBlocked } from '../support/stage.ts';
import { keeping, storing } from '../support/stored-memberships.ts';

let store: EditStore;
let client: Client;
let tenant: string;
let boss: string;
let ann: string;

const objects = { boss: randomUUID(), ann: randomUUID(), bob: randomUUID() };

beforeAll(async () => {
  store = await openEditStore();
  client = await (await store.application({ grant: 'open' })).connect();
  tenant = await tenantWith(store, {
    jobTitle: {},
    phone: { editableBy: ['manager'] },
    pronouns: { editableBy: ['user'], mappedFrom: null },
    department: { owner: 'directory' },
  });
  await keepManagers(store, tenant);
  boss = await accountOf(store, tenant, { objectId: objects.boss });
  ann = await accountOf(store, tenant, { objectId: objects.ann, source: { manager: objects.boss } });
});

afterAll(() => store.close());

type Refused = { code: string; message: string; column?: string; detail?: string };
type Answer = { profile: Record<string, unknown> } | Refused;

async function call(sql: string, values: unknown[], by = client): Promise<Answer> {
  try {
    const { rows } = await by.query(sql, values);
    return { profile: rows[0]?.profile };
  } catch (error) {
    const { code, message, column, detail } = error as Refused;
    return { code, message, ...(column && { column }), ...(detail && { detail }) };
  }
}
const editAs = (actor: string, account: string, patch: unknown, expected: string | null = null, by = client) =>
  call('select directory.edit_as($1, $2, $3, $4) as profile', [actor, account, JSON.stringify(patch), expected], by);
const detailOf = (answer: Answer) => JSON.parse('detail' in answer ? (answer.detail ?? '') : '{}');
const readAt = async (account: string) =>
  (
    await ask<{ at: string }>(
      store,
      'select updated_at::text as at from directory.accounts where account_id = :account',
      { account },
    )
  )[0]?.at ?? '';
const report = (of = tenant, more: object = {}) =>
  accountOf(store, of, { objectId: randomUUID(), source: { manager: objects.boss }, ...more });

describe('rule 42: an account edits itself and its reports', () => {
  test('oneself as user, a report as manager, with account:ID as the actor', async () => {
    expect(await editAs(ann, ann, { pronouns: 'she/her' })).toEqual({ profile: { pronouns: 'she/her' } });
    expect(await editAs(boss, ann, { phone: '1' })).toEqual({ profile: { pronouns: 'she/her', phone: '1' } });
    expect((await changesOf(store, ann)).map(({ kind, actor }) => [kind, actor])).toEqual([
      ['account.edited', `account:${ann}`],
      ['account.edited', `account:${boss}`],
    ]);
  });

  test('not the manager by the report, nor a report of a report, nor after the link ended', async () => {
    const deep = await accountOf(store, tenant, { objectId: randomUUID(), source: { manager: objects.ann } });
    expect(await editAs(ann, boss, { jobTitle: 'x' })).toMatchObject({ code: 'ES003' });
    expect(await editAs(boss, deep, { jobTitle: 'x' })).toMatchObject({ code: 'ES003' });
    const other = await report();
    expect(await editAs(boss, other, { phone: '1' })).toEqual({ profile: { phone: '1' } });
    await ask(store, "update entra_sync.accounts set source = '{}' where account_id = :other", { other });
    expect(await editAs(boss, other, { phone: '2' })).toMatchObject({ code: 'ES003' });
  });

  test('the members of a group that managedBy names, nested ones too, and nobody else', async () => {
    const where = await tenantWith(store, { jobTitle: {} });
    await keepManagers(store, where);
    const ids = {
      tenant: where,
      chiefs: randomUUID(),
      inner: randomUUID(),
      people: randomUUID(),
      chief: randomUUID(),
      worker: randomUUID(),
    };
    const chief = await accountOf(store, where, { objectId: ids.chief });
    const worker = await accountOf(store, where, { objectId: ids.worker });
    const outsider = await accountOf(store, where, { objectId: randomUUID() });
    await ask(
      store,
      `insert into entra_sync.groups (tenant_id, entra_object_id, state, kind, is_dynamic, source)
       select :tenant, g, 'managed', 'security', false, '{}' from unnest(array[:chiefs, :inner, :people]::uuid[]) g`,
      ids,
    );
    await ask(
      store,
      `insert into entra_sync.group_closure
       select o.group_no, i.group_no from entra_sync.groups o join entra_sync.groups i using (tenant_id)
        where o.tenant_id = :tenant and (o.group_no = i.group_no or o.entra_object_id = :chiefs and i.entra_object_id = :inner)`,
      ids,
    );
    await ask(
      store,
      storing(`select tenant_id, group_no, case when entra_object_id = :inner then :chief::uuid else :worker::uuid end as member_object_id,
                      'u' as member_type from entra_sync.groups where tenant_id = :tenant and entra_object_id <> :chiefs`),
      ids,
    );
    await ask(store, keeping);
    const managing = (people: string | null) =>
      ask(
        store,
        `with gone as (delete from entra_sync.managed_by where tenant_id = :tenant)
         insert into entra_sync.managed_by (tenant_id, managers_id, people_id) values (:tenant, :chiefs, :people)`,
        { ...ids, people },
      );
    const shown = async () =>
      (
        await ask<{ pair: string }>(
          store,
          "select account_id || ' ' || manager_account_id || ' ' || via as pair from directory.managers where tenant_id = :tenant order by 1",
          ids,
        )
      ).map(({ pair }) => pair);
    await managing(ids.people);
    expect(await shown()).toEqual([`${worker} ${chief} group`]);
    expect(await editAs(chief, worker, { jobTitle: 'Clerk' })).toEqual({ profile: { jobTitle: 'Clerk' } });
    expect(await editAs(chief, outsider, { jobTitle: 'Clerk' })).toMatchObject({ code: 'ES003' });
    await managing(null);
    expect(await shown()).toEqual([`${outsider} ${chief} group`, `${worker} ${chief} group`].sort());
    expect(await editAs(chief, outsider, { jobTitle: 'Clerk' })).toEqual({ profile: { jobTitle: 'Clerk' } });
    expect(await editAs(worker, chief, { jobTitle: 'x' })).toMatchObject({ code: 'ES003' });
    await ask(
      store,
      "update entra_sync.accounts set source = jsonb_build_object('manager', :chief::text) where account_id = :worker",
      {
        ...ids,
        worker,
      },
    );
    expect((await shown()).filter((pair) => pair.startsWith(worker))).toEqual([
      `${worker} ${chief} group`,
      `${worker} ${chief} line`,
    ]);
  });

  test('the view shows live ends alone, and no account manages itself', async () => {
    const where = await tenantWith(store, {});
    await keepManagers(store, where);
    const ids = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
    const [self, gone, one, two] = await Promise.all(
      ids.map((objectId, place) =>
        accountOf(store, where, { objectId, source: { manager: ids[[0, 2, 3, 2][place] ?? 0] } }),
      ),
    );
    const shown = () =>
      ask(
        store,
        'select account_id, manager_account_id, via from directory.managers where tenant_id = :where order by account_id',
        { where },
      );
    await ask(
      store,
      "update entra_sync.accounts set removed_at = now(), removed_reason = 'deleted', purge_at = now() where account_id = :gone",
      { gone },
    );
    expect(self).toBeDefined();
    // A loop of two is harmless.
    expect(await shown()).toEqual(
      [
        { account_id: one, manager_account_id: two, via: 'line' },
        { account_id: two, manager_account_id: one, via: 'line' },
      ].sort((left, right) => (String(left.account_id) < String(right.account_id) ? -1 : 1)),
    );
  });

  test('by the line while the settings in force keep managers alone, manual accounts too', async () => {
    const where = await tenantWith(store, { jobTitle: {} });
    const chief = await accountOf(store, where, { objectId: objects.boss });
    const worker = await report(where, { state: 'manual' });
    const links = async () => {
      const shown = await ask<{ via: string }>(
        store,
        'select via from directory.managers where account_id = :worker and manager_account_id = :chief',
        { worker, chief },
      );
      const [told] = await ask<{ manages: string | null; managed: number }>(
        store,
        `select directory.manages(:chief::uuid, :worker::uuid) as manages,
                (select count(*)::int from directory.managed(:chief::uuid)) as managed`,
        { worker, chief },
      );
      return { shown: shown.map(({ via }) => via), ...told };
    };
    const none = { shown: [], manages: null, managed: 0 };
    expect(await links()).toEqual(none);
    expect(await editAs(chief, worker, { jobTitle: 'x' })).toMatchObject({ code: 'ES003' });
    await keepManagers(store, where);
    expect(await links()).toEqual({ shown: ['line'], manages: 'line', managed: 1 });
    expect(await editAs(chief, worker, { jobTitle: 'Clerk' })).toEqual({ profile: { jobTitle: 'Clerk' } });
    await keepManagers(store, where, false);
    expect(await links()).toEqual(none);
    expect(await editAs(chief, worker, { jobTitle: 'x' })).toMatchObject({ code: 'ES003' });
  });
});

describe('the order of the errors', () => {
  test('ES004, then ES003, then those of the field, then ES009, then ES008', async () => {
    const account = await report();
    const old = await readAt(account);
    await editAs(boss, account, { jobTitle: 'New' });
    const nowhere = randomUUID();
    const foreign = await accountOf(store, await tenantWith(store, {}), { objectId: randomUUID() });
    const stranger = await accountOf(store, tenant, { objectId: randomUUID() });
    const codes = async (...args: Parameters<typeof editAs>) => {
      const answer = await editAs(...args);
      return 'code' in answer ? answer.code : answer;
    };
    expect(await codes(boss, nowhere, 7)).toBe('ES004');
    expect(await codes(nowhere, account, { nothing: 1 })).toBe('ES004');
    expect(await codes(foreign, account, { jobTitle: 'x' }, old)).toBe('ES004');
    expect(await codes(stranger, account, { nothing: 1 }, old)).toBe('ES003');
    expect(await codes(stranger, account, 7, old)).toBe('ES003');
    expect(await codes(boss, account, 7, old)).toBe('ES005');
    expect(await codes(boss, account, { department: 'x', jobTitle: 'x' }, old)).toBe('ES001');
    expect(await codes(boss, account, { nothing: 1, jobTitle: 'x' }, old)).toBe('ES002');
    expect(await codes(boss, account, { pronouns: 'x', jobTitle: 'x' }, old)).toBe('ES003');
    expect(await codes(boss, account, { jobTitle: 7 }, old)).toBe('ES005');
    expect(await codes(boss, account, { jobTitle: 'x' }, old)).toBe('ES009');
    expect((await storedAccount(store, account)).overrides).toEqual({ jobTitle: 'New' });
    await setRule(store, tenant, 'mail', {});
    await accountOf(store, tenant, { objectId: randomUUID(), mail: 'taken@contoso.example' });
    const manual = await report(tenant, { state: 'manual' });
    const before = await readAt(manual);
    await editAs(boss, manual, { jobTitle: 'New' });
    const taking = { mail: 'Taken@contoso.example' };
    expect(await codes(boss, manual, { ...taking, jobTitle: 'x' }, before)).toBe('ES009');
    expect(await codes(boss, manual, taking, before)).toBe('ES008');
  });
});

// As a cycle's commit writes it.
const updatedByCycle = `
with pair as (select a.mapped as before from entra_sync.accounts a where a.account_id = $1 for update),
written as (
  update entra_sync.accounts a set mapped = jsonb_build_object('jobTitle', $2::text), updated_at = now()
    from pair p where a.account_id = $1 returning a.tenant_id, p.before, a.mapped as after)
insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id, before, after)
select nextval(pg_get_serial_sequence('entra_sync.batches', 'batch_id')), w.tenant_id, 'worker', 'account.updated', $1,
       jsonb_build_object('profile', w.before), jsonb_build_object('profile', w.after) from written w`;

describe('rule 42: an edit of what changed since', () => {
  test('is refused with both values, and writes nothing, not even its other fields', async () => {
    const account = await report();
    const read = await readAt(account);
    await editAs(account, account, { jobTitle: 'Theirs' });
    const refused = await editAs(boss, account, { jobTitle: 'Mine', phone: '7' }, read);
    expect(refused).toMatchObject({ code: 'ES009', column: 'jobTitle' });
    expect(detailOf(refused)).toEqual({ code: 'ES009', field: 'jobTitle', yours: 'Mine', theirs: 'Theirs' });
    expect((await storedAccount(store, account)).profile).toEqual({ jobTitle: 'Theirs' });
    expect(await editAs(boss, account, { jobTitle: 'Mine' }, await readAt(account))).toEqual({
      profile: { jobTitle: 'Mine' },
    });
  });

  test('of other fields it is none, and without the time there is no check', async () => {
    const account = await report();
    const read = await readAt(account);
    await editAs(account, account, { pronouns: 'they' });
    expect(await editAs(boss, account, { jobTitle: 'Mine' }, read)).toEqual({
      profile: { jobTitle: 'Mine', pronouns: 'they' },
    });
    expect(await editAs(account, account, { jobTitle: 'Late' })).toMatchObject({ profile: { jobTitle: 'Late' } });
  });

  test('a value that was cleared meanwhile is told as null', async () => {
    const account = await report(tenant, { mapped: { jobTitle: 'Clerk' } });
    const read = await readAt(account);
    await editAs(account, account, { jobTitle: '' });
    expect(detailOf(await editAs(boss, account, { jobTitle: 'Mine' }, read))).toMatchObject({
      yours: 'Mine',
      theirs: null,
    });
  });

  // The form shows a change that was made so long after the transaction began that follows it.
  test.each(['-1 microsecond', '1 microsecond', '5 seconds'])(
    'is found whenever the transaction that changed it began: %s',
    async (ahead) => {
      const account = await report(tenant, { mapped: { jobTitle: 'Clerk' } });
      const [writer, other] = [await store.connect(), await store.connect()];
      await writer.query('begin');
      const { rows: begun } = await writer.query<{ at: string }>('select (now() + $1::interval)::text as at', [ahead]);
      await other.query('update entra_sync.accounts set updated_at = $2 where account_id = $1', [
        account,
        begun[0]?.at,
      ]);
      const read = await readAt(account);
      // Twice, as a commit moves a report that changed itself.
      for (const title of ['Queen', 'King']) await writer.query(updatedByCycle, [account, title]);
      await writer.query('commit');
      expect(detailOf(await editAs(boss, account, { jobTitle: 'Mine' }, read))).toMatchObject({ theirs: 'King' });
      expect(await editAs(boss, account, { phone: '1' }, read)).toMatchObject({ profile: { phone: '1' } });
      expect(await editAs(boss, account, { jobTitle: 'Mine' }, await readAt(account))).toMatchObject({
        profile: { jobTitle: 'Mine' },
      });
    },
  );

  test('one of two edits at once is written, and the other one learns both values', async () => {
    const account = await report();
    const read = await readAt(account);
    const [one, other] = [await store.connect(), await store.connect()];
    await one.query('begin');
    expect(await editAs(account, account, { jobTitle: 'First' }, read, one)).toEqual({
      profile: { jobTitle: 'First' },
    });
    const second = editAs(boss, account, { jobTitle: 'Second' }, read, other);
    await untilBlocked(store);
    await one.query('commit');
    expect(detailOf(await second)).toMatchObject({ field: 'jobTitle', yours: 'Second', theirs: 'First' });
    expect((await storedAccount(store, account)).profile).toEqual({ jobTitle: 'First' });
  });

  test('exactly one of 20 simultaneous edits from one state is written', async () => {
    const account = await report();
    const read = await readAt(account);
    const clients = await Promise.all(Array.from({ length: 20 }, () => store.connect()));
    const answers = await Promise.all(clients.map((by, n) => editAs(boss, account, { jobTitle: `${n}` }, read, by)));
    expect(answers.filter((answer) => 'profile' in answer)).toHaveLength(1);
    expect(new Set(answers.flatMap((answer) => ('code' in answer ? answer.code : [])))).toEqual(new Set(['ES009']));
  });
});

describe('undo_edit and revert_as', () => {
  test('take an edit back under the same rules', async () => {
    const account = await report(tenant, { mapped: { jobTitle: 'Clerk' } });
    await editAs(boss, account, { jobTitle: 'Chief' });
    const [edit] = await ask<{ id: string }>(
      store,
      'select max(change_id)::text as id from entra_sync.changes where account_id = :account',
      {
        account,
      },
    );
    const undo = (actor: string, expected: string | null = null) =>
      call('select directory.undo_edit($1, $2, $3, $4) as profile', [account, edit?.id, actor, expected]);
    expect(await undo(ann)).toMatchObject({ code: 'ES003' });
    expect(await undo(randomUUID())).toMatchObject({ code: 'ES004' });
    expect(await undo(account)).toEqual({ profile: { jobTitle: 'Clerk' } });
    expect((await changesOf(store, account)).at(-1)?.actor).toBe(`account:${account}`);
  });

  test('rule 51: an earlier value of a private field is given back to show by the person alone, or by the manager who replaced it', async () => {
    await ask(store, `update entra_sync.field_rules set private = field = 'jobTitle' where tenant_id = :tenant`, {
      tenant,
    });
    const account = await report(tenant, { mapped: { jobTitle: 'Clerk' } });
    const editBy = async (actor: string, jobTitle: string) => {
      await editAs(actor, account, { jobTitle });
      const newest = 'select max(change_id)::text as id from entra_sync.changes where account_id = :account';
      return (await ask<{ id: string }>(store, newest, { account }))[0]?.id;
    };
    const undo = (edit: unknown, actor: string) =>
      call('select directory.undo_edit($1, $2, $3) as profile', [account, edit, actor]);
    await editBy(account, 'Secret');
    const theirs = await editBy(account, 'Chief');
    expect(await undo(theirs, boss)).toMatchObject({ code: 'ES003', column: 'jobTitle' });
    expect((await storedAccount(store, account)).profile).toMatchObject({ jobTitle: 'Chief' });
    expect(await undo(theirs, account)).toEqual({ profile: { jobTitle: 'Secret' } });
    expect(await undo(await editBy(boss, 'Queen'), boss)).toEqual({ profile: { jobTitle: 'Secret' } });
    await ask(store, 'update entra_sync.field_rules set private = false where tenant_id = :tenant', { tenant });
  });

  test('a revert of a field that changed since is refused, after the other errors, and nothing is reverted', async () => {
    const account = await report(tenant, { mapped: { jobTitle: 'Clerk', department: 'IT' } });
    await editAs(boss, account, { jobTitle: 'Chief' });
    const read = await readAt(account);
    await editAs(account, account, { jobTitle: 'Queen' });
    const revert = (actor: string, fields: string[] | null, expected: string | null) =>
      call('select directory.revert_as($1, $2, $3, $4) as profile', [actor, account, fields, expected]);
    expect(await revert(boss, ['department', 'jobTitle'], read)).toMatchObject({ code: 'ES001' });
    expect(await revert(ann, ['jobTitle'], read)).toMatchObject({ code: 'ES003' });
    for (const fields of [['jobTitle'], null])
      expect(detailOf(await revert(boss, fields, read))).toEqual({
        ...{ code: 'ES009', field: 'jobTitle', yours: 'Clerk', theirs: 'Queen' },
      });
    expect((await storedAccount(store, account)).profile).toMatchObject({ jobTitle: 'Queen' });
    expect(await revert(boss, null, await readAt(account))).toMatchObject({ profile: { jobTitle: 'Clerk' } });
  });
});
