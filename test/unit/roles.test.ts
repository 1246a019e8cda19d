// One-way: which application roles a token may carry. A token that could write is refused by name.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judgeRoles } from '../../src/rules/roles.ts';

describe('one-way: the roles of a token', () => {
  test.each([
    [['User.Read.All']],
    [['Directory.Read.All']],
    [['User.Read.All', 'GroupMember.Read.All', 'Group.Read.All', 'Member.Read.Hidden', 'Organization.Read.All']],
  ])('%j is enough', (roles) => {
    expect(judgeRoles(roles, [])).toEqual({ kind: 'ok' });
  });

  test.each([
    'User.ReadWrite.All',
    'Directory.ReadWrite.All',
    'Group.ReadWrite.All',
    'User.Invite.All',
    'Mail.Read',
    'Mail.Send',
    'RoleManagement.ReadWrite.Directory',
    'user.read.all',
    'User.Read.All ',
    'constructor',
    '',
  ])('%j is refused by its name, beside the right ones too', (role) => {
    expect(judgeRoles(['User.Read.All', role], [])).toEqual({ kind: 'refused', roles: [role] });
    expect(judgeRoles([role], [])).toEqual({ kind: 'refused', roles: [role] });
  });

  test('names every role that is refused, and only those', () => {
    const roles = ['Mail.Send', 'User.Read.All', 'User.ReadWrite.All'];
    expect(judgeRoles(roles, [])).toEqual({ kind: 'refused', roles: ['Mail.Send', 'User.ReadWrite.All'] });
    expect(judgeRoles(roles, ['Mail.Send'])).toEqual({ kind: 'refused', roles: ['User.ReadWrite.All'] });
    expect(judgeRoles(roles, ['Mail.Send', 'User.ReadWrite.All'])).toEqual({ kind: 'ok' });
  });

  test('none at all means that nobody has consented, whatever is allowed', () => {
    expect(judgeRoles([], [])).toEqual({ kind: 'none' });
    expect(judgeRoles([], ['Mail.Send'])).toEqual({ kind: 'none' });
  });

  test('reading groups alone is not enough for users, and the answer says what is', () => {
    const verdict = judgeRoles(['GroupMember.Read.All'], []);
    expect(verdict).toEqual({ kind: 'missing', oneOf: ['User.Read.All', 'Directory.Read.All'] });
  });

  test('any role with Write in its name is refused until it is allowed by that very name', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Z][a-z]{2,8}\.(Read)?Write(\.All)?$/), (role) => {
        expect(judgeRoles(['User.Read.All', role], [role.toLowerCase()])).toEqual({ kind: 'refused', roles: [role] });
        expect(judgeRoles(['User.Read.All', role], [role])).toEqual({ kind: 'ok' });
      }),
    );
  });
});
