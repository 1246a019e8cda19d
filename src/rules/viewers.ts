// The roles of a signed-in person (rule 46), from the sign-in and from what the database knows at each request.

/**
 * `ops_*`: the vendor's people; the others belong to one tenant. A viewer may have several. A publisher assigns;
 * `publisher_read` looks at the same pages.
 */
export const roles = [
  'ops_act',
  'ops_read',
  'admin',
  'reader',
  'publisher',
  'publisher_read',
  'user',
  'manager',
] as const;

export type Role = (typeof roles)[number];

/** A role that groups of the tenant's settings give. */
export type GroupRole = 'admin' | 'reader' | 'publisher';

/** The roles that directory roles give: their template ids, the same in every tenant. */
const directoryRoles = {
  // Global Administrator, Privileged Role Administrator, User Administrator.
  admin: [
    '62e90394-69f5-4237-9190-012177145e10',
    'e8611ab8-c189-46e8-94e1-60213ab1f814',
    'fe930be7-5e62-47db-91af-98c3a49a38b1',
  ],
  // Global Reader, Security Reader.
  reader: ['f2ef992c-3afb-46b9-b7cf-a126ee74c451', '5d6b6bb7-de71-4623-b4af-96380a352509'],
} as const;

/** Returns the role that a sign-in's directory roles give. */
export function directoryRoleOf(ids: readonly string[]): 'admin' | 'reader' | null {
  const has = (role: keyof typeof directoryRoles) => directoryRoles[role].some((id) => ids.includes(id));
  return has('admin') ? 'admin' : has('reader') ? 'reader' : null;
}

/** Returns what a sign-in of the vendor's own tenant may do, by its application roles. */
export function opsOf(
  tenantId: string,
  appRoles: readonly string[],
  opsTenant: string | undefined,
): 'read' | 'act' | null {
  if (opsTenant === undefined || tenantId !== opsTenant) return null;
  return appRoles.includes('Ops.Act') ? 'act' : appRoles.includes('Ops.Read') ? 'read' : null;
}

/** The facts by which roles are given. */
export type SignedInFacts = {
  /** By an app role of the vendor's own tenant, or `web --local`. */
  readonly ops: 'read' | 'act' | null;
  /** By a directory role of the sign-in. */
  readonly directoryRole: 'admin' | 'reader' | null;
  /** By groups of the tenant that its settings name. They give nothing without a live account. */
  readonly groupRoles: readonly GroupRole[];
  /** The tenant was not read for two intervals, so what the groups say is old: roles by them only look. */
  readonly stale: boolean;
  /** The state of the tenant of the sign-in; null if it is not registered. */
  readonly tenantStatus: string | null;
  /** The account manages people, and the settings give managers the portal. Gives nothing without a live account. */
  readonly manages: boolean;
  /** The account of the sign-in's object; null if there is none. */
  readonly account: { readonly enabled: boolean; readonly removedReason: string | null } | null;
};

/** The reasons for which a person is let in with no role of a tenant. */
export type NoRole = 'tenant_unknown' | 'removed' | 'suspended' | 'no_account';

/**
 * Returns the roles of a person, or why there are none. A removed or suspended account takes the tenant's roles away,
 * those by directory roles too; a user who is only outside the scope keeps these. Ops keep theirs.
 */
export function rolesOf(facts: SignedInFacts): readonly Role[] | NoRole {
  const ops: readonly Role[] = facts.ops === null ? [] : facts.ops === 'act' ? ['ops_act', 'ops_read'] : ['ops_read'];
  const own = rolesOfTenant(facts);
  if (typeof own !== 'string') return [...ops, ...own];
  return ops.length > 0 ? ops : own;
}

function rolesOfTenant({
  directoryRole,
  groupRoles,
  stale,
  manages,
  tenantStatus,
  account,
}: SignedInFacts): readonly Role[] | NoRole {
  if (tenantStatus === null) return 'tenant_unknown';
  const byDirectory = directoryRole === null ? [] : withLesser[directoryRole];
  if (account && account.removedReason !== null) {
    return account.removedReason === 'out_of_scope' && byDirectory.length > 0 ? byDirectory : 'removed';
  }
  if (account && !account.enabled) return 'suspended';
  if (account) {
    const byGroups = groupRoles.flatMap((role) => (stale ? looking[role] : withLesser[role]));
    const ofAccount: readonly Role[] = manages ? ['user', 'manager'] : ['user'];
    const given: readonly Role[] = [...byDirectory, ...byGroups, ...ofAccount];
    return roles.filter((role) => given.includes(role));
  }
  return byDirectory.length > 0 ? byDirectory : 'no_account';
}

const looking = {
  admin: ['reader'],
  reader: ['reader'],
  publisher: ['publisher_read'],
} as const satisfies Readonly<Record<GroupRole, readonly Role[]>>;

const withLesser: Readonly<Record<GroupRole, readonly Role[]>> = {
  admin: ['admin', ...looking.admin],
  reader: looking.reader,
  publisher: ['publisher', ...looking.publisher],
};
