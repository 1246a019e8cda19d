// Tokens: one that could write is refused before it is used, and a refused sign-in has a cure.
import { inspect } from 'node:util';
import nock from 'nock';
import { afterEach, describe, expect, test } from 'vitest';
import { ExpectedError } from '../../src/errors.ts';
import { openTokenSource, type TokenSource } from '../../src/graph/credential.ts';
import { exampleBody } from './graph-examples.ts';
import { closeGraph, expectedError } from './nock-graph.ts';

afterEach(closeGraph);

const authority = 'https://login.example';
const tenantId = '605d1257-ffff-40b6-8e6f-528a53f5dc55';
const secret = 'secret-of-the-application';

/** Answers each token request with the next of `answers`; `asked` holds the forms that were sent. */
function scriptSignIn(...answers: { status?: number; body: object }[]): { asked: URLSearchParams[]; strays: string[] } {
  const asked: URLSearchParams[] = [];
  const strays: string[] = [];
  nock.disableNetConnect();
  nock.emitter.on('no match', (request: { options?: { host?: string } }) =>
    strays.push(String(request?.options?.host)),
  );
  nock(authority)
    .persist()
    .get(`/${tenantId}/v2.0/.well-known/openid-configuration`)
    .query(true)
    .reply(200, {
      issuer: `${authority}/${tenantId}/v2.0`,
      authorization_endpoint: `${authority}/${tenantId}/oauth2/v2.0/authorize`,
      token_endpoint: `${authority}/${tenantId}/oauth2/v2.0/token`,
      jwks_uri: `${authority}/${tenantId}/discovery/v2.0/keys`,
    });
  for (const { status = 200, body } of answers) {
    nock(authority)
      .post(`/${tenantId}/oauth2/v2.0/token`)
      .query(true)
      .reply(status, (_, sent) => {
        asked.push(new URLSearchParams(String(sent)));
        return body;
      });
  }
  return { asked, strays };
}

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');

function issued(claims: object, expiresIn = 3599): { body: object } {
  const token = `${encode({ alg: 'none' })}.${encode(claims)}.secret-signature`;
  return { body: { token_type: 'Bearer', expires_in: expiresIn, access_token: token } };
}

function open(allowRoles: string[] = [], secretNow: () => string = () => secret): TokenSource {
  return openTokenSource({
    tenantId,
    credential: () => ({
      kind: 'secret',
      clientId: 'the-application',
      holder: 'AZURE_CLIENT_SECRET',
      secret: secretNow(),
    }),
    cloud: {
      graphOrigin: 'https://graph.microsoft.com',
      authorityHost: authority,
      exchangeAudience: 'api://AzureADTokenExchange',
      knownAuthority: false,
    },
    allowRoles,
  });
}

describe('the token source', () => {
  test('refuses a token to the second caller too', async () => {
    scriptSignIn(issued({ roles: ['Mail.Send'] }), issued({ roles: ['Mail.Send'] }));
    const source = open();
    expect((await expectedError(source.token())).code).toBe('role_refused');
    expect((await expectedError(source.token())).code).toBe('role_refused');
  });

  test('asks only the customer’s tenant, for the Graph of the cloud', async () => {
    const { asked, strays } = scriptSignIn(issued({ roles: ['User.Read.All'] }));
    const token = await open().token();
    expect(token).toContain('secret-signature');
    expect(asked.map((form) => [form.get('grant_type'), form.get('client_id'), form.get('scope')])).toEqual([
      ['client_credentials', 'the-application', 'https://graph.microsoft.com/.default'],
    ]);
    expect(strays).toEqual([]);
  });

  test('keeps a token, and gets another if that one is refused', async () => {
    const { asked } = scriptSignIn(
      issued({ roles: ['User.Read.All'], number: 1 }),
      issued({ roles: ['User.Read.All'], number: 2 }),
    );
    const tokens = open();
    const first = await tokens.token();
    expect(await tokens.token()).toBe(first);
    expect(asked).toHaveLength(1);
    expect(await tokens.token({ renew: true })).not.toBe(first);
    expect(asked).toHaveLength(2);
  });

  test('reads the secret for every new token, and only then', async () => {
    const roles = { roles: ['User.Read.All'] };
    const { asked } = scriptSignIn(issued(roles), issued(roles, 60), issued(roles));
    let reads = 0;
    const tokens = open([], () => `secret ${++reads}`);
    await tokens.token();
    await tokens.token();
    // Graph refuses the first. The second has less than five minutes left, so the next caller needs another.
    await tokens.token({ renew: true });
    await tokens.token();
    expect(asked.map((form) => form.get('client_secret'))).toEqual(['secret 1', 'secret 2', 'secret 3']);
  });

  test('two callers at the same time share one sign-in', async () => {
    const { asked } = scriptSignIn(issued({ roles: ['User.Read.All'] }));
    const tokens = open();
    expect(await tokens.token()).toBe((await Promise.all([tokens.token(), tokens.token()]))[1]);
    expect(asked).toHaveLength(1);
  });

  test('the error of an unreadable credential is thrown unchanged, and the next call reads it again', async () => {
    scriptSignIn(issued({ roles: ['User.Read.All'] }));
    let there = false;
    const tokens = open([], () => {
      if (!there) throw new ExpectedError('credential_missing', 'it is not there');
      return secret;
    });
    expect((await expectedError(tokens.token())).code).toBe('credential_missing');
    there = true;
    await expect(tokens.token()).resolves.toContain('secret-signature');
  });
});

