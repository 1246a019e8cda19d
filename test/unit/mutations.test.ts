// The mutation patches (test/mutations) cover every rule and still fit the code. `npm run test:mutations` shows whether
// the tests catch them.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
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

/** Each function and view that a migration defines, in order of their places in it. */
const defined = readdirSync(packageFile('migrations'))
  .toSorted()
  .flatMap((name) => {
    const text = readFileSync(packageFile('migrations', name), 'utf8');
    return [...text.matchAll(/create (?:or replace )?(?:function|view) ([\w.]+)/g)].map((one) => ({
      file: `migrations/${name}`,
      what: one[1] ?? '',
      line: text.slice(0, one.index).split('\n').length,
    }));
  });

const changedSql = mutations.flatMap(({ name, file }) => {
  let of = '';
  let line = 0;
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((text) => {
      of = /^\+\+\+ b\/(.*)/.exec(text)?.[1] ?? of;
      const hunk = /^@@ -(\d+)/.exec(text)?.[1];
      if (hunk !== undefined) line = Number(hunk) - 1;
      else if (!text.startsWith('+')) line += 1;
      const changes = hunk === undefined && /^[-+](?![-+])/.test(text) && of.startsWith('migrations/');
      return changes ? [{ name, of, line }] : [];
    });
});

test('a mutation of SQL changes the text that is in force, and none that a later migration replaces', () => {
  const replaced = changedSql.flatMap(({ name, of, line }) => {
    const within = defined.findLast((one) => one.file === of && one.line <= line);
    const last = defined.findLast((one) => one.what === within?.what);
    return within && last && last.file !== of ? [`${name}: ${within.what} is that of ${last.file}`] : [];
  });
  expect(changedSql.length).toBeGreaterThan(50);
  expect([...new Set(replaced)]).toEqual([]);
});
