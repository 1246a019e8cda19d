// What the environment says, read once and checked: database, log level, tenant. Credentials: credentials.ts.
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { ExpectedError } from './errors.ts';
import { filesOfUrl, problemOfUrl } from './rules/database-url.ts';
import { asGuid } from './rules/decode.ts';

export type Environment = {
  /** Undefined: the embedded Postgres under `home` serves. */
  readonly databaseUrl: string | undefined;
  readonly home: string;
  readonly logLevel: string;
  /** The variables themselves, for what reads them by their own names (clouds). */
  readonly variables: NodeJS.ProcessEnv;
};

const logLevels = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'];

/** Reads what every command needs; `logLevelDefault` is the default of LOG_LEVEL. Empty variables count as unset. Throws `usage`. */
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

/** The tenant that AZURE_TENANT_ID names, in lower case, or undefined. Throws `usage` when it is no GUID. */
export function readTenantId(variables: NodeJS.ProcessEnv): string | undefined {
  return variables.AZURE_TENANT_ID ? requireTenantId(variables.AZURE_TENANT_ID, 'AZURE_TENANT_ID') : undefined;
}

/**
 * Where browsers reach the consent page, without a slash at its end: `given`, or ENTRA_SYNC_PUBLIC_URL, or localhost with
 * this port. Throws `usage` for an address that Entra ID takes no redirect to.
 */
export function readPublicUrl(variables: NodeJS.ProcessEnv, given: string | undefined, port: number): string {
  const text = given ?? (variables.ENTRA_SYNC_PUBLIC_URL || `http://localhost:${port}`);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url && url.search === '' && url.hash === '' && url.username === '' && url.password === '';
  // Entra ID sends people to https only, and to this machine.
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

/** `text` as a tenant id. Domain names are refused: they can move from one tenant to another. */
export function requireTenantId(text: string, what: string): string {
  const id = asGuid(text.trim());
  if (id) return id;
  throw new ExpectedError('usage', `${what} is not a tenant id: ${JSON.stringify(text.slice(0, 80))}`, {
    cure: 'use the GUID that the Entra admin center shows as "Tenant ID"',
  });
}

/** What to do about a secret's file that cannot be read. */
export const unreadableCure = 'check the path and its permissions: it is a text file of 64 KiB at most';

const mostBytes = 65_536;

// Their files show the process and its environment, not what a person wrote down.
const ofTheKernel = /^\/(proc|sys|dev)(\/|$)/;

/** The text of a file that holds a secret. Throws for what cannot be read, is no file (a pipe, a device, /proc), or is far too large. */
export function readSecretFile(path: string): string {
  const file = statSync(path);
  if (!file.isFile() || ofTheKernel.test(realpathSync(path))) throw new Error('not a file');
  if (file.size > mostBytes) throw new Error('too large');
  return readFileSync(path, 'utf8').trim();
}

/**
 * A secret, from the variable `name` or from the file that `name`_FILE names. Throws `usage` for both, and for a file that is
 * unreadable or empty: one that was not written yet must not look like a choice to go without.
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
