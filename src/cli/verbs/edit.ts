// `edit`: a person's edit of one account, as applications make it.
import { type Command, Option } from 'commander';
import { ExpectedError } from '../../errors.ts';
import type { ValueType } from '../../rules/expressions.ts';
import { didYouMean } from '../../rules/graph-paths.ts';
import { nearestName } from '../../rules/graph-properties.ts';
import { type Role, roles } from '../../rules/ownership.ts';
import { changeAccount, valueTypes } from '../../store/accounts/edit.ts';
import type { FoundAccount } from '../../store/accounts/explain.ts';
import type { Database } from '../../store/database/pool.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { pickAccount } from '../accounts.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { fieldValue, splitEdits } from '../field-values.ts';
import { showValue, when, withCutRemark } from '../format.ts';
import { table } from '../layout.ts';

type EditOptions = VerbOptions & { as: Role; revert?: string[] | true; tenant?: string };

export function editCommand(): Command {
  return verb(
    'edit',
    'Set fields of one account, or revert them to the directory: all of them or none. The settings define which fields people own, and which roles may edit them.',
    [
      'edit ann@contoso.com mobilePhone="+1 555 0100" pronouns=she/her',
      'edit ann@contoso.com faxNumber=          (clears it)',
      'edit ann@contoso.com businessPhones="+1 555 0100, +1 555 0101" --as manager --actor bob',
      'edit ann@contoso.com --revert mobilePhone pronouns',
      'edit ann@contoso.com --revert            (all that the role may edit)',
    ],
    { acts: true },
  )
    .argument('<account>', 'account id, object id, user principal name or mail')
    .argument('[edits...]', 'field=value; field= clears; a list is separated by commas, or a JSON array')
    .option('--revert [field...]', "fields to revert to the directory's value; without one, all that the role may edit")
    .addOption(new Option('--as <role>', 'the role that edits').choices(roles).default('user' satisfies Role))
    .option('--tenant <tenant>', 'id, name or reference of the tenant to look in')
    .action((word: string, edits: string[], options: EditOptions) =>
      runVerb(
        options,
        (run) => edit(run, word, edits, options),
        'entra-sync explain ACCOUNT shows whether the edit is stored',
      ),
    );
}

async function edit(run: Run, word: string, words: readonly string[], options: EditOptions): Promise<undefined> {
  const { terminal, actor } = run;
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
  if (!/\S/.test(actor) || actor.length > 1000) {
    throw new ExpectedError('usage', 'the actor must have 1 to 1,000 characters', { cure: 'give it with --actor' });
  }
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
    { actor, role: options.as },
  );
  terminal.answer({
    account: { account_id: account.account_id, tenant_id: account.tenant_id, display_name: account.display_name },
    changed,
  });
  const name = account.display_name ?? account.user_principal_name ?? account.account_id;
  terminal.say(table([], [[`${name}, ${account.tenant_name}:`]]));
  if (changed.length === 0)
    terminal.say(
      revertAll
        ? 'Nothing changed: no field that the role may edit differs from the directory.'
        : 'Nothing changed: the account had these values already.',
    );
  else {
    const shown = table(
      [{ title: 'field' }, { title: 'before' }, { title: '' }, { title: 'after' }],
      changed.map((one) => [one.field, showValue(one.before), '->', showValue(one.after)]),
    );
    terminal.say(withCutRemark(shown));
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
      cure: `entra-sync find ${JSON.stringify(word)} shows the nearest, entra-sync explain says why`,
    });
  }
  const { account } = picked;
  if (account.removed_at === null) return account;
  throw new ExpectedError('usage', `the account was removed ${when(account.removed_at)} and is not edited`, {
    cure: `entra-sync explain ${account.account_id} says why`,
  });
}
