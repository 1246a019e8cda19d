// `assignments`: which item goes to which groups, people, values of a field, or everyone.
import { type Command, Option } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { asGuid } from '../../rules/decode.ts';
import { commandWord } from '../../rules/shell.ts';
import { type ListedAssignment, listAssignments } from '../../store/accounts/assignment-lists.ts';
import { assigning, explainAssignment, moveAssignments, unassign } from '../../store/accounts/assignments.ts';
import { findGroups } from '../../store/accounts/history.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { anyName, pickAccount, requireLive } from '../accounts.ts';
import { type Run, runVerb, type VerbOptions, verb, verbGroup } from '../command.ts';
import { cut, plural } from '../format.ts';
import { pickGroup } from '../groups.ts';
import { table } from '../layout.ts';
import { sayMoved } from '../moved.ts';
import { toMinute } from '../times.ts';
import { changeCommand, requireAssignmentId } from './assignment-change.ts';
import { assignCommand, previewCommand } from './assignment-given.ts';
import { peopleCommand } from './assignment-people.ts';

type Acting = VerbOptions & { dryRun?: true };
type InTenant = VerbOptions & { tenant?: string };

export function assignmentsCommand(): Command {
  const assignments = verbGroup(
    'assignments',
    'Which items of a slot go to which groups, people, values of a field, or everyone. An exception beats everything; an account goes before a group, a field and everyone; then the higher priority, then the older one.',
    [
      'assignments assign Contoso banner spring --group Sales --dry-run',
      'assignments list Contoso',
      'assignments explain ann@contoso.com banner',
    ],
  );
  assignments.addCommand(
    verb(
      'list',
      'Show the assignments of a tenant in their order, with their state and how many accounts get the item.',
      ['assignments list', 'assignments list Contoso --state orphaned', 'assignments list Contoso --json'],
    )
      .argument('[tenant]', 'id, name or reference of one tenant')
      .addOption(
        new Option('--state <state>', 'those alone; dormant: its target is removed, orphaned: purged').choices([
          'active',
          'scheduled',
          'ended',
          'dormant',
          'orphaned',
        ]),
      )
      .action((word: string | undefined, options: VerbOptions & { state?: string }) =>
        runVerb(options, (run) => list(run, word, options.state)),
      ),
  );
  assignments.addCommand(assignCommand());
  assignments.addCommand(previewCommand());
  assignments.addCommand(
    verb(
      'unassign',
      'Take assignments back: all of them or none.',
      [
        'assignments unassign 8a1c5f9e-0d5b-4a57-9a51-3d7f2a7c1f10',
        'assignments unassign 8a1c5f9e-0d5b-4a57-9a51-3d7f2a7c1f10 --dry-run',
      ],
      { acts: true },
    )
      .argument('<ids...>', 'assignment ids, as assignments list shows them')
      .option('--dry-run', 'change nothing')
      .action((ids: string[], options: Acting) => runVerb(options, (run) => takeBack(run, ids, options))),
  );
  assignments.addCommand(
    verb(
      'move',
      'Give all assignments of a group to another one, such as the new group of the same name. Their ages stay.',
      [
        'assignments move "Sales (old)" Sales --tenant Contoso --dry-run',
        'assignments move 8a1c5f9e-0d5b-4a57-9a51-3d7f2a7c1f10 Sales --tenant Contoso',
      ],
      { acts: true },
    )
      .argument('<from>', 'name or id of the group; of a purged one its group id')
      .argument('<to>', 'name or id of a live group')
      .option('--tenant <tenant>', 'id, name or reference of the tenant to look in')
      .option('--dry-run', 'change nothing')
      .action((from: string, to: string, options: Acting & InTenant) =>
        runVerb(options, (run) => move(run, from, to, options)),
      ),
  );
  assignments.addCommand(
    verb('explain', 'Show every assignment of a slot that reaches an account, in order, and why it wins or not.', [
      'assignments explain ann@contoso.com banner',
      'assignments explain "Ann Berg" banner --tenant Contoso --json',
    ])
      .argument('<account>', anyName)
      .argument('<slot>', 'its name, as slots list shows it')
      .option('--tenant <tenant>', 'id, name or reference of the tenant to look in')
      .action((word: string, slot: string, options: InTenant) =>
        runVerb(options, (run) => explain(run, word, slot, options)),
      ),
  );
  assignments.addCommand(changeCommand());
  assignments.addCommand(peopleCommand());
  return assignments;
}

