// Accounts and groups found by words (rule 32): what fits, what is kept for it, and a purge beside an edit.
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keepNewWords } from '../../src/store/accounts/words.ts';
import { inTransaction, rows } from '../../src/store/database/pool.ts';
import { runsOf } from '../support/deep.ts';
import { expectWordsKept } from '../support/kept-words.ts';
import { accountOf, answerOf, type EditStore, openEditStore, tenantWith } from '../support/people-edit.ts';
import { rowsRead } from '../support/rows-read.ts';
import { ask } from '../support/stage.ts';

type Found = { kind: string; display_name: string | null; entra_object_id: string | null; state: string; fit: string };

let store: EditStore;
let client: Client;
let tenant: string;

const outside = '0e0e0e0e-0000-4000-8000-000000000001';
const aside = '0e0e0e0e-0000-4000-8000-000000000002';
const groupAside = '0e0e0e0e-0000-4000-8000-000000000003';

async function person(of: string, name: string, mail: string | null = null, rest: object = {}): Promise<string> {
  const mapped = { displayName: name, ...rest };
  return accountOf(store, of, { objectId: randomUUID(), mapped, mail, principal: mail });
}

async function group(of: string, name: string, removed = false): Promise<void> {
  await ask(
    store,
    `insert into entra_sync.groups (tenant_id, entra_object_id, state, display_name, kind, is_dynamic, source, removed_at, removed_reason, purge_at)
     select :of, gen_random_uuid(), 'managed', :name, 'security', false, '{}', x.at, case when x.at is not null then 'deleted' end, x.at
       from (select case when :removed then now() end as at) x`,
    { of, name, removed },
  );
}

async function find(words: string, { max = 20, removed = false, of = tenant } = {}): Promise<Found[]> {
  const { rows } = await client.query<Found>('select * from directory.find($1, $2, $3, $4)', [of, words, max, removed]);
  return rows;
}

/** The names found, each with how it fits. */
const named = async (words: string, options?: { max?: number; removed?: boolean }) =>
  (await find(words, options)).map((one) => `${one.display_name}: ${one.fit}`);

beforeAll(async () => {
  store = await openEditStore();
  client = await (await store.application({ grant: 'open' })).connect();
  tenant = await tenantWith(store, { displayName: {} });
  const other = await tenantWith(store, {});
  await person(tenant, 'Ann Bergström', 'ann.bergstroem@contoso.com');
  await person(tenant, 'Anna Berg', 'anna.berg@fabrikam.com');
  await person(tenant, 'Hans-Jürgen Müller (IT)', 'hj.mueller@contoso.com');
  await person(tenant, 'Siobhán O’Brien', 'sobrien@contoso.com');
  await person(tenant, 'ΣΊΣΥΦΟΣ Παπαδόπουλος', 'e001234@contoso.com');
  await person(tenant, '山田 太郎');
  await person(tenant, 'Đức Nguyễn Ưng');
  await person(tenant, 'Ёлкин Йосип');
  await person(tenant, 'Zo\u0065\u0308 Łódzka-Groß');
  await person(tenant, 'Robert Tables', 'bob_home.example#EXT#@contoso.com', { givenName: 'Bobby' });
  const gone = await person(tenant, 'Ann Removed');
  await ask(
    store,
    "update entra_sync.accounts set removed_at = now(), removed_reason = 'deleted', purge_at = now() where account_id = :gone",
    { gone },
  );
  await group(tenant, 'SG-Sales-EMEA');
  await group(tenant, 'Sales Removed', true);
  await person(other, 'Ann Elsewhere');
  await ask(store, 'insert into entra_sync.outside_scope (tenant_id, entra_object_id) values (:tenant, :outside)', {
    tenant,
    outside,
  });
  await ask(
    store,
    `insert into entra_sync.set_aside (tenant_id, stream, object_key, reason)
     values (:tenant, 'users', :aside, 'x'), (:tenant, 'users', :aside || '/mail', 'y'), (:tenant, 'users', 'no id', 'z'),
            (:tenant, 'groups', :groupAside, 'x'), (:tenant, 'groups', :groupAside || '/members', 'y'),
            (:tenant, 'groups', 'no id', 'z')`,
    { tenant, aside, groupAside },
  );
});

