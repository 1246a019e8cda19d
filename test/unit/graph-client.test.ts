// The HTTP edge: links used byte for byte, the token only for the configured origin, no redirect followed (rule 13).
import { inspect } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { openGraphClient } from '../../src/graph/client.ts';
import { RequestFailed } from '../../src/graph/request-failed.ts';
import { allAnswered, closeGraph, countingTokens, expectedError, origin, scriptGraph } from './nock-graph.ts';

afterEach(closeGraph);

const { signal } = new AbortController();

function open() {
  const tokens = countingTokens();
  return { tokens, client: openGraphClient({ origin, tokens }) };
}

describe('rule 13: links are used byte for byte', () => {
  test.each([
    '/v1.0/users/delta?$skiptoken=a+b',
    '/v1.0/users/delta?$skiptoken=a%2Bb%2bc',
    '/v1.0/users/delta?$deltatoken=abc==',
    '/v1.0/users/delta?$deltatoken=a%20b%00c&x=1&x=2&x=1',
    '/v1.0/users/delta?$select=id&$select=mail,id&$skiptoken=x',
    '/v1.0/users/delta?%24select=id&$top=1&$top=2',
    '/v1.0/users/delta?flag&=empty&a=&b',
    '/v1.0/users/delta()?$deltatoken=x',
    '/v1.0/users/microsoft.graph.delta()?$deltatoken=x',
    '/v1.0/users/microsoft.graph.delta?$deltatoken=x?y/z',
    '/beta/users/delta?$deltatoken=x',
    '/v1.0/tenants/a%2Fb/users/delta?$deltatoken=x',
    `/v1.0/users/delta?$skiptoken=${'x'.repeat(4_000)}`,
  ])('%s', async (path) => {
    const graph = scriptGraph({});
    await open().client.send(`${origin}${path}`, { signal });
    expect(graph.requests.map((request) => request.url)).toEqual([`${origin}${path}`]);
  });
});

// A URL parser is between us and the socket. RFC 3986 allows none of these in a link, so Graph should not send them.
// This is what would be asked if it did.
describe('rule 13: a link that is not a valid URI is asked with the same bytes, escaped', () => {
  test.each([
    ['a quote, in the query', "/v1.0/users/delta?$skiptoken=a'b", '/v1.0/users/delta?$skiptoken=a%27b'],
    ['a double quote', '/v1.0/users/delta?$skiptoken=a"b', '/v1.0/users/delta?$skiptoken=a%22b'],
    ['an angle bracket', '/v1.0/users/delta?$skiptoken=a<b>', '/v1.0/users/delta?$skiptoken=a%3Cb%3E'],
    ['a letter beyond ASCII', '/v1.0/users/delta?$skiptoken=Ü', '/v1.0/users/delta?$skiptoken=%C3%9C'],
    ['a blank inside', '/v1.0/users/delta?$skiptoken=a b', '/v1.0/users/delta?$skiptoken=a%20b'],
    ['dots between slashes', '/v1.0/./users/x/../delta?$skiptoken=x', '/v1.0/users/delta?$skiptoken=x'],
    ['a fragment', '/v1.0/users/delta?$skiptoken=x#y', '/v1.0/users/delta?$skiptoken=x'],
    ['a backslash in the path', '/v1.0\\users/delta?$skiptoken=x', '/v1.0/users/delta?$skiptoken=x'],
  ])('%s', async (_, link, asked) => {
    const graph = scriptGraph({});
    await open().client.send(`${origin}${link}`, { signal });
    expect(graph.requests.map((request) => request.url)).toEqual([`${origin}${asked}`]);
  });

  test('every other character that a link may hold is unchanged', async () => {
    const allowed = 'ABCXYZabcxyz0189-._~!$&()*+,;=:@/?%41%7e%C3%9c[]|^`{}\\';
    const graph = scriptGraph({});
    await open().client.send(`${origin}/v1.0/users/delta?$skiptoken=${allowed}`, { signal });
    expect(graph.requests.map((request) => request.url)).toEqual([`${origin}/v1.0/users/delta?$skiptoken=${allowed}`]);
  });
});

