// The order of lists: links in the heads of columns, pages that follow the order, downloads in it, and values that are none.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tenantWith } from '../support/people-edit.ts';
import { ask } from '../support/stage.ts';
import { type OwnWeb, openWeb, ops, type WebBrowser } from '../support/web.ts';

const people = 220;

let web: OwnWeb;
let tenant: string;
let browser: WebBrowser;

/** Every tenth person has no mail, every eleventh no user principal name; the two orders differ, and names repeat. */
beforeAll(async () => {
  web = await openWeb();
  tenant = await tenantWith(web.store, {});
  await ask(
    web.store,
    `insert into entra_sync.accounts (tenant_id, state, entra_object_id, user_principal_name, mail, mapped)
     select :tenant, 'managed', gen_random_uuid(), case when n % 11 <> 0 then 'U' || lpad(n::text, 3, '0') || '@a.example' end,
            case when n % 10 <> 0 then 'm' || lpad((n * 7 % :people / 2)::text, 3, '0') || '@A.example' end,
            jsonb_build_object('displayName', 'P' || n, 'department', case when n % 2 = 0 then 'Even' else 'Odd' end)
       from generate_series(1, :people::int) n`,
    { tenant, people },
  );
  await ask(
    web.store,
    `insert into entra_sync.groups (tenant_id, entra_object_id, state, display_name, kind, is_dynamic, source)
     select :tenant, gen_random_uuid(), 'managed', 'Group ' || lpad((n / 2)::text, 3, '0'), case when n % 3 = 0 then 'distribution' else 'security' end,
            false, '{}' from generate_series(1, 70) n`,
    { tenant },
  );
  await ask(
    web.store,
    `insert into entra_sync.tenants (tenant_id, name, last_success_at)
     select gen_random_uuid(), 'Tenant ' || n, case when n % 5 <> 0 then now() - n * 37 % 60 * interval '1 minute' end
       from generate_series(1, 60) n`,
  );
  browser = await web.browser(ops('read'));
});

afterAll(() => web.close());

const unescaped = (text = '') => text.replaceAll('&amp;', '&');

/** Returns the names of the rows of a list, page after page as its links lead. */
async function namesFrom(path: string): Promise<string[]> {
  const names: string[] = [];
  for (let next = path; next !== ''; ) {
    const { status, text } = await browser.get(next);
    expect([next, status]).toEqual([next, 200]);
    const found = [...text.matchAll(/role="rowheader">(?:<[^>]*>)*([^<]+)/g)].map(([, name = '']) => name);
    expect(found.length).toBeLessThanOrEqual(50);
    names.push(...found);
    next = unescaped(/href="([^"]*)" rel="next"/.exec(text)?.[1]);
  }
  return names;
}

type Head = { title: string; sort: string | undefined; link: string };

async function headsOf(path: string): Promise<Head[]> {
  const { text } = await browser.get(path);
  return [...text.matchAll(/<th scope="col"[^>]*?(?: aria-sort="(\w+)")?><a href="([^"]*)">([^<]*)/g)].map(
    ([, sort, link, title = '']) => ({ title, sort, link: unescaped(link) }),
  );
}

/** Returns what the rows should be: those with the value in its order, then those without. */
async function wanted(key: string, descending: boolean, where = 'true'): Promise<string[]> {
  const way = descending ? 'desc' : 'asc';
  const found = await ask<{ name: string }>(
    web.store,
    `select mapped ->> 'displayName' as name from entra_sync.accounts where tenant_id = :tenant and ${where}
      order by lower(${key}) ${way} nulls last, account_id ${way}`,
    { tenant },
  );
  return found.map(({ name }) => name);
}

const has = (key: string) => `${key} is not null`;

