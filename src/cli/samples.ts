// The changes of a dry run or an on-demand read.
import type { ChangeSample } from '../store/commit/change-sample.ts';
import { describeChange, describeMembership } from './format.ts';
import { table } from './layout.ts';

/** The number of changes in the text; --json has them all. */
export const shownChanges = 20;

/** Returns the first changes as a table; `title` heads the kinds. */
export function sampleTable(sample: readonly ChangeSample[], title: string): string {
  return table(
    [{ title, whole: true }, { title: 'who or what', long: true }, { title: 'what' }],
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
