// Reading the environment and refusing invalid values: secrets from files, tenant ids, clouds and origins.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readCredential } from '../../src/credentials.ts';
import { readEnvironment, readTenantId, requireTenantId } from '../../src/environment.ts';
import { ExpectedError } from '../../src/errors.ts';
import { resolveCloud } from '../../src/graph/clouds.ts';
import { noFiles } from './no-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'entra-sync-environment-'));
const odd = noFiles(folder);
afterAll(() => rmSync(folder, { recursive: true }));

function file(text: string): string {
  const path = join(folder, `${Math.abs(hash(text))}.txt`);
  writeFileSync(path, text);
  return path;
}

function hash(text: string): number {
  return [...text].reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) | 0, 7);
}

/** Returns the message of the `usage` error, which has a cure, that `run` throws. */
function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error;
    expect(error.code).toBe('usage');
    expect(error.cure).toBeTruthy();
    return `${error.message} -> ${error.cure}`;
  }
  throw new Error('it was taken');
}

const url = 'postgres://user:password@host:5432/database';

describe('the environment', () => {
  test('has a default for everything', () => {
    const environment = readEnvironment({});
    expect(environment).toMatchObject({ databaseUrl: undefined, logLevel: 'silent' });
    expect(environment.home).toMatch(/\.entra-sync$/);
    expect(isAbsolute(environment.home)).toBe(true);
  });

  test('counts an empty variable as unset', () => {
    const empty = readEnvironment({ DATABASE_URL: '', DATABASE_URL_FILE: '', LOG_LEVEL: '', ENTRA_SYNC_HOME: '' });
    expect(empty).toEqual({ ...readEnvironment({}), variables: empty.variables });
    expect(readTenantId({ AZURE_TENANT_ID: '' })).toBeUndefined();
    expect(resolveCloud({ ENTRA_SYNC_CLOUD: '', GRAPH_BASE_URL: '', AZURE_AUTHORITY_HOST: '' })).toEqual(
      resolveCloud({}),
    );
  });

  test('refuses a log level that does not exist, and names those that do', () => {
    expect(refusal(() => readEnvironment({ LOG_LEVEL: 'loud' }))).toContain('silent, fatal, error, warn, info');
  });

  test.each(['mysql://host/db', 'host=localhost', 'https://host', ' postgres://host/db'])(
    '%j is not a Postgres URL, and is not repeated (it may hold a password)',
    (text) => {
      expect(refusal(() => readEnvironment({ DATABASE_URL: text }))).not.toContain(text.trim());
    },
  );

  test.each(['postgres://host/db', 'postgresql://host/db', url])('%s is a Postgres URL', (text) => {
    expect(readEnvironment({ DATABASE_URL: text }).databaseUrl).toBe(text);
  });
});

describe('secrets from files', () => {
  const id = { AZURE_CLIENT_ID: 'app' };

  test('are read without the line break at the end', () => {
    expect(readEnvironment({ DATABASE_URL_FILE: file(`${url}\n`) }).databaseUrl).toBe(url);
    const credential = readCredential({ ...id, AZURE_CLIENT_SECRET_FILE: file('s3cr~t\r\n') });
    expect(credential).toMatchObject({ kind: 'secret', clientId: 'app', secret: 's3cr~t' });
  });

  test('setting both variables is refused', () => {
    const both = { ...id, AZURE_CLIENT_SECRET: 'verysecret', AZURE_CLIENT_SECRET_FILE: file('othersecret') };
    const message = refusal(() => readCredential(both));
    expect(message).toContain('both AZURE_CLIENT_SECRET and AZURE_CLIENT_SECRET_FILE are set');
    expect(message).not.toMatch(/verysecret|othersecret/);
  });

  test('an empty variable beside the file does not count', () => {
    const variables = { ...id, AZURE_CLIENT_SECRET: '', AZURE_CLIENT_SECRET_FILE: file('s') };
    expect(readCredential(variables)).toMatchObject({ secret: 's' });
  });

  test('a missing file is named', () => {
    const missing = join(folder, 'nothing');
    expect(refusal(() => readEnvironment({ DATABASE_URL_FILE: missing }))).toContain(
      `DATABASE_URL_FILE cannot be read: ${missing}`,
    );
  });

  test('an empty file is refused: otherwise another database would be filled', () => {
    expect(refusal(() => readEnvironment({ DATABASE_URL_FILE: file('\n') }))).toContain('DATABASE_URL_FILE is empty');
    expect(refusal(() => readCredential({ ...id, AZURE_CLIENT_SECRET_FILE: file('') }))).toContain(
      'AZURE_CLIENT_SECRET_FILE is empty',
    );
  });

  test('a file that is too large for a secret is not read', () => {
    const large = { ...id, AZURE_CLIENT_SECRET_FILE: file('x'.repeat(70_000)) };
    expect(refusal(() => readCredential(large))).toContain('AZURE_CLIENT_SECRET_FILE cannot be read');
  });
});

