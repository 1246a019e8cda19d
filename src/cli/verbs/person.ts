// `person export`, `person erase`: the rights of one person.
import type { Command } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { commandWord } from '../../rules/shell.ts';
import { exportPerson } from '../../store/accounts/export.ts';
import { erasePerson } from '../../store/commit/erase-person.ts';
import type { Database } from '../../store/database/pool.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { anyName, type Picked, pickAccount } from '../accounts.ts';
import { audited } from '../audited.ts';
import { type Run, runVerb, type VerbOptions, verb, verbGroup } from '../command.ts';
import { confirmName } from '../confirmation.ts';
import { plural, when } from '../format.ts';

type PersonOptions = VerbOptions & { tenant?: string; confirm?: string };

const where = 'id, name or reference of the tenant to look in; without it all tenants';

export function personCommand(): Command {
  const person = verbGroup('person', "One person's rights: everything that is stored, and its erasure.", [
    'person export ann@contoso.com > ann.json',
    'person erase ann@contoso.com',
  ]);
  person.addCommand(
    verb(
      'export',
      'Print all that is stored of one person as JSON: values, shelved edits, groups, assigned items, history, photo, and the looks at the person in the audit.',
      [
        'person export ann@contoso.com > ann.json',
        'person export ann@contoso.com --tenant Contoso --json | jq .history',
      ],
      { acts: true },
    )
      .argument('<account>', anyName)
      .option('--tenant <tenant>', where)
      .action((word: string, options: PersonOptions) =>
        runVerb({ ...options, json: true }, (run) => exportOne(run, word, options)),
      ),
  );
  person.addCommand(
    verb(
      'erase',
      'Erase one person now instead of after the retention: the account, its values in all change rows, and its name as an actor. No cycle makes an account of the user again. This cannot be undone.',
      ['person erase ann@contoso.com', 'person erase ann@contoso.com --confirm "Ann Example"'],
      { acts: true },
    )
      .argument('<account>', anyName)
      .option('--tenant <tenant>', where)
      .option('--confirm <name>', "the account's name, instead of being asked for it")
      .action((word: string, options: PersonOptions) =>
        runVerb(
          options,
          (run) => erase(run, word, options),
          'entra-sync explain ACCOUNT shows whether the account is gone',
        ),
      ),
  );
  return person;
}

async function find(run: Run, word: string, options: PersonOptions): Promise<Picked & { database: Database }> {
  const { database } = await run.database();
  const tenant = options.tenant === undefined ? undefined : await findTenant(database, options.tenant);
  const picked = await pickAccount(run.terminal, database, tenant?.tenant_id ?? null, word);
  if (picked) return { ...picked, database };
  throw noAccount(word);
}

function noAccount(word: string): ExpectedError {
  return new ExpectedError('unknown_name', `there is no account ${word}`, {
    cure: `entra-sync explain ${commandWord(word)} says why`,
  });
}

async function exportOne(run: Run, word: string, options: PersonOptions): Promise<undefined> {
  const { account, database } = await find(run, word, options);
  const all = await exportPerson(database, account.account_id);
  if (!all) throw noAccount(word);
  const { tenant_id: tenantId, account_id: accountId } = account;
  await audited(run, database, { act: 'person.exported', tenantId, accountId });
  run.terminal.answer(all);
}

async function erase(run: Run, word: string, options: PersonOptions): Promise<undefined> {
  const { terminal, actor } = run;
  const { account, others, database } = await find(run, word, options);
  const { account_id: accountId, tenant_id: tenantId, tenant_name: tenant } = account;
  const name = account.display_name ?? account.user_principal_name ?? accountId;
  await confirmName(run, {
    name,
    what: 'account',
    warning: `This permanently erases ${name} (${accountId}) of ${tenant}.`,
    again: `entra-sync person erase ${accountId}`,
    ...(options.confirm !== undefined && { given: options.confirm }),
  });
  const erased = await erasePerson(database, { tenantId, accountId, actor });
  // Without the account's id: an erasure takes it out of the audit.
  await audited(run, database, { act: 'person.erased', tenantId });
  terminal.answer({
    account_id: accountId,
    tenant_id: tenantId,
    in_entra: erased.inEntra,
    others: others.map((one) => one.account_id),
  });
  terminal.say(`${accountId} of ${tenant} is erased, with its values in all rows.`);
  if (erased.memberships > 0) terminal.say(`It left ${plural(erased.memberships, 'group')}.`);
  if (account.entra_object_id !== null) terminal.say('No cycle makes an account of this user again.');
  if (erased.inEntra) {
    const { last_success_at: seen } = await findTenant(database, tenantId);
    terminal.say(`Entra ID still showed the user when it was last read, ${when(seen)}: delete the user there too.`);
  }
  if (others.length > 0)
    terminal.say(
      `${plural(others.length, 'removed account')} of the same name stayed: ${others.map((one) => one.account_id).join(', ')}`,
    );
}
