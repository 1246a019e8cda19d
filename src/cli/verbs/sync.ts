// `sync` and `resync`: one cycle now, of one tenant or of all, one after another.
import type { Command } from 'commander';
import { openBasics } from '../../app.ts';
import { ownsTenantId } from '../../credentials.ts';
import { type CycleResult, runCycle } from '../../engine/cycle.ts';
import type { FirstLoad } from '../../engine/reports.ts';
import { readTenantId } from '../../environment.ts';
import { ExpectedError, exitCodeOf, exitCodes } from '../../errors.ts';
import { explainGaps } from '../../rules/scope.ts';
import type { StreamReport } from '../../store/cycles.ts';
import { describeDatabaseError, tellDatabaseError } from '../../store/pool.ts';
import { settingsInForce } from '../../store/settings.ts';
import { addTenant, findTenant, forgetPendingTenant, listTenants, type Tenant } from '../../store/tenants.ts';
import { consentWaiting, listWaiting } from '../../store/waiting.ts';
import { goesOn, openGraph, type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { count, duration, plural } from '../format.ts';
import { openProgress } from '../progress.ts';
import { sampleTable, shownChanges } from '../samples.ts';
import { describeFailure, sayNotTried, stopsAll, worstExitCode } from '../several.ts';
import { showError, table } from '../terminal.ts';
import { syncPerson } from './sync-person.ts';

type SyncOptions = VerbOptions & { dryRun?: boolean; user?: string };

export function syncCommand(): Command {
  return verb(
    'sync',
    'Run one cycle now: read what changed in Entra ID and commit it. Without a tenant: all, one after another. ' +
      'When none is registered, the tenant of AZURE_TENANT_ID is.',
    [
      'sync',
      'sync Contoso --dry-run',
      'sync Contoso --user adele@contoso.com',
      'sync --json | jq ".cycles[].streams.users"',
    ],
    { acts: true },
  )
    .argument('[tenant]', 'id, name or reference of one tenant')
    .option('--dry-run', 'show what the cycle would change, keep nothing')
    .option(
      '--user <upn or id>',
      'only this person, with the groups that hold the person: read now, beside the cycles; checkpoints stay, nobody is removed',
    )
    .action((tenant: string | undefined, options: SyncOptions) =>
      options.user === undefined
        ? runVerb(
            options,
            (run) => syncTenants(run, tenant, { resync: false, dryRun: options.dryRun === true }),
            options.dryRun ? undefined : goesOn,
          )
        : syncUser(tenant, options.user, options),
    );
}

function syncUser(tenant: string | undefined, word: string, options: SyncOptions): Promise<void> {
  return runVerb(
    options,
    (run) => syncPerson(run, tenant, { word, dryRun: options.dryRun === true }),
    'run the command again: it reads the person anew',
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
      runVerb(options, (run) => syncTenants(run, tenant, { resync: true, dryRun: false }), goesOn),
    );
}

async function syncTenants(
  run: Run,
  word: string | undefined,
  what: { resync: boolean; dryRun: boolean },
): Promise<number> {
  const { terminal } = run;
  const { log, defaults } = openBasics(run.environment);
  const graph = openGraph(run);
  const { database } = await run.database();
  const known = word === undefined ? await listTenants(database) : [await findTenant(database, word)];
  // Who left is no failure of those who stay: one disconnected customer must not fail every run of a cron job.
  const gone = known.filter((tenant) => word === undefined && tenant.status === 'disconnected');
  const connected = known.filter((tenant) => !gone.includes(tenant));
  const paused = connected.filter((tenant) => tenant.paused);
  const tenants = connected.filter((tenant) => word !== undefined || !tenant.paused);
  const registers = known.length === 0;
  if (gone.length > 0)
    terminal.note(`${plural(gone.length, 'disconnected tenant')} left alone -> entra-sync tenant reconnect TENANT`);
  if (paused.length > 0)
    terminal.note(
      word === undefined
        ? `${plural(paused.length, 'paused tenant')} left alone -> entra-sync tenant resume TENANT`
        : `${known[0]?.name} is paused: the worker leaves it alone; this cycle runs because it was named`,
    );
  if (registers) {
    const tenant = await registerOwnTenant();
    tenants.push(tenant);
    // A dry run keeps nothing, a registration that it made itself neither, unless a customer consented to it meanwhile.
    if (what.dryRun) run.onEnd(async () => void (await forgetPendingTenant(database, tenant.tenant_id, 'unclaimed')));
  }
  const { variables } = run.environment;
  const own = word === undefined && ownsTenantId(variables) ? readTenantId(variables) : undefined;
  if (own !== undefined && ![...known, ...tenants].some((tenant) => tenant.tenant_id === own)) {
    terminal.note(
      `AZURE_TENANT_ID names ${own}, which is not registered and not synced -> entra-sync tenant add ${own} --name NAME`,
    );
  }
  const done: { tenant: Tenant; result: CycleResult }[] = [];
  const failed: { tenant: Tenant; error: unknown }[] = [];
  let notTried: readonly Tenant[] = [];
  for (const [index, tenant] of tenants.entries()) {
    const progress = openProgress(terminal);
    try {
      const result = await runCycle(
        { database, defaults, log, openReader: graph.openReader },
        { tenantId: tenant.tenant_id, ...what, actor: run.actor, signal: run.signal, onProgress: progress.update },
      );
      done.push({ tenant, result });
      if (stopsAll(result.failures.map(({ error }) => error))) notTried = tenants.slice(index + 1);
    } catch (error) {
      progress.done();
      if (tenants.length === 1 || run.signal.aborted) throw error;
      const described = await tellDatabaseError(database, error);
      failed.push({ tenant, error: described });
      showError({ ...terminal, answer: () => {} }, described, `${tenant.name} (${tenant.tenant_id}): `);
      if (stopsAll([described])) notTried = tenants.slice(index + 1);
    } finally {
      progress.done();
    }
    if (notTried.length > 0) break;
  }
  report(run, done, failed, notTried);
  const codes = [...failed, ...done.flatMap(({ result }) => result.failures)].map(({ error }) =>
    exitCodeOf(describeDatabaseError(error)),
  );
  if (done.some(({ result }) => hasHeld(result))) codes.push(exitCodes.removals_held);
  return worstExitCode(codes);

  async function registerOwnTenant() {
    const { variables } = run.environment;
    const tenantId = readTenantId(variables);
    if (!tenantId || !ownsTenantId(variables)) {
      // With a federated token AZURE_TENANT_ID is set by the platform, to the tenant where the application is at home.
      throw new ExpectedError('usage', 'no tenant is registered', {
        cure: ownsTenantId(variables)
          ? 'set AZURE_TENANT_ID, or run entra-sync tenant add TENANT --name NAME'
          : 'run entra-sync tenant add TENANT --name NAME; with a federated token or managed identity AZURE_TENANT_ID is not taken for it',
      });
    }
    const waiting = await listWaiting(database, tenantId);
    if (waiting.length > 0) throw consentWaiting(waiting);
    // A token first: a tenant that never let us in leaves nothing behind.
    const settings = await settingsInForce(database, null, defaults);
    await graph.openReader({ tenantId, settings, signal: run.signal, log }).signIn();
    run.signal.throwIfAborted();
    await addTenant(database, { tenantId, name: tenantId, ref: null }, defaults).catch((error: unknown) => {
      // Another command registered it at the same moment, which is what was wanted.
      if (!(error instanceof ExpectedError && error.code === 'tenant_exists')) throw error;
    });
    if (!what.dryRun) terminal.note(`tenant ${tenantId} registered`);
    return findTenant(database, tenantId);
  }
}

function report(
  run: Run,
  done: { tenant: Tenant; result: CycleResult }[],
  failed: { tenant: Tenant; error: unknown }[],
  notTried: readonly Tenant[],
): void {
  const { terminal } = run;
  terminal.answer({
    cycles: done.flatMap(({ tenant, result: { firstLoad, sinceMs, ...cycle } }) =>
      [...(firstLoad ? [firstLoad] : []), cycle].map((one) => ({
        tenant: { id: tenant.tenant_id, name: tenant.name },
        ...one,
        failures: one.failures.map(({ stream, error }) => ({ stream, ...describeFailure(error) })),
        ...('unfinished' in one && {
          unfinished: one.unfinished.map(({ stream, error }) => ({ stream, ...describeFailure(error) })),
        }),
      })),
    ),
    failures: failed.map(({ tenant, error }) => ({
      tenant: { id: tenant.tenant_id, name: tenant.name },
      ...describeFailure(error),
    })),
    ...(notTried.length > 0 && { not_tried: notTried.map(({ tenant_id: id, name }) => ({ id, name })) }),
  });
  sayNotTried(terminal, notTried.length);
  if (done.length > 0) terminal.say(cycleTable(done));
  for (const { tenant, result } of done) {
    const why = explainQuiet(result);
    if (why) terminal.say(`${tenant.name}: ${why}`);
    const aside = Object.values(result.streams).reduce((sum, one) => sum + one.set_aside, 0);
    if (aside > 0)
      terminal.say(`${tenant.name}: ${plural(aside, 'object')} set aside, see entra-sync status --set-aside`);
    const { held, scope_gaps: gaps = [] } = result.streams.users;
    if (gaps.length > 0) {
      const { what, cure } = explainGaps(gaps);
      const because = held > 0 ? `${plural(held, 'removal')} held, because ` : '';
      terminal.note(`${tenant.name}: ${because}${what} -> ${cure}`);
    }
    sayHeld(run, tenant, result);
    for (const { stream, error } of result.firstLoad?.failures ?? []) {
      const { message } = describeFailure(error);
      terminal.note(
        `${tenant.name}: ${stream} could not be listed quickly and were read by the first round (${message})`,
      );
    }
    for (const { stream, error } of result.unfinished) {
      const { message } = describeFailure(error);
      terminal.note(
        `${tenant.name}: the full round of ${stream} is not finished (${message}); changes were committed beside it, and the next cycle goes on with it`,
      );
    }
    for (const { stream, error } of result.failures) {
      showError({ ...terminal, answer: () => {} }, describeDatabaseError(error), `${tenant.name}, ${stream}: `);
    }
    if (result.outcome === 'rehearsed') sayRehearsal(run, result);
  }
}

function hasHeld({ lists, streams }: CycleResult): boolean {
  return lists.length + streams.users.held + streams.groups.held > 0;
}

function sayHeld({ terminal }: Run, tenant: Tenant, { lists, outcome, streams }: CycleResult): void {
  for (const list of lists) {
    terminal.note(
      `${tenant.name}: ${plural(list.held, 'removal')} of ${list.stream} held in list ${list.list_id}, since ${list.why} -> entra-sync removals list ${JSON.stringify(tenant.name)}`,
    );
  }
  const rehearsed = streams.users.held + streams.groups.held;
  if (outcome === 'rehearsed' && rehearsed > 0)
    terminal.note(`${tenant.name}: ${plural(rehearsed, 'removal')} would be held for a person's decision`);
}

type ToldCycle = Pick<CycleResult, 'kind' | 'outcome' | 'seconds'> & Pick<FirstLoad, 'streams'>;

/** The cycles as one table, a line a stream; a quick first load before the rounds that followed it. */
export function cycleTable(
  done: readonly { tenant: Tenant; result: ToldCycle & { firstLoad?: ToldCycle | undefined } }[],
): string {
  const cycles = done.flatMap(({ tenant, result }) =>
    (result.firstLoad ? [result.firstLoad, result] : [result]).map((cycle) => ({ tenant, cycle })),
  );
  const reports = cycles.flatMap(({ cycle }) => Object.values(cycle.streams));
  // Rare, and worth a column only where they occur.
  const rare = (['adopted', 'held'] as const).filter((name) => reports.some((one) => one[name] > 0));
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
      { title: 'suspended', right: true },
      { title: 'removed', right: true },
      { title: 'restored', right: true },
      ...rare.map((title) => ({ title, right: true })),
      { title: 'members', right: true },
      { title: 'seconds', right: true },
    ],
    cycles.flatMap(({ tenant, cycle }) =>
      Object.entries(cycle.streams).map(([stream, one]) => [
        tenant.name,
        cycle.outcome === 'rehearsed' ? `${cycle.kind} (dry run)` : cycle.kind,
        stream,
        one.outcome === 'failed'
          ? `failed, ${one.reason.replaceAll('_', ' ')}`
          : `${one.round}, ${one.reason.replaceAll('_', ' ')}`,
        count(one.requests),
        count(one.seen),
        count(one.created),
        count(one.updated),
        one.suspended + one.resumed === 0 ? '0' : `+${count(one.suspended)} -${count(one.resumed)}`,
        count(one.removed),
        count(one.restored),
        ...rare.map((name) => count(one[name])),
        one.memberships_added + one.memberships_removed === 0
          ? '0'
          : `+${count(one.memberships_added)} -${count(one.memberships_removed)}`,
        cycle.seconds.toFixed(1),
      ]),
    ),
  );
}

