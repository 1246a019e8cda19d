// The quick first load: users, groups and members appear before the first round, and the round corrects them.
import { describe, expect, test } from 'vitest';
import type { CycleResult } from '../../../src/engine/cycle.ts';
import type { InterceptedRequest } from '../../../src/simulator/index.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { disconnectTenant, reconnectTenant } from '../../../src/store/tenants/disconnect.ts';
import { runCli } from '../../support/cli.ts';
import { isDeep, rowsOf } from '../../support/deep.ts';
import { expectFeedRebuilds } from '../../support/feed-replay.ts';
import { expectGroups, groupsWorld } from '../../support/groups-world.ts';
import { setSettings } from '../../support/settings.ts';
import {
  accountsOf,
  approveAll,
  bufferLog,
  expectTruth,
  failureOf,
  interruption,
  openWorld,
  personOf,
  type World,
} from '../../support/system.ts';

const quick = { firstLoad: 'quick' } as const;
const isListing = (url: string) => /^\/v1\.0\/(users|groups)\?/.test(url);
const isMembers = (url: string) => /^\/v1\.0\/groups\/[^/]+\/members/.test(url);
const isDelta = (url: string) => url.includes('/delta');
const listed = ({ simulator }: World) =>
  simulator.requests.map(({ path }) => path).filter((path) => isListing(path) || isMembers(path));

const kindsOf = async ({ database, tenant }: World, cycleId: string | null | undefined) => {
  const found = await rows<{ kind: string; count: number }>(
    database,
    `select kind, count(*)::int as count from directory.changes
      where tenant_id = :tenant and cycle_id = :cycleId group by kind order by kind`,
    { tenant: tenant.tenantId, cycleId: cycleId ?? null },
  );
  return Object.fromEntries(found.map(({ kind, count }) => [kind, count]));
};

const tenantRow = async ({ database }: World) =>
  (
    await rows<{ provisional: boolean; status: string; last_success_at: Date | null; checkpoints: number }>(
      database,
      `select provisional, status, last_success_at, (select count(*)::int from entra_sync.checkpoints) as checkpoints
         from directory.tenants`,
    )
  )[0];

const cyclesOf = ({ database }: World) =>
  rows<{ kind: string; outcome: string; error_code: string | null }>(
    database,
    'select kind, outcome, error_code from directory.cycles order by cycle_id',
  );

/** Returns the rows that exist when the first request of the first round arrives. */
function beforeTheRound(world: World, look: () => Promise<void>): { looked: () => boolean } {
  let looking: Promise<void> | undefined;
  world.simulator.intercept(async ({ url }) => {
    if (!isDelta(url)) return undefined;
    // Neither stream proceeds during this.
    looking ??= look();
    await looking;
    return undefined;
  });
  return { looked: () => looking !== undefined };
}

/** Checks the truth, a feed with the same content, and that nothing is left over. */
async function expectAllTrue(world: World): Promise<void> {
  await expectTruth(world.tenant, world.database);
  await expectGroups(world);
  await expectFeedRebuilds(world.database, world.tenant.tenantId, null);
  expect(await tenantRow(world)).toMatchObject({ provisional: false, status: 'active', checkpoints: 2 });
  expect(await rows(world.database, 'select round_id, kind from entra_sync.rounds')).toEqual([]);
}

function toldOf({ firstLoad }: CycleResult) {
  return firstLoad && { outcome: firstLoad.outcome, failures: firstLoad.failures.map(({ stream }) => stream) };
}

