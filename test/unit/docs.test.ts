// Checks docs/rules.md against the tree: every place and test that it names exists, and the test names the rule.
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { packageFile } from '../../src/package-files.ts';

const rules = readFileSync(packageFile('docs', 'rules.md'), 'utf8')
  .split('\n')
  .filter((line) => /^\| \d+ \|/.test(line))
  .map((line) => {
    const [, rule = '', says = '', where = '', tests = ''] = line.split('|').map((cell) => cell.trim());
    return { rule, says, where: where.split(', '), tests: tests.split(', ') };
  });

test('the page lists rules', () => {
  expect(rules.length).toBeGreaterThan(15);
});

test.each(rules)('rule $rule is short in the table: its details are below', ({ says }) => {
  expect(says.length, says).toBeLessThanOrEqual(200);
});

test.each(rules)('rule $rule names existing places', ({ where }) => {
  for (const file of where) expect(existsSync(packageFile(file)), file).toBe(true);
});

test.each(rules.filter(({ tests }) => tests[0]?.startsWith('test/')))(
  'rule $rule is named by its tests',
  ({ rule, tests }) => {
    for (const file of tests) {
      const text = readFileSync(packageFile(file), 'utf8');
      expect(text, `${file} has no test of rule ${rule}`).toMatch(new RegExp(`rules? [\\d, and]*\\b${rule}\\b`));
    }
  },
);
