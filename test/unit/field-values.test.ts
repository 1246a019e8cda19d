// Typed values of fields: parsed by the field's type, or refused in a message that names only the field.
import { describe, expect, test } from 'vitest';
import { fieldValue, splitEdits } from '../../src/cli/field-values.ts';
import { ExpectedError } from '../../src/errors.ts';
import type { ValueType } from '../../src/rules/expressions.ts';

const types: ValueType[] = ['text', 'text[]', 'number', 'boolean', 'any'];

describe('a value', () => {
  test.each<[ValueType, string, unknown]>([
    ['text', ' as it is, [all] of it ', ' as it is, [all] of it '],
    ['text', '7', '7'],
    ['text[]', '+1 1, +1 2,', ['+1 1', '+1 2']],
    ['text[]', ' ["1, 2", "3"]', ['1, 2', '3']],
    ['text[]', '[]', []],
    ['number', '-2.5', -2.5],
    ['number', '1e3', 1000],
    ['boolean', 'true', true],
    ['boolean', 'false', false],
    ['any', '7', 7],
    ['any', '["a", 1]', ['a', 1]],
    ['any', 'null', null],
    ['any', '1e400', '1e400'],
    ['any', '9007199254740993', '9007199254740993'],
    ['any', '[9223372036854775807]', ['9223372036854775807']],
    ['any', 'she/her', 'she/her'],
  ])('with the type %s: %s', (type, text, value) => {
    expect(fieldValue('field', type, text)).toEqual(value);
  });

  test.each(types)('is cleared by an empty text, with the type %s', (type) => {
    expect(fieldValue('field', type, '')).toBeNull();
  });

  test.each<[ValueType, string, RegExp]>([
    ['number', 'high', /no number/],
    ['number', '"7"', /no number/],
    ['number', '1e400', /no number/],
    ['number', '9007199254740993', /no number/],
    ['number', ' ', /no number/],
    ['boolean', 'yes', /neither true nor false/],
    ['text[]', '["1"', /no list/],
    ['text[]', '["\\ud800"]', /half a character/],
    ['any', '"a\\u0000b"', /a NUL/],
  ])('with the type %s: %s is refused without being shown', (type, text, says) => {
    const refused = refusalOf(() => fieldValue('phone', type, text));
    expect(refused.message).toMatch(/^the value of phone /);
    expect(refused.message).toMatch(says);
    if (text.trim() !== '') expect(`${refused.message}${refused.cure}`).not.toContain(text);
  });
});

describe('edits', () => {
  test('are split at the first equals sign', () => {
    expect([...splitEdits(['a=b=c', 'd='], ['e'])]).toEqual([
      ['a', 'b=c'],
      ['d', ''],
    ]);
  });

  test.each<[string[], string[], RegExp]>([
    [['phone'], [], /phone is no edit/],
    [['=x'], [], /=x is no edit/],
    [['a=1', 'a=2'], [], /a is given twice/],
    [['a=1'], ['a'], /a is given twice/],
    [[], ['a', 'a'], /a is given twice/],
  ])('%j and reverts %j are refused', (words, reverts, says) => {
    expect(refusalOf(() => splitEdits(words, reverts)).message).toMatch(says);
  });
});

function refusalOf(work: () => unknown): ExpectedError {
  try {
    work();
  } catch (error) {
    if (error instanceof ExpectedError) return error;
  }
  throw new Error('nothing was refused');
}
