// Formatting of numbers, times and changes.
import { describe, expect, test } from 'vitest';
import { count, cut, describeChange, duration, nameWithId, showValue, when } from '../../src/cli/format.ts';
import { wayToMore } from '../../src/cli/found.ts';

test.each([
  [0, '0'],
  [999, '999'],
  [12_345, '12,345'],
  [1_234_567, '1,234,567'],
])('the count %i is %s', (value, text) => {
  expect(count(value)).toBe(text);
});

test.each([
  [0, '0 s'],
  [45, '45 s'],
  [59.6, '1 min'],
  [60, '1 min'],
  [89, '1 min'],
  [3_599, '1 h'],
  [3_600, '1 h'],
  [86_400, '24 h'],
  [86_400 * 2 - 1, '2 d'],
  [86_400 * 5, '5 d'],
])('%f seconds are %s', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

const family = '👨‍👩‍👧‍👦';

test.each([
  ['a text that fits', 'x'.repeat(120), 'x'.repeat(120)],
  ['a long text', 'x'.repeat(5_000), `${'x'.repeat(119)}… (5,000 characters)`],
  ['an emoji of many parts, which is no longer whole', family.repeat(100), `${family.repeat(59)}… (700 characters)`],
  ['a letter with thousands of marks', `a${'\u0301'.repeat(5_000)}`, '… (5,001 characters)'],
  ['marks within the bound', `${'e\u0301'.repeat(60)}`, 'e\u0301'.repeat(60)],
])('in a table, %s', (_what, value, shown) => {
  expect(cut(value)).toBe(shown);
  expect(cut(value)).toSatisfy((text: string) => text.isWellFormed());
});

test('two long values that differ are no value as before', () => {
  const [one, other] = [`${'x'.repeat(5_000)}a`, `${'x'.repeat(5_000)}b`];
  const change = describeChange('account.edited', { profile: { pronouns: one } }, { profile: { pronouns: other } });
  const shown = `"${'x'.repeat(119)}…" (5,001 characters)`;
  expect(change).toBe(`pronouns: ${shown} -> ${shown}`);
  expect(showValue(['x'.repeat(5_000)])).toBe(`["${'x'.repeat(117)}… (5,004 characters)`);
});

test('a time is relative to now', () => {
  const now = new Date('2026-01-01T12:00:00Z');
  const after = (seconds: number) => new Date(now.getTime() + seconds * 1000);
  expect(when(null, now)).toBe('never');
  expect(when(after(-180), now)).toBe('3 min ago');
  expect(when(after(2_400), now)).toBe('in 40 min');
  expect(when(now, now)).toBe('0 s ago');
});

describe('a change', () => {
  test('shows the old and new value of each field', () => {
    const before = { enabled: true, profile: { jobTitle: 'Clerk', phones: ['+1'] } };
    const after = { enabled: false, profile: { jobTitle: 'Boss', city: 'Bern' } };
    expect(describeChange('account.updated', before, after)).toBe(
      'enabled: true -> false; jobTitle: "Clerk" -> "Boss"; phones: ["+1"] -> none; city: none -> "Bern"',
    );
  });

  test.each(['account.created', 'account.restored'])('%s names the account', (kind) => {
    const after = { user_principal_name: 'adele@contoso.com', profile: { displayName: 'Adele', city: 'Bern' } };
    expect(describeChange(kind, { removed: 'deleted' }, after)).toBe('adele@contoso.com, Adele');
    expect(describeChange(kind, null, { user_principal_name: null })).toBe('');
  });

  test('account.removed shows the reason', () => {
    expect(describeChange('account.removed', {}, { removed: 'not_seen' })).toBe('reason: not_seen');
    expect(describeChange('removal.approved', null, { reason: 'deleted', list_id: 3 })).toBe('reason: deleted');
    expect(describeChange('removal.approved', null, { list_id: 3 })).toBe('');
  });

  test('of a field with a name that every object of JavaScript has shows values, and no function', () => {
    const before = { profile: {}, directory: { constructor: '1' } };
    const after = { profile: {}, directory: { toString: '2' } };
    expect(describeChange('account.updated', before, after)).toBe(
      'constructor, under an edit: "1" -> none; toString, under an edit: none -> "2"',
    );
  });

  test('to the directory’s value below an edit is marked', () => {
    const before = { profile: { city: 'Bern' }, directory: { mobilePhone: '1' } };
    const after = { profile: { city: 'Basel' }, directory: { mobilePhone: '2' }, profile_stays: true };
    expect(describeChange('account.updated', before, after)).toBe(
      'city: "Bern" -> "Basel"; mobilePhone, under an edit: "1" -> "2"',
    );
    expect(describeChange('account.updated', {}, { directory: { fax: '3' } })).toBe('fax, under an edit: none -> "3"');
  });

  test('account.edited shows the old value, also if it is the same', () => {
    const before = { mail: 'a@x', profile: { mail: 'a@x', jobTitle: 'Clerk' } };
    const after = { mail: 'b@x', profile: { mail: 'b@x', jobTitle: 'Clerk' } };
    expect(describeChange('account.edited', before, after)).toBe('mail: "a@x" -> "b@x"; jobTitle: "Clerk", as before');
  });

  test.each([
    ['account.adopted', 'managed by the directory from now on; entra_object_id: none -> "id"; state: "ZH" -> "BE"'],
    ['account.released', 'manual from now on, with these values; entra_object_id: none -> "id"; state: "ZH" -> "BE"'],
  ])('%s shows the state of the account, apart from a field called state', (kind, says) => {
    const before = { state: 'manual', entra_object_id: null, profile: { state: 'ZH' } };
    const after = { state: 'managed', entra_object_id: 'id', profile: { state: 'BE' } };
    expect(describeChange(kind, before, after)).toBe(says);
  });

  test.each([
    ['group.adopted', { state: 'manual' }, { state: 'managed' }, 'managed by the directory from now on'],
    ['group.released', { state: 'managed' }, { state: 'manual' }, 'manual from now on, with these values'],
    ['tenant.disconnected', { status: 'active' }, { status: 'disconnected' }, 'status: "active" -> "disconnected"'],
    ['tenant.reconnected', { status: 'disconnected' }, { status: 'pending' }, 'status: "disconnected" -> "pending"'],
    ['tenant.settings_changed', { version: 2 }, { version: 3 }, 'settings version: 2 -> 3'],
  ])('%s', (kind, before, after, says) => {
    expect(describeChange(kind, before, after)).toBe(says);
  });

  test.each([null, undefined, 7, 'text', {}, { profile: null }])('%j is shown as nothing', (facts) => {
    expect(describeChange('account.updated', facts, null)).toBe('');
  });

  test('stays one line without terminal control codes, whatever the directory holds', () => {
    const text = 'Main Street 1\r\nFloor 2\u001b[2J\u009b31m';
    const shown = [
      describeChange('account.updated', null, { profile: { streetAddress: text, phones: [text] } }),
      describeChange('account.created', null, { user_principal_name: text, profile: { displayName: text } }),
    ];
    for (const line of shown) {
      expect(line).not.toMatch(/\p{Cc}/u);
      expect(line).toContain('Main Street 1');
      expect(line).toContain('Floor 2');
    }
  });
});

test('a tenant that has its id as its name is shown once', () => {
  expect(nameWithId('Contoso', 'id')).toBe('Contoso (id)');
  expect(nameWithId('id', 'id')).toBe('id');
});

test('find names no limit that it does not take', () => {
  expect([20, 500, 1_000].map(wayToMore)).toEqual([
    '--limit 200, or another word',
    '--limit 1000, or another word',
    'another word, or --tenant',
  ]);
});