test('a new tenant is shown by a listing; the first round finds nothing to change, and the feed has everything once', async () => {
  const world = await openWorld({ ...quick, users: 30, groups: 8, largestGroup: 20, deletedUsers: 2 });
  world.simulator.options.listPageSize = 7;
  world.tenant.updateUser(world.tenant.users()[0]?.id ?? '', { businessPhones: [] });
  const seen = beforeTheRound(world, async () => {
    await expectTruth(world.tenant, world.database);
    await expectGroups(world);
    // Only users were shown: success is a moved checkpoint (rule 21).
    expect(await tenantRow(world)).toEqual({
      ...{ provisional: true, status: 'active', last_success_at: null, checkpoints: 0 },
    });
  });
  const result = await world.cycle();
  expect(seen.looked()).toBe(true);
  await expectAllTrue(world);
  expect(toldOf(result)).toEqual({ outcome: 'committed', failures: [] });
  expect(await kindsOf(world, result.firstLoad?.cycleId)).toMatchObject({ 'account.created': 30, 'group.created': 8 });
  expect(await kindsOf(world, result.cycleId)).toEqual({});
  expect(await cyclesOf(world)).toEqual([
    { kind: 'first_load', outcome: 'committed', error_code: null },
    { kind: 'initial', outcome: 'committed', error_code: null },
  ]);
  // Each page and each list was asked once, and a `$batch` held only GETs.
  expect(new Set(listed(world)).size).toBe(listed(world).length);
  const writes = world.simulator.requests.filter(({ method, path }) => method !== 'GET' && path.startsWith('/v1.0'));
  expect(new Set(writes.map(({ path }) => path))).toEqual(new Set(['/v1.0/$batch']));
  expect((await world.cycle()).firstLoad).toBeUndefined();
});

test.runIf(isDeep)(
  'a first round that finds what the listing showed is not reported as "no changes": the table has just listed the accounts',
  async () => {
    const world = await openWorld({ ...quick, users: 4, groups: 2 });
    const environment = { ...world.simulator.environment(world.tenant.tenantId), DATABASE_URL: world.url };
    const first = await runCli(['sync'], environment);
    expect(first.stdout).toMatch(/first_load +users +listing, first +\d+ +4 +4 /);
    expect(first.stdout).not.toContain('no changes');
    expect((await runCli(['resync'], environment)).stdout).toContain('no changes: Graph returned 6 objects');
  },
);

test('the command line reports both cycles, and status says that users are shown from a listing', async () => {
  const world = await openWorld({ ...quick, users: 4, groups: 2 });
  const environment = { ...world.simulator.environment(world.tenant.tenantId), DATABASE_URL: world.url };
  let status = '';
  const seen = beforeTheRound(world, async () => {
    status = (await runCli(['status'], environment)).stdout;
  });
  const { stdout, code } = await runCli(['sync', '--json'], environment);
  const { cycles } = JSON.parse(stdout) as { cycles: { kind: string; streams: Record<string, { round: string }> }[] };
  expect({ code, looked: seen.looked() }).toEqual({ code: 0, looked: true });
  expect(cycles.map(({ kind, streams }) => `${kind} ${streams.users?.round}`)).toEqual([
    'first_load listing',
    'initial full',
  ]);
  expect(status).toMatch(/first_load, committed|initial, running/);
  expect(status).toMatch(
    /provisional: users come from a quick listing, groups and memberships come from a quick listing; .* until the first full round is committed \(0 pages read\)/,
  );
  expect(stdout, 'what the process clock says').not.toContain('sinceMs');
  const after = await runCli(['status', '--json'], environment);
  expect(JSON.parse(after.stdout).tenants).toMatchObject([{ provisional: false, last_kind: 'initial' }]);
});

test('rule 21: status says that memberships are not read yet while users are shown already', async () => {
  const world = await openWorld({ ...quick, users: 4, groups: 2 });
  const environment = { ...world.simulator.environment(world.tenant.tenantId), DATABASE_URL: world.url };
  let looking: Promise<string> | undefined;
  world.simulator.intercept(async ({ url }) => {
    if (!isMembers(url)) return undefined;
    looking ??= (async () => {
      await expect.poll(async () => (await tenantRow(world))?.provisional, { timeout: 120_000 }).toBe(true);
      return (await runCli(['status'], environment)).stdout;
    })();
    await looking;
    return undefined;
  });
  await world.cycle();
  expect(await looking).toContain(
    'users come from a quick listing, groups and memberships are not shown yet (the members of 2 groups are not read)',
  );
});

