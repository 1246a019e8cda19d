// Expected errors and the exit codes that scripts rely on.
import { describe, expect, test } from 'vitest';
import { describeDefect, type ErrorCode, ExpectedError, errorCodeOf, exitCodeOf, exitCodes } from '../../src/errors.ts';

const codes = Object.keys(exitCodes) as ErrorCode[];

describe('exit codes', () => {
  test.each(codes)('%s has a documented one, other than those for success and a defect', (code) => {
    expect([2, 3, 4, 5, 6, 7, 8, 130]).toContain(exitCodes[code]);
    expect(exitCodeOf(new ExpectedError(code, 'x'))).toBe(exitCodes[code]);
    expect(errorCodeOf(new ExpectedError(code, 'x'))).toBe(code);
  });

  test.each<[ErrorCode, number]>([
    ['usage', 2],
    ['settings_invalid', 2],
    ['unknown_name', 2],
    ['credential_refused', 3],
    ['sign_in_failed', 3],
    ['consent_missing', 3],
    ['permission_missing', 3],
    ['delta_unsupported', 3],
    ['removals_held', 4],
    ['graph_unavailable', 5],
    ['graph_throttled', 5],
    ['cycle_running', 6],
    ['database_unreachable', 7],
    ['database_locked', 7],
    ['schema_not_current', 7],
    ['interrupted', 130],
  ])('%s ends with %i', (code, exitCode) => {
    expect(exitCodes[code]).toBe(exitCode);
  });

  test.each([new Error('x'), new TypeError('x'), 'a text', null, undefined, { code: 'usage' }])(
    'anything else is a defect: %s',
    (thrown) => {
      expect(exitCodeOf(thrown)).toBe(1);
      expect(errorCodeOf(thrown)).toBe('defect');
    },
  );
});

test('an expected error separates message, cure, detail and cause', () => {
  const cause = new Error('below');
  const error = new ExpectedError('usage', 'what happened', { cure: 'do this', detail: 'request-id 1', cause });
  expect(error).toMatchObject({ message: 'what happened', cure: 'do this', detail: 'request-id 1', cause });
  expect(new ExpectedError('usage', 'x')).toMatchObject({ cure: undefined, detail: undefined, list: [] });
  expect(new ExpectedError('usage', '2 things', { list: ['one', 'other'] }).list).toEqual(['one', 'other']);
});

describe('rule 18: the description of a defect holds no values', () => {
  test.each<[string, unknown, string]>([
    [
      'a text that JSON.parse quotes',
      caught(() => JSON.parse('Ann Smith <ann@contoso.example>')),
      'SyntaxError: Unexpected token …, …... is not valid JSON',
    ],
    ['a quote without an end', new Error('odd: "Ann Smith'), 'Error: odd: …'],
    ['an address', new Error('nobody is ann@contoso.example here'), 'Error: nobody is … here'],
    ['a token', new Error(`no ${'eyJhbGciOi.'.repeat(9)}`), 'Error: no …'],
    [
      'the name of a missing property',
      caught(() => (undefined as unknown as { a: string }).a),
      "TypeError: Cannot read properties of undefined (reading 'a')",
    ],
    [
      'the message of the database',
      Object.assign(new Error('Ann Smith is no member'), {
        name: 'error',
        severity: 'ERROR',
        code: '23514',
        detail: 'Failing row contains (Ann Smith).',
        table: 'accounts',
        constraint: 'odd',
      }),
      'error: SQLSTATE 23514 table accounts, constraint odd',
    ],
    ['a thrown value that is not an error', 'Ann Smith', 'a thrown string'],
  ])('%s', (_what, error, said) => {
    const [first = '', ...frames] = describeDefect(error).split('\n');
    expect(first).toBe(said);
    expect(frames.every((line) => /^\s+at /.test(line))).toBe(true);
  });
});

function caught(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}
