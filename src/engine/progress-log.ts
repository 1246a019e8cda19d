// Logs a line every few seconds, which tells a long cycle from a dead one.
import type { Log } from '../logger.ts';
import type { Progress } from './stream.ts';

/**
 * Passes progress on to `onProgress`, and logs each stream every `everyMs` milliseconds, even without progress: a long
 * commit reports none.
 */
export function logProgress(
  log: Log,
  onProgress: ((progress: Progress) => void) | undefined,
  everyMs = 10_000,
): { update(progress: Progress): void; end(): void } {
  const started = performance.now();
  const last = new Map<string, Omit<Progress, 'stream'>>();
  const timer = setInterval(() => {
    const seconds = Math.round((performance.now() - started) / 1000);
    log.info({ seconds, ...Object.fromEntries(last) }, 'cycle in progress');
  }, everyMs);
  timer.unref();
  return {
    update: (progress) => {
      const { stream, ...rest } = progress;
      last.set(stream, rest);
      onProgress?.(progress);
    },
    end: () => clearInterval(timer),
  };
}
