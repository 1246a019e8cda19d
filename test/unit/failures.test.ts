// The failure table, row by row and for the recorded error bodies (rules 15 and 16); Retry-After; codes of odd bodies.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { packageFile } from '../../src/package-files.ts';
import {
  errorCodes,
  type Failure,
  failureTable,
  judgeFailure,
  namedProperties,
  retryAfterMs,
  type Verdict,
} from '../../src/rules/failures.ts';
import { example, exampleBody, graphExamples } from './graph-examples.ts';

const answer = (status: number, carriedToken: boolean, ...codes: string[]): Failure => ({
  kind: 'answer',
  status,
  codes: codes.map((code) => code.toLowerCase()),
  carriedToken,
});
const retry: Verdict = { act: 'retry', throttled: false };
const dead: Verdict = { act: 'dead_token', afterOneRetry: false };
const stop = (why: Extract<Verdict, { act: 'stop' }>['why']): Verdict => ({ act: 'stop', why });

describe('rules 15 and 16: the failure table', () => {
  test.each<[string, Failure, Verdict]>([
    ['a page that does not parse', { kind: 'malformed' }, retry],
    ['a broken connection', { kind: 'network', code: 'ECONNRESET' }, retry],
    ['no name server', { kind: 'network', code: 'EAI_AGAIN' }, retry],
    ['a time-out', { kind: 'network', code: 'TIMEOUT' }, retry],
    ['a fault without a name', { kind: 'network', code: 'BROKEN_CONNECTION' }, retry],
    ['throttling', answer(429, false), { act: 'retry', throttled: true }],
    ['throttling of a link', answer(429, true, 'TooManyRequests'), { act: 'retry', throttled: true }],
    ['an access token that is refused', answer(401, false), { act: 'new_access_token' }],
    [
      'an access token that is refused on a link',
      answer(401, true, 'InvalidAuthenticationToken'),
      { act: 'new_access_token' },
    ],
    ['a missing permission', answer(403, false), stop('permission')],
    ['a missing permission on a link', answer(403, true, 'Authorization_RequestDenied'), stop('permission')],
    ['410', answer(410, true), dead],
    ['410 at the first URL', answer(410, false), dead],
    ['404 on a link', answer(404, true), { act: 'dead_token', afterOneRetry: true }],
    ['404 at the first URL', answer(404, false), stop('unexpected')],
    ['a tenant without delta', answer(400, false, 'Request_UnsupportedQuery'), stop('delta_unsupported')],
    ['a dead token code if no token was sent', answer(400, false, 'syncStateNotFound'), stop('unexpected')],
    ['a refused property', answer(400, false, 'BadRequest'), stop('query_refused')],
    ['400 without a code at the first URL', answer(400, false), stop('query_refused')],
    ['400 with an unknown code on a link', answer(400, true, 'UnknownError'), stop('unexpected')],
    ['400 without a code on a link', answer(400, true), stop('unexpected')],
    ['501', answer(501, false), stop('query_refused')],
    ['a redirect', answer(302, true), stop('unexpected')],
    ['an empty success', answer(204, false), stop('unexpected')],
    ['a method that is not allowed', answer(405, false), stop('unexpected')],
    ['a code of a dead token with another status', answer(409, true, 'resyncRequired'), stop('unexpected')],
  ])('%s', (_, failure, verdict) => {
    expect(judgeFailure(failure)).toEqual(verdict);
  });

  test.each([408, 423, 500, 502, 503, 504, 509])('%i is retried, with and without a token', (status) => {
    expect(judgeFailure(answer(status, true, 'resyncRequired'))).toEqual(retry);
    expect(judgeFailure(answer(status, false))).toEqual(retry);
  });

  test.each([
    'CERT_HAS_EXPIRED',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'UNABLE_TO_GET_ISSUER_CERT',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'CERT_NOT_YET_VALID',
  ])('%s is not retried', (code) => {
    expect(judgeFailure({ kind: 'network', code })).toEqual(stop('certificate'));
  });

  test.each(failureTable.map((row, index) => ({ ...row, index })))(
    '$what: the row is reached, and its sources are named in docs/graph.md',
    (row) => {
      const samples: Failure[] = row.kinds.flatMap((kind): Failure[] => {
        if (kind === 'malformed' || kind === 'too_large') return [{ kind }];
        if (kind !== 'answer') return (row.codes ?? ['ECONNRESET']).map((code) => ({ kind, code }));
        return (row.statuses ?? [418]).flatMap((status) =>
          (row.codes ?? ['odd']).map((code) => ({ kind, status, codes: [code], carriedToken: row.at === 'link' })),
        );
      });
      const reached = samples.filter((failure) => judgeFailure(failure) === row.verdict);
      // An earlier row may fit a code.
      expect(reached.length).toBeGreaterThanOrEqual(samples.length - 1);
      const documented = readFileSync(packageFile('docs', 'graph.md'), 'utf8');
      for (const source of row.sources)
        expect(documented, source).toContain(source.replace('inferred', 'inferred by us'));
    },
  );

  test('rule 18: from an error body only names that were asked for are kept', () => {
    const body = { error: { message: 'Ann Smith: skills, mail and aboutMe' } };
    expect(namedProperties(body, ['id', 'mail', 'skills', 'city'])).toEqual(['mail', 'skills']);
    expect(namedProperties({ error: { message: 7 } }, ['mail'])).toEqual([]);
    fc.assert(fc.property(fc.jsonValue(), (odd) => void namedProperties({ error: odd }, ['mail'])));
  });

  const deadCodes = [
    'syncStateNotFound',
    'syncStateInvalid',
    'resyncRequired',
    'Request_UnsupportedQuery',
    'Directory_ExpiredPageToken',
  ];

  test('rule 15: a 400 with a dead token code, in any case, means a dead token only if a token was sent', () => {
    fc.assert(
      fc.property(fc.mixedCase(fc.constantFrom(...deadCodes)), fc.boolean(), (code, inner) => {
        const body = inner ? { error: { code: 'BadRequest', innerError: { code } } } : { error: { code } };
        const codes = errorCodes(body);
        expect(judgeFailure({ kind: 'answer', status: 400, codes, carriedToken: true })).toEqual(dead);
        expect(judgeFailure({ kind: 'answer', status: 400, codes, carriedToken: false }).act).toBe('stop');
      }),
    );
  });

  test('every status has a verdict, and none is a success', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 599 }), fc.boolean(), fc.array(fc.string()), (status, token, codes) => {
        const { act } = judgeFailure(answer(status, token, ...codes));
        expect(['retry', 'new_access_token', 'dead_token', 'stop']).toContain(act);
        // Only a 410 may mean a dead first URL; the engine limits how often.
        if (act === 'dead_token' && !token) expect(status).toBe(410);
      }),
    );
  });
});

