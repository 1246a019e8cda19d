// Failures that a retry cannot help: dead links and refusals, without a token in any error (rules 15, 18).
import { inspect } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { DeadToken } from '../../src/graph/reader.ts';
import { example, exampleBody } from './graph-examples.ts';
import { closeGraph, expectedError, openReader, origin, type Scripted, scriptGraph } from './nock-graph.ts';

afterEach(closeGraph);

const firstUrl = `${origin}/v1.0/users/delta?$select=id,signInActivity,mail`;
const link = `${origin}/v1.0/users/delta?$skiptoken=secret-link`;
const parse = (body: unknown) => body as { ok: boolean } | { malformed: string };
const onLink = { carriedToken: true, parse };
const good: Scripted = { body: { ok: true } };
const many = (count: number, answer: Scripted): Scripted[] => Array(count).fill(answer);
const recorded = (file: string): Scripted => ({ status: example(file).status, body: exampleBody(file) as object });

describe('rule 15: dead links', () => {
  test.each([
    'error-410-syncStateNotFound-outlook.json',
    'constructed-410-sync-reset-with-location.json',
    'error-400-expired-deltatoken-30-days.json',
  ])('%s means one at once, and Location is not followed', async (file) => {
    const location = `${origin}/v1.0/users/delta?$deltatoken=`;
    const graph = scriptGraph({ ...recorded(file), headers: { location, 'request-id': 'abc-3' } }, good);
    const { reader, waits } = openReader();
    const thrown = await reader.getJson(link, onLink).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(DeadToken);
    expect(thrown).toMatchObject({ requestId: 'abc-3' });
    expect(graph.requests.map((request) => request.url)).toEqual([link]);
    expect(waits).toEqual([]);
    expect(inspect(thrown)).not.toContain('secret-');
  });

  test('404 means one after a second try', async () => {
    const gone = recorded('error-404-nextLink-unknown-error.json');
    scriptGraph(gone, gone, good);
    const { reader, waits } = openReader();
    await expect(reader.getJson(link, onLink)).rejects.toBeInstanceOf(DeadToken);
    expect({ requests: reader.requestCount(), waits: waits.length }).toEqual({ requests: 2, waits: 1 });
  });

  test('404 does not if the second try succeeds', async () => {
    scriptGraph(recorded('error-404-nextLink-unknown-error.json'), good);
    await expect(openReader().reader.getJson(link, onLink)).resolves.toEqual({ ok: true });
  });

  test('404 means one even on the policy’s last try', async () => {
    scriptGraph({ status: 503 }, { status: 404 }, { status: 404 });
    const { reader } = openReader({ policy: { retries: 2 } });
    await expect(reader.getJson(link, onLink)).rejects.toBeInstanceOf(DeadToken);
  });
});

describe('a failure that a retry cannot change', () => {
  test.each<[string, Scripted, boolean, string, RegExp]>([
    ['403', recorded('error-403-authorization-request-denied.json'), false, 'permission_missing', /403/],
    ['403 on a link', recorded('error-403-authorization-request-denied.json'), true, 'permission_missing', /403/],
    [
      'a tenant without delta',
      recorded('error-400-delta-unsupported-tenant-b2c.json'),
      false,
      'delta_unsupported',
      /delta/,
    ],
    [
      'a refused property',
      recorded('error-400-delta-select-unsupported-signInActivity.json'),
      false,
      'property_refused',
      /: signInActivity$/,
    ],
    [
      '501',
      recorded('error-501-select-skills.json'),
      false,
      'property_refused',
      /^Graph refused the query \(Graph answered 501/,
    ],
    [
      '400 with HTML inside on a link',
      recorded('error-400-request-headers-too-long.json'),
      true,
      'graph_answer_invalid',
      /^Graph answered 400 unknownerror$/,
    ],
    ['404 at the first URL', { status: 404 }, false, 'graph_answer_invalid', /404/],
    [
      'a redirect',
      { status: 302, headers: { location: 'https://evil.example/' } },
      true,
      'graph_answer_invalid',
      /302/,
    ],
    ['an untrusted certificate', { breaks: 'SELF_SIGNED_CERT_IN_CHAIN' }, false, 'graph_unavailable', /certificate/],
  ])('%s', async (_, answer, carriedToken, code, message) => {
    const graph = scriptGraph(answer, good);
    const { reader, waits } = openReader();
    const error = await expectedError(reader.getJson(carriedToken ? link : firstUrl, { carriedToken, parse }));
    expect(error).toMatchObject({ code, message: expect.stringMatching(message), cure: expect.any(String) });
    expect({ waits, requests: reader.requestCount(), strays: graph.strays }).toEqual({
      waits: [],
      requests: 1,
      strays: [],
    });
  });

  test.each([400, 403, 404, 410, 429, 501, 503])(
    'rule 18: from Graph’s own message at %i only codes, ids and our own property names are kept',
    async (status) => {
      const message = 'Ann Smith <ann@contoso.example> cannot be read: skills, \'id\' of "Ann Smith"';
      const body = { error: { code: 'BadRequest', message, innerError: { code: 'Ann Smith' } } };
      scriptGraph({ status, body, headers: { 'request-id': 'abc-9' } }, { status, body });
      const { reader } = openReader({ policy: { retries: 0 } });
      const url = `${origin}/v1.0/users/delta?$select=id,displayName,skills`;
      const error = await reader.getJson(url, { carriedToken: false, parse }).catch((thrown: unknown) => thrown);
      expect(inspect(error, { depth: 20, showHidden: true })).not.toMatch(/Ann|Smith|contoso/i);
      if (status === 400) expect(String(error)).toContain('(Graph answered 400 badrequest): skills');
      if (status !== 410) expect((error as { detail?: string }).detail).toContain('request-id abc-9');
    },
  );

  test('rule 18: an invalid request id is not kept', async () => {
    scriptGraph({ status: 403, headers: { 'request-id': 'ann@contoso.example' } });
    const { detail } = await expectedError(openReader().reader.getJson(link, onLink));
    expect(detail).toBe('Graph answered 403');
  });

  test('a defect in the parser of the answer is neither hidden nor retried', async () => {
    scriptGraph(good, good);
    const { reader } = openReader();
    const defect = new TypeError('cannot read');
    const work = reader.getJson(link, {
      carriedToken: true,
      parse: () => {
        throw defect;
      },
    });
    await expect(work).rejects.toBe(defect);
    expect(reader.requestCount()).toBe(1);
  });
});

describe('rule 18: no token shows', () => {
  test.each<[string, Scripted[]]>([
    ['401', many(2, { status: 401 })],
    ['403', [{ status: 403 }]],
    ['400', [{ status: 400, body: { error: { code: 'x', message: 'y' } } }]],
    ['429', many(6, { status: 429 })],
    ['503', many(6, { status: 503, body: 'x' })],
    ['HTML', many(6, { body: '<html>' })],
    ['a broken connection', many(6, { breaks: 'ECONNRESET' })],
    ['an untrusted certificate', [{ breaks: 'CERT_HAS_EXPIRED' }]],
    ['410', [{ status: 410 }]],
  ])('in the error after %s, causes included', async (_, answers) => {
    scriptGraph(...answers);
    const { reader, waits } = openReader();
    const thrown = await reader.getJson(link, onLink).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(Error);
    expect(inspect([thrown, waits], { depth: 20, showHidden: true })).not.toMatch(/secret-|Bearer/);
  });
});
