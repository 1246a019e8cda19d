// The log: JSON lines on stderr with ids and counts only (rule 18: no names, addresses or tokens).
import { type Logger, pino } from 'pino';

export type Log = Logger;

/**
 * Creates the log of this process at `level` (LOG_LEVEL). The default is `silent` for commands, which print to stdout,
 * and `info` for the worker. Callers never log whole links or headers, only what `describeLink` returns.
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
