// The retry policy of one request: its retries and waits, and the final message (rules 15, 16).
import { afterEach, describe, expect, test, vi } from 'vitest';
import { example, exampleBody } from './graph-examples.ts';
import {
  allAnswered,
  closeGraph,
  expectedError,
  openReader,
  origin,
  type Scripted,
  scriptGraph,
} from './nock-graph.ts';

afterEach(() => {
  closeGraph();
  vi.useRealTimers();
});

const link = `${origin}/v1.0/users/delta?$skiptoken=secret-link`;
const firstUrl = `${origin}/v1.0/users/delta?$select=id`;
const parse = (body: unknown) => body as { ok: boolean } | { malformed: string };
const onLink = { carriedToken: true, parse };
const good: Scripted = { body: { ok: true } };
const many = (count: number, answer: Scripted): Scripted[] => Array(count).fill(answer);
const recorded = (file: string): Scripted => ({ status: example(file).status, body: exampleBody(file) as object });

describe('rule 16: retries', () => {
  test.each<[string, Scripted]>([
    ['408', { status: 408 }],
    ['429 without Retry-After', { status: 429 }],
    ['500', { status: 500, body: '' }],
    ['502 with HTML', { status: 502, body: '<html>Bad Gateway</html>' }],
    ['503', { status: 503 }],
    ['504', { status: 504 }],
    ['a broken connection', { breaks: 'ECONNRESET' }],
    ['no name server', { breaks: 'EAI_AGAIN' }],
    ['HTML with 200', { body: '<html>Sign in to the guest network</html>' }],
    ['a body cut off', { body: '{"value":[{"id":' }],
    ['a body that is not what was asked for', { body: { malformed: 'it is odd' } }],
  ])('%s: two failures are harmless, and each wait is reported', async (_, answer) => {
    const graph = scriptGraph(answer, answer, good);
    const { reader, waits } = openReader();
    await expect(reader.getJson(link, onLink)).resolves.toEqual({ ok: true });
    expect(waits.map((wait) => [wait.attempt, wait.retries])).toEqual([
      [1, 5],
      [2, 5],
    ]);
    expect(reader.requestCount()).toBe(3);
    expect([...new Set(graph.requests.map((request) => request.url))]).toEqual([link]);
    expect(allAnswered()).toBe(true);
  });

  test('a good answer is asked for once', async () => {
    scriptGraph(good);
    const { reader, waits } = openReader();
    await reader.getJson(link, onLink);
    expect({ waits, requests: reader.requestCount() }).toEqual({ waits: [], requests: 1 });
  });

  test.each<[string, Scripted, string, RegExp]>([
    ['5xx', { status: 503 }, 'graph_unavailable', /^Graph answered 503, repeatedly$/],
    ['429', { status: 429 }, 'graph_throttled', /429/],
    ['a broken connection', { breaks: 'ECONNREFUSED' }, 'graph_unavailable', /cannot be reached \(ECONNREFUSED\)/],
    ['HTML with 200', { body: '<html>' }, 'graph_answer_invalid', /not JSON, repeatedly$/],
    [
      'a malformed page',
      { body: { malformed: 'it is odd' } },
      'graph_answer_invalid',
      /200, but it is odd, repeatedly$/,
    ],
  ])('%s: the first try and as many retries as the policy allows, then an error', async (_, answer, code, message) => {
    scriptGraph(...many(4, answer), good);
    const { reader, waits } = openReader({ policy: { retries: 3 } });
    const error = await expectedError(reader.getJson(link, onLink));
    expect(error).toMatchObject({ code, message: expect.stringMatching(message), cure: expect.any(String) });
    expect({ waits: waits.length, requests: reader.requestCount() }).toEqual({ waits: 3, requests: 4 });
    expect(allAnswered()).toBe(false);
  });

  test('the waits grow', async () => {
    scriptGraph(...many(6, { status: 500 }));
    const { reader, waits } = openReader({ policy: { firstWaitMs: 4 } });
    await expectedError(reader.getJson(link, onLink));
    const bounds = waits.map((wait, index) => wait.waitMs >= 3 * 2 ** index && wait.waitMs <= 5 * 2 ** index);
    expect(bounds).toEqual([true, true, true, true, true]);
  });
});

