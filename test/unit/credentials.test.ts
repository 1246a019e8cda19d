// The choice of credential: the environment's, in the order of @azure/identity, or the one that a tenant's settings
// name.

import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { generate } from 'selfsigned';
import { afterAll, describe, expect, test } from 'vitest';
import { namesCredential, ownsTenantId, readCredential, readTenantCredential } from '../../src/credentials.ts';
import { ExpectedError } from '../../src/errors.ts';
import { credentialEnd, readClientCertificate } from '../../src/graph/client-certificate.ts';
import { credentialFingerprint } from '../../src/graph/credential.ts';
import { checkInstallationSettings, checkSettings, mergeDocuments } from '../../src/settings/settings.ts';
import { noFiles } from './no-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'entra-sync-credentials-'));
const odd = noFiles(folder);
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function file(text: string): string {
  const path = join(folder, `${++files}.txt`);
  writeFileSync(path, text);
  return path;
}

function errorOf(run: () => unknown): ExpectedError {
  try {
    run();
  } catch (error) {
    if (error instanceof ExpectedError) return error;
    throw error;
  }
  throw new Error('it was taken');
}

const app = { AZURE_CLIENT_ID: 'app' };

describe('the credential of the environment', () => {
  test('the error names every missing part at once', () => {
    const { code, message } = errorOf(() => readCredential({}));
    expect(code).toBe('usage');
    expect(message).toContain('AZURE_CLIENT_ID and AZURE_CLIENT_SECRET (or AZURE_CLIENT_CERTIFICATE_PATH');
    expect(errorOf(() => readCredential({ AZURE_CLIENT_SECRET: 's' })).message).not.toContain('AZURE_CLIENT_SECRET');
  });

  test('is the first of secret, certificate, federated token and managed identity that is set', () => {
    const variables: Record<string, string> = {
      ...app,
      AZURE_CLIENT_SECRET: 'the secret',
      AZURE_CLIENT_CERTIFICATE_PATH: file('key and certificate'),
      AZURE_CLIENT_CERTIFICATE_PASSWORD_FILE: file('the password\n'),
      AZURE_FEDERATED_TOKEN_FILE: file('the.federated.token\n'),
      ENTRA_SYNC_MANAGED_IDENTITY_CLIENT_ID: 'the identity',
    };
    const seen: unknown[] = [];
    for (const name of [
      'AZURE_CLIENT_SECRET',
      'AZURE_CLIENT_CERTIFICATE_PATH',
      'AZURE_FEDERATED_TOKEN_FILE',
      'ENTRA_SYNC_MANAGED_IDENTITY_CLIENT_ID',
    ]) {
      seen.push([readCredential(variables), ownsTenantId(variables)]);
      delete variables[name];
    }
    const certificate = { path: join(folder, `${files - 2}.txt`), password: 'the password' };
    expect(seen).toEqual([
      [{ kind: 'secret', clientId: 'app', holder: 'AZURE_CLIENT_SECRET', secret: 'the secret' }, true],
      [{ kind: 'certificate', clientId: 'app', holder: 'AZURE_CLIENT_CERTIFICATE_PATH', ...certificate }, true],
      [
        {
          kind: 'federated',
          clientId: 'app',
          holder: 'AZURE_FEDERATED_TOKEN_FILE',
          assertion: 'the.federated.token',
        },
        false,
      ],
      [
        {
          kind: 'managed_identity',
          clientId: 'app',
          holder: 'ENTRA_SYNC_MANAGED_IDENTITY_CLIENT_ID',
          identity: 'the identity',
        },
        false,
      ],
    ]);
  });

  test.each(['AZURE_CLIENT_CERTIFICATE_PATH', 'AZURE_FEDERATED_TOKEN_FILE', 'AZURE_CLIENT_SECRET_FILE'])(
    'an unreadable %s is reported before the sign-in',
    (name) => {
      const error = errorOf(() => readCredential({ ...app, [name]: '/nonexistent/file' }));
      expect(error).toMatchObject({ code: 'usage', message: `${name} cannot be read: /nonexistent/file` });
      expect(error.cure).toBeTruthy();
    },
  );

  test('an empty federated token is rejected', () => {
    const variables = { ...app, AZURE_FEDERATED_TOKEN_FILE: file('\n') };
    expect(errorOf(() => readCredential(variables)).message).toContain('AZURE_FEDERATED_TOKEN_FILE is empty');
  });

  test('any of its variables names it, but not an empty one', () => {
    expect([namesCredential({}), namesCredential({ AZURE_CLIENT_SECRET: '' }), namesCredential(app)]).toEqual([
      false,
      false,
      true,
    ]);
  });
});

