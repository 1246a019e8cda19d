import { join } from 'node:path';
import { configDefaults, defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { findChromium } from './test/support/chromium.ts';
import { deeper, isDeep } from './test/support/deep.ts';

// Without a Chromium there are no such tests; CI names one in CHROMIUM, and then it has to be there.
const browser = findChromium() === undefined ? [] : ['browser'];
const isThere = (name: string) => browser.length > 0 || !name.startsWith('browser/');

// Without the times of an earlier run the largest files go first, and these are small: the last one would run alone.
const long = [
  'database/assigned-histories',
  'database/left-out-histories',
  'photos/many.deep',
  'webhooks/fleet.deep',
  'unit/mutations.deep',
  'deploy/image.deep',
  'faults/fault-matrix',
  'faults/crash-sweep.deep',
  'worker/replicas.deep',
  'cli/secrets.deep',
  'cli/stop',
  'database/embedded',
  'rules/convergence',
  'worker/turns',
  'cli/accounts',
  'rules/held',
];
const place = ({ moduleId }: TestSpecification) => {
  const found = long.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
  return found < 0 ? long.length : found;
};

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((one, other) => place(one) - place(other));
  }
}

// A file begins with what the one before it has loaded, and with its databases (test/support/borrowed.ts).
const every = {
  isolate: false,
  // Some tests start the program itself, hundreds of times: a third of that is translating the same sources again.
  env: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules', '.cache', 'compiled') },
};
// A limit ends what hangs. It measures nothing: a busy machine is several times slower than an idle one.
const limits = (hangsAfterMs: number) => ({ testTimeout: hangsAfterMs, hookTimeout: hangsAfterMs });

// What the deep run alone has.
const deepFiles = 'test/**/*.deep.test.ts';
const quick = { exclude: [...configDefaults.exclude, deepFiles] };

const withPostgres = { ...every, globalSetup: ['test/support/postgres-setup.ts'] };

export default defineConfig({
  test: {
    // By default a machine with two cores gets one worker, and most tests wait for Postgres or a socket.
    maxWorkers: 4,
    sequence: { sequencer: LongFirst },
    projects: [
      { test: { ...every, ...quick, name: 'unit', include: ['test/unit/**/*.test.ts'], ...limits(120_000) } },
      // One project: the workers of each begin with nothing loaded.
      {
        test: {
          ...withPostgres,
          ...quick,
          name: 'system',
          include: ['database', 'system', ...browser].map((room) => `test/${room}/**/*.test.ts`),
          ...limits(300_000),
        },
      },
      {
        test: {
          ...withPostgres,
          name: 'deep',
          include: [deepFiles, ...(isDeep ? deeper.filter(isThere).map((name) => `test/${name}.test.ts`) : [])],
          ...limits(1_200_000),
        },
      },
    ],
  },
});
