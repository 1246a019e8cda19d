// For how long a worker has got nowhere although there was something to do: a worker that stands still says so itself.

/** Beyond that a worker is not ready: longer than a cycle may wait for Graph, during which it shows no progress. */
export const stalledAfterSeconds = 900;

export type Stall = {
  /** A cycle begins; the function that is returned tells of its end, however it ended. */
  begin(): () => void;
  /** A cycle has gone on: a page was read, or the like. */
  progress(): void;
  /** Whether the queue has jobs that no worker has taken. */
  queued(waiting: boolean): void;
  /** Since the last end or progress; 0 while there is nothing to do. */
  seconds(): number;
};

/** `now` gives milliseconds of a clock that only goes forward. */
export function openStall(now: () => number = () => performance.now()): Stall {
  let running = 0;
  let waiting = false;
  let since: number | undefined;

  const restart = () => {
    since = running > 0 || waiting ? now() : undefined;
  };
  return {
    begin: () => {
      running += 1;
      since ??= now();
      return () => {
        running -= 1;
        restart();
      };
    },
    progress: restart,
    queued: (isWaiting) => {
      waiting = isWaiting;
      if (running === 0 && !waiting) since = undefined;
      else since ??= now();
    },
    seconds: () => (since === undefined ? 0 : (now() - since) / 1000),
  };
}