describe('not for', () => {
  test.each<[string, (world: World) => Promise<CycleResult>]>([
    [
      'firstLoad: delta',
      async (world) => {
        await setSettings(world.database, { firstLoad: 'delta' });
        return world.cycle();
      },
    ],
    ['a dry run', (world) => world.cycle({ dryRun: true })],
    ['a resync', (world) => world.cycle({ resync: true })],
    [
      'a round that has begun: a listing would be newer than its pages',
      async (world) => {
        await setSettings(world.database, { firstLoad: 'delta' });
        const stop = new AbortController();
        const off = world.simulator.intercept(({ url }) => {
          if (isDelta(url) && url.includes('skiptoken')) stop.abort(interruption());
          return undefined;
        });
        await failureOf(world.cycle({ signal: stop.signal }));
        off();
        await setSettings(world.database, { firstLoad: 'quick' });
        return world.cycle();
      },
    ],
    [
      'a tenant that comes back: its accounts exist',
      async (world) => {
        await world.cycle();
        await disconnectTenant(world.database, world.tenant.tenantId, { actor: 'test', dryRun: false });
        await reconnectTenant(world.database, world.tenant.tenantId, 'test');
        world.simulator.clearRequests();
        return world.cycle();
      },
    ],
  ])('%s', async (_, run) => {
    const world = await openWorld({ ...quick, users: 5, groups: 2 });
    world.simulator.options.pageSize = 2;
    const result = await run(world);
    expect(result.firstLoad).toBeUndefined();
    expect(listed(world).filter(isListing)).toEqual([]);
  });
});

