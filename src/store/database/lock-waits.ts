// How long a transaction waits for a lock: in attempts that let go of everything between them, to an end that names the
// session in its way.
import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { beginWait } from './activity.ts';
import { type Blocker, databaseLocked, findBlockers, isAtWork, type LockWait } from './blockers.ts';

/** Times in milliseconds. */
export type LockPatience = {
  /** lock_timeout of one attempt; a shorter one that the server sets for the role is obeyed. */
  readonly eachMs: number;
  /** After so much waiting the error names the blocker. */
  readonly forMs: number;
  /** The same while all blockers are this program's own writers at work: a large commit takes its time. */
  readonly forWorkMs: number;
  /** Between two attempts, so that sessions which waited for this one come through. */
  readonly pauseMs: number;
  /** After so much waiting `onWait` is told. */
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
 * For what locks all tenants: while it waits for one, it holds up the others, so that it lets go of them soon and leaves a
 * gap in which they come through. Behind a commit that takes long it waits no longer than behind a forgotten session.
 */
export const ofManyTenants: Partial<LockPatience> = { eachMs: 2_000, forWorkMs: 30_000, pauseMs: 500 };

export type WaitOptions = Partial<LockPatience> & {
  /** Called once for each session that a transaction waits for beyond `tellAfterMs`. */
  readonly onWait?: (wait: LockWait) => void;
};

/** The connection that looks for blockers. It is not one of the pool's, because all of those may be waiting. */
type BlockerConnection = { query(sql: string, values: unknown[]): Promise<{ rows: Blocker[] }> };
type Client = {
  acquireRawConnection(): Promise<BlockerConnection>;
  destroyRawConnection(looker: BlockerConnection): Promise<void>;
};

type Waiting = {
  since: number | undefined;
  readonly told: Set<number>;
  blockers: readonly Blocker[];
  /** Ends what metrics tell of this wait. */
  end: (() => void) | undefined;
};
type Attempt = { readonly lockMs: number; begun(pid: number, lockMs: number): void };

const attempts = new AsyncLocalStorage<Attempt>();

/** The attempt in whose course a transaction is begun: it is told the backend and the lock_timeout in force. */
export function currentAttempt(): Attempt | undefined {
  return attempts.getStore();
}

export type Waits = {
  readonly eachMs: number;
  /**
   * Does `work`, again from its beginning where a lock was not free in time. Throws `database_locked`, which names the
   * blocker, when the patience has come to its end.
   */
  patiently<Answer>(work: () => Promise<Answer>, patience?: Partial<LockPatience>): Promise<Answer>;
};

/** The waits of one pool. */
export function openWaits(client: Client, { onWait, ...given }: WaitOptions): Waits {
  const enter = openLockWatch(client);
  return {
    eachMs: given.eachMs ?? defaultPatience.eachMs,
    async patiently(work, own = {}) {
      // The options that the pool was opened with hold for all that it does.
      const patience = { ...defaultPatience, ...own, ...given };
      const waiting: Waiting = { since: undefined, told: new Set(), blockers: [], end: undefined };
      const lookout = enter((blockers) => note(waiting, blockers, patience, onWait));
      let [waitedMs, waitedForWorkMs] = [0, 0];
      try {
        for (;;) {
          let limitMs = patience.eachMs;
          const begun = (pid: number, lockMs: number) => {
            limitMs = lockMs;
            lookout.watch(pid, lockMs / 4);
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
            lookout.rest();
          }
          // A server that gives a lock no time at all is not asked all the time.
          await delay(Math.max(patience.pauseMs, 200 - limitMs));
        }
      } finally {
        waiting.end?.();
        lookout.leave();
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

/** Whether a statement failed because a lock was not free in time. */
export function isLockTimeout(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === '55P03';
}

type LockWatch = {
  /** Looks at the backend every so often, until `rest`. */
  watch(pid: number, everyMs: number): void;
  rest(): void;
  leave(): void;
};

/** One connection for all that wait at a time, opened at the first look: most transactions end before that. */
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
    const lookAt = async (pid: number, mine: NodeJS.Timeout | undefined) => {
      if (timer !== mine) return;
      const blockers = await ask(pid);
      if (timer === mine) found(blockers);
    };
    const rest = () => {
      clearInterval(timer);
      timer = undefined;
    };
    return {
      watch(pid, everyMs) {
        rest();
        let busy = false;
        const mine = setInterval(
          () => {
            if (busy) return;
            busy = true;
            // One after another. A look that fails leaves the blocker unknown, and the wait has its end all the same.
            last = last
              .then(() => lookAt(pid, mine))
              .catch(close)
              .finally(() => {
                busy = false;
              });
          },
          Math.min(1_000, Math.max(20, everyMs)),
        );
        timer = mine.unref();
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