describe('rule 16: Retry-After is obeyed', () => {
  test.each([
    ['0.050', 50],
    ['0.02', 20],
  ])('%s s: at least %i ms', async (header, ms) => {
    scriptGraph({ status: 429, headers: { 'retry-after': header } }, good);
    const { reader, waits } = openReader();
    await reader.getJson(link, onLink);
    expect(waits).toEqual([
      expect.objectContaining({ waitMs: ms, attempt: 1, reason: expect.stringContaining('429'), requestId: null }),
    ]);
  });

  test('a date is compared with the Date of the same answer, while our clock is an hour behind', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 0, 1, 11) });
    const headers = { date: 'Thu, 01 Jan 2026 12:00:00 GMT', 'retry-after': 'Thu, 01 Jan 2026 12:00:02 GMT' };
    scriptGraph({ status: 429, headers });
    const controller = new AbortController();
    const { reader, waits } = openReader({
      signal: controller.signal,
      onWait: () => controller.abort(new Error('seen enough')),
    });
    await expect(reader.getJson(link, onLink)).rejects.toThrow('seen enough');
    expect(waits[0]?.waitMs).toBe(2_000);
  });

  test.each([
    ['10', 429, 10_000],
    ['120', 503, 120_000],
    ['Thu, 01 Jan 2026 13:00:00 GMT', 429, 3_600_000],
  ])('%s, with %i, is %i ms', async (header, status, ms) => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 0, 1, 12) });
    scriptGraph({ status, headers: { 'retry-after': header } });
    const controller = new AbortController();
    const { reader, waits } = openReader({
      policy: { budgetMs: 7_200_000 },
      signal: controller.signal,
      onWait: () => controller.abort(new Error('seen enough')),
    });
    await expect(reader.getJson(link, onLink)).rejects.toThrow('seen enough');
    expect(waits.map((wait) => wait.waitMs)).toEqual([ms]);
  });

  test('an invalid value does not shorten the policy’s own wait', async () => {
    scriptGraph(
      { status: 429, headers: { 'retry-after': '-5' } },
      { status: 429, headers: { 'retry-after': 'x' } },
      good,
    );
    const { reader, waits } = openReader({ policy: { firstWaitMs: 4 } });
    await reader.getJson(link, onLink);
    expect(waits.map((wait) => wait.waitMs >= 3)).toEqual([true, true]);
  });

  test('the request id is in the wait and in the detail', async () => {
    scriptGraph(...many(2, { ...recorded('error-429-too-many-requests.json'), headers: { 'request-id': 'abc-1' } }));
    const { reader, waits } = openReader({ policy: { retries: 1 } });
    const error = await expectedError(reader.getJson(link, onLink));
    expect(waits.map((wait) => wait.requestId)).toEqual(['abc-1']);
    expect(error.detail).toContain('request-id abc-1');
  });
});

describe('rule 16: the budget', () => {
  test('a wait beyond it is an error at once', async () => {
    scriptGraph({ status: 429, headers: { 'retry-after': '3600' } });
    const { reader, waits } = openReader();
    const error = await expectedError(reader.getJson(link, onLink));
    expect(error).toMatchObject({ code: 'graph_throttled', cure: expect.stringContaining('later') });
    expect({ waits, requests: reader.requestCount() }).toEqual({ waits: [], requests: 1 });
  });

  test('is the sum of all waits of the cycle, not of one request', async () => {
    const slow: Scripted = { status: 503, headers: { 'retry-after': '0.04' } };
    scriptGraph(slow, good, slow, good, slow);
    const { reader, waits } = openReader({ policy: { budgetMs: 100 } });
    await reader.getJson(link, onLink);
    await reader.getJson(link, onLink);
    const error = await expectedError(reader.getJson(link, onLink));
    expect(error.code).toBe('graph_unavailable');
    expect(waits.map((wait) => wait.waitMs)).toEqual([40, 40]);
  });

  test('waits at the same time count once: the many requests of a listing are refused together', async () => {
    scriptGraph(...many(6, { status: 429, headers: { 'retry-after': '0.08' } }), ...many(6, good));
    const { reader, waits } = openReader({ policy: { budgetMs: 400 } });
    await Promise.all(Array.from({ length: 6 }, () => reader.getJson(link, onLink)));
    expect(waits.map((wait) => wait.waitMs)).toEqual([80, 80, 80, 80, 80, 80]);
  });
});

