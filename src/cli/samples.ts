// Changes as a dry run or a read on demand shows them.
import type { ChangeSample } from '../store/commit/sample.ts';
import { describeChange, describeMembership } from './format.ts';
import { table } from './terminal.ts';

/** How many changes a person is shown; --json holds them all. */
export const shownChanges = 20;

/** The first changes as a table; `title` heads the column of their kinds. */
export function sampleTable(sample: readonly ChangeSample[], title: string): string {
  return table(
    [{ title }, { title: 'who or what' }, { title: 'what' }],
    sample
      .slice(0, shownChanges)
      .map((change) => [
        change.kind,
        change.display_name ?? change.account_id ?? change.group_id ?? '',
        change.kind.startsWith('membership.')
          ? describeMembership(change.kind, change.group_name)
          : describeChange(change.kind, change.before, change.after),
      ]),
  );
}
