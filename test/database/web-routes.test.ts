// Every route of the table is asked for by every role over HTTP, in the own tenant and in a foreign one that has all of it too.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Role } from '../../src/rules/viewers.ts';
import { decideRemovals } from '../../src/store/commit/held-removals.ts';
import type { NewSession } from '../../src/store/web/sessions.ts';
import { addWebhook } from '../../src/store/webhooks/webhooks.ts';
import { access, pathOf, type Route } from '../../src/web/access.ts';
import { consolePages } from '../../src/web/console/pages.ts';
import { portalPages } from '../../src/web/portal/pages.ts';
import { isDeep } from '../support/deep.ts';
import { inputFaults } from '../support/inputs.ts';
import { type EditStore, openEditStore } from '../support/people-edit.ts';
import { ask, objectId } from '../support/stage.ts';
import { ops, serveOn, type Web } from '../support/web.ts';
import { assignInScene, openScene } from '../support/writers.ts';

type Params = Readonly<Record<string, string>>;

let store: EditStore;
let web: Web;
let own: Params;
let foreign: Params;

/** Makes a tenant that has one of everything that a route names, and returns the ids. */
async function tenantWithAll(): Promise<Params> {
  const scene = await openScene(store);
  await assignInScene(scene);
  const { tenantId: tenant, listId } = scene;
  const decision = { tenantId: tenant, listId, ids: null, expected: 1, decision: 'reject', side: 'vendor' } as const;
  await decideRemovals(store.database, { ...decision, actor: 'Ann' });
  const [made] = await ask<{ cycle: string; group: string; assignment: string }>(
    store,
    `with cycle as (
       insert into entra_sync.cycles (tenant_id, kind, actor, fence, started_at, finished_at, outcome, settings_version)
       values (:tenant, 'incremental', 'worker', 1, now() - interval '1 hour', now(), 'committed', 1) returning cycle_id)
     select cycle_id as cycle, (select group_id from directory.groups where tenant_id = :tenant limit 1) as group,
            (select assignment_id from directory.assignments where tenant_id = :tenant limit 1) as assignment
       from cycle`,
    { tenant },
  );
  const hook = {
    tenantId: tenant,
    url: 'https://app.example.com/x',
    kinds: [],
    told: 'names',
    form: 'changes',
  } as const;
  const { id: webhook } = await addWebhook(store.database, { ...hook, insecureLocal: false, actor: 'Ann' });
  return { tenant, account: scene.accounts[5] ?? '', list: listId, webhook, ...made };
}

beforeAll(async () => {
  store = await openEditStore();
  const { role: contractRole } = await store.application({ grant: 'tenant-bound' });
  web = await serveOn(store.database, [...consolePages, ...portalPages], {
    contractRole,
    trustedProxies: ['127.0.0.1'],
  });
  [own, foreign] = [await tenantWithAll(), await tenantWithAll()];
  const { tenant = '', account = '' } = own;
  const document = {
    publishers: { groups: [objectId(101), objectId(102)] },
    portal: { managers: true },
    managers: true,
  };
  await ask(store, "insert into entra_sync.settings (tenant_id, document, actor) values (:tenant, :document, 'test')", {
    ...{ tenant, document: JSON.stringify(document) },
  });
  await ask(store, "update entra_sync.tenants set last_success_at = now(), status = 'active'");
  await ask(
    store,
    `update entra_sync.accounts set source = source || jsonb_build_object('manager', :manager::text) where account_id = :account`,
    { account, manager: objectId(7) },
  );
});

afterAll(async () => {
  await web?.close();
  await store?.close();
});

type Case = { readonly session: () => Partial<NewSession>; readonly holds: readonly Role[]; readonly stale?: true };

const person = (n: number) => ({ objectId: objectId(n) });
const byDirectory = (directoryRole: 'admin' | 'reader') => {
  const objectId = randomUUID();
  return { objectId, directoryRole, actor: `entra:${own.tenant}/${objectId}` };
};
const cases: Readonly<Record<Role, Case>> = {
  ops_act: { session: () => ops('act'), holds: ['ops_act', 'ops_read'] },
  ops_read: { session: () => ops('read'), holds: ['ops_read'] },
  admin: { session: () => byDirectory('admin'), holds: ['admin', 'reader'] },
  reader: { session: () => byDirectory('reader'), holds: ['reader'] },
  publisher: { session: () => person(5), holds: ['publisher', 'publisher_read', 'user'] },
  publisher_read: { session: () => person(1), holds: ['publisher_read', 'user'], stale: true },
  user: { session: () => person(6), holds: ['user'] },
  manager: { session: () => person(7), holds: ['user', 'manager'] },
};

