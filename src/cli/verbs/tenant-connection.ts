// `tenant disconnect`, `tenant reconnect`, `tenant purge`: a customer leaves, comes back, or is erased.

import type { Command } from 'commander';
import { openBasics } from '../../app.ts';
import { type CycleResult, runCycle } from '../../engine/cycle.ts';
import { ExpectedError } from '../../errors.ts';
import { commandWord } from '../../rules/shell.ts';
import { disconnectTenant, purgeTenant, reconnectTenant, releasedAccounts } from '../../store/tenants/disconnect.ts';
import { findTenant, type Tenant } from '../../store/tenants/tenants.ts';
import { openGraph, type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { confirmName } from '../confirmation.ts';
import { count, duration, nameWithId, plural } from '../format.ts';
import { table } from '../layout.ts';
import { openProgress } from '../progress.ts';
import { parseSpan } from '../times.ts';

type ConnectionOptions = VerbOptions & { dryRun?: boolean; confirm?: string; eraseAfter?: number };

export function connectionCommands(): Command[] {
  return [
    verb(
      'disconnect',
      'Stop syncing a tenant. Its accounts and groups stay, as manual ones with their current values, and can be edited. Needs neither Graph nor consent.',
      [
        'tenant disconnect Contoso --dry-run',
        'tenant disconnect Contoso',
        'tenant disconnect Contoso --erase-after 90d',
      ],
      { acts: true },
    )
      .argument('<tenant>', 'id, name or reference')
      .option('--erase-after <time>', 'let the worker erase the tenant after this time: 90d', parseSpan)
      .option('--dry-run', 'show what would happen, change nothing')
      .action((word: string, options: ConnectionOptions) => runVerb(options, (run) => disconnect(run, word, options))),
    verb(
      'reconnect',
      'Sync a disconnected tenant again: a full cycle adopts the same accounts and groups by their object ids. Edits made meanwhile stay if the user owns the field, and are shelved otherwise.',
      ['tenant reconnect Contoso --dry-run', 'tenant reconnect Contoso'],
      { acts: true },
    )
      .argument('<tenant>', 'id, name or reference')
      .option('--dry-run', 'read the directory and show what would happen, change nothing')
      .action((word: string, options: ConnectionOptions) =>
        runVerb(
          options,
          (run) => reconnect(run, word, options),
          options.dryRun ? undefined : 'entra-sync sync TENANT resumes where it stopped',
        ),
      ),
    verb(
      'purge',
      'Erase a disconnected tenant: accounts, groups, memberships, settings, cycles and every change row. One row of the audit stays. This cannot be undone.',
      ['tenant purge Contoso', 'tenant purge Contoso --confirm Contoso'],
      { acts: true },
    )
      .argument('<tenant>', 'id, name or reference')
      .option('--confirm <name>', "the tenant's name, instead of being asked for it")
      .action((word: string, options: ConnectionOptions) => runVerb(options, (run) => purge(run, word, options))),
  ];
}

async function disconnect(run: Run, word: string, options: ConnectionOptions): Promise<undefined> {
  const dryRun = options.dryRun === true;
  const { database } = await run.database();
  const tenant = await findTenant(database, word);
  const { eraseAfter } = options;
  const done = await disconnectTenant(database, tenant.tenant_id, {
    actor: run.actor,
    dryRun,
    ...(eraseAfter !== undefined && { eraseAfterMs: eraseAfter }),
  });
  run.terminal.answer({ tenant: named(tenant), dryRun, ...done });
  const would = dryRun ? 'would become' : 'became';
  run.terminal.say(
    `${tenant.name}: ${plural(done.accounts, 'account')} and ${plural(done.groups, 'group')} ${would} manual, with their current values; the setting manual names the roles that may edit them.`,
  );
  if (done.removed > 0)
    run.terminal.say(`${plural(done.removed, 'removed account')} ${dryRun ? 'would stay' : 'stayed'} removed.`);
  if (eraseAfter !== undefined)
    run.terminal.say(
      `A worker ${dryRun ? 'would erase' : 'erases'} it after ${duration(eraseAfter / 1000)}, unless it is reconnected before.`,
    );
  if (done.running)
    run.terminal.say(
      `A cycle ${dryRun ? 'is running and would end' : 'was running and ends'} without committing anything more.`,
    );
  run.terminal.say(
    dryRun
      ? 'Dry run: nothing was changed.'
      : `entra-sync tenant reconnect ${commandWord(tenant.name)} adopts them again, entra-sync tenant purge erases them.`,
  );
}

const shownAccounts = 20;

async function reconnect(run: Run, word: string, options: ConnectionOptions): Promise<undefined> {
  const { terminal } = run;
  const dryRun = options.dryRun === true;
  const { log, defaults } = openBasics(run.environment);
  const graph = await openGraph(run);
  const { database } = await run.database();
  const tenant = await findTenant(database, word);
  if (tenant.status !== 'disconnected') {
    throw new ExpectedError('usage', `${tenant.name} is connected`, {
      cure: 'entra-sync sync TENANT runs a cycle of it',
    });
  }
  if (!dryRun) await reconnectTenant(database, tenant.tenant_id, run.actor);
  const progress = openProgress(terminal, { dryRun });
  const result = await runCycle(
    { database, defaults, log, openReader: graph.openReader },
    {
      tenantId: tenant.tenant_id,
      resync: true,
      dryRun,
      evenDisconnected: dryRun,
      actor: run.actor,
      signal: run.signal,
      onProgress: progress.update,
    },
  ).finally(() => progress.done());
  const left = await releasedAccounts(database, tenant.tenant_id, shownAccounts);
  const manual = result.streams.users.still_manual ?? left.count;
  terminal.answer({ tenant: named(tenant), dryRun, ...result, stillManual: dryRun ? manual : left });
  terminal.say(summary(tenant, result, dryRun));
  if (manual > 0)
    terminal.say(
      `${plural(manual, 'account')} ${dryRun ? 'would stay' : manual === 1 ? 'stays' : 'stay'} manual: the directory no longer has ${manual === 1 ? 'its user' : 'their users'}${dryRun ? '.' : ':'}`,
    );
  if (manual > 0 && !dryRun) {
    terminal.say(
      table(
        [
          { title: 'account', whole: true },
          { title: 'name', long: true },
          { title: 'user principal name', long: true },
        ],
        left.accounts.map((one) => [one.account_id, one.display_name ?? '', one.user_principal_name ?? '']),
      ),
    );
    if (manual > shownAccounts) terminal.say(`… and ${count(manual - shownAccounts)} more`);
  }
  if (dryRun) terminal.say('Dry run: nothing was changed.');
}

function summary(tenant: Tenant, { streams }: CycleResult, dryRun: boolean): string {
  const { users, groups } = streams;
  const parts = [
    `${plural(users.adopted, 'account')} and ${plural(groups.adopted, 'group')} ${dryRun ? 'would be adopted' : 'adopted'}`,
    `${count(users.created)} new`,
    `${count(users.restored)} restored`,
  ];
  return `${tenant.name}: ${parts.join(', ')}.`;
}

async function purge(run: Run, word: string, options: ConnectionOptions): Promise<undefined> {
  const { database } = await run.database();
  const tenant = await findTenant(database, word);
  if (tenant.status !== 'disconnected') {
    throw new ExpectedError('usage', `${tenant.name} is connected; only a disconnected tenant can be erased`, {
      cure: `entra-sync tenant disconnect ${commandWord(tenant.name)} first`,
    });
  }
  await confirmName(run, {
    name: tenant.name,
    what: 'tenant',
    warning: `This permanently erases everything stored of ${nameWithId(tenant.name, tenant.tenant_id)}.`,
    again: `entra-sync tenant purge ${tenant.tenant_id}`,
    ...(options.confirm !== undefined && { given: options.confirm }),
  });
  const purged = await purgeTenant(database, tenant.tenant_id, { actor: run.actor, role: 'cli', via: 'cli' });
  run.terminal.answer({ tenant: named(tenant), purged });
  run.terminal.say(
    `${tenant.name} is erased: ${plural(purged.accounts, 'account')}, ${plural(purged.groups, 'group')}, ${plural(purged.changes, 'change row')}.`,
  );
}

function named(tenant: Tenant): { id: string; name: string } {
  return { id: tenant.tenant_id, name: tenant.name };
}
