// `slots` and `items`: the kinds of things that accounts get, and the things.
import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { listItems, listSlots } from '../../store/accounts/assignment-lists.ts';
import { assigning, dropItem, dropSlot, type Moved, putItem, putSlot } from '../../store/accounts/assignments.ts';
import { applyDueAssignments, tenantsToAssign } from '../../store/accounts/due-assignments.ts';
import type { Database, Transaction } from '../../store/database/pool.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { type Run, runVerb, type VerbOptions, verb, verbGroup } from '../command.ts';
import { table } from '../layout.ts';
import { sayMoved } from '../moved.ts';
import { itemShowCommand } from './item-shown.ts';

type Place = VerbOptions & { tenant?: string; allTenants?: true; dryRun?: true };

const allTenants = 'all tenants';

/** Adds the options that say which tenant's row is written. */
function placed(command: Command): Command {
  return command
    .option('--tenant <tenant>', "the tenant's own one: id, name or reference")
    .option('--all-tenants', "that of all tenants; a tenant's own one goes before it")
    .option('--dry-run', 'change nothing');
}

export function slotsCommand(): Command {
  const slots = verbGroup('slots', 'A slot is a kind of thing that accounts get, such as a signature or a banner.', [
    'slots put banner --all-tenants --winners 1 --title "Banner"',
    'slots list',
    'slots drop banner --tenant Contoso',
  ]);
  slots.addCommand(
    verb('list', 'Show the slots, with the number of their items and assignments.', [
      'slots list',
      'slots list Contoso --json',
    ])
      .argument('[tenant]', 'id, name or reference of one tenant')
      .action((word: string | undefined, options: VerbOptions) =>
        runVerb(options, (run) => sayLists(run, word, 'slots')),
      ),
  );
  slots.addCommand(
    placed(
      verb(
        'put',
        'Make or change a slot.',
        ['slots put banner --all-tenants --winners 1', 'slots put links --tenant Contoso --winners 3 --dry-run'],
        { acts: true },
      ).argument('<slot>', 'a name of your choice, or that of a slot to change'),
    )
      .requiredOption('--winners <n>', 'how many items of it one account gets, 1 to 100', winners)
      .option('--title <title>', 'for people')
      .action((slot: string, options: Place & { winners: number; title?: string }) =>
        runVerb(options, (run) =>
          write(run, options, `slot ${slot}`, (on, tenantId, actor) =>
            putSlot(on, { tenant_id: tenantId, slot, winners: options.winners, title: options.title ?? null }, actor),
          ),
        ),
      ),
  );
  slots.addCommand(
    placed(
      verb('drop', 'Drop a slot that has no items and no assignments.', ['slots drop banner --tenant Contoso'], {
        acts: true,
      }).argument('<slot>', 'its name, as slots list shows it'),
    ).action((slot: string, options: Place) =>
      runVerb(options, (run) =>
        write(run, options, `slot ${slot}`, (on, tenantId, actor) => dropSlot(on, tenantId, slot, actor), 'dropped'),
      ),
    ),
  );
  return slots;
}

export function itemsCommand(): Command {
  const items = verbGroup('items', "An item is one thing of a slot, by the product's own id.", [
    'items put banner spring --all-tenants --title "Spring sale" --html spring.html',
    'items list Contoso',
    'items show banner spring --for ann@contoso.com',
    'items drop banner spring --all-tenants',
  ]);
  items.addCommand(
    verb('list', 'Show the items, with the number of their assignments.', ['items list', 'items list Contoso --json'])
      .argument('[tenant]', 'id, name or reference of one tenant')
      .action((word: string | undefined, options: VerbOptions) =>
        runVerb(options, (run) => sayLists(run, word, 'items')),
      ),
  );
  items.addCommand(itemShowCommand());
  items.addCommand(
    placed(
      verb(
        'put',
        'Make or change an item. A {{field}} of its html may stand in text and in attributes in quotes that show text or link, and {{#field}} … {{/field}} around what stands there only with a value.',
        [
          'items put banner spring --all-tenants --title "Spring sale"',
          'items put banner spring --tenant Contoso --html spring.html --dry-run',
        ],
        { acts: true },
      )
        .argument('<slot>', 'its name, as slots list shows it')
        .argument('<item>', "the product's own id of it, or that of an item to change"),
    )
      .option('--title <title>', 'for people')
      .option('--html <file>', 'a file with its template')
      .action((slot: string, item: string, options: Place & { title?: string; html?: string }) =>
        runVerb(options, async (run) => {
          const html = options.html === undefined ? null : await read(options.html);
          return write(run, options, `item ${item} of ${slot}`, (on, tenantId, actor) =>
            putItem(on, { tenant_id: tenantId, slot, item, title: options.title ?? null, html }, actor),
          );
        }),
      ),
  );
  items.addCommand(
    placed(
      verb('drop', 'Drop an item that is not assigned.', ['items drop banner spring --tenant Contoso'], { acts: true })
        .argument('<slot>', 'its name, as slots list shows it')
        .argument('<item>', 'its id, as items list shows it'),
    ).action((slot: string, item: string, options: Place) =>
      runVerb(options, (run) =>
        write(
          run,
          options,
          `item ${item} of ${slot}`,
          (on, tenantId, actor) => dropItem(on, { tenantId, slot, item }, actor),
          'dropped',
        ),
      ),
    ),
  );
  return items;
}

