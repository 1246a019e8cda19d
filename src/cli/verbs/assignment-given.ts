// `assignments assign` and `assignments preview`: an item for a target, and whose items change by it.
import type { Command } from 'commander';
import { findSame } from '../../store/accounts/assignment-reach.ts';
import { assign, assigning, type Moved, previewAssignment } from '../../store/accounts/assignments.ts';
import type { Database } from '../../store/database/pool.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { plural } from '../format.ts';
import { optionsOf, type TargetOptions, targetOf, withTarget } from '../given-target.ts';
import { sayMoved } from '../moved.ts';
import { reachOf } from '../reach.ts';
import type { Terminal } from '../terminal.ts';
import { toMinute } from '../times.ts';

type Acting = VerbOptions & { dryRun?: true };

export function assignCommand(): Command {
  return withTarget(
    withPlace(
      verb(
        'assign',
        'Give an item to a target, and show whose items change by it.',
        [
          'assignments assign Contoso banner spring --group Sales --starts 2026-12-01 --ends 2027-01-01',
          'assignments assign Contoso banner spring --everyone --dry-run',
          'assignments assign Contoso banner spring --field country --in DE AT --priority 10',
          'assignments assign Contoso banner spring --account ann@contoso.com --except',
        ],
        { acts: true },
      ),
    ),
  )
    .option('--dry-run', 'change nothing')
    .action((tenant: string, slot: string, item: string, options: Acting & TargetOptions) =>
      runVerb(options, (run) => give(run, { tenant, slot, item }, options)),
    );
}

export function previewCommand(): Command {
  return withTarget(
    withPlace(
      verb('preview', 'Show whose items an assignment would change, as of its start. Nothing is written.', [
        'assignments preview Contoso banner spring --group Sales',
        'assignments preview Contoso banner spring --everyone --priority 10 --json',
      ]),
    ),
  ).action((tenant: string, slot: string, item: string, options: VerbOptions & TargetOptions) =>
    runVerb(options, (run) => preview(run, { tenant, slot, item }, options)),
  );
}

function withPlace(command: Command): Command {
  return command
    .argument('<tenant>', 'id, name or reference')
    .argument('<slot>', 'its name, as slots list shows it')
    .argument('<item>', 'its id, as items list shows it');
}

type Place = { tenant: string; slot: string; item: string };

async function givenOf(run: Run, database: Database, { tenant: word, slot, item }: Place, options: TargetOptions) {
  const tenant = await findTenant(database, word);
  const target = await targetOf(run.terminal, database, tenant.tenant_id, options);
  return { tenant, given: { tenantId: tenant.tenant_id, slot, item, target, options: optionsOf(options) } };
}

async function give(run: Run, place: Place, options: Acting & TargetOptions): Promise<undefined> {
  const { terminal, actor } = run;
  const dryRun = options.dryRun === true;
  const { database } = await run.database();
  const { tenant, given } = await givenOf(run, database, place, options);
  const later = startAhead(options);
  // Before it is made: a preview of the same again would find no change.
  const then = later && (await previewAssignment(database, given));
  const { answer, moved: now } = await assigning(database, dryRun, async (on) => {
    const made = await assign(on, given, actor);
    return { made, same: await findSame(on, given, made) };
  });
  const { same } = answer;
  const ids = dryRun ? [] : answer.made;
  const moved = dryRun && then ? then : now;
  const reach = await reachOf(database, given, options);
  terminal.answer({
    tenant_id: tenant.tenant_id,
    dry_run: dryRun,
    assignment_ids: ids,
    same,
    ...reach.answer,
    as_of: (dryRun && later) || null,
    changed: moved,
  });
  noteSame(terminal, same);
  if (ids.length > 0)
    terminal.say(
      `${plural(ids.length, 'assignment')} made: ${ids.slice(0, 3).join(', ')}${ids.length > 3 ? ' …' : ''}`,
    );
  if (dryRun) sayWouldMove(terminal, moved, options);
  else if (later && moved.length === 0)
    terminal.say(
      then && then.length > 0
        ? `No account gets anything else before the start, ${toMinute(later)}, when the items of ${plural(then.length, 'account')} would change.`
        : `No account gets anything else, not at the start, ${toMinute(later)}, either.`,
    );
  else if (moved.length === 0) terminal.say(`No account gets anything else${passedEnd(options)}.`);
  else sayMoved(terminal, moved, false);
  if (reach.why !== undefined)
    terminal.say(`It ${dryRun ? 'would reach no account' : 'reaches no account now'}: ${reach.why}`);
}

async function preview(run: Run, place: Place, options: TargetOptions): Promise<undefined> {
  const { terminal } = run;
  const { database } = await run.database();
  const { tenant, given } = await givenOf(run, database, place, options);
  const moved = await previewAssignment(database, given);
  const same = await findSame(database, given);
  const reach = await reachOf(database, given, options);
  terminal.answer({
    tenant_id: tenant.tenant_id,
    same,
    ...reach.answer,
    as_of: startAhead(options) ?? null,
    changed: moved,
  });
  noteSame(terminal, same);
  sayWouldMove(terminal, moved, options);
  if (reach.why !== undefined) terminal.say(`It would reach no account: ${reach.why}`);
}

/** Notes assignments that do the same, which stay. */
function noteSame(terminal: Terminal, same: readonly string[]): void {
  const [first] = same;
  if (first === undefined) return;
  terminal.note(
    `The same is assigned already: ${same.slice(0, 3).join(', ')}${same.length > 3 ? ' …' : ''} -> entra-sync assignments unassign ${first} takes ${same.length === 1 ? 'it' : 'one'} back`,
  );
}

/** Shows what an assignment that is not made would change, as of its start. */
function sayWouldMove(terminal: Terminal, moved: readonly Moved[], options: TargetOptions): void {
  const later = startAhead(options);
  if (later) sayMoved(terminal, moved, true, ` as of its start, ${toMinute(later)}`);
  else sayMoved(terminal, moved, true, moved.length === 0 ? passedEnd(options) : '');
}

/** Returns the start if it is still to come. */
function startAhead({ starts }: TargetOptions): Date | undefined {
  return starts !== undefined && Date.parse(starts) > Date.now() ? new Date(starts) : undefined;
}

/** Returns the reason why an assignment gives nothing any more; nothing where its end is still to come. */
function passedEnd({ ends }: TargetOptions): string {
  return ends !== undefined && Date.parse(ends) <= Date.now()
    ? `: the end, ${toMinute(new Date(ends))}, has passed`
    : '';
}
