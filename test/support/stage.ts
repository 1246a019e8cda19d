// Rounds for database tests, without Graph: pages as Graph would send them, through the real decode, merge, stage, commit.
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { decodeObject, decodePage, type Json, type Problem } from '../../src/rules/decode.ts';
import type { PropertyType } from '../../src/rules/graph-properties.ts';
import { type MappedField, mapUser, requiredUserProperties, userKeys } from '../../src/rules/mapping.ts';
import { type MergedObject, mergeObjects, overlay, type RoundKind } from '../../src/rules/merge.ts';
import { loadDefaults } from '../../src/settings/settings.ts';
import { type CommitOptions, type CommitResult, commitRound } from '../../src/store/commit/round.ts';
import { acquireLease, type Lease, type LeaseTimes } from '../../src/store/cycle/lease.ts';
import { type Database, rows } from '../../src/store/database/pool.ts';
import { settingsVersion } from '../../src/store/settings/versions.ts';
import { doubtfulObjects } from '../../src/store/stage/doubts.ts';
import { beginRound, type Round } from '../../src/store/stage/rounds.ts';
import { type StagedUser, settleUsers, stageUsersPage, type UsersPageToStage } from '../../src/store/stage/users.ts';
import { addTenant } from '../../src/store/tenants/tenants.ts';
import { borrowDatabase } from './borrowed.ts';

export type Store = {
  readonly url: string;
  readonly database: Database;
  /** Opens a separate connection, closed with the store, for explicit interleaving. */
  connect(): Promise<Client>;
  close(): Promise<void>;
};

/** Opens a migrated database of the test's own, with a pool. */
export async function openStore(): Promise<Store> {
  const { url, database, giveBack } = await borrowDatabase();
  const clients: Client[] = [];
  return {
    url,
    database,
    async connect() {
      const client = new Client({ connectionString: url });
      // Connections that a test leaves open are cut when the database is dropped.
      client.on('error', () => {});
      await client.connect();
      clients.push(client);
      return client;
    },
    async close() {
      await Promise.all(clients.map((client) => client.end().catch(() => {})));
      await giveBack();
    },
  };
}

/** Registers a tenant and takes its lease, as a cycle does. */
export async function leasedTenant(store: Store, times?: LeaseTimes): Promise<Lease> {
  const tenantId = randomUUID();
  await addTenant(store.database, { tenantId, name: tenantId, ref: null }, loadDefaults());
  return acquireLease(store.database, tenantId, times);
}

/** Returns the object id of a number; always the same. */
export function objectId(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
}

export type GraphObject = { readonly id: string; readonly [property: string]: unknown };

/** Returns a whole user as a full round shows it; `more` overrides properties. */
export function user(n: number, more: Record<string, unknown> = {}): GraphObject {
  const name = `user${n}@example.com`;
  return {
    id: objectId(n),
    userPrincipalName: name,
    mail: name,
    displayName: `User ${n}`,
    jobTitle: 'Clerk',
    accountEnabled: true,
    ...more,
  };
}

/** Returns a tombstone: `changed` for a soft-deleted user, `deleted` for a permanently deleted one. */
export function tombstone(n: number, reason: 'changed' | 'deleted' = 'changed'): GraphObject {
  return { id: objectId(n), '@removed': { reason } };
}

/** Returns a user with an invalid body (rule 19). */
export function badUser(n: number): GraphObject {
  return user(n, { mail: 'half a pair \ud800' });
}

const selected: ReadonlyMap<string, PropertyType> = new Map([
  ['userPrincipalName', 'string'],
  ['mail', 'string'],
  ['displayName', 'string'],
  ['jobTitle', 'string'],
  ['accountEnabled', 'boolean'],
]);

const fields: readonly MappedField[] = ['displayName', 'jobTitle', 'mail'].map((name) => ({
  field: name,
  from: { path: [name] },
}));

export type RoundOptions = { dryRun?: boolean; fingerprint?: string };

/** Begins a round of the users stream under the settings in force. */
export async function begin(store: Store, lease: Lease, kind: RoundKind, options: RoundOptions = {}): Promise<Round> {
  return beginRound(store.database, lease, {
    stream: 'users',
    dryRun: options.dryRun ?? false,
    kind,
    reason: 'test',
    settingsVersion: await settingsVersion(store.database, lease.tenantId),
    fingerprint: options.fingerprint ?? 'mapping',
  });
}

/** Returns a page to stage, as from the answer to `url`. */
export function page(kind: RoundKind, url: string, objects: readonly GraphObject[], link: UsersPageToStage['link']) {
  const body = {
    value: objects,
    ...('next' in link ? { '@odata.nextLink': link.next } : { '@odata.deltaLink': link.delta }),
  };
  const decoded = decodePage(body, selected);
  if ('malformed' in decoded) throw new Error(decoded.malformed);
  return {
    urls: [url],
    link: decoded.link,
    problems: decoded.problems,
    seen: objects.length,
    occurrences: decoded.occurrences,
    merge: (known, stored) =>
      mergeObjects(kind, known, decoded.occurrences, requiredUserProperties, stored).map(withMapping),
  } satisfies UsersPageToStage;
}

/** Returns the link to page `n` (from 1) of a round. */
export function linkTo(round: Round, n: number): string {
  return `https://graph.example/users/delta?round=${round.round_id}&page=${n}`;
}

/** Returns the delta link at the end of a round. */
export function deltaLinkOf(round: Round): string {
  return `https://graph.example/users/delta?after=${round.round_id}`;
}

