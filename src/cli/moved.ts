// The accounts whose items change, before and after.
import type { Items, Moved } from '../store/accounts/assignments.ts';
import { count, plural } from './format.ts';
import { table } from './layout.ts';
import type { Terminal } from './terminal.ts';

const shownAccounts = 20;

/** Shows the first accounts, and how many there are. `asOf`: the words for a time that is not now. */
export function sayMoved(terminal: Terminal, moved: readonly Moved[], dryRun: boolean, asOf = ''): void {
  const verb = dryRun ? 'would change' : 'changed';
  if (moved.length === 0) {
    terminal.say(`No account ${dryRun ? 'would get' : 'gets'} anything else${asOf}.`);
    return;
  }
  terminal.say(`The items of ${plural(moved.length, 'account')} ${verb}${asOf}:\n`);
  terminal.say(
    table(
      [
        { title: 'account', long: true },
        { title: 'user principal name', long: true },
        { title: 'slot', long: true },
        { title: 'before', long: true },
        { title: '' },
        { title: 'after', long: true },
      ],
      moved
        .slice(0, shownAccounts)
        .flatMap((one) =>
          Object.keys({ ...one.before, ...one.after }).map((slot) => [
            one.display_name ?? one.account_id,
            one.user_principal_name ?? '',
            slot,
            itemsOf(one.before, slot),
            '->',
            itemsOf(one.after, slot),
          ]),
        ),
    ),
  );
  if (moved.length > shownAccounts)
    terminal.say(`\n… and ${count(moved.length - shownAccounts)} more (--json shows them)`);
}

const itemsOf = (items: Items, slot: string) => items[slot]?.join(', ') || 'nothing';
