// `status`: the state of every tenant at a glance.
import { type Command, Option } from 'commander';
import { exitCodes } from '../../errors.ts';
import { type PhotoState, readPhotoStates } from '../../store/photos/state.ts';
import {
  readSetAside,
  readStatus,
  type StatusFilter,
  statusFilters,
  type TenantStatus,
} from '../../store/tenants/status.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { listWaiting } from '../../store/tenants/waiting-consents.ts';
import { listWebhooks } from '../../store/webhooks/webhooks.ts';
import { describePhotos } from '../../words/photos.ts';
import { describeErasure, describeNotice, describeTrouble, summarize } from '../../words/trouble.ts';
import { webhooksInNeed } from '../../words/webhooks.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { count, dueIn, when } from '../format.ts';
import { table, withCure } from '../layout.ts';
import { describeFirstLoad, describeOlderRounds } from '../not-shown.ts';
import { worstExitCode } from '../several.ts';
import { readWorkers, workersAnswer } from '../workers.ts';
import { describeWaiting } from './tenant-approval.ts';

type StatusOptions = VerbOptions & { setAside?: boolean; only?: StatusFilter; exitCode?: boolean };

export function statusCommand(): Command {
  return verb('status', 'Show the state of every tenant: accounts, last success, errors.', [
    'status',
    'status --only failing',
    'status --exit-code > /dev/null || page-me',
    'status Contoso --set-aside',
    'status --json',
  ])
    .argument('[tenant]', 'id, name or reference of one tenant')
    .addOption(
      new Option(
        '--only <which>',
        'failing: the last cycle failed or was cut off; held: removals wait for a decision; stale: no success for two intervals',
      ).choices(statusFilters),
    )
    .option(
      '--exit-code',
      'end with another code than 0 where a tenant is failing, held or stale, or no worker runs although a cycle is due; with --only, where any is shown',
    )
    .option('--set-aside', 'list the objects that are set aside, and why')
    .action((word: string | undefined, options: StatusOptions) =>
      runVerb(options, (run) => status(run, word, options)),
    );
}

async function status(run: Run, word: string | undefined, options: StatusOptions): Promise<number> {
  const { terminal } = run;
  const { database } = await run.database();
  const tenantId = word === undefined ? null : (await findTenant(database, word)).tenant_id;
  const tenants = await readStatus(database, tenantId, options.only);
  const waiting = options.only ? [] : await listWaiting(database, tenantId);
  const photos = options.only ? [] : await readPhotoStates(database, tenantId);
  const setAside = options.setAside ? await readSetAside(database, tenantId) : undefined;
  const workers = await readWorkers(run, database);
  const webhooks = options.only ? [] : webhooksInNeed(await listWebhooks(database, tenantId));
  terminal.answer({
    ...{ tenants, waiting, photos, webhooks, workers: workersAnswer(workers) },
    ...(setAside && { set_aside: setAside }),
  });
  sayTenants(run, options, { tenants, waiting, photos, setAside });
  for (const { says, cure } of webhooks) terminal.say(`\n${withCure('', says, cure)}`);
  if (workers.lack !== null) terminal.say(`\n${withCure('', workers.lack, workers.cure)}`);
  if (!options.exitCode) return 0;
  const codes = tenants.flatMap((one) => troubleCodes(one, options.only));
  // A filter asks about tenants alone.
  return worstExitCode(workers.lack !== null && !options.only ? [...codes, notFresh] : codes);
}

/** The exit code of a copy that may be old, without an error that says more. */
const notFresh = exitCodes.drift_found;

/** Returns an exit code for each trouble of a tenant, or for that of the filter. */
function troubleCodes(tenant: TenantStatus, only: StatusFilter | undefined): number[] {
  const codes: Record<StatusFilter, number | false> = {
    failing: tenant.failing && failureCode(tenant.last_cycle_error_code ?? tenant.last_error_code),
    held: tenant.held_removals > 0 && exitCodes.removals_held,
    stale: tenant.stale && notFresh,
  };
  return (only ? [codes[only]] : Object.values(codes)).filter((code) => code !== false);
}

