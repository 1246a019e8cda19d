// Six mutation patches, others each day: the tests that each names still catch it, run as in `npm test`.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readMutations } from '../mutations/patches.ts';

const perDay = 6;
const mutations = readMutations();
const today = Math.floor(Date.now() / 86_400_000);
const drawn = Array.from({ length: perDay }, (_, n) => mutations[(today * perDay + n) % mutations.length]);
const runner = join(import.meta.dirname, '..', 'mutations', 'run.ts');

/** Returns the runner's output. It runs tests as `npm test` does, so it gets nothing of this run's environment. */
function judge(name: string): Promise<{ stdout: string; stderr: string }> {
  const { PATH = '', HOME = '' } = process.env;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [runner, '--no-baseline', '--json', name],
      { env: { PATH, HOME } },
      (_, stdout, stderr) => resolve({ stdout, stderr }),
    );
  });
}

test.each(drawn.flatMap((one) => one ?? []))(
  'rules $rules: $name is caught',
  async ({ name }) => {
    const { stdout, stderr } = await judge(name);
    expect(JSON.parse(stdout), stderr).toMatchObject([{ name, verdict: 'caught' }]);
  },
  600_000,
);
