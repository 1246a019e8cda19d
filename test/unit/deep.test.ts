// The deep run (test/support/deep.ts) lists each file that draws or sweeps more in it.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { deeper } from '../support/deep.ts';

const folder = join(import.meta.dirname, '..');
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.test.ts'));

test('the deep run has exactly the tests that ask for its depth', () => {
  const asking = files.filter((file) => {
    const text = readFileSync(join(folder, file), 'utf8');
    return !file.endsWith('unit/deep.test.ts') && /support\/(deep|fault-matrix)\.ts'/.test(text);
  });
  expect(asking.map((file) => file.replace(/\.test\.ts$/, '')).sort()).toEqual([...deeper].sort());
});