// A photo, an item with html and a mark of the feed: without one the answer is a 404 to those who may ask too.
const mayBeEmpty = /\/(photo|news)$|^GET \/(me|team\/:account)\/preview$/;
const atOnce = 8;

const shown = (Object.entries(cases) as [Role, Case][]).filter(
  ([role]) => isDeep || ['reader', 'publisher', 'manager'].includes(role),
);

test.each(shown)(
  'rule 46: %s is answered on the routes of the role alone, in the own tenant alone',
  async (_role, one) => {
    const { tenant: tenantId = '' } = own;
    const read = one.stale ? "now() - interval '3 days'" : 'now()';
    await ask(store, `update entra_sync.tenants set last_success_at = ${read}`);
    const browser = await web.browser({ tenantId, ...one.session() });
    // An address of its own, since one may not ask so often.
    const from = { 'x-forwarded-for': `10.0.0.${Object.keys(cases).indexOf(_role)}` };
    const isOps = one.holds.includes('ops_read');
    if (isOps)
      for (const { tenant } of [own, foreign])
        await browser.post(`/console/t/${tenant}/reason`, { reason: 'a test', to: '/console' }, from);
    const asked = (Object.keys(access) as Route[])
      .filter((route) => access[route] !== 'everybody')
      .flatMap((route) => [own, foreign].map((ids) => ({ route, ids })));
    const wrong: string[] = [];
    for (let start = 0; start < asked.length; start += atOnce)
      await Promise.all(
        asked.slice(start, start + atOnce).map(async ({ route, ids }) => {
          const roles: readonly Role[] = access[route] as readonly Role[];
          // A form without the token of the session acts on nothing, whatever the id of a person, and is told so to those
          // alone who may send it.
          const isForm = route.startsWith('POST ');
          const isOwn = isOps || ids === own || !route.includes(isForm ? ':tenant' : ':');
          const allowed = isOwn && roles.some((role) => one.holds.includes(role));
          const path = pathOf(route, ids);
          const { status } = isForm ? await browser.post(path, { _token: '' }, from) : await browser.get(path, from);
          const wanted = !allowed ? [404] : isForm ? [403] : mayBeEmpty.test(route) ? [200, 404] : [200];
          if (!wanted.includes(status))
            wrong.push(`${route} ${ids === own ? 'own' : 'foreign'}: ${status}, not ${wanted}`);
        }),
      );
    expect(asked.length).toBeGreaterThan(150);
    expect(wrong).toEqual([]);
  },
);

test('rule 46: an administrator is answered on no id of another tenant within the own one', async () => {
  const { tenant: tenantId = '' } = own;
  const browser = await web.browser({ tenantId, ...byDirectory('admin') });
  const pages = (Object.keys(access) as Route[]).filter((route) => /^GET .*:tenant.*:/.test(route));
  expect(pages.length).toBeGreaterThan(7);
  for (const route of pages)
    expect([route, (await browser.get(pathOf(route, { ...foreign, tenant: tenantId }))).status]).toEqual([route, 404]);
});

test('each input of each page says its type, its keyboard and whether a browser fills it', async () => {
  // support/web.ts refuses a page that has one without: here each page is asked for by a viewer who sees its forms.
  const { tenant: tenantId = '' } = own;
  const [operator, manager] = [await web.browser(ops('act')), await web.browser({ tenantId, ...person(7) })];
  await operator.post(`/console/t/${tenantId}/reason`, { reason: 'a test', to: '/console' });
  const pages = (Object.keys(access) as Route[]).filter(
    (route) => /^GET \/(console|me|team)/.test(route) && !route.endsWith('.csv'),
  );
  let inputs = 0;
  let previews = 0;
  for (const route of pages) {
    const browser = route.startsWith('GET /console') ? operator : manager;
    const { text } = await browser.get(pathOf(route, own));
    // A preview comes after the fields in the document too: not each browser orders the keyboard otherwise.
    for (const [, after = ''] of text.matchAll(/<details class="[^"]*preview"([\s\S]*?)<\/form>/g)) {
      previews += 1;
      expect([route, /<(input(?! type="hidden")|textarea|select)\b/.test(after)]).toEqual([route, false]);
    }
    inputs += text.match(/<(input(?! type="hidden")|textarea|select)\b/g)?.length ?? 0;
  }
  expect([pages.length > 35, inputs > 100, previews > 0]).toEqual([true, true, true]);
  expect(
    inputFaults('<input id="a"><input type="text" inputmode="text"><textarea inputmode="text"></textarea><select>'),
  ).toHaveLength(4);
  expect(inputFaults('<input type="hidden"><input type="date" autocomplete="off"><input type="radio">')).toEqual([]);
});

