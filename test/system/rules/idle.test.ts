// A cycle without changes makes two requests, few statements and no round; any other cycle makes a round.
import type { Middleware } from '@microsoft/microsoft-graph-client';
import { expect, onTestFinished, test } from 'vitest';
import type { SettingsDocument } from '../../../src/settings/settings.ts';
import { createTenant, startSimulator } from '../../../src/simulator/index.ts';
import { acquireLease } from '../../../src/store/cycle/lease.ts';
import { openDatabase, rows } from '../../../src/store/database/pool.ts';
import { disconnectTenant } from '../../../src/store/tenants/disconnect.ts';
import { isDeep } from '../../support/deep.ts';
import { alterPages, expectGroups, groupsWorld, isLive, ofGroups, ofUsers } from '../../support/groups-world.ts';
import { setSettings } from '../../support/settings.ts';
import { until } from '../../support/stage.ts';
import { expectTruth, failureOf, isDeltaRequest, openWorld, trust, type World } from '../../support/system.ts';

/** Counts the rounds that were ever begun. */
async function roundsBegun({ database }: World): Promise<number> {
  const [found] = await rows<{ last: string }>(
    database,
    "select last_value as last from pg_sequences where schemaname = 'entra_sync' and sequencename = 'rounds_round_id_seq'",
  );
  return Number(found?.last);
}

const linksOf = ({ database }: World) =>
  rows(database, 'select stream, delta_link, committed_at from entra_sync.checkpoints order by stream');

const deltas = ({ simulator }: World) =>
  simulator.requests.filter(({ path }) => path.includes('/delta')).map(({ path }) => path.split('?')[0]);

async function settled(options: Parameters<typeof openWorld>[0] = {}): Promise<World & { begun: number }> {
  const world = await openWorld({ groups: 3, ...options });
  await world.cycle();
  world.simulator.clearRequests();
  return { ...world, begun: await roundsBegun(world) };
}

test('rule 1: without changes a stream makes one request, moves its checkpoint, begins no round, and reports as always', async () => {
  const world = await settled();
  const links = () => rows(world.database, 'select stream, delta_link from entra_sync.checkpoints order by stream');
  const before = await links();
  const through = openDatabase(world.url);
  let statements = 0;
  through.on('query', () => {
    statements += 1;
  });
  const result = await world.cycle({ through });
  await through.destroy();
  expect(result).toMatchObject({ kind: 'incremental', outcome: 'committed', lists: [], failures: [] });
  const report = { outcome: 'committed', round: 'incremental', reason: 'changes', requests: 1, pages: 1, seen: 0 };
  expect(result.streams).toMatchObject({
    users: { ...report, created: 0, updated: 0, removed: 0, held: 0, set_aside: 0 },
    groups: report,
  });
  expect(result.sinceMs).toBeGreaterThan(0);
  expect(deltas(world).sort()).toEqual(['/v1.0/groups/delta', '/v1.0/users/delta']);
  expect(await roundsBegun(world)).toBe(world.begun);
  expect(await links()).not.toEqual(before);
  expect(statements).toBeLessThan(30);
  world.tenant.createUser();
  await world.cycle();
  await expectTruth(world.tenant, world.database);
});

test('a page that is not empty goes into a round, and is asked for once', async () => {
  const world = await settled();
  world.tenant.createUser();
  const { streams } = await world.cycle();
  expect(streams.users).toMatchObject({ pages: 1, requests: 1, created: 1 });
  expect(await roundsBegun(world)).toBe(world.begun + 1);
  await expectTruth(world.tenant, world.database);
});

test.runIf(isDeep)('rule 5: an empty first page with a next link does not end the round', async () => {
  const world = await settled({ simulator: { emptyPages: 1 } });
  world.tenant.createUser();
  const { streams } = await world.cycle();
  expect(streams.users.pages).toBeGreaterThan(1);
  expect(streams.users.requests).toBe(streams.users.pages);
  expect(streams.users.created).toBe(1);
  await expectTruth(world.tenant, world.database);
});

