// The mutation patches (test/mutations) cover every rule and still fit the code. `npm run test:mutations` shows whether
// the tests catch them.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { packageFile } from '../../src/package-files.ts';
import { readMutations } from '../mutations/patches.ts';

const mutations = readMutations();
const rules = [...readFileSync(packageFile('docs', 'rules.md'), 'utf8').matchAll(/^\| (\d+) \|/gm)].map(([, rule]) =>
  Number(rule),
);

test.each(rules)('rule %i is broken by a patch', (rule) => {
  expect(mutations.filter((one) => one.rules.includes(rule)).map((one) => one.name)).not.toEqual([]);
});

test.each(mutations)('$name fits the code, and names existing tests', ({ file, tests }) => {
  const applied = spawnSync('git', ['apply', '--check', file], { cwd: packageFile('.'), encoding: 'utf8' });
  expect(applied.stderr).toBe('');
  expect(applied.status).toBe(0);
  for (const test of tests) {
    expect(existsSync(packageFile(test)), test).toBe(true);
    expect(test, 'a rule that only the deep run guards').not.toContain('.deep.');
  }
});

/** The lines of a test file that open a test of `npm test` by its title, or hold the title alone. */
function quickTitles(test: string): string[] {
  const lines = readFileSync(packageFile(test), 'utf8').split('\n');
  return lines.filter(
    (line, n) => /^\s*([^'`]*\()?['"`]/.test(line) && !/runIf\(isDeep\)/.test(`${lines[n - 1]}${line}`),
  );
}

test.each(mutations.flatMap(({ name, tests, titles }) => (titles === undefined ? [] : [{ name, tests, titles }])))(
  '$name names a test that npm test runs',
  ({ tests, titles }) => {
    const titled = new RegExp(titles);
    expect(tests.flatMap(quickTitles).filter((line) => titled.test(line))).not.toEqual([]);
  },
);
