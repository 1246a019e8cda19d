// A list of changes, as the pages of changes, of a cycle and of a group show it.
import type { ListedChange } from '../../store/console/changes.ts';
import { ago, type Html, html } from '../html.ts';
import type { View } from '../page.ts';
import { positionOf } from '../query.ts';
import { type Column, listTable } from '../table.ts';
import { byWhom, difference, happened, subject } from './change-words.ts';
import type { Names } from './field-labels.ts';

/** The changes of one page of a list. */
export const changesShown = 50;

/** Returns the position after the last shown change, where there are more. */
export function nextChanges(found: readonly ListedChange[]): string | undefined {
  const last = found.length > changesShown ? found[changesShown - 1] : undefined;
  return last && positionOf([last.number, last.change_id]);
}

/** Returns changes as a table: the time, the account or group, the change, the actor. */
export function changesTable(view: View<unknown>, found: readonly ListedChange[], names: Names): Html {
  const columns: readonly Column<ListedChange>[] = [
    { title: 'When', cell: (one) => ago(one.at, view.now) },
    { title: 'Account or group', head: true, cell: (one) => subject(view, one) },
    {
      title: 'What',
      cell: (one) => html`${happened(one)}${difference(one, names)}`,
    },
    {
      title: 'By',
      cell: (one) =>
        one.cycle_id === null
          ? byWhom(view, one.actor, one.account_id)
          : html`${byWhom(view, one.actor, one.account_id)}<small><a href="${view.href(`/console/t/${one.tenant_id}/cycles/${one.cycle_id}`)}">cycle ${one.cycle_id}</a></small>`,
    },
  ];
  return listTable('Changes', columns, found.slice(0, changesShown));
}
