// The words and the names that are kept for finding accounts and groups, computed without the product's SQL.
import { expect } from 'vitest';
import { type Database, rows } from '../../src/store/database/pool.ts';

type Named = { kind: string; no: string; names: (string | null)[]; addresses: (string | null)[] };

const letters: Readonly<Record<string, string>> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  þ: 'th',
  ø: 'o',
  ł: 'l',
  đ: 'd',
  ð: 'd',
  ı: 'i',
  ς: 'σ',
};
const spelt: Readonly<Record<string, string>> = { ä: 'ae', ö: 'oe', ü: 'ue', ø: 'oe', å: 'aa' };

function plain(name: string): string[] {
  const bare = name
    .toLowerCase()
    .normalize('NFKD')
    .replace(/[\u0300-\u036f\u2018\u2019\u00b4']/g, '')
    .replace(/[ßæœþøłđðıς]/g, (letter) => letters[letter] ?? '');
  return bare.split(/[\s.,\-_()/&+:;|#@"[\]\u00ab\u00b7\u00bb\u2010-\u2015\u201c-\u201e]/);
}

function wordsOf(name: string): string[] {
  const composed = name.normalize('NFC').toLowerCase();
  const otherwise = composed.replace(/[äöüøå]/g, (letter) => spelt[letter] ?? '');
  return [...plain(name), ...plain(otherwise)]
    .filter((word) => word !== '')
    .map((word) => [...word].slice(0, 64).join(''));
}

/**
 * Expects the kept words of a tenant to be those of its accounts and groups, and each in the vocabulary; and the sort name of
 * each account.
 */
export async function expectWordsKept(database: Database, tenantId: string): Promise<void> {
  const named = await rows<Named>(
    database,
    `select 'a' as kind, account_no::text as no, jsonb_build_array(
              coalesce(profile ->> 'displayName', source ->> 'displayName'), profile ->> 'givenName', profile ->> 'surname') as names,
            jsonb_build_array(user_principal_name, mail) as addresses
       from entra_sync.accounts where tenant_id = :tenantId
     union all
     select 'g', group_no::text, jsonb_build_array(display_name), jsonb_build_array(mail) from entra_sync.groups where tenant_id = :tenantId`,
    { tenantId },
  );
  const wanted = named.flatMap(({ kind, no, names, addresses }) => {
    const locals = addresses.map((address) => address?.split('#EXT#')[0]?.split('@')[0]);
    const words = new Set([...names, ...locals].flatMap((name) => wordsOf(name ?? '')));
    return [...words].map((word) => `${kind} ${no} ${word}`);
  });
  const kept = await rows<{ key: string; word: string }>(
    database,
    `select kind::text || ' ' || no || ' ' || word as key, word from entra_sync.words where tenant_id = :tenantId`,
    { tenantId },
  );
  expect(kept.map(({ key }) => key).sort()).toEqual(wanted.sort());
  const known = await rows<{ word: string }>(
    database,
    'select word from entra_sync.vocabulary where tenant_id = :tenantId',
    { tenantId },
  );
  const vocabulary = new Set(known.map(({ word }) => word));
  expect(kept.filter(({ word }) => !vocabulary.has(word))).toEqual([]);
  const keptNames = await rows<{ name: string; id: string }>(
    database,
    'select sort_name as name, account_id as id from entra_sync.sort_names where tenant_id = :tenantId order by 2, 1',
    { tenantId },
  );
  const names = await rows<{ name: string; id: string }>(
    database,
    `select case when octet_length(n.name) > 1000 then U&'\\+10FFFF' else n.name end as name, account_id as id
       from entra_sync.accounts cross join lateral (
         select lower(coalesce(profile ->> 'displayName', source ->> 'displayName', user_principal_name, mail, '')) as name) n
      where tenant_id = :tenantId order by 2`,
    { tenantId },
  );
  expect(keptNames).toEqual(names);
}
