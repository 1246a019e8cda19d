// Which patterns a field may have: those that are matched without backtracking.
import { expect, test } from 'vitest';
import { patternProblem } from '../../src/rules/patterns.ts';
import { loadDefaults } from '../../src/settings/settings.ts';
import { forBrowser } from '../../src/web/portal/inputs.ts';

test.each([
  'she/her|he/him|they/them',
  '\\+[0-9 ]{6,20}',
  '(?:https?://)?[a-z0-9.-]+/.*',
  '[^<>]*',
  '[A-Za-zÀ-ÿ -]{1,40}',
  '[\\d\\-\\]\\\\]+',
  '\\d{4}(-\\d{2}){2}',
  '(a|b)?c\\.',
  '😀+',
  '[+]?[0-9 ()./-]+',
  '[\\(\\)\\/\\.-\\?]+',
])('%s can be used', (pattern) => {
  expect(patternProblem(pattern)).toBeUndefined();
  expect(() => new RegExp(`^(?:${pattern})$`, 'u')).not.toThrow();
  expect(() => new RegExp(`^(?:${forBrowser(pattern)})$`, 'v')).not.toThrow();
});

test.each([
  ['', /is empty/],
  ['a'.repeat(201), /more than 200 characters/],
  ['^a$', /leave out \^ and \$/],
  ['(a)\\1', /has \\1: of escapes/],
  ['\\bword', /has \\b: of escapes/],
  ['\\p{L}', /has \\p: of escapes/],
  ['(?=a)b', /no other \(\?/],
  ['(?<!a)b', /no other \(\?/],
  ['(?i)a', /no other \(\?/],
  ['a**', /two counts/],
  ['a+?', /two counts/],
  ['*a', /has a \* where nothing can be repeated/],
  ['***=a', /has a \* where nothing/],
  ['a{2', /a \{ that is no count/],
  ['a{300}', /more than 255 times/],
  ['a{3,2}', /which no text can have/],
  ['((a{200}){200}){200}', /repeats too much/],
  ['(a', /\( without its \)/],
  ['a)', /\) without its \(/],
  ['[a', /has a set/],
  ['[]', /has a set/],
  ['[[:alpha:]]', /has a set/],
  ['[\\b]', /has a set/],
  [`${'('.repeat(12)}a${')'.repeat(12)}`, /nested more than 10 deep/],
])('%s is refused', (pattern, says) => {
  expect(patternProblem(pattern)).toMatch(says);
});

test.each([
  ['[+]?[0-9 ()./-]+', '+1 (206) 555-0100', 'abc'],
  ['[^<>|&&]\\-\\@', 'a-@', '<-@'],
])('a browser reads %s as Postgres does', (pattern, fits, other) => {
  const read = new RegExp(`^(?:${forBrowser(pattern)})$`, 'v');
  expect([read.test(fits), read.test(other)]).toEqual([true, false]);
});

const shipped = (field: string, value: string) => {
  const { pattern = null, max = null } = loadDefaults().fields?.[field] ?? {};
  if (typeof pattern !== 'string' || max === null) throw new Error(`${field} takes any text`);
  const bySet = [new RegExp(`^(?:${pattern})$`, 'u'), new RegExp(`^(?:${forBrowser(pattern)})$`, 'v')];
  return bySet.map((one) => one.test(value) && value.length <= max);
};

test.each([
  [
    'mobilePhone',
    ['+1 206 555 0100', '+1 (206) 555-0100', '(206) 555-0100 ext. 12', '+49 (0)89 1234-0', '+49 89/1234567'],
  ],
  [
    'mobilePhone',
    ['+1.206.555.0100', '0041 44 668 18 00', '+44 20 7946 0958 x123', '+1 206 555 0100 #4', '112', '(+49) 89 123'],
  ],
  [
    'mobilePhone',
    ['+49 89 1234–56', '+33\u00a01\u00a023\u00a045\u00a067\u00a089', '+1 206 555 0100, Ext 7', '+43 1 234 DW 12'],
  ],
  ['faxNumber', ['+49 89 1234567']],
  [
    'linkedIn',
    [
      'https://www.linkedin.com/in/ann',
      'https://linkedin.com/in/ann-lee-1b2/',
      'https://de.linkedin.com/in/j%C3%BCrgen',
    ],
  ],
  ['linkedIn', ['https://uk.linkedin.com/company/contoso?trk=x', 'https://www.LinkedIn.com/in/ann']],
  [
    'website',
    ['https://www.example.com', 'https://example.com/ann?x=1#top', 'https://münchen.de/', 'https://example.com:8443/a'],
  ],
])('shipped: %s takes %s', (field, values) => {
  expect(values.filter((value) => shipped(field, value).includes(false))).toEqual([]);
});

test.each([
  [
    'mobilePhone',
    [
      'ask the reception',
      '12',
      '+',
      'n/a',
      '+1 206 555 0100 and +1 206 555 0101',
      'ann@example.com',
      `+${'1 '.repeat(40)}`,
    ],
  ],
  [
    'linkedIn',
    [
      'ann',
      'linkedin.com/in/ann',
      'http://www.linkedin.com/in/ann',
      'https://linkedin.com',
      'https://linkedin.com.evil.example/in/ann',
    ],
  ],
  [
    'linkedIn',
    [
      'https://www.example.com/linkedin.com/in/ann',
      'https://evil-linkedin.com/in/ann',
      'https://www.linkedin.com/in/ann lee',
    ],
  ],
  [
    'website',
    [
      'www.example.com',
      'http://www.example.com',
      'https://',
      'https://localhost',
      'javascript:alert(1)',
      'https://a b.example',
    ],
  ],
])('shipped: %s refuses each of %s', (field, values) => {
  expect(values.filter((value) => shipped(field, value).includes(true))).toEqual([]);
});
