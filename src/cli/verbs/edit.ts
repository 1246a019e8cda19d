// `edit`: a person's edit of one account, as applications make it.
import type { Command } from 'commander';
import { ExpectedError } from '../../errors.ts';
import type { ValueType } from '../../rules/expressions.ts';
import { didYouMean } from '../../rules/graph-paths.ts';
import { nearestName } from '../../rules/graph-properties.ts';
import { type Role, roles } from '../../rules/ownership.ts';
import { commandWord } from '../../rules/shell.ts';
import type { ActingAccount, ActingPerson } from '../../store/accounts/accounts.ts';
import { changeAccount, type EditedField, undoAccountEdit, valueTypes } from '../../store/accounts/edit.ts';
import type { FoundAccount } from '../../store/accounts/explain.ts';
import type { Database } from '../../store/database/pool.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { anyName, pickAccount } from '../accounts.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { fieldValue, splitEdits } from '../field-values.ts';
import { cut, showValue, when } from '../format.ts';
import { onOneLine, table } from '../layout.ts';
import { type ManyOptions, revertOfMany } from './edit-many.ts';

type EditOptions = VerbOptions & ManyOptions & { revert?: string[] | true; undo?: string | true };

export function editCommand(): Command {
  return verb(
    'edit',
    'Set fields of one account, revert them to the directory, or undo an edit: all of it or nothing. The settings define which fields people own, and which roles may edit them.',
    [
      'edit ann@contoso.com mobilePhone="+1 555 0100" pronouns=she/her',
      'edit ann@contoso.com faxNumber=          (clears it)',
      'edit ann@contoso.com businessPhones="+1 555 0100, +1 555 0101" --as manager --actor bob',
      'edit ann@contoso.com jobTitle=Lead --as bob@contoso.com    (if Bob manages Ann)',
      'edit ann@contoso.com --revert mobilePhone pronouns',
      'edit ann@contoso.com --revert            (all that the role may edit)',
      'edit --revert mobilePhone --group "All Staff" --tenant Contoso --dry-run',
      'edit --revert mobilePhone --everyone --tenant Contoso',
      'edit ann@contoso.com --undo              (the last edit; history shows the numbers of others)',
    ],
    { acts: true },
  )
    .argument('[account]', anyName)
    .argument('[edits...]', 'field=value; field= clears; a list is separated by commas, or a JSON array')
    .option('--revert [field...]', "fields to revert to the directory's value; without one, all that the role may edit")
    .option(
      '--undo [change]',
      'take an edit back: the number of its change; without one, the last edit; an undo can be undone',
    )
    .option(
      '--as <role or account>',
      'who edits: user, manager, or an account, which edits itself and the accounts that it manages',
      'user' satisfies Role,
    )
    .option(
      '--group <group>',
      'with --revert FIELD, in place of an account: of everyone in this group, nested groups too',
    )
    .option('--everyone', 'the same of everyone in the tenant')
    .option('--dry-run', 'with --group or --everyone: say what would change, and change nothing')
    .option('--tenant <tenant>', 'id, name or reference of the tenant to look in')
    .action((word: string | undefined, edits: string[], options: EditOptions) =>
      runVerb(
        options,
        (run) => edit(run, word, edits, options),
        'entra-sync explain ACCOUNT shows whether the edit is stored',
      ),
    );
}

async function edit(
  run: Run,
  word: string | undefined,
  words: readonly string[],
  options: EditOptions,
): Promise<undefined> {
  const { actor } = run;
  if (options.group !== undefined || options.everyone) return editMany(run, word, options);
  if (word === undefined) {
    throw new ExpectedError('usage', 'no account was named', {
      cure: 'entra-sync edit ACCOUNT field=value, or edit --revert FIELD --group GROUP --tenant TENANT',
    });
  }
  if (options.dryRun) {
    throw new ExpectedError('usage', '--dry-run goes with --group and --everyone alone', {
      cure: "entra-sync explain ACCOUNT shows the value and the directory's",
    });
  }
  if (options.undo !== undefined) return undo(run, word, words, options);
  const revertAll = options.revert === true;
  // --revert also swallows the edits after it. No field name contains an equals sign.
  const behind = options.revert === true ? [] : (options.revert ?? []);
  const reverts = behind.filter((one) => !one.includes('='));
  const typed = splitEdits([...words, ...behind.filter((one) => one.includes('='))], reverts);
  if (typed.size === 0 && reverts.length === 0 && !revertAll) {
    throw new ExpectedError('usage', 'nothing to change was given', { cure: 'give field=value, or --revert FIELD' });
  }
  if (typed.size > 0 && revertAll) {
    throw new ExpectedError('usage', '--revert without a field reverts all, so an edit beside it would be lost', {
      cure: 'name the fields to revert, or run the two one after the other',
    });
  }
  requireActor(actor);
  const { database } = await run.database();
  const account = await liveAccount(run, database, word, options.tenant);
  const types = await valueTypes(database, account.tenant_id);
  for (const field of typed.keys()) requireField(field, types);
  const edits = Object.fromEntries(
    [...typed].map(([field, text]) => [field, fieldValue(field, types.get(field) ?? 'text', text)]),
  );
  const changed = await changeAccount(
    database,
    account,
    { edits, reverts: revertAll ? 'all' : reverts },
    await actingAs(run, database, account, options.as),
  );
  sayChanged(
    run,
    account,
    { changed },
    revertAll
      ? 'Nothing changed: no field that the role may edit differs from the directory.'
      : 'Nothing changed: the account had these values already.',
  );
}