describe('the recorded errors', () => {
  const table: [string, boolean, Verdict][] = [
    ['error-429-too-many-requests.json', true, { act: 'retry', throttled: true }],
    ['error-501-select-skills.json', false, stop('query_refused')],
    ['error-400-delta-select-unsupported-signInActivity.json', false, stop('query_refused')],
    ['error-400-delta-select-unsupported-birthday.json', false, stop('query_refused')],
    ['error-400-expired-deltatoken-30-days.json', true, dead],
    ['error-410-syncStateNotFound-outlook.json', true, dead],
    ['error-404-nextLink-unknown-error.json', true, { act: 'dead_token', afterOneRetry: true }],
    ['error-400-request-headers-too-long.json', true, stop('unexpected')],
    ['error-403-authorization-request-denied.json', false, stop('permission')],
    ['error-400-count-needs-consistency-level.json', false, stop('query_refused')],
    ['error-400-delta-unsupported-tenant-b2c.json', false, stop('delta_unsupported')],
    ['constructed-410-sync-reset-with-location.json', true, dead],
  ];

  test.each(table)('%s', (file, carriedToken, verdict) => {
    const codes = errorCodes(exampleBody(file));
    expect(codes.length).toBeGreaterThan(0);
    expect(judgeFailure({ kind: 'answer', status: example(file).status, codes, carriedToken })).toEqual(verdict);
  });

  test('every recorded error is tested', () => {
    const files = graphExamples.map((one) => one.file).filter((file) => file.startsWith('error-'));
    expect(files.length).toBeGreaterThanOrEqual(11);
    expect(files.filter((file) => !table.some(([one]) => one === file))).toEqual([]);
  });

  test('the 429 asks for ten seconds', () => {
    expect(retryAfterMs(example('error-429-too-many-requests.json').headers['Retry-After'] ?? null, null, 0)).toBe(
      10_000,
    );
  });
});

