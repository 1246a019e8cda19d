// The log: JSON lines on stderr with ids and counts only (rule 18: no names, addresses or tokens).
import { type Logger, pino } from 'pino';

export type Log = Logger;

/**
 * Creates the log of this process at `level` (LOG_LEVEL). Links are logged only as `describeLink` returns them, headers
 * never.
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
