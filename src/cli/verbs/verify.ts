// `verify`: compares the copy with a fresh listing of the tenant.
import { type Command, InvalidArgumentError } from 'commander';
import { openBasics } from '../../app.ts';
import { runVerify, type VerifyResult } from '../../engine/verify.ts';
import { ExpectedError, exitCodeOf, exitCodes } from '../../errors.ts';
import { explainGaps } from '../../rules/scope.ts';
import { tellDatabaseError } from '../../store/database/pool.ts';
import { findTenant, listTenants, type Tenant } from '../../store/tenants/tenants.ts';
import type { NamedDrift } from '../../store/verify.ts';
import { openGraph, type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { count, nameWithId, plural } from '../format.ts';
import { table } from '../layout.ts';
import { openProgress } from '../progress.ts';
import { failureJson, noTenant, sayNotTried, stopsAll, worstExitCode } from '../several.ts';
import { showError } from '../terminal.ts';

type VerifyOptions = VerbOptions & { sample?: number };

export function verifyCommand(): Command {
  return verb(
    'verify',
    'Compare the copy with a fresh listing of the tenant (not delta), field by field. Changes nothing; exit code 8 when anything differs. ' +
      'Run a cycle first: edits since the last one show as drift.',
    ['verify Contoso', 'verify Contoso --sample 200', 'verify --json | jq ".tenants[].drift"'],
  )
    .argument('[tenant]', 'id, name or reference of one tenant; without it all tenants')
    .option('--sample <n>', 'compare only n accounts and n groups, picked at random', sampleSize)
    .action((word: string | undefined, options: VerifyOptions) =>
      runVerb(
        options,
        (run) => verify(run, word, options.sample),
        'nothing was changed; run the command again: it starts over',
      ),
    );
}

function sampleSize(text: string): number {
  if (!/^\d{1,6}$/.test(text) || Number(text) < 1)
    throw new InvalidArgumentError('a whole number from 1 to 999999 is needed');
  return Number(text);
}

type Failed = { readonly tenant: Tenant; readonly error: unknown };

async function verify(run: Run, word: string | undefined, sample: number | undefined): Promise<number> {
  const { terminal, signal } = run;
  const basics = openBasics(run.environment);
  const graph = await openGraph(run);
  const { database } = await run.database();
  const tenants = word === undefined ? await listTenants(database) : [await findTenant(database, word)];
  if (tenants.length === 0) throw noTenant();
  const done: { tenant: Tenant; result: VerifyResult }[] = [];
  const failed: Failed[] = [];
  const skipped: Failed[] = [];
  let notTried: readonly Tenant[] = [];
  for (const [index, tenant] of tenants.entries()) {
    const progress = openProgress(terminal);
    const onProgress = progress.update;
    try {
      const parts = { database, ...basics, openReader: graph.openReader };
      const result = await runVerify(parts, { tenantId: tenant.tenant_id, sample, signal, onProgress });
      progress.done();
      done.push({ tenant, result });
      sayDrift(run, tenant, result);
    } catch (thrown) {
      progress.done();
      const error = await tellDatabaseError(database, thrown);
      if (tenants.length === 1 || signal.aborted) throw error;
      (hasNothing(error) ? skipped : failed).push({ tenant, error });
      sayFailure(run, tenant, error);
      if (stopsAll([error])) notTried = tenants.slice(index + 1);
    }
    if (notTried.length > 0) break;
  }
  sayNotTried(terminal, notTried.length);
  terminal.answer({
    tenants: done.map(({ tenant, result }) => ({ tenant: named(tenant), ...result })),
    failures: failed.map(({ tenant, error }) => ({ tenant: named(tenant), ...failureJson(error) })),
    skipped: skipped.map(({ tenant, error }) => ({ tenant: named(tenant), ...failureJson(error) })),
    ...(notTried.length > 0 && { not_tried: notTried.map(named) }),
  });
  const drifted = done.some(({ result }) => result.drift.length > 0);
  if (drifted) {
    terminal.say(
      'Edited in Entra ID since the last cycle? Run entra-sync sync, then verify again. entra-sync resync fixes the differences that remain.',
    );
  }
  // Comparing no tenant is not a success.
  const counted = done.length === 0 ? [...failed, ...skipped] : failed;
  return worstExitCode([...counted.map(({ error }) => exitCodeOf(error)), ...(drifted ? [exitCodes.drift_found] : [])]);
}

/** Returns whether there is only nothing to compare, which is not a failure among all tenants. */
function hasNothing(error: unknown): boolean {
  return error instanceof ExpectedError && (error.code === 'never_synced' || error.code === 'tenant_disconnected');
}

function sayFailure({ terminal }: Run, tenant: Tenant, error: unknown): void {
  if (hasNothing(error) && error instanceof ExpectedError)
    terminal.note(`${nameWithId(tenant.name, tenant.tenant_id)}: not compared, ${error.message} -> ${error.cure}`);
  else showError({ ...terminal, answer: () => {} }, error, `${nameWithId(tenant.name, tenant.tenant_id)}: `);
}

function named(tenant: Tenant): { id: string; name: string } {
  return { id: tenant.tenant_id, name: tenant.name };
}

const shownDrift = 50;
const shownUnread = 10;

function sayDrift({ terminal }: Run, tenant: Tenant, result: VerifyResult): void {
  const { checked, drift, unread, scopeGaps, requests, seconds } = result;
  const compared = `${plural(checked.users, 'user')}, ${plural(checked.groups, 'group')} and ${plural(checked.memberships, 'membership')}`;
  const hidden = checked.memberships_not_shown;
  const what = drift.length === 0 ? 'no drift' : plural(drift.length, 'difference');
  terminal.say(`${tenant.name}: ${what} in ${compared} (${plural(requests, 'request')}, ${seconds.toFixed(1)} s)`);
  if (hidden > 0) {
    terminal.say(
      `${tenant.name}: ${count(hidden)} of these memberships ${hidden === 1 ? 'is' : 'are'} not shown here: the member or the group is outside the scope, removed or not synced`,
    );
  }
  if (scopeGaps.length > 0) {
    const { what, cure } = explainGaps(scopeGaps);
    terminal.say(`${tenant.name}: ${what}, so removals are held and not counted as drift -> ${cure}`);
  }
  if (unread.length > 0) {
    terminal.say(
      `${tenant.name}: ${plural(unread.length, 'object')} could not be read and ${unread.length === 1 ? 'was' : 'were'} left out of the comparison:`,
    );
    for (const { stream, object_key: key, reason } of unread.slice(0, shownUnread))
      terminal.say(`  ${stream} ${key}: ${reason}`);
    if (unread.length > shownUnread)
      terminal.say(`  … and ${count(unread.length - shownUnread)} more (--json shows them)`);
  }
  if (drift.length === 0) return;
  const show = (value: unknown) =>
    value === null || value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
  terminal.say(
    table(
      [
        { title: 'what' },
        { title: 'kind' },
        { title: 'name', long: true },
        { title: 'object', whole: true },
        { title: 'member or field', long: true },
        { title: 'stored', long: true },
        { title: 'fresh', long: true },
      ],
      drift
        .slice(0, shownDrift)
        .map((one) => [
          one.what,
          one.kind,
          one.name ?? '',
          one.entra_object_id,
          memberOf(one) ?? one.field ?? '',
          show(one.stored),
          show(one.fresh),
        ]),
    ),
  );
  if (drift.length > shownDrift) terminal.say(`… and ${count(drift.length - shownDrift)} more (--json shows them)`);
}

function memberOf({ member_name: name, member_object_id: id }: NamedDrift): string | null {
  return id !== null && name !== null ? `${name} (${id})` : id;
}