test('people are in the order of the head that was chosen, over all pages, with the filters; people without the value are last', async () => {
  const base = `/console/t/${tenant}/people`;
  for (const [order, key, descending] of [
    ['', 'user_principal_name', false],
    ['-principal', 'user_principal_name', true],
    ['mail', 'mail', false],
    ['-mail', 'mail', true],
  ] as const) {
    const names = await namesFrom(`${base}?order=${order}`);
    const first = await wanted(key, descending, has(key));
    expect([order, names.slice(0, first.length)]).toEqual([order, first]);
    expect(new Set(names).size).toBe(people);
    expect(names).toHaveLength(people);
    const odd = await namesFrom(`${base}?order=${order}&field=department&value=odd`);
    const ofOdd = await wanted(key, descending, `${has(key)} and mapped ->> 'department' = 'Odd'`);
    expect(odd.slice(0, ofOdd.length)).toEqual(ofOdd);
    expect(odd).toHaveLength(people / 2);
    const { text } = await browser.get(`${base}.csv?order=${order}`);
    expect(
      text
        .split('\r\n')
        .slice(1, -1)
        .map((line) => line.split(',')[1]),
    ).toEqual(names);
  }
});

test('groups and tenants have an order too', async () => {
  const base = `/console/t/${tenant}/groups`;
  const groups = await namesFrom(`${base}?show=security`);
  expect(groups).toEqual(groups.toSorted());
  expect(await namesFrom(`${base}?show=security&order=-name`)).toEqual(groups.toReversed());
  const tenants = await namesFrom('/console?q=tenant');
  expect(tenants.slice(0, 3)).toEqual(['Tenant 1', 'Tenant 2', 'Tenant 3']);
  expect(await namesFrom('/console?q=tenant&order=-name')).toEqual(tenants.toReversed());
  const fresh = await ask<{ name: string }>(
    web.store,
    `select name from entra_sync.tenants where name like 'Tenant %'
      order by last_success_at desc nulls last, tenant_id::text desc`,
  );
  const byTime = fresh.map(({ name }) => name);
  expect(await namesFrom('/console?q=tenant&order=-fresh')).toEqual(byTime);
  expect(await namesFrom('/console?q=tenant&order=fresh')).toEqual(byTime.toReversed());
});

test('the last cycles of a tenant are ordered by their numbers, those without one last', async () => {
  const ofCycles = await tenantWith(web.store, {});
  await ask(
    web.store,
    `insert into entra_sync.cycles (tenant_id, kind, actor, fence, started_at, finished_at, outcome, settings_version, streams)
     select :ofCycles, 'incremental', 'worker', n, now() - n * interval '1 hour',
            case when n <> 2 then now() - n * interval '1 hour' + n * 7 % 5 * interval '1 second' end, 'committed', 1,
            jsonb_build_object('users', jsonb_build_object('seen', n * 3 % 4)) from generate_series(1, 4) n`,
    { ofCycles },
  );
  const cells = async (order: string, cell: RegExp) =>
    [...(await browser.get(`/console/t/${ofCycles}?order=${order}`)).text.matchAll(cell)].map(([, value]) => value);
  const took = /data-label="Took"[^>]*>([\d.]*)/g;
  const seen = /data-label="Seen"[^>]*>(\d+)/g;
  expect(await cells('', took)).toEqual(['2.0', '', '1.0', '3.0']);
  expect(await cells('took', took)).toEqual(['1.0', '2.0', '3.0', '']);
  expect(await cells('-took', took)).toEqual(['3.0', '2.0', '1.0', '']);
  expect(await cells('-seen', seen)).toEqual(['3', '2', '1', '0']);
  expect(await cells('started', seen)).toEqual(['0', '1', '2', '3']);
});

