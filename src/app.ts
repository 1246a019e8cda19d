// Wires everything by hand: environment, database, Graph. Commands ask it for what they need and close it at the end.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CycleParts } from './engine/cycle.ts';
import { type Environment, readCredential } from './environment.ts';
import { openGraphClient } from './graph/client.ts';
import { resolveCloud } from './graph/clouds.ts';
import { openTokenSource, type TokenSource } from './graph/credential.ts';
import { defaultRetryPolicy, type OnWait, openGraphReader, type RetryPolicy } from './graph/reader.ts';
import { openSignInPage, type SignInPage } from './graph/sign-in.ts';
import { createLog, type Log } from './logger.ts';
import { loadDefaults, type SettingsDocument } from './settings.ts';
import { openEmbedded } from './store/embedded.ts';
import { migrate, requireCurrentSchema } from './store/migrate.ts';
import { type Database, openDatabase } from './store/pool.ts';

export type OpenedDatabase = {
  readonly database: Database;
  readonly url: string;
  /** For people: which database this is, without its password. */
  readonly name: string;
  readonly embedded: boolean;
  close(): Promise<void>;
};

/**
 * Opens the database that the environment names. The embedded one is started and migrated as needed; of a database of
 * one's own the schema is required to be current (exit 7), unless `anySchema`.
 */
export async function openAppDatabase(
  environment: Environment,
  options: { anySchema?: boolean; note?: (line: string) => void } = {},
): Promise<OpenedDatabase> {
  const { databaseUrl, home } = environment;
  if (databaseUrl === undefined) {
    if (!existsSync(join(home, 'postgres'))) options.note?.(`preparing the embedded Postgres in ${home}, once`);
    const server = await openEmbedded({ home });
    const database = openDatabase(server.url);
    const close = async () => {
      await database.destroy();
      await server.close();
    };
    try {
      if (!options.anySchema) await migrate(server.url);
    } catch (error) {
      await close();
      throw error;
    }
    return { database, url: server.url, name: `embedded Postgres in ${home}`, embedded: true, close };
  }
  const database = openDatabase(databaseUrl);
  try {
    if (!options.anySchema) await requireCurrentSchema(database);
  } catch (error) {
    await database.destroy();
    throw error;
  }
  return {
    database,
    url: databaseUrl,
    name: databaseName(databaseUrl),
    embedded: false,
    close: () => database.destroy(),
  };
}

function databaseName(url: string): string {
  if (!URL.canParse(url)) return 'the one of DATABASE_URL';
  const { hostname, port, pathname } = new URL(url);
  return `${hostname}${port && `:${port}`}${pathname}`;
}

export type GraphAccess = {
  tokens(tenantId: string, allowRoles: readonly string[]): TokenSource;
  openReader: CycleParts['openReader'];
};

/** The way to Graph with the credential of the environment. Throws `usage` when that is not complete. */
export function openGraphAccess(
  environment: Environment,
  options: { onWait?: OnWait; policy?: RetryPolicy } = {},
): GraphAccess {
  const { variables } = environment;
  const credential = readCredential(variables);
  const cloud = resolveCloud(variables);
  const tokens: GraphAccess['tokens'] = (tenantId, allowRoles) =>
    openTokenSource({ tenantId, credential, cloud, allowRoles });
  return {
    tokens,
    openReader: ({ tenantId, settings, signal }) =>
      openGraphReader({
        client: openGraphClient({ origin: cloud.graphOrigin, tokens: tokens(tenantId, settings.allowRoles) }),
        signal,
        policy: options.policy ?? defaultRetryPolicy,
        ...(options.onWait && { onWait: options.onWait }),
      }),
  };
}

export type ConsentAccess = {
  readonly signIn: SignInPage;
  readonly tokens: GraphAccess['tokens'];
  readonly authorityHost: string;
};

/** What signs customers' administrators in and takes the first token of their tenants. Throws `usage` like {@link openGraphAccess}. */
export function openConsent(environment: Environment, redirectUri: string): ConsentAccess {
  const { variables } = environment;
  const credential = readCredential(variables);
  const cloud = resolveCloud(variables);
  return {
    signIn: openSignInPage({ credential, cloud, redirectUri }),
    tokens: openGraphAccess(environment).tokens,
    authorityHost: cloud.authorityHost,
  };
}

export type AppBasics = { readonly log: Log; readonly defaults: SettingsDocument };

/** What needs neither database nor Graph. Throws `settings_invalid` when config/default.yaml is damaged. */
export function openBasics(environment: Environment): AppBasics {
  return { log: createLog(environment.logLevel), defaults: loadDefaults() };
}