describe('a bad day', () => {
  const once = (hits: (url: string) => boolean) => {
    const met = new Set<string>();
    return ({ url }: InterceptedRequest) => hits(url) && !met.has(url) && met.add(url) !== undefined;
  };

  test.runIf(isDeep)(
    '429 with Retry-After in some items, 424 and 503 in others, and of pages: all of it comes in the end',
    async () => {
      const world = await openWorld({ ...quick, users: 12, groups: 9, largestGroup: 8 });
      world.simulator.options.listPageSize = 3;
      const first = once((url) => isListing(url) || isMembers(url));
      let number = 0;
      world.simulator.intercept((request) => {
        if (!first(request)) return undefined;
        number += 1;
        const retryAfter = { headers: { 'Retry-After': '0.02' }, body: {} };
        const item = isMembers(request.url) && !request.url.includes('skiptoken');
        return [
          { status: 429, ...retryAfter },
          { status: item ? 424 : 500, body: {} },
          { status: 503, ...retryAfter },
          undefined,
        ][number % 4];
      });
      const waits: { throttled: boolean; waitMs: number }[] = [];
      const result = await world.cycle({ onWait: (event) => waits.push(event) });
      expect(toldOf(result)).toEqual({ outcome: 'committed', failures: [] });
      expect(waits.filter((one) => one.throttled).every((one) => one.waitMs >= 20)).toBe(true);
      expect(waits.some((one) => one.throttled)).toBe(true);
      expect(await kindsOf(world, result.cycleId)).toEqual({});
      await expectAllTrue(world);
    },
  );

  test.runIf(isDeep)(
    'a list that stays down, one that is refused and a group that vanishes wait for the round',
    async () => {
      const { world, tenant, group } = await groupsWorld(
        { down: [0, 1], hidden: [1, 2], gone: [0], fine: [0, 3], 'fine too': [2] },
        { ...quick, users: 4 },
      );
      let inRound = false;
      world.simulator.intercept(({ url }) => {
        inRound ||= isDelta(url);
        if (inRound || !isMembers(url)) return undefined;
        if (url.includes(group('gone'))) tenant.deleteGroup(group('gone'));
        if (url.includes(group('hidden'))) return { status: 403, body: {} };
        return url.includes(group('down')) ? { status: 503, body: {} } : undefined;
      });
      beforeTheRound(world, async () => {
        const there = await rows(world.database, 'select display_name as name from directory.groups order by 1');
        expect(there.map((row) => (row as { name: string }).name)).toEqual(['down', 'fine', 'fine too', 'hidden']);
        expect(await rows(world.database, 'select from directory.memberships')).toHaveLength(3);
      });
      const result = await world.cycle();
      expect(result.firstLoad?.streams.groups).toMatchObject({ outcome: 'committed', created: 4, set_aside: 2 });
      expect(await kindsOf(world, result.cycleId)).toEqual({ 'membership.added': 4 });
      // Objects that only the listing found invalid are not set aside.
      expect(await rows(world.database, 'select from directory.set_aside')).toEqual([]);
      await expectAllTrue(world);
    },
  );

  test.each<[string, string, (world: World) => void, string[]]>([
    [
      'groups may not be read',
      'partial',
      ({ simulator }) => {
        simulator.options.roles = ['User.Read.All'];
      },
      ['groups'],
    ],
    [
      'groups are down for longer than the budget',
      'partial',
      ({ simulator }) => {
        simulator.intercept(({ url }) =>
          isMembers(url) ? { status: 429, headers: { 'Retry-After': '9' }, body: {} } : undefined,
        );
      },
      ['groups'],
    ],
    [
      'nothing can be listed',
      'failed',
      ({ simulator }) => {
        simulator.intercept(({ url }) => (isListing(url) ? { status: 403, body: {} } : undefined));
      },
      ['users', 'groups'],
    ],
    [
      'a page links to a foreign host (rule 13)',
      'partial',
      ({ simulator }) => {
        simulator.transform(({ url }, body) =>
          isMembers(url) ? { ...body, '@odata.nextLink': 'https://example.org/v1.0/x' } : body,
        );
      },
      ['groups'],
    ],
    [
      'the links of a member list form a loop (rule 14)',
      'partial',
      ({ simulator }) => {
        simulator.transform(({ url }, body) =>
          isMembers(url) ? { ...body, '@odata.nextLink': `${simulator.origin}${url}` } : body,
        );
      },
      ['groups'],
    ],
    [
      'the links of pages form a loop (rule 14)',
      'failed',
      ({ simulator }) => {
        simulator.transform(({ url }, body) =>
          isListing(url) ? { ...body, '@odata.nextLink': `${simulator.origin}${url}` } : body,
        );
      },
      ['users', 'groups'],
    ],
  ])('%s: the first round reads it', async (_, outcome, spoil, failed) => {
    const world = await openWorld({ ...quick, users: 6, groups: 3 });
    spoil(world);
    // A cycle with a failed stream throws in these tests; the tables show the rest.
    const result = await world.cycle().catch(() => undefined);
    if (result) expect(toldOf(result)).toEqual({ outcome, failures: failed });
    expect((await cyclesOf(world))[0]).toMatchObject({ kind: 'first_load', outcome, error_code: expect.any(String) });
    await expectTruth(world.tenant, world.database);
    if (result) await expectAllTrue(world);
    // Without the right to read groups none were shown, so nothing provisional is left.
    expect(await tenantRow(world)).toMatchObject({ provisional: false });
  });
});

const cuts = Array.from({ length: 7 }, (_, index) => index * 2 + 1);

