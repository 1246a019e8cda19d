// Parts of assignments that the console needs beside the functions of the contract: a mark of their state, and times in a zone.
import { ExpectedError } from '../../errors.ts';
import { assigning, type Moved } from '../accounts/assignments.ts';
import { type Database, rows, sqlState, type Transaction } from '../database/pool.ts';

// A rule that only became older or younger by time keeps its mark.
const mark = `
select md5(concat_ws('/',
  (select string_agg(concat_ws(' ', r.assignment_id, r.group_id, extract(epoch from r.updated_at)), ','
                     order by r.assignment_id)
     from entra_sync.assignments r where r.tenant_id = :tenantId),
  (select string_agg(concat_ws(' ', s.tenant_id, s.slot, s.winners, s.title), ',' order by s.tenant_id, s.slot)
     from entra_sync.slots s where s.tenant_id = :tenantId or s.tenant_id is null),
  (select string_agg(concat_ws(' ', i.tenant_id, i.slot, i.item, extract(epoch from i.updated_at)), ','
                     order by i.tenant_id, i.slot, i.item)
     from entra_sync.items i where i.tenant_id = :tenantId or i.tenant_id is null))) as mark`;

/** Returns a mark that changes with each rule, slot and item of a tenant. */
export async function markOfAssignments(on: Database | Transaction, tenantId: string): Promise<string> {
  const [found] = await rows<{ mark: string }>(on, mark, { tenantId });
  return found?.mark ?? '';
}

/** The assignments are not those that the person has seen. */
export class AssignmentsChanged extends Error {}

/**
 * Runs `act` on assignments that still have this mark, and returns the accounts whose items changed. Throws
 * `AssignmentsChanged` for another mark, as after the same form was sent before.
 */
export async function assigningAsSeen(
  database: Database,
  { tenantId, seen }: { tenantId: string; seen: string },
  act: (transaction: Transaction) => Promise<unknown>,
): Promise<readonly Moved[]> {
  const { moved } = await assigning(database, false, async (transaction) => {
    // The strongest lock that a function of assignments takes: a stronger one later could wait for an edit that waits for it.
    await rows(transaction, 'select from entra_sync.tenants where tenant_id = :tenantId for update', { tenantId });
    if ((await markOfAssignments(transaction, tenantId)) !== seen) throw new AssignmentsChanged();
    await act(transaction);
  });
  return moved;
}

/** A day, with a time of that day or null for all of it, as a person types it. */
export type LocalTime = { readonly day: string; readonly time: string | null };

/**
 * Returns the moments of a beginning and an end in a zone, null for none. Without a time a beginning is that of its day,
 * and an end that of the day after. Postgres knows the zones, and what a skipped or repeated hour means.
 */
export async function momentsIn(
  database: Database,
  zone: string,
  { starts, ends }: { readonly starts: LocalTime | null; readonly ends: LocalTime | null },
): Promise<{ readonly starts_at: string | null; readonly ends_at: string | null }> {
  const [found] = await rows<{ starts_at: Date | null; ends_at: Date | null }>(
    database,
    `select (:startDay::date + coalesce(:startTime::time, make_time(0, 0, 0))) at time zone :zone as starts_at,
            (case when :endTime::time is null then (:endDay::date + 1)::timestamp
                  else :endDay::date + :endTime::time end) at time zone :zone as ends_at`,
    {
      zone,
      startDay: starts?.day ?? null,
      startTime: starts?.time ?? null,
      endDay: ends?.day ?? null,
      endTime: ends?.time ?? null,
    },
  );
  return { starts_at: found?.starts_at?.toISOString() ?? null, ends_at: found?.ends_at?.toISOString() ?? null };
}

/** A refusal of the contract: its sentence, and the argument that it is about. */
export type Refusal = { readonly message: string; readonly code: string; readonly argument: string | undefined };

/** Returns the refusal of the contract behind an error; undefined for any other error. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (!(error instanceof ExpectedError) || error.code !== 'usage') return undefined;
  const { cause } = error;
  const column = typeof cause === 'object' && cause !== null && 'column' in cause ? cause.column : undefined;
  return {
    message: `${error.message}.`,
    code: sqlState(cause) ?? '',
    argument: typeof column === 'string' ? column : undefined,
  };
}
