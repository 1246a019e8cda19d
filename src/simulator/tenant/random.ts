// Seeded random numbers: the same seed always gives the same tenant, whatever machine or Node version runs it.

export type Random = {
  /** A number in [0, 1). */
  next(): number;
  /** A whole number in [0, bound). */
  below(bound: number): number;
  /** True with the given probability (0..1). */
  chance(probability: number): boolean;
  /** One element of a list that is not empty. */
  pick<T>(list: readonly T[]): T;
  /** A version 4 GUID in lower case. */
  guid(): string;
};

function hashText(text: string): number {
  let hash = 2166136261;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 16777619);
  }
  return hash >>> 0;
}

/** A generator of random numbers that depends on nothing but its seed (a number, or any text). */
export function createRandom(seed: number | string): Random {
  let state = hashText(String(seed));

  function next32(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  const hex = (bits: number) => bits.toString(16).padStart(8, '0');

  const random: Random = {
    next: () => next32() / 4294967296,
    below: (bound) => Math.floor((next32() / 4294967296) * bound),
    chance: (probability) => next32() / 4294967296 < probability,
    pick(list) {
      const picked = list[random.below(list.length)];
      if (picked === undefined) {
        throw new Error('Cannot pick from an empty list.');
      }
      return picked;
    },
    guid() {
      const [a, b, c, d] = [hex(next32()), hex(next32()), hex(next32()), hex(next32())];
      const variant = ((Number.parseInt(c.slice(0, 1), 16) & 3) | 8).toString(16);
      return `${a}-${b.slice(0, 4)}-4${b.slice(5)}-${variant}${c.slice(1, 4)}-${c.slice(4)}${d}`;
    },
  };
  return random;
}

/** A new list with the same elements in random order. */
export function shuffled<T>(random: Random, list: readonly T[]): T[] {
  const keyed = list.map((value) => ({ value, key: random.next() }));
  keyed.sort((left, right) => left.key - right.key);
  return keyed.map((entry) => entry.value);
}
