// `restore`: an account that a person removed is shown again.
import type { Command } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { commandWord } from '../../rules/shell.ts';
import { restoreAccount } from '../../store/accounts/accounts.ts';
import { findAbsences } from '../../store/accounts/explain.ts';
import { noteFeedBatch } from '../../store/feed/batches.ts';
import { inDryRun } from '../../store/feed/receipts.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { anyName, pickAccount } from '../accounts.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { when } from '../format.ts';

type RestoreOptions = VerbOptions & { tenant?: string; dryRun?: boolean };

export function restoreCommand(): Command {
  return verb(
    'restore',
    'Show an account again that was removed by hand, or by approving a list of held removals. It is manual until Entra ID shows its user live and in scope.',
    ['restore ann@contoso.com', 'restore 0c1e4b9a-7d39-4e0f-9d53-9a54c2a5c9d1 --dry-run'],
    { acts: true },
  )
    .argument('<account>', anyName)
    .option('--tenant <tenant>', 'id, name or reference of the tenant to look in; without it all tenants')
    .option('--dry-run', 'say what would be done, and change nothing')
    .action((word: string, options: RestoreOptions) =>
      runVerb(
        options,
        (run) => restore(run, word, options),
        'entra-sync explain ACCOUNT shows whether the account is there again',
      ),
    );
}

async function restore(run: Run, word: string, options: RestoreOptions): Promise<undefined> {
  const { terminal, actor } = run;
  const { database } = await run.database();
  const tenant = options.tenant === undefined ? undefined : await findTenant(database, options.tenant);
  const picked = await pickAccount(terminal, database, tenant?.tenant_id ?? null, word);
  if (!picked) {
    const [absence] = await findAbsences(database, tenant?.tenant_id ?? null, word);
    const purged = absence?.why === 'purged';
    throw new ExpectedError(
      'unknown_name',
      purged
        ? `the account ${word} was purged ${when(absence.since)}: nothing of it is kept`
        : `there is no account ${word}${tenant ? ` in ${tenant.name}` : ''}`,
      {
        cure: purged
          ? 'a cycle makes a new account if Entra ID still shows the user'
          : `entra-sync explain ${commandWord(word)} says why`,
      },
    );
  }
  const { account, others } = picked;
  if (account.removed_at === null && others.length > 0) {
    throw new ExpectedError('usage', `${word} names a live account beside a removed one`, {
      cure: 'name the removed one by its account id',
      list: others.map((one) => one.account_id),
    });
  }
  const dryRun = options.dryRun === true;
  const profile = await inDryRun(database, dryRun, async (transaction) => {
    const restored = await restoreAccount(transaction, account.account_id, actor);
    noteFeedBatch(transaction);
    return restored;
  });
  const { account_id, tenant_id, display_name } = account;
  terminal.answer({ account: { account_id, tenant_id, display_name }, dry_run: dryRun, profile });
  terminal.say(
    `${display_name ?? account.user_principal_name ?? account_id}, ${account.tenant_name}: ${dryRun ? 'would be shown again' : 'shown again'}, as a manual account.`,
  );
  if (account.entra_object_id !== null)
    terminal.say('It is managed again when Entra ID shows its user live and in scope.');
}
