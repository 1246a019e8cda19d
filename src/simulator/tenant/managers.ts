// The managers of users: a user's manager is the id of another user, kept as a property that only links show.
import { createRandom } from './random.ts';
import { type Entity, liveOf, type Truth } from './truth.ts';

/** Returns the id of a user's manager, whatever became of the manager. */
export function managerOf({ properties }: Pick<Entity, 'properties'>): string | undefined {
  return typeof properties.manager === 'string' ? properties.manager : undefined;
}

/** Returns the id of the manager that a user had at a time. */
export function managerAt(entity: Entity, time: number): string | undefined {
  const former = entity.formerManagers.find(({ until }) => until > time);
  return former ? former.manager : managerOf(entity);
}

/** Returns the live users that a user manages, in order of creation. */
export function reportsOf(truth: Truth, id: string): Entity[] {
  return liveOf(truth.users).filter((user) => managerOf(user) === id);
}

/** Ends the links to a permanently deleted manager without a change entry, as memberships end. */
export function forgetManager(truth: Truth, id: string): void {
  for (const user of truth.users.order) {
    if (managerOf(user) !== id) continue;
    user.formerManagers.push({ until: truth.now + 1, manager: id });
    const { manager: _, ...rest } = user.properties;
    user.properties = rest;
  }
}

/** Gives most users of a new tenant a manager: each has up to eight reports, and some users have no manager. */
export function populateManagers(truth: Truth): void {
  // Its own numbers, so that the users and groups of a seed stay as they are.
  const random = createRandom(`managers ${truth.seed}`);
  const people = liveOf(truth.users);
  for (const [place, user] of people.entries()) {
    const manager = people[Math.floor((place - 1) / 8)];
    if (place === 0 || manager === undefined || random.chance(0.1)) continue;
    user.properties = { ...user.properties, manager: manager.id };
  }
}
