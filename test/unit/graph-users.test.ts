// The pages of a users round, single users in a `$batch`, and the count for the progress bar.
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { SingleObject } from '../../src/graph/objects.ts';
import { countObjects, deltaPages, type FetchedPage } from '../../src/graph/pages.ts';
import { DeadToken } from '../../src/graph/reader.ts';
import { firstUsersUrl, readUsers } from '../../src/graph/users.ts';
import { type DeltaPage, decodePage } from '../../src/rules/decode.ts';
import { allProperties } from './graph-examples.ts';
import {
  allAnswered,
  closeGraph,
  expectedError,
  type Opened,
  openReader,
  origin,
  type Scripted,
  scriptGraph,
} from './nock-graph.ts';

afterEach(closeGraph);

const ids = Array.from({ length: 45 }, (_, index) => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`);
const [one = '', two = '', three = ''] = ids;
const firstUrl = firstUsersUrl(origin, ['id', 'mail']);
const link = (token: string) => `${origin}/v1.0/users/delta?$skiptoken=${token}`;
const deltaLink = `${origin}/v1.0/users/delta?$deltatoken=end`;

const page = (next: string, ...value: object[]): Scripted => ({ body: { '@odata.nextLink': next, value } });
const last = (delta = deltaLink, ...value: object[]): Scripted => ({ body: { '@odata.deltaLink': delta, value } });

function pagesOf({ reader }: Opened, start = firstUrl) {
  return deltaPages(reader, {
    start,
    startCarriesToken: start !== firstUrl,
    collection: 'users',
    decode: (body) => decodePage(body, allProperties),
  });
}

async function collect(pages: AsyncGenerator<FetchedPage<DeltaPage>>): Promise<FetchedPage<DeltaPage>[]> {
  const all: FetchedPage<DeltaPage>[] = [];
  for await (const fetched of pages) all.push(fetched);
  return all;
}

describe('the pages of a round', () => {
  test('the first URL selects explicitly', () => {
    expect(firstUrl).toBe('https://graph.microsoft.com/v1.0/users/delta?$select=id,mail');
  });

  test('rule 5: empty pages with a next link do not end it, only the delta link does', async () => {
    const graph = scriptGraph(page(link('a')), page(link('b')), page(link('c'), { id: one }), last());
    const pages = await collect(pagesOf(openReader()));
    expect(pages.map(({ page: { link: ends } }) => ends)).toEqual([
      { next: link('a') },
      { next: link('b') },
      { next: link('c') },
      { delta: deltaLink },
    ]);
    expect(pages.map(({ url }) => url)).toEqual([firstUrl, link('a'), link('b'), link('c')]);
    expect(graph.requests.map(({ url }) => url)).toEqual(pages.map(({ url }) => url));
  });

  test('rule 13: each next link is asked byte for byte', async () => {
    const odd = `${origin}/v1.0/users/delta?$skiptoken=a+b%2Bc%2fd==&$select=id&$select=mail&x&x=1&x=2`;
    const graph = scriptGraph(page(odd), last());
    await collect(pagesOf(openReader()));
    expect(graph.requests.map(({ url }) => url)).toEqual([firstUrl, odd]);
  });

  test.each([
    ['a next link', page('https://evil.example/v1.0/users/delta?$skiptoken=x', { id: one })],
    ['a next link without an origin', page('/v1.0/users/delta?$skiptoken=x', { id: one })],
    ['a delta link', last('https://graph.microsoft.com.evil.example/v1.0/users/delta?$deltatoken=x', { id: one })],
    ['a delta link by http', last('http://graph.microsoft.com/v1.0/users/delta?$deltatoken=x', { id: one })],
  ])('rule 13: %s of another origin stops the round before its page is returned', async (_, odd) => {
    const graph = scriptGraph(page(link('a'), { id: two }), odd, last());
    const pages = pagesOf(openReader());
    expect((await pages.next()).value).toMatchObject({ url: firstUrl });
    const error = await expectedError(pages.next());
    expect(error.code).toBe('foreign_link');
    expect({ requests: graph.requests.length, strays: graph.strays }).toEqual({ requests: 2, strays: [] });
    expect((await pages.next()).done).toBe(true);
  });

  test('only the next page is fetched while one is staged', async () => {
    const graph = scriptGraph(page(link('a')), page(link('b')), last());
    const pages = pagesOf(openReader());
    await pages.next();
    await vi.waitFor(() => expect(graph.requests).toHaveLength(2));
    await new Promise((resolve) => setImmediate(resolve));
    expect(graph.requests).toHaveLength(2);
    await collect(pages);
    expect(graph.requests).toHaveLength(3);
  });

  test('the failure of a page is thrown after the page before it, and causes no unhandled rejection if that is the last one read', async () => {
    scriptGraph(page(link('a'), { id: one }), { status: 410 });
    const pages = pagesOf(openReader());
    expect((await pages.next()).value).toMatchObject({ page: { occurrences: [{ id: one }] } });
    await expect(pages.next()).rejects.toBeInstanceOf(DeadToken);

    scriptGraph(page(link('a')), { status: 410 });
    const left = pagesOf(openReader());
    await left.next();
    await left.return(undefined);
    await vi.waitFor(() => expect(allAnswered()).toBe(true));
  });

  test('rule 15: every link carries a token, and no first URL does', async () => {
    const unsupported: Scripted = { status: 400, body: { error: { code: 'Request_UnsupportedQuery' } } };
    scriptGraph(unsupported);
    expect((await expectedError(collect(pagesOf(openReader())))).code).toBe('delta_unsupported');
    scriptGraph(unsupported);
    await expect(collect(pagesOf(openReader(), deltaLink))).rejects.toBeInstanceOf(DeadToken);
    scriptGraph(page(link('a')), unsupported);
    await expect(collect(pagesOf(openReader()))).rejects.toBeInstanceOf(DeadToken);
  });

  test('rule 16: a malformed page is asked again, and others are not', async () => {
    const both = { ...(page(link('b')).body as object), '@odata.deltaLink': deltaLink };
    const graph = scriptGraph(page(link('a')), { body: both }, { body: { error: { code: 'x' } } }, last());
    await collect(pagesOf(openReader()));
    expect(graph.requests.map(({ url }) => url)).toEqual([firstUrl, link('a'), link('a'), link('a')]);
  });
});

type Item = { id: string; status: number; headers?: Record<string, unknown>; body?: unknown };

const found = (id: string, more: object = {}): Item => ({ id, status: 200, body: { id, mail: 'a@b', ...more } });
const batch = (...responses: unknown[]): Scripted => ({ method: 'POST', body: { responses } });
const read = (opened: Opened, ...wanted: string[]): Promise<Map<string, SingleObject>> =>
  readUsers(opened.reader, wanted, ['id', 'mail'], allProperties);

/** Returns the ids that each request asked for. */
const asked = (requests: readonly { body: unknown }[]) =>
  requests.map(({ body }) => (body as { requests: { id: string }[] }).requests.map((request) => request.id));

describe('single users, 20 per $batch', () => {
  test('one-way: only GETs with relative URLs, to the $batch endpoint', async () => {
    const graph = scriptGraph(batch(found(two), found(one)));
    await read(openReader(), one, two);
    expect(graph.requests).toMatchObject([{ method: 'POST', url: `${origin}/v1.0/$batch` }]);
    expect(graph.requests[0]?.body).toEqual({
      requests: [one, two].map((id) => ({ id, method: 'GET', url: `/users/${id}?$select=id,mail` })),
    });
  });

  test('45 take three requests, and each gets its answer in any order', async () => {
    const answers = [ids.slice(0, 20), ids.slice(20, 40), ids.slice(40)];
    const graph = scriptGraph(
      ...answers.map((part) => batch(...part.toReversed().map((id) => found(id, { city: id })))),
    );
    const users = await read(openReader(), ...ids);
    expect(asked(graph.requests)).toEqual(answers);
    expect([...users.keys()].sort()).toEqual(ids);
    for (const [id, user] of users) expect(user).toEqual({ id, patch: { mail: 'a@b', city: id } });
  });

  test('an empty list sends no request', async () => {
    const graph = scriptGraph();
    expect((await read(openReader())).size).toBe(0);
    expect(graph.requests).toEqual([]);
  });

  test('404 is gone', async () => {
    scriptGraph(batch(found(one), { id: two, status: 404, body: { error: { code: 'Request_ResourceNotFound' } } }));
    expect(await read(openReader(), one, two)).toEqual(
      new Map<string, unknown>([
        [one, { id: one, patch: { mail: 'a@b' } }],
        [two, 'not_found'],
      ]),
    );
  });

  test.each([429, 424, 500, 503])('rule 16: an item with %i is asked again, alone', async (status) => {
    const graph = scriptGraph(batch(found(one), { id: two, status }, found(three)), batch(found(two)));
    const { reader, ...opened } = openReader();
    expect([...(await read({ reader, ...opened }, one, two, three)).keys()].sort()).toEqual([one, two, three]);
    expect(asked(graph.requests)).toEqual([[one, two, three], [two]]);
    expect(opened.waits).toEqual([expect.objectContaining({ reason: `Graph answered ${status} inside a batch` })]);
  });

  test.each([
    ['the only one', [{ id: one, status: 429, headers: { 'Retry-After': '0.05' } }]],
    ['in lower case', [{ id: one, status: 429, headers: { 'retry-after': '0.05' } }]],
    ['a number', [{ id: one, status: 429, headers: { 'Retry-After': 0.05 } }]],
    [
      'the longest of several',
      [
        { id: one, status: 429, headers: { 'Retry-After': '0.01' } },
        { id: two, status: 503, headers: { 'Retry-After': '0.05' } },
        { id: three, status: 429, headers: { 'Retry-After': '0.02' } },
      ],
    ],
    [
      'beside one without',
      [
        { id: one, status: 429, headers: { 'Retry-After': '0.05' } },
        { id: two, status: 503 },
      ],
    ],
  ])('rule 16: Retry-After of items is obeyed: %s', async (_, items) => {
    const wanted = items.map((item) => item.id);
    scriptGraph(batch(...items), batch(...wanted.map((id) => found(id))));
    const opened = openReader();
    await read(opened, ...wanted);
    expect(opened.waits.map((wait) => wait.waitMs)).toEqual([50]);
  });

  test('rule 16: an item that stays throttled ends as throttled', async () => {
    scriptGraph(...Array(6).fill(batch({ id: one, status: 429 })));
    expect((await expectedError(read(openReader(), one))).code).toBe('graph_throttled');
    scriptGraph(batch({ id: one, status: 429, headers: { 'Retry-After': '3600' } }));
    expect((await expectedError(read(openReader(), one))).code).toBe('graph_throttled');
  });

  test('rule 16: only the missing answers of a $batch are asked for again', async () => {
    const graph = scriptGraph(batch(found(one)), batch(found(two)));
    expect((await read(openReader(), one, two)).size).toBe(2);
    expect(asked(graph.requests)).toEqual([[one, two], [two]]);
  });

  test.each<[string, Scripted]>([
    ['no object', { method: 'POST', body: 'null' }],
    ['no responses', { method: 'POST', body: {} }],
    ['responses that are not a list', { method: 'POST', body: { responses: {} } }],
    ['invalid items', batch(null, 7, 'x', [], { id: 5 })],
    ['an invalid status', batch({ id: one, status: 'x' })],
    ['no status', batch({ id: one })],
    ['HTML', { method: 'POST', body: '<html>' }],
  ])('rule 16: a $batch answer with %s is asked again', async (_, odd) => {
    scriptGraph(odd, batch(found(one)));
    expect((await read(openReader(), one)).size).toBe(1);
    expect(allAnswered()).toBe(true);
  });

  test('rule 16: 401 inside gets one new token', async () => {
    const graph = scriptGraph(batch({ id: one, status: 401 }), batch(found(one)));
    await read(openReader(), one);
    expect(graph.requests.map((request) => request.headers.authorization)).toEqual([
      'Bearer secret-access-token-1',
      'Bearer secret-access-token-2',
    ]);
    scriptGraph(...Array(2).fill(batch({ id: one, status: 401 })));
    expect((await expectedError(read(openReader(), one))).code).toBe('sign_in_failed');
  });

  test.each([400, 403, 405, 410, 302])(
    'rules 19 and 22: an item refused with %j is set aside, and stops neither the others nor the round',
    async (status) => {
      scriptGraph(batch(found(one), { id: two, status, body: { error: { code: 'X', message: 'Name of a person' } } }));
      const users = await read(openReader(), one, two);
      expect(users.get(one)).toEqual({ id: one, patch: { mail: 'a@b' } });
      expect(users.get(two)).toEqual({
        key: two,
        id: two,
        reason: expect.stringMatching(/^it cannot be read by itself/),
        unread: true,
      });
      expect(JSON.stringify(users.get(two))).not.toContain('person');
    },
  );

  test.each<[string, unknown, string]>([
    ['another object', { id: three, mail: 'a@b' }, 'Graph answered with another object'],
    ['a tombstone', { id: one, '@removed': { reason: 'deleted' } }, 'Graph answered with another object'],
    ['no object', null, 'it is not a JSON object'],
    ['a value of the wrong type', { id: one, mail: 7 }, 'mail is not of the type string'],
  ])('rule 19: %s in an answer is a problem of that user', async (_, body, reason) => {
    scriptGraph(batch({ id: one, status: 200, body }, found(two)));
    const users = await read(openReader(), one, two);
    expect(users.get(one)).toEqual({ key: one, id: one, reason });
    expect(users.get(two)).toMatchObject({ id: two });
  });

  test('an answer for an id that was not asked for is ignored, and so is a second one', async () => {
    scriptGraph(batch(found(three), found(one), { id: one, status: 404 }, found(two)), batch(found(two)));
    const users = await read(openReader(), one, two);
    expect([...users.keys()].sort()).toEqual([one, two]);
  });
});

describe('the count for the progress bar', () => {
  test('asks with ConsistencyLevel', async () => {
    const graph = scriptGraph({ body: '1234' });
    expect(await countObjects(openReader().reader, 'users')).toBe(1234);
    expect(graph.requests).toMatchObject([
      { url: `${origin}/v1.0/users/$count`, headers: { consistencylevel: 'eventual' } },
    ]);
  });

  test.each<[string, Scripted]>([
    ['a negative number', { body: '-1' }],
    ['an object', { body: { count: 5 } }],
    ['HTML', { body: '<html>' }],
    ['an error', { status: 400, body: '5' }],
    ['a broken connection', { breaks: 'ECONNRESET' }],
  ])('%s is not a count', async (_, answer) => {
    scriptGraph(answer);
    expect(await countObjects(openReader().reader, 'users')).toBeUndefined();
  });
});
