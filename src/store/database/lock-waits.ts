// How long a transaction waits for a lock: in attempts, holding nothing in between. The final error names the blocker.
import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { beginWait } from './activity.ts';
import { type Blocker, databaseLocked, findBlockers, isAtWork, type LockWait } from './blockers.ts';

/** Times in milliseconds. */
export type LockPatience = {
  /** lock_timeout of one attempt; a shorter one of the role stays. */
  readonly eachMs: number;
  /** The wait is given up after this. */
  readonly forMs: number;
  /** The same while all blockers are working writers of this program: a large commit takes long. */
  readonly forWorkMs: number;
  /** Pause between two attempts, so that sessions behind this one get their locks. */
  readonly pauseMs: number;
  readonly tellAfterMs: number;
};

const defaultPatience: LockPatience = {
  eachMs: 5_000,
  forMs: 30_000,
  forWorkMs: 600_000,
  pauseMs: 50,
  tellAfterMs: 10_000,
};

/**
 * For transactions that lock all tenants and block the others while they wait for one: short attempts, long pauses, no
 * extra time for a long commit.
 */
export const ofManyTenants: Partial<LockPatience> = { eachMs: 2_000, forWorkMs: 30_000, pauseMs: 500 };

export type WaitOptions = Partial<LockPatience> & {
  /** Called once per session that a transaction waits for beyond `tellAfterMs`. */
  readonly onWait?: (wait: LockWait) => void;
};

/** Asks for blockers from outside the pool, whose connections may all be waiting. */
type BlockerConnection = { query(sql: string, values: unknown[]): Promise<{ rows: Blocker[] }> };
type Client = {
  acquireRawConnection(): Promise<BlockerConnection>;
  destroyRawConnection(connection: BlockerConnection): Promise<void>;
};

type Waiting = {
  since: number | undefined;
  readonly told: Set<number>;
  blockers: readonly Blocker[];
  /** Ends the activity that metrics report. */
  end: (() => void) | undefined;
};
type Attempt = { readonly lockMs: number; begun(pid: number, lockMs: number): void };

const attempts = new AsyncLocalStorage<Attempt>();

/** Returns the current attempt; a transaction reports its backend and lock_timeout to `begun`. */
export function currentAttempt(): Attempt | undefined {
  return attempts.getStore();
}

export type Waits = {
  readonly eachMs: number;
  /**
   * Runs `work`, again after lock timeouts. Throws `database_locked`, which names the blocker, when the patience ends.
   */
  patiently<Answer>(work: () => Promise<Answer>, patience?: Partial<LockPatience>): Promise<Answer>;
};

/** Returns the lock waits of one pool. */
export function openWaits(client: Client, { onWait, ...given }: WaitOptions): Waits {
  const enter = openLockWatch(client);
  return {
    eachMs: given.eachMs ?? defaultPatience.eachMs,
    async patiently(work, own = {}) {
      // The pool's options override those of the call.
      const patience = { ...defaultPatience, ...own, ...given };
      const waiting: Waiting = { since: undefined, told: new Set(), blockers: [], end: undefined };
      const lockWatch = enter((blockers) => note(waiting, blockers, patience, onWait));
      let [waitedMs, waitedForWorkMs] = [0, 0];
      try {
        for (;;) {
          let limitMs = patience.eachMs;
          const begun = (pid: number, lockMs: number) => {
            limitMs = lockMs;
            lockWatch.watch(pid, lockMs / 4);
          };
          try {
            return await attempts.run({ lockMs: patience.eachMs, begun }, work);
          } catch (error) {
            if (!isLockTimeout(error)) throw error;
            const { blockers } = waiting;
            const atWork = blockers.length > 0 && blockers.every((one) => isAtWork(one, patience.eachMs));
            if (atWork) waitedForWorkMs += limitMs;
            else waitedMs += limitMs;
            const allMs = waitedMs + waitedForWorkMs;
            const isEnough = atWork ? allMs >= patience.forWorkMs : waitedMs >= patience.forMs;
            if (isEnough) throw databaseLocked(blockers, allMs, error);
          } finally {
            lockWatch.rest();
          }
          // No busy loop for a role with a tiny lock_timeout.
          await delay(Math.max(patience.pauseMs, 200 - limitMs));
        }
      } finally {
        waiting.end?.();
        lockWatch.leave();
      }
    },
  };
}

function note(
  waiting: Waiting,
  blockers: readonly Blocker[],
  { tellAfterMs }: LockPatience,
  onWait: WaitOptions['onWait'],
): void {
  if (blockers.length === 0) {
    waiting.since = undefined;
    waiting.end?.();
    waiting.end = undefined;
    return;
  }
  waiting.end ??= beginWait('lock', 'a wait for a lock');
  waiting.blockers = blockers;
  waiting.since ??= performance.now();
  const waitedMs = performance.now() - waiting.since;
  const [first] = blockers;
  if (!first || waitedMs < tellAfterMs || waiting.told.has(first.pid)) return;
  waiting.told.add(first.pid);
  onWait?.({ blockers, waitedMs });
}

/** Whether a lock timeout ended a statement. */
export function isLockTimeout(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === '55P03';
}

type LockWatch = {
  /** Asks for the backend's blockers every `everyMs` (20 to 1,000), until `rest`. */
  watch(pid: number, everyMs: number): void;
  rest(): void;
  leave(): void;
};

/** All waits share one connection, opened at the first query: most end before. */
function openLockWatch(client: Client): (found: (blockers: readonly Blocker[]) => void) => LockWatch {
  let connection: Promise<BlockerConnection> | undefined;
  let last: Promise<unknown> = Promise.resolve();
  let inside = 0;

  const close = () => {
    const open = connection;
    connection = undefined;
    if (open) last = last.then(async () => client.destroyRawConnection(await open)).catch(() => {});
  };
  const ask = async (pid: number): Promise<Blocker[]> => {
    connection ??= client.acquireRawConnection();
    return (await (await connection).query(findBlockers, [pid])).rows;
  };
  return (found) => {
    inside += 1;
    let timer: NodeJS.Timeout | undefined;
    const lookAt = async (pid: number, asking: NodeJS.Timeout | undefined) => {
      if (timer !== asking) return;
      const blockers = await ask(pid);
      if (timer === asking) found(blockers);
    };
    const rest = () => {
      clearInterval(timer);
      timer = undefined;
    };
    return {
      watch(pid, everyMs) {
        rest();
        let busy = false;
        const asking = setInterval(
          () => {
            if (busy) return;
            busy = true;
            // One query at a time. If it fails the blocker is unknown, and the wait still ends.
            last = last
              .then(() => lookAt(pid, asking))
              .catch(close)
              .finally(() => {
                busy = false;
              });
          },
          Math.min(1_000, Math.max(20, everyMs)),
        );
        timer = asking.unref();
      },
      rest,
      leave() {
        rest();
        inside -= 1;
        if (inside === 0) close();
      },
    };
  };
}