/** The exit code that the failed cycle ended with; of a cycle that was cut off there is none. */
function failureCode(error: string | null): number {
  if (error === 'defect') return 1;
  const known: Readonly<Record<string, number>> = exitCodes;
  return (error === null ? undefined : known[error]) ?? notFresh;
}

type Found = {
  readonly tenants: readonly TenantStatus[];
  readonly waiting: Parameters<typeof describeWaiting>[0];
  readonly photos: readonly PhotoState[];
  readonly setAside: Awaited<ReturnType<typeof readSetAside>> | undefined;
};

function sayTenants({ terminal }: Run, options: StatusOptions, { tenants, waiting, photos, setAside }: Found): void {
  if (tenants.length === 0 && options.only) {
    terminal.say(`No tenant is ${options.only}.`);
    return;
  }
  if (tenants.length === 0) {
    for (const line of describeWaiting(waiting)) terminal.say(line);
    if (waiting.length > 0) return;
    terminal.say(
      'No tenant is registered. entra-sync sync registers the one of AZURE_TENANT_ID, entra-sync tenant add any other.',
    );
    return;
  }
  for (const line of summarize(tenants)) terminal.say(line);
  terminal.say(
    table(
      [
        { title: 'tenant', long: true },
        { title: 'status' },
        { title: 'accounts', right: true },
        { title: 'suspended', right: true },
        { title: 'removed', right: true },
        { title: 'set aside', right: true },
        { title: 'last success' },
        { title: 'next cycle due' },
        { title: 'last cycle' },
      ],
      tenants.map((one) => [
        one.name,
        one.paused ? `${one.status}, paused` : one.status,
        count(one.accounts),
        count(one.suspended),
        count(one.removed),
        count(one.set_aside),
        when(one.last_success_at),
        dueIn(one),
        one.last_outcome ? `${one.last_kind}, ${one.last_outcome}` : 'none yet',
      ]),
    ),
  );
  for (const one of tenants) {
    if (one.first_load) terminal.say(`${one.name}: ${describeFirstLoad(one.first_load)}`);
    const older = describeOlderRounds(one.older_rounds);
    if (older) terminal.say(`${one.name}: ${older}, ${dueIn(one)}`);
  }
  for (const one of tenants) {
    if (one.nested_left_out === null) continue;
    terminal.say(
      `${one.name}: members of nested groups are left out of directory.effective_memberships: there would be ${count(Number(one.nested_left_out))}, more than are kept of a tenant -> nest fewer groups in Entra ID; direct memberships are shown`,
    );
  }
  for (const one of tenants) {
    const erasure = describeErasure(one);
    if (erasure) terminal.say(`${one.name}: ${erasure}`);
    const notice = describeNotice(one);
    if (notice) terminal.say(`${one.name}: ${notice}`);
  }
  for (const one of tenants) {
    const trouble = describeTrouble(one);
    if (trouble) terminal.say(`${one.name}: ${trouble}`);
  }
  for (const one of photos) {
    const name = tenants.find(({ tenant_id: id }) => id === one.tenant_id)?.name;
    if (name !== undefined) terminal.say(`${name}: ${describePhotos(one)}`);
  }
  for (const line of describeWaiting(waiting)) terminal.say(line);
  if (setAside && setAside.length === 0) terminal.say('\nNothing is set aside.');
  if (setAside && setAside.length > 0) {
    terminal.say(
      `\n${table(
        [
          { title: 'stream' },
          { title: 'object', whole: true },
          { title: 'reason' },
          { title: 'first seen' },
          { title: 'last seen' },
        ],
        setAside.map((one) => [
          one.stream,
          one.entra_object_id,
          one.reason,
          when(one.first_seen_at),
          when(one.last_seen_at),
        ]),
      )}`,
    );
  }
}
