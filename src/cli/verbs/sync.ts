// `sync` and `resync`: one cycle now, of one tenant or of all, one after another.
import type { Command } from 'commander';
import { openBasics } from '../../app.ts';
import { ownsTenantId } from '../../credentials.ts';
import { type CycleResult, runCycle } from '../../engine/cycle.ts';
import { readTenantId } from '../../environment.ts';
import { ExpectedError, exitCodeOf, exitCodes } from '../../errors.ts';
import { describeDatabaseError, tellDatabaseError } from '../../store/database/pool.ts';
import { settingsInForce } from '../../store/settings/versions.ts';
import { readStatus } from '../../store/tenants/status.ts';
import { addTenant, findTenant, forgetPendingTenant, listTenants, type Tenant } from '../../store/tenants/tenants.ts';
import { consentWaiting, listWaiting } from '../../store/tenants/waiting-consents.ts';
import { anyName } from '../accounts.ts';
import { openGraph, type Run, resumeHint, runVerb, type VerbOptions, verb } from '../command.ts';
import { hasHeld, reportCycles } from '../cycle-report.ts';
import { nameWithId, plural } from '../format.ts';
import { describeFirstLoad } from '../not-shown.ts';
import { noProgress, openProgress } from '../progress.ts';
import { stopsAll, worstExitCode } from '../several.ts';
import { showError } from '../terminal.ts';
import { syncPhotos } from './sync-photos.ts';
import { syncOneUser } from './sync-user.ts';

type SyncOptions = VerbOptions & { dryRun?: boolean; quiet?: boolean; user?: string; photos?: boolean };

export function syncCommand(): Command {
  return verb(
    'sync',
    'Run one cycle now: read the changes of Entra ID and commit them. Without a name it syncs all tenants, one after another. ' +
      'If none is registered, it registers the tenant of AZURE_TENANT_ID.',
    [
      'sync',
      'sync Contoso --dry-run',
      'sync Contoso --user adele@contoso.com',
      'sync --photos                 (the photos that are due, beside the cycles)',
      'sync --quiet                  (for cron: speaks only of what changed or failed)',
      'sync --json | jq ".cycles[].streams.users"',
    ],
    { acts: true },
  )
    .argument('[tenant]', 'id, name or reference of one tenant')
    .option('--dry-run', 'show what the cycle would change, store nothing')
    .option(
      '--quiet',
      'speak only of what changed or failed: no output at all when nothing did; the exit code says the same',
    )
    .option(
      '--user <user>',
      `read only this user (${anyName}) and the user's groups, beside the cycles; no checkpoint moves, no account is removed`,
    )
    .option('--photos', 'read only the photos that are due (settings: photos), beside the cycles')
    .action((tenant: string | undefined, options: SyncOptions) => {
      if (options.photos) return photosNow(tenant, options);
      return options.user === undefined
        ? runVerb(
            options,
            (run) => syncTenants(run, tenant, { dryRun: options.dryRun === true, quiet: options.quiet === true }),
            options.dryRun ? undefined : resumeHint,
          )
        : syncUser(tenant, options.user, options);
    });
}

function photosNow(tenant: string | undefined, options: SyncOptions): Promise<void> {
  return runVerb(
    options,
    (run) => {
      if (options.user === undefined && !options.dryRun) return syncPhotos(run, tenant, options.quiet === true);
      throw new ExpectedError('usage', '--photos reads all photos that are due, and stores them', {
        cure: 'leave out --user and --dry-run',
      });
    },
    resumeHint,
  );
}

function syncUser(tenant: string | undefined, word: string, options: SyncOptions): Promise<void> {
  return runVerb(
    options,
    (run) => syncOneUser(run, tenant, { word, dryRun: options.dryRun === true }),
    'run the command again: it reads the user again',
  );
}

export function resyncCommand(): Command {
  return verb(
    'resync',
    'Run one full cycle now: read the whole directory, whatever the checkpoints. Accounts keep their ids. ' +
      'Accounts that are no longer in Entra ID are removed when the full rounds are complete.',
    ['resync', 'resync Contoso'],
    { acts: true },
  )
    .argument('[tenant]', 'id, name or reference of one tenant')
    .action((tenant: string | undefined, options: SyncOptions) =>
      runVerb(options, (run) => syncTenants(run, tenant, { resync: true }), resumeHint),
    );
}

