// The check of the roles that were granted: what each sees, and which of them no grant limits.

import type { Database } from '../store/database/pool.ts';
import { type GrantedRole, grantedRoles } from '../store/schema/grantable.ts';
import type { Finding } from './checklist.ts';

/** Returns what the granted roles see, with a cure for the first that sees more or less than it was granted. */
export async function judgeGrants(database: Database): Promise<Finding<true>> {
  const roles = await grantedRoles(database, null);
  if (roles.length === 0) return { says: 'no role was granted', value: true };
  const [wrong] = roles.flatMap(faultOf);
  return {
    says: [...(wrong ? [wrong.says] : []), describeRoles(roles)].join('; '),
    ...(wrong && { cure: wrong.cure }),
    value: true,
  };
}

function faultOf({ role, unlimited, torn, only_tenant: tenant, tenant_name: name }: GrantedRole) {
  if (unlimited !== undefined) {
    return [{ says: `role ${role} ${unlimited}: no grant limits it`, cure: 'give the application a role of its own' }];
  }
  if (torn) {
    return [
      { says: `role ${role} inherits a role of another tenant, and sees none`, cure: `revoke that role from ${role}` },
    ];
  }
  if (tenant !== null && name === null) {
    const says = `role ${role} is bound to tenant ${tenant}, which is not registered: it sees nothing`;
    return [{ says, cure: `drop the role, or grant it with --all-tenants and then as you want it` }];
  }
  return [];
}

const maxNamed = 5;

function describeRoles(roles: readonly GrantedRole[]): string {
  const kinds: [GrantedRole[], string, string][] = [
    [roles.filter((one) => !one.tenant_bound), 'sees all tenants', 'see all tenants'],
    [
      roles.filter((one) => one.tenant_bound && one.only_tenant === null),
      'sees the tenant that it names',
      'see the tenant that they name',
    ],
  ];
  const some = kinds.flatMap(([found, one, many]) => {
    if (found.length === 0) return [];
    const names = found.length > maxNamed ? `${found.length} roles` : found.map(({ role }) => role).join(', ');
    return [`${names} ${found.length === 1 ? one : many}`];
  });
  const fixed = roles.filter((one) => one.only_tenant !== null);
  if (fixed.length > maxNamed) some.push(`${fixed.length} roles are bound to one tenant each`);
  else some.push(...fixed.map((one) => `${one.role} sees only ${one.tenant_name ?? one.only_tenant}`));
  return some.join('; ');
}
