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
  'closure',
  'convergence',
  'crash-sweep',
  'fault-matrix',
  'first-load-convergence',
  'glitches',
  'groups-convergence',
  'kills',
  'nothing-sticks',
  'ownership',
  'passed-on',
  'scope',
  'simulator-convergence',
  'writer-pairs',
];
