// Checks the application roles of a token. entra-sync only reads, so it refuses a token that could write.
import { type Stream, streams } from './streams.ts';

/** Application permissions of Graph that only read. Any other in a token is refused, except those in `allowRoles`. */
const readRoles: ReadonlySet<string> = new Set([
  'User.Read.All',
  'User.ReadBasic.All',
  'Group.Read.All',
  'GroupMember.Read.All',
  'Directory.Read.All',
  'Organization.Read.All',
  'Member.Read.Hidden',
  'Device.Read.All',
  'OrgContact.Read.All',
  'Application.Read.All',
  'AdministrativeUnit.Read.All',
  'Domain.Read.All',
  'ProfilePhoto.Read.All',
  'User-Phone.Read.All',
  'User-Mail.Read.All',
]);

/**
 * Roles, each of which suffices for a stream (learn.microsoft.com/graph/api/user-delta and group-delta, "Permissions").
 */
const rolesFor = {
  users: ['User.Read.All', 'Directory.Read.All'],
  groups: ['GroupMember.Read.All', 'Group.Read.All', 'Directory.Read.All'],
} as const satisfies Record<Stream, readonly string[]>;

/** Returns the roles one of which a stream needs, or undefined if it can be read. */
export function missingRoles(roles: readonly string[], stream: Stream): readonly string[] | undefined {
  return rolesFor[stream].some((role) => roles.includes(role)) ? undefined : rolesFor[stream];
}

/** Roles, each of which suffices for photos (learn.microsoft.com/graph/api/profilephoto-get, "Permissions"). */
const photoRoles: readonly string[] = ['User.Read.All', 'ProfilePhoto.Read.All'];

/** Returns the roles one of which photos need, or undefined if they can be read. `Directory.Read.All` is not enough. */
export function missingPhotoRoles(roles: readonly string[]): readonly string[] | undefined {
  return photoRoles.some((role) => roles.includes(role)) ? undefined : photoRoles;
}

export type RoleVerdict =
  | { kind: 'ok' }
  | { kind: 'none' }
  | { kind: 'refused'; roles: string[] }
  | { kind: 'missing'; oneOf: readonly string[] };

/**
 * Judges the `roles` claim of a token. It is empty before consent (v2-oauth2-client-creds-grant-flow, "Controlling
 * tokens without the roles claim").
 */
export function judgeRoles(roles: readonly string[], allowed: readonly string[]): RoleVerdict {
  const refused = roles.filter((role) => !readRoles.has(role) && !allowed.includes(role));
  if (refused.length > 0) return { kind: 'refused', roles: refused };
  if (roles.length === 0) return { kind: 'none' };
  const oneOf = missingRoles(roles, 'users');
  return oneOf ? { kind: 'missing', oneOf } : { kind: 'ok' };
}

/** Returns the least role for each stream that cannot be read with these roles, to ask the customer for. */
export function rolesToAskFor(roles: readonly string[]): string[] {
  return streams.flatMap((stream) => missingRoles(roles, stream)?.slice(0, 1) ?? []);
}

const mostKept = 40;

/**
 * Returns the roles of a token that are worth keeping: at most forty, each like the name of a permission of Graph. Those
 * that decide about reading come first.
 */
export function keptRoles(roles: readonly string[]): string[] {
  const alike = [...new Set(roles)].filter(
    (role) => role.length <= 80 && /^[A-Za-z][\w-]*(\.[A-Za-z][\w-]*)+$/.test(role),
  );
  const known = alike.filter((role) => readRoles.has(role)).sort();
  const others = alike.filter((role) => !readRoles.has(role)).sort();
  return [...known, ...others].slice(0, mostKept);
}

/** The purpose of a permission. Without those of `hidden` and `deleted` nothing fails: these are read where one is granted. */
export type Use = Stream | 'photos' | 'hidden' | 'deleted';

export type JudgedRole = {
  readonly role: string;
  /** `beyond`: only reads, and nothing here needs it. `refused`: could do more than read, so no token with it is used. */
  readonly state: 'granted' | 'missing' | 'beyond' | 'allowed' | 'refused';
  readonly uses: readonly Use[];
  /** The roles of which one would do, for a missing one. */
  readonly oneOf: readonly string[];
};

const helpful: Readonly<Record<string, Use>> = { 'Member.Read.Hidden': 'hidden', 'Group.Read.All': 'deleted' };

/** Judges the roles of a token one by one, the missing ones first. `allowed`: the setting `allowRoles`. */
export function judgeEachRole(
  roles: readonly string[],
  { photos, allowed }: { photos: boolean; allowed: readonly string[] },
): JudgedRole[] {
  const needs: readonly (readonly [Use, readonly string[]])[] = [
    ...streams.map((stream) => [stream, rolesFor[stream]] as const),
    ...(photos ? [['photos', photoRoles] as const] : []),
  ];
  const missing = new Map<string, { uses: Use[]; oneOf: readonly string[] }>();
  const used = new Map<string, Use[]>();
  for (const [use, oneOf] of needs) {
    // The least one that is granted does the work; broader ones beside it do none.
    const role = oneOf.find((one) => roles.includes(one));
    if (role !== undefined) used.set(role, [...(used.get(role) ?? []), use]);
    else {
      const [least = ''] = oneOf;
      const before = missing.get(least);
      // With photos missing too, only what suffices for both helps.
      const both = before ? before.oneOf.filter((one) => oneOf.includes(one)) : oneOf;
      missing.set(least, { uses: [...(before?.uses ?? []), use], oneOf: both });
    }
  }
  const stateOf = (role: string) => (readRoles.has(role) ? 'beyond' : allowed.includes(role) ? 'allowed' : 'refused');
  return [
    ...[...missing].map(([role, one]) => ({ role, state: 'missing' as const, ...one })),
    ...roles.map((role): JudgedRole => {
      const help = helpful[role];
      const uses = used.get(role) ?? (help ? [help] : []);
      return { role, state: uses.length > 0 ? 'granted' : stateOf(role), uses, oneOf: [] };
    }),
  ];
}
