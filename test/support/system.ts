// Whole cycles for tests: a simulated tenant over TLS, a real sign-in, a real Postgres, wired as in src/app.ts. And the
// truth to compare with, computed without any rule of the product.
import { Writable } from 'node:stream';
import tls from 'node:tls';
import type { Middleware } from '@microsoft/microsoft-graph-client';
import { pino } from 'pino';
import { expect, onTestFinished } from 'vitest';
import { type GraphHooks, openGraphAccess } from '../../src/app.ts';
import { type CycleOptions, type CycleResult, runCycle } from '../../src/engine/cycle.ts';
import { type OnDemandResult, type PersonOptions, readUserOnDemand } from '../../src/engine/on-demand.ts';
import { readEnvironment } from '../../src/environment.ts';
import { ExpectedError } from '../../src/errors.ts';
import type { OnWait, RetryPolicy } from '../../src/graph/reader.ts';
import type { Log } from '../../src/logger.ts';
import { loadDefaults } from '../../src/settings/settings.ts';
import {
  createTenant,
  type Simulator,
  type SimulatorSettings,
  startSimulator,
  type Tenant,
  type TenantOptions,
  type User,
} from '../../src/simulator/index.ts';
import { decideRemovals } from '../../src/store/commit/held-removals.ts';
import { openLists } from '../../src/store/commit/removal-lists.ts';
import type { LeaseTimes } from '../../src/store/cycle/lease.ts';
import { type Database, openDatabase, rows } from '../../src/store/database/pool.ts';
import { addTenant } from '../../src/store/tenants/tenants.ts';
import { type Borrowed, borrowDatabase } from './borrowed.ts';
import { setSettings } from './settings.ts';

/** Waits take a millisecond, so that faults cost no time. */
export const fastPolicy: RetryPolicy = { retries: 2, firstWaitMs: 1, budgetMs: 5_000, requestTimeoutMs: 20_000 };

const trusted = new Set<string>();

/** Makes this process trust a simulator's certificate, as NODE_EXTRA_CA_CERTS does at its start. */
export function trust(certificate: string): void {
  if (trusted.has(certificate)) return;
  trusted.add(certificate);
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), certificate]);
}

export function bufferLog(level = 'trace'): { log: Log; text(): string } {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  return { log: pino({ level, base: null }, stream), text: () => lines.join('') };
}

export type CycleWishes = Partial<Pick<CycleOptions, 'resync' | 'dryRun' | 'signal' | 'onProgress' | 'actor'>> & {
  /** Another pool than the world's, such as one that the test cuts off. */
  through?: Database;
  policy?: RetryPolicy;
  log?: Log;
  leaseTimes?: LeaseTimes;
  onWait?: OnWait;
  onRequest?: GraphHooks['onRequest'];
  /** Runs before the HTTP edge of the Graph client. */
  before?: Middleware;
};

export async function cycleOf(
  simulator: Simulator,
  tenantId: string,
  database: Database,
  wishes: CycleWishes = {},
): Promise<CycleResult> {
  const { through = database, policy = fastPolicy, log = pino({ level: 'silent' }), leaseTimes } = wishes;
  const { onWait, onRequest, before } = wishes;
  trust(simulator.certificate);
  const graph = openGraphAccess(readEnvironment(simulator.environment(tenantId)), {
    policy,
    ...(onWait && { onWait }),
    ...(onRequest && { onRequest }),
    ...(before && { before }),
  });
  const result = await runCycle(
    {
      database: through,
      defaults: loadDefaults(),
      log,
      openReader: graph.openReader,
      ...(leaseTimes && { leaseTimes }),
    },
    {
      tenantId,
      resync: wishes.resync ?? false,
      dryRun: wishes.dryRun ?? false,
      actor: wishes.actor ?? 'test',
      signal: wishes.signal ?? new AbortController().signal,
      ...(wishes.onProgress && { onProgress: wishes.onProgress }),
    },
  );
  // These tests judge one stream each, so a stream that failed beside a committed one is a failure.
  const [failure] = result.failures;
  if (failure) throw failure.error;
  return result;
}