test('rule 15: a token that is dead at the first request leads to a full round', async () => {
  const world = await settled();
  let dead = true;
  world.simulator.intercept(({ url }) => {
    if (!isDeltaRequest(url) || !dead) return undefined;
    dead = false;
    return { status: 410, body: { error: { code: 'syncStateNotFound', message: 'gone' } } };
  });
  const { streams } = await world.cycle();
  expect(streams.users).toMatchObject({ outcome: 'committed', round: 'full', reason: 'token_expired' });
  await expectTruth(world.tenant, world.database);
});

test.each<[string, SettingsDocument['scope'], object]>([
  ['a wider scope', { agents: 'include' }, { round: 'full', reason: 'settings_changed' }],
  ['a narrower scope', { userType: ['Member'] }, { round: 'incremental', reason: 'changes' }],
])('rule 17: %s that comes while the empty page is read restarts the round under it', async (_what, scope, round) => {
  const world = await settled();
  let changed = false;
  world.simulator.intercept(async ({ url }) => {
    if (!isDeltaRequest(url) || changed) return undefined;
    changed = true;
    await setSettings(world.database, { scope });
    return undefined;
  });
  const { streams } = await world.cycle();
  expect(streams.users).toMatchObject(round);
  const [checkpoint] = await rows(
    world.database,
    `select c.settings_version = (select max(version) from entra_sync.settings) as newest
       from entra_sync.checkpoints c where c.stream = 'users'`,
  );
  expect(checkpoint).toEqual({ newest: true });
});

test('rule 23: where groups make the scope, each commit judges it', async () => {
  const world = await settled();
  const [group] = world.tenant.groups();
  await setSettings(world.database, { scope: { groups: [group?.id ?? ''] } });
  await world.cycle();
  const begun = await roundsBegun(world);
  await world.cycle();
  expect(await roundsBegun(world)).toBe(begun + 2);
});

test.runIf(isDeep)('a dry run without changes reports the same, and moves nothing', async () => {
  const world = await settled();
  const links = () => linksOf(world);
  const before = await links();
  const dry = await world.cycle({ dryRun: true });
  expect(await links()).toEqual(before);
  const real = await world.cycle();
  const counts = ({ streams }: typeof real) => [streams.users, streams.groups].map(({ outcome: _, ...rest }) => rest);
  expect(counts(dry)).toEqual(counts(real));
});

const pickGroup = 'select tenant_id, group_no from entra_sync.groups order by group_no limit 1';

test.each([
  [
    'rule 10: a held membership',
    `with one as (${pickGroup}),
       list as (insert into entra_sync.removal_lists (tenant_id, stream, why) select tenant_id, 'groups', 'test' from one returning list_id)
     insert into entra_sync.held_memberships (list_id, tenant_id, group_no, member_object_id)
     select list_id, tenant_id, group_no, gen_random_uuid() from one, list`,
  ],
  [
    'rule 10: a kept membership',
    `insert into entra_sync.kept_memberships (tenant_id, group_no, member_object_id)
     select tenant_id, group_no, gen_random_uuid() from (${pickGroup}) one`,
  ],
  [
    'rule 7: a group whose purge is due',
    `insert into entra_sync.groups (tenant_id, entra_object_id, state, kind, is_dynamic, source, removed_at, removed_reason, purge_at)
     select tenant_id, gen_random_uuid(), 'managed', 'security', false, '{}', now(), 'deleted', now() from entra_sync.tenants`,
  ],
])('%s makes rounds ordinary ones', async (_what, work) => {
  const world = await settled();
  await world.database.raw(work);
  const { streams } = await world.cycle();
  // The round of the users is idle again if the groups, which settle what is open, are committed before it begins.
  expect((await roundsBegun(world)) - world.begun).toBeOneOf([1, 2]);
  expect(streams).toMatchObject({
    users: { outcome: 'committed', pages: 1 },
    groups: { outcome: 'committed', pages: 1 },
  });
  expect(deltas(world).sort(), 'no page is asked for twice').toEqual(['/v1.0/groups/delta', '/v1.0/users/delta']);
  expect(await rows(world.database, 'select from entra_sync.groups where purge_at is not null')).toEqual([]);
});

