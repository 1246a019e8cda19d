// Fills a new tenant with its first users, groups and memberships.
import { addMember, createGroup, removeMember } from './group-edits.ts';
import { type GroupKind, makeDynamic, makeGroup } from './group-names.ts';
import type { Random } from './random.ts';
import { liveOf, type Truth } from './truth.ts';
import { createUser, deleteUser, purgeUser } from './user-edits.ts';

/** Makes the users; of the deleted ones, one in ten more is gone for good already. */
export function populateUsers(truth: Truth, options: { users: number; deletedUsers: number }): void {
  const purged = Math.ceil(options.deletedUsers / 10);
  const made: string[] = [];
  for (let number = 0; number < options.users + options.deletedUsers + purged; number += 1) {
    made.push(createUser(truth).id);
  }
  for (const id of made.slice(options.users, options.users + options.deletedUsers)) {
    deleteUser(truth, id);
  }
  for (const id of made.slice(options.users + options.deletedUsers)) {
    purgeUser(truth, id);
  }
}

const kinds: readonly GroupKind[] = [
  'security',
  'microsoft365',
  'security',
  'distribution',
  'microsoft365',
  'mailEnabledSecurity',
  'security',
];

/** So many different elements of a list, cheap for few of many. */
function sample(random: Random, list: readonly string[], count: number): Set<string> {
  const picked = new Set<string>();
  if (count >= list.length) {
    return new Set(list);
  }
  while (picked.size < count) {
    picked.add(random.pick(list));
  }
  return picked;
}

/**
 * Makes the groups: the first is dynamic and the largest; of the others most hold a handful of people, some are empty,
 * some hold groups (the second and third each other, a cycle), some hold devices.
 */
export function populateGroups(truth: Truth, options: { groups: number; largestGroup: number }): void {
  const { random } = truth;
  const people = liveOf(truth.users).map((user) => user.id);
  const ids: string[] = [];
  for (let number = 0; number < options.groups; number += 1) {
    const kind = kinds[number % kinds.length] ?? 'security';
    const name = number === 0 ? `All of ${truth.name}` : undefined;
    const properties = makeGroup(truth, kind, name);
    // A single group stays one that can be joined by hand.
    const isDynamic = (number === 0 && options.groups > 1) || number % 11 === 8;
    const rule = number === 0 ? 'user.userType -eq "Member"' : '(user.department -eq "Sales")';
    ids.push(createGroup(truth, isDynamic ? makeDynamic(properties, rule) : properties).id);
  }
  const [largest] = ids;
  if (largest === undefined) {
    return;
  }
  for (const person of people.slice(0, options.largestGroup)) {
    addMember(truth, largest, person);
  }
  for (const [number, id] of ids.entries()) {
    if (number === 0 || number % 9 === 5) {
      continue;
    }
    const size = Math.min(people.length, 1 + Math.floor(2 ** (random.next() * 6.5)));
    for (const person of sample(random, people, size)) {
      addMember(truth, id, person);
    }
    if (number % 7 === 3) {
      addMember(truth, id, random.guid(), '#microsoft.graph.device');
    }
    if (number % 13 === 4) {
      addMember(truth, id, random.guid(), '#microsoft.graph.servicePrincipal');
    }
    const former = [...(truth.groups.records.get(id)?.links.keys() ?? [])][0];
    if (number % 10 === 6 && former !== undefined) {
      removeMember(truth, id, former);
    }
  }
  nest(truth, ids);
}

function nest(truth: Truth, ids: readonly string[]): void {
  const [, second, third] = ids;
  if (second !== undefined && third !== undefined) {
    addMember(truth, second, third);
    addMember(truth, third, second);
  }
  for (let number = 4; number < ids.length; number += 4) {
    const [outer, inner] = [ids[number], ids[number - 1]];
    if (outer !== undefined && inner !== undefined) {
      addMember(truth, outer, inner);
    }
  }
}