afterAll(() => store.close());

describe('what fits', () => {
  test.each([
    // Whole words come first, then beginnings, then parts.
    ['ann', ['Ann Bergström: whole', 'Anna Berg: begins']],
    ['ANN BERG', ['Ann Bergström: begins', 'Anna Berg: begins']],
    ['berg ann', ['Ann Bergström: begins', 'Anna Berg: begins']],
    ['berg anna', ['Anna Berg: whole']],
    ['berg', ['Anna Berg: whole', 'Ann Bergström: begins']],
    ['strom', ['Ann Bergström: part']],
    // Accents, and what stands for them.
    ['bergstrom', ['Ann Bergström: whole']],
    ['Bergström', ['Ann Bergström: whole']],
    ['bergstroem', ['Ann Bergström: whole']],
    ['jurgen muller', ['Hans-Jürgen Müller (IT): whole']],
    ['Juergen Mueller', ['Hans-Jürgen Müller (IT): whole']],
    ['zoe lodzka gross', ['Zo\u0065\u0308 Łódzka-Groß: whole']],
    ['ZOË', ['Zo\u0065\u0308 Łódzka-Groß: whole']],
    ['σίσυφος', ['ΣΊΣΥΦΟΣ Παπαδόπουλος: whole']],
    ['παπαδοπ', ['ΣΊΣΥΦΟΣ Παπαδόπουλος: begins']],
    ['太郎', ['山田 太郎: whole']],
    ['duc nguyen ung', ['Đức Nguyễn Ưng: whole']],
    ['ĐỨC', ['Đức Nguyễn Ưng: whole']],
    ['елкин иосип', ['Ёлкин Йосип: whole']],
    ['郎', ['山田 太郎: part']],
    // Signs part words, an apostrophe does not.
    ["o'brien", ['Siobhán O’Brien: whole']],
    ['obrien', ['Siobhán O’Brien: whole']],
    ['brien', ['Siobhán O’Brien: part']],
    ['(it)', ['Hans-Jürgen Müller (IT): whole']],
    ['hans-jürgen', ['Hans-Jürgen Müller (IT): whole']],
    // Addresses, and other names of a person.
    ['ann.bergstroem@contoso.com', ['Ann Bergström: whole']],
    ['ann@con', ['Ann Bergström: whole']],
    ['ann@fab', ['Anna Berg: begins']],
    ['E001234', ['ΣΊΣΥΦΟΣ Παπαδόπουλος: whole']],
    ['1234', ['ΣΊΣΥΦΟΣ Παπαδόπουλος: part']],
    ['bobby', ['Robert Tables: whole']],
    ['bob home', ['Robert Tables: whole']],
    // Groups.
    ['sales', ['SG-Sales-EMEA: whole']],
    ['sg emea', ['SG-Sales-EMEA: whole']],
    // The nearest, where nothing fits.
    ['bergstrrom', ['Ann Bergström: near']],
    ['begrstrom', ['Ann Bergström: near']],
    ['mülller jürgne', ['Hans-Jürgen Müller (IT): near']],
    // Nothing.
    ['xqwv', []],
    ['', []],
    ['   ', []],
    ['@contoso.com', []],
    ['%', []],
    ["'; drop table x; --", []],
    ['\\', []],
  ])('%s', async (words, wanted) => {
    expect(await named(words)).toEqual(wanted);
  });

  test('removed ones only where they are asked for, after live ones', async () => {
    expect(await named('ann', { removed: true })).toEqual([
      'Ann Bergström: whole',
      'Ann Removed: whole',
      'Anna Berg: begins',
    ]);
    expect((await find('sales', { removed: true })).map((one) => [one.display_name, one.state])).toEqual([
      ['SG-Sales-EMEA', 'managed'],
      ['Sales Removed', 'removed'],
    ]);
    expect(await named('removed')).toEqual([]);
  });

  test('ids and their beginnings, of users and groups that were never taken too', async () => {
    const [ann] = await find('ann');
    const id = ann?.entra_object_id ?? '';
    for (const words of [
      id,
      id.toUpperCase(),
      id.slice(0, 8),
      id.slice(0, 13),
      id.replaceAll('-', ''),
      `{${id.toUpperCase()}}`,
    ])
      expect(await named(words), words).toEqual(['Ann Bergström: id']);
    expect(await find('0e0e0e0e')).toEqual([]);
    expect(
      (await find('0e0e0e0e', { removed: true })).map((one) => [one.kind, one.entra_object_id, one.state]),
    ).toEqual(
      expect.arrayContaining([
        ['user', outside, 'out_of_scope'],
        ['user', aside, 'set_aside'],
        ['group', groupAside, 'set_aside'],
      ]),
    );
    expect(await find(groupAside, { removed: true })).toMatchObject([{ account_id: null, group_id: null }]);
    // A group that is stored may have a part set aside.
    const [sales] = await find('sales');
    await ask(
      store,
      "insert into entra_sync.set_aside (tenant_id, stream, object_key, reason) values (:tenant, 'groups', :key, 'x')",
      { tenant, key: sales?.entra_object_id },
    );
    expect((await find(sales?.entra_object_id ?? '', { removed: true })).map((one) => one.state)).toEqual(['managed']);
    expect(await find(randomUUID(), { removed: true })).toEqual([]);
  });

  test('at most as many as wanted, and at least one', async () => {
    expect(await find('ann', { max: 1 })).toHaveLength(1);
    for (const max of [0, -1, 1001])
      expect(await answerOf(client, 'select * from directory.find($1, $2, $3)', [tenant, 'ann', max])).toMatchObject({
        code: '22023',
        message: 'max must be between 1 and 1000',
      });
  });

  test('two words that many have are found together, wherever they stand', async () => {
    const many = await tenantWith(store, {});
    await ask(
      store,
      `insert into entra_sync.accounts (tenant_id, entra_object_id, state, mapped)
       select :many, gen_random_uuid(), 'managed',
              jsonb_build_object('displayName', case when i < 2500 then 'Ann X' || i when i < 5000 then 'Y' || i || ' Smith' else 'Smith Ann' end)
         from generate_series(1, 5000) i`,
      { many },
    );
    await keepNewWords(store.database, many);
    await inTransaction(store.database, async (transaction) => {
      const before = await rowsRead(transaction, 'accounts');
      const found = await rows(transaction, "select display_name from directory.find(:many, 'ann smith')", { many });
      expect(found).toEqual([{ display_name: 'Smith Ann' }]);
      expect((await rowsRead(transaction, 'accounts')) - before, 'accounts read for one that fits').toBeLessThan(10);
    });
    expect(await find('ann', { of: many, max: 1000 })).toHaveLength(1000);
  });
});

