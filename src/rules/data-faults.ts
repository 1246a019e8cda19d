// Which failures of a statement are the data's: done again with the same rows they fail again, and without them they do not.

/** A statement that failed for its data: the SQLSTATE, and the index, constraint, column or table that Postgres named. */
export type DataFault = { readonly state: string; readonly place: string | null };

/** How every reason begins that is made of a {@link DataFault}. */
export const refusedByDatabase = 'the database does not take it';

// Classes of SQLSTATE (Postgres, appendix A). Not here: connection (08), transaction state (25), authorisation (28), rollback
// (40), resources (53), object state (55), intervention and timeouts (57), system (58). Doing it again later heals those.
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

// XX000 is what a value of more than 1 GB meets; XX001 and XX002 tell of broken files, which is the server's state.
const dataStates: ReadonlySet<string> = new Set(['42804', '42846', 'XX000']);

/** Whether a SQLSTATE says that the rows are at fault, and neither the server nor the moment. */
export function isDataState(state: string): boolean {
  return /^[0-9A-Z]{5}$/.test(state) && (dataClasses.has(state.slice(0, 2)) || dataStates.has(state));
}

/** The fault in the data, where that is why the database refused. Holds names of the schema, never a value (rule 18). */
export function dataFaultOf(error: unknown): DataFault | undefined {
  const { severity, code, ...named } = (error ?? {}) as Record<string, unknown>;
  if (typeof severity !== 'string' || typeof code !== 'string' || !isDataState(code)) return undefined;
  const place = [named.constraint, named.column, named.table].find(isName);
  return { state: code, place: place ?? null };
}

/** The reason under which an object is set aside. */
export function reasonOf({ state, place }: DataFault): string {
  return `${refusedByDatabase}: SQLSTATE ${state}${place === null ? '' : ` at ${place}`}`;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && /^[a-z_][a-z0-9_]{0,62}$/.test(value);
}
