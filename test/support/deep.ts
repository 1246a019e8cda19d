// The depth of a test run: `npm test` guards every rule once with few random cases; `npm run test:deep` (DEEP=1) runs the
// files below with many, and the files that only it runs (*.deep.test.ts).

export const isDeep = process.env.DEEP === '1';

/** Whether to run what takes hours: `SWEEP=all`, by hand. */
export const isSweep = process.env.SWEEP === 'all';

/** Returns the number of random histories: RUNS if set, else `many` in the deep run, `few` otherwise. */
export function runsOf(few: number, many: number): number {
  return Number(process.env.RUNS ?? (isDeep ? many : few));
}

/** The rows of a table of cases: all in the deep run, in `npm test` the `few` that stand for them. */
export function rowsOf<Row>(all: readonly Row[], few: (row: Row, index: number) => boolean): readonly Row[] {
  return isDeep ? all : all.filter(few);
}

/** The test files that draw or sweep more in the deep run. */
export const deeper = [
  'browser/consent',
  'browser/console',
  'browser/portal',
  'browser/sign-in',
  'browser/team',
  'database/assigned-histories',
  'database/closure',
  'database/effective-memberships',
  'database/embedded',
  'database/feed',
  'database/find',
  'database/left-out-histories',
  'database/limits',
  'database/lock-waits',
  'database/lost-commit',
  'database/migrations',
  'database/passed-on',
  'database/templates',
  'database/undo-edits',
  'database/web-limits',
  'database/web-routes',
  'database/words-due',
  'database/writer-pairs',
  'system/banner-board',
  'system/cli/accounts',
  'system/cli/bad-days',
  'system/cli/demo-web',
  'system/cli/doctor',
  'system/cli/edits-back',
  'system/cli/good-days',
  'system/cli/interrupt',
  'system/cli/photos',
  'system/cli/process-signals',
  'system/cli/restore',
  'system/cli/simulate',
  'system/cli/stop',
  'system/cli/tracing',
  'system/cli/verify',
  'system/cli/web',
  'system/consent/refusals',
  'system/consent/waiting',
  'system/faults/chaos',
  'system/faults/data-faults',
  'system/faults/fault-matrix',
  'system/faults/glitches',
  'system/faults/stuck-links',
  'system/first-customer',
  'system/first-load/convergence',
  'system/first-load/good-days',
  'system/groups/convergence',
  'system/groups/doubts',
  'system/groups/left-out',
  'system/groups/undo',
  'system/network/credentials',
  'system/network/hosts',
  'system/network/proxy',
  'system/pages',
  'system/photos/reading',
  'system/rules/adoption',
  'system/rules/conditions',
  'system/rules/convergence',
  'system/rules/held',
  'system/rules/idle',
  'system/rules/ownership',
  'system/rules/scope',
  'system/rules/set-aside',
  'system/simulator/convergence',
  'system/simulator/tenant',
  'system/web/portal',
  'system/web/portal-contract',
  'system/webhooks/sending',
  'system/webhooks/verbs',
  'system/worker/operations',
  'system/worker/requests',
  'system/worker/turns',
  'system/worker/worker',
  'system/worker/workers-seen',
];