describe('rule 13: the bearer token goes only to the configured Graph origin', () => {
  test('it is sent there, and a renewed one after a refusal', async () => {
    const graph = scriptGraph({}, {});
    const { client, tokens } = open();
    await client.send(`${origin}/v1.0/users`, { signal });
    await client.send(`${origin}/v1.0/users`, { signal, renewToken: true });
    expect(graph.requests.map((request) => request.headers.authorization)).toEqual([
      'Bearer secret-access-token-1',
      'Bearer secret-access-token-2',
    ]);
    expect(tokens.issued).toBe(2);
  });

  test.each([
    'https://graph.microsoft.com.evil.example/v1.0/users/delta?$skiptoken=x',
    'https://evil.example/graph.microsoft.com/v1.0/users/delta?$skiptoken=x',
    'https://graph.microsoft.com@evil.example/v1.0/users/delta',
    'https://user:password@graph.microsoft.com/v1.0/users/delta',
    'https://graph.microsoft.com:8443/v1.0/users/delta',
    'https://graph.microsoft.us/v1.0/users/delta',
    'http://graph.microsoft.com/v1.0/users/delta',
    'https://graph.microsoft.com%2eevil.example/',
    'ftp://graph.microsoft.com/v1.0/users/delta',
    'data:application/json,{}',
    '//evil.example/v1.0/users/delta',
    '/v1.0/users/delta?$skiptoken=x',
    'https://',
    '',
  ])('nothing is sent to %j', async (url) => {
    const graph = scriptGraph({});
    const { client } = open();
    const error = await expectedError(client.send(url, { signal }));
    expect(error.code).toBe('foreign_link');
    expect({ requests: graph.requests, strays: graph.strays }).toEqual({ requests: [], strays: [] });
    expect(allAnswered()).toBe(false);
  });

  test.each([
    [
      'https://anna:s3cret@graph.microsoft.com/v1.0/users',
      'with a user name and password in it, to https://graph.microsoft.com,',
    ],
    ['https://anna@graph.microsoft.com/v1.0/users', 'with a user name in it, to https://graph.microsoft.com,'],
    ['https://anna@evil.example/v1.0/users', 'with a user name in it, to https://evil.example,'],
    ['http://graph.microsoft.com/v1.0/users', 'to http://graph.microsoft.com'],
    ['graph', 'that is no valid address'],
  ])('the refusal of %j says what is wrong with it', async (url, what) => {
    scriptGraph({});
    const { message } = await expectedError(open().client.send(url, { signal }));
    expect(message).toBe(`Graph answered with a link ${what} instead of ${origin}; it was not followed`);
    expect(message).not.toMatch(/anna|s3cret/);
  });

  test('it is not sent to the target of a redirect, which is an answer like any other', async () => {
    const graph = scriptGraph({ status: 302, headers: { location: 'https://evil.example/v1.0/users/delta' } });
    const answer = await open().client.send(`${origin}/v1.0/users/delta`, { signal });
    expect(answer.status).toBe(302);
    expect(graph.requests).toHaveLength(1);
    expect(graph.strays).toEqual([]);
  });
});

describe('one-way: a request', () => {
  test('is GET, or a POST of the given `$batch`', async () => {
    const graph = scriptGraph({}, { method: 'POST' });
    const { client } = open();
    await client.send(`${origin}/v1.0/users`, { signal, headers: { ConsistencyLevel: 'eventual' } });
    await client.send(`${origin}/v1.0/$batch`, { signal, batch: { requests: [] } });
    expect(graph.requests).toMatchObject([
      {
        method: 'GET',
        url: `${origin}/v1.0/users`,
        headers: { consistencylevel: 'eventual', accept: 'application/json' },
      },
      { method: 'POST', url: `${origin}/v1.0/$batch`, body: { requests: [] } },
    ]);
  });
});

describe('faults', () => {
  test.each([400, 401, 404, 410, 429, 500, 503])('%i is an answer, with its headers and its body', async (status) => {
    scriptGraph({ status, headers: { 'retry-after': '7' }, body: '<html>' });
    const answer = await open().client.send(`${origin}/v1.0/users`, { signal });
    expect({ status: answer.status, text: answer.text }).toEqual({ status, text: '<html>' });
    expect(answer.headers.get('Retry-After')).toBe('7');
  });

  test.each(['ECONNRESET', 'ENOTFOUND', 'SELF_SIGNED_CERT_IN_CHAIN'])(
    '%s is a network fault by its code',
    async (code) => {
      scriptGraph({ breaks: code });
      const error = await open()
        .client.send(`${origin}/v1.0/users?$skiptoken=secret-link`, { signal })
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(RequestFailed);
      expect(error).toMatchObject({ failure: { kind: 'network', code } });
      expect(inspect(error, { depth: 20 })).not.toContain('secret-');
    },
  );

  test('the error of a failed sign-in is thrown unchanged, and nothing is sent', async () => {
    const graph = scriptGraph({});
    const refused = new Error('no token');
    const client = openGraphClient({
      origin,
      tokens: { token: () => Promise.reject(refused), access: () => undefined },
    });
    await expect(client.send(`${origin}/v1.0/users`, { signal })).rejects.toBe(refused);
    expect(graph.requests).toEqual([]);
  });

  test.each([
    ['a reason of its own', new Error('stopped by a person')],
    // Its message is that of a broken connection, which would be retried.
    ['no reason', undefined],
  ])('rule 12: a signal with %s ends the current request, which throws the signal’s reason', async (_, given) => {
    scriptGraph({ delayMs: 60_000 });
    const controller = new AbortController();
    const sent = open().client.send(`${origin}/v1.0/users`, { signal: controller.signal });
    controller.abort(given);
    const { reason } = controller.signal;
    expect(reason).toBeInstanceOf(Error);
    await expect(sent).rejects.toBe(reason);
  });

  test('an answer after a fault is returned, without the fault before it', async () => {
    scriptGraph({ breaks: 'ECONNRESET' }, { body: { a: 1 } });
    const { client } = open();
    await expect(client.send(`${origin}/v1.0/users`, { signal })).rejects.toBeInstanceOf(RequestFailed);
    expect((await client.send(`${origin}/v1.0/users`, { signal })).text).toBe('{"a":1}');
  });
});
