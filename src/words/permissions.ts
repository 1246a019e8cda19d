// The permissions of a tenant's token and the end of its credential in words, which terminal and pages share.
import { type JudgedRole, judgeEachRole, type Use } from '../rules/roles.ts';
import type { TenantState } from '../store/tenants/status.ts';
import { when } from './times.ts';

type Known = Pick<TenantState, 'permissions' | 'credential_kind' | 'credential_ends_at' | 'last_error_code'>;

export type PermissionLine = {
  readonly permission: string;
  readonly state: JudgedRole['state'];
  readonly says: string;
};

const used: Readonly<Record<Use, string>> = {
  users: 'users',
  groups: 'groups and their members',
  photos: 'photos',
  hidden: 'hidden memberships',
  deleted: 'the list of deleted groups',
};

/** Returns a line for each permission, the missing ones first; none before a cycle has got a token. */
export function describePermissions(
  { permissions }: Known,
  settings: { photos: boolean; allowed: readonly string[] },
): PermissionLine[] {
  if (permissions === null) return [];
  return judgeEachRole(permissions, settings).map((one) => ({
    permission: one.role,
    state: one.state,
    says: wordsOf(one),
  }));
}

function wordsOf({ state, uses, oneOf }: JudgedRole): string {
  const things = uses.map((use) => used[use]).join(', ');
  switch (state) {
    case 'granted':
      return `Reads ${things}.`;
    case 'missing': {
      const less = uses.every((use) => use === 'photos') ? ' Or the setting photos.read becomes false.' : '';
      return `${things.charAt(0).toUpperCase()}${things.slice(1)} cannot be read. The application has to ask for ${oneOf.join(' or ')}, and an administrator of the tenant has to consent again.${less}`;
    }
    case 'beyond':
      return 'Nothing that is read needs it: it can be taken away from the application.';
    case 'allowed':
      return 'Nothing that is read needs it, and it may do more than read. The setting allowRoles allows it.';
    case 'refused':
      return 'It may do more than read, so no token with it is used. It has to be taken away from the application, or named by the setting allowRoles.';
  }
}

const withoutToken: ReadonlySet<string | null> = new Set([
  ...['credential_missing', 'credential_refused', 'sign_in_failed', 'consent_missing'],
]);

/**
 * Whether the permissions are from before the last cycle, which got no token. A token without any permission is the reason of
 * such an error, and was seen.
 */
export function isFromBefore({ permissions, last_error_code: code }: Known): boolean {
  return permissions !== null && permissions.length > 0 && withoutToken.has(code);
}

/** Returns when the credential of the last token ends; undefined before a cycle has got one. */
export function describeCredential(
  { credential_kind: kind, credential_ends_at: end }: Known,
  now: Date,
): { readonly says: string; readonly state: 'good' | 'soon' | 'over' } | undefined {
  switch (kind) {
    case 'certificate': {
      if (end === null) return undefined;
      const left = end.getTime() - now.getTime();
      const date = end.toISOString().slice(0, 10);
      if (left <= 0) return { says: `The certificate ended on ${date}.`, state: 'over' };
      return { says: `The certificate ends on ${date}, ${when(end, now)}.`, state: left < warnMs ? 'soon' : 'good' };
    }
    case 'secret':
      return {
        says: 'A client secret: its end is not visible here. Only "Certificates & secrets" of the application shows it.',
        state: 'good',
      };
    case 'federated':
    case 'managed_identity':
      return { says: 'A federated token, which is renewed by itself: no end has to be watched.', state: 'good' };
    default:
      return undefined;
  }
}

const warnMs = 30 * 86_400_000;
