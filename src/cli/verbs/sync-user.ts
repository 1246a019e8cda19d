// `sync --user`: an on-demand read of one user, and the reason for its outcome.
import { openBasics } from '../../app.ts';
import { type OnDemandResult, readUserOnDemand, wasErased } from '../../engine/on-demand.ts';
import { ExpectedError } from '../../errors.ts';
import { asGuid } from '../../rules/decode.ts';
import { commandWord } from '../../rules/shell.ts';
import { findAccounts } from '../../store/accounts/explain.ts';
import type { KnownAccount } from '../../store/accounts/find-accounts.ts';
import { findTenant, listTenants, type Tenant } from '../../store/tenants/tenants.ts';
import { openGraph, type Run } from '../command.ts';
import { plural, when } from '../format.ts';
import { pickByWords } from '../found.ts';
import { sampleTable, shownChanges } from '../samples.ts';
import { noTenant } from '../several.ts';

/** Reads one user of the tenant (default: the only one), and shows the changes and their reason. */
export async function syncOneUser(
  run: Run,
  word: string | undefined,
  what: { word: string; dryRun: boolean },
): Promise<number> {
  const { terminal } = run;
  const { log, defaults } = openBasics(run.environment);
  const graph = await openGraph(run);
  const { database } = await run.database();
  const tenant = word === undefined ? onlyTenant(await listTenants(database)) : await findTenant(database, word);
  const meant = await storedAs(run, tenant.tenant_id, what.word);
  if (meant?.entra_object_id === null) {
    throw new ExpectedError('usage', `${meant.display_name ?? what.word} is an account without a user in Entra ID`, {
      cure: `entra-sync explain ${commandWord(what.word)} shows the account`,
    });
  }
  const asked = { ...what, word: meant?.entra_object_id ?? what.word };
  const result = await readUserOnDemand(
    { database, defaults, log, openReader: graph.openReader },
    { tenantId: tenant.tenant_id, ...asked, actor: run.actor, signal: run.signal },
  );
  terminal.answer({ tenant: { id: tenant.tenant_id, name: tenant.name }, ...asJson(result), why: explain(result) });
  terminal.say(`${tenant.name}, ${result.name}: ${headline(result)}`);
  terminal.say(explain(result));
  if (result.changes.length > 0) terminal.say(sampleTable(result.changes, result.dryRun ? 'would be' : 'change'));
  if (result.changes.length > shownChanges)
    terminal.say(`… and ${result.changes.length - shownChanges} more (--json shows them)`);
  if (result.dryRun) terminal.say('Dry run: nothing was kept.');
  return 0;
}

/** The account that a word means here. Undefined for an object id or an address: Entra ID is asked for these as they are. */
async function storedAs(
  { terminal, database }: Run,
  tenantId: string,
  word: string,
): Promise<{ entra_object_id: string | null; display_name: string | null } | undefined> {
  const store = (await database()).database;
  const id = asGuid(word);
  if (id !== undefined) return (await findAccounts(store, tenantId, id)).find((one) => one.account_id === id);
  return word.includes('@') ? undefined : pickByWords(terminal, store, tenantId, word, ['account']);
}

function onlyTenant(tenants: readonly Tenant[]): Tenant {
  const [only] = tenants;
  if (only && tenants.length === 1) return only;
  if (!only) throw noTenant();
  throw new ExpectedError('usage', 'several tenants are registered', {
    cure: "name the user's: entra-sync sync TENANT --user USER",
  });
}

function asJson({ verdict, name, entraObjectId, reason, before, after, groups, ...rest }: OnDemandResult) {
  const [was, is] = [before ?? null, after ?? null];
  return { verdict, name, entraObjectId, reason, before: was, after: is, groups: groups ?? null, ...rest };
}

const headlines: Readonly<Record<OnDemandResult['verdict'], string>> = {
  created: 'new here',
  restored: 'restored',
  updated: 'updated',
  unchanged: 'no changes',
  out_of_scope: 'outside the scope',
  set_aside: 'set aside',
  not_there: 'not found in Entra ID',
};

function headline({ verdict, dryRun }: OnDemandResult): string {
  return dryRun ? `${headlines[verdict]} (dry run)` : headlines[verdict];
}

/** Returns the reason for the outcome, and what happens next. */
function explain(result: OnDemandResult): string {
  const { verdict, before, after, reason, groups } = result;
  const lists =
    groups === undefined
      ? 'The groups stream has not been synced yet, so groups were not read.'
      : `Member of ${plural(groups, 'group')}.`;
  switch (verdict) {
    case 'created':
      return `The user is in Entra ID, and had no account. ${lists}`;
    case 'restored':
      return `The account was removed ${when(before?.removed_at ?? null)} (${before?.removed_reason}), and the user is in Entra ID again. ${lists}`;
    case 'updated':
      return `Entra ID has other values than the last cycle stored. ${lists}`;
    case 'unchanged':
      return `The account has the values of Entra ID. ${lists}`;
    case 'out_of_scope':
      return `The user is in Entra ID, but ${reason === wasErased ? reason : `outside the scope: ${reason}`}. ${isLive(after) ? 'The account stays until the next cycle, which decides on its removal' : accountLine(after)}.`;
    case 'set_aside':
      return `The user is in Entra ID, but is set aside: ${reason}. ${accountLine(after)}.`;
    case 'not_there':
      return `Entra ID answers 404: the user was deleted, or never existed. ${isLive(after) ? 'The account stays until a cycle reads the deletion: a single read removes no account' : accountLine(after)}.`;
  }
}

function isLive(account: KnownAccount | undefined): boolean {
  return account !== undefined && account.removed_at === null;
}

function accountLine(account: KnownAccount | undefined): string {
  if (!account) return 'There is no account here';
  if (isLive(account)) return 'The account stays as it was';
  const purge = account.purge_at ? `, and is purged ${when(account.purge_at)}` : '';
  return `The account was removed here ${when(account.removed_at)} (${account.removed_reason})${purge}`;
}
