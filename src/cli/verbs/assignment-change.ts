// `assignments change`: priority, start and end of an assignment.
import type { Command } from 'commander';
import { ExpectedError } from '../../errors.ts';
import { asGuid } from '../../rules/decode.ts';
import { assigning, changeAssignment } from '../../store/accounts/assignments.ts';
import { type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { optionsOf, type TargetOptions, withTimes } from '../given-target.ts';
import { sayMoved } from '../moved.ts';

type Change = VerbOptions & { dryRun?: true; start?: false; end?: false } & Pick<
    TargetOptions,
    'priority' | 'starts' | 'ends'
  >;

export function changeCommand(): Command {
  return withTimes(
    verb(
      'change',
      'Change priority, start or end of an assignment. Its age stays.',
      [
        'assignments change 8a1c5f9e-0d5b-4a57-9a51-3d7f2a7c1f10 --priority 10',
        'assignments change 8a1c5f9e-0d5b-4a57-9a51-3d7f2a7c1f10 --ends 2027-01-01 --dry-run',
        'assignments change 8a1c5f9e-0d5b-4a57-9a51-3d7f2a7c1f10 --no-end',
      ],
      { acts: true },
    ).argument('<id>', 'assignment id, as assignments list shows it'),
  )
    .option('--no-start', 'it has begun')
    .option('--no-end', 'it does not end')
    .option('--dry-run', 'change nothing')
    .action((id: string, options: Change) => runVerb(options, (run) => change(run, id, options)));
}

async function change(run: Run, id: string, options: Change): Promise<undefined> {
  const { terminal, actor } = run;
  const dryRun = options.dryRun === true;
  const wanted = {
    ...(options.start === false && { starts_at: null }),
    ...(options.end === false && { ends_at: null }),
    ...optionsOf(options),
  };
  requireAssignmentId(id);
  requireOneWord(options);
  if (Object.keys(wanted).length === 0) {
    throw new ExpectedError('usage', 'nothing to change was given', {
      cure: 'give --priority, --starts, --ends, --no-start or --no-end',
    });
  }
  const { database } = await run.database();
  const { moved } = await assigning(database, dryRun, (on) => changeAssignment(on, id, wanted, actor));
  terminal.answer({ dry_run: dryRun, assignment_id: id, changed: moved });
  terminal.say(`The assignment ${dryRun ? 'would be changed' : 'is changed'}.`);
  sayMoved(terminal, moved, dryRun);
}

/** Throws `usage` for a time that is both given and taken away. */
function requireOneWord({ start, starts, end, ends }: Change): void {
  const pair =
    start === false && starts !== undefined ? 'start' : end === false && ends !== undefined ? 'end' : undefined;
  if (pair === undefined) return;
  throw new ExpectedError('usage', `--${pair}s and --no-${pair} exclude each other`, { cure: 'give one of them' });
}

/** Throws `usage` for what is no id. */
export function requireAssignmentId(word: string): void {
  if (!asGuid(word))
    throw new ExpectedError('usage', `${word} is no assignment id`, { cure: 'entra-sync assignments list shows them' });
}
