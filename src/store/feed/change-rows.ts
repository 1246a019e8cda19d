// The one way to write change rows. Memberships, which lie in rows of many, are written by commit/memberships.ts.

/** The values of a change row, as SQL expressions. */
export type ChangeValues = {
  readonly account_id?: string;
  readonly group_id?: string;
  readonly member_group_id?: string;
  readonly before?: string;
  readonly after?: string;
};

/**
 * Returns the statement that writes one change row per row of `source`, the rest of a select from its `from`. `kind` is
 * an SQL expression too. Binds `batch`, `tenant`, `cycle` (null outside a cycle) and `actor`.
 */
export const changeRows = (kind: string, values: ChangeValues, source: string) =>
  insertOf({ ...bound, cycle_id: ':cycle', kind, ...values }, source);

/**
 * {@link changeRows} of a change that no cycle makes. Binds `batch`, `tenant` and `actor`; an empty `source` is one
 * row.
 */
export const changeRowsOutsideCycle = (kind: string, values: ChangeValues, source: string) =>
  insertOf({ ...bound, kind, ...values }, source);

const manual = `'{"state": "manual"}'`;
const managed = `'{"state": "managed"}'`;

/** The values of an account or group that became manual. */
export const becameManual = { before: managed, after: manual };

/** The values of a group that became managed. */
export const becameManaged = { before: manual, after: managed };

/** The value `before` or `after` of an account or group that is removed for this reason. */
export const removedFor = (reason: string) => `jsonb_build_object('removed', ${reason})`;

/**
 * The value `before` of an account or group that is restored: the reason of its removal, and the old values of what
 * changed with it. An account is shown as it was by undoing change rows, so each row says all that it changed.
 */
export const restoredFrom = (reason: string, old: string, present: string) =>
  `${removedFor(reason)} || '{"profile": {}}' || entra_sync.differing_facts(${old}, ${present})`;

/**
 * Takes the values out of a change row of a purged account or group. The number of the list stays: it says of which decision the
 * row was.
 */
export const withoutValues = `before = null,
  after = case when kind like 'removal.%' and jsonb_exists(after, 'list_id')
               then jsonb_build_object('list_id', after -> 'list_id') end`;

const bound = { batch_id: ':batch', tenant_id: ':tenant', actor: ':actor' };

const insertOf = (columns: Readonly<Record<string, string>>, source: string) => `
insert into entra_sync.changes (${Object.keys(columns).join(', ')})
select ${Object.values(columns).join(', ')}
  ${source}`;
