// Slices of member lists are staged unchanged. Of two that name one member the later one counts, unfolded or not, and a
// repeated one writes nothing (rules 4 and 8).
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Member } from '../../src/rules/groups.ts';
import type { Lease } from '../../src/store/cycle/lease.ts';
import { settingsVersion } from '../../src/store/settings/versions.ts';
import { stageGroupsPage } from '../../src/store/stage/groups.ts';
import { unfoldSlices } from '../../src/store/stage/members.ts';
import { beginRound, type Round } from '../../src/store/stage/rounds.ts';
import { ask, leasedTenant, objectId, openStore, type Store } from '../support/stage.ts';

let store: Store;
let lease: Lease;
let round: Round;

beforeEach(async () => {
  store = await openStore();
  lease = await leasedTenant(store);
  round = await beginRound(store.database, lease, {
    stream: 'groups',
    dryRun: false,
    kind: 'full',
    reason: 'test',
    settingsVersion: await settingsVersion(store.database, lease.tenantId),
    fingerprint: 'groups',
  });
});

afterEach(async () => {
  await lease.release();
  await store.close();
});

const joins = (...numbers: number[]): Member[] =>
  numbers.map((n) => ({ groupId: objectId(100), memberId: objectId(n), type: 'u', removed: false }));
const leaves = (...numbers: number[]): Member[] => joins(...numbers).map((member) => ({ ...member, removed: true }));

/** Stages pages in one lot. */
async function stage(...pages: Member[][]): Promise<void> {
  round = await stageGroupsPage(store.database, lease, round, {
    urls: pages.map((_, index) => `https://graph.example/groups/delta?page=${round.pages + index}`),
    link: { next: 'https://graph.example/groups/delta?next' },
    problems: [],
    seen: pages.length,
    occurrences: [],
    merge: () => [],
    members: pages,
  });
}

const words = () =>
  ask(
    store,
    'select member_object_id as id, removed from entra_sync.staged_members where round_id = :round order by 1',
    { round: round.round_id },
  );
const word = (n: number, removed: boolean) => ({ id: objectId(n), removed });

test.each(['in one lot', 'lot by lot'])('the last entry counts, and a slice may be repeated (%s)', async (how) => {
  const pages = [joins(1, 2), leaves(1), joins(1, 2), leaves(2, 3), joins(3)];
  if (how === 'in one lot') await stage(...pages);
  else for (const page of pages) await stage(page);
  const last = [word(1, false), word(2, true), word(3, false)];
  expect(await words()).toEqual(last);
  // The tenant has stored groups, so the slices are unfolded.
  await ask(
    store,
    `insert into entra_sync.groups (tenant_id, entra_object_id, state, kind, is_dynamic, source)
     values (:tenant, :id, 'managed', 'security', false, '{}')`,
    { tenant: lease.tenantId, id: objectId(100) },
  );
  await unfoldSlices(store.database, lease, round.round_id);
  expect(await ask(store, 'select from entra_sync.stage_slices')).toEqual([]);
  expect(await words()).toEqual(last);
});

test('pages repeated ten times are staged once, and bring nothing new', async () => {
  const staged = () => ask(store, 'select ctid::text, xmin::text, s.* from entra_sync.stage_slices s order by digest');
  await stage(joins(1, 2, 3), joins(4));
  const before = await staged();
  expect(before).toHaveLength(2);
  const last = before.filter((row) => JSON.stringify(row).includes(objectId(4)));
  for (let again = 0; again < 9; again += 1) await stage(joins(4));
  expect((await staged()).filter((row) => JSON.stringify(row).includes(objectId(4)))).toEqual(last);
  expect(await ask(store, 'select barren_pages as n from entra_sync.rounds')).toEqual([{ n: 9 }]);
});

test('deleting a round deletes its stage, and deleting a tenant its groups and accounts', async () => {
  await stage(joins(1, 2));
  await ask(store, 'delete from entra_sync.rounds');
  expect(await ask(store, 'select from entra_sync.stage_slices')).toEqual([]);
  await ask(store, "insert into entra_sync.accounts (tenant_id, state) values (:tenant, 'manual')", {
    tenant: lease.tenantId,
  });
  await ask(store, 'delete from entra_sync.tenants where tenant_id = :tenant', { tenant: lease.tenantId });
  expect(await ask(store, 'select from entra_sync.accounts')).toEqual([]);
});
