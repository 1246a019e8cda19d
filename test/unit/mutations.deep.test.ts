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

// Nothing of this run's environment, so that it is as in `npm test`.
const { PATH = '', HOME = '' } = process.env;
const env = { PATH, HOME };

test('each patch has tests that npm test runs', async () => {
  const files = [...new Set(mutations.flatMap(({ tests }) => tests))];
  const listed = await new Promise<string>((resolve) => {
    const words = ['vitest', 'list', ...files, '--project=!deep', '--json'];
    execFile('npx', words, { env, maxBuffer: 2 ** 26 }, (_, stdout) => resolve(stdout));
  });
  const all: { name: string; file: string }[] = JSON.parse(listed.slice(listed.indexOf('[')));
  for (const { name, tests, titles = '' } of mutations) {
    const titled = new RegExp(titles);
    const own = all.filter(({ file }) => tests.some((one) => file.endsWith(one)));
    expect(
      own.filter((one) => titled.test(one.name.replaceAll(' > ', ' '))),
      name,
    ).not.toEqual([]);
  }
});

/** Returns the runner's output. */
function judge(name: string): Promise<{ stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [runner, '--no-baseline', '--json', name], { env }, (_, stdout, stderr) =>
      resolve({ stdout, stderr }),
    );
  });
}

test.each(drawn.flatMap((one) => one ?? []))('rules $rules: $name is caught', async ({ name }) => {
  const { stdout, stderr } = await judge(name);
  expect(JSON.parse(stdout), stderr).toMatchObject([{ name, verdict: 'caught' }]);
});