/** Stages the round's next page; the `last` one ends with a delta link. */
export function stageNext(
  store: Store,
  lease: Lease,
  round: Round,
  objects: readonly GraphObject[],
  last = false,
): Promise<Round> {
  const n = round.pages + 1;
  const link = last ? { delta: deltaLinkOf(round) } : { next: linkTo(round, n + 1) };
  return stageUsersPage(store.database, lease, round, page(round.kind, linkTo(round, n), objects, link));
}

/** Begins a round and stages all its pages; it then waits for its commit. */
export async function pull(
  store: Store,
  lease: Lease,
  kind: RoundKind,
  pages: readonly (readonly GraphObject[])[],
  options: RoundOptions = {},
): Promise<Round> {
  let round = await begin(store, lease, kind, options);
  for (const [index, objects] of pages.entries()) {
    round = await stageNext(store, lease, round, objects, index === pages.length - 1);
  }
  return round;
}

/** Asks for the objects in doubt (rule 22). `now` holds GET's answers; other objects are not found. */
export async function settle(store: Store, lease: Lease, round: Round, now: readonly GraphObject[]): Promise<string[]> {
  const doubtful = await doubtfulObjects(store.database, lease.tenantId, round.round_id, 'users');
  const ids = doubtful.map((one) => one.id);
  const live: { user: StagedUser; memberOf: undefined }[] = [];
  const problems: Problem[] = [];
  const notFound: string[] = [];
  for (const id of ids) {
    const object = now.find((one) => one.id === id);
    const decoded = object && decodeObject(object, selected);
    if (!decoded) notFound.push(id);
    else if ('reason' in decoded) problems.push({ ...decoded, id });
    else if ('patch' in decoded) {
      const user = withMapping({ id, source: overlay({}, decoded.patch), removed: null, doubt: null });
      live.push({ user, memberOf: undefined });
    }
  }
  await settleUsers(store.database, lease, round.round_id, {
    asked: ids,
    live,
    problems,
    notFound,
    readAt: new Date(),
  });
  return ids;
}

export function commit(
  store: Store,
  lease: Lease,
  round: Round,
  options: Partial<CommitOptions> = {},
): Promise<CommitResult> {
  return commitRound(store.database, lease, {
    stream: 'users',
    round,
    cycleId: null,
    actor: 'test',
    retentionMs: 30 * 86_400_000,
    removals: { max: 1_000_000, percent: 100, floor: 0 },
    match: [],
    scopeGroups: [],
    groupsJudged: false,
    dryRun: false,
    ...options,
  });
}

/** Runs a whole round: begins it, stages its pages, settles doubts by `now`, and commits. */
export async function sync(
  store: Store,
  lease: Lease,
  kind: RoundKind,
  pages: readonly (readonly GraphObject[])[],
  options: Partial<CommitOptions> & { now?: readonly GraphObject[] } = {},
): Promise<CommitResult> {
  const { now = [], ...commitOptions } = options;
  const round = await pull(store, lease, kind, pages, { dryRun: options.dryRun ?? false });
  await settle(store, lease, round, now);
  return commit(store, lease, round, commitOptions);
}

/** Returns a merged user in the form of the stage. */
export function withMapping(merged: MergedObject): StagedUser {
  return {
    ...merged,
    mapped: mapUser(merged.source, fields),
    ...userKeys(merged.source),
    inScope: true,
    outside: null,
    condition: null,
  };
}

/** Runs SQL with bindings written `:name`, and returns its rows. */
export function ask<Row = Record<string, Json>>(
  store: Pick<Store, 'database'>,
  sql: string,
  values: Record<string, unknown> = {},
): Promise<Row[]> {
  return rows<Row>(store.database, sql, values);
}

/** Returns a digest of a tenant's (or all tenants') lasting rows, to show that nothing changed. */
export async function fingerprintOf(store: Store, tenantId: string | null = null): Promise<string> {
  const parts: unknown[] = [];
  for (const table of ['accounts', 'changes', 'checkpoints', 'set_aside', 'batches']) {
    parts.push(
      await ask(
        store,
        `select t.xmin::text, t.ctid::text, to_jsonb(t) as row from entra_sync.${table} t
          where :tenantId::uuid is null or t.tenant_id = :tenantId order by t.ctid`,
        { tenantId },
      ),
    );
  }
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** Polls until `met` returns true. Gives up after 200 seconds, so that a busy machine fails no test, and names `what`. */
export async function until(what: string, met: () => Promise<boolean> | boolean): Promise<void> {
  const giveUp = performance.now() + 200_000;
  while (!(await met())) {
    if (performance.now() > giveUp) throw new Error(`gave up waiting: ${what}`);
    await delay(5);
  }
}

/** Waits until `backends` connections of the store's database wait for a lock. */
export function untilBlocked(store: Pick<Store, 'database'>, backends = 1): Promise<void> {
  return until('a connection waits for a lock', async () => {
    const waiting = await ask(
      store,
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    return waiting.length >= backends;
  });
}

/**
 * Holds every commit that has a batch, after all its statements and before another session can see it. Returns the
 * function that releases them. It adds a trigger, so the database is not lent again.
 */
export async function holdCommits(store: Store): Promise<() => Promise<void>> {
  const holder = await store.connect();
  await holder.query(`
    create or replace function entra_sync.wait_at_commit() returns trigger language plpgsql as
      $$ begin perform pg_advisory_xact_lock_shared(1); return null; end $$;
    drop trigger if exists wait_at_commit on entra_sync.batches;
    create constraint trigger wait_at_commit after insert on entra_sync.batches deferrable initially deferred
      for each row execute function entra_sync.wait_at_commit()`);
  await holder.query('select pg_advisory_lock(1)');
  return async () => {
    await holder.query('select pg_advisory_unlock(1)');
  };
}
