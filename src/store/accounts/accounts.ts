// A person's changes to accounts, through the functions that applications call too.
import { ExpectedError } from '../../errors.ts';
import { type Bindings, type Database, rows, sqlState } from '../database/pool.ts';

export type Profile = Readonly<Record<string, unknown>>;
export type ActingPerson = { actor: string; role: string };

/** One field of an account, and where its value comes from. */
export type ExplainedField = {
  field: string;
  value: unknown;
  origin: 'directory' | 'user' | 'none';
  /** Null: no longer in the settings. */
  owner: 'directory' | 'user' | null;
  editable_by: string[];
  mapped_from: string | null;
  directory_value: unknown;
  /** A person's edit, in force or shelved. */
  user_value: unknown;
  since: Date;
  changed_by: string | null;
};

/** Sets fields of an account (null clears) and returns its profile. Throws `usage` for what the database refuses. */
export async function editAccount(
  database: Database,
  accountId: string,
  patch: Profile,
  by: ActingPerson,
): Promise<Profile> {
  const [row] = await call<{ profile: Profile }>(
    database,
    'select directory.edit_account(:accountId, :patch::jsonb, :actor, :role) as profile',
    { accountId, patch: JSON.stringify(patch), ...by },
  );
  return row?.profile ?? {};
}

/** Reverts fields (null: all that the role may edit) to the directory's values. Like {@link editAccount}. */
export async function revertAccount(
  database: Database,
  accountId: string,
  fields: readonly string[] | null,
  by: ActingPerson,
): Promise<Profile> {
  const [row] = await call<{ profile: Profile }>(
    database,
    'select directory.revert_account(:accountId, :fields::text[], :actor, :role) as profile',
    { accountId, fields, ...by },
  );
  return row?.profile ?? {};
}

/** Creates a manual account and returns its id. Throws like {@link editAccount}. */
export async function createAccount(
  database: Database,
  tenantId: string,
  profile: Profile,
  actor: string,
): Promise<string> {
  const [row] = await call<{ id: string }>(
    database,
    'select directory.create_account(:tenantId, :profile::jsonb, :actor) as id',
    { tenantId, profile: JSON.stringify(profile), actor },
  );
  return row?.id ?? '';
}

/** Removes a manual account. Throws like {@link editAccount}. */
export async function removeAccount(database: Database, accountId: string, by: ActingPerson): Promise<void> {
  await call(database, 'select directory.remove_account(:accountId, :actor, :role)', { accountId, ...by });
}

/** Returns the fields of an account, by name. Throws like {@link editAccount}. */
export async function explainAccount(database: Database, accountId: string): Promise<ExplainedField[]> {
  return call<ExplainedField>(database, 'select * from directory.explain_account(:accountId)', { accountId });
}

/** Calls a function of the contract. Throws `usage` for what it refuses. The statement contains no dash. */
export async function call<Row>(database: Database, sql: string, values: Bindings): Promise<Row[]> {
  return rows<Row>(database, sql, values).catch((error: unknown) => {
    throw describeRefusal(error);
  });
}

/** Turns a refusal of the contract into its line and cure. Returns other errors unchanged. */
function describeRefusal(error: unknown): unknown {
  const state = sqlState(error);
  if (!(error instanceof Error) || !/^ES\d{3}$/.test(state ?? '')) return error;
  // knex puts the statement before the server's message.
  const message = error.message.slice(error.message.indexOf(' - ') + 3);
  const hint = 'hint' in error && typeof error.hint === 'string' ? error.hint : undefined;
  return new ExpectedError('usage', `${message} (${state})`, {
    ...(hint !== undefined && { cure: hint }),
    cause: error,
  });
}
