// The connections that a worker may open, and whether the database grants that many.

/** Connections of a worker: for each tenant in parallel, beside them, and for its queue. */
export const workerConnections = { perTenant: 3, beside: 7, queue: 3 } as const;

/** The connections that the database grants to new sessions of a role. Null: no limit. */
export type ConnectionLimits = {
  /** max_connections of the server. */
  readonly server: number;
  /** The part of it that this role may not use. */
  readonly reserved: number;
  readonly role: number | null;
  readonly database: number | null;
};

export type LimitOfConnections = 'server' | 'role' | 'database';

/** Returns the value of a limit in words; undefined: there is none. */
export function valueOfLimit(limits: ConnectionLimits, limit: LimitOfConnections): string | undefined {
  const { server, reserved } = limits;
  if (limit !== 'server') return limits[limit]?.toString();
  return reserved > 0 ? `${server}, ${reserved} of them reserved` : `${server}`;
}

export type ConnectionShortage = {
  readonly granted: number;
  readonly says: string;
  readonly cure: string;
};

/** Returns the shortage of a process that may open `wanted` connections, or undefined. */
export function judgeConnections(limits: ConnectionLimits, wanted: number): ConnectionShortage | undefined {
  const { server, reserved, role, database } = limits;
  const all = [
    {
      limit: 'server',
      granted: server - reserved,
      says: 'max_connections is',
      raise: `raise max_connections to ${wanted + reserved} at least`,
    },
    {
      limit: 'role',
      granted: role ?? wanted,
      says: 'the connection limit of the role is',
      raise: `alter role ROLE connection limit ${wanted}`,
    },
    {
      limit: 'database',
      granted: database ?? wanted,
      says: 'the connection limit of the database is',
      raise: `alter database NAME connection limit ${wanted}`,
    },
  ] as const;
  const short = all.filter(({ granted }) => granted < wanted).sort((one, other) => one.granted - other.granted);
  const [least] = short;
  if (!least) return undefined;
  const { granted, says, limit } = least;
  return {
    granted,
    says: `this process may open ${wanted} connections, and the database grants ${granted}: ${says} ${valueOfLimit(limits, limit)}`,
    cure: `${short.map(({ raise }) => raise).join(', ')}, and more for other processes; ${lower(granted)}`,
  };
}

function lower(granted: number): string {
  const { perTenant, beside, queue } = workerConnections;
  const concurrency = Math.floor((granted - beside - queue) / perTenant);
  return concurrency < 1
    ? 'or put PgBouncer in between'
    : `or start one worker alone with --concurrency ${concurrency}, or put PgBouncer in between`;
}
