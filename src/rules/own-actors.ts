// The names under which entra-sync itself acts, in change rows and the audit.

/** None of them is a person's: they stay where an account of such a name is purged. */
export const ownActors = { worker: 'worker', retention: 'retention', photos: 'photos', connect: 'connect' } as const;

const own = new Set<string>(Object.values(ownActors));

/** Tells whether an actor of this name, in any case, is entra-sync itself. */
export function isOwnActor(name: string): boolean {
  return own.has(name.toLowerCase());
}
