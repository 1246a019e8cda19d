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
