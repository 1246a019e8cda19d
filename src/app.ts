// Wires environment, database and Graph by hand; commands close what they open.
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Middleware } from '@microsoft/microsoft-graph-client';
import { readCredential, readSignInCredential, readTenantCredential } from './credentials.ts';
import type { CycleParts } from './engine/cycle.ts';
import type { Environment } from './environment.ts';
import type { AppCredential } from './graph/app-credential.ts';
import { openGraphClient } from './graph/client.ts';
import { type Cloud, resolveCloud } from './graph/clouds.ts';
import { credentialFingerprint, openTokenSource, type TokenSource } from './graph/credential.ts';
import { isOrdinaryRefusal } from './graph/endpoints.ts';
import {
  defaultRetryPolicy,
  openGraphReader,
  type RequestEvent,
  type RetryPolicy,
  type WaitEvent,
} from './graph/reader.ts';
import { openSignInPage, type SignInPage } from './graph/sign-in.ts';
import type { Customer } from './graph/sign-in-errors.ts';
import { openTokenCache } from './graph/token-cache.ts';
import { createLog, type Log } from './logger.ts';
import { type CredentialReference, loadDefaults, type Settings, type SettingsDocument } from './settings/settings.ts';
import type { LockWait } from './store/database/blockers.ts';
import type { WaitOptions } from './store/database/lock-waits.ts';
import { type Database, openDatabase } from './store/database/pool.ts';
import { openEmbedded } from './store/embedded/embedded.ts';
import { migrate, requireCurrentSchema } from './store/schema/migrate.ts';
import { pastSpan } from './tracing.ts';

export type OpenedDatabase = {
  readonly database: Database;
  readonly url: string;
  /** Names the database in messages, without its password. */
  readonly name: string;
  readonly embedded: boolean;
  close(): Promise<void>;
};

/**
 * Opens the environment's database. Starts and migrates an embedded one; any other must have the current schema (exit
 * 7), unless `anySchema`.
 */
