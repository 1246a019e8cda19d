// The acts of a person on the own page: save, reset one field or all to the directory's value, undo the last own edit.
import { z } from 'zod';
import { ContractRefusal, type Within } from '../contract-page.ts';
import type { Done, View } from '../page.ts';
import { isEditable, meaningOf, type PersonField, readPerson } from './fields.ts';
import { stateAt, typedIn } from './inputs.ts';
import { textsOf } from './language.ts';
import { mePage, type outcomes } from './me.ts';
import { portalAction } from './portal-page.ts';
import { problemOf, save } from './save.ts';

const form = {
  act: z.string().regex(/^(save|undo|reset_all|(reset|leave):\w{1,63})$/),
  at: stateAt,
  change: z
    .string()
    .regex(/^\d{1,18}$/)
    .optional(),
};

type Sent = { readonly act: string; readonly at: string; readonly change?: string | undefined };

export const editMe = portalAction({
  route: 'POST /me',
  needs: 'people',
  form,
  // Each field has a name of its own.
  others: true,
  audit: 'me.edited',
  act: async (within, view) => {
    const { act, at, change } = view.query;
    const account = view.viewer.accountId ?? '';
    const person = await within((contract) => readPerson(contract, account));
    if (!person) return undefined;
    if (act === 'undo')
      return change === undefined ? undefined : undo(within, { account, change, at }, person.fields, view);
    const mine = person.fields.filter((one) => isEditable(one, 'user'));
    const { edits, reverts } = wishesOf(view, mine);
    const outcome = await save(within, { actor: account, account, at, edits, reverts }, person.fields, view);
    if ('problems' in outcome) return outcome;
    const [kind = act] = act.split(':');
    const fields = outcome.saved;
    if (fields.length === 0) return ended('unchanged', account, { act: kind });
    return ended(kind === 'reset' || kind === 'reset_all' ? 'reset' : 'saved', account, { act: kind, fields });
  },
  again: mePage,
});

async function undo(
  within: Within,
  undone: { readonly account: string; readonly change: string; readonly at: string },
  fields: readonly PersonField[],
  view: View<unknown>,
): Promise<Done> {
  try {
    await within((contract) =>
      contract.rows('select directory.undo_edit(:account, :change::bigint, :account, :at::timestamptz)', undone),
    );
    return ended('undone', undone.account, { act: 'undo' });
  } catch (error) {
    if (!(error instanceof ContractRefusal) || error.isNothing) throw error;
    if (error.code !== 'ES009') return { problems: [problemOf(error, fields, view)] };
    return { problems: [{ message: textsOf(view).problems.undoChanged }], conflict: true };
  }
}

const ended = (done: (typeof outcomes)[number], accountId: string, detail: Record<string, unknown>): Done => ({
  to: `/me?done=${done}`,
  audited: { accountId, detail },
});

/** Returns the edits and reverts of a form. Only what was changed on the page is an edit: else it would become the person's own. */
export function wishesOf({ query }: View<Sent>, mine: readonly PersonField[]) {
  const [kind, named] = query.act.split(':');
  if (kind === 'reset_all') {
    const own = mine.filter((one) => one.origin === 'user' && one.mappedFrom !== null);
    return { edits: new Map<string, unknown>(), reverts: own.map(({ field }) => field) };
  }
  const edits = new Map(
    mine.flatMap((one): [string, unknown][] => {
      const typed = one.field === named ? undefined : typedIn(query, one.field);
      return typed === undefined ? [] : [[one.field, meaningOf(one, typed)]];
    }),
  );
  const reverts = kind === 'reset' && mine.some(({ field }) => field === named) ? [named ?? ''] : [];
  return { edits, reverts };
}
