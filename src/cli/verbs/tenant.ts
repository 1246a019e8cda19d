// `tenant rename`, `remove`, `list` and `show`: the registered tenants and their state.
import type { Command } from 'commander';
import { openBasics } from '../../app.ts';
import { ExpectedError } from '../../errors.ts';
import { grantedRoles } from '../../store/schema/grantable.ts';
import { settingsInForce } from '../../store/settings/versions.ts';
import { readCycles, readStatus, readStreams, type TenantStatus } from '../../store/tenants/status.ts';
import { findTenant, forgetPendingTenant, listTenants, renameTenant } from '../../store/tenants/tenants.ts';
import { listWaiting } from '../../store/tenants/waiting-consents.ts';
import { describeCredential, describePermissions } from '../../words/permissions.ts';
import { describeErasure, describeNotice, describeTrouble } from '../../words/trouble.ts';
import { type Run, runVerb, type VerbOptions, verb, verbGroup } from '../command.ts';
import { count, dueIn, nameWithId, plural, when } from '../format.ts';
import { table } from '../layout.ts';
import { tenantSetCommand } from './settings.ts';
import { checkedName, tenantAddCommand } from './tenant-add.ts';
import { approvalCommands, describeWaiting } from './tenant-approval.ts';
import { connectionCommands } from './tenant-connection.ts';
import { tenantContactsCommand } from './tenant-contacts.ts';
import { scheduleCommands } from './tenant-schedule.ts';

type RenameOptions = VerbOptions & { name?: string; ref?: string };

export function tenantCommand(): Command {
  const tenant = verbGroup('tenant', 'Register, show, configure, pause, disconnect and reconnect tenants.', [
    'tenant list',
    'tenant show Contoso',
    'tenant approve --list',
    'tenant pause Contoso',
    'tenant disconnect Contoso --dry-run',
  ]);
  tenant.addCommand(tenantAddCommand());
  tenant.addCommand(
    verb('rename', 'Give a tenant another name, or another reference.', [
      'tenant rename 2f9b1c54-7a8e-4f7e-9a55-0d3f5f1c8e21 --name Contoso',
    ])
      .argument('<tenant>', 'id, name or reference')
      .option('--name <name>', 'how people call it')
      .option('--ref <ref>', 'what your own system calls this customer')
      .action((word: string, options: RenameOptions) => runVerb(options, (run) => rename(run, word, options))),
  );
  tenant.addCommand(
    verb('remove', 'Delete the registration of a tenant that was never synced.', ['tenant remove Contoso'])
      .argument('<tenant>', 'id, name or reference')
      .action((word: string, options: VerbOptions) => runVerb(options, (run) => remove(run, word))),
  );
  tenant.addCommand(
    verb('list', 'List the registered tenants.', ['tenant list', 'tenant list --json']).action((options: VerbOptions) =>
      runVerb(options, list),
    ),
  );
  tenant.addCommand(
    verb('show', 'Show one tenant: its state, checkpoints and last cycles.', ['tenant show Contoso'])
      .argument('<tenant>', 'id, name or reference')
      .action((word: string, options: VerbOptions) => runVerb(options, (run) => show(run, word))),
  );
  for (const command of [
    tenantSetCommand(),
    tenantContactsCommand(),
    ...scheduleCommands(),
    ...approvalCommands(),
    ...connectionCommands(),
  ])
    tenant.addCommand(command);
  return tenant;
}

async function rename(run: Run, word: string, options: RenameOptions): Promise<undefined> {
  if (options.name === undefined && options.ref === undefined) {
    throw new ExpectedError('usage', 'nothing to change was given', { cure: 'give --name or --ref' });
  }
  const name = options.name === undefined ? null : checkedName(options.name);
  const { database } = await run.database();
  const { tenant_id: tenantId } = await findTenant(database, word);
  await renameTenant(database, { tenantId, name, ref: options.ref ?? null });
  const renamed = await findTenant(database, tenantId);
  run.terminal.answer(renamed);
  run.terminal.say(
    `${tenantId} is called ${renamed.name}${renamed.external_ref ? `, reference ${renamed.external_ref}` : ''}`,
  );
}

async function remove(run: Run, word: string): Promise<undefined> {
  const { database } = await run.database();
  const tenant = await findTenant(database, word);
  if (!(await forgetPendingTenant(database, tenant.tenant_id))) {
    throw new ExpectedError('usage', `${tenant.name} has been synced, so it cannot be removed`, {
      cure: 'entra-sync tenant disconnect TENANT, then entra-sync tenant purge TENANT',
    });
  }
  run.terminal.answer({ removed: tenant.tenant_id });
  run.terminal.say(`${nameWithId(tenant.name, tenant.tenant_id)} is no longer registered`);
}

