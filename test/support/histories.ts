// How random histories are drawn: the same ones every time in CI, so that a landing never hangs on luck; new ones elsewhere.
const seed = process.env.SEED ?? (process.env.CI ? '20261123' : undefined);

/**
 * Parameters for fast-check. SEED and PATH_OF, as a failure prints them, run one counterexample again; RUNS (read by the
 * tests) sets how many histories there are.
 */
export const drawn: { seed?: number; path?: string } = {
  ...(seed !== undefined && { seed: Number(seed) }),
  ...(process.env.PATH_OF && { path: process.env.PATH_OF }),
};
