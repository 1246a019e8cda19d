// The forms of the proxy variables: each is accepted, or refused in one line that holds no part of a password.
import { describe, expect, test } from 'vitest';
import { describeDefect } from '../../src/errors.ts';
import { networkCode } from '../../src/graph/network-code.ts';
import { isProxyRefusal, proxyRefused } from '../../src/graph/proxy-refused.ts';
import { namesProxy, useProxyOf } from '../../src/proxy.ts';
import { readProxies } from '../../src/rules/proxies.ts';
import { expectedError } from './nock-graph.ts';

describe('the address of a proxy', () => {
  test.each([
    ['http://127.0.0.1:8888', 'http://127.0.0.1:8888/'],
    ['HTTP://Proxy.Example:8888/', 'http://proxy.example:8888/'],
    [' http://proxy.example:8888\n', 'http://proxy.example:8888/'],
    ['http://proxy.example', 'http://proxy.example/'],
    ['http://[::1]:8888', 'http://[::1]:8888/'],
    ['https://proxy.example:8443', 'https://proxy.example:8443/'],
    ['127.0.0.1:8888', 'http://127.0.0.1:8888/'],
    ['localhost:8888', 'http://localhost:8888/'],
    ['proxy.example', 'http://proxy.example/'],
    ['clerk:secret@proxy.example:8888', 'http://clerk:secret@proxy.example:8888/'],
    ['http://clerk@proxy.example:8888', 'http://clerk@proxy.example:8888/'],
    ['http://clerk:sec ret@proxy.example:8888', 'http://clerk:sec%20ret@proxy.example:8888/'],
    ['http://clerk:sec%20ret@proxy.example:8888', 'http://clerk:sec%20ret@proxy.example:8888/'],
    ['http://clerk:s@cret@proxy.example:8888', 'http://clerk:s%40cret@proxy.example:8888/'],
    ['http://clerk:%2F%23%3F%25@proxy.example:8888', 'http://clerk:%2F%23%3F%25@proxy.example:8888/'],
  ])('%j is accepted', (text, url) => {
    expect(readProxies({ HTTPS_PROXY: text })).toMatchObject({ https: { variable: 'HTTPS_PROXY', url } });
  });

  const http = 'is not the address of an HTTP proxy';

  test.each([
    ['socks5://clerk:secret@127.0.0.1:1080', 'names a SOCKS proxy, and only HTTP proxies are supported'],
    ['SOCKS4A://127.0.0.1:1080', 'names a SOCKS proxy, and only HTTP proxies are supported'],
    ['ftp://clerk:secret@proxy.example', http],
    ['http://', http],
    ['http://:8888', http],
    ['http://clerk:secret@', http],
    ['http://proxy.example:99999', http],
    ['http:proxy.example:8888', http],
    ['http://proxy.example:8888/path', http],
    ['http://proxy.example:8888?secret', http],
    ['http://one.example:1,http://two.example:2', http],
    ['"http://proxy.example:8888"', http],
    ['http://clerk:12/secret@proxy.example:8888', http],
    ['http://clerk:12#secret@proxy.example:8888', http],
    ['http://clerk:12?secret@proxy.example:8888', http],
    ['http://clerk:100%secret@proxy.example:8888', http],
    ['clerk:first secret/@proxy.example:8888', http],
  ])('rule 18: %j is refused in one line without its password', async (text, problem) => {
    for (const variable of ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy']) {
      const told = readProxies({ [variable]: text });
      expect(told).toEqual({ variable, problem, cure: expect.stringContaining('http://user:password@host:port') });
      expect(JSON.stringify(told)).not.toMatch(/secret|first|clerk|12/);
      expect(await expectedError(useProxyOf({ variables: { [variable]: text } }))).toMatchObject({
        code: 'usage',
        message: `${variable} ${problem}`,
      });
    }
  });

  test('the first of these that is not empty is used for Graph: https_proxy, HTTPS_PROXY, ALL_PROXY, HTTP_PROXY', () => {
    const names = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY', 'http_proxy', 'HTTP_PROXY'];
    for (const [index, name] of names.entries()) {
      const variables = Object.fromEntries(names.map((one, at) => [one, at < index ? ' ' : `http://${at}.example`]));
      expect(readProxies(variables)).toMatchObject({ https: { variable: name, url: `http://${index}.example/` } });
      expect(namesProxy(variables)).toBe(true);
    }
    expect(readProxies({})).toEqual({ https: undefined, http: undefined, noProxy: '' });
    expect(namesProxy({ NO_PROXY: '*' })).toBe(false);
  });

  test('ALL_PROXY is judged only where it is used; HTTP_PROXY always, because http:// hosts use it', () => {
    const variables = { HTTPS_PROXY: 'http://one.example', ALL_PROXY: 'socks5://127.0.0.1:1080' };
    expect(readProxies(variables)).toMatchObject({ https: { variable: 'HTTPS_PROXY' }, http: undefined });
    expect(readProxies({ ...variables, HTTP_PROXY: 'socks5://127.0.0.1:1080' })).toMatchObject({
      variable: 'HTTP_PROXY',
    });
  });

  test.each([
    [{}, ''],
    [{ NO_PROXY: 'graph.example,.example' }, 'graph.example,.example'],
    [{ no_proxy: 'one.example', NO_PROXY: 'two.example' }, 'one.example'],
    [{ NO_PROXY: '*' }, '*'],
    [{ NO_PROXY: 'localhost, *' }, '*'],
  ])('NO_PROXY of %j is %j', (variables, noProxy) => {
    expect(readProxies(variables)).toMatchObject({ noProxy });
  });
});

