// `managers`: the managers of an account, why each is one, and the accounts that it manages.
import type { Command } from 'commander';
import { openBasics } from '../../app.ts';
import { ExpectedError } from '../../errors.ts';
import { commandWord } from '../../rules/shell.ts';
import type { FoundAccount } from '../../store/accounts/explain.ts';
import {
  type ManagingPair,
  managersOf,
  type NamedManager,
  namedManager,
  reportsOf,
} from '../../store/accounts/managers.ts';
import { settingsInForce } from '../../store/settings/versions.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { anyName, pickAccount } from '../accounts.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { count, cut, plural, when } from '../format.ts';
import { table } from '../layout.ts';

type ManagersOptions = VerbOptions & { tenant?: string };

export function managersCommand(): Command {
  return verb(
    'managers',
    'Show the managers of an account and why, and the accounts that it manages: by the manager in Entra ID (line), or by a group of managedBy (group). Reads only the database.',
    ['managers ann@contoso.com', 'managers "Ann Berg" --tenant Contoso', 'managers ann@contoso.com --json'],
  )
    .argument('<account>', anyName)
    .option('--tenant <tenant>', 'id, name or reference of the tenant to look in; without it all tenants')
    .action((word: string, options: ManagersOptions) => runVerb(options, (run) => managers(run, word, options)));
}

const shownPairs = 50;

async function managers(run: Run, word: string, options: ManagersOptions): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  const tenant = options.tenant === undefined ? undefined : await findTenant(database, options.tenant);
  const account = (await pickAccount(terminal, database, tenant?.tenant_id ?? null, word))?.account;
  if (!account) {
    throw new ExpectedError('unknown_name', `there is no account ${word}${tenant ? ` in ${tenant.name}` : ''}`, {
      cure: `entra-sync find ${commandWord(word)} shows the nearest, entra-sync explain says why`,
    });
  }
  const { account_id: id } = account;
  const { managers: kept } = await settingsInForce(database, account.tenant_id, openBasics(run.environment).defaults);
  const named = await namedManager(database, id);
  const managedBy = await managersOf(database, id);
  const { count: number, reports } = await reportsOf(database, id, terminal.json ? 10_000 : shownPairs);
  terminal.answer({ account, kept, named: named ?? null, managed_by: managedBy, manages: { count: number, reports } });
  const name = cut(account.display_name ?? account.user_principal_name ?? id);
  terminal.say(`${name}, ${account.tenant_name}, is managed by:`);
  if (managedBy.length > 0) terminal.say(pairTable(managedBy.slice(0, shownPairs)));
  if (managedBy.length > shownPairs) terminal.say(`… ${count(managedBy.length)} in all (--json shows them)`);
  const without = whyNoLine(account, kept, named);
  if (!managedBy.some(({ via }) => via === 'line') && without !== undefined) terminal.say(`  ${without}`);
  terminal.say(`\n${number === 0 ? 'Manages no account.' : `Manages ${plural(number, 'account')}:`}`);
  if (reports.length > 0) terminal.say(pairTable(reports));
  if (number > reports.length) terminal.say(`… ${count(number)} in all (--json shows them)`);
}

function pairTable(pairs: readonly ManagingPair[]): string {
  return table(
    [
      { title: 'name', long: true },
      { title: 'user principal name', long: true },
      { title: 'why' },
      { title: 'account', whole: true },
    ],
    pairs.map((one) => [one.display_name ?? '', one.user_principal_name ?? '', whyOf(one), one.account_id]),
  );
}

function whyOf({ groups }: ManagingPair): string {
  if (groups === null) return 'line: the manager in Entra ID';
  return `group: ${cut(groups.managers ?? 'a group')} manages ${cut(groups.people ?? 'everyone')} (managedBy)`;
}

/** Returns why the manager in Entra ID is not among those who manage the account. */
function whyNoLine(account: FoundAccount, kept: boolean, named: NamedManager | undefined): string | undefined {
  if (account.removed_at !== null) return `the account was removed ${when(account.removed_at)}`;
  if (!named)
    return kept
      ? 'no account by line: Entra ID names no manager'
      : 'no account by line: the managers of this tenant are not read -> set managers: true in the settings';
  const who = `${named.display_name ? `${cut(named.display_name)}, ` : ''}object ${named.entra_object_id}`;
  if (named.shown === 'itself') return 'no account by line: Entra ID names the user as their own manager';
  if (named.shown === 'removed')
    return `no account by line: the manager (${who}) was removed ${when(named.removed_at)}`;
  return `no account by line: Entra ID names a manager without an account (${who}): outside the scope, or not read yet`;
}
