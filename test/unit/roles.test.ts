// One-way: the application roles that a token may carry. A token that could write is refused by name.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judgeRoles } from '../../src/rules/roles.ts';

describe('one-way: the roles of a token', () => {
  test.each([
    [['User.Read.All']],
    [['Directory.Read.All']],
    [['User.Read.All', 'GroupMember.Read.All', 'Group.Read.All', 'Member.Read.Hidden', 'Organization.Read.All']],
  ])('%j suffices', (roles) => {
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
  ])('%j is refused by name, also together with the right ones', (role) => {
    expect(judgeRoles(['User.Read.All', role], [])).toEqual({ kind: 'refused', roles: [role] });
    expect(judgeRoles([role], [])).toEqual({ kind: 'refused', roles: [role] });
  });

  test('the refusal names every refused role, and only those', () => {
    const roles = ['Mail.Send', 'User.Read.All', 'User.ReadWrite.All'];
    expect(judgeRoles(roles, [])).toEqual({ kind: 'refused', roles: ['Mail.Send', 'User.ReadWrite.All'] });
    expect(judgeRoles(roles, ['Mail.Send'])).toEqual({ kind: 'refused', roles: ['User.ReadWrite.All'] });
    expect(judgeRoles(roles, ['Mail.Send', 'User.ReadWrite.All'])).toEqual({ kind: 'ok' });
  });

  test('no role means no consent, whatever is allowed', () => {
    expect(judgeRoles([], [])).toEqual({ kind: 'none' });
    expect(judgeRoles([], ['Mail.Send'])).toEqual({ kind: 'none' });
  });

  test('reading groups does not suffice for users, and the answer names the missing roles', () => {
    const verdict = judgeRoles(['GroupMember.Read.All'], []);
    expect(verdict).toEqual({ kind: 'missing', oneOf: ['User.Read.All', 'Directory.Read.All'] });
  });

  test('any role with Write in its name is refused unless it is allowed by that exact name', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Z][a-z]{2,8}\.(Read)?Write(\.All)?$/), (role) => {
        expect(judgeRoles(['User.Read.All', role], [role.toLowerCase()])).toEqual({ kind: 'refused', roles: [role] });
        expect(judgeRoles(['User.Read.All', role], [role])).toEqual({ kind: 'ok' });
      }),
    );
  });
});
