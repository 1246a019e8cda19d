// The digits of numbers that do not fit a double.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJson } from '../../src/rules/json.ts';

describe('rule 19: the digits of a number are kept', () => {
  test.each([
    ['9223372036854775807', '9223372036854775807'],
    ['-9223372036854775808', '-9223372036854775808'],
    ['9007199254740993', '9007199254740993'],
    ['9007199254740992', '9007199254740992'],
    ['9007199254740991', 9_007_199_254_740_991],
    ['0.12345678901234567', '0.12345678901234567'],
    ['0.30000000000000001', '0.30000000000000001'],
    ['0.3000000000000000', 0.3],
    ['79228162514264337593543950335', '79228162514264337593543950335'],
    ['1e400', '1e400'],
    ['-1E-400', '-1E-400'],
    ['1e3', 1000],
    ['1.5E+300', 1.5e300],
    ['0e999', 0],
    ['0.000', 0],
    ['12', 12],
  ])('%s', (literal, value) => {
    expect(parseJson(`{"a":${literal}}`)).toEqual({ a: value });
    expect(parseJson(`[ [1, ${literal}] ,\n ${literal}]`)).toEqual([[1, value], value]);
  });

  test('a text that looks like such a number is unchanged', () => {
    const text = '{"a":"x:1234567890123456789","b":["1e400, 1e400"],":9007199254740993":1}';
    expect(parseJson(text)).toEqual(JSON.parse(text));
  });

  test.each(['', '{', '{"a":9007199254740993', '[1e400', 'nul'])('%j is not JSON', (text) => {
    expect(parseJson(text)).toBeUndefined();
  });

  test('any JSON that JavaScript writes is parsed as by JSON.parse', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const safe = JSON.parse(JSON.stringify(value), (_, one) =>
          Number.isInteger(one) && !Number.isSafeInteger(one) ? 0 : one,
        );
        const text = JSON.stringify(safe);
        expect(parseJson(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  test('an integer of any length keeps every digit', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), (value) => {
        const read = (parseJson(`{"a":${value}}`) as { a: string | number }).a;
        expect(BigInt(read)).toBe(value);
      }),
    );
  });
});
