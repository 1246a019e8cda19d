// Rules 3 to 7, 17, 20 and 22 in whole cycles: what a round shows of users, and what happens to their accounts.
import { expect, test } from 'vitest';
import { showOdd } from '../../../src/simulator/index.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { hideUsers, leaveOutUsers } from '../../support/glitches.ts';
import { setSettings } from '../../support/settings.ts';
import {
  accountsOf,
  expectTruth,
  failureOf,
  isDeltaRequest,
  openWorld,
  removedOf,
  type World,
} from '../../support/system.ts';

type Item = Record<string, unknown> & { id: string };

/** Alters the objects of every page of users/delta. */
function alterPages(world: World, alter: (items: Item[], url: string) => unknown[]): () => void {
  return world.simulator.transform(({ url }, body) => {
    if (!isDeltaRequest(url)) return body;
    const { value } = body as { value: Item[] };
    return { ...body, value: alter(value, url) };
  });
}

const anybody = (world: World, number = 0): string => {
  const person = world.tenant.users()[number];
  if (!person) throw new Error('the tenant has too few people');
  return person.id;
};

async function accountOf(world: World, id: string) {
  return (await accountsOf(world.database, world.tenant.tenantId))[id];
}

const removed = (world: World) => removedOf(world.database, world.tenant.tenantId);
const singleReads = (world: World) =>
  world.simulator.requests.filter(({ path }) => /^\/v1\.0\/users\/[0-9a-f-]{36}/.test(path)).length;

test('rule 3: in a later round an absent property stays and null clears it', async () => {
  const world = await openWorld({ simulator: { form: 'minimal' } });
  const id = anybody(world);
  world.tenant.updateUser(id, { mobilePhone: '+47 1', officeLocation: 'Oslo' });
  await world.cycle();
  world.tenant.updateUser(id, { officeLocation: null, jobTitle: 'Captain' });
  const { streams } = await world.cycle();
  expect(streams.users).toMatchObject({ round: 'incremental', updated: 1 });
  const { profile } = (await accountOf(world, id)) ?? {};
  expect(profile).toMatchObject({ mobilePhone: '+47 1', jobTitle: 'Captain' });
  expect(profile).not.toHaveProperty('officeLocation');
});

test('rule 3: in a full round absent means no value where GET says so too, whatever the account held before', async () => {
  const world = await openWorld();
  const id = anybody(world);
  world.tenant.updateUser(id, { mobilePhone: '+47 1' });
  await world.cycle();
  const accountId = (await accountOf(world, id))?.accountId;
  showOdd(world.simulator, 'users', undefined, { mobilePhone: undefined });
  await world.cycle({ resync: true });
  const after = await accountOf(world, id);
  expect(after?.profile).not.toHaveProperty('mobilePhone');
  expect(after?.accountId).toBe(accountId);
});

test('rule 4: replays and objects that come many times change nothing more than once', async () => {
  const world = await openWorld({ simulator: { pageSize: 4 } });
  await world.cycle();
  for (const { id } of world.tenant.users()) world.tenant.touchUser(id);
  world.tenant.updateUser(anybody(world), { jobTitle: 'Captain' });
  alterPages(world, (items) => [...items, ...items, ...items]);
  const { streams } = await world.cycle();
  expect(streams.users).toMatchObject({ seen: 36, distinct: 12, updated: 1, created: 0, removed: 0 });
  await expectTruth(world.tenant, world.database);
});

test('rule 5: an empty page with a next link does not end the round', async () => {
  const world = await openWorld({ simulator: { pageSize: 3, emptyPages: 1 } });
  const { streams } = await world.cycle();
  // Four pages with users, and three empty ones before each and at the end.
  expect(streams.users).toMatchObject({ pages: 16, created: 12, seen: 12 });
  await expectTruth(world.tenant, world.database);
});

test('rule 6: tombstones of a first round name unknown objects and leave nothing behind', async () => {
  const world = await openWorld({ deletedUsers: 4 });
  const { streams } = await world.cycle();
  expect(streams.users).toMatchObject({ created: 12, removed: 0 });
  expect(streams.users.seen).toBeGreaterThan(12);
  await expectTruth(world.tenant, world.database, []);
});

test('rule 6: a user not seen is removed by a full round that reached its end, and by nothing else', async () => {
  const world = await openWorld({ simulator: { pageSize: 4 } });
  await world.cycle();
  const id = anybody(world);
  const show = hideUsers(world, [id]);
  world.tenant.touchUser(id);
  await world.cycle();
  expect(await removed(world)).toEqual({});
  const restore = world.simulator.intercept(({ url }) =>
    isDeltaRequest(url) && world.deltaRequests().length > 1 ? { status: 503, body: {} } : undefined,
  );
  world.simulator.clearRequests();
  expect(await failureOf(world.cycle({ resync: true }))).toMatchObject({ code: 'graph_unavailable' });
  expect(await removed(world)).toEqual({});
  restore();
  await world.cycle({ resync: true });
  expect(await removed(world)).toEqual({ [id]: 'not_seen' });
  show();
  const { streams } = await world.cycle({ resync: true });
  expect(streams.users).toMatchObject({ restored: 1, created: 0 });
});

