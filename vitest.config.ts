import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { findChromium } from './test/support/chromium.ts';

// Without a Chromium there is no such project; CI names one in CHROMIUM, and then it has to be there.
const browser = findChromium() === undefined ? [] : ['browser'];

const withPostgres = { globalSetup: ['test/support/postgres-setup.ts'], hookTimeout: 60_000 };

export default defineConfig({
  test: {
    // By default a machine with two cores gets one worker, and most tests wait for Postgres or a socket.
    maxWorkers: 3,
    // Some tests start the program itself, hundreds of times: a third of that is translating the same sources again.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules', '.cache', 'compiled') },
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 20_000 } },
      { test: { name: 'database', include: ['test/database/**/*.test.ts'], ...withPostgres, testTimeout: 60_000 } },
      ...browser.map((name) => ({
        test: { name, include: ['test/browser/**/*.test.ts'], ...withPostgres, testTimeout: 120_000 },
      })),
      { test: { name: 'system', include: ['test/system/**/*.test.ts'], ...withPostgres, testTimeout: 120_000 } },
    ],
  },
});