test('a head leads to its order and from it to the opposite, with the filters and from the first page', async () => {
  const base = `/console/t/${tenant}/people`;
  const filtered = `${base}?field=department&value=Odd`;
  expect(await headsOf(filtered)).toEqual([
    { title: 'User principal name', sort: 'ascending', link: `${filtered}&order=-principal` },
    { title: 'Mail', sort: undefined, link: `${filtered}&order=mail` },
  ]);
  const { text } = await browser.get(`${filtered}&order=-mail`);
  const next = unescaped(/href="([^"]*)" rel="next"/.exec(text)?.[1]);
  expect(next).toContain('order=-mail&after=');
  expect(await headsOf(next)).toEqual([
    { title: 'User principal name', sort: undefined, link: filtered },
    { title: 'Mail', sort: 'descending', link: `${filtered}&order=mail` },
  ]);
  // A number and a time begin with the largest; a search by words has the order of how well they fit.
  expect((await headsOf('/console'))[1]).toEqual({ title: 'Fresh', sort: undefined, link: '/console?order=-fresh' });
  expect(await headsOf(`${base}?q=P11&order=mail`)).toEqual([]);
  expect(text).toContain('<thead role="rowgroup"><tr role="row" data-label="Order by">');
  expect(text).toContain('<input type="hidden" name="order" value="-mail">');
});

test('an order that there is not, and a position of another order, are no error', async () => {
  const base = `/console/t/${tenant}/people`;
  const usual = (await namesFrom(base)).slice(0, 50);
  for (const bad of ['phone', '-', '--mail', 'mail desc', "mail'", 'mail&order=mail']) {
    const { status, text } = await browser.get(`${base}?order=${bad}`);
    expect([bad, status]).toEqual([bad, 200]);
    expect(text).toContain(`>${usual[0]}</a>`);
  }
  const { text } = await browser.get('/console?order=-name');
  const after = /after=([\w-]+)/.exec(text)?.[1];
  for (const path of [`/console?order=fresh&after=${after}`, `/console?order=-fresh&after=${after}`])
    expect((await browser.get(path)).status).toBe(200);
});

test('a search keeps to the filters beside it, and to none without them', async () => {
  const groups = `/console/t/${tenant}/groups`;
  const kindsOf = async (path: string) =>
    new Set([...(await browser.get(path)).text.matchAll(/data-label="Kind">([^<]*)/g)].map(([, kind]) => kind));
  expect(await kindsOf(`${groups}?q=group`)).toEqual(new Set(['Security', 'Distribution']));
  expect(await kindsOf(`${groups}?q=group&show=distribution`)).toEqual(new Set(['Distribution']));
  expect((await browser.get(`${groups}?q=group&show=microsoft365`)).text).toContain('Nothing fits these filters.');
  const list = `/console/t/${tenant}/people`;
  // A search finds those who were removed too, and has a way back.
  const [all, found] = [(await browser.get(list)).text, (await browser.get(`${list}?q=P11&field=department`)).text];
  expect([all.includes('All that are live'), all.includes('>Clear</a>')]).toEqual([true, false]);
  expect([found.includes('All that are live'), found.includes('All, removed ones too')]).toEqual([false, true]);
  expect(found).toContain(`href="${list}?field=department">Clear</a>`);
  // A search shows no further page, and says that there is more.
  const note = 'More fits than is shown here.';
  for (const [query, isCut] of [
    ['q=P1&show=managed', true],
    ['q=P1', true],
    ['q=P11', false],
    ['q=P11&show=managed', false],
  ] as const)
    expect([query, (await browser.get(`${list}?${query}`)).text.includes(note)]).toEqual([query, isCut]);
  const odd = (await namesFrom(`${list}?q=P11&field=department&value=odd`)).map((name) => Number(name.slice(1)) % 2);
  expect([odd.length > 3, new Set(odd)]).toEqual([true, new Set([1])]);
  expect((await namesFrom(`${list}?q=P11`)).length).toBeGreaterThan(odd.length);
  const removed = await browser.get(`${list}?q=P11&show=removed`);
  expect([/role="rowheader"/.test(removed.text), removed.text.includes('Nothing fits these filters.')]).toEqual([
    false,
    true,
  ]);
});
