// One-way: the application roles that a token may carry. A token that could write is refused by name.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judgeEachRole, judgeRoles, keptRoles } from '../../src/rules/roles.ts';

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

describe('the permissions of a token one by one', () => {
  const judge = (roles: string[], photos = false, allowed: string[] = []) =>
    judgeEachRole(roles, { photos, allowed }).map(({ role, state, uses }) =>
      `${role} ${state} ${uses.join('+')}`.trim(),
    );

  test.each<[string[], boolean, string[]]>([
    [
      ['User.Read.All', 'GroupMember.Read.All'],
      true,
      ['User.Read.All granted users+photos', 'GroupMember.Read.All granted groups'],
    ],
    [['User.Read.All'], false, ['GroupMember.Read.All missing groups', 'User.Read.All granted users']],
    [[], true, ['User.Read.All missing users+photos', 'GroupMember.Read.All missing groups']],
    [['Directory.Read.All'], true, ['User.Read.All missing photos', 'Directory.Read.All granted users+groups']],
    [
      ['User.Read.All', 'GroupMember.Read.All', 'Directory.Read.All', 'ProfilePhoto.Read.All'],
      false,
      [
        ...['User.Read.All granted users', 'GroupMember.Read.All granted groups'],
        ...['Directory.Read.All beyond', 'ProfilePhoto.Read.All beyond'],
      ],
    ],
    [
      ['User.Read.All', 'GroupMember.Read.All', 'Group.Read.All', 'Member.Read.Hidden'],
      false,
      [
        ...['User.Read.All granted users', 'GroupMember.Read.All granted groups'],
        ...['Group.Read.All granted deleted', 'Member.Read.Hidden granted hidden'],
      ],
    ],
  ])('%j, photos read: %j', (roles, photos, says) => {
    expect(judge(roles, photos)).toEqual(says);
  });

  test('one that may write is refused, or allowed by the settings', () => {
    const roles = ['Directory.Read.All', 'Mail.Send'];
    expect(judge(roles)).toContain('Mail.Send refused');
    expect(judge(roles, false, ['Mail.Send'])).toContain('Mail.Send allowed');
  });

  test('a missing one names each role that would do, for all that is missing', () => {
    expect(judgeEachRole([], { photos: true, allowed: [] }).map(({ oneOf }) => oneOf)).toEqual([
      ['User.Read.All'],
      ['GroupMember.Read.All', 'Group.Read.All', 'Directory.Read.All'],
    ]);
  });

  test('what is kept of a token is bounded, and like the name of a permission', () => {
    const odd = ['', 'x', 'a.b c', `${'A'.repeat(80)}.Read`, '<b>.Read', 'Mail.Send\n', 'Mail.Send', 'Mail.Send'];
    expect(keptRoles([...odd, 'User.Read.All'])).toEqual(['User.Read.All', 'Mail.Send']);
    const many = Array.from({ length: 500 }, (_, n) => `Any${n}.Read`);
    expect(keptRoles([...many, 'User.Read.All'])).toHaveLength(40);
    expect(keptRoles([...many, 'User.Read.All'])[0]).toBe('User.Read.All');
  });
});
