// `sync --user`: one person now, and why it came out as it did.
import { openBasics } from '../../app.ts';
import { type OnDemandResult, readUserOnDemand } from '../../engine/on-demand.ts';
import { ExpectedError } from '../../errors.ts';
import type { KnownAccount } from '../../store/accounts/find-accounts.ts';
import { findTenant, listTenants, type Tenant } from '../../store/tenants/tenants.ts';
import { openGraph, type Run } from '../command.ts';
import { plural, when } from '../format.ts';
import { sampleTable, shownChanges } from '../samples.ts';
import { noTenant } from '../several.ts';

/** Reads one person of the tenant (of the only one, when none is named) and says what changed and why. */
export async function syncOneUser(
  run: Run,
  word: string | undefined,
  what: { word: string; dryRun: boolean },
): Promise<number> {
  const { terminal } = run;
  const { log, defaults } = openBasics(run.environment);
  const graph = openGraph(run);
  const { database } = await run.database();
  const tenant = word === undefined ? onlyTenant(await listTenants(database)) : await findTenant(database, word);
  const result = await readUserOnDemand(
    { database, defaults, log, openReader: graph.openReader },
    { tenantId: tenant.tenant_id, ...what, actor: run.actor, signal: run.signal },
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

function onlyTenant(tenants: readonly Tenant[]): Tenant {
  const [only] = tenants;
  if (only && tenants.length === 1) return only;
  if (!only) throw noTenant();
  throw new ExpectedError('usage', 'several tenants are registered', {
    cure: 'name the one of this person: entra-sync sync TENANT --user UPN_OR_ID',
  });
}

/** The same keys whatever came out. */
function asJson({ verdict, name, entraObjectId, reason, before, after, groups, ...rest }: OnDemandResult) {
  const [was, is] = [before ?? null, after ?? null];
  return { verdict, name, entraObjectId, reason, before: was, after: is, groups: groups ?? null, ...rest };
}

const headlines: Readonly<Record<OnDemandResult['verdict'], string>> = {
  created: 'new here',
  restored: 'restored',
  updated: 'updated',
  unchanged: 'no changes',
  out_of_scope: 'not taken, outside the scope',
  set_aside: 'set aside',
  not_there: 'not to be seen in Entra ID',
};

function headline({ verdict, dryRun }: OnDemandResult): string {
  return dryRun ? `${headlines[verdict]} (dry run)` : headlines[verdict];
}

/** Why it came out so, and what happens next, in a sentence or two. */
function explain(result: OnDemandResult): string {
  const { verdict, before, after, reason, groups } = result;
  const lists =
    groups === undefined
      ? 'The groups stream has not been synced yet, so groups were not asked for.'
      : `Member of ${plural(groups, 'group')}.`;
  switch (verdict) {
    case 'created':
      return `Entra ID shows the person, and there was no account. ${lists}`;
    case 'restored':
      return `The account was removed ${when(before?.removed_at ?? null)} (${before?.removed_reason}), and Entra ID shows the person again. ${lists}`;
    case 'updated':
      return `Entra ID shows something else than the last cycle had stored. ${lists}`;
    case 'unchanged':
      return `What is stored is what Entra ID shows. ${lists}`;
    case 'out_of_scope':
      return `Entra ID shows the person, but ${reason} (settings: scope). ${isLive(after) ? 'The account stays until the next cycle, which judges everybody' : accountLine(after)}.`;
    case 'set_aside':
      return `Entra ID shows the person in a way that cannot be taken: ${reason}. ${accountLine(after)}.`;
    case 'not_there':
      return `Entra ID answers 404: deleted, or never there. ${isLive(after) ? 'The account stays until a cycle is told of the deletion: a single read removes nobody' : accountLine(after)}.`;
  }
}

function isLive(person: KnownAccount | undefined): boolean {
  return person !== undefined && person.removed_at === null;
}

function accountLine(person: KnownAccount | undefined): string {
  if (!person) return 'There is no account here';
  if (isLive(person)) return 'The account stays as it was';
  const purge = person.purge_at ? `, and is purged ${when(person.purge_at)}` : '';
  return `The account was removed here ${when(person.removed_at)} (${person.removed_reason})${purge}`;
}