async function editMany(run: Run, word: string | undefined, options: EditOptions): Promise<undefined> {
  if (word !== undefined || options.undo !== undefined || options.revert === undefined) {
    throw new ExpectedError('usage', '--group and --everyone go with --revert FIELD alone, without an account', {
      cure: 'entra-sync edit --revert FIELD --group GROUP --tenant TENANT',
    });
  }
  requireActor(run.actor);
  return revertOfMany(run, options.revert === true ? [] : options.revert, options);
}

function requireActor(actor: string): void {
  if (/\S/.test(actor) && actor.length <= 1000) return;
  throw new ExpectedError('usage', 'the actor must have 1 to 1,000 characters', { cure: 'give it with --actor' });
}

async function undo(run: Run, word: string, words: readonly string[], options: EditOptions): Promise<undefined> {
  const { actor } = run;
  const change = options.undo === true ? null : (options.undo ?? null);
  if (words.length > 0 || options.revert !== undefined) {
    throw new ExpectedError('usage', '--undo stands alone: no edits and no --revert beside it', {
      cure: 'run the two one after the other',
    });
  }
  if (change !== null && !/^\d{1,18}$/.test(change)) {
    throw new ExpectedError('usage', '--undo needs the number of a change', {
      cure: `entra-sync history ${commandWord(word)} --json shows them as change_id`,
    });
  }
  requireActor(actor);
  const { database } = await run.database();
  const account = await liveAccount(run, database, word, options.tenant);
  const undone = await undoAccountEdit(database, account, change, await actingAs(run, database, account, options.as));
  sayChanged(
    run,
    account,
    { undone: undone.change, changed: undone.changed },
    'Nothing changed: the account shows already what it showed before that edit.',
  );
}

/** Returns the role, or the account that edits: one of the same tenant. */
async function actingAs(
  run: Run,
  database: Database,
  edited: FoundAccount,
  word: string,
): Promise<ActingPerson | ActingAccount> {
  const role = roles.find((one) => one === word);
  if (role) return { actor: run.actor, role };
  const acting = await pickAccount(run.terminal, database, edited.tenant_id, word);
  if (acting) return { account: acting.account.account_id };
  throw new ExpectedError('unknown_name', `${word} is neither a role nor an account of ${edited.tenant_name}`, {
    cure: `the roles are ${roles.join(' and ')}; entra-sync managers ACCOUNT shows who manages an account`,
  });
}

function sayChanged(
  { terminal }: Run,
  account: FoundAccount,
  answer: { readonly undone?: string; readonly changed: readonly EditedField[] },
  nothing: string,
): void {
  const { account_id, tenant_id, display_name } = account;
  const { changed } = answer;
  terminal.answer({ account: { account_id, tenant_id, display_name }, ...answer });
  const name = account.display_name ?? account.user_principal_name ?? account.account_id;
  terminal.say(onOneLine(`${cut(name)}, ${cut(account.tenant_name)}:`));
  if (changed.length === 0) terminal.say(nothing);
  else {
    const shown = table(
      [{ title: 'field' }, { title: 'before' }, { title: '' }, { title: 'after' }],
      changed.map((one) => [one.field, showValue(one.before), '->', showValue(one.after)]),
    );
    terminal.say(shown);
  }
}

/** Throws `usage` for a field that the settings do not have, with the nearest name. */
function requireField(field: string, types: ReadonlyMap<string, ValueType>): void {
  if (types.has(field)) return;
  const fields = [...types.keys()].sort();
  throw new ExpectedError(
    'usage',
    `there is no field ${JSON.stringify(field.slice(0, 80))}${didYouMean(nearestName(field, fields))} (ES002)`,
    { cure: `the fields are: ${fields.join(', ') || 'none'}` },
  );
}

async function liveAccount(
  run: Run,
  database: Database,
  word: string,
  tenantWord: string | undefined,
): Promise<FoundAccount> {
  const tenant = tenantWord === undefined ? undefined : await findTenant(database, tenantWord);
  const picked = await pickAccount(run.terminal, database, tenant?.tenant_id ?? null, word);
  if (!picked) {
    throw new ExpectedError('unknown_name', `there is no account ${word}${tenant ? ` in ${tenant.name}` : ''}`, {
      cure: `entra-sync find ${commandWord(word)} shows the nearest, entra-sync explain says why`,
    });
  }
  const { account } = picked;
  if (account.removed_at === null) return account;
  throw new ExpectedError('usage', `the account was removed ${when(account.removed_at)} and is not edited`, {
    cure: `entra-sync explain ${account.account_id} says why`,
  });
}