const samples: Readonly<Record<string, string>> = {
  ...{ q: 'a', field: 'department', value: 'Sales', act: 'person.viewed', actor: 'worker' },
  ...{ since: '2026-01-01', until: '2026-12-31', at: '2026-06-01' },
};
const unescaped = (text: string) => text.replaceAll('&amp;', '&').replaceAll('&quot;', '"');

/** Returns the forms that lead to the page itself, each with its values. */
const searchesIn = (text: string, path: string): URLSearchParams[] =>
  [...text.matchAll(/<form [^>]*method="get" action="([^"]*)">([\s\S]*?)<\/form>/g)].flatMap(
    ([, action, content = '']) =>
      action === path
        ? [
            new URLSearchParams(
              [...content.matchAll(/<input [^>]*>/g)].map(([tag]): [string, string] => [
                / name="([^"]*)"/.exec(tag)?.[1] ?? '',
                unescaped(/ value="([^"]*)"/.exec(tag)?.[1] ?? ''),
              ]),
            ),
          ]
        : [],
  );

/** Returns the addresses of the page itself that filters and heads of columns lead to. */
const filtersIn = (text: string, path: string): URLSearchParams[] =>
  [...text.matchAll(/<(?:div class="filters"|thead)[\s\S]*?<\/(?:div|thead)>/g)].flatMap(([part]) =>
    [...part.matchAll(/ href="([^"?]*)(?:\?([^"]*))?"/g)].flatMap(([, to, query = '']) =>
      to === path ? [new URLSearchParams(unescaped(query))] : [],
    ),
  );

test.runIf(isDeep)('a search, a filter and an order keep the others, on each page that has one', async () => {
  const { tenant: tenantId = '' } = own;
  const [operator, manager] = [await web.browser(ops('act')), await web.browser({ tenantId, ...person(7) })];
  await operator.post(`/console/t/${tenantId}/reason`, { reason: 'a test', to: '/console' });
  const wrong: string[] = [];
  const walked = new Map<string, string>();
  for (const route of (Object.keys(access) as Route[]).filter((one) => /^GET \/(console|team)/.test(one))) {
    const browser = route.startsWith('GET /console') ? operator : manager;
    const path = pathOf(route, own);
    // A list of few people has its search once there is one; what a search finds has no order.
    const first = [await browser.get(path), await browser.get(`${path}?q=a`)];
    const all: Record<string, string> = {};
    for (const { text } of first) {
      for (const link of filtersIn(text, path)) for (const [name, value] of link) all[name] ??= value;
      for (const form of searchesIn(text, path)) for (const [name] of form) all[name] ??= samples[name] ?? 'no sample';
    }
    if (Object.keys(all).length === 0) continue;
    walked.set(route, Object.keys(all).toSorted().join(' '));
    const { text } = await browser.get(`${path}?${new URLSearchParams(all)}`);
    for (const form of searchesIn(text, path))
      for (const [name, value] of Object.entries(all))
        if (form.get(name) !== value) wrong.push(`${route}: the form with ${[...form.keys()]} loses ${name}`);
    for (const link of filtersIn(text, path)) {
      const lost = Object.entries(all).filter(([name, value]) => (link.get(name) ?? '') !== value);
      if (lost.length > 1) wrong.push(`${route}: ${link} loses ${lost.map(([name]) => name)}`);
    }
  }
  expect(Object.fromEntries(walked)).toMatchObject({
    'GET /console': 'order q show',
    'GET /console/t/:tenant/people': 'field order q show value',
    'GET /console/t/:tenant/groups': 'order q show',
    'GET /console/t/:tenant/audit': 'act actor kind since until',
    'GET /console/audit': 'act actor kind since until',
    'GET /console/t/:tenant/changes': 'actor kind since until',
    'GET /team': 'order q',
  });
  expect(wrong).toEqual([]);
});
