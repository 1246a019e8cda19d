// The acts of a viewer on one person: edit as a manager may, give back to the directory, read from Entra ID now.
import { z } from 'zod';
import { ExpectedError } from '../../errors.ts';
import { asGuid } from '../../rules/decode.ts';
import { changeAccount, EditConflict, undoAccountEdit } from '../../store/accounts/edit.ts';
import { findAccounts } from '../../store/accounts/explain.ts';
import type { Database } from '../../store/database/pool.ts';
import { requestCycle } from '../../store/queue/requests.ts';
import { type Action, action, type View } from '../page.ts';
import { fieldHelps, fieldLabels } from './field-labels.ts';
import { personPage } from './person.ts';
import { lines } from './person-edit.ts';
import { personHistoryPage } from './person-history.ts';

async function accountOf(database: Database, { params }: View<unknown>) {
  const id = asGuid(params.account ?? '');
  if (id === undefined) return undefined;
  return (await findAccounts(database, params.tenant ?? '', id)).find((one) => one.account_id === id);
}

export const editPerson: Action = action({
  route: 'POST /console/t/:tenant/people/:account/edit',
  form: { act: z.enum(['save', 'revert']) },
  // Each field has a name of its own.
  others: true,
  audit: 'person.edited',
  act: async (database, view) => {
    const account = await accountOf(database, view);
    if (!account) return undefined;
    const given = view.query as Readonly<Record<string, unknown>>;
    // Only what was changed on the page is an edit: a value saved unchanged would become the person's own.
    const edits = Object.fromEntries(
      Object.entries(given).flatMap(([name, value]) => {
        const field = name.startsWith('field.') ? name.slice('field.'.length) : undefined;
        if (field === undefined || typeof value !== 'string') return [];
        const now = lines(value);
        return now === lines(given[`was.${field}`]) ? [] : [[field, now.trim() === '' ? null : now]];
      }),
    );
    const requested =
      view.query.act === 'revert' ? ({ edits: {}, reverts: 'all' } as const) : { edits, reverts: [] as const };
    const to = `/console/t/${account.tenant_id}/people/${account.account_id}`;
    const audited = { accountId: account.account_id, detail: { fields: Object.keys(edits), act: view.query.act } };
    if (view.query.act === 'save' && Object.keys(edits).length === 0) return { to };
    try {
      const seen = Object.fromEntries(Object.keys(edits).map((name) => [name, lines(given[`was.${name}`])]));
      await changeAccount(database, account, requested, { actor: view.viewer.actor, role: 'manager' }, seen);
      return { to, audited };
    } catch (error) {
      if (error instanceof EditConflict) {
        const { field } = error;
        const label = (await fieldLabels(database, account.tenant_id)).get(field) ?? field;
        const message = `${label} has changed since this page was loaded. Both values stand at the field: save again for yours, or load the page again for the other.`;
        return { problems: [{ field: `field.${field}`, message }], conflict: true };
      }
      if (!(error instanceof ExpectedError)) throw error;
      const field = Object.keys(edits).find((name) => error.message.includes(name));
      if (field === undefined) return { problems: [{ message: sentence(error.message) }] };
      return {
        problems: [{ field: `field.${field}`, message: await refusalOf(database, account.tenant_id, field, error) }],
      };
    }
  },
  again: personPage,
});

const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, '')}.`;

/** Returns a refused value in the words of the form: the field by its label, and what belongs into it. */
async function refusalOf(database: Database, tenantId: string, field: string, { message, cure }: ExpectedError) {
  if (!message.includes('(ES005)')) return sentence(message);
  const label = (await fieldLabels(database, tenantId)).get(field) ?? field;
  const takes = sentence(cure?.replace(/^null clears it; else /, '') ?? '');
  const help = cure?.includes(' matches ') ? (await fieldHelps(database, tenantId)).get(field) : undefined;
  return `${label} does not take this value. ${help ?? takes}`;
}

export const undoPerson: Action = action({
  route: 'POST /console/t/:tenant/people/:account/undo',
  form: { change: z.string().regex(/^\d{1,18}$/) },
  audit: 'person.edit_undone',
  act: async (database, view) => {
    const account = await accountOf(database, view);
    if (!account) return undefined;
    const { tenant_id: tenantId, account_id: accountId } = account;
    const { change } = view.query;
    try {
      await undoAccountEdit(database, account, change, { actor: view.viewer.actor, role: 'manager' });
      return {
        to: `/console/t/${tenantId}/people/${accountId}/history?done=undone`,
        audited: { accountId, detail: { change } },
      };
    } catch (error) {
      if (!(error instanceof ExpectedError)) throw error;
      return { problems: [{ message: sentence(error.message) }] };
    }
  },
  again: personHistoryPage,
});

export const readPerson: Action = action({
  route: 'POST /console/t/:tenant/people/:account/read',
  form: {},
  audit: 'person.read_requested',
  act: async (database, view) => {
    const account = await accountOf(database, view);
    if (!account) return undefined;
    const { tenant_id: tenantId, account_id: accountId } = account;
    const answer = await requestCycle(database, tenantId, view.viewer.actor, accountId);
    if (answer === 'unknown') return undefined;
    if (answer === 'disconnected') return { problems: [{ message: 'The tenant is disconnected: nothing is read.' }] };
    return { to: `/console/t/${tenantId}/people/${accountId}`, audited: { accountId } };
  },
  again: personPage,
});