function winners(text: string): number {
  if (!/^\d{1,3}$/.test(text) || Number(text) < 1 || Number(text) > 100)
    throw new InvalidArgumentError('a whole number from 1 to 100 is needed');
  return Number(text);
}

async function read(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new ExpectedError('usage', `the file ${file} cannot be read (${error.code ?? 'unknown'})`, {
      cure: 'name a file that is there',
      cause: error,
    });
  });
}

async function sayLists(run: Run, word: string | undefined, what: 'slots' | 'items'): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  const tenantId = word === undefined ? null : (await findTenant(database, word)).tenant_id;
  if (what === 'slots') {
    const slots = await listSlots(database, tenantId);
    terminal.answer({ slots });
    if (slots.length === 0) terminal.say('There is no slot -> entra-sync slots put SLOT --all-tenants --winners 1');
    else
      terminal.say(
        table(
          [
            { title: 'slot', long: true },
            { title: 'of', long: true },
            { title: 'winners', right: true },
            { title: 'items', right: true },
            { title: 'assignments', right: true },
            { title: 'title', long: true },
          ],
          slots.map((one) => [
            one.slot,
            one.tenant_name ?? allTenants,
            one.winners,
            one.items,
            one.assignments,
            one.title ?? '',
          ]),
        ),
      );
    return;
  }
  const items = await listItems(database, tenantId);
  terminal.answer({ items });
  if (items.length === 0) terminal.say('There is no item -> entra-sync items put SLOT ITEM --all-tenants');
  else
    terminal.say(
      table(
        [
          { title: 'slot', long: true },
          { title: 'item', long: true },
          { title: 'of', long: true },
          { title: 'assignments', right: true },
          { title: 'title', long: true },
        ],
        items.map((one) => [one.slot, one.item, one.tenant_name ?? allTenants, one.assignments, one.title ?? '']),
      ),
    );
}

async function write(
  run: Run,
  options: Place,
  what: string,
  act: (on: Transaction, tenantId: string | null, actor: string) => Promise<void>,
  done = 'stored',
): Promise<undefined> {
  const { terminal, actor } = run;
  const dryRun = options.dryRun === true;
  if ((options.tenant === undefined) === (options.allTenants === undefined)) {
    throw new ExpectedError('usage', 'neither or both of --tenant and --all-tenants were given', {
      cure: 'give one of them',
    });
  }
  const { database } = await run.database();
  const tenant = options.tenant === undefined ? undefined : await findTenant(database, options.tenant);
  const { moved } = await assigning(database, dryRun, (on) => act(on, tenant?.tenant_id ?? null, actor));
  if (!tenant && !dryRun) await followInTenants(database);
  sayWritten(run, { what, done, tenant: tenant?.name ?? allTenants, dryRun, moved });
  terminal.answer({ tenant_id: tenant?.tenant_id ?? null, dry_run: dryRun, changed: moved });
}

/** A tenant that another writer has is left to that writer, or to the worker. */
async function followInTenants(database: Database): Promise<void> {
  for (const tenantId of await tenantsToAssign(database, true)) await applyDueAssignments(database, tenantId);
}

function sayWritten(
  { terminal }: Run,
  written: { what: string; done: string; tenant: string; dryRun: boolean; moved: Moved[] },
): void {
  const { what, done, tenant, dryRun, moved } = written;
  terminal.say(`${what}, ${tenant}: ${dryRun ? `would be ${done}` : done}.`);
  if (moved.length > 0) sayMoved(terminal, moved, dryRun);
}
