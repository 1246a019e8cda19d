// The work of this process's connections, listed while it lasts.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Client } from 'pg';
import { ExpectedError } from '../../errors.ts';
import { sendCancel } from './cancel.ts';

/** `statement`: runs or waits on the server. `connection`: waits for the pool or the server. `lock`: between two tries. */
export type Activity = {
  readonly kind: 'statement' | 'connection' | 'lock';
  /** By `performance.now()`. */
  readonly since: number;
  /** The tenant that the work is for ({@link forTenant}). */
  readonly tenantId: string | null;
  /** Why it waits, if known. */
  readonly reason: string | null;
  /** The server's process id. A pooler may report its own. */
  readonly pid: number | null;
};

type TrackedActivity = Activity & {
  readonly client: Client | null;
  /** Why this process had the statement cancelled ({@link giveUp}). */
  endedBy?: ExpectedError;
};

const tenants = new AsyncLocalStorage<string>();
const busy = new Set<{ readonly tenantId: string }>();
const underWay = new Set<TrackedActivity>();
const connecting = new Set<Client>();
const connected = new Set<Client>();
const withoutEnd = new WeakSet<Client>();
let ending: 'no' | 'cancelling' | 'cut' = 'no';

/** Runs `work` and lists its statements under the tenant. */
export function forTenant<Answer>(tenantId: string, work: () => Promise<Answer>): Promise<Answer> {
  const one = { tenantId };
  busy.add(one);
  return tenants.run(tenantId, work).finally(() => busy.delete(one));
}

/** The tenant of the current {@link forTenant}, or null. */
export function currentTenant(): string | null {
  return tenants.getStore() ?? null;
}

/** Returns the tenants that {@link forTenant} works for now. */
export function busyTenants(): readonly string[] {
  return [...busy].map(({ tenantId }) => tenantId);
}

/** Returns the work that is under way. */
export function activities(): readonly Activity[] {
  return [...underWay];
}

/** Lists a wait of several statements, such as tries for a lock. Returns the function that ends it. */
export function beginWait(kind: Activity['kind'], reason: string | null = null): () => void {
  const held = begin(kind, null, reason);
  return () => void underWay.delete(held);
}

function begin(kind: Activity['kind'], client: Client | null, reason: string | null): TrackedActivity {
  const pid = (client as { processID?: number } | null)?.processID ?? null;
  const held: TrackedActivity = { kind, client, reason, pid, since: performance.now(), tenantId: currentTenant() };
  underWay.add(held);
  return held;
}

/** Connects; {@link endActivities} can cut the attempt. Throws `interrupted` once connections are cut. */
export async function connectWatched(client: Client): Promise<void> {
  refuseNew();
  connecting.add(client);
  client.once('end', () => void connecting.delete(client));
  await client.connect();
}

function refuseNew(): void {
  if (ending !== 'cut') return;
  throw new ExpectedError('interrupted', 'this process is ending and makes no more connections to the database', {
    cure: 'run the command again',
  });
}

/**
 * Lists every statement of an open connection. `onError` gets errors before the caller. `endless`: statements may wait
 * for locks for ever.
 */
export function watchConnection(
  client: Client,
  onError: (error: unknown) => void,
  { endless = false }: { readonly endless?: boolean } = {},
): void {
  if (endless) withoutEnd.add(client);
  connecting.delete(client);
  connected.add(client);
  client.once('end', () => void connected.delete(client));
  const { query } = client;
  const watched = (...given: readonly unknown[]) => {
    const held = begin('statement', client, null);
    const over = (error: unknown) => {
      underWay.delete(held);
      if (!error) return;
      if (held.endedBy) Object.assign(error, { endedBy: held.endedBy });
      onError(error);
    };
    const callback = given.at(-1);
    if (typeof callback === 'function') {
      const told = (error: unknown, ...more: unknown[]) => {
        over(error);
        callback(error, ...more);
      };
      return Reflect.apply(query, client, [...given.slice(0, -1), told]);
    }
    const answer = Reflect.apply(query, client, given) as unknown as Promise<unknown>;
    answer.then(() => over(null), over);
    return answer;
  };
  Object.assign(client, { query: watched });
}

/** Has the server cancel a statement, which then fails with `error`. Ignores one that has ended. */
export function giveUp(one: Activity, error: ExpectedError): void {
  const held = one as TrackedActivity;
  if (!held.client || withoutEnd.has(held.client) || !underWay.has(held)) return;
  held.endedBy = error;
  sendCancel(held.client);
}

/** Lists the wait for a connection of the pool. */
export async function watchAcquisition<Connection>(acquire: () => Promise<Connection>): Promise<Connection> {
  refuseNew();
  const end = beginWait('connection');
  try {
    return await acquire();
  } finally {
    end();
  }
}

// Time for work to end by itself, such as a commit in its last statement.
const graceMs = 2_000;
const cutAfterMs = 5_000;
const lookEveryMs = 250;
// A new statement does not wait yet, and may be releasing a lease.
const freshMs = 750;

/**
 * Ends this process's work on databases: after two seconds cancels statements and drops unfinished connections, after
 * five cuts all connections and makes no new ones. The server rolls back open transactions.
 */
export function endActivities(): void {
  if (ending !== 'no') return;
  ending = 'cancelling';
  const started = performance.now();
  const look = setInterval(() => {
    const passed = performance.now() - started;
    if (passed >= cutAfterMs) {
      clearInterval(look);
      ending = 'cut';
      for (const client of [...connecting, ...connected]) cut(client);
    } else if (passed >= graceMs) cancelOld();
  }, lookEveryMs);
  look.unref();
}

function cancelOld(): void {
  const before = performance.now() - freshMs;
  for (const { client, since } of underWay) if (client && since < before) sendCancel(client);
  for (const client of connecting) cut(client);
}

function cut(client: Client): void {
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}
