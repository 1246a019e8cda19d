// The streams of a tenant: the collections of a directory whose changes Graph reports.

/** Every stream, in the order in which reports and tables show them. */
export const streams = ['users', 'groups'] as const;

export type Stream = (typeof streams)[number];

/** The table of the schema entra_sync that keeps the objects of a stream. */
export const tableOf = { users: 'accounts', groups: 'groups' } as const satisfies Record<Stream, string>;
