// DATABASE_URL as the driver takes it. The driver's own reading of sslmode is another than libpq's, so it is not asked for it.
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { Client } from 'pg';
import { filesOfUrl, tlsOfUrl, urlWithoutTls } from '../../rules/database-url.ts';

/** How a connection to the database of `url` is made, for pg and for what builds on it. */
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
 * Asks for times in the style that the driver reads, whatever the role, the database or the server prefers. To be called
 * before the connection is made. As a parameter of the startup it also holds behind a pooler, which keeps track of it.
 */
export function askForReadableTimes(client: Client): void {
  const starting = client as Client & Starting;
  const { getStartupConf } = starting;
  starting.getStartupConf = () => ({ ...getStartupConf.call(starting), DateStyle: 'ISO, MDY' });
}
