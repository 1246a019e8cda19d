// Finds by halves which of many units make an attempt fail.

/** Attempts are expensive. After this many, a failing part is no longer divided. */
export const maxAttempts = 400;

/**
 * Finds the units to leave out so that an attempt succeeds. `fails` tries some units and returns the fault, or
 * undefined. `lists` hold all units, which fail together; each list is tried whole first, so suspects in a list of
 * their own save attempts. Returns undefined if an attempt without units fails as well.
 */
export async function findCulprits<Fault>(
  lists: readonly (readonly string[])[],
  fails: (units: readonly string[]) => Promise<Fault | undefined>,
  most = maxAttempts,
): Promise<Map<string, Fault> | undefined> {
  const culprits = new Map<string, Fault>();
  let attempts = 0;
  const attempt = (units: readonly string[]) => {
    attempts += 1;
    return fails(units);
  };
  const left = (units: readonly string[]) => units.filter((unit) => !culprits.has(unit));

  // Tries `units` together with `passing` units, which do not fail; null: alone.
  const search = async (units: readonly string[], passing: readonly string[] | null): Promise<void> => {
    if (units.length === 0) return;
    const fault = await attempt(passing === null ? units : [...passing, ...units]);
    if (fault === undefined) return;
    if (units.length === 1 || attempts >= most) {
      for (const unit of units) culprits.set(unit, fault);
      return;
    }
    const middle = Math.ceil(units.length / 2);
    const first = units.slice(0, middle);
    await search(first, passing);
    await search(units.slice(middle), passing === null ? null : [...passing, ...left(first)]);
  };

  if ((await attempt([])) !== undefined) return undefined;
  for (const list of lists) await search(list, null);
  // Finds units that fail only together with others.
  await search(left(lists.flat()), []);
  return culprits;
}
