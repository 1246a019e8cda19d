// Readers that keep to one pace: requests wait for their turn, so that many may be asked for at the same time.
import { answered, openPace, spend, throttled } from '../rules/pace.ts';
import type { GraphReader } from './reader.ts';

// By the published costs (learn.microsoft.com/graph/throttling-limits): 2 units for a page of users, as many for a page of
// members with $select; 20 of those in a batch.
const unitsOf = { page: 2, batch: 40 } as const;

/**
 * Opens a lane: the readers that it gives share one pace. So many requests are in flight, fewer after a 429 (of an item in a
 * batch, too) or when answers become slow, and none starts before the time that Graph asked for. Retries are the reader's;
 * a request that waits for one keeps its place. Requests that wait for their turn end with the reason of `signal`.
 */
export function openLane(
  signal: AbortSignal,
  now: () => number = () => performance.now(),
): (reader: GraphReader) => GraphReader {
  let pace = openPace(now());
  let inFlight = 0;
  let wake = () => {};
  let line: Promise<void> = Promise.resolve();
  signal.addEventListener('abort', () => wake(), { once: true });

  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = Number.isFinite(ms) ? setTimeout(resolve, ms) : undefined;
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const enter = async (units: number) => {
    for (;;) {
      signal.throwIfAborted();
      const turn = spend(pace, units, inFlight, now());
      if ('pace' in turn) {
        pace = turn.pace;
        inFlight += 1;
        return;
      }
      await pause(turn.waitMs);
    }
  };

  const paced =
    (reader: GraphReader): GraphReader['getJson'] =>
    async (url, options) => {
      const kind = options.batch ? 'batch' : 'page';
      // One after another, so that nobody who came first is overtaken.
      const turn = line.then(() => enter(unitsOf[kind]));
      line = turn.catch(() => {});
      await turn;
      const started = now();
      let waited = false;
      try {
        const body = await reader.getJson(url, {
          ...options,
          onWait: (event) => {
            waited = true;
            if (event.throttled) pace = throttled(pace, event.waitMs, started, now());
            options.onWait?.(event);
          },
        });
        if (!waited) pace = answered(pace, kind, started, now());
        return body;
      } finally {
        inFlight -= 1;
        wake();
      }
    };
  return (reader) => ({ ...reader, getJson: paced(reader) });
}
