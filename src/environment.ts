// Reads and checks the environment once: database, log level, tenant. Credentials: credentials.ts.
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { ExpectedError } from './errors.ts';
import { filesOfUrl, problemOfUrl } from './rules/database-url.ts';
import { asGuid } from './rules/decode.ts';

export type Environment = {
  /** Undefined: the embedded Postgres under `home` is used. */
  readonly databaseUrl: string | undefined;
  readonly home: string;
  readonly logLevel: string;
  /** The variables themselves, for readers of other names (clouds). */
  readonly variables: NodeJS.ProcessEnv;
};

const logLevels = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'];

/** Reads the variables that every command needs; empty ones count as unset. Throws `usage`. */
export function readEnvironment(variables: NodeJS.ProcessEnv, logLevelDefault = 'silent'): Environment {
  const logLevel = variables.LOG_LEVEL || logLevelDefault;
  if (!logLevels.includes(logLevel)) {
    throw new ExpectedError('usage', `LOG_LEVEL is ${JSON.stringify(logLevel)}`, {
      cure: `use one of ${logLevels.join(', ')}`,
    });
  }
  const databaseUrl = readSecret(variables, 'DATABASE_URL');
  if (databaseUrl !== undefined) checkDatabaseUrl(databaseUrl);
  return { databaseUrl, home: resolve(variables.ENTRA_SYNC_HOME || '.entra-sync'), logLevel, variables };
}

function checkDatabaseUrl(url: string): void {
  const wrong = problemOfUrl(url);
  if (wrong) throw new ExpectedError('usage', `DATABASE_URL ${wrong.problem}`, { cure: wrong.cure });
  for (const { option, path } of filesOfUrl(url)) {
    try {
      readSecretFile(path);
    } catch (error) {
      throw new ExpectedError('usage', `${option} of DATABASE_URL cannot be read: ${path}`, {
        cure: unreadableCure,
        cause: error,
      });
    }
  }
}

/** Returns the tenant of AZURE_TENANT_ID in lower case, or undefined. Throws `usage` if it is not a GUID. */
export function readTenantId(variables: NodeJS.ProcessEnv): string | undefined {
  return variables.AZURE_TENANT_ID ? requireTenantId(variables.AZURE_TENANT_ID, 'AZURE_TENANT_ID') : undefined;
}

/**
 * Returns the address of the consent page without a trailing slash: `given`, ENTRA_SYNC_PUBLIC_URL or localhost. Throws
 * `usage` for an address that Entra ID cannot redirect to.
 */
export function readPublicUrl(variables: NodeJS.ProcessEnv, given: string | undefined, port: number): string {
  const text = given ?? (variables.ENTRA_SYNC_PUBLIC_URL || `http://localhost:${port}`);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url && url.search === '' && url.hash === '' && url.username === '' && url.password === '';
  // Entra ID redirects browsers only to https, and to this machine.
  if (url && plain && (url.protocol === 'https:' || (url.protocol === 'http:' && url.hostname === 'localhost'))) {
    return url.href.replace(/\/+$/, '');
  }
  throw new ExpectedError(
    'usage',
    `the public address of the consent page cannot be ${JSON.stringify(text.slice(0, 200))}`,
    {
      cure: 'give one like https://connect.example.com with --public-url or ENTRA_SYNC_PUBLIC_URL (http is for localhost only)',
    },
  );
}

/** Returns the vendor's own tenant of ENTRA_SYNC_OPS_TENANT, or undefined. Throws `usage` if it is not a GUID. */
export function readOpsTenant(variables: NodeJS.ProcessEnv): string | undefined {
  const text = variables.ENTRA_SYNC_OPS_TENANT || undefined;
  return text === undefined ? undefined : requireTenantId(text, 'ENTRA_SYNC_OPS_TENANT');
}

/** Returns the database's role of ENTRA_SYNC_PORTAL_ROLE, which the portal takes, or undefined. */
export function readPortalRole(variables: NodeJS.ProcessEnv): string | undefined {
  return variables.ENTRA_SYNC_PORTAL_ROLE || undefined;
}

/**
 * Returns the proxies of ENTRA_SYNC_TRUSTED_PROXIES, whose X-Forwarded-For counts; none by default. Throws `usage` for
 * what is neither an address nor a network.
 */
export function readTrustedProxies(variables: NodeJS.ProcessEnv): string[] {
  const words = (variables.ENTRA_SYNC_TRUSTED_PROXIES ?? '').split(',').map((one) => one.trim());
  const proxies = words.filter((one) => one !== '');
  for (const one of proxies) {
    const [address = '', bits] = one.split('/');
    const most = isIP(address) === 6 ? 128 : 32;
    if (isIP(address) !== 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most))) continue;
    throw new ExpectedError('usage', `ENTRA_SYNC_TRUSTED_PROXIES names ${JSON.stringify(one.slice(0, 80))}`, {
      cure: 'write addresses or networks, such as 10.0.0.0/8, separated by commas',
    });
  }
  return proxies;
}

/** Returns `text` as a tenant id. Throws `usage` for a domain name: it can move to another tenant. */
export function requireTenantId(text: string, what: string): string {
  const id = asGuid(text.trim());
  if (id) return id;
  throw new ExpectedError('usage', `${what} is not a tenant id: ${JSON.stringify(text.slice(0, 80))}`, {
    cure: 'use the GUID that the Entra admin center shows as "Tenant ID"',
  });
}

/** The cure for an unreadable file with a secret. */
export const unreadableCure = 'check the path and its permissions: it must be a text file of at most 64 KiB';

const maxBytes = 65_536;

// These files expose the process and its environment.
const ofTheKernel = /^\/(proc|sys|dev)(\/|$)/;

/** Reads a secret's file. Throws if it is unreadable, too large or not a regular file. */
export function readSecretFile(path: string): string {
  const file = statSync(path);
  if (!file.isFile() || ofTheKernel.test(realpathSync(path))) throw new Error('not a file');
  if (file.size > maxBytes) throw new Error('too large');
  return readFileSync(path, 'utf8').trim();
}

/**
 * Reads a secret from the variable `name` or the file of `name`_FILE. Throws `usage` if both are set, or if the file is
 * unreadable or empty: a file not yet written must not count as no secret.
 */
export function readSecret(variables: NodeJS.ProcessEnv, name: string): string | undefined {
  const value = variables[name] || undefined;
  const path = variables[`${name}_FILE`] || undefined;
  if (value !== undefined && path !== undefined) {
    throw new ExpectedError('usage', `both ${name} and ${name}_FILE are set`, { cure: 'set one of them' });
  }
  if (path === undefined) return value;
  let text: string;
  try {
    text = readSecretFile(path);
  } catch (error) {
    throw new ExpectedError('usage', `${name}_FILE cannot be read: ${path}`, { cure: unreadableCure, cause: error });
  }
  if (text !== '') return text;
  throw new ExpectedError('usage', `${name}_FILE is empty: ${path}`, { cure: 'write the secret into it, or unset it' });
}
