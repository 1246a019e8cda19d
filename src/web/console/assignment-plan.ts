// An act on assignments: what it would do is shown first, and it is done as it was shown.
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { count, people } from '../../rules/numbers.ts';
import { assigning, type Items, type Moved } from '../../store/accounts/assignments.ts';
import { AssignmentsChanged, assigningAsSeen, markOfAssignments, refusalOf } from '../../store/console/assignments.ts';
import { isTenant } from '../../store/console/tenants.ts';
import type { Database, Transaction } from '../../store/database/pool.ts';
import type { Route } from '../access.ts';
import { longActMs } from '../act-time.ts';
import { type Html, html, nothing } from '../html.ts';
import { type Action, action, type Done, type Page, type Problem, type View } from '../page.ts';
import { type Column, listTable } from '../table.ts';
import { pressed } from './form-parts.ts';
import { type Titles, titlesOf } from './titles.ts';

/** An act as it would be done, or the problems that keep it from that. */
export type Plan =
  | {
      /** All that the form means: an act whose form was changed since its preview is not done. */
      readonly means: unknown;
      run(transaction: Transaction): Promise<unknown>;
      /** Returns the accounts whose items would change; without it `run` is tried and taken back. */
      readonly preview?: () => Promise<readonly Moved[]>;
      /** The sentence above the people. */
      readonly says: Html;
      /** The chosen person or group, as inputs that the form sends again. */
      readonly carries?: Html;
      /** The words of the button that does it. */
      readonly button: string;
      readonly to: string;
      readonly detail?: Readonly<Record<string, unknown>>;
      /** Returns the field of the form that a refused argument is about. */
      readonly fieldOf?: (argument: string | undefined, code: string) => string | undefined;
    }
  | { readonly problems: readonly Problem[]; readonly conflict?: boolean; readonly shown?: Html };

/** Describes an act on assignments: `plan` reads the form, returns what it means, or undefined for a 404. */
export function assignmentAct<Fields extends Readonly<Record<string, z.ZodType>>>(description: {
  readonly route: Route;
  readonly form: Fields;
  readonly audit: string;
  readonly again: Page;
  readonly plan: (
    database: Database,
    view: View<{ readonly [Name in keyof Fields]: z.output<Fields[Name]> }>,
  ) => Promise<Plan | undefined>;
}): Action {
  const { route, form, audit, again, plan } = description;
  return action({
    ...{ route, audit, again },
    statementMs: longActMs,
    form: { ...form, ...pressed },
    act: async (database, view) => {
      const tenantId = view.params.tenant ?? '';
      if (!(await isTenant(database, tenantId))) return undefined;
      // The type of a merged shape is too deep for the checker: both halves are parsed.
      const values = view as View<unknown> as View<{ readonly [Name in keyof Fields]: z.output<Fields[Name]> }>;
      const { act, seen } = view.query as { act: string; seen?: string };
      try {
        const planned = await plan(database, values);
        if (!planned || 'problems' in planned) return planned;
        return await carryOut(database, tenantId, planned, act === 'apply' ? seen : undefined);
      } catch (error) {
        const refused = refusalOf(error);
        if (!refused) throw error;
        return { problems: [{ message: refused.message }] };
      }
    },
  });
}

type Planned = Exclude<Plan, { readonly problems: readonly Problem[] }>;

async function carryOut(database: Database, tenantId: string, plan: Planned, seen: string | undefined): Promise<Done> {
  const meant = createHash('sha256').update(JSON.stringify(plan.means)).digest('base64url').slice(0, 22);
  const [mark = '', was] = (seen ?? '').split('.');
  try {
    if (seen !== undefined && was === meant) {
      const moved = await assigningAsSeen(database, { tenantId, seen: mark }, (on) => plan.run(on));
      return { to: `${plan.to}?done=${moved.length}`, audited: { detail: { ...plan.detail, people: moved.length } } };
    }
    const shown = await previewOf(database, tenantId, plan, meant);
    const problems = [{ message: 'You have changed the form since. Look at what it does now, then press again.' }];
    return seen === undefined ? { preview: shown } : { problems, shown };
  } catch (error) {
    if (error instanceof AssignmentsChanged) {
      const message =
        'The assignments have changed since you looked, perhaps by your own second press. Look again, then decide.';
      return { problems: [{ message }], conflict: true, shown: await previewOf(database, tenantId, plan, meant) };
    }
    const refused = refusalOf(error);
    if (!refused) throw error;
    const field = plan.fieldOf?.(refused.argument, refused.code);
    return { problems: [{ ...(field !== undefined && { field }), message: refused.message }] };
  }
}

async function previewOf(database: Database, tenantId: string, plan: Planned, meant: string): Promise<Html> {
  const mark = await markOfAssignments(database, tenantId);
  const moved = plan.preview ? await plan.preview() : (await assigning(database, true, (on) => plan.run(on))).moved;
  return html`<div class="panel need" id="preview" tabindex="-1" autofocus role="group" aria-label="What it would do">
<p>${plan.says} <b>${moved.length === 0 ? 'No person gets anything else.' : moved.length === 1 ? 'This one person changes.' : `These ${count(moved.length)} people change.`}</b></p>
${movedTable(moved, await titlesOf(database, tenantId))}
${plan.carries ?? nothing}<input type="hidden" name="seen" value="${mark}.${meant}">
<div class="acts"><button class="main" name="act" value="apply">${plan.button}</button></div></div>`;
}

const shownPeople = 20;

/** Returns the people whose items change, the first twenty by name. */
function movedTable(moved: readonly Moved[], titles: Titles): Html {
  if (moved.length === 0) return nothing;
  const lines = moved
    .slice(0, shownPeople)
    .flatMap((one) => Object.keys({ ...one.before, ...one.after }).map((slot) => ({ ...one, slot })));
  const more = moved.length - shownPeople;
  return html`${listTable('People who change', movedColumns(titles), lines)}
${more > 0 ? html`<p class="lead">The first ${shownPeople} by name; and ${people(more)} more.</p>` : nothing}`;
}

type Line = Moved & { readonly slot: string };

const itemsOf = (items: Items, slot: string, titles: Titles, words: 'was' | 'now'): Html => {
  const text = items[slot]?.map((item) => titles.item(slot, item)).join(', ') ?? '';
  if (text === '') return html`<small>nothing</small>`;
  const spoken = html`<span class="hidden">${words} </span>${text}`;
  return words === 'was' ? html`<del>${spoken}</del>` : html`<ins>${spoken}</ins>`;
};

const movedColumns = (titles: Titles): readonly Column<Line>[] => [
  { title: 'Person', head: true, cell: (one) => one.display_name ?? 'without a name' },
  { title: 'Slot', cell: (one) => titles.slot(one.slot) },
  { title: 'Had', cell: (one) => itemsOf(one.before, one.slot, titles, 'was') },
  { title: 'Gets', cell: (one) => itemsOf(one.after, one.slot, titles, 'now') },
];
