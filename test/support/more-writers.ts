// More writers of a tenant, which lock like one of those of test/support/writers.ts.
import { removeAccount, restoreAccount } from '../../src/store/accounts/accounts.ts';
import { undoAccountEdit } from '../../src/store/accounts/edit.ts';
import { revertMany } from '../../src/store/accounts/revert-many.ts';
import { erasePerson } from '../../src/store/commit/erase-person.ts';
import { inReportedTransaction } from '../../src/store/feed/receipts.ts';
import { ask } from './stage.ts';
import { assigning, decide, editOf, type Writer } from './writers.ts';

/** More writers that lock like one of those above. */
export const moreWriters: readonly Writer[] = [
  { name: 'reject', lock: 'line', touches: [4], prepare: decide('reject') },
  {
    name: 'assign by a field',
    lock: 'exclusive',
    touches: [],
    prepare: assigning(
      'select directory.assign(:tenant, \'banner\', \'more\', \'{"field": "displayName", "in": ["Edited"]}\', null, \'Ann\')',
    ),
  },
  {
    name: 'change of an assignment',
    lock: 'line',
    touches: [],
    prepare: assigning(
      "select directory.change_assignment(assignment_id, '{\"priority\": 2}', 'Ann') from directory.assignments where tenant_id = :tenant and item = 'team'",
    ),
  },
  { name: 'edit of another', lock: 'share', touches: [7], prepare: editOf(7, 'Somebody') },
  {
    name: 'remove',
    lock: 'line',
    touches: [0],
    prepare:
      async ({ manual }) =>
      (database) =>
        inReportedTransaction(database, (transaction) =>
          removeAccount(transaction, manual, { actor: 'Ann', role: 'user' }),
        ),
  },
  {
    name: 'edit undone',
    lock: 'share',
    touches: [8],
    async prepare({ store, accounts }) {
      const account = { account_id: accounts[8] ?? '' };
      await ask(
        store,
        `select directory.edit_account(:account_id, '{"displayName": "Wrong"}', 'Ann', 'user')`,
        account,
      );
      return async (database) =>
        (await undoAccountEdit(database, account, null, { actor: 'Ann', role: 'user' })).changed;
    },
  },
  {
    name: 'erase',
    lock: 'line',
    touches: [6],
    prepare:
      async ({ tenantId, accounts }) =>
      (database) =>
        erasePerson(database, { tenantId, accountId: accounts[6] ?? '', actor: 'Ann' }),
  },
  {
    name: 'revert of many',
    lock: 'line',
    touches: [7],
    async prepare({ store, tenantId, accounts }) {
      const account = accounts[7] ?? '';
      await ask(store, `select directory.edit_account(:account, '{"displayName": "Wrong"}', 'Ann', 'user')`, {
        account,
      });
      const wanted = { tenantId, field: 'displayName', accounts: [account] };
      const options = { dryRun: false, onBatch: () => {} };
      return (database) => revertMany(database, wanted, { actor: 'Ann', role: 'user' }, options);
    },
  },
  {
    name: 'restore by hand',
    lock: 'line',
    touches: [2],
    async prepare({ store, accounts }) {
      const account = accounts[2] ?? '';
      await ask(store, 'update entra_sync.accounts set removal_approved = true where account_id = :account', {
        account,
      });
      return (database) =>
        inReportedTransaction(database, (transaction) => restoreAccount(transaction, account, 'Ann'));
    },
  },
];
