// The feed replayed from a position: it has to tell the same story as the views.
import { expect } from 'vitest';
import type { Database } from '../../src/store/database/pool.ts';
import { readChanges } from '../../src/store/feed/changes.ts';
import { accountsOf, type Facts, factsOf } from './system.ts';

/** Rebuilds the accounts of a tenant from its change rows and compares them with the view. */
export async function expectFeedRebuilds(database: Database, tenantId: string, position: string | null): Promise<void> {
  const rebuilt = new Map<string, { id: string; live: boolean; facts: Facts }>();
  for (const change of await readChanges(database, position, 1_000_000)) {
    if (change.tenant_id !== tenantId || change.account_id === null) continue;
    const one = rebuilt.get(change.account_id);
    const after = (change.after ?? {}) as Record<string, unknown>;
    // The values of purged people are blanked wherever they stood.
    if (change.after === null && change.kind !== 'account.purged') continue;
    if (change.kind === 'account.created' || change.kind === 'account.restored') {
      rebuilt.set(change.account_id, { id: String(after.entra_object_id), live: true, facts: toFacts(after, {}) });
    } else if (change.kind === 'account.purged') rebuilt.delete(change.account_id);
    else if (!one) throw new Error(`${change.kind} of an account that the feed never created`);
    else if (change.kind === 'account.removed') one.live = false;
    else one.facts = toFacts({ ...flatten(one.facts), ...after }, one.facts.profile);
  }
  const live = [...rebuilt.values()].filter((one) => one.live).map(({ id, facts }) => [id, facts]);
  expect(Object.fromEntries(live)).toEqual(factsOf(await accountsOf(database, tenantId)));
}

const flatten = ({ userPrincipalName, mail, enabled }: Facts) => ({
  user_principal_name: userPrincipalName,
  mail,
  enabled,
});

function toFacts(after: Record<string, unknown>, profile: Record<string, unknown>): Facts {
  const merged = Object.entries({ ...profile, ...(after.profile as Record<string, unknown> | undefined) });
  return {
    enabled: after.enabled === true,
    userPrincipalName: after.user_principal_name,
    mail: after.mail,
    profile: Object.fromEntries(merged.filter(([, value]) => value !== null)),
  };
}
