// Which patterns a field may have: those that are matched without backtracking.
import { expect, test } from 'vitest';
import { patternProblem } from '../../src/rules/patterns.ts';

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
])('%s can be used', (pattern) => {
  expect(patternProblem(pattern)).toBeUndefined();
  expect(() => new RegExp(`^(?:${pattern})$`, 'u')).not.toThrow();
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
