// A person's changes to accounts, through the functions that applications call too.
import { ExpectedError } from '../../errors.ts';
import { type Bindings, type Database, rows, sqlState, type Transaction } from '../database/pool.ts';

export type Profile = Readonly<Record<string, unknown>>;
export type ActingPerson = { actor: string; role: string };
/** An account that edits itself, or an account that it manages. */
export type ActingAccount = { account: string };

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

/** Returns the profile of an account, also of a removed one. */
export async function profileOf(database: Database, accountId: string): Promise<Profile> {
  const [row] = await rows<{ profile: Profile }>(
    database,
    'select profile - cleared as profile from entra_sync.accounts where account_id = :accountId',
    { accountId },
  );
  return row?.profile ?? {};
}

/** Sets fields of an account (null clears) and returns its profile. Throws `usage` for what the database refuses. */
export async function editAccount(
  database: Database,
  accountId: string,
  patch: Profile,
  by: ActingPerson | ActingAccount,
): Promise<Profile> {
  const [row] = await call<{ profile: Profile }>(
    database,
    'account' in by
      ? 'select directory.edit_as(:account, :accountId, :patch::jsonb) as profile'
      : 'select directory.edit_account(:accountId, :patch::jsonb, :actor, :role) as profile',
    { accountId, patch: JSON.stringify(patch), ...by },
  );
  return row?.profile ?? {};
}

/** Reverts fields (null: all that the role may edit) to the directory's values. Like {@link editAccount}. */
export async function revertAccount(
  database: Database,
  accountId: string,
  fields: readonly string[] | null,
  by: ActingPerson | ActingAccount,
): Promise<Profile> {
  const [row] = await call<{ profile: Profile }>(
    database,
    'account' in by
      ? 'select directory.revert_as(:account, :accountId, :fields::text[]) as profile'
      : 'select directory.revert_account(:accountId, :fields::text[], :actor, :role) as profile',
    { accountId, fields, ...by },
  );
  return row?.profile ?? {};
}

/** Takes one edit of an account back. Like {@link editAccount}. */
export async function undoEdit(
  database: Database | Transaction,
  accountId: string,
  changeId: string,
  by: ActingPerson | ActingAccount,
): Promise<Profile> {
  const [row] = await call<{ profile: Profile }>(
    database,
    'account' in by
      ? 'select directory.undo_edit(:accountId, :changeId, :account) as profile'
      : 'select directory.undo_account(:accountId, :changeId, :actor, :role) as profile',
    { accountId, changeId, ...by },
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

/**
 * Restores an account that a person removed and returns its profile, without regard to roles. Throws `usage` for a live or
 * purged one, or one that a cycle removed, and where another account has its mail or user principal name.
 */
export async function restoreAccount(transaction: Transaction, accountId: string, actor: string): Promise<Profile> {
  const [row] = await call<{ profile: Profile }>(
    transaction,
    'select entra_sync.restore_locked(entra_sync.lock_removed(:accountId), :actor) as profile',
    { accountId, actor },
  );
  return row?.profile ?? {};
}

/** Returns the fields of an account, by name. Throws like {@link editAccount}. */
export async function explainAccount(database: Database, accountId: string): Promise<ExplainedField[]> {
  return call<ExplainedField>(database, 'select * from directory.explain_account(:accountId)', { accountId });
}

/** Calls a function of the contract. Throws `usage` for what it refuses. The statement contains no dash. */
export async function call<Row>(database: Database | Transaction, sql: string, values: Bindings): Promise<Row[]> {
  return rows<Row>(database, sql, values).catch((error: unknown) => {
    throw describeRefusal(error);
  });
}

/** Turns a refusal of the contract into its line and cure. Returns other errors unchanged. */
function describeRefusal(error: unknown): unknown {
  const state = sqlState(error);
  // 55000: what is asked for is done already. 22023: an argument that cannot be.
  if (!(error instanceof Error) || !/^(ES\d{3}|55000|22023)$/.test(state ?? '')) return error;
  // knex puts the statement before the server's message. The statements above contain no dash.
  const message = error.message.slice(error.message.indexOf(' - ') + 3);
  const hint = 'hint' in error && typeof error.hint === 'string' ? error.hint : undefined;
  // The codes of the contract can be looked up; the others say no more than the message.
  const code = state?.startsWith('ES') ? ` (${state})` : '';
  return new ExpectedError('usage', `${message}${code}`, {
    ...(hint !== undefined && { cure: forTerminal(hint) }),
    cause: error,
  });
}

const slotsHint = 'entra-sync slots list shows those there are; entra-sync slots put makes';
const itemsHint = 'entra-sync items list shows those there are; entra-sync items put makes';
const usesHint = 'entra-sync items list and entra-sync assignments list show them.';

/** Returns a hint of the contract with verbs where it names functions and views. */
function forTerminal(hint: string): string {
  return hint
    .replace('directory.account_history', 'entra-sync history ACCOUNT --json')
    .replace('directory.managers shows these', 'entra-sync managers ACCOUNT shows these')
    .replace('directory.removed_accounts shows', 'entra-sync changes --kind account.removed shows')
    .replace('directory.slots lists those there are; put_slot makes', slotsHint)
    .replace('directory.items lists those there are; put_item makes', itemsHint)
    .replace(/directory\.items and directory\.assignments list them\.$/, usesHint)
    .replace(/directory\.assignments lists where\.$/, 'entra-sync assignments list shows where.')
    .replace(/^Take assignment_id from directory\.assignments\..*/, 'entra-sync assignments list shows the ids.')
    .replace('Give a later end, or null.', 'Give a later end, or none.');
}