test.each(rowsOf(cuts, (at) => at === 3 || at === 9))(
  'rule 12: interrupted at request %i, it resumes where it stopped: staged pages are not read again',
  async (at) => {
    const { world } = await groupsWorld(
      { many: [0, 1, 2, 3, 4, 5, 6, 7], more: [0, 2, 4, 6, 7], few: [1], none: [] },
      { ...quick, users: 8 },
    );
    world.simulator.options.listPageSize = 2;
    const stop = new AbortController();
    let number = 0;
    const off = world.simulator.intercept(({ url }) => {
      if (!isListing(url) && !isMembers(url)) return undefined;
      number += 1;
      if (number === at) stop.abort(interruption());
      return number >= at ? { destroy: true } : undefined;
    });
    expect(await failureOf(world.cycle({ signal: stop.signal }))).toMatchObject({ code: 'interrupted' });
    off();
    const open = await rows<{ stream: string; pages: number }>(
      world.database,
      'select stream, pages from entra_sync.rounds',
    );
    const lists = await rows<{ id: string; next: string | null }>(
      world.database,
      'select group_object_id::text as id, next_link as next from entra_sync.stage_lists',
    );
    world.simulator.clearRequests();
    const result = await world.cycle();
    expect(toldOf(result)).toEqual({ outcome: 'committed', failures: [] });
    // 4 pages of users and 2 of groups, less those already shown.
    const left = open.reduce((sum, { stream, pages }) => sum + (stream === 'users' ? 4 : 2) - pages, 0);
    expect(listed(world).filter(isListing)).toHaveLength(left);
    // Nor does a list start over: it resumes, or is done.
    for (const { id, next } of lists) {
      const asked = listed(world).filter((path) => path.includes(id));
      expect(asked[0]).toBe(next?.slice(world.simulator.origin.length));
    }
    expect(await kindsOf(world, result.cycleId)).toEqual({});
    expect((await cyclesOf(world)).map((one) => `${one.kind} ${one.outcome}`)).toEqual([
      'first_load cancelled',
      'first_load committed',
      'initial committed',
    ]);
    await expectAllTrue(world);
  },
);

test.runIf(isDeep)('interrupted between users and groups, it does not list users twice', async () => {
  const world = await openWorld({ ...quick, users: 6, groups: 3 });
  const stop = new AbortController();
  const people = async () => Object.keys(await accountsOf(world.database, world.tenant.tenantId)).length;
  const off = world.simulator.intercept(async ({ url }) => {
    if (!isMembers(url)) return undefined;
    await expect.poll(people).toBe(6);
    stop.abort(interruption());
    return { destroy: true };
  });
  expect(await failureOf(world.cycle({ signal: stop.signal }))).toMatchObject({ code: 'interrupted' });
  off();
  expect(await tenantRow(world)).toMatchObject({ provisional: true });
  world.simulator.clearRequests();
  const result = await world.cycle();
  expect(listed(world).filter(isListing)).toEqual([]);
  expect(Object.keys(result.firstLoad?.streams ?? {})).toEqual(['groups']);
  await expectAllTrue(world);
});

test('rule 17: settings that change during the listing restart it', async () => {
  const world = await openWorld({ ...quick, users: 6, groups: 2 });
  let changed = false;
  world.simulator.intercept(async ({ url }) => {
    if (!url.startsWith('/v1.0/users?') || changed) return undefined;
    changed = true;
    await setSettings(world.database, { fields: { city: null } });
    return undefined;
  });
  const result = await world.cycle();
  expect(toldOf(result)).toEqual({ outcome: 'committed', failures: [] });
  expect(await kindsOf(world, result.cycleId)).toEqual({});
  const shown = Object.values(await accountsOf(world.database, world.tenant.tenantId));
  expect(shown.map(({ profile }) => 'city' in profile)).toEqual(shown.map(() => false));
  await expectGroups(world);
});

test('rules 20, 25: manual accounts are adopted, and no account is suspended before the guard has judged it', async () => {
  const world = await openWorld({ ...quick, users: 12 });
  const { tenant, database } = world;
  await setSettings(database, { removals: { max: 2, percent: 20, floor: 0 } });
  const people = tenant.users();
  for (const { id } of people.slice(0, 6)) tenant.updateUser(id, { accountEnabled: false });
  const made = new Map<string, string>();
  for (const { id, properties } of people.slice(0, 8)) {
    const [row] = await rows<{ id: string }>(
      database,
      'select directory.create_account(:tenant, :profile::jsonb, :actor) as id',
      {
        tenant: tenant.tenantId,
        actor: 'admin',
        profile: JSON.stringify({ userPrincipalName: properties.userPrincipalName }),
      },
    );
    made.set(id, row?.id ?? '');
  }
  const [left] = await rows<{ id: string }>(
    database,
    'select directory.create_account(:tenant, \'{"mail": "nobody@example.org"}\', \'admin\') as id',
    { tenant: tenant.tenantId },
  );
  const result = await world.cycle();
  const kinds = await kindsOf(world, result.firstLoad?.cycleId);
  expect(kinds).toEqual({
    'account.adopted': 8,
    'account.created': 4,
  });
  expect(await kindsOf(world, result.cycleId)).toEqual({ 'removal.held': 6 });
  const now = await accountsOf(database, tenant.tenantId);
  for (const [id, account] of made) expect(now[id]).toMatchObject({ accountId: account, enabled: true });
  const [manual] = await rows(database, 'select state from directory.accounts where account_id = :id', {
    id: left?.id ?? '',
  });
  expect(manual).toEqual({ state: 'manual' });
});

