// Taking removals back, those of a cycle or of an approved list: who is shown again and who is not, then done as it was shown.
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { ExpectedError } from '../../errors.ts';
import { count, plural } from '../../rules/numbers.ts';
import { type UndoneRemoval, type UndoOf, undoRemovals } from '../../store/commit/undo-removals.ts';
import type { Database } from '../../store/database/pool.ts';
import { skippedText } from '../../words/removals.ts';
import { type Html, html, nothing } from '../html.ts';
import type { Done, View } from '../page.ts';
import { type Column, listTable } from '../table.ts';
import type { pressed } from './form-parts.ts';

/** Another outcome than the one that the person saw. */
class OutcomeChanged extends Error {}

const digestOf = (removals: readonly UndoneRemoval[]) =>
  createHash('sha256')
    .update(JSON.stringify(removals.map(({ what, id, outcome }) => [what, id, outcome])))
    .digest('base64url');

type Pressed = { readonly [Name in keyof typeof pressed]: z.output<(typeof pressed)[Name]> };

/** Shows what would be taken back, or does it if that is what the person saw. `to`: the page that tells that it is done. */
export async function takeBack(
  database: Database,
  view: View<Pressed>,
  { of, to }: { readonly of: UndoOf; readonly to: string },
): Promise<Done> {
  const { act, seen } = view.query;
  const asked = { tenantId: view.params.tenant ?? '', of, actor: view.viewer.actor };
  const preview = async () => {
    const { removals, memberships } = await undoRemovals(database, { ...asked, dryRun: true });
    return outcomeOf(removals, memberships);
  };
  try {
    if (act === 'look' || seen === undefined) return { preview: await preview() };
    const { removals, memberships } = await undoRemovals(database, {
      ...asked,
      dryRun: false,
      look: (found) => {
        if (digestOf(found) !== seen) throw new OutcomeChanged();
      },
    });
    const shown = removals.filter((one) => one.outcome === 'shown').length;
    const detail = { ...of, shown, skipped: removals.length - shown, memberships };
    return { to: `${to}?done=shown`, audited: { detail } };
  } catch (error) {
    if (error instanceof OutcomeChanged) {
      const message = 'It would do something else by now, perhaps by your own second press. Look again, then decide.';
      return { problems: [{ message }], conflict: true, shown: await preview() };
    }
    if (!(error instanceof ExpectedError) || !['usage', 'unknown_name'].includes(error.code)) throw error;
    return { problems: [{ message: `${error.message}.` }] };
  }
}

/** Returns the line that says once that removals were taken back. */
export const takenBack = (view: View<{ readonly done: 'shown' | undefined }>): Html =>
  view.query.done === undefined || view.form
    ? nothing
    : html`<p class="done" role="status">They are shown again: manual, until Entra ID shows them live and in scope.</p>`;

const shownRemovals = 20;

function outcomeOf(removals: readonly UndoneRemoval[], memberships: number): Html {
  const shown = removals.filter((one) => one.outcome === 'shown');
  const skipped = removals.filter((one) => one.outcome !== 'shown');
  const accounts = shown.filter((one) => one.what === 'account').length;
  const parts = [
    accounts > 0 && plural(accounts, 'account'),
    shown.length > accounts && plural(shown.length - accounts, 'group'),
    memberships > 0 && plural(memberships, 'membership'),
  ].filter((part) => part !== false);
  return html`<div class="panel need" id="preview" tabindex="-1" autofocus role="group" aria-label="What it would do">
<p>${parts.length === 0 ? 'Nothing would be shown again.' : `${parts.join(', ')} would be shown again: manual, until Entra ID shows them live and in scope.`}</p>
${shown.length === 0 ? nothing : listTable('Shown again', columns, shown.slice(0, shownRemovals))}${more(shown)}
${skipped.length === 0 ? nothing : html`<p class="lead">${count(skipped.length)} stay as they are:</p>${listTable('Stay as they are', [...columns, why], skipped.slice(0, shownRemovals))}${more(skipped)}`}
${
  shown.length === 0
    ? nothing
    : html`<input type="hidden" name="seen" value="${digestOf(removals)}"><div class="acts"><button class="main" name="act" value="apply">Show them again</button></div>`
}</div>`;
}

const more = ({ length }: { readonly length: number }) =>
  length > shownRemovals ? html`<p class="lead">The first ${shownRemovals} of ${count(length)}.</p>` : nothing;

const columns: readonly Column<UndoneRemoval>[] = [
  { title: 'Name', head: true, cell: (one) => one.name ?? 'without a name' },
  { title: 'What', cell: (one) => (one.what === 'account' ? 'person' : 'group') },
];

const why: Column<UndoneRemoval> = {
  title: 'Why',
  cell: ({ outcome }) => (outcome === 'shown' ? '' : skippedText(outcome)),
};
