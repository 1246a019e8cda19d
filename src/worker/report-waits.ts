// The waits of a process for the database: each is told after ten seconds, and the longest of each kind is for a gauge.
import type { ExpectedError } from '../errors.ts';
import type { Activity } from '../store/database/activity.ts';
import { type Blocker, databaseLocked, describeHolders } from '../store/database/blockers.ts';
import type { StatementState } from '../store/database/health.ts';

export const waitKinds = ['lock', 'connection', 'database'] as const;
export type WaitKind = (typeof waitKinds)[number];

/** A wait that lasts, in words and for a log. */
export type LastingWait = {
  readonly tenantId: string | null;
  readonly kind: WaitKind;
  readonly seconds: number;
  readonly reason: string;
};

export type WaitWatch = {
  /** Looks once: at what lasts, and what the server says of it. Never throws. */
  look(): Promise<void>;
  /** The longest wait of each kind now, in seconds; 0 where there is none. */
  longest(): Record<WaitKind, number>;
};

const tellAfterMs = 10_000;
const tellAgainMs = 60_000;
// Transactions of the store set lock_timeout, and wait less. Reads, and the queue's statements, know no other end.
const endAfterMs = 30_000;

/**
 * Watches the `activities` of this process. A statement that lasts may be at work or wait: that the server says, asked by
 * `ask` for its processes; where it does not answer, the wait is one for the database.
 */
export function openWaitWatch(parts: {
  readonly activities: () => readonly Activity[];
  readonly ask: (pids: readonly number[]) => Promise<readonly StatementState[]>;
  /** Called after ten seconds, and each minute after that. */
  readonly tell: (wait: LastingWait) => void;
  /** Called for a statement that has waited for a lock for 30 seconds: it is to fail by `error`. */
  readonly giveUp: (one: Activity, error: ExpectedError) => void;
  readonly now?: () => number;
}): WaitWatch {
  const { activities, ask, now = () => performance.now() } = parts;
  const told = new WeakMap<Activity, number>();
  let kinds = new WeakMap<Activity, WaitKind>();
  let holders = new WeakMap<Activity, readonly Blocker[]>();

  const kindOf = (one: Activity) => (one.kind === 'statement' ? kinds.get(one) : one.kind);

  async function judge(): Promise<void> {
    const old = activities().filter(({ kind, since }) => kind === 'statement' && now() - since >= tellAfterMs);
    if (old.length === 0) return;
    const pids = old.flatMap(({ pid }) => (pid === null ? [] : [pid]));
    const states = await ask(pids).catch(() => undefined);
    kinds = new WeakMap();
    holders = new WeakMap();
    for (const one of old) {
      const locked = states?.find(({ pid, forLock }) => pid === one.pid && forLock);
      if (!states) kinds.set(one, 'database');
      if (!locked) continue;
      kinds.set(one, 'lock');
      holders.set(one, locked.blockers);
    }
  }

  function tell(one: Activity): void {
    const waitedMs = now() - one.since;
    const kind = kindOf(one);
    // A wait for a lock that is tried again and again names its blocker itself (store/database/lock-waits.ts).
    if (kind === undefined || one.kind === 'lock' || waitedMs < tellAfterMs) return;
    if (now() - (told.get(one) ?? Number.NEGATIVE_INFINITY) < tellAgainMs) return;
    told.set(one, now());
    const held = holders.get(one);
    const reason = kind === 'lock' && held ? `${reasons.lock}: ${describeHolders(held)}` : reasons[kind];
    parts.tell({ tenantId: one.tenantId, kind, seconds: Math.round(waitedMs / 1000), reason });
  }

  function end(one: Activity): void {
    const held = holders.get(one);
    const waitedMs = now() - one.since;
    if (held && waitedMs >= endAfterMs) parts.giveUp(one, databaseLocked(held, waitedMs, undefined));
  }

  return {
    look: async () => {
      await judge();
      for (const one of activities()) {
        tell(one);
        end(one);
      }
    },
    longest: () => {
      const longest = { lock: 0, connection: 0, database: 0 };
      for (const one of activities()) {
        const kind = kindOf(one);
        if (kind) longest[kind] = Math.max(longest[kind], (now() - one.since) / 1000);
      }
      return longest;
    },
  };
}

const reasons: Readonly<Record<WaitKind, string>> = {
  lock: 'another session of the database holds a lock',
  connection: 'no connection to the database is to be had: all of the pool are in use, or none can be made',
  database: 'the database does not answer',
};
