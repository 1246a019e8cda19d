// The holders of a group: compared with a brute-force search, and at sizes at which one search per group would not end.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Edge, holdersOf } from '../../src/rules/nesting.ts';

/** Returns each group with every group from which a search over the edges reaches it, in order. */
function walked(groups: readonly number[], edges: readonly Edge[]): Map<number, number[]> {
  const all = [...new Set([...groups, ...edges.flatMap(({ parent, child }) => [parent, child])])];
  const found = new Map<number, number[]>(groups.map((group) => [group, []]));
  for (const holder of all.sort((one, other) => one - other)) {
    const met = new Set([holder]);
    for (const one of met) for (const { parent, child } of edges) if (parent === one) met.add(child);
    for (const group of met) found.get(group)?.push(holder);
  }
  return found;
}

const sorted = (holders: ReadonlyMap<number, readonly number[]>) =>
  new Map([...holders].map(([group, list]) => [group, [...list].sort((one, other) => one - other)]));

const node = fc.nat(11);
const edge = fc.record({ parent: node, child: node });

test('rule 9: the holders of groups are those that a search finds, in loops, diamonds and groups that hold themselves', () => {
  fc.assert(
    fc.property(fc.array(edge, { maxLength: 30 }), (edges) => {
      const groups = Array.from({ length: 12 }, (_, n) => n);
      expect(sorted(holdersOf(groups, edges))).toEqual(walked(groups, edges));
    }),
  );
});

test('rule 9: for a part of the groups, the given holders of the groups above are used', () => {
  fc.assert(
    fc.property(fc.array(edge, { maxLength: 30 }), fc.array(node), (edges, seeds) => {
      const groups = Array.from({ length: 12 }, (_, n) => n);
      const all = walked(groups, edges);
      // A part always includes every group below it.
      const below = groups.filter((group) => seeds.some((seed) => all.get(group)?.includes(seed)));
      const into = edges.filter(({ child }) => below.includes(child));
      const above = new Map(groups.flatMap((one) => (below.includes(one) ? [] : [[one, all.get(one) ?? []] as const])));
      expect(sorted(holdersOf(below, into, above))).toEqual(new Map(below.map((one) => [one, all.get(one)])));
    }),
  );
});

const chain = (length: number): Edge[] => Array.from({ length: length - 1 }, (_, n) => ({ parent: n, child: n + 1 }));
const upTo = (length: number) => Array.from({ length }, (_, n) => n);

test('a loop of 50,000 groups shares one list', () => {
  const holders = holdersOf(upTo(50_000), [...chain(50_000), { parent: 49_999, child: 0 }]);
  expect(new Set(holders.values()).size).toBe(1);
  expect(holders.get(7)?.length).toBe(50_000);
});

test('a chain of 2,000 groups has two million pairs', () => {
  const holders = holdersOf(upTo(2_000), chain(2_000));
  expect([...holders.values()].reduce((sum, list) => sum + list.length, 0)).toBe((2_000 * 2_001) / 2);
  expect(holders.get(1_999)?.length).toBe(2_000);
});
