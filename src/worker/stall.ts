// Measures how long a worker with work to do has made no progress.

/** A worker that stalls longer is not ready. Waits of a cycle for Graph are shorter. */
export const stalledAfterSeconds = 900;

export type Stall = {
  /** Notes the begin of a cycle. Returns a function to call at its end. */
  begin(): () => void;
  /** Notes progress of a cycle, such as a page that was read. */
  progress(): void;
  /** Notes whether the queue has jobs that no worker has taken. */
  queued(waiting: boolean): void;
  /** Returns the seconds since the last end or progress; 0 while there is no work. */
  seconds(): number;
};

/** `now` returns milliseconds of a monotonic clock. */
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