async function list(run: Run): Promise<undefined> {
  const { database } = await run.database();
  const tenants = await listTenants(database);
  const waiting = await listWaiting(database, null);
  run.terminal.answer({ tenants, waiting });
  if (tenants.length === 0 && waiting.length === 0)
    run.terminal.say('No tenant is registered. entra-sync tenant add TENANT --name NAME registers one.');
  if (tenants.length > 0) {
    run.terminal.say(
      table(
        [
          { title: 'tenant', whole: true },
          { title: 'name', long: true },
          { title: 'reference', long: true },
          { title: 'status' },
        ],
        tenants.map((one) => [
          one.tenant_id,
          one.name,
          one.external_ref ?? '',
          one.paused ? `${one.status}, paused` : one.status,
        ]),
      ),
    );
  }
  for (const line of describeWaiting(waiting)) run.terminal.say(line);
}

async function show(run: Run, word: string): Promise<undefined> {
  const { database } = await run.database();
  const { tenant_id: tenantId } = await findTenant(database, word);
  const [status] = await readStatus(database, tenantId);
  const streams = await readStreams(database, tenantId);
  const cycles = await readCycles(database, tenantId, 5);
  const roles = (await grantedRoles(database, tenantId)).map(({ role }) => role);
  if (!status) return;
  run.terminal.answer({ ...status, streams, cycles, roles });
  run.terminal.say(
    `${nameWithId(status.name, tenantId)}${status.external_ref ? `, reference ${status.external_ref}` : ''}`,
  );
  run.terminal.say(`${status.status}${status.paused ? ', paused' : ''}, source of truth: ${status.source_of_truth}`);
  run.terminal.say(
    `${plural(status.accounts, 'account')}, ${count(status.suspended)} of them suspended; ${count(status.removed)} removed, ${count(status.set_aside)} set aside`,
  );
  run.terminal.say(`last success ${when(status.last_success_at)}, next cycle due: ${dueIn(status)}`);
  const erasure = describeErasure(status);
  if (erasure) run.terminal.say(erasure);
  if (roles.length > 0) run.terminal.say(`roles bound to it: ${roles.join(', ')}`);
  await sayAccess(run, status);
  const notice = describeNotice(status);
  if (notice) run.terminal.say(notice);
  const trouble = describeTrouble(status);
  if (trouble) run.terminal.say(trouble);
  if (streams.length > 0) {
    run.terminal.say(
      `\n${table(
        [{ title: 'stream' }, { title: 'checkpoint' }, { title: 'last full round' }, { title: 'round under way' }],
        streams.map((one) => [
          one.stream,
          when(one.committed_at),
          when(one.full_at),
          one.open_pages === null ? 'none' : plural(one.open_pages, 'page'),
        ]),
      )}`,
    );
  }
  if (cycles.length > 0) {
    run.terminal.say(
      `\n${table(
        [
          { title: 'cycle', right: true },
          { title: 'kind' },
          { title: 'started' },
          { title: 'outcome' },
          { title: 'error' },
        ],
        cycles.map((one, at) => [
          one.cycle_id,
          one.kind,
          when(one.started_at),
          one.outcome,
          // A tenant that keeps failing fails with the same long line each time.
          one.error_message !== null && one.error_message === cycles[at - 1]?.error_message
            ? 'as above'
            : (one.error_message ?? ''),
        ]),
      )}`,
    );
  }
}

/** Says the permissions of the tenant's token, and when the credential ends. */
async function sayAccess(run: Run, status: TenantStatus): Promise<void> {
  if (status.permissions === null || status.status === 'disconnected') return;
  const { database } = await run.database();
  const { photos, allowRoles } = await settingsInForce(
    database,
    status.tenant_id,
    openBasics(run.environment).defaults,
  );
  const lines = describePermissions(status, { photos: photos.read, allowed: allowRoles });
  const granted = lines.filter((one) => one.state !== 'missing').map((one) => one.permission);
  run.terminal.say(`permissions of its token: ${granted.length === 0 ? 'none' : granted.join(', ')}`);
  for (const one of lines)
    if (one.state !== 'granted') run.terminal.say(`${one.permission} (${one.state}): ${one.says}`);
  const credential = describeCredential(status, new Date());
  if (credential) run.terminal.say(`credential: ${credential.says}`);
}
