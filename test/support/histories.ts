// The seed of random histories: fixed in CI, so that a merge never depends on luck; random elsewhere.
const seed = process.env.SEED ?? (process.env.CI ? '20261123' : undefined);

/**
 * Parameters for fast-check. SEED and PATH_OF, as a failure prints them, run one counterexample again; RUNS (read by
 * runsOf) sets the number of histories.
 */
export const drawn: { seed?: number; path?: string } = {
  ...(seed !== undefined && { seed: Number(seed) }),
  ...(process.env.PATH_OF && { path: process.env.PATH_OF }),
};