export async function openAppDatabase(
  environment: Environment,
  options: {
    anySchema?: boolean;
    maxConnections?: number;
    note?: (line: string) => void;
    onLockWait?: (wait: LockWait) => void;
    /** Once aborted, no embedded server is started or migrated. */
    signal?: AbortSignal;
  } = {},
): Promise<OpenedDatabase> {
  const { databaseUrl, home } = environment;
  const waits: WaitOptions = { ...(options.onLockWait && { onWait: options.onLockWait }) };
  if (databaseUrl === undefined) {
    if (isFirstRun(environment)) options.note?.(`preparing the embedded Postgres in ${home}, once`);
    const server = await openEmbedded({ home, ...(options.signal && { signal: options.signal }) });
    const database = openDatabase(server.url, { waits });
    const close = async () => {
      await database.destroy();
      await server.close();
    };
    try {
      if (!options.anySchema) await migrate(server.url, loadDefaults(), waits, options.signal);
    } catch (error) {
      await close();
      throw error;
    }
    return { database, url: server.url, name: `embedded Postgres in ${home}`, embedded: true, close };
  }
  const { maxConnections } = options;
  const database = openDatabase(databaseUrl, { ...(maxConnections !== undefined && { maxConnections }), waits });
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

/** Whether the embedded database is used and does not exist yet. */
export function isFirstRun({ databaseUrl, home }: Environment): boolean {
  return databaseUrl === undefined && !existsSync(join(home, 'postgres'));
}

function databaseName(url: string): string {
  if (!URL.canParse(url)) return 'the database of DATABASE_URL';
  const { hostname, port, pathname } = new URL(url);
  return `${hostname}${port && `:${port}`}${pathname}`;
}

export type GraphAccess = {
  readonly cloud: Cloud;
  /** Reads the credential that signs in to a tenant. Throws if it is incomplete or missing. */
  credential(own?: CredentialReference | null): AppCredential;
  /** Tokens for one tenant, by its own credential if it has one. */
  tokens(tenantId: string, allowRoles: readonly string[], own?: CredentialReference | null): TokenSource;
  openReader: CycleParts['openReader'];
  /** Hashes the current credential, keyed by `salt`: the tenant's own, or the environment's. */
  credentialFingerprint(own: CredentialReference | null, salt: string): string;
};

export type GraphHooks = {
  /** Returns the customer of a tenant, for the cure of a missing consent; undefined if that cannot be known now. */
  customerOf?: (tenantId: string) => Promise<Customer | undefined>;
  onWait?: (event: WaitEvent & { readonly tenantId: string }) => void;
  onRequest?: (event: RequestEvent & { readonly tenantId: string }) => void;
};

/**
 * Opens access to Graph. The credential is read at the first sign-in, and every wait is logged. `keepTokens`: a
 * tenant's readers share its tokens until the credential or the allowed roles change, or Graph refuses a request.
 * `before` goes in front of the HTTP edge (for tests).
 */
export function openGraphAccess(
  environment: Environment,
  options: GraphHooks & { policy?: RetryPolicy; before?: Middleware; keepTokens?: boolean } = {},
): GraphAccess {
  const { policy = defaultRetryPolicy, onWait, onRequest, before, customerOf } = options;
  const kept = options.keepTokens ? openTokenCache() : undefined;
  const salt = randomUUID();
  const { variables } = environment;
  const cloud = resolveCloud(variables);
  const credential: GraphAccess['credential'] = (own) =>
    own ? readTenantCredential(variables, own) : readCredential(variables);
  const tokens: GraphAccess['tokens'] = (tenantId, allowRoles, own) =>
    openTokenSource({
      ...{ tenantId, credential: () => credential(own), cloud, allowRoles },
      ...(customerOf && { customer: () => customerOf(tenantId).catch(() => undefined) }),
    });
  const tokensOf = (tenantId: string, { allowRoles, credential: own }: Settings) => {
    if (!kept) return tokens(tenantId, allowRoles, own);
    const mark = JSON.stringify([credentialFingerprint(() => credential(own), salt), allowRoles]);
    return kept.take(tenantId, mark, () => tokens(tenantId, allowRoles, own));
  };
  return {
    cloud,
    credential,
    tokens,
    credentialFingerprint: (own, salt) => credentialFingerprint(() => credential(own), salt),
    openReader: ({ tenantId, settings, signal, log }) =>
      openGraphReader({
        client: openGraphClient({
          origin: cloud.graphOrigin,
          tokens: tokensOf(tenantId, settings),
          requestTimeoutMs: policy.requestTimeoutMs,
          ...(before && { before }),
        }),
        signal,
        policy,
        onWait: (event) => {
          log.info({ tenantId, ...event }, 'waiting for Graph');
          onWait?.({ ...event, tenantId });
        },
        onRequest: (event) => {
          const { endpoint, method, outcome, seconds } = event;
          // Only a new token carries a permission granted later. A refusal inside a `$batch` does not show here.
          if (outcome === 401 || outcome === 403 || method === 'POST') kept?.drop(tenantId);
          const failed = typeof outcome === 'string' || (outcome >= 400 && !isOrdinaryRefusal(endpoint, outcome));
          const told = { [typeof outcome === 'string' ? 'error.type' : 'http.response.status_code']: outcome };
          pastSpan(`${method} ${endpoint}`, seconds, { 'entra_sync.tenant': tenantId, ...told }, failed);
          onRequest?.({ ...event, tenantId });
        },
      }),
  };
}

export type ConsentAccess = {
  readonly signIn: SignInPage;
  readonly tokens: (tenantId: string, settings: Settings) => TokenSource;
  readonly authorityHost: string;
};

/** Opens the consent page's sign-in and tokens. Throws `usage` if the environment's credential is missing. */
export function openConsent(environment: Environment, redirectUri: string): ConsentAccess {
  const { variables } = environment;
  const credential = () => readCredential(variables);
  // Fails at the start, not at the first customer.
  credential();
  const cloud = resolveCloud(variables);
  const { tokens } = openGraphAccess(environment);
  return {
    signIn: openSignInPage({ credential, cloud, redirectUri }),
    tokens: (tenantId, settings) => tokens(tenantId, settings.allowRoles, settings.credential),
    authorityHost: cloud.authorityHost,
  };
}

/**
 * Opens the sign-in of people to the web. Throws `usage` if its credential is missing. `ownRegistration`: people sign in
 * to an application that reads no directory.
 */
export function openSignIn(
  environment: Environment,
  redirectUri: string,
): { signIn: SignInPage; ownRegistration: boolean } {
  const { variables } = environment;
  const credential = () => readSignInCredential(variables);
  // Fails at the start, not at the first sign-in.
  const { clientId } = credential();
  return {
    signIn: openSignInPage({ credential, cloud: resolveCloud(variables), redirectUri }),
    ownRegistration: clientId !== variables.AZURE_CLIENT_ID,
  };
}

export type AppBasics = { readonly log: Log; readonly defaults: SettingsDocument };

/**
 * Opens the parts that need neither database nor Graph. Throws `settings_invalid` if config/default.yaml is damaged.
 */
export function openBasics(environment: Environment): AppBasics {
  return { log: createLog(environment.logLevel), defaults: loadDefaults() };
}