describe('tenant ids', () => {
  const tenant = '605D1257-FFFF-40B6-8E6F-528A53F5DC55';

  test('are GUIDs, kept in lower case', () => {
    expect(readTenantId({ AZURE_TENANT_ID: tenant })).toBe(tenant.toLowerCase());
    expect(requireTenantId(` ${tenant}\n`, 'TENANT')).toBe(tenant.toLowerCase());
  });

  test.each(['contoso.onmicrosoft.com', 'common', 'organizations', tenant.slice(1), `${tenant}x`, '{}'])(
    '%s is not one',
    (text) => {
      expect(refusal(() => readTenantId({ AZURE_TENANT_ID: text }))).toContain('AZURE_TENANT_ID is not a tenant id');
    },
  );

  test('a very long id is not repeated whole', () => {
    expect(refusal(() => requireTenantId('x'.repeat(10_000), 'TENANT')).length).toBeLessThan(300);
  });
});

describe('clouds', () => {
  test.each([
    ['global', 'https://graph.microsoft.com', 'https://login.microsoftonline.com', ''],
    ['usgov', 'https://graph.microsoft.us', 'https://login.microsoftonline.us', 'USGov'],
    ['usgov-dod', 'https://dod-graph.microsoft.us', 'https://login.microsoftonline.us', 'USGov'],
    ['china', 'https://microsoftgraph.chinacloudapi.cn', 'https://login.chinacloudapi.cn', 'China'],
  ])('%s', (name, graphOrigin, authorityHost, exchange) => {
    expect(resolveCloud({ ENTRA_SYNC_CLOUD: name })).toEqual({
      graphOrigin,
      authorityHost,
      exchangeAudience: `api://AzureADTokenExchange${exchange}`,
      knownAuthority: true,
    });
  });

  test('the default is global', () => {
    expect(resolveCloud({})).toEqual(resolveCloud({ ENTRA_SYNC_CLOUD: 'global' }));
  });

  test.each(['Global', 'germany', 'constructor', '__proto__', 'toString'])('%s is not a cloud', (name) => {
    expect(refusal(() => resolveCloud({ ENTRA_SYNC_CLOUD: name }))).toContain(
      'use one of global, usgov, usgov-dod, china',
    );
  });

  test('a configured origin overrides the cloud, and a foreign authority is recognised', () => {
    const cloud = resolveCloud({
      GRAPH_BASE_URL: 'https://localhost:8443/',
      AZURE_AUTHORITY_HOST: 'https://localhost:9443',
    });
    expect(cloud).toEqual({
      graphOrigin: 'https://localhost:8443',
      authorityHost: 'https://localhost:9443',
      exchangeAudience: 'api://AzureADTokenExchange',
      knownAuthority: false,
    });
    const national = resolveCloud({ AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.us' });
    expect(national.knownAuthority).toBe(true);
  });

  test.each([
    'http://graph.microsoft.com',
    'graph.microsoft.com',
    'https://graph.microsoft.com/v1.0',
    'https://graph.microsoft.com/?x=1',
    'https://graph.microsoft.com/#x',
    'https://user@graph.microsoft.com',
    'https://:password@graph.microsoft.com',
    'ftp://graph.microsoft.com',
    'https://',
  ])('%s is not an https origin', (text) => {
    expect(refusal(() => resolveCloud({ GRAPH_BASE_URL: text }))).toContain('GRAPH_BASE_URL is not an https origin');
    expect(refusal(() => resolveCloud({ AZURE_AUTHORITY_HOST: text }))).toContain('AZURE_AUTHORITY_HOST');
  });
});

test.each(odd)('%s is refused as the file of a secret', (_, path) => {
  expect(() => readEnvironment({ DATABASE_URL_FILE: path })).toThrow(/^DATABASE_URL_FILE cannot be read/);
});

test('a missing CA file of DATABASE_URL is named before a connection is tried', () => {
  const url = 'postgres://user:secret@db/app?sslmode=verify-full&sslrootcert=/nowhere/ca.pem';
  expect(() => readEnvironment({ DATABASE_URL: url })).toThrow(
    /^sslrootcert of DATABASE_URL cannot be read: \/nowhere\/ca.pem$/,
  );
});