test('a scope by groups is judged on the listed memberships: only to create', async () => {
  const { world, tenant, group, person } = await groupsWorld(
    { all: ['part', 0], part: [1, 2], others: [3, 4] },
    { ...quick, users: 6 },
  );
  await setSettings(world.database, { scope: { userType: 'any', groups: [group('all')] } });
  const inScope = [0, 1, 2].map(person).sort();
  beforeTheRound(world, async () => {
    expect(Object.keys(await accountsOf(world.database, tenant.tenantId)).sort()).toEqual(inScope);
    // The round removes accounts that leave the scope, as always.
    tenant.removeMember(group('part'), person(2));
  });
  const result = await world.cycle();
  expect(await kindsOf(world, result.firstLoad?.cycleId)).toMatchObject({ 'account.created': 3 });
  await approveAll(world.database, tenant.tenantId, () => world.cycle());
  expect(Object.keys(await accountsOf(world.database, tenant.tenantId)).sort()).toEqual([0, 1].map(person).sort());
});

test.runIf(isDeep)('if the scope groups cannot be listed no user is shown early', async () => {
  const { world, tenant, group } = await groupsWorld({ all: [0] }, { ...quick, users: 2 });
  await setSettings(world.database, { scope: { userType: 'any', groups: [group('all')] } });
  const off = world.simulator.intercept(({ url }) => (isMembers(url) ? { status: 500, body: {} } : undefined));
  beforeTheRound(world, async () => {
    off();
    expect(await accountsOf(world.database, tenant.tenantId)).toEqual({});
  });
  expect(toldOf(await world.cycle())).toEqual({ outcome: 'failed', failures: ['users', 'groups'] });
  expect(Object.keys(await accountsOf(world.database, tenant.tenantId))).toHaveLength(1);
});

test('delta may lag behind a listing: a user that the round does not show is asked for before the sweep', async () => {
  const world = await openWorld({ ...quick, users: 4, groups: 2 });
  const { tenant, simulator, database } = world;
  const late = new Set([tenant.users()[1]?.id, tenant.groups()[0]?.id]);
  const leaver = tenant.users()[2]?.id ?? '';
  simulator.transform(({ url }, body) =>
    isDelta(url)
      ? {
          ...body,
          value: (body as { value: { id: string }[] }).value.filter(({ id }) => !late.has(id) && id !== leaver),
        }
      : body,
  );
  beforeTheRound(world, async () => tenant.purgeUser(leaver));
  const result = await world.cycle();
  expect(await kindsOf(world, result.cycleId)).toMatchObject({ 'account.removed': 1 });
  await expectTruth(tenant, database);
  await expectGroups(world);
});

test.runIf(isDeep)('sync --user beside it: the first load keeps the account that it created', async () => {
  const world = await openWorld({ ...quick, users: 3 });
  await personOf(world, world.tenant.users()[0]?.id ?? '');
  const result = await world.cycle();
  expect(await kindsOf(world, result.firstLoad?.cycleId)).toEqual({ 'account.created': 2 });
  await expectAllTrue(world);
});

test.runIf(isDeep)('the log of a first load names the tenant', async () => {
  const world = await openWorld({ name: 'Contoso' });
  await setSettings(world.database, { firstLoad: 'quick' });
  const { log, text } = bufferLog();
  await world.cycle({ log });
  for (const line of ['first load started', 'first load finished'])
    expect(text()).toMatch(new RegExp(`"tenant":"Contoso".*"msg":"${line}"`));
});
