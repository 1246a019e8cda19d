// Words of accounts that come many at once (rule 32): kept in lots after the accounts are shown, beside edits and purges.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { countNewWords, keepNewWords, tenantsWithNewWords } from '../../src/store/accounts/words.ts';
import { openHousekeeper } from '../../src/worker/housekeeper.ts';
import { runsOf } from '../support/deep.ts';
import { expectWordsKept } from '../support/kept-words.ts';
import { type EditStore, openEditStore, tenantWith } from '../support/people-edit.ts';
import { ask, untilBlocked } from '../support/stage.ts';
import { bufferLog } from '../support/system.ts';

let store: EditStore;

beforeAll(async () => {
  store = await openEditStore();
  await ask(
    store,
    `create or replace function entra_sync.many_new_accounts() returns integer language sql immutable as 'select 2'`,
  );
});

afterAll(() => store.close());

const load = (of: string, names: readonly string[]) =>
  ask<{ account_no: number }>(
    store,
    `insert into entra_sync.accounts (tenant_id, entra_object_id, state, mapped)
     select :of, gen_random_uuid(), 'managed', jsonb_build_object('displayName', n) from unnest(:names::text[]) with ordinality u (n, i)
      order by i returning account_no`,
    { of, names },
  );
const rename = `update entra_sync.accounts set mapped = '{"displayName": "Ulrike"}' where account_no = $1`;

test('rule 32: whatever is renamed and purged before the words of new accounts are kept, they are those of the names', async () => {
  const name = fc.constantFrom('Ann Berg', 'Ann', 'Berg-Müller', 'Zoë', '');
  const step = fc.record({ what: fc.constantFrom('load', 'rename', 'purge', 'keep'), name, at: fc.nat(6) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 10 }), async (steps) => {
      const of = await tenantWith(store, {});
      const nth = '(select account_no from entra_sync.accounts where tenant_id = :of order by 1 offset :at limit 1)';
      for (const { what, name, at } of steps) {
        if (what === 'load') await load(of, Array(at).fill(name));
        if (what === 'keep') await ask(store, 'select entra_sync.keep_words_due(:of, 0)', { of });
        if (what === 'purge') await ask(store, `delete from entra_sync.accounts where account_no = ${nth}`, { of, at });
        if (what === 'rename')
          await ask(
            store,
            `update entra_sync.accounts set mapped = jsonb_build_object('displayName', :name::text) where account_no = ${nth}`,
            { of, at, name },
          );
      }
      await keepNewWords(store.database, of);
      expect(await countNewWords(store.database, of)).toBe(0);
      await expectWordsKept(store.database, of);
    }),
    { numRuns: runsOf(20, 300) },
  );
});

test('rule 32: a rename waits for the lot that holds its account, and takes the old words back', async () => {
  const of = await tenantWith(store, {});
  const [one] = await load(of, ['Vera', 'Wim', 'Xaver']);
  const [keeper, editor] = [await store.connect(), await store.connect()];
  await keeper.query('begin');
  await keeper.query('select entra_sync.keep_words_due($1, 0)', [of]);
  const renamed = editor.query(rename, [one?.account_no]);
  await untilBlocked(store);
  await keeper.query('commit');
  await renamed;
  await keepNewWords(store.database, of);
  await expectWordsKept(store.database, of);
});

test('rule 32: the words of an account that an open edit holds stay due, and nothing waits for it', async () => {
  const of = await tenantWith(store, {});
  const [one] = await load(of, ['Vera', 'Wim', 'Xaver']);
  const editor = await store.connect();
  await editor.query('begin');
  await editor.query(rename, [one?.account_no]);
  await keepNewWords(store.database, of);
  expect(await countNewWords(store.database, of)).toBe(1);
  await editor.query('commit');
  expect(await tenantsWithNewWords(store.database)).toEqual([of]);
  await openHousekeeper(store.database, bufferLog().log)();
  expect(await countNewWords(store.database, null)).toBe(0);
  await expectWordsKept(store.database, of);
});

test('rule 32: a purged tenant leaves nothing that is due', async () => {
  const of = await tenantWith(store, {});
  await load(of, ['Vera', 'Wim', 'Xaver']);
  await ask(store, 'delete from entra_sync.accounts where tenant_id = :of', { of });
  await keepNewWords(store.database, of);
  expect(await countNewWords(store.database, of)).toBe(0);
});