export async function personOf(
  { simulator, tenant, database }: Pick<World, 'simulator' | 'tenant' | 'database'>,
  word: string,
  wishes: Partial<PersonOptions> = {},
): Promise<OnDemandResult> {
  trust(simulator.certificate);
  const { openReader } = openGraphAccess(readEnvironment(simulator.environment(tenant.tenantId)), {
    policy: fastPolicy,
  });
  return readUserOnDemand(
    { database, defaults: loadDefaults(), log: pino({ level: 'silent' }), openReader },
    {
      tenantId: tenant.tenantId,
      word,
      actor: 'test',
      dryRun: false,
      signal: new AbortController().signal,
      ...wishes,
    },
  );
}

/** Puts guests in scope and lifts the limits on removals; other tests cover both. */
export async function takeEverybody(database: Database, firstLoad: 'quick' | 'delta' = 'delta'): Promise<void> {
  await setSettings(database, {
    firstLoad,
    scope: { userType: 'any' },
    removals: { max: 1_000_000, percent: 100, floor: 0 },
  });
}

export type World = {
  readonly tenant: Tenant;
  readonly simulator: Simulator;
  readonly database: Database;
  readonly url: string;
  cycle(wishes?: CycleWishes): Promise<CycleResult>;
  /** Returns the paths of all requests to users/delta since `clearRequests`. */
  deltaRequests(): string[];
};

/** Opens a simulated tenant, registered in its own database, until the test ends. */
export async function openWorld(
  options: Partial<TenantOptions> & {
    simulator?: Partial<SimulatorSettings>;
    registered?: boolean;
    firstLoad?: 'quick' | 'delta';
    /** A migrated database of another server; the caller drops it. */
    url?: string;
    /** More tenants of the simulator, not registered. */
    others?: readonly Tenant[];
    /** The context's `onTestFinished`, which concurrent tests must pass. */
    onEnd?: typeof onTestFinished;
  } = {},
): Promise<World> {
  const {
    simulator: settings,
    registered = true,
    firstLoad,
    url,
    others = [],
    onEnd = onTestFinished,
    ...tenantOptions
  } = options;
  const tenant = createTenant({ seed: 1, users: 12, ...tenantOptions });
  const simulator = await startSimulator({ ...settings, tenants: [tenant, ...others] });
  const borrowed = url === undefined ? await borrowDatabase() : ownDatabase(url);
  const { database } = borrowed;
  onEnd(async () => {
    await borrowed.giveBack();
    await simulator.close();
  });
  await takeEverybody(database, firstLoad);
  if (registered)
    await addTenant(database, { tenantId: tenant.tenantId, name: tenant.name, ref: null }, loadDefaults());
  return {
    tenant,
    simulator,
    database,
    url: borrowed.url,
    cycle: (wishes) => cycleOf(simulator, tenant.tenantId, database, wishes),
    deltaRequests: () => simulator.requests.filter(({ path }) => isDeltaRequest(path)).map((request) => request.path),
  };
}

function ownDatabase(url: string): Borrowed {
  const database = openDatabase(url);
  return { url, database, giveBack: () => database.destroy() };
}

export function isDeltaRequest(path: string): boolean {
  return path.startsWith('/v1.0/users/delta');
}

/** Runs `work` and returns the expected error that it must throw. */
export async function failureOf(work: Promise<unknown>): Promise<ExpectedError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ExpectedError)) throw new Error('no expected error was thrown', { cause: error });
  return error;
}

/** The reason that Ctrl-C aborts a cycle with. */
export function interruption(): ExpectedError {
  return new ExpectedError('interrupted', 'interrupted');
}

/** The visible facts of an account. `profile` holds the fields that have a value. */
export type Facts = { enabled: boolean; userPrincipalName: unknown; mail: unknown; profile: Record<string, unknown> };

// Repeated here on purpose, since these tests judge config/default.yaml too.
const profileProperties = [
  'displayName',
  'givenName',
  'surname',
  'mail',
  'businessPhones',
  'mobilePhone',
  'faxNumber',
  'jobTitle',
  'department',
  'companyName',
  'officeLocation',
  'streetAddress',
  'postalCode',
  'city',
  'state',
  'country',
];

/** Computes the live accounts from the tenant, by object id. */
export function truthOf(
  tenant: Tenant,
  isTaken: (user: User) => boolean = () => true,
  more: (user: User) => object = () => ({}),
): Record<string, Facts> {
  return Object.fromEntries(
    tenant
      .users()
      .filter(isTaken)
      .map((user) => [user.id, { ...user, extra: more(user) }] as const)
      .map(([id, { properties, extra }]) => [
        id,
        {
          enabled: properties.accountEnabled !== false,
          userPrincipalName: properties.userPrincipalName ?? null,
          mail: properties.mail ?? null,
          profile: Object.assign(
            Object.fromEntries(
              profileProperties.flatMap((name) => {
                const value = properties[name];
                return value === undefined || (Array.isArray(value) && value.length === 0) ? [] : [[name, value]];
              }),
            ),
            extra,
          ),
        },
      ]),
  );
}