describe("a tenant's own credential", () => {
  const clientId = '605d1257-ffff-40b6-8e6f-528a53f5dc55';

  test('is a secret from a variable or a file, or a certificate with its password', () => {
    const variables = { THEIRS: 'their secret', THEIR_PASSWORD: 'p' };
    expect(readTenantCredential(variables, { clientId, secret: { env: 'THEIRS' } })).toMatchObject({
      kind: 'secret',
      clientId,
      secret: 'their secret',
    });
    expect(readTenantCredential({}, { clientId, secret: { file: file('from a file\n') } })).toMatchObject({
      secret: 'from a file',
    });
    const pem = file('pem');
    const certificate = { file: pem, password: { env: 'THEIR_PASSWORD' } };
    expect(readTenantCredential(variables, { clientId, certificate })).toMatchObject({
      kind: 'certificate',
      path: pem,
      password: 'p',
    });
  });

  test.each<[string, Parameters<typeof readTenantCredential>[1], string]>([
    [
      'a variable that is not set',
      { clientId, secret: { env: 'THEIRS' } },
      'the variable THEIRS that credential.secret',
    ],
    [
      'a file that is not there',
      { clientId, secret: { file: '/nonexistent/one' } },
      '/nonexistent/one that credential',
    ],
    [
      'a certificate that is not there',
      { clientId, certificate: { file: '/nonexistent/two' } },
      'the file /nonexistent/two that credential.certificate of this tenant names cannot be read',
    ],
    ['an empty file', { clientId, secret: { file: file('\n') } }, 'is empty'],
    [
      'a password that is not there',
      { clientId, certificate: { file: file('pem'), password: { env: 'NOPE' } } },
      'the variable NOPE that credential.certificate.password of this tenant names is not set',
    ],
  ])('%s is named', (_, reference, says) => {
    const error = errorOf(() => readTenantCredential({}, reference));
    expect(error).toMatchObject({ code: 'credential_missing', message: expect.stringContaining(says) });
    expect(error.cure).toContain('tenant set');
  });

  test.each(['DATABASE_URL', 'AZURE_CLIENT_SECRET', 'PGPASSWORD', 'HTTPS_PROXY', 'all_proxy'])(
    'is not %s, which would be sent out as a secret',
    (name) => {
      const error = errorOf(() => readTenantCredential({ [name]: 'verysecret' }, { clientId, secret: { env: name } }));
      expect([error.code, error.message]).toEqual(['credential_missing', expect.stringContaining("entra-sync's own")]);
      expect(inspect(error)).not.toContain('verysecret');
    },
  );

  test('is in neither a file of our own nor one without an end', () => {
    const own = file('verysecret');
    for (const [, path] of [['', own] as const, ...odd]) {
      const variables = { DATABASE_URL_FILE: own };
      const error = errorOf(() => readTenantCredential(variables, { clientId, secret: { file: path } }));
      expect(error.code, path).toBe('credential_missing');
    }
  });

  test.each(odd)('is no certificate in %s, neither a tenant’s nor the environment’s', (_, path) => {
    const ofTenant = () => credentialEnd(readTenantCredential({}, { clientId, certificate: { file: path } }));
    expect(errorOf(ofTenant).code).toBe('credential_missing');
    const ofAll = () => credentialEnd(readCredential({ AZURE_CLIENT_ID: 'app', AZURE_CLIENT_CERTIFICATE_PATH: path }));
    expect(errorOf(ofAll)).toMatchObject({
      code: 'credential_refused',
      message: expect.stringContaining('cannot be read'),
    });
  });

  test('a certificate with a corrected password is another credential', () => {
    const pem = file('key and certificate');
    const mark = (password: string) =>
      credentialFingerprint(
        () => ({ kind: 'certificate', clientId, holder: 'h', path: pem, ...(password && { password }) }),
        'salt',
      );
    expect(new Set(['', 'wrong', 'right'].map(mark)).size).toBe(3);
    expect(mark('right')).toBe(mark('right'));
  });

  const problemsOf = (credential: unknown) => errorOf(() => checkSettings({ credential }, 'file.yaml')).list;

  test.each<[string, unknown, string]>([
    [
      'the secret itself',
      { clientId, secret: 'verysecret' },
      '{ env: NAME } or { file: /PATH }, never the secret itself',
    ],
    ['something else in its place', { clientId, secret: { value: 'verysecret' } }, 'never the secret itself'],
    ['a secret for a name', { clientId, secret: { env: 'very~secret' } }, 'is not a name of an environment variable'],
    ['a relative path', { clientId, secret: { file: 'verysecret' } }, 'is not an absolute path'],
    ['neither', { clientId }, 'names a secret or a certificate, one of them'],
    [
      'both',
      { clientId, secret: { env: 'A' }, certificate: { file: '/a' } },
      'names a secret or a certificate, one of them',
    ],
    ['no application id', { clientId: 'my app', secret: { env: 'A' } }, 'is not an application id'],
    ['a wrong key', { clientId, secrets: { env: 'A' } }, 'did you mean secret?'],
    ['a wrong key below', { clientId, certificate: { path: '/a' } }, 'there are file, password'],
  ])('settings: %s is refused without being repeated', (_, credential, says) => {
    const problems = problemsOf(credential);
    expect(problems.join('\n')).toContain(says);
    expect(inspect(problems)).not.toMatch(/very.?secret/);
  });

  test('settings: it is replaced as a whole, and taken out by null', () => {
    const secret = { credential: { clientId, secret: { env: 'A' } } };
    const certificate = { credential: { clientId, certificate: { file: '/a' } } };
    expect(mergeDocuments(secret, certificate)).toEqual(certificate);
    expect(mergeDocuments(secret, checkSettings({ credential: null }, 'file.yaml'))).toEqual({ credential: null });
  });

  test('settings: the whole installation cannot have one', () => {
    const document = { credential: { clientId, secret: { env: 'A' } } };
    expect(errorOf(() => checkInstallationSettings(document, 'file.yaml', [])).list).toEqual([
      'credential is a setting for a single tenant: entra-sync tenant set TENANT FILE',
    ]);
  });
});

