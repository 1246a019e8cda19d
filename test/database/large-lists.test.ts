// Lists of a tenant of many people read what they show, whatever few or all of them have.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AssignmentsAsked, listAssignments } from '../../src/store/accounts/assignment-lists.ts';
import { keepNewWords } from '../../src/store/accounts/words.ts';
import { type ListedPerson, listPeople, type PersonOrder } from '../../src/store/console/people.ts';
import { inTransaction, rows, type Transaction } from '../../src/store/database/pool.ts';
import { tenantWith } from '../support/people-edit.ts';
import { rowsByIndex, rowsRead } from '../support/rows-read.ts';
import { ask } from '../support/stage.ts';
import { type OwnWeb, openWeb, ops, type WebBrowser } from '../support/web.ts';

const people = 6_000;
const ofGroups = 30;

let web: OwnWeb;
let tenant: string;
let browser: WebBrowser;

/** Half of the people are in one department, 40 in another; every tenth has no mail. One rule of 31 reaches everyone. */
beforeAll(async () => {
  web = await openWeb();
  tenant = await tenantWith(web.store, {});
  const bind = { tenant, people, ofGroups };
  await ask(
    web.store,
    `insert into entra_sync.accounts (tenant_id, state, entra_object_id, user_principal_name, mail, mapped)
     select :tenant, 'managed', gen_random_uuid(), case when n % 11 <> 0 then 'U' || lpad((n * 7919 % :people)::text, 4, '0') || '@a.example' end,
            case when n % 10 <> 0 then 'm' || lpad((n * 31 % :people / 2)::text, 4, '0') || '@A.example' end,
            jsonb_build_object('displayName', 'P' || n,
              'department', case when n % 150 = 0 then 'Few' when n % 2 = 0 then 'Many' else 'Others' end)
       from generate_series(1, :people::int) n`,
    bind,
  );
  await ask(
    web.store,
    `insert into entra_sync.groups (tenant_id, entra_object_id, state, kind, is_dynamic, source)
     select :tenant, gen_random_uuid(), 'managed', 'security', false, '{}' from generate_series(1, :ofGroups::int)`,
    bind,
  );
  await ask(web.store, `insert into entra_sync.slots (tenant_id, slot, winners) values (:tenant, 'banner', 1)`, bind);
  await ask(web.store, `insert into entra_sync.items (tenant_id, slot, item) values (:tenant, 'banner', 'corp')`, bind);
  await ask(
    web.store,
    `insert into entra_sync.assignments (tenant_id, slot, item, target, group_id, account_id, is_exception, priority, created_by)
     select :tenant::uuid, 'banner', 'corp', 'everyone', null, null::uuid, false, 0, 'test'
     union all
     select :tenant, 'banner', 'corp', 'group', group_id, null, false, 0, 'test' from entra_sync.groups where tenant_id = :tenant
     union all
     (select :tenant, 'banner', 'corp', 'account', null, account_id, false, 0, 'test' from entra_sync.accounts
       where tenant_id = :tenant limit 1)`,
    bind,
  );
  await ask(
    web.store,
    `insert into entra_sync.assigned (account_no, seq, rank)
     select a.account_no, r.seq, 1 from entra_sync.accounts a join entra_sync.assignments r on r.tenant_id = a.tenant_id
      where a.tenant_id = :tenant and r.target = 'everyone'`,
    bind,
  );
  // The first account manages everyone.
  await ask(
    web.store,
    `with rule as (
       insert into entra_sync.managed_by (tenant_id, managers_id)
       select :tenant, entra_object_id from entra_sync.groups where tenant_id = :tenant order by group_no limit 1)
     insert into entra_sync.effective_members (account_no, group_no, is_direct)
     select (select min(account_no) from entra_sync.accounts where tenant_id = :tenant), min(group_no), true
       from entra_sync.groups where tenant_id = :tenant`,
    bind,
  );
  await keepNewWords(web.store.database, tenant);
  for (const table of ['accounts', 'assigned', 'assignments', 'sort_names', 'words'])
    await ask(web.store, `analyze entra_sync.${table}`);
  browser = await web.browser(ops('act'));
});

afterAll(() => web.close());

type Order = readonly [by: PersonOrder, descending: boolean];
const orders: readonly Order[] = [
  ['principal', false],
  ['principal', true],
  ['mail', false],
  ['mail', true],
];

const listed = (on: Transaction, value: string, [by, descending]: Order, limit: number, last?: ListedPerson) =>
  listPeople(on, {
    ...{ tenantId: tenant, where: { field: 'department', value }, order: { by, descending }, limit },
    after: last ? [last.sort_key, last.account_id] : null,
  });