/** Rule 21: "0 changes" says why. */
function explainQuiet(result: CycleResult): string | undefined {
  const all = Object.values(result.streams);
  const sum = (count: (one: StreamReport) => number) => all.reduce((total, one) => total + count(one), 0);
  if (result.failures.length > 0 || hasHeld(result) || sum(changesOf) > 0) return undefined;
  // What there was to show, the quick listing before this round has shown.
  if (result.firstLoad && Object.values(result.firstLoad.streams).some((one) => changesOf(one) > 0)) return undefined;
  if (sum((one) => one.seen) > 0) {
    return `no changes: Graph showed ${plural(
      sum((one) => one.distinct),
      'object',
    )}, none differs from what is stored`;
  }
  return result.sinceMs !== undefined && all.every((one) => one.round === 'incremental')
    ? `no changes: Graph reported none since the last cycle, ${duration(result.sinceMs / 1000)} ago`
    : 'no changes: Graph showed an empty directory';
}

function changesOf(one: StreamReport): number {
  const objects =
    one.created + one.adopted + one.updated + one.suspended + one.resumed + one.removed + one.restored + one.purged;
  return objects + one.memberships_added + one.memberships_removed;
}

function sayRehearsal(run: Run, result: CycleResult): void {
  const { terminal } = run;
  terminal.say('Dry run: nothing was kept, the checkpoint stays.');
  if (result.sample.length === 0) return;
  const total = Object.values(result.streams).reduce((sum, one) => sum + changesOf(one), 0);
  terminal.say(sampleTable(result.sample, 'would be'));
  if (total > shownChanges)
    terminal.say(`… and ${count(total - shownChanges)} more (--json shows up to 1,000 of each stream)`);
}
