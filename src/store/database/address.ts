// DATABASE_URL in the driver's terms. The driver reads sslmode differently from libpq, so this file reads it.
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { Client } from 'pg';
import { filesOfUrl, tlsOfUrl, urlWithoutTls } from '../../rules/database-url.ts';

/** Returns the connection options of `url`, for pg and libraries on it. Throws if a file that `url` names is unreadable. */
export function connectionTo(url: string): { connectionString: string; ssl?: ConnectionOptions } {
  const check = tlsOfUrl(url);
  const connectionString = urlWithoutTls(url);
  if (check === undefined) return { connectionString };
  const texts = new Map(filesOfUrl(url).map(({ option, path }) => [option, readFileSync(path, 'utf8')]));
  const ssl: ConnectionOptions = {
    rejectUnauthorized: check !== 'none',
    ...(check === 'authority' && { checkServerIdentity: () => undefined }),
  };
  for (const [option, name] of [
    ['sslrootcert', 'ca'],
    ['sslcert', 'cert'],
    ['sslkey', 'key'],
  ] as const) {
    const text = texts.get(option);
    if (text !== undefined) ssl[name] = text;
  }
  return { connectionString, ssl };
}

type Starting = { getStartupConf(): Record<string, string> };

/**
 * Sets the DateStyle that the driver reads, over that of server, database or role. Before connecting, since poolers
 * track this startup parameter.
 */
export function askForReadableTimes(client: Client): void {
  const starting = client as Client & Starting;
  const { getStartupConf } = starting;
  starting.getStartupConf = () => ({ ...getStartupConf.call(starting), DateStyle: 'ISO, MDY' });
}