async function allListed(value: string, order: Order, limit: number): Promise<string[]> {
  const found: ListedPerson[] = [];
  for (;;) {
    const page = await inTransaction(web.store.database, (on) => listed(on, value, order, limit, found.at(-1)));
    found.push(...page);
    if (page.length < limit) return found.map((one) => one.account_id);
  }
}

describe('people by the value of a field', () => {
  test('are whole in each order, page after page, where few have it and where many do', async () => {
    for (const order of orders) {
      const [by, descending] = order;
      const key = `lower(${by === 'mail' ? 'mail' : 'user_principal_name'})`;
      const way = descending ? 'desc' : 'asc';
      for (const [value, limit] of [
        ['few', 7],
        ['MANY', 400],
        ['none', 7],
      ] as const) {
        const wanted = await ask<{ id: string }>(
          web.store,
          `select account_id as id from entra_sync.accounts
            where tenant_id = :tenant and lower(mapped ->> 'department') = lower(:value)
            order by ${key} ${way} nulls last, case when ${key} is null then account_id end, account_id ${way}`,
          { tenant, value },
        );
        expect(await allListed(value, order, limit), `${value} ${order}`).toEqual(wanted.map(({ id }) => id));
      }
    }
  });

  test('look up some pages by the index of the order, and walk through the table for what few have', async () => {
    const lookedUp = (value: string) =>
      inTransaction(web.store.database, async (on) => {
        const before = await rowsByIndex(on, 'accounts');
        const found = await listed(on, value, ['principal', false], 50);
        return { found: found.length, read: (await rowsByIndex(on, 'accounts')) - before };
      });
    const many = await lookedUp('Many');
    expect(many.found).toBe(50);
    expect(many.read).toBeLessThan(people / 2);
    const none = await lookedUp('none');
    expect(none.found).toBe(0);
    expect(none.read).toBeLessThan(people / 2);
  });
});

describe('the people that rules reach', () => {
  const readBy = (asked: AssignmentsAsked) =>
    inTransaction(web.store.database, async (on) => {
      const before = { accounts: await rowsRead(on, 'accounts'), assigned: await rowsRead(on, 'assigned') };
      const found = await listAssignments(on, tenant, asked);
      return {
        found,
        accounts: (await rowsRead(on, 'accounts')) - before.accounts,
        assigned: (await rowsRead(on, 'assigned')) - before.assigned,
      };
    });

  test('are counted up to a number, and the names of others are not read', async () => {
    const { found, accounts, assigned } = await readBy({ counted: 101 });
    expect(found).toHaveLength(ofGroups + 2);
    expect(found.map((one) => one.accounts)).toEqual([...Array(ofGroups + 1).fill(0), 101]);
    expect(found[0]?.account_name).toMatch(/^P\d+$/);
    expect(assigned).toBeLessThanOrEqual(101);
    expect(accounts).toBeLessThan(100);
    const all = await listAssignments(web.store.database, tenant);
    expect(all).toEqual(found.map((one) => ({ ...one, accounts: one.accounts === 0 ? 0 : people })));
  });

  test('are not counted for the page of one person, nor for rules that a page leaves out', async () => {
    const [rule] = (await readBy({})).found.slice(-1);
    const ofOne = await readBy({ ids: [rule?.assignment_id ?? ''], counted: 0 });
    expect(ofOne).toMatchObject({ found: [{ ...rule, accounts: 0 }], assigned: 0 });
    const first = await readBy({ perSlot: 5, counted: 101 });
    expect(first.found).toHaveLength(5);
    expect(first).toMatchObject({ assigned: 0 });
  });

  test('are more than 1,000 in the list, and all of them on the page of the rule and in the download', async () => {
    const base = `/console/t/${tenant}/assignments`;
    const { text } = await browser.get(base);
    expect(text.match(/[^>]* people</g)).toEqual([...Array(ofGroups + 1).fill('0 people<'), 'more than 1,000 people<']);
    const rules = (await readBy({})).found;
    expect((await browser.get(`${base}/${rules.at(-1)?.assignment_id}`)).text).toContain('>6,000 people<');
    expect((await browser.get(`${base}.csv`)).text).toContain(',6000,test');
  });
});

test('people to assign to are looked for among as many as a page shows, and among more where names are not what fits', async () => {
  const asked: unknown[] = [];
  const note = ({ sql, bindings }: { sql: string; bindings: readonly unknown[] }) => {
    if (sql.includes('find_ranked')) asked.push(bindings.at(-1));
  };
  web.store.database.on('query', note);
  const shown = async (words: string) => {
    const { text } = await browser.get(`/console/t/${tenant}/assignments/people?q=${words}`);
    return text.match(/role="rowheader"/g)?.length ?? 0;
  };
  expect([await shown('p'), asked.splice(0)]).toEqual([50, [60]]);
  expect([await shown('m0'), asked.splice(0)]).toEqual([0, [60, 200]]);
  web.store.database.off('query', note);
});

