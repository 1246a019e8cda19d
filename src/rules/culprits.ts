// Finds which of many things make an attempt fail, by halves.

/** Attempts are dear: once this many were made, a part that fails is not divided any more. */
export const mostAttempts = 400;

/**
 * Finds what has to be left out for an attempt to succeed. `fails` makes an attempt with some units alone and answers why
 * it failed, or undefined; it may throw, and that ends the search. `lists` hold all units; one list is tried at once, so that
 * a list of suspects keeps the others from being divided. All of them together are known to fail. Undefined: an attempt
 * without any unit fails too, so that the units are not to blame.
 */
export async function findCulprits<Fault>(
  lists: readonly (readonly string[])[],
  fails: (units: readonly string[]) => Promise<Fault | undefined>,
  most = mostAttempts,
): Promise<Map<string, Fault> | undefined> {
  const culprits = new Map<string, Fault>();
  let attempts = 0;
  const attempt = (units: readonly string[]) => {
    attempts += 1;
    return fails(units);
  };
  const left = (units: readonly string[]) => units.filter((unit) => !culprits.has(unit));

  // With `beside`, which does not fail: nothing at first.
  const search = async (units: readonly string[], beside: readonly string[] | null): Promise<void> => {
    if (units.length === 0) return;
    const fault = await attempt(beside === null ? units : [...beside, ...units]);
    if (fault === undefined) return;
    if (units.length === 1 || attempts >= most) {
      for (const unit of units) culprits.set(unit, fault);
      return;
    }
    const middle = Math.ceil(units.length / 2);
    const first = units.slice(0, middle);
    await search(first, beside);
    await search(units.slice(middle), beside === null ? null : [...beside, ...left(first)]);
  };

  if ((await attempt([])) !== undefined) return undefined;
  for (const list of lists) await search(list, null);
  // A unit that fails only together with others is found beside them.
  await search(left(lists.flat()), []);
  return culprits;
}
