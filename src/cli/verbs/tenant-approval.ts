// `tenant approve`, `tenant reject`: the vendor's decision on consents that did not prove an administrator.
import type { Command } from 'commander';
import { openBasics } from '../../app.ts';
import { ExpectedError } from '../../errors.ts';
import { asGuid } from '../../rules/decode.ts';
import type { Database } from '../../store/database/pool.ts';
import { approveConsent } from '../../store/tenants/consent.ts';
import { tenantsOfCustomer } from '../../store/tenants/tenants.ts';
import {
  approveCommand,
  findWaiting,
  listWaiting,
  rejectWaiting,
  type WaitingConsent,
} from '../../store/tenants/waiting-consents.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { plural, when } from '../format.ts';
import { onOneLine, table } from '../layout.ts';
import { promise, readWorkers } from '../workers.ts';

type ApproveOptions = VerbOptions & { ref?: string; list?: boolean };
type RejectOptions = VerbOptions & { ref: string };

export function approvalCommands(): Command[] {
  return [
    verb(
      'approve',
      'Confirm that a tenant belongs to the customer whose consent waits: it becomes active and is due at once. Other references ' +
        'that ask for the same tenant are dropped. Ask the customer first, on a channel that you trust: the page could not prove that ' +
        'an administrator signed in. Needs neither Graph nor consent.',
      [
        'tenant approve --list',
        'tenant approve 2f9b1c54-7a8e-4f7e-9a55-0d3f5f1c8e21 --ref customer-17',
        'tenant approve 2f9b1c54-7a8e-4f7e-9a55-0d3f5f1c8e21 --ref customer-17 --actor mary',
      ],
      { acts: true },
    )
      .argument('[tenant]', 'the tenant id, or the reference if it asks for only one tenant')
      .option('--ref <ref>', 'the customer that the tenant belongs to; needed if several ask')
      .option('--list', 'list the consents that wait, change nothing')
      .action((word: string | undefined, options: ApproveOptions) =>
        runVerb(options, (run) => approve(run, word, options)),
      ),
    verb(
      'reject',
      'Refuse a consent that waits. The invitation that asked is withdrawn, so a new attempt needs a new one. Other references ' +
        'that ask for the same tenant keep waiting.',
      ['tenant reject 2f9b1c54-7a8e-4f7e-9a55-0d3f5f1c8e21 --ref customer-18'],
    )
      .argument('<tenant>', 'the tenant id')
      .requiredOption('--ref <ref>', 'the customer whose consent is refused')
      .action((word: string, options: RejectOptions) => runVerb(options, (run) => reject(run, word, options))),
  ];
}

async function approve(run: Run, word: string | undefined, options: ApproveOptions): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  if (options.list) return list(run, database, word);
  if (word === undefined) {
    throw new ExpectedError('usage', 'no tenant was named', {
      cure: 'entra-sync tenant approve TENANT --ref REF; --list shows the consents that wait',
    });
  }
  const { defaults } = openBasics(run.environment);
  const tenantId = await tenantOf(database, word);
  const done = await approveConsent(database, { tenantId, ref: options.ref, actor: run.actor }, defaults);
  const { name, ref, how, dropped } = done;
  terminal.answer({ tenant: { id: tenantId, name }, ref, how, dropped });
  const workers = await readWorkers(run, database);
  const due = workers.state === 'working' ? '.' : promise(workers, '');
  terminal.say(`${onOneLine(name)} (${tenantId}) is connected for ${onOneLine(ref)}, and due now${due}`);
  if (dropped.length > 0)
    terminal.say(
      `Dropped: ${dropped.map(onOneLine).join(', ')} asked for the same tenant, and ${dropped.length === 1 ? 'is' : 'are'} now refused.`,
    );
}

async function list({ terminal }: Run, database: Database, word: string | undefined): Promise<undefined> {
  const waiting = await (word === undefined ? listWaiting(database, null) : findWaiting(database, word));
  terminal.answer({ waiting });
  if (waiting.length === 0) {
    terminal.say('No consent waits for approval.');
    return;
  }
  terminal.say(
    table(
      [
        { title: 'tenant', whole: true },
        { title: 'reference', long: true },
        { title: 'name', long: true },
        { title: 'waits since' },
        { title: 'until' },
        { title: 'signed in as', long: true },
      ],
      waiting.map((one) => [
        one.tenant_id,
        onOneLine(one.external_ref),
        onOneLine(one.name ?? ''),
        when(one.asked_at),
        when(one.expires_at),
        one.signed_in_as,
      ]),
    ),
  );
  terminal.say(
    `\n${onOneLine(approveCommand([]))} connects one, entra-sync tenant reject TENANT --ref REF refuses it.`,
  );
}

async function reject(run: Run, word: string, options: RejectOptions): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  const tenantId = await tenantOf(database, word);
  const { withdrawn, waiting } = await rejectWaiting(database, { tenantId, ref: options.ref });
  terminal.answer({ tenant: { id: tenantId }, ref: options.ref, withdrawn, waiting });
  terminal.say(
    `${onOneLine(options.ref)} does not get tenant ${tenantId}: ${plural(withdrawn, 'invitation')} withdrawn; a new attempt needs a new one.`,
  );
  if (waiting.length > 0) terminal.say(`Still waiting for it: ${waiting.map(onOneLine).join(', ')}.`);
}

/** Returns the tenant of an id, or the only one that a reference asks for, or has. */
async function tenantOf(database: Database, word: string): Promise<string> {
  const id = asGuid(word);
  if (id !== undefined) return id;
  const tenants = [...new Set((await findWaiting(database, word)).map((one) => one.tenant_id))];
  const [only] = tenants;
  if (only !== undefined && tenants.length === 1) return only;
  const [known, ...others] = only === undefined ? await tenantsOfCustomer(database, word) : [];
  if (known && others.length === 0) return known.tenant_id;
  throw new ExpectedError(
    'unknown_name',
    tenants.length === 0 ? 'no consent of that name waits for approval' : `it asks for ${tenants.length} tenants`,
    { cure: 'name the tenant by its id: entra-sync tenant approve --list shows the consents that wait' },
  );
}

/** Returns one line per waiting tenant: its id, the references that ask, and the command that approves. */
export function describeWaiting(waiting: readonly WaitingConsent[]): string[] {
  return [...new Set(waiting.map((one) => one.tenant_id))].map((tenantId) => {
    const asking = waiting.filter((one) => one.tenant_id === tenantId);
    const refs = asking.map((one) => `${onOneLine(one.external_ref)} (since ${when(one.asked_at)})`).join(', ');
    return `${tenantId}: waits for your approval, and is not read before; asked for by ${refs} -> ${onOneLine(approveCommand(asking))}`;
  });
}