test('rules 6, 22: a user that only GET shows in a full round stays, with the values of GET', async () => {
  const world = await openWorld();
  await world.cycle();
  const id = anybody(world);
  world.tenant.updateUser(id, { jobTitle: 'Captain' });
  leaveOutUsers(world, [id]);
  const { streams } = await world.cycle({ resync: true });
  expect(streams.users).toMatchObject({ removed: 0, held: 0, updated: 1 });
  expect(singleReads(world)).toBe(1);
  await expectTruth(world.tenant, world.database, []);
});

test('rule 7: a removed account is hidden at once, and restored with the same account_id', async () => {
  const world = await openWorld();
  await world.cycle();
  const id = anybody(world);
  const before = await accountOf(world, id);
  world.tenant.deleteUser(id);
  await world.cycle();
  expect(await accountOf(world, id)).toBeUndefined();
  expect(await removed(world)).toEqual({ [id]: 'deleted_restorable' });
  world.tenant.restoreUser(id);
  const { streams } = await world.cycle();
  expect(streams.users).toMatchObject({ restored: 1, created: 0 });
  expect(await accountOf(world, id)).toEqual(before);
});

test('rule 7: a commit purges only accounts past the retention that it still misses, with their values everywhere', async () => {
  const world = await openWorld();
  await world.cycle();
  const [leaver, returner] = [anybody(world, 0), anybody(world, 1)];
  const name = String(world.tenant.findUser(leaver)?.properties.displayName);
  const old = await accountOf(world, returner);
  for (const id of [leaver, returner]) world.tenant.deleteUser(id);
  await world.cycle();
  await world.database.raw(
    "update entra_sync.accounts set purge_at = now() - interval '1 day' where purge_at is not null",
  );
  const off = world.simulator.intercept(({ url }) => (isDeltaRequest(url) ? { status: 503, body: {} } : undefined));
  await failureOf(world.cycle());
  expect(Object.keys(await removed(world)), 'a tenant that could not be read purges nobody').toHaveLength(2);
  off();
  world.tenant.restoreUser(returner);
  const { streams } = await world.cycle();
  expect(streams.users).toMatchObject({ purged: 1, restored: 1 });
  expect(await removed(world)).toEqual({});
  expect((await accountOf(world, returner))?.accountId).toBe(old?.accountId);
  const kept = await rows(
    world.database,
    "select * from entra_sync.changes where concat(before, after) like '%' || :name || '%'",
    { name },
  );
  expect(kept).toEqual([]);
  world.tenant.restoreUser(leaver);
  expect((await world.cycle()).streams.users).toMatchObject({ created: 1, restored: 0 });
});

test('rule 17: a change of the mapping makes the next round a full one by itself, and the one after is incremental', async () => {
  const world = await openWorld();
  await world.cycle();
  const fields = { fields: { language: { from: 'preferredLanguage' } } };
  await setSettings(world.database, fields);
  expect((await world.cycle()).streams.users).toMatchObject({ round: 'full', reason: 'settings_changed', updated: 12 });
  const { properties } = world.tenant.users()[0] ?? {};
  expect((await accountOf(world, anybody(world)))?.profile).toMatchObject({ language: properties?.preferredLanguage });
  expect((await world.cycle()).streams.users).toMatchObject({ round: 'incremental', seen: 0 });
});

test('rule 17: settings that change in the middle of a round restart it in the same cycle', async () => {
  const world = await openWorld({ simulator: { pageSize: 4 } });
  let changed = false;
  world.simulator.intercept(async ({ url }) => {
    if (!isDeltaRequest(url) || changed || world.deltaRequests().length < 3) return undefined;
    changed = true;
    await setSettings(world.database, { fields: { language: { from: 'preferredLanguage' } } });
    return undefined;
  });
  const { streams } = await world.cycle();
  expect(streams.users).toMatchObject({ round: 'full', pages: 3, created: 12 });
  const languages = Object.values(await accountsOf(world.database, world.tenant.tenantId)).map(
    (one) => one.profile.language,
  );
  expect(languages.filter(Boolean)).toHaveLength(12);
  const versions = await rows(
    world.database,
    `select settings_version = (select max(version) from entra_sync.settings) as newest from entra_sync.checkpoints where stream = 'users'`,
  );
  expect(versions).toEqual([{ newest: true }]);
});

