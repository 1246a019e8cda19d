// The people who can sign in: per tenant two administrators who may consent, one who may not, and a plain user; and one
// personal account.
import { createHash } from 'node:crypto';

export type Account = {
  /** The sign-in name, as the account picker shows it: `admin@…`. */
  principal: string;
  tenantId: string;
  objectId: string;
  says: string;
  /** Whether it may consent for its whole tenant. */
  mayConsent: boolean;
  /** Template ids of directory roles, the same in every tenant. */
  roles: readonly string[];
};

export const personalTenant = '9188040d-6c67-4c5b-b112-36a304b66dad';

const kinds = [
  { name: 'admin', says: 'Global Administrator', mayConsent: true, role: '62e90394-69f5-4237-9190-012177145e10' },
  {
    name: 'roles',
    says: 'Privileged Role Administrator',
    mayConsent: true,
    role: 'e8611ab8-c189-46e8-94e1-60213ab1f814',
  },
  {
    name: 'apps',
    says: 'Cloud Application Administrator',
    mayConsent: false,
    role: '158c047a-c907-4556-b7ef-446551a6b5f7',
  },
  { name: 'user', says: 'no role', mayConsent: false, role: null },
] as const;

/** The role that every user has. */
const plainUser = 'b79fbf4d-3ef9-4689-8143-76b194e85509';

function idOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** A user of a simulated tenant who signs in, without a directory role. */
export function plainAccount(user: { principal: string; tenantId: string; objectId: string }): Account {
  return { ...user, says: 'a user', mayConsent: false, roles: [plainUser] };
}

/** The accounts that can sign in; `tenants` maps ids to domains. The last one is a personal account. */
export function accountsOf(tenants: ReadonlyMap<string, string>): Account[] {
  const people = [...tenants].flatMap(([tenantId, domain]) =>
    kinds.map(({ name, says, mayConsent, role }) => {
      const principal = `${name}@${domain}`;
      const roles = role === null ? [plainUser] : [role, plainUser];
      return { principal, tenantId, objectId: idOf(`${tenantId} ${principal}`), says, mayConsent, roles };
    }),
  );
  const principal = 'personal@outlook.example';
  return [
    ...people,
    {
      principal,
      tenantId: personalTenant,
      objectId: idOf(principal),
      says: 'personal account',
      mayConsent: false,
      roles: [],
    },
  ];
}
