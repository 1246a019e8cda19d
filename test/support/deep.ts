// The depth of a test run: `npm test` guards every rule once with few random cases; `npm run test:deep` (DEEP=1) runs the
// files below with many, and the files that only it runs (*.deep.test.ts).

export const isDeep = process.env.DEEP === '1';

/** Returns the number of random histories: RUNS if set, else `many` in the deep run, `few` otherwise. */
export function runsOf(few: number, many: number): number {
  return Number(process.env.RUNS ?? (isDeep ? many : few));
}

/** The test files that draw or sweep more in the deep run. */
export const deeper = [
  'database/closure',
  'database/passed-on',
  'database/writer-pairs',
  'system/faults/crash-sweep',
  'system/faults/fault-matrix',
  'system/faults/glitches',
  'system/faults/kills',
  'system/faults/nothing-sticks',
  'system/first-load/convergence',
  'system/groups/convergence',
  'system/rules/convergence',
  'system/rules/ownership',
  'system/rules/scope',
  'system/simulator/convergence',
];
