// The cure that a wait for a lock names: it depends on what the session in the way does.
import { expect, test } from 'vitest';
import { type Blocker, describeHolders, migrating } from '../../src/store/database/blockers.ts';

const holder: Blocker = {
  pid: 7,
  role: 'owner',
  application: 'psql',
  visible: true,
  transactionMs: 60_000,
  idleMs: 60_000,
  own: true,
};

test.each<[string, Partial<Blocker>, RegExp]>([
  ['forgotten', {}, /-> end its transaction where it was begun, or end the session with/],
  ['at work', { idleMs: null }, /-> wait until it is done, or end the session with/],
  ['migrating, and idle while the migration runs', { application: migrating }, /-> wait until it is done, or/],
  ['of another role that calls itself migrating', { application: migrating, own: false }, /-> end its transaction/],
])('a session that is %s', (_, more, cure) => {
  expect(describeHolders([{ ...holder, ...more }])).toMatch(cure);
});
