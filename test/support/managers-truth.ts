// The managers in a simulated tenant, computed without any rule of the product.
import { expect } from 'vitest';
import type { SettingsDocument } from '../../src/settings/settings.ts';
import type { Tenant, User } from '../../src/simulator/index.ts';
import { type Database, rows } from '../../src/store/database/pool.ts';

/** The settings that keep managers, with a field of the manager's. */
export const managersKept: SettingsDocument = {
  managers: true,
  fields: { managerName: { from: { manager: 'displayName' } } },
};

/** The settings without them. */
export const managersDropped: SettingsDocument = { managers: false, fields: { managerName: null } };

/** Returns the live manager of a user who is taken, else undefined. */
export function managerIn(tenant: Tenant, user: User, isTaken: (user: User) => boolean = () => true): User | undefined {
  const id = user.properties.manager;
  return tenant.users().find((one) => one.id === id && one.id !== user.id && isTaken(one));
}

/** Returns the field of {@link managersKept} of a user. */
export function managerName(tenant: Tenant, isTaken?: (user: User) => boolean): (user: User) => object {
  return (user) => {
    const name = managerIn(tenant, user, isTaken)?.properties.displayName;
    return name === undefined ? {} : { managerName: name };
  };
}

/** Returns "user manager" of each line that the view shows, by object ids. */
export async function linesOf(database: Database, tenantId: string): Promise<string[]> {
  const found = await rows<{ line: string }>(
    database,
    `select a.entra_object_id || ' ' || m.entra_object_id as line from directory.managers l
       join directory.accounts a on a.account_id = l.account_id
       join directory.accounts m on m.account_id = l.manager_account_id
      where l.tenant_id = :tenantId and l.via = 'line'`,
    { tenantId },
  );
  return found.map(({ line }) => line).sort();
}

/** Expects the lines of the view to be those of the tenant's users who are taken. */
export async function expectLines(
  tenant: Tenant,
  database: Database,
  isTaken: (user: User) => boolean = () => true,
): Promise<void> {
  const truth = tenant
    .users()
    .filter(isTaken)
    .flatMap((user) => {
      const manager = managerIn(tenant, user, isTaken);
      return manager ? `${user.id} ${manager.id}` : [];
    });
  expect(await linesOf(database, tenant.tenantId), 'directory.managers').toEqual(truth.sort());
}
