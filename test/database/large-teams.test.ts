// The accounts that one account manages, in an order and by words: a large team is searched by the index of words, a small one
// by the names of its people, and both find the same.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keepNewWords } from '../../src/store/accounts/words.ts';
import { inTransaction, rows } from '../../src/store/database/pool.ts';
import { isDeep } from '../support/deep.ts';
import { accountOf, keepManagers, tenantWith } from '../support/people-edit.ts';
import { ask, openStore, type Store } from '../support/stage.ts';

type Member = { account_id: string; display_name: string | null; mail: string | null; sort_name: string };
type Person = { id: string; name: string | null; mail: string | null; words: string[] };
type Order = readonly [by: 'name' | 'mail', descending: boolean];

const size = 1_200;
const orders: readonly Order[] = [
  ['name', false],
  ['name', true],
  ['mail', false],
  ['mail', true],
];

let store: Store;
let tenant: string;
/** Managers of the same people: by line, by a group, and of everyone. */
let managers: Record<'line' | 'group' | 'everyone', string>;
let people: Person[];

beforeAll(async () => {
  store = await openStore();
  tenant = await tenantWith(store, {});
  await keepManagers(store, tenant);
  const boss = randomUUID();
  managers = {
    line: await accountOf(store, tenant, { objectId: boss }),
    group: await accountOf(store, tenant, {}),
    everyone: await accountOf(store, tenant, {}),
  };
  const bind = { tenant, boss, size };
  // Every fiftieth is not of the team, every seventh has no mail, every twelfth no name; names repeat.
  await ask(
    store,
    `insert into entra_sync.accounts (tenant_id, state, entra_object_id, source, mapped, mail)
     select :tenant, 'managed', gen_random_uuid(), case when n % 50 <> 0 then jsonb_build_object('manager', :boss::text) else '{}' end,
            case when n % 12 = 0 then '{}' else
              jsonb_build_object('displayName', ('{Ann,Änne,Bo,carla}'::text[])[1 + n % 4] || ' Berg' || chr(97 + n % 3) || ' ' || n % 400) end,
            case when n % 7 <> 0 then 'm' || n * 31 % 1000 || '@Example.test' end
       from generate_series(1, :size::int + 24) n`,
    bind,
  );
  await keepNewWords(store.database, tenant);
  await ask(
    store,
    `with g as (
       insert into entra_sync.groups (tenant_id, entra_object_id, state, kind, is_dynamic, source)
       select :tenant, gen_random_uuid(), 'managed', 'security', false, '{}' from generate_series(1, 3) returning group_no, entra_object_id),
     n as (select array_agg(group_no order by group_no) as nos, array_agg(entra_object_id order by group_no) as ids from g),
     rules as (
       insert into entra_sync.managed_by (tenant_id, managers_id, people_id)
       select :tenant::uuid, ids[1], ids[2] from n union all select :tenant, ids[3], null from n)
     insert into entra_sync.effective_members (account_no, group_no, is_direct)
     select a.account_no, n.nos[case when a.account_id = :group then 1 when a.account_id = :everyone then 3 else 2 end], true
       from entra_sync.accounts a, n where a.tenant_id = :tenant and (a.account_id in (:group, :everyone) or a.manager_object_id is not null)`,
    { ...bind, ...managers },
  );
  people = (
    await ask<Omit<Person, 'words'> & { line: boolean }>(
      store,
      `select account_id as id, mapped ->> 'displayName' as name, mail, manager_object_id is not null as line
         from entra_sync.accounts where tenant_id = :tenant`,
      { tenant },
    )
  )
    .filter(({ line }) => line)
    .map(({ id, name, mail }) => ({
      ...{ id, name, mail },
      words: `${name ?? ''} ${(mail ?? '').split('@')[0]}`
        .normalize('NFD')
        .toLowerCase()
        .replaceAll(/\p{M}/gu, '')
        .split(' '),
    }));
});

