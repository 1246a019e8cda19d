import { defineConfig } from 'vitest/config';

const withPostgres = { globalSetup: ['test/support/postgres-setup.ts'], hookTimeout: 60_000 };

export default defineConfig({
  test: {
    // By default a machine with two cores gets one worker, and most tests wait for Postgres or a socket.
    maxWorkers: 3,
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      { test: { name: 'database', include: ['test/database/**/*.test.ts'], ...withPostgres, testTimeout: 60_000 } },
      { test: { name: 'system', include: ['test/system/**/*.test.ts'], ...withPostgres, testTimeout: 120_000 } },
    ],
  },
});
