// `slots` and `items`: the kinds of things that accounts get, and the things.
import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { listItems, listSlots } from '../../store/accounts/assignment-lists.ts';
import {
  assigning,
  dropItem,
  dropSlot,
  heldItem,
  heldSlot,
  type Item,
  putItem,
  putSlot,
  type Slot,
} from '../../store/accounts/assignments.ts';
import { applyDueAssignments, tenantsToAssign } from '../../store/accounts/due-assignments.ts';
import type { Database, Transaction } from '../../store/database/pool.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { type Run, runVerb, type VerbOptions, verb, verbGroup } from '../command.ts';
import { cut, plural } from '../format.ts';
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
        'Make or change a slot. Of one that is there, what is not given stays.',
        ['slots put banner --all-tenants --winners 1', 'slots put banner --all-tenants --title "Banner" --dry-run'],
        { acts: true },
      ).argument('<slot>', 'a name of your choice, or that of a slot to change'),
    )
      .option('--winners <n>', 'how many items of it one account gets, 1 to 100; a new slot needs it', winners)
      .option('--title <title>', 'for people')
      .option('--no-title', 'it has none')
      .action((slot: string, options: Place & { winners?: number; title?: string | false }) =>
        runVerb(options, (run) =>
          write(run, options, `slot ${slot}`, async (on, tenantId, actor) => {
            const before = await heldSlot(on, tenantId, slot);
            const { winners = before?.winners } = options;
            if (winners === undefined) {
              throw new ExpectedError('usage', `the slot ${slot} is new`, {
                cure: 'give --winners N, how many items of it one account gets',
              });
            }
            const after = { tenant_id: tenantId, slot, winners, title: given(options.title, before?.title) };
            await putSlot(on, after, actor);
            return { before, after };
          }),
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
        write(run, options, `slot ${slot}`, async (on, tenantId, actor) => {
          await dropSlot(on, tenantId, slot, actor);
          return {};
        }),
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
        'Make or change an item. Of one that is there, what is not given stays. A {{field}} of its html may stand in text and in attributes in quotes that show text or link, and {{#field}} … {{/field}} around what stands there only with a value.',
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
      .option('--no-title', 'it has none')
      .option('--html <file>', 'a file with its template')
      .option('--no-html', 'it has none')
      .action((slot: string, item: string, options: Place & { title?: string | false; html?: string | false }) =>
        runVerb(options, async (run) => {
          const html = typeof options.html === 'string' ? await read(options.html) : options.html;
          return write(run, options, `item ${item} of ${slot}`, async (on, tenantId, actor) => {
            const before = await heldItem(on, { tenantId, slot, item });
            const names = { tenant_id: tenantId, slot, item };
            const after = { ...names, title: given(options.title, before?.title), html: given(html, before?.html) };
            await putItem(on, after, actor);
            return { before, after };
          });
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
        write(run, options, `item ${item} of ${slot}`, async (on, tenantId, actor) => {
          await dropItem(on, { tenantId, slot, item }, actor);
          return {};
        }),
      ),
    ),
  );
  return items;
}

/** Returns the value of an option, null for `--no-…`, and the stored value where the option is not given. */
function given(option: string | false | undefined, before: string | null | undefined): string | null {
  return option === undefined ? (before ?? null) : option || null;
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

/** A slot or an item before a command and after it. */
type Written = { before?: Slot | Item | undefined; after?: Slot | Item };

async function write(
  run: Run,
  options: Place,
  what: string,
  act: (on: Transaction, tenantId: string | null, actor: string) => Promise<Written>,
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
  const { answer, moved } = await assigning(database, dryRun, (on) => act(on, tenant?.tenant_id ?? null, actor));
  if (!tenant && !dryRun) await followInTenants(database);
  const outcome = outcomeOf(answer);
  terminal.say(`${what}, ${tenant?.name ?? allTenants}: ${inWords(outcome, dryRun)}.`);
  if (moved.length > 0) sayMoved(terminal, moved, dryRun);
  else if (!tenant && outcome.changes.some((one) => one.startsWith('winners')))
    terminal.say('What accounts get follows tenant by tenant, after this.');
  terminal.answer({ tenant_id: tenant?.tenant_id ?? null, dry_run: dryRun, outcome: outcome.is, changed: moved });
}

type Outcome = { readonly is: 'made' | 'changed' | 'unchanged' | 'dropped'; readonly changes: readonly string[] };

function outcomeOf({ before, after }: Written): Outcome {
  if (!after) return { is: 'dropped', changes: [] };
  if (!before) return { is: 'made', changes: [] };
  const was = new Map(Object.entries(before));
  const changes = Object.entries(after)
    .filter(([key, value]) => was.get(key) !== value)
    .map(([key, value]) => `${key} ${shown(key, was.get(key))} -> ${shown(key, value)}`);
  return { is: changes.length > 0 ? 'changed' : 'unchanged', changes };
}

function shown(key: string, value: string | number | null | undefined): string {
  if (value === null || value === undefined) return 'none';
  if (typeof value === 'number') return String(value);
  return key === 'html' ? `of ${plural(value.length, 'character')}` : `"${cut(value)}"`;
}

function inWords({ is, changes }: Outcome, dryRun: boolean): string {
  if (is === 'unchanged') return 'there is nothing to change';
  if (is === 'changed') return `${dryRun ? 'would change' : 'changed'}: ${changes.join(', ')}`;
  return dryRun ? `would be ${is}` : is;
}

/** A tenant that another writer has is left to that writer, or to the worker. */
async function followInTenants(database: Database): Promise<void> {
  for (const tenantId of await tenantsToAssign(database, true)) await applyDueAssignments(database, tenantId);
}