export type SeenAccount = Facts & { accountId: string };

/** Returns the live accounts as applications see them, by object id. */
export async function accountsOf(database: Database, tenantId: string): Promise<Record<string, SeenAccount>> {
  const found = await rows<{
    id: string;
    account_id: string;
    enabled: boolean;
    upn: string | null;
    mail: string | null;
    profile: Record<string, unknown>;
  }>(
    database,
    `select entra_object_id as id, account_id, enabled, user_principal_name as upn, mail, profile
       from directory.accounts where tenant_id = :tenantId order by 1`,
    { tenantId },
  );
  return Object.fromEntries(
    found.map(({ id, account_id, enabled, upn, mail, profile }) => [
      id,
      { accountId: account_id, enabled, userPrincipalName: upn, mail, profile },
    ]),
  );
}

/** Returns the reasons of the removed accounts by object id. */
export async function removedOf(database: Database, tenantId: string): Promise<Record<string, string>> {
  const found = await rows<{ id: string; reason: string }>(
    database,
    'select entra_object_id as id, reason from directory.removed_accounts where tenant_id = :tenantId order by 1',
    { tenantId },
  );
  return Object.fromEntries(found.map(({ id, reason }) => [id, reason]));
}

/** Returns `accounts` without our own ids. */
export function factsOf(accounts: Record<string, SeenAccount>): Record<string, Facts> {
  return Object.fromEntries(Object.entries(accounts).map(([id, { accountId: _, ...facts }]) => [id, facts]));
}

/**
 * Expects the live accounts to be the tenant's live users. With `known`, the object ids that ever had an account, expects
 * the removed accounts to be exactly those of `known` that are not live in the tenant.
 */
export async function expectTruth(
  tenant: Tenant,
  database: Database,
  known?: Iterable<string>,
  isTaken?: (user: User) => boolean,
  more?: (user: User) => object,
): Promise<void> {
  const truth = truthOf(tenant, isTaken, more);
  expect(factsOf(await accountsOf(database, tenant.tenantId))).toEqual(truth);
  if (known === undefined) return;
  const gone = [...new Set(known)].filter((id) => truth[id] === undefined);
  expect(Object.keys(await removedOf(database, tenant.tenantId)).sort()).toEqual(gone.sort());
}

/** Returns the state that a failed cycle must not change, as one text: checkpoint, accounts, feed. */
export async function committedState(database: Database, tenantId: string): Promise<string> {
  const [state] = await rows<{ state: string }>(
    database,
    `select jsonb_build_object(
       'checkpoints', (select jsonb_agg(c order by stream) from entra_sync.checkpoints c where tenant_id = :tenantId and stream = 'users'),
       'accounts', (select jsonb_agg(a order by account_id) from entra_sync.accounts a where tenant_id = :tenantId),
       'set_aside', (select jsonb_agg(s order by object_key) from entra_sync.set_aside s where tenant_id = :tenantId and stream = 'users'),
       'changes', (select max(change_id) from entra_sync.changes where tenant_id = :tenantId and kind like 'account.%'),
       'success', (select last_success_at from entra_sync.tenants where tenant_id = :tenantId))::text as state`,
    { tenantId },
  );
  return state?.state ?? '';
}

/**
 * Approves all held removals, as a person would who knows that they are right: even without limits a full round that would
 * remove every account is held. Runs the cycles that confirm an absence first.
 */
export async function approveAll(database: Database, tenantId: string, cycle: () => Promise<unknown>): Promise<void> {
  for (let round = 0; round < 4; round += 1) {
    for (const list of await openLists(database, tenantId)) {
      const decision = {
        tenantId,
        listId: list.list_id,
        ids: null,
        decision: 'approve',
        side: 'vendor',
        actor: 'test',
      } as const;
      if (list.unconfirmed === 0) await decideRemovals(database, decision);
    }
    if ((await openLists(database, tenantId)).length === 0) return;
    await cycle();
  }
}