test('rule 13: an empty first page whose delta link is of another origin moves nothing, and nothing foreign is asked', async () => {
  const world = await settled();
  const thief = await startSimulator({ tenants: [createTenant({ seed: 2, users: 1 })] });
  onTestFinished(() => thief.close());
  trust(thief.certificate);
  const tidy = world.simulator.transform(({ url }, page) => {
    const { '@odata.deltaLink': link, ...rest } = page as { '@odata.deltaLink'?: string };
    if (!url.includes('/delta') || link === undefined) return page;
    return { ...rest, '@odata.deltaLink': link.replace(world.simulator.origin, thief.origin) };
  });
  const before = await linksOf(world);
  for (let time = 0; time < 2; time += 1)
    expect(await failureOf(world.cycle())).toMatchObject({ code: 'foreign_link' });
  expect(await linksOf(world)).toEqual(before);
  expect(thief.requests).toEqual([]);
  tidy();
  await world.cycle();
  expect(await roundsBegun(world)).toBe(world.begun);
});

/** Runs `work` during the request for the first empty page, and returns the cycle's error. */
async function failureAmid(world: World, work: () => Promise<unknown>) {
  let done: Promise<unknown> | undefined;
  world.simulator.intercept(async ({ url }) => {
    if (!url.includes('/delta')) return undefined;
    done ??= work();
    await done;
    return undefined;
  });
  return failureOf(world.cycle());
}

test('rule 11: the lease is taken over while the empty page is read: the checkpoint stays', async () => {
  const world = await settled();
  const before = await linksOf(world);
  const failure = await failureAmid(world, async () => {
    await world.database.raw('update entra_sync.heartbeats set expires_at = clock_timestamp()');
    const other = await acquireLease(world.database, world.tenant.tenantId);
    await other.release();
  });
  expect(failure).toMatchObject({ code: 'lease_lost' });
  expect(await linksOf(world)).toEqual(before);
  expect(await roundsBegun(world)).toBe(world.begun);
});

test.runIf(isDeep)('no checkpoint moves if the tenant is disconnected while the empty page is read', async () => {
  const world = await settled();
  let left: unknown;
  const failure = await failureAmid(world, async () => {
    await disconnectTenant(world.database, world.tenant.tenantId, { actor: 'Ann', dryRun: false });
    left = await linksOf(world);
  });
  expect(failure).toMatchObject({ code: 'tenant_disconnected' });
  expect(await linksOf(world)).toEqual(left);
  expect(await roundsBegun(world)).toBe(world.begun);
});

test('rule 8: a user restored during the request for the first page of groups is in the groups that this page shows first', async () => {
  const { world, tenant, person } = await groupsWorld({ Team: [0, 1] }, { simulator: { restoredMembers: false } });
  await world.cycle();
  tenant.deleteUser(person(0));
  await world.cycle();
  tenant.restoreUser(person(0));
  const fresh = tenant.createGroup({ displayName: 'Fresh' });
  for (const one of [0, 1]) tenant.addMember(fresh, person(one));
  tenant.deleteUser(person(0));
  // Graph need not name a deleted user in a later round either.
  alterPages(world, (item) => ({
    ...item,
    ...(item['members@delta'] && { 'members@delta': item['members@delta'].filter(({ id }) => id !== person(0)) }),
  }));
  let shown = false;
  let next: Middleware | undefined;
  const slow: Middleware = {
    setNext: (to) => {
      next = to;
    },
    execute: async (context) => {
      await next?.execute(context);
      const { request } = context;
      if (!ofGroups(new URL(typeof request === 'string' ? request : request.url).pathname)) return;
      shown = true;
      await until('the account', () => isLive(world, person(0)));
    },
  };
  const done = world.simulator.intercept(async ({ url }) => {
    if (!ofUsers(url)) return undefined;
    await until('the page of groups', () => shown);
    tenant.restoreUser(person(0));
    return undefined;
  });
  expect((await world.cycle({ before: slow })).streams.users).toMatchObject({ restored: 1 });
  done();
  await world.cycle();
  await expectGroups(world);
  const begun = await roundsBegun(world);
  await world.cycle();
  expect(await roundsBegun(world), 'asked no more than once').toBe(begun);
});
