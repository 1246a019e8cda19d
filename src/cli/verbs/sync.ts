// `sync` and `resync`: one cycle now, of one tenant or of all, one after another.
import type { Command } from 'commander';
import { openBasics, openGraphAccess } from '../../app.ts';
import { type CycleResult, runCycle } from '../../engine/cycle.ts';
import { readTenantId } from '../../environment.ts';
import { ExpectedError, exitCodeOf } from '../../errors.ts';
import { describeDatabaseError } from '../../store/pool.ts';
import { settingsInForce } from '../../store/settings.ts';
import { addTenant, findTenant, forgetPendingTenant, listTenants, type Tenant } from '../../store/tenants.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { count, describeChange, duration } from '../format.ts';
import { openProgress } from '../progress.ts';
import { showError, table } from '../terminal.ts';

type SyncOptions = VerbOptions & { dryRun?: boolean };

export function syncCommand(): Command {
  return verb(
    'sync',
    'Run one cycle now: read what changed in Entra ID and commit it. Without a tenant: all, one after another. ' +
      'When none is registered, the tenant of AZURE_TENANT_ID is.',
    ['sync', 'sync Contoso --dry-run', 'sync --json | jq ".cycles[].streams.users"'],
    { acts: true },
  )
    .argument('[tenant]', 'id, name or reference of one tenant')
    .option('--dry-run', 'show what the cycle would change, keep nothing')
    .action((tenant: string | undefined, options: SyncOptions) =>
      runVerb(options, (run) => syncTenants(run, tenant, { resync: false, dryRun: options.dryRun === true })),
    );
}

export function resyncCommand(): Command {
  return verb(
    'resync',
    'Run one full cycle now: walk the whole directory, whatever the checkpoint says. Accounts keep their identity; ' +
      'what is no longer there is removed when the walk is complete.',
    ['resync', 'resync Contoso'],
    { acts: true },
  )
    .argument('[tenant]', 'id, name or reference of one tenant')
    .action((tenant: string | undefined, options: SyncOptions) =>
      runVerb(options, (run) => syncTenants(run, tenant, { resync: true, dryRun: false })),
    );
}

// Of several tenants' exit codes, the first of these that occurred (design: 7 concerns all, 6 hardly anybody).
const worstFirst = [130, 7, 1, 3, 5, 4, 6, 2];

async function syncTenants(
  run: Run,
  word: string | undefined,
  what: { resync: boolean; dryRun: boolean },
): Promise<number> {
  const { terminal } = run;
  const { log, defaults } = openBasics(run.environment);
  const graph = openGraphAccess(run.environment, {
    onWait: ({ reason, waitMs, attempt, retries, requestId }) => {
      log.info({ reason, waitMs, attempt, requestId }, 'waiting for Graph');
      terminal.note(
        `${reason}; trying again in ${(waitMs / 1000).toFixed(1)} s (${attempt} of ${retries})${terminal.verbose && requestId ? `, request-id ${requestId}` : ''}`,
      );
    },
  });
  const { database } = await run.database();
  const tenants = word === undefined ? await listTenants(database) : [await findTenant(database, word)];
  const registers = tenants.length === 0;
  if (registers) tenants.push(await registerOwnTenant());
  const done: { tenant: Tenant; result: CycleResult }[] = [];
  const failed: { tenant: Tenant; error: unknown }[] = [];
  for (const tenant of tenants) {
    const progress = openProgress(terminal);
    try {
      const result = await runCycle(
        { database, defaults, log, openReader: graph.openReader },
        { tenantId: tenant.tenant_id, ...what, actor: run.actor, signal: run.signal, onProgress: progress.update },
      );
      done.push({ tenant, result });
    } catch (error) {
      progress.done();
      if (tenants.length === 1 || run.signal.aborted) throw error;
      const described = describeDatabaseError(error);
      failed.push({ tenant, error: described });
      terminal.note(`${tenant.name}:`);
      showError({ ...terminal, answer: () => {} }, described);
    } finally {
      progress.done();
    }
  }
  // A dry run keeps nothing, a registration that it made itself neither.
  if (registers && what.dryRun) for (const tenant of tenants) await forgetPendingTenant(database, tenant.tenant_id);
  report(run, done, failed);
  const codes = failed.map(({ error }) => exitCodeOf(error));
  return worstFirst.find((code) => codes.includes(code)) ?? 0;

  async function registerOwnTenant() {
    const tenantId = readTenantId(run.environment.variables);
    if (!tenantId) {
      throw new ExpectedError('usage', 'no tenant is registered', {
        cure: 'set AZURE_TENANT_ID, or run entra-sync tenant add TENANT --name NAME',
      });
    }
    // A token first: a tenant that never let us in leaves nothing behind.
    const { allowRoles } = await settingsInForce(database, null, defaults);
    await graph.tokens(tenantId, allowRoles).token({ signal: run.signal });
    await addTenant(database, { tenantId, name: tenantId, ref: null });
    terminal.note(`tenant ${tenantId} registered`);
    return findTenant(database, tenantId);
  }
}

