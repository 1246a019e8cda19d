// The answers of the bench's Graph, made before the first request: the pages of delta rounds.
import { type Directory, groupOf, guidOf, type Member, memberOf, membersOf, userOf } from './directory.ts';

export type Stream = 'users' | 'groups';

/** Graph's limits: users per delta page, members per page of groups (src/simulator/options.ts). */
export const pageSize = 200;
export const memberSlice = 500;

/** The pages of one round of a stream, as sent. */
export type RoundPages = readonly Buffer[];

/** Cuts the objects of a round into pages that link to each other. `round` is the round's number. */
export function makeRound(
  origin: string,
  stream: Stream,
  round: number,
  pages: readonly (readonly string[])[],
): RoundPages {
  const link = (name: string, token: string) => JSON.stringify(`${origin}/v1.0/${stream}/delta?$${name}token=${token}`);
  const all = pages.length > 0 ? pages : [[]];
  return all.map((objects, number) => {
    const end =
      number + 1 < all.length
        ? `"@odata.nextLink":${link('skip', `bench-${round}-${number + 1}`)}`
        : `"@odata.deltaLink":${link('delta', `bench-${round + 1}`)}`;
    return Buffer.from(`{"@odata.context":"${origin}/v1.0/$metadata#${stream}",${end},"value":[${objects.join(',')}]}`);
  });
}

export function userPages(objects: readonly string[]): string[][] {
  return cut(objects, pageSize);
}

/** Returns all users of a directory as a full round shows them. */
export function firstUsers(directory: Directory): string[] {
  return directory.userIds.map((_, number) => JSON.stringify(userOf(directory, number)));
}

/** A round that repeats every group repeats this many groups together. */
const repeatedTogether = 50;

/**
 * Returns all groups with their members in slices, at most Graph's number of members per page. `times` repeats every
 * slice.
 */
export function firstGroups(directory: Directory, times = 1): string[][] {
  const pages: string[][] = [];
  let page: string[] = [];
  let told = 0;
  const turn = () => {
    if (page.length > 0) pages.push(page);
    page = [];
    told = 0;
  };
  const { groups } = directory.size;
  for (let from = 0; from < groups; from += repeatedTogether) {
    for (let time = 0; time < times; time += 1) {
      for (let number = from; number < Math.min(groups, from + repeatedTogether); number += 1) {
        const shown = JSON.stringify(groupOf(directory, number)).slice(0, -1);
        for (const slice of slicesOf(membersOf(directory, number))) {
          if (told + slice.length > memberSlice || page.length >= pageSize) turn();
          page.push(slice.length > 0 ? `${shown},"members@delta":${JSON.stringify(slice)}}` : `${shown}}`);
          told += slice.length;
        }
      }
    }
  }
  turn();
  return pages;
}

function slicesOf(members: readonly Member[]): readonly (readonly Member[])[] {
  return members.length > 0 ? cut(members, memberSlice) : [[]];
}

function cut<Item>(items: readonly Item[], size: number): Item[][] {
  const pieces: Item[][] = [];
  for (let from = 0; from < items.length; from += size) pieces.push(items.slice(from, from + size));
  return pieces;
}

/** The changes between two rounds, as parts of all users. */
export type Mix = { readonly created: number; readonly deleted: number; readonly changed: number };

/** Microsoft's planning mix. */
export const planningMix: Mix = { created: 0.01, deleted: 0.01, changed: 0.05 };

/** Returns the objects of a later round. Created users are added to the directory and join its first group. */
export function laterRound(directory: Directory, round: number, mix: Mix): { users: string[]; groups: string[][] } {
  const { userIds, size, seed } = directory;
  const count = (part: number) => Math.round(size.users * part);
  const users: string[] = [];
  // Rounds change different users each time, so that no deleted user appears again.
  const step = count(mix.deleted) + count(mix.changed);
  const from = ((round - 1) * step) % Math.max(1, size.users - step);
  for (let number = from; number < from + count(mix.deleted); number += 1)
    users.push(JSON.stringify({ id: userIds[number], '@removed': { reason: 'changed' } }));
  for (let number = from + count(mix.deleted); number < from + step; number += 1)
    users.push(JSON.stringify(userOf(directory, number, round)));
  const hired: string[] = [];
  for (let more = 0; more < count(mix.created); more += 1) {
    const number = userIds.length;
    const id = guidOf(seed, 'user', number);
    userIds.push(id);
    hired.push(id);
    users.push(JSON.stringify(userOf(directory, number, round)));
  }
  const groups = cut(hired.map(memberOf), memberSlice).map((slice) => [groupWith(directory, 0, slice)]);
  return { users, groups };
}

/** As many accounts join a group together in a round of changed memberships. */
const joinedTogether = 50;

/** Returns the groups of a round: half of `count` accounts leave the first group, as many join others. */
export function membershipRound(directory: Directory, round: number, count: number): string[][] {
  const { userIds, members, size } = directory;
  const half = count / 2;
  const leavers = [...(members[0] ?? [])].slice((round - 1) * half, round * half);
  const changes = leavers.map((user) => ({ ...memberOf(userIds[user]), '@removed': { reason: 'deleted' } }));
  const shown = cut(changes, memberSlice).map((slice) => groupWith(directory, 0, slice));
  for (let more = 0; more < half; more += joinedTogether) {
    const group = 1 + ((round * half + more) % (size.groups - 1));
    const there = new Set(members[group]);
    const others = userIds.filter((_, user) => !there.has(user)).slice(more, more + joinedTogether);
    shown.push(groupWith(directory, group, others.map(memberOf)));
  }
  return cut(shown, pageSize);
}

function groupWith(directory: Directory, group: number, changes: readonly Member[]): string {
  return JSON.stringify({ ...groupOf(directory, group), 'members@delta': changes });
}