afterAll(() => store.close());

const managed = (manager: string, words: string | null, [by, descending]: Order, after?: Member, max = 1_000) =>
  ask<Member>(
    store,
    'select * from directory.managed(:manager::uuid, :words::text, :name::text, :id::uuid, :max::int, :by::text, :descending::boolean)',
    { ...{ manager, words, max, by, descending }, name: after?.sort_name ?? null, id: after?.account_id ?? null },
  );

async function allManaged(manager: string, words: string | null, order: Order, max: number): Promise<string[]> {
  const found: Member[] = [];
  for (;;) {
    const lot = await managed(manager, words, order, found.at(-1), max);
    found.push(...lot);
    if (lot.length < max) return found.map(({ account_id }) => account_id);
  }
}

/** Returns the ids in order, by the code points that the database of the tests compares. */
function inOrder([by, descending]: Order, words: readonly string[]): string[] {
  const keyOf = ({ name, mail }: Person) => (by === 'mail' ? (mail ?? '') : (name ?? mail ?? '')).toLowerCase();
  const compare = (one: string, other: string) => (one < other ? -1 : one > other ? 1 : 0);
  return people
    .filter((one) => words.every((word) => one.words.some((own) => own.startsWith(word))))
    .sort((one, other) => {
      const [mine, theirs] = [keyOf(one), keyOf(other)];
      if ((mine === '') !== (theirs === '')) return mine === '' ? 1 : -1;
      return (descending ? -1 : 1) * compare(mine, theirs) || compare(one.id, other.id);
    })
    .map(({ id }) => id);
}

describe('a team of more than a thousand', () => {
  test.runIf(isDeep)('is whole in each order, page after page, those without the value last', async () => {
    for (const order of orders)
      for (const manager of [managers.line, managers.group])
        expect(await allManaged(manager, null, order, 170), String(order)).toEqual(inOrder(order, []));
  });

  test.runIf(isDeep)(
    'is found by words as a small one is: rare and common ones, several, with accents, in part',
    async () => {
      const asked = [
        'ann',
        'ann berga',
        'b',
        'b m',
        'b m ann',
        'ANNE',
        'm7',
        'carla bergb 39',
        '39',
        'zoe',
        'bo ann',
        'x'.repeat(70),
      ];
      for (const words of asked) {
        const wanted = inOrder(['name', false], words.toLowerCase().split(' '));
        for (const manager of [managers.line, managers.group])
          expect(await allManaged(manager, words, ['name', false], 170), words).toEqual(wanted);
        const ofAll = await allManaged(managers.everyone, words, ['name', false], 170);
        expect(ofAll, words).toEqual(expect.arrayContaining(wanted));
      }
    },
  );

  test('a search reads the accounts that have the words, and not the team', async () => {
    const read = (on: Parameters<typeof rows>[0]) =>
      rows<{ n: number }>(
        on,
        `select (seq_tup_read + idx_tup_fetch)::int as n from pg_stat_xact_all_tables where relid = 'entra_sync.accounts'::regclass`,
      );
    const of = async (words: string) => {
      let found = 0;
      const n = await inTransaction(store.database, async (on) => {
        const before = (await read(on))[0]?.n ?? 0;
        found = (
          await rows(on, `select from directory.managed(:manager::uuid, :words, null, null, 50, 'name', false)`, {
            manager: managers.everyone,
            words,
          })
        ).length;
        return ((await read(on))[0]?.n ?? 0) - before;
      });
      return { found, isBounded: n < size / 4 };
    };
    expect(await of('carla bergb 39')).toEqual({ found: expect.any(Number), isBounded: true });
    expect(await of('zoe')).toEqual({ found: 0, isBounded: true });
  });

  test('an order that there is not is refused', async () => {
    await expect(managed(managers.line, null, ['phone' as 'name', false])).rejects.toThrow(/name or mail/);
  });
});