type Member = { account_id: string; display_name: string; sort_name: string };
type Asked = { words?: string; by?: 'name' | 'mail'; descending?: boolean; last?: Member | undefined; max?: number };

describe('the team of who manages everyone', () => {
  const managed = (on: Transaction, { words, by = 'name', descending = false, last, max = 50 }: Asked) =>
    rows<Member>(
      on,
      `select m.* from entra_sync.accounts a cross join lateral directory.managed(
                a.account_id, :words, :name, :id::uuid, :max, :by, :descending) m
        where a.account_no = (select min(account_no) from entra_sync.accounts where tenant_id = :tenant)`,
      {
        ...{ tenant, words: words ?? null, by, descending, max },
        name: last?.sort_name ?? null,
        id: last?.account_id ?? null,
      },
    );
  const inOrder = async (by: 'name' | 'mail', descending: boolean) => {
    const key = by === 'mail' ? 'lower(mail)' : "lower(mapped ->> 'displayName')";
    const found = await ask<{ id: string }>(
      web.store,
      `select account_id as id from entra_sync.accounts where tenant_id = :tenant
        order by ${key} ${descending ? 'desc' : 'asc'} nulls last, account_id`,
      { tenant },
    );
    const [first] = await ask<{ id: string }>(
      web.store,
      'select account_id as id from entra_sync.accounts where tenant_id = :tenant order by account_no limit 1',
      { tenant },
    );
    return found.map(({ id }) => id).filter((id) => id !== first?.id);
  };
  const allManaged = (asked: Asked) =>
    inTransaction(web.store.database, async (on) => {
      const found: Member[] = [];
      for (;;) {
        const page = await managed(on, { ...asked, last: found.at(-1), max: 1_000 });
        found.push(...page);
        if (page.length < 1_000) return found.map((one) => one.account_id);
      }
    });

  test('is whole in each order, page after page', async () => {
    for (const by of ['name', 'mail'] as const)
      for (const descending of [false, true])
        expect(await allManaged({ by, descending }), `${by} ${descending}`).toEqual(await inOrder(by, descending));
  });

  test('is read as far as a page needs, from its first page and from a later one, and by a word that everyone has', async () => {
    const pages: readonly Asked[] = [
      {},
      { descending: true },
      { by: 'mail' },
      { by: 'mail', descending: true },
      { words: 'p' },
    ];
    for (const asked of pages) {
      await inTransaction(web.store.database, async (on) => {
        const before = await rowsRead(on, 'accounts');
        const first = await managed(on, asked);
        const second = await managed(on, { ...asked, last: first.at(-1) });
        expect([first.length, second.length], JSON.stringify(asked)).toEqual([50, 50]);
        expect((await rowsRead(on, 'accounts')) - before, JSON.stringify(asked)).toBeLessThan(people);
      });
    }
  });

  test('has new people whose order is not kept yet, and one whose name no index holds', async () => {
    const newcomer = (name: string) =>
      ask(
        web.store,
        `insert into entra_sync.accounts (tenant_id, state, entra_object_id, mapped)
         values (:tenant, 'managed', gen_random_uuid(), jsonb_build_object('displayName', :name::text)) returning account_no`,
        { tenant, name },
      );
    const first = async () =>
      (await inTransaction(web.store.database, (on) => managed(on, { max: 2 }))).map((one) =>
        one.display_name.slice(0, 9),
      );
    await newcomer('Aaron');
    expect(await first()).toEqual(['Aaron', 'P10']);
    await newcomer('Aaa'.repeat(1_000));
    expect(await first()).toEqual(['AaaAaaAaa', 'Aaron']);
    await ask(web.store, 'delete from entra_sync.accounts where tenant_id = :tenant and length(mapped::text) > 1000', {
      tenant,
    });
    expect(await first()).toEqual(['Aaron', 'P10']);
    const many = Array.from({ length: 1_001 }, (_, n) => `Aab${n}`);
    await ask(
      web.store,
      `insert into entra_sync.accounts (tenant_id, state, entra_object_id, mapped)
       select :tenant, 'managed', gen_random_uuid(), jsonb_build_object('displayName', n) from unnest(:many::text[]) n`,
      { tenant, many },
    );
    expect(await first()).toEqual(['Aab0', 'Aab1']);
    await keepNewWords(web.store.database, tenant);
    expect(await first()).toEqual(['Aab0', 'Aab1']);
  });
});
