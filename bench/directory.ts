// The simulated data of the bench: users, groups and memberships from a seed, and their JSON as Graph shows it.
// Each object is a function of seed and number, so that the server can make any page without keeping the objects.
import { createHash } from 'node:crypto';

export type Size = { readonly users: number; readonly groups: number; readonly memberships: number };

export const small: Size = { users: 20_000, groups: 1_000, memberships: 200_000 };
export const large: Size = { users: 100_000, groups: 10_000, memberships: 1_000_000 };

/** Returns the sizes of the growth case: one group per 20 users, ten memberships per user. */
export function sizeOf(users: number): Size {
  return { users, groups: Math.round(users / 20), memberships: users * 10 };
}

export type Directory = {
  readonly seed: number;
  readonly size: Size;
  /** Object ids by number; the users' grow when a round creates users. */
  readonly userIds: string[];
  readonly groupIds: readonly string[];
  /** The numbers of each group's users. */
  readonly members: readonly Uint32Array[];
  /** Group -> the group that it contains besides its users, by number. */
  readonly nested: ReadonlyMap<number, number>;
};

/** Returns a version 4 GUID for a kind of object and its number. */
export function guidOf(seed: number, kind: string, number: number): string {
  const hex = createHash('md5').update(`${seed} ${kind} ${number}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
}

/**
 * Makes a directory. The first group has a tenth of all memberships, at most all users; the others share the rest
 * unevenly. One in twenty contains another group.
 */
export function makeDirectory(seed: number, size: Size): Directory {
  const { users, groups, memberships } = size;
  const userIds = Array.from({ length: users }, (_, number) => guidOf(seed, 'user', number));
  const groupIds = Array.from({ length: groups }, (_, number) => guidOf(seed, 'group', number));
  const largest = Math.min(users, Math.round(memberships / 10));
  const shares = Array.from({ length: groups - 1 }, (_, number) => 1 + (number % 10) ** 2);
  const total = shares.reduce((sum, share) => sum + share, 0);
  let left = memberships - largest;
  const sizes = shares.map((share, number) => {
    const wanted = number === shares.length - 1 ? left : Math.round(((memberships - largest) * share) / total);
    const given = Math.min(users, wanted, left);
    left -= given;
    return given;
  });
  const members = [largest, ...sizes].map((count, group) => {
    // A stride that shares no factor with the number of users visits each user at most once.
    const stride = coprime(1 + ((group * 7_919) % Math.max(1, users - 1)), users);
    return Uint32Array.from({ length: count }, (_, position) => (group * 104_729 + position * stride) % users);
  });
  const nested = new Map<number, number>();
  for (let group = 20; group < groups; group += 20) nested.set(group, group - 7);
  return { seed, size, userIds, groupIds, members, nested };
}

function coprime(wanted: number, to: number): number {
  let stride = wanted;
  while (divisor(stride, to) !== 1) stride += 1;
  return stride;
}

function divisor(one: number, other: number): number {
  return other === 0 ? one : divisor(other, one % other);
}

const given = ['Jürgen', 'Céline', 'Zoë', 'Beat', 'Anaïs', 'Łukasz', 'María', 'João', 'Siobhán', 'Γιώργος', 'Hannah'];
const surnames = [
  'Müller',
  'Käppeli',
  'Lefèvre',
  'Nguyễn',
  'Schmidt-Lütz',
  'García',
  'Gonçalves',
  'Weiß',
  'Brönnimann',
];
const titles = [
  'Staff Engineer (Platform)',
  'Account Manager',
  'Sachbearbeiterin Einkauf',
  'Head of Talent',
  'Solicitor',
];
const departments = ['Engineering', 'Sales', 'Finance & Controlling', 'People', 'Legal', 'Operations', 'Board'];
const cities = [
  ['Zürich', 'ZH', '8001', 'Schweiz', 'Löwenstrasse'],
  ['München', 'Bayern', '80331', 'Germany', 'Sendlinger Straße'],
  ['Lyon', 'Auvergne-Rhône-Alpes', '69002', 'France', 'Rue de la République'],
  ['Boise', 'Idaho', '83702', 'United States', 'West Bannock Street'],
] as const;

const pick = <Item>(list: readonly Item[], number: number): Item => list[number % list.length] as Item;

/** Returns a user's selected properties that have a value. Another `edition` has another title and phone number. */
export function userOf(directory: Directory, number: number, edition = 0): Record<string, unknown> {
  const [city, state, postalCode, country, street] = pick(cities, number >> 2);
  const first = pick(given, number);
  const last = pick(surnames, (number / given.length) | 0);
  const name = `p${number}.${directory.seed}@contoso.example`;
  return {
    userPrincipalName: name,
    mail: name,
    displayName: `${first} ${last}`,
    accountEnabled: number % 25 !== 7,
    userType: 'Member',
    businessPhones: number % 7 === 3 ? [] : [`+41 44 ${100 + (number % 900)} ${10 + (number % 90)} 00`],
    city,
    companyName: 'Contoso',
    country,
    department: pick(departments, number + edition),
    ...(number % 5 === 0 && { faxNumber: `+41 44 ${100 + (number % 900)} 00 01` }),
    givenName: first,
    jobTitle: pick(titles, (number >> 1) + edition),
    ...(number % 5 < 3 && { mobilePhone: `+41 79 ${100 + ((number + edition) % 900)} ${10 + (number % 90)} 11` }),
    officeLocation: `ZRH ${1 + (number % 9)}.${10 + (number % 50)}`,
    postalCode,
    state,
    streetAddress: `${street} ${1 + (number % 180)}`,
    surname: last,
    id: directory.userIds[number],
  };
}

/** Returns a group's selected properties that have a value. */
export function groupOf(directory: Directory, number: number): Record<string, unknown> {
  const unified = number % 3 === 1;
  return {
    displayName: number === 0 ? 'All of Contoso' : `${pick(departments, number)} ${pick(given, number >> 3)} ${number}`,
    description: `Everyone in ${pick(departments, number)}`,
    ...(unified && { mail: `g${number}@contoso.example`, visibility: 'Private' }),
    mailEnabled: unified,
    mailNickname: `g${number}`,
    securityEnabled: !unified,
    groupTypes: unified ? ['Unified'] : [],
    id: directory.groupIds[number],
  };
}

export type Member = { readonly '@odata.type': string; readonly id: string | undefined };

/** Returns a user in the form of members@delta. */
export function memberOf(id: string | undefined): Member {
  return { '@odata.type': '#microsoft.graph.user', id };
}

/** Returns the members of a group in the form of members@delta. */
export function membersOf({ members, userIds, groupIds, nested }: Directory, group: number): Member[] {
  const people = Array.from(members[group] ?? [], (number) => memberOf(userIds[number]));
  const inner = nested.get(group);
  return inner === undefined ? people : [...people, { '@odata.type': '#microsoft.graph.group', id: groupIds[inner] }];
}
