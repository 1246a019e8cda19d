// Rule 25 and the search by name: the program itself defines "ignoring case", whatever the locale of the database.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { loadDefaults } from '../../src/settings/settings.ts';
import { findAccountsByWord } from '../../src/store/accounts/find-accounts.ts';
import { type Database, openDatabase, rows } from '../../src/store/database/pool.ts';
import { migrate } from '../../src/store/schema/migrate.ts';
import { addTenant, findTenant } from '../../src/store/tenants/tenants.ts';
import { run } from '../support/postgres-admin.ts';
import { leasedTenant, type Store, sync, user } from '../support/stage.ts';

/** Letters with an upper and a lower case, by this Node's Unicode. */
const cased = Array.from({ length: 0x1_1000_0 }, (_, point) => point)
  .filter((point) => point < 0xd800 || point > 0xdfff)
  .map((point) => String.fromCodePoint(point))
  .filter((letter) => letter.toLowerCase() !== letter || letter.toUpperCase() !== letter);

const locales: [string, string][] = [
  ['of the locale C', "locale_provider libc locale 'C'"],
  ['of the locale tr-TR of ICU', "locale_provider icu icu_locale 'tr-TR' locale 'C'"],
];

describe.each(locales)('rule 25: a database %s', (_, locale) => {
  const name = `test_${randomBytes(8).toString('hex')}`;
  let store: Store;
  let database: Database;

  beforeAll(async () => {
    const server = inject('postgresUrl');
    await run(server, `create database ${name} template template0 encoding 'UTF8' ${locale}`);
    const url = Object.assign(new URL(server), { pathname: `/${name}` }).href;
    await migrate(url);
    database = openDatabase(url);
    store = {
      url,
      database,
      connect: () => Promise.reject(new Error('no connection of its own')),
      close: async () => {
        await database.destroy();
        await run(server, `drop database ${name} with (force)`);
      },
    };
  });

  afterAll(() => store.close());

  const folded = async (words: readonly string[]) =>
    (
      await rows<{ is: string }>(
        database,
        'select entra_sync.folded(w) as is from unnest(:words::text[]) with ordinality as u (w, n) order by n',
        { words },
      )
    ).map((row) => row.is);

  test('folds letters as a regular expression that ignores case does (simple case folding of Unicode)', async () => {
    const found = await folded(cased);
    const wrong = cased.filter((letter, place) => {
      const to = found[place] ?? '';
      // Letters whose composed form differs are compared in that form.
      return [...to].length !== 1 || !new RegExp(`^${to}$`, 'iu').test(letter.normalize('NFC'));
    });
    // Dotted capital I and a few ligatures fold to themselves: they have no single small letter.
    expect(wrong.filter((letter) => [...letter.normalize('NFC')].length === 1)).toEqual([]);
    expect(await folded(found)).toEqual(found);
    const pairs = cased.filter((letter) => new RegExp(`^${letter.toLowerCase()}$`, 'iu').test(letter));
    expect(await folded(pairs)).toEqual(await folded(pairs.map((letter) => letter.toLowerCase())));
  });

  test.each([
    ['MÜLLER@contoso.example', 'müller@contoso.example'],
    ['müller@contoso.example'.normalize('NFD'), 'MÜLLER@CONTOSO.EXAMPLE'],
    ['IRIS@contoso.example', 'iris@contoso.example'],
    ['ΟΔΥΣΣΕΥΣ@contoso.example', 'οδυσσευς@contoso.example'],
    ['ЖЕНЯ@contoso.example', 'женя@contoso.example'],
    ['ﬁnn@ÅNGSTRÖM.example', 'ﬁnn@ångström.example'],
  ])('manual %s and %s of the directory are one account, found by either', async (byHand, ofGraph) => {
    const lease = await leasedTenant(store);
    const { tenantId } = lease;
    const create = (mail: string) =>
      rows<{ id: string }>(
        database,
        "select directory.create_account(:tenantId, jsonb_build_object('mail', :mail::text), 'admin') as id",
        { tenantId, mail },
      );
    const [made] = await create(byHand);
    await expect(create(ofGraph)).rejects.toMatchObject({ code: 'ES008' });
    await sync(store, lease, 'full', [[user(1, { mail: ofGraph })]], { match: ['mail'] });
    const accounts = await rows(
      database,
      'select account_id, mail, state from directory.accounts where tenant_id = :tenantId',
      { tenantId },
    );
    expect(accounts).toEqual([{ account_id: made?.id, mail: ofGraph, state: 'managed' }]);
    for (const word of [byHand, ofGraph, made?.id ?? '', made?.id.toUpperCase() ?? ''])
      expect(await findAccountsByWord(database, tenantId, word)).toHaveLength(1);
    await lease.release();
  });

  test.each([
    ['ı@contoso.example', 'i@contoso.example'],
    ['STRASSE@contoso.example', 'straße@contoso.example'],
    ['muller@contoso.example', 'müller@contoso.example'],
  ])('%s and %s may be two mailboxes, and stay two accounts', async (byHand, ofGraph) => {
    const lease = await leasedTenant(store);
    const { tenantId } = lease;
    await rows(
      database,
      "select directory.create_account(:tenantId, jsonb_build_object('mail', :byHand::text), 'admin')",
      { tenantId, byHand },
    );
    await sync(store, lease, 'full', [[user(1, { mail: ofGraph })]], { match: ['mail'] });
    expect(
      await rows(database, 'select from directory.accounts where tenant_id = :tenantId', { tenantId }),
    ).toHaveLength(2);
    await lease.release();
  });

  test('an address of letters that decompose into three fits the index', async () => {
    const lease = await leasedTenant(store);
    const mail = '\u{1D160}'.repeat(160);
    await sync(store, lease, 'full', [[user(1, { mail })]]);
    expect(await findAccountsByWord(database, lease.tenantId, mail)).toHaveLength(1);
    await lease.release();
  });

  test('a tenant is found by its name, and no other can have it', async () => {
    const [one, other] = ['00000000-0000-4000-8000-0000000000a1', '00000000-0000-4000-8000-0000000000a2'];
    await addTenant(database, { tenantId: one ?? '', name: 'IRIS Übersee', ref: null }, loadDefaults());
    expect((await findTenant(database, 'iris ÜBERSEE')).tenant_id).toBe(one);
    const again = addTenant(
      database,
      { tenantId: other ?? '', name: 'Iris übersee'.normalize('NFD'), ref: null },
      loadDefaults(),
    );
    await expect(again).rejects.toMatchObject({ code: 'tenant_exists' });
  });
});
