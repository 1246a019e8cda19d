// Readers that share one pace.
import { answered, openPace, spend, throttled } from '../rules/pace.ts';
import type { GraphReader } from './reader.ts';

// The published costs (learn.microsoft.com/graph/throttling-limits): 2 units per page with $select; a `$batch` has 20.
const unitsOf = { page: 2, batch: 40 } as const;

/**
 * Returns a wrapper for readers that share one pace: fewer requests in flight after a 429 (also of a `$batch` item) or
 * slow answers, and none before the time that Graph asked for. A request that waits for its retry stays in flight.
 * Waiting requests end with the reason of `signal`.
 */
export function openPacer(
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
      const spent = spend(pace, units, inFlight, now());
      if ('pace' in spent) {
        pace = spent.pace;
        inFlight += 1;
        return;
      }
      await pause(spent.waitMs);
    }
  };

  const paced =
    (reader: GraphReader): GraphReader['getJson'] =>
    async (url, options) => {
      const kind = options.batch ? 'batch' : 'page';
      // One after another, so that no request overtakes an earlier one.
      const admitted = line.then(() => enter(unitsOf[kind]));
      line = admitted.catch(() => {});
      await admitted;
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
