// The work of this process's connections: told of while it lasts, and ended when the process is told to stop.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Client } from 'pg';
import { ExpectedError } from '../../errors.ts';
import { sendCancel } from './cancel.ts';

/** `statement`: the server works at it, or waits. `connection`: of the pool, or to the server. `lock`: between two tries for one. */
export type Activity = {
  readonly kind: 'statement' | 'connection' | 'lock';
  /** By `performance.now()`. */
  readonly since: number;
  /** The tenant that it is for, where it is for one ({@link forTenant}). */
  readonly tenantId: string | null;
  /** The reason of a wait, where the waiting code knows it. */
  readonly reason: string | null;
  /** The process of the server that does it, as the server or the pooler before it calls it. */
  readonly pid: number | null;
};

type Held = Activity & {
  readonly client: Client | null;
  /** The error that this process has the statement cancelled for ({@link giveUp}). */
  endedBy?: ExpectedError;
};

const tenants = new AsyncLocalStorage<string>();
const busy = new Set<{ readonly tenantId: string }>();
const underWay = new Set<Held>();
const connecting = new Set<Client>();
const connected = new Set<Client>();
const withoutEnd = new WeakSet<Client>();
let ending: 'no' | 'cancelling' | 'cut' = 'no';

/** Runs `work`, whose statements are told of as this tenant's. */
export function forTenant<Answer>(tenantId: string, work: () => Promise<Answer>): Promise<Answer> {
  const one = { tenantId };
  busy.add(one);
  return tenants.run(tenantId, work).finally(() => busy.delete(one));
}

/** The tenant that this is done for, or null. */
export function currentTenant(): string | null {
  return tenants.getStore() ?? null;
}

/** The tenants that {@link forTenant} works for now. */
export function busyTenants(): readonly string[] {
  return [...busy].map(({ tenantId }) => tenantId);
}

/** The activities that are under way now. */
export function activities(): readonly Activity[] {
  return [...underWay];
}

/** Tells of a wait that is no single statement: of tries for a lock, say. The function that is returned ends it. */
export function beginWait(kind: Activity['kind'], reason: string | null = null): () => void {
  const held = begin(kind, null, reason);
  return () => void underWay.delete(held);
}

function begin(kind: Activity['kind'], client: Client | null, reason: string | null): Held {
  const pid = (client as { processID?: number } | null)?.processID ?? null;
  const held: Held = { kind, client, reason, pid, since: performance.now(), tenantId: currentTenant() };
  underWay.add(held);
  return held;
}

/** Connects, told of to {@link endActivities}. Throws `interrupted` once connections are cut. */
export async function connectWatched(client: Client): Promise<void> {
  refuseNew();
  connecting.add(client);
  client.once('end', () => void connecting.delete(client));
  await client.connect();
}

function refuseNew(): void {
  if (ending !== 'cut') return;
  throw new ExpectedError('interrupted', 'no connection to the database is made any more: this process ends', {
    cure: 'run the command again',
  });
}

/**
 * Tells of every statement of a connection that is made. `onError` hears how one failed, before its caller does. `endless`:
 * its statements may wait for locks without an end.
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

/** Has the server cancel a statement, which then fails by `error` (database-errors.ts). Does nothing where it has ended. */
export function giveUp(one: Activity, error: ExpectedError): void {
  const held = one as Held;
  if (!held.client || withoutEnd.has(held.client) || !underWay.has(held)) return;
  held.endedBy = error;
  sendCancel(held.client);
}

/** Tells of the wait for a connection of the pool. */
export async function watchAcquisition<Connection>(acquire: () => Promise<Connection>): Promise<Connection> {
  refuseNew();
  const end = beginWait('connection');
  try {
    return await acquire();
  } finally {
    end();
  }
}

// Work that ends by itself within this time is let end: a commit in its last statement, say.
const graceMs = 2_000;
const cutAfterMs = 5_000;
const lookEveryMs = 250;
// Work that has only just begun does not wait yet, and may be giving a lease back.
const freshMs = 750;

/**
 * Ends what this process does on databases, because it was told to stop: what takes longer than two seconds is cancelled
 * by the server, connections that are still being made are given up; what even then does not end within five seconds
 * loses its connection, and no new one is made. The server rolls back what was open.
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
