// The log: JSON lines on stderr with ids, counts and names of tenants only (rule 18: no names of people, addresses, tokens).
import { type Logger, pino } from 'pino';

export type Log = Logger;

const names = new Map<string, string>();

/** Remembers the name of a tenant: lines with its `tenantId` carry it as `tenant`. A name that is the id says no more. */
export function nameTenantInLog(tenantId: string, name: string): void {
  if (name === tenantId) names.delete(tenantId);
  else names.set(tenantId, name);
}

// A child's fields are fixed when it is made, which may be before the name is known.
function nameOf(fields: { readonly tenantId?: unknown }, logger: Log): { tenant?: string } {
  const tenantId = fields.tenantId ?? logger.bindings().tenantId;
  const tenant = typeof tenantId === 'string' ? names.get(tenantId) : undefined;
  return tenant === undefined ? {} : { tenant };
}

/**
 * Creates the log of this process at `level` (LOG_LEVEL). Links are logged only as `describeLink` returns them, headers
 * never.
 */
export function createLog(level: string): Log {
  return pino(
    {
      level,
      base: null,
      mixin: (fields, _level, logger) => nameOf(fields, logger),
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