describe('rule 16: 401', () => {
  test('once: the same link is asked again with a new token, without a wait', async () => {
    const graph = scriptGraph({ status: 401 }, good);
    const { reader, waits } = openReader();
    await reader.getJson(link, onLink);
    expect(graph.requests.map((request) => [request.url, request.headers.authorization])).toEqual([
      [link, 'Bearer secret-access-token-1'],
      [link, 'Bearer secret-access-token-2'],
    ]);
    expect(waits).toEqual([]);
  });

  test('twice: the sign-in failed', async () => {
    scriptGraph(...many(2, { status: 401, headers: { 'request-id': 'abc-2' } }), good);
    const { reader, tokens } = openReader();
    const error = await expectedError(reader.getJson(link, onLink));
    expect(error).toMatchObject({ code: 'sign_in_failed', detail: expect.stringContaining('abc-2') });
    expect({ requests: reader.requestCount(), issued: tokens.issued }).toEqual({ requests: 2, issued: 2 });
  });

  test('once per page: a token that ages during a long round is renewed again', async () => {
    scriptGraph({ status: 401 }, good, { status: 401 }, good);
    const { reader, tokens } = openReader();
    await reader.getJson(link, onLink);
    await reader.getJson(link, onLink);
    expect(tokens.issued).toBe(3);
  });

  test('a retry for another cause does not renew the token again', async () => {
    scriptGraph({ status: 401 }, { status: 503 }, good);
    const { reader, tokens } = openReader();
    await reader.getJson(link, onLink);
    expect(tokens.issued).toBe(2);
  });
});

describe('rule 12: a signal', () => {
  test('ends a wait at once, with its own reason', async () => {
    scriptGraph({ status: 503 });
    const controller = new AbortController();
    const reason = new Error('stopped by a person');
    const { reader } = openReader({
      policy: { firstWaitMs: 3_600_000, budgetMs: 1e9 },
      signal: controller.signal,
      onWait: () => setImmediate(() => controller.abort(reason)),
    });
    await expect(reader.getJson(link, onLink)).rejects.toBe(reason);
    expect(reader.requestCount()).toBe(1);
  });

  test('ends the current request with its own reason, and no other is sent', async () => {
    scriptGraph({ delayMs: 60_000 }, good);
    const controller = new AbortController();
    const reason = new Error('lease lost');
    const { reader } = openReader({ signal: controller.signal });
    const work = reader.getJson(link, onLink);
    setImmediate(() => controller.abort(reason));
    await expect(work).rejects.toBe(reason);
    expect(reader.requestCount()).toBe(1);
  });

  test('that is already aborted lets no request be sent', async () => {
    const graph = scriptGraph(good);
    const { reader } = openReader({ signal: AbortSignal.abort(new Error('too late')) });
    await expect(reader.getJson(link, onLink)).rejects.toThrow('too late');
    expect(graph.requests).toEqual([]);
  });
});

describe('an optional request', () => {
  test.each<[string, Scripted]>([
    ['an error', { status: 503 }],
    ['a refusal', { status: 403 }],
    ['HTML', { body: '<html>' }],
    ['a broken connection', { breaks: 'ECONNRESET' }],
  ])('is sent once and returns undefined after %s', async (_, answer) => {
    scriptGraph(answer, good);
    const { reader, waits } = openReader();
    await expect(reader.tryJson(firstUrl, {})).resolves.toBeUndefined();
    expect({ waits, requests: reader.requestCount() }).toEqual({ waits: [], requests: 1 });
  });
});