describe('rule 16: Retry-After', () => {
  const now = Date.UTC(2026, 0, 1, 12, 0, 0);

  test.each([
    ['10', 10_000],
    ['0', 0],
    [' 10 ', 10_000],
    ['2.128', 2_128],
    ['0.0001', 1],
    ['Thu, 01 Jan 2026 12:00:30 GMT', 30_000],
    ['Thursday, 01-Jan-26 12:00:30 GMT', 30_000],
    ['Thu, 01 Jan 2026 11:00:00 GMT', 0],
  ])('%j is %i ms', (header, expected) => {
    expect(retryAfterMs(header, null, now)).toBe(expected);
  });

  test.each([
    null,
    '',
    '  ',
    'soon',
    '-1',
    '-0.5',
    'NaN',
    'Infinity',
    '-Infinity',
    '0x10',
    '1e3',
    '1,5',
    '10 s',
    'in 2099',
  ])('%j is unreadable', (header) => {
    expect(retryAfterMs(header, null, now)).toBeUndefined();
  });

  test.each([
    ['Thu, 01 Jan 2026 12:00:02 GMT', 'Thu, 01 Jan 2026 12:00:00 GMT', 2_000],
    // Both dates are Graph's, with our clock an hour behind or ahead.
    ['Thu, 01 Jan 2026 13:00:02 GMT', 'Thu, 01 Jan 2026 13:00:00 GMT', 2_000],
    ['Thu, 01 Jan 2026 11:00:02 GMT', 'Thu, 01 Jan 2026 11:00:00 GMT', 2_000],
    ['Thu, 01 Jan 2026 11:00:02 GMT', 'Thu, 01 Jan 2026 11:00:05 GMT', 0],
    ['Thu, 01 Jan 2026 12:00:30 GMT', 'yesterday', 30_000],
    ['10', 'Thu, 01 Jan 2026 11:00:00 GMT', 10_000],
  ])('%j in an answer of %j is %i ms', (header, answered, expected) => {
    expect(retryAfterMs(header, answered, now)).toBe(expected);
  });

  test('more seconds than a number holds exceed any budget', () => {
    expect(retryAfterMs('9'.repeat(400), null, now)).toBeGreaterThan(1e12);
  });

  test('is never negative, NaN or shorter than asked', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.double().map(String),
          fc.date().map((date) => date.toString()),
        ),
        (header) => {
          const wait = retryAfterMs(header, null, now);
          if (wait !== undefined) expect(wait).toBeGreaterThanOrEqual(0);
        },
      ),
    );
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e6, noNaN: true }), (seconds) => {
        expect(retryAfterMs(seconds.toFixed(6), null, now)).toBeGreaterThanOrEqual(Number(seconds.toFixed(6)) * 1000);
      }),
    );
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date('2099-12-31'), noInvalidDate: true }), (date) => {
        const whole = Math.floor(date.getTime() / 1000) * 1000;
        expect(retryAfterMs(date.toUTCString(), null, now)).toBe(Math.max(0, whole - now));
      }),
    );
  });
});

describe('error codes', () => {
  test('come from every level, the most specific last, for both spellings of innerError', () => {
    const body = { error: { code: 'A', innerError: { code: 'B', innererror: { code: 'C' } } } };
    expect(errorCodes(body)).toEqual(['a', 'b', 'c']);
  });

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', '<html>'],
    ['a list', []],
    ['an error that is a text', { error: 'invalid_scope' }],
    ['an error that is null', { error: null }],
    ['an empty code', { error: { code: '' } }],
    ['a code that is a number', { error: { code: 429 } }],
    ['a code that is a list', { error: { code: ['syncStateNotFound'] } }],
  ])('%s has none', (_, body) => {
    expect(errorCodes(body)).toEqual([]);
  });

  test('never throw, even for an endlessly nested body', () => {
    fc.assert(fc.property(fc.jsonValue(), (body) => void errorCodes({ error: body })));
    const endless: { code: string; innerError?: unknown } = { code: 'x' };
    endless.innerError = endless;
    expect(errorCodes({ error: endless }).length).toBeLessThan(10);
  });
});