async function syncTenants(
  run: Run,
  word: string | undefined,
  { resync = false, dryRun = false, quiet = false }: { resync?: boolean; dryRun?: boolean; quiet?: boolean },
): Promise<number> {
  const { terminal } = run;
  // Remarks that are neither a change nor a failure.
  const remark = quiet ? () => {} : terminal.note;
  const { log, defaults } = openBasics(run.environment);
  const graph = await openGraph(quiet ? { ...run, terminal: { ...terminal, note: remark } } : run);
  const { database } = await run.database(quiet ? { announced: false, onLockWait: () => {} } : {});
  const known = word === undefined ? await listTenants(database) : [await findTenant(database, word)];
  // A disconnected customer must not fail every run of a cron job.
  const disconnected = known.filter((tenant) => word === undefined && tenant.status === 'disconnected');
  const connected = known.filter((tenant) => !disconnected.includes(tenant));
  const paused = connected.filter((tenant) => tenant.paused);
  const tenants = connected.filter((tenant) => word !== undefined || !tenant.paused);
  const registers = known.length === 0;
  if (disconnected.length > 0)
    remark(`${plural(disconnected.length, 'disconnected tenant')} skipped -> entra-sync tenant reconnect TENANT`);
  if (paused.length > 0)
    remark(
      word === undefined
        ? `${plural(paused.length, 'paused tenant')} skipped -> entra-sync tenant resume TENANT`
        : `${known[0]?.name} is paused: the worker skips it; this cycle runs because you named it`,
    );
  if (registers) {
    const tenant = await registerOwnTenant();
    tenants.push(tenant);
    // A dry run stores nothing, so it deletes its own registration, unless a customer consented meanwhile.
    if (dryRun) run.onEnd(async () => void (await forgetPendingTenant(database, tenant.tenant_id, 'unclaimed')));
  }
  const { variables } = run.environment;
  const own = word === undefined && ownsTenantId(variables) ? readTenantId(variables) : undefined;
  if (own !== undefined && ![...known, ...tenants].some((tenant) => tenant.tenant_id === own)) {
    remark(
      `AZURE_TENANT_ID names ${own}, which is not registered and not synced -> entra-sync tenant add ${own} --name NAME`,
    );
  }
  const done: { tenant: Tenant; result: CycleResult }[] = [];
  const failed: { tenant: Tenant; error: unknown }[] = [];
  let notTried: readonly Tenant[] = [];
  for (const [index, tenant] of tenants.entries()) {
    const of = tenants.length > 1 ? tenant.name : undefined;
    const progress = quiet ? noProgress : openProgress(terminal, { of, dryRun });
    try {
      const result = await runCycle(
        { database, defaults, log, openReader: graph.openReader },
        {
          tenantId: tenant.tenant_id,
          resync,
          dryRun,
          actor: run.actor,
          signal: run.signal,
          onProgress: progress.update,
        },
      );
      done.push({ tenant, result });
      if (stopsAll(result.failures.map(({ error }) => error))) notTried = tenants.slice(index + 1);
    } catch (error) {
      progress.done();
      if (tenants.length === 1 || run.signal.aborted) throw error;
      const described = await tellDatabaseError(database, error);
      failed.push({ tenant, error: described });
      showError({ ...terminal, answer: () => {} }, described, `${nameWithId(tenant.name, tenant.tenant_id)}: `);
      if (stopsAll([described])) notTried = tenants.slice(index + 1);
    } finally {
      progress.done();
    }
    if (notTried.length > 0) break;
  }
  reportCycles(run, { done, failed, notTried, quiet });
  for (const { tenant } of done.filter(({ result }) => result.failures.length > 0)) {
    // What was committed has been told. A status that cannot be read changes nothing of that.
    const [status] = await readStatus(database, tenant.tenant_id).catch(() => []);
    if (status?.first_load) terminal.note(`${tenant.name}: ${describeFirstLoad(status.first_load)}`);
  }
  // The permissions of entra-sync do not cover the name of the organisation.
  for (const { tenant_id: id, name } of quiet || dryRun ? [] : tenants)
    if (name === id) terminal.note(`${id} has no name yet -> entra-sync tenant rename ${id} --name NAME`);
  const codes = [...failed, ...done.flatMap(({ result }) => result.failures)].map(({ error }) =>
    exitCodeOf(describeDatabaseError(error)),
  );
  if (done.some(({ result }) => hasHeld(result))) codes.push(exitCodes.removals_held);
  return worstExitCode(codes);

  async function registerOwnTenant() {
    const { variables } = run.environment;
    const tenantId = readTenantId(variables);
    if (!tenantId || !ownsTenantId(variables)) {
      // With a federated token, the platform sets AZURE_TENANT_ID to the home tenant of the application.
      throw new ExpectedError('usage', 'no tenant is registered', {
        cure: ownsTenantId(variables)
          ? 'set AZURE_TENANT_ID, or run entra-sync tenant add TENANT --name NAME'
          : 'run entra-sync tenant add TENANT --name NAME; with a federated token or managed identity AZURE_TENANT_ID does not name it',
      });
    }
    const waiting = await listWaiting(database, tenantId);
    if (waiting.length > 0) throw consentWaiting(waiting);
    // A token first, so that a tenant that refuses the sign-in is not registered.
    const settings = await settingsInForce(database, null, defaults);
    await graph.openReader({ tenantId, settings, signal: run.signal, log }).signIn();
    run.signal.throwIfAborted();
    await addTenant(database, { tenantId, name: tenantId, ref: null }, defaults).catch((error: unknown) => {
      // Another command has just registered it.
      if (!(error instanceof ExpectedError && error.code === 'tenant_exists')) throw error;
    });
    if (!dryRun) terminal.note(`tenant ${tenantId} registered`);
    return findTenant(database, tenantId);
  }
}