test('rule 20: no cycle changes manual accounts, not even with a full round', async () => {
  const world = await openWorld();
  const made = { tenantId: world.tenant.tenantId, mail: 'nobody.there@else.example' };
  await world.database.raw(
    `insert into entra_sync.accounts (tenant_id, state, mail, mapped, entra_object_id)
     values (:tenantId, 'manual', :mail, '{"displayName": "By hand"}', null)`,
    made,
  );
  const before = await rows(world.database, "select * from entra_sync.accounts where state = 'manual'");
  await world.cycle();
  await world.cycle({ resync: true });
  expect(await rows(world.database, "select * from entra_sync.accounts where state = 'manual'")).toEqual(before);
});

test.each([
  { last: 'removed', deleted: false, becomes: 'live' },
  { last: 'live', deleted: false, becomes: 'live' },
  { last: 'removed', deleted: true, becomes: 'removed' },
  { last: 'live', deleted: true, becomes: 'set aside' },
])(
  'rule 22: a user who came live and removed in one round, $last last and deleted: $deleted, is asked for by GET and is $becomes',
  async (told) => {
    const world = await openWorld();
    await world.cycle();
    const id = anybody(world);
    world.tenant.updateUser(id, { jobTitle: 'Captain' });
    alterPages(world, (items) =>
      items.flatMap((item) => {
        if (item.id !== id) return [item];
        const tombstone = { id, '@removed': { reason: 'changed' } };
        const live = { id, jobTitle: 'Captain' };
        return told.last === 'removed' ? [live, tombstone] : [tombstone, live];
      }),
    );
    if (told.deleted) world.tenant.deleteUser(id);
    const { streams } = await world.cycle();
    expect(singleReads(world)).toBe(1);
    expect(streams.users).toMatchObject({ set_aside: told.becomes === 'set aside' ? 1 : 0 });
    expect(await removed(world)).toEqual(told.becomes === 'removed' ? { [id]: 'deleted_restorable' } : {});
    if (told.becomes === 'live') await expectTruth(world.tenant, world.database, []);
  },
);

test('rule 22: an unknown object with a partial body is asked for by GET before it becomes an account', async () => {
  const world = await openWorld();
  await world.cycle();
  const id = world.tenant.createUser();
  alterPages(world, (items) => items.map((item) => ({ id: item.id, jobTitle: item.jobTitle })));
  const { streams } = await world.cycle();
  expect([singleReads(world), streams.users.created]).toEqual([1, 1]);
  expect(await accountOf(world, id)).toBeDefined();
  await expectTruth(world.tenant, world.database);
});

test('rule 22: a user who was set aside is read whole, so that no change since then is lost', async () => {
  const world = await openWorld({ simulator: { form: 'minimal' } });
  await world.cycle();
  const id = anybody(world);
  world.tenant.updateUser(id, { jobTitle: 'Captain' });
  const heal = alterPages(world, (items) => items.map((item) => ({ ...item, mail: 'a\0b' })));
  expect((await world.cycle()).streams.users).toMatchObject({ set_aside: 1, updated: 0 });
  heal();
  // The next round shows only the city; the title came with the invalid object.
  world.tenant.updateUser(id, { city: 'Tromsø' });
  expect((await world.cycle()).streams.users).toMatchObject({ set_aside: 0, updated: 1 });
  await expectTruth(world.tenant, world.database, []);
});

test('rule 22: a user who came invalid and then valid in one round is read whole', async () => {
  const world = await openWorld({ simulator: { form: 'minimal' } });
  await world.cycle();
  const id = anybody(world);
  world.tenant.updateUser(id, { jobTitle: 'Captain', city: 'Tromsø' });
  let page = 0;
  world.simulator.transform(({ url }, body) => {
    if (!isDeltaRequest(url)) return body;
    page += 1;
    if (page > 1) return { ...body, value: [{ id, city: 'Tromsø' }] };
    const { '@odata.deltaLink': link } = body as Record<string, string>;
    return { '@odata.nextLink': link, value: [{ id, jobTitle: 'Captain', mail: 'a\0b' }] };
  });
  expect((await world.cycle()).streams.users).toMatchObject({ pages: 2, set_aside: 0, updated: 1 });
  await expectTruth(world.tenant, world.database, []);
});

test('rule 24: a stream whose last full round is older than fullEvery has one by itself, and only one', async () => {
  const world = await openWorld();
  await world.cycle();
  await world.database.raw(
    "update entra_sync.checkpoints set full_at = now() - interval '8 days' where stream = 'users'",
  );
  const due = await world.cycle();
  expect(due.streams.users).toMatchObject({ round: 'full', reason: 'due', updated: 0, removed: 0 });
  expect(due.streams.groups).toMatchObject({ round: 'incremental' });
  expect((await world.cycle()).streams.users).toMatchObject({ round: 'incremental' });
});
