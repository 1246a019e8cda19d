// `removals undo`: the accounts and groups that a cycle or a list removed are shown again.
import type { Command } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { type UndoneRemoval, type UndoOf, undoRemovals } from '../../store/commit/undo-removals.ts';
import { findTenant } from '../../store/tenants/tenants.ts';
import { skippedText } from '../../words/removals.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { count, plural } from '../format.ts';
import { table } from '../layout.ts';

type UndoOptions = VerbOptions & { cycle?: string; list?: string; dryRun?: boolean };

export function removalsUndoCommand(): Command {
  return verb(
    'undo',
    'Show accounts and groups again that a cycle, or an approved list, has removed. They are manual until Entra ID shows them live and in scope. Memberships that ended since stay ended.',
    [
      'removals undo Contoso --cycle 77 --dry-run',
      'removals undo Contoso --cycle 77',
      'removals undo Contoso --list 3 --json',
    ],
    { acts: true },
  )
    .argument('<tenant>', 'id, name or reference')
    .option('--cycle <n>', 'the number of the cycle that removed them')
    .option('--list <n>', 'the number of the list whose removals were approved')
    .option('--dry-run', 'say what would be done, and change nothing')
    .action((word: string, options: UndoOptions) =>
      runVerb(
        options,
        (run) => undo(run, word, options),
        'entra-sync removals undo TENANT --dry-run shows what is still to be done',
      ),
    );
}

const shownByName = 50;

async function undo(run: Run, word: string, options: UndoOptions): Promise<undefined> {
  const { terminal, actor } = run;
  const of = undoOf(options);
  const dryRun = options.dryRun === true;
  const { database } = await run.database();
  const tenant = await findTenant(database, word);
  const { removals, memberships } = await undoRemovals(database, { tenantId: tenant.tenant_id, of, actor, dryRun });
  const shown = removals.filter(({ outcome }) => outcome === 'shown');
  const skipped = removals.filter(({ outcome }) => outcome !== 'shown');
  terminal.answer({
    tenant: { id: tenant.tenant_id, name: tenant.name },
    ...of,
    dry_run: dryRun,
    memberships,
    shown: shown.map(({ what, id, name }) => ({ what, id, name })),
    skipped: skipped.map(({ what, id, name, outcome }) => ({ what, id, name, reason: outcome })),
  });
  const accounts = shown.filter(({ what }) => what === 'account').length;
  const groups = shown.length - accounts;
  const parts = [
    accounts > 0 && plural(accounts, 'account'),
    groups > 0 && plural(groups, 'group'),
    memberships > 0 && plural(memberships, 'membership'),
  ].filter((part) => part !== false);
  const which = 'cycle' in of ? `cycle ${of.cycle}` : `list ${of.list}`;
  terminal.say(
    `${tenant.name}, ${which}: ${parts.join(', ') || 'nothing'} ${dryRun ? 'would be shown again' : 'shown again'}.`,
  );
  if (shown.length > 0) terminal.say(namesOf(shown, []));
  if (skipped.length > 0) {
    terminal.say(`\n${count(skipped.length)} skipped:`);
    terminal.say(namesOf(skipped, [({ outcome }) => (outcome === 'shown' ? '' : skippedText(outcome))]));
  }
}

function namesOf(found: readonly UndoneRemoval[], more: readonly ((one: UndoneRemoval) => string)[]): string {
  const lines = found
    .slice(0, shownByName)
    .map((one) => [one.what, one.id, one.name ?? '', ...more.map((cell) => cell(one))]);
  const rest = found.length - shownByName;
  return `${table(
    [{ title: '' }, { title: '', whole: true }, { title: '', long: true }],
    lines,
  )}${rest > 0 ? `\n… and ${count(rest)} more (--json shows them)` : ''}`;
}

function undoOf({ cycle, list }: UndoOptions): UndoOf {
  if ((cycle === undefined) === (list === undefined)) {
    throw new ExpectedError('usage', 'undo takes either --cycle or --list', {
      cure: 'entra-sync changes --tenant TENANT --kind "*.removed" shows the cycles, entra-sync removals history the lists',
    });
  }
  const [option, number] = cycle === undefined ? ['--list', list ?? ''] : ['--cycle', cycle];
  if (!/^\d{1,18}$/.test(number)) {
    throw new ExpectedError('usage', `${option} needs a number`, {
      cure: 'entra-sync changes --tenant TENANT --kind "*.removed" shows the cycles, entra-sync removals history the lists',
    });
  }
  return cycle === undefined ? { list: number } : { cycle: number };
}