function report(
  run: Run,
  done: { tenant: Tenant; result: CycleResult }[],
  failed: { tenant: Tenant; error: unknown }[],
): void {
  const { terminal } = run;
  terminal.answer({
    cycles: done.map(({ tenant, result }) => ({ tenant: { id: tenant.tenant_id, name: tenant.name }, ...result })),
    failures: failed.map(({ tenant, error }) => ({
      tenant: { id: tenant.tenant_id, name: tenant.name },
      message: error instanceof Error ? error.message : String(error),
    })),
  });
  if (done.length > 0) terminal.say(cycleTable(done));
  for (const { tenant, result } of done) {
    const why = explainQuiet(result);
    if (why) terminal.say(`${tenant.name}: ${why}`);
    if (result.streams.users.set_aside > 0) {
      terminal.say(
        `${tenant.name}: ${count(result.streams.users.set_aside)} object(s) set aside, see entra-sync status --set-aside`,
      );
    }
    if (result.outcome === 'rehearsed') sayRehearsal(run, result);
  }
}

/** The cycles as one table, a line a stream. */
export function cycleTable(done: readonly { tenant: Tenant; result: CycleResult }[]): string {
  return table(
    [
      { title: 'tenant' },
      { title: 'cycle' },
      { title: 'stream' },
      { title: 'round' },
      { title: 'requests', right: true },
      { title: 'seen', right: true },
      { title: 'created', right: true },
      { title: 'updated', right: true },
      { title: 'removed', right: true },
      { title: 'restored', right: true },
      { title: 'seconds', right: true },
    ],
    done.flatMap(({ tenant, result }) =>
      Object.entries(result.streams).map(([stream, one]) => [
        tenant.name,
        result.outcome === 'rehearsed' ? `${result.kind} (dry run)` : result.kind,
        stream,
        `${one.round}, ${one.reason.replaceAll('_', ' ')}`,
        count(one.requests),
        count(one.seen),
        count(one.created),
        count(one.updated + one.suspended + one.resumed),
        count(one.removed),
        count(one.restored),
        result.seconds.toFixed(1),
      ]),
    ),
  );
}

/** Rule 21: "0 changes" says why. */
function explainQuiet(result: CycleResult): string | undefined {
  const one = result.streams.users;
  if (one.created + one.updated + one.suspended + one.resumed + one.removed + one.restored + one.purged > 0)
    return undefined;
  if (one.seen === 0 && result.sinceMs !== undefined && one.round === 'incremental') {
    return `no changes: Graph reported none since the last cycle, ${duration(result.sinceMs / 1000)} ago`;
  }
  if (one.seen === 0) return 'no changes: Graph showed an empty directory';
  return `no changes: Graph showed ${count(one.distinct)} object(s), none differs from what is stored`;
}

const shownChanges = 20;

function sayRehearsal(run: Run, result: CycleResult): void {
  const { terminal } = run;
  terminal.say('Dry run: nothing was kept, the checkpoint stays.');
  if (result.sample.length === 0) return;
  const shown = result.sample.slice(0, shownChanges);
  terminal.say(
    table(
      [{ title: 'would be' }, { title: 'account' }, { title: 'what' }],
      shown.map((change) => [change.kind, change.account_id, describeChange(change.kind, change.before, change.after)]),
    ),
  );
  if (result.sample.length > shown.length)
    terminal.say(
      `… and ${count(result.sample.length - shown.length)} more${result.sample.length === 1000 ? ' at least' : ''} (--json shows them)`,
    );
}