describe('one-way: the roles of a token are judged before it is used', () => {
  test.each<[string, object, string[], string, string]>([
    [
      'a role that writes',
      { roles: ['User.Read.All', 'User.ReadWrite.All'] },
      [],
      'role_refused',
      'User.ReadWrite.All',
    ],
    ['another than the allowed', { roles: ['User.Read.All', 'Mail.Send'] }, ['Mail.Read'], 'role_refused', 'Mail.Send'],
    ['no role', { roles: [] }, [], 'consent_missing', 'carries no permission'],
    ['no claim', {}, [], 'consent_missing', 'carries no permission'],
    ['a claim that is a text', { roles: 'User.Read.All' }, [], 'consent_missing', 'carries no permission'],
    ['groups alone', { roles: ['GroupMember.Read.All'] }, [], 'permission_missing', 'User.Read.All'],
  ])('%s', async (_, claims, allowRoles, code, names) => {
    scriptSignIn(issued(claims));
    const error = await expectedError(open(allowRoles).token());
    expect(error).toMatchObject({ code, message: expect.stringContaining(names), cure: expect.any(String) });
  });

  test('a role allowed by name is accepted', async () => {
    scriptSignIn(issued({ roles: ['User.Read.All', 'Mail.Send'] }));
    await expect(open(['Mail.Send']).token()).resolves.toContain('secret-signature');
  });

  test('an unreadable token carries none', async () => {
    scriptSignIn({ body: { token_type: 'Bearer', expires_in: 3599, access_token: 'secret-opaque' } });
    expect((await expectedError(open().token())).code).toBe('consent_missing');
  });
});

describe('a refused sign-in', () => {
  test.each([
    [7000215, 'AZURE_CLIENT_SECRET', 'credential_refused'],
    [7000222, 'expired', 'credential_refused'],
    [700027, 'register the certificate', 'credential_refused'],
    [7000112, 'disabled', 'credential_refused'],
    [700016, 'entra-sync connect', 'sign_in_failed'],
    [90002, 'ENTRA_SYNC_CLOUD', 'sign_in_failed'],
    [7000229, 'entra-sync connect', 'sign_in_failed'],
    [900382, 'ENTRA_SYNC_CLOUD', 'sign_in_failed'],
    [53003, 'Conditional Access policy of the customer for workload identities', 'sign_in_failed'],
    [12345, 'check AZURE_CLIENT_SECRET', 'sign_in_failed'],
  ])('AADSTS%i has a cure and the code of the side at fault, and repeats no secret', async (number, cure, code) => {
    scriptSignIn({
      status: 401,
      body: {
        error: 'invalid_client',
        error_description: `AADSTS${number}: Something is wrong with Ann Smith.\r\nTrace ID: ${tenantId}\r\nTimestamp: 2026-01-01`,
        error_codes: [number],
      },
    });
    const error = await expectedError(open().token());
    expect(error).toMatchObject({ code, message: expect.stringContaining(`AADSTS${number}`) });
    expect(error.cure).toContain(cure);
    expect(error.detail).toBe(`invalid_client; AADSTS${number}; Trace ID: ${tenantId}`);
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/secret-of-the-application|Ann|Smith/);
  });

  test.each([
    ['invalid_client', 'AZURE_CLIENT_SECRET'],
    ['unauthorized_client', 'entra-sync connect'],
    ['interaction_required', 'policy of the customer'],
    ['invalid_resource', 'ENTRA_SYNC_CLOUD'],
    ['a_new_error', 'https://login.microsoftonline.com/error?code=12345'],
  ])('with an unknown number is described by its error %s and a link for the number', async (error, cure) => {
    scriptSignIn({ status: 400, body: { error, error_description: 'AADSTS12345: New.', error_codes: [12345] } });
    const refused = await expectedError(open().token());
    expect(refused).toMatchObject({ code: 'sign_in_failed', mayPass: true });
    expect(refused.cure).toContain(cure);
    expect(refused.cure).toContain('https://login.microsoftonline.com/error?code=12345');
  });

  test.each(['temporarily_unavailable', 'server_error'])(
    'with an unknown number and the error %s may pass, like a fault of the service',
    async (error) => {
      scriptSignIn({ status: 400, body: { error, error_description: 'AADSTS12345: New.', error_codes: [12345] } });
      expect(await expectedError(open().token())).toMatchObject({ code: 'graph_unavailable' });
    },
  );

  test('includes the documented answer to a wrong scope', async () => {
    scriptSignIn({ status: 400, body: exampleBody('token-error-invalid-scope.json') as object });
    expect(await expectedError(open().token())).toMatchObject({
      code: 'sign_in_failed',
      message: expect.stringContaining('AADSTS70011'),
    });
  });
});