async function list(run: Run, word: string | undefined, state: string | undefined): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  const tenant = word === undefined ? null : await findTenant(database, word);
  const found = await listAssignments(database, tenant?.tenant_id ?? null);
  const shown = state === undefined ? found : found.filter((one) => one.state === state);
  terminal.answer({ assignments: shown });
  if (shown.length === 0) {
    terminal.say(`Nothing is assigned${tenant ? ` in ${tenant.name}` : ''}${state ? ` that is ${state}` : ''}.`);
    return;
  }
  terminal.say(
    table(
      [
        { title: 'assignment', whole: true },
        ...(tenant ? [] : [{ title: 'tenant', long: true }]),
        { title: 'slot', long: true },
        { title: 'item', long: true },
        { title: 'to', long: true },
        { title: 'priority', right: true },
        { title: 'state' },
        { title: 'accounts', right: true },
      ],
      shown.map((one) => [
        one.assignment_id,
        ...(tenant ? [] : [one.tenant_name]),
        one.slot,
        one.item,
        targetText(one),
        one.priority,
        stateText(one),
        one.accounts,
      ]),
    ),
  );
  if (shown.some((one) => one.state === 'orphaned' && one.target === 'group'))
    terminal.say(
      '\nA purged group does not come back -> entra-sync assignments move GROUP_ID NEW_GROUP --tenant TENANT',
    );
}

function targetText(one: ListedAssignment): string {
  const to = {
    everyone: 'everyone',
    group: `group ${one.group_name ?? one.group_id}`,
    account: one.account_name ?? one.account_id ?? '',
    field: `${one.field}: ${one.field_values?.join(', ')}`,
  }[one.target];
  return one.except ? `not to ${to}` : to;
}

function stateText({ state, starts_at: starts, ends_at: ends }: ListedAssignment): string {
  if (state === 'scheduled' && starts) return `scheduled, ${toMinute(starts)}`;
  return state === 'active' && ends ? `active, until ${toMinute(ends)}` : state;
}

async function takeBack(run: Run, ids: readonly string[], options: Acting): Promise<undefined> {
  const { terminal, actor } = run;
  const dryRun = options.dryRun === true;
  for (const id of ids) requireAssignmentId(id);
  const { database } = await run.database();
  const { moved } = await assigning(database, dryRun, async (on) => {
    for (const id of ids) await unassign(on, id, actor);
  });
  terminal.answer({ dry_run: dryRun, assignment_ids: ids, changed: moved });
  terminal.say(`${plural(ids.length, 'assignment')} ${dryRun ? 'would be taken back' : 'taken back'}.`);
  sayMoved(terminal, moved, dryRun);
}

async function move(run: Run, fromWord: string, toWord: string, options: Acting & InTenant): Promise<undefined> {
  const { terminal, actor } = run;
  const dryRun = options.dryRun === true;
  const { database } = await run.database();
  const tenantId = options.tenant === undefined ? null : (await findTenant(database, options.tenant)).tenant_id;
  const to = await pickGroup(terminal, database, tenantId, toWord);
  // A purged group has its id alone.
  const known = asGuid(fromWord) ? (await findGroups(database, to.tenant_id, fromWord))[0] : undefined;
  const from = asGuid(fromWord)
    ? (known?.group_id ?? fromWord)
    : (await pickGroup(terminal, database, to.tenant_id, fromWord)).group_id;
  const { answer, moved } = await assigning(database, dryRun, (on) => moveAssignments(on, from, to.group_id, actor));
  terminal.answer({ dry_run: dryRun, moved: answer, from_group_id: from, to_group_id: to.group_id, changed: moved });
  terminal.say(
    `${plural(answer, 'assignment')} ${dryRun ? 'would move' : 'moved'} to ${cut(to.display_name ?? to.group_id)}.`,
  );
  sayMoved(terminal, moved, dryRun);
}

async function explain(run: Run, word: string, slot: string, options: InTenant): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  const tenantId = options.tenant === undefined ? null : (await findTenant(database, options.tenant)).tenant_id;
  const picked = await pickAccount(terminal, database, tenantId, word);
  if (!picked) {
    throw new ExpectedError('unknown_name', `there is no account ${word}`, {
      cure: `entra-sync find ${commandWord(word)} shows the nearest`,
    });
  }
  const { account } = picked;
  requireLive(account);
  const found = await explainAssignment(database, account.account_id, slot);
  const reaching = found.map((one) => one.assignment_id);
  const known = await listAssignments(database, account.tenant_id, { ids: reaching, counted: 0 });
  terminal.answer({ account, slot, candidates: found });
  terminal.say(`${cut(account.display_name ?? account.account_id)}, ${cut(account.tenant_name)}, slot ${cut(slot)}:\n`);
  if (found.length === 0) {
    terminal.say('No assignment reaches the account.');
    return;
  }
  terminal.say(
    table(
      [
        { title: 'item', long: true },
        { title: 'to', long: true },
        { title: 'priority', right: true },
        { title: 'outcome' },
        { title: 'why' },
        { title: 'assignment', whole: true },
      ],
      found.map((one) => {
        const of = known.find((other) => other.assignment_id === one.assignment_id);
        return [one.item, of ? targetText(of) : one.target, one.priority, one.outcome, one.why, one.assignment_id];
      }),
    ),
  );
}
