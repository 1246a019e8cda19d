// The roles of a signed-in person, by what the sign-in and the database say.
import { expect, test } from 'vitest';
import { type NoRole, type Role, rolesOf, type SignedInFacts } from '../../src/rules/viewers.ts';

const nothing: SignedInFacts = {
  ...{ ops: null, directoryRole: null, groupRoles: [], stale: false },
  ...{ tenantStatus: 'active', account: null, manages: false },
};
const live = { enabled: true, removedReason: null };
const suspended = { enabled: false, removedReason: null };
const removed = (removedReason: string) => ({ enabled: true, removedReason });

const table: readonly (readonly [words: string, facts: Partial<SignedInFacts>, roles: readonly Role[] | NoRole])[] = [
  ['a live account', { account: live }, ['user']],
  ['no account and no role', {}, 'no_account'],
  ['a live account of an unregistered tenant', { account: live, tenantStatus: null }, 'tenant_unknown'],
  ['an administrator of an unregistered tenant', { directoryRole: 'admin', tenantStatus: null }, 'tenant_unknown'],
  ['an administrator without an account', { directoryRole: 'admin' }, ['admin', 'reader']],
  ['an administrator with an account', { directoryRole: 'admin', account: live }, ['admin', 'reader', 'user']],
  ['a manager', { manages: true, account: live }, ['user', 'manager']],
  ['a suspended manager', { manages: true, account: suspended }, 'suspended'],
  ['a manager without an account', { manages: true }, 'no_account'],
  ['a reader', { directoryRole: 'reader' }, ['reader']],
  ['a suspended account', { account: suspended }, 'suspended'],
  ['a suspended administrator', { directoryRole: 'admin', account: suspended }, 'suspended'],
  ['a removed administrator', { directoryRole: 'admin', account: removed('deleted') }, 'removed'],
  ['a removed account', { account: removed('by_hand') }, 'removed'],
  ['an account outside the scope', { account: removed('out_of_scope') }, 'removed'],
  [
    'an administrator outside the scope',
    { directoryRole: 'admin', account: removed('out_of_scope') },
    ['admin', 'reader'],
  ],
  ['an administrator by a group', { groupRoles: ['admin'], account: live }, ['admin', 'reader', 'user']],
  ['a reader by a group', { groupRoles: ['reader'], account: live }, ['reader', 'user']],
  [
    'an administrator by a group of a stale tenant',
    { groupRoles: ['admin'], stale: true, account: live },
    ['reader', 'user'],
  ],
  [
    'a reader by a directory role and administrator by a group',
    { directoryRole: 'reader', groupRoles: ['admin'], account: live },
    ['admin', 'reader', 'user'],
  ],
  [
    'an administrator by a directory role, of a stale tenant',
    { directoryRole: 'admin', groupRoles: ['reader'], stale: true, account: live },
    ['admin', 'reader', 'user'],
  ],
  ['a member of the group without an account', { groupRoles: ['admin'] }, 'no_account'],
  ['a suspended member of the group', { groupRoles: ['admin'], account: suspended }, 'suspended'],
  ['a publisher', { groupRoles: ['publisher'], account: live }, ['publisher', 'publisher_read', 'user']],
  [
    'a publisher of a stale tenant',
    { groupRoles: ['publisher'], stale: true, account: live },
    ['publisher_read', 'user'],
  ],
  [
    'a publisher who is a reader by a directory role',
    { directoryRole: 'reader', groupRoles: ['publisher'], account: live },
    ['reader', 'publisher', 'publisher_read', 'user'],
  ],
  ['a disconnected tenant', { tenantStatus: 'disconnected', account: live }, ['user']],
  ['ops of an unregistered tenant', { ops: 'read', tenantStatus: null }, ['ops_read']],
  ['ops that act', { ops: 'act', tenantStatus: null }, ['ops_act', 'ops_read']],
  ['ops with an account', { ops: 'read', account: live }, ['ops_read', 'user']],
  ['suspended ops keep the vendor’s role alone', { ops: 'act', account: suspended }, ['ops_act', 'ops_read']],
];

test.each(table)('rule 46: %s', (_words, facts, roles) => {
  expect(rolesOf({ ...nothing, ...facts })).toEqual(roles);
});
