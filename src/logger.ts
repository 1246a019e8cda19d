// The log: JSON lines on stderr, ids and counts only (rule 18: no names, no addresses, no tokens).
import { type Logger, pino } from 'pino';

export type Log = Logger;

/**
 * Makes the log of this process. `level` is LOG_LEVEL (default `silent` for commands, whose answer is on stdout;
 * the worker logs at `info`). Links and headers never reach it whole: callers pass what `describeLink` returns.
 */
export function createLog(level: string): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