test('the error for an unusable certificate has the reason and the responsible side, and no password', async () => {
  const make = () => generate([{ name: 'commonName', value: 'app' }], { keySize: 2048 });
  const [one, other] = await Promise.all([make(), make()]);
  const locked = createPrivateKey(one.private).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'right',
  });
  const read = (text: string, password?: string, ofTenant = false) => {
    const given = { ...(password !== undefined && { password }), ...(ofTenant && { ofTenant: true as const }) };
    return readClientCertificate({
      kind: 'certificate',
      clientId: 'app',
      holder: 'HOLDER',
      path: file(text),
      ...given,
    });
  };
  expect(read(one.private + one.cert).certificate.validTo).toBe(read(locked + one.cert, 'right').certificate.validTo);
  for (const [says, text, password] of [
    ['holds no certificate', one.private],
    ['holds no private key', one.cert],
    ['needs a password', locked + one.cert],
    ['its password does not open', locked + one.cert, 'verywrong'],
    ['the key of another certificate', one.private + other.cert],
    ['holds no certificate', '\u0000\u0001\uffff'],
  ] as const) {
    const error = errorOf(() => read(text, password));
    expect([error.code, error.message]).toEqual(['credential_refused', expect.stringContaining(says)]);
    expect(inspect(error)).not.toMatch(/verywrong|PRIVATE/);
    expect(errorOf(() => read(text, password, true)).code, 'of a tenant').toBe('credential_missing');
  }
});
