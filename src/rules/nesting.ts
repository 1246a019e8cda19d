// Finds the groups that hold a group at any depth, loops included. The cost of a recursive query would depend on the
// planner's statistics, which a table may lack.

/** A group and a group that it holds directly. */
export type Edge = { readonly parent: number; readonly child: number };

/**
 * Returns the holders of each of `groups`: itself and every group that leads to it over `edges`, which all end at one
 * of `groups`. `outside` has the holders of other parents, each itself included. Groups of one loop share a list.
 */
export function holdersOf(
  groups: readonly number[],
  edges: readonly Edge[],
  outside: ReadonlyMap<number, readonly number[]> = new Map(),
): Map<number, readonly number[]> {
  const parents = new Map<number, number[]>(groups.map((group) => [group, []]));
  for (const { parent, child } of edges) parents.get(child)?.push(parent);
  const holders = new Map<number, readonly number[]>(outside);
  for (const circle of circlesOf(parents)) {
    const met = new Set(circle);
    for (const group of circle)
      for (const parent of parents.get(group) ?? [])
        if (!met.has(parent)) for (const holder of holders.get(parent) ?? []) met.add(holder);
    const list = [...met];
    for (const group of circle) holders.set(group, list);
  }
  for (const group of outside.keys()) holders.delete(group);
  return holders;
}

type Visit = { readonly group: number; next: number };

/**
 * Yields the loops of groups, mostly single groups, each after its holders: Tarjan's strongly connected components,
 * with an explicit stack, since a chain of groups may be longer than the call stack.
 */
function* circlesOf(parents: ReadonlyMap<number, readonly number[]>): Generator<number[]> {
  const numbers = new Map<number, number>();
  const lowest = new Map<number, number>();
  const open: number[] = [];
  const isOpen = new Set<number>();
  const enter = (group: number): Visit => {
    lowest.set(group, numbers.size);
    numbers.set(group, numbers.size);
    open.push(group);
    isOpen.add(group);
    return { group, next: 0 };
  };
  const lower = (group: number, to: number) => lowest.set(group, Math.min(lowest.get(group) ?? to, to));
  for (const start of parents.keys()) {
    if (numbers.has(start)) continue;
    const path = [enter(start)];
    for (let visit = path.at(-1); visit; visit = path.at(-1)) {
      const { group } = visit;
      const parent = parents.get(group)?.[visit.next];
      visit.next += 1;
      if (parent !== undefined) {
        const number = numbers.get(parent);
        if (number === undefined && parents.has(parent)) path.push(enter(parent));
        else if (number !== undefined && isOpen.has(parent)) lower(group, number);
        continue;
      }
      path.pop();
      const low = lowest.get(group) ?? 0;
      const below = path.at(-1);
      if (below) lower(below.group, low);
      if (low === numbers.get(group)) {
        const circle = open.splice(open.lastIndexOf(group));
        for (const one of circle) isOpen.delete(one);
        yield circle;
      }
    }
  }
}