describe('a proxy that does not connect', () => {
  const ofFetch = (status: number) =>
    new TypeError('fetch failed', {
      cause: new Error('Request was cancelled.', {
        cause: Object.assign(new Error(`Proxy response (${status}) !== 200 when HTTP Tunneling`), {
          code: 'UND_ERR_ABORTED',
        }),
      }),
    });

  test.each([
    [
      407,
      /^the proxy asks for a user and a password, or refuses those it got \(407\)$/,
      /HTTPS_PROXY, percent-encoded/,
    ],
    [
      401,
      /^the proxy asks for a user and a password, or refuses those it got \(401\)$/,
      /HTTPS_PROXY, percent-encoded/,
    ],
    [403, /^the proxy refuses to connect \(403\)$/, /allow CONNECT/],
    [405, /^the proxy refuses to connect \(405\)$/, /allow CONNECT/],
  ])('rule 16: %i is a refusal with its cure, and is not asked again', (status, message, cure) => {
    const code = networkCode(ofFetch(status));
    expect(code).toBe(`PROXY_${status}`);
    expect(isProxyRefusal(`PROXY_${status}`)).toBe(true);
    const error = proxyRefused(`PROXY_${status}`);
    expect([error.code, error.message, error.cure]).toEqual([
      'proxy_refused',
      expect.stringMatching(message),
      expect.stringMatching(cure),
    ]);
  });

  test.each([408, 429, 500, 502, 503, 504])('rule 16: %i is weather', (status) => {
    expect(networkCode(ofFetch(status))).toBe(`PROXY_${status}`);
    expect(isProxyRefusal(`PROXY_${status}`)).toBe(false);
  });

  test('other faults keep their codes', () => {
    expect(isProxyRefusal('ECONNREFUSED')).toBe(false);
    expect(isProxyRefusal('CERT_HAS_EXPIRED')).toBe(false);
  });
});

test.each([
  'clerk:first second@proxy.example:8888',
  'http://clerk:first second@proxy.example:8888',
  'cannot use http://clerk:first second/@third@proxy.example:8888 today',
])('rule 18: a defect that quotes %j shows no word of the password', (message) => {
  const [line] = describeDefect(new TypeError(message)).split('\n');
  expect(line).not.toMatch(/clerk|first|second|third/);
});
