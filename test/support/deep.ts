// How much a run of the tests does: `npm test` guards every rule once and draws few cases; `npm run test:deep` (DEEP=1) runs the
// files below again with many, beside the files that only it runs (*.deep.test.ts).

/** Whether this is the deep run. */
export const isDeep = process.env.DEEP === '1';

/** How many histories are drawn: RUNS where it is set, else `few`, in the deep run `many`. */
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
