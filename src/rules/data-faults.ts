// Recognises failures that the data causes: a later try with the same rows fails again.

/** A failure caused by the data: the SQLSTATE, and the constraint (or index), column or table that Postgres named. */
export type DataFault = { readonly state: string; readonly place: string | null };

/** The opening of every reason made from a {@link DataFault}. */
export const refusedByDatabase = 'the database does not take it';

// Classes of SQLSTATE (Postgres, appendix A). Left out, since a later try may succeed: connection (08), transaction
// state (25), authorisation (28), rollback (40), resources (53), object state (55), timeouts (57) and system (58).
const dataClasses: ReadonlySet<string> = new Set([
  '09', // an action of a trigger failed
  '20', // no branch of a CASE fits
  '21', // more rows than one
  '22', // a value that its type cannot hold
  '23', // a constraint
  '27', // a trigger changed the row as well
  '2F', // a function in SQL
  '38', // a function in another language
  '39', // the answer of such a function
  '44', // a view's check option
  '54', // too large for an index, a row or a text
  'P0', // raised by a function or a trigger
]);

// A value of more than 1 GB fails with XX000. XX001 and XX002 report broken files, a state of the server.
const dataStates: ReadonlySet<string> = new Set(['42804', '42846', 'XX000']);

/** Whether a SQLSTATE means that the rows are at fault, not the server or the moment. */
export function isDataState(state: string): boolean {
  return /^[0-9A-Z]{5}$/.test(state) && (dataClasses.has(state.slice(0, 2)) || dataStates.has(state));
}

/** Returns the data fault of an error, or undefined. Holds schema names, never a value (rule 18). */
export function dataFaultOf(error: unknown): DataFault | undefined {
  const { severity, code, ...named } = (error ?? {}) as Record<string, unknown>;
  if (typeof severity !== 'string' || typeof code !== 'string' || !isDataState(code)) return undefined;
  const place = [named.constraint, named.column, named.table].find(isName);
  return { state: code, place: place ?? null };
}

/** Returns the reason for which an object is set aside. */
export function reasonOf({ state, place }: DataFault): string {
  return `${refusedByDatabase}: SQLSTATE ${state}${place === null ? '' : ` at ${place}`}`;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && /^[a-z_][a-z0-9_]{0,62}$/.test(value);
}
