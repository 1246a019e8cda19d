// The list of test/support/deep.ts and the tree: a file that asks how much to do is run again by the deep run.
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { packageFile } from '../../src/package-files.ts';
import { deeper } from '../support/deep.ts';

const asks = /\/(deep|fault-matrix)\.ts'/;

test('the deep run repeats each file that asks how much to do, and no other', () => {
  const files = readdirSync(packageFile('test'), { recursive: true, encoding: 'utf8' });
  const asking = files.filter(
    (file) =>
      file.endsWith('.test.ts') &&
      !file.endsWith('.deep.test.ts') &&
      !file.startsWith('unit') &&
      asks.test(readFileSync(packageFile('test', file), 'utf8')),
  );
  expect([...deeper].sort()).toEqual(asking.map((file) => file.replace('.test.ts', '')).sort());
});