describe('what is kept', () => {
  test('rule 32: after any insert, change and purge the kept words are those of the names', async () => {
    const name = fc.constantFrom('Ann Berg', 'Ann', 'Berg-Müller', 'Zoë', '', 'ann ANN', 'Łódź 7', 'x'.repeat(300));
    const step = fc.record({
      what: fc.constantFrom('insert', 'rename', 'edit', 'move', 'purge', 'group', 'regroup', 'ungroup'),
      name,
      at: fc.nat(5),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const of = await tenantWith(store, {});
        const nth = (table: string, id: string) =>
          `(select ${id} from entra_sync.${table} where tenant_id = :of order by ${id} offset :at limit 1)`;
        const statements: Record<string, string> = {
          insert: `insert into entra_sync.accounts (tenant_id, entra_object_id, state, mapped, mail)
                   select :of, gen_random_uuid(), 'managed', jsonb_build_object('displayName', :name::text), :name || '@x.example' from generate_series(0, :at)`,
          rename: `update entra_sync.accounts set mapped = jsonb_build_object('displayName', :name::text), enabled = not enabled where tenant_id = :of and account_no >= ${nth('accounts', 'account_no')}`,
          edit: `update entra_sync.accounts set overrides = jsonb_build_object('surname', :name::text) where account_no = ${nth('accounts', 'account_no')}`,
          move: `update entra_sync.accounts set mail = 'a@' || :at, updated_at = now() where tenant_id = :of and :name <> ''`,
          purge: `delete from entra_sync.accounts where tenant_id = :of and account_no <= ${nth('accounts', 'account_no')} and :name <> ''`,
          group: `insert into entra_sync.groups (tenant_id, entra_object_id, state, display_name, kind, is_dynamic, source)
                  select :of, gen_random_uuid(), 'managed', :name, 'security', false, '{}' from generate_series(0, :at)`,
          regroup: `update entra_sync.groups set display_name = :name where group_no = ${nth('groups', 'group_no')}`,
          ungroup: `delete from entra_sync.groups where group_no = ${nth('groups', 'group_no')} and :name <> ''`,
        };
        for (const { what, ...given } of steps) await ask(store, statements[what] ?? '', { of, ...given });
        await expectWordsKept(store.database, of);
        await ask(store, 'delete from entra_sync.accounts where tenant_id = :of', { of });
        await ask(store, 'delete from entra_sync.groups where tenant_id = :of', { of });
        const left = 'select (select count(*) from entra_sync.words w where w.tenant_id = :of)::int as words';
        expect(await ask(store, left, { of })).toEqual([{ words: 0 }]);
      }),
      { numRuns: runsOf(15, 300) },
    );
  });

  const rename = `update entra_sync.accounts set mapped = '{"displayName": "Ulrike"}' where account_id = $1`;
  const purge = 'delete from entra_sync.accounts where account_id = $1';
  const vocabularyOf = (of: string) =>
    ask<{ word: string }>(store, 'select word from entra_sync.vocabulary where tenant_id = :of order by word', { of });

  test.each([
    ['a purge first', purge, rename],
    ['the edit first', rename, purge],
  ])(
    'neither waits, and a word that one account loses while another gains it is kept: %s',
    async (_, first, second) => {
      const of = await tenantWith(store, {});
      const accounts: Record<string, string> = {
        [purge]: await person(of, 'Ulrike'),
        [rename]: await person(of, 'Vera'),
      };
      const [one, two] = [await store.connect(), await store.connect()];
      await Promise.all([one.query('begin'), two.query("begin; set local lock_timeout = '2s'")]);
      await one.query(first, [accounts[first]]);
      await two.query(second, [accounts[second]]);
      await one.query('commit');
      await two.query('commit');
      await expectWordsKept(store.database, of);
      expect((await find('lrik', { of })).map((found) => found.display_name)).toEqual(['Ulrike']);
      await ask(store, 'delete from entra_sync.accounts where tenant_id = :of', { of });
      expect(await vocabularyOf(of)).toEqual([]);
    },
  );

  test('edits of two accounts to the same new name do not wait for each other, in whichever order', async () => {
    const of = await tenantWith(store, {});
    const accounts = await Promise.all(['Vera', 'Wanda', 'Xenia', 'Yvonne'].map((name) => person(of, name)));
    const edit = `update entra_sync.accounts set mapped = jsonb_build_object('displayName', $2::text) where account_id = $1`;
    const [one, two] = [await store.connect(), await store.connect()];
    await Promise.all([one, two].map((each) => each.query("begin; set local lock_timeout = '2s'")));
    await one.query(edit, [accounts[0], 'Quirin']);
    await two.query(edit, [accounts[1], 'Roswitha']);
    await two.query(edit, [accounts[2], 'Quirin']);
    await one.query(edit, [accounts[3], 'Roswitha']);
    await Promise.all([one.query('commit'), two.query('commit')]);
    await expectWordsKept(store.database, of);
    expect(await find('uiri', { of })).toHaveLength(2);
    expect((await find('quiirin', { of })).map((found) => found.fit)).toEqual(['near', 'near']);
  });

  test('a purged name stays nowhere, an earlier one neither', async () => {
    const of = await tenantWith(store, {});
    const account = await person(of, 'Wilhelmina Unique');
    await ask(store, rename.replace('$1', ':account'), { account });
    await ask(store, 'delete from entra_sync.accounts where account_id = :account', { account });
    expect(await vocabularyOf(of)).toEqual([]);
  });
});
