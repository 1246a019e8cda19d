// Glitches of a directory: Graph does not show some users and groups for a while, although they were not deleted.
// Each function returns the one that ends the glitch.
import { notFound } from './groups-world.ts';
import type { World } from './system.ts';

type Item = { id: string };

/** Pages of users/delta omit these users. */
export function leaveOutUsers({ simulator }: Pick<World, 'simulator'>, ids: Iterable<string>): () => void {
  return leaveOut(simulator, 'users', new Set(ids));
}

/** Pages of users/delta omit these users, and GET does not find them. */
export function hideUsers({ simulator }: Pick<World, 'simulator'>, ids: Iterable<string>): () => void {
  return hide(simulator, 'users', new Set(ids));
}

/** Pages of groups/delta omit these groups. */
export function leaveOutGroups({ simulator }: Pick<World, 'simulator'>, ids: Iterable<string>): () => void {
  return leaveOut(simulator, 'groups', new Set(ids));
}

/** Pages of groups/delta omit these groups, and GET does not find them. */
export function hideGroups({ simulator }: Pick<World, 'simulator'>, ids: Iterable<string>): () => void {
  return hide(simulator, 'groups', new Set(ids));
}

function leaveOut(simulator: World['simulator'], collection: string, hidden: ReadonlySet<string>): () => void {
  return simulator.transform(({ url }, body) => {
    const { value } = body as { value?: Item[] };
    if (!url.startsWith(`/v1.0/${collection}/delta`) || !value) return body;
    // Omits their tombstones too.
    return { ...body, value: value.filter((one) => !hidden.has(one.id)) };
  });
}

function hide(simulator: World['simulator'], collection: string, hidden: ReadonlySet<string>): () => void {
  const show = leaveOut(simulator, collection, hidden);
  const find = simulator.intercept(({ url }) => {
    const [, id] = new RegExp(`/${collection}/([0-9a-f-]{36})`).exec(url) ?? [];
    return id !== undefined && hidden.has(id) ? notFound : undefined;
  });
  return () => {
    show();
    find();
  };
}
