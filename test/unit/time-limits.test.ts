import { expect, test } from 'vitest';
import { judgeLimits, type TimeLimit } from '../../src/rules/time-limits.ts';

const limit = (name: string, ms: number, source: string): TimeLimit => ({
  name,
  value: `${ms}ms`,
  ms,
  source,
  lift: `lift ${name}`,
});

test.each([
  ['statement_timeout', 0],
  ['statement_timeout', 600_000],
  ['transaction_timeout', 600_000],
  ['idle_in_transaction_session_timeout', 10_000],
])('%s of %i ms does not limit a cycle', (name, ms) => {
  expect(judgeLimits([limit(name, ms, 'user')])).toMatchObject({ state: 'fine', cure: undefined });
});

test.each([
  ['statement_timeout', 599_999, 'short'],
  ['statement_timeout', 1_000, 'short'],
  ['statement_timeout', 999, 'fatal'],
  ['transaction_timeout', 30_000, 'short'],
  ['transaction_timeout', 1, 'fatal'],
  ['idle_in_transaction_session_timeout', 9_999, 'short'],
  ['idle_in_transaction_session_timeout', 40, 'fatal'],
])('%s of %i ms is %s', (name, ms, state) => {
  const judged = judgeLimits([limit(name, ms, 'user')]);
  expect(judged).toMatchObject({ state, cure: `lift ${name}` });
  expect(judged.says).toMatch(new RegExp(`^${name} is ${ms}ms, set for the role: .* are ended$`));
});

test.each([
  ['user', 'for the role', 'lift statement_timeout'],
  ['database', 'for the database', 'lift statement_timeout'],
  ['database user', 'for the role in this database', 'lift statement_timeout'],
  ['global', 'for all roles', 'lift statement_timeout'],
  ['configuration file', 'for the server', 'lift statement_timeout'],
  ['command line', 'for the server', 'lift statement_timeout'],
  ['environment variable', 'for the server', 'lift statement_timeout'],
  ['client', 'by DATABASE_URL, PGOPTIONS or a pooler', 'take statement_timeout out of DATABASE_URL'],
  ['session', 'by a pooler', 'take statement_timeout out of the configuration of the pooler'],
])('a limit of source "%s" is reported as set %s', (source, place, cure) => {
  const judged = judgeLimits([limit('statement_timeout', 40, source)]);
  expect(judged.says).toContain(`set ${place}`);
  expect(judged.cure).toContain(cure);
});

test('several limits are one line with the worst state', () => {
  const judged = judgeLimits([limit('statement_timeout', 40, 'user'), limit('transaction_timeout', 5_000, 'database')]);
  expect(judged).toEqual({
    state: 'fatal',
    says: 'statement_timeout is 40ms, set for the role: statements that take longer are ended; transaction_timeout is 5000ms, set for the database: transactions that take longer are ended',
    cure: 'lift statement_timeout; lift transaction_timeout',
  });
});
