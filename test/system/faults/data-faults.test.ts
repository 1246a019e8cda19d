// Data that the database refuses (rules 12 and 19). No decoded value should fail a statement. If one
// does, its round is dropped and read again, and then the culprits are set aside.
import { describe, expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { isDeep, rowsOf } from '../../support/deep.ts';
import { expectGroups, groupsWorld } from '../../support/groups-world.ts';
import { expectTruth, isDeltaRequest, openWorld, personOf, type World } from '../../support/system.ts';

const asideOf = ({ database }: World) =>
  rows<{ id: string; reason: string }>(
    database,
    'select entra_object_id as id, reason from directory.set_aside order by 1',
  );
const roundsOf = ({ database }: World) => rows(database, 'select stream, kind from entra_sync.rounds');
const checkpointsOf = ({ database }: World) =>
  rows(database, "select delta_link from entra_sync.checkpoints where stream = 'users'");
const faultsOf = ({ database }: World) =>
  rows(database, 'select stream, failures, state from entra_sync.data_faults order by 1');

/** Adds a check that the schema does not have, to stand for an unforeseen fault. */
async function addHole(
  { database }: World,
  table: string,
  condition: string,
  name = 'hole',
): Promise<() => Promise<void>> {
  await database.raw(`alter table entra_sync.${table} add constraint ${name} check (${condition})`);
  return async () => {
    await database.raw(`alter table entra_sync.${table} drop constraint ${name}`);
  };
}

const userOf = ({ tenant }: World, place: number) => tenant.users()[place]?.id ?? '';

// A refusal by the database is not an ExpectedError.
const sqlStateOf = (work: Promise<unknown>) =>
  work.then(
    () => 'no failure',
    (error: { code?: string }) => error.code,
  );

// Looks random: text that can be compressed would fit into an index.
function letters(length: number): string {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return String.fromCharCode(97 + Math.floor((state / 2 ** 32) * 26));
  };
  return Array.from({ length }, next).join('');
}

test('rule 19: a mail of 2,700 letters sets one user aside in each way of reading, and the others are committed', async () => {
  const world = await openWorld();
  const id = userOf(world, 3);
  const heal = world.simulator.transform(({ url }, body) => {
    const { value } = body as { value?: { id: string }[] };
    const odd = { mail: letters(2_700) };
    if (value === undefined) return url.includes(id) ? { ...body, ...odd } : body;
    return { ...body, value: value.map((one) => (one.id === id ? { ...one, ...odd } : one)) };
  });
  expect((await world.cycle()).streams.users).toMatchObject({ created: 11, set_aside: 1 });
  expect(await asideOf(world)).toEqual([{ id, reason: 'mail has 2700 characters, more than 320' }]);
  expect(await personOf(world, id)).toMatchObject({ verdict: 'set_aside' });
  expect((await world.cycle({ resync: true })).streams.users).toMatchObject({ set_aside: 1, removed: 0 });
  heal();
  expect((await world.cycle()).streams.users).toMatchObject({ created: 1, set_aside: 0 });
  await expectTruth(world.tenant, world.database, []);
});

describe('rule 12: a round whose commit the database refuses for its data', () => {
  test.runIf(isDeep)(
    'is dropped with the checkpoint where it was, and read again: the user is valid by then',
    async () => {
      const world = await openWorld();
      await world.cycle();
      const before = await checkpointsOf(world);
      await addHole(world, 'accounts', "mail <> 'poison@example.com'");
      const id = userOf(world, 3);
      world.tenant.updateUser(id, { mail: 'poison@example.com' });
      world.tenant.updateUser(userOf(world, 4), { jobTitle: 'Clerk of works' });
      expect(await sqlStateOf(world.cycle())).toBe('23514');
      expect(await roundsOf(world)).toEqual([]);
      expect(await checkpointsOf(world)).toEqual(before);
      expect(await faultsOf(world)).toEqual([{ stream: 'users', failures: 1, state: '23514' }]);
      world.tenant.updateUser(id, { mail: 'mended@example.com' });
      expect((await world.cycle()).streams.users).toMatchObject({ updated: 2, set_aside: 0 });
      await expectTruth(world.tenant, world.database, []);
      expect(await faultsOf(world)).toEqual([]);
    },
  );

  test.runIf(isDeep)(
    'reports the reason if the refusal cannot be stored: a note that fails in each cycle would stop the stream for ever',
    async () => {
      const world = await openWorld();
      await world.cycle();
      await addHole(world, 'accounts', "mail <> 'poison@example.com'");
      world.tenant.updateUser(userOf(world, 3), { mail: 'poison@example.com' });
      await world.database.raw('alter table entra_sync.data_faults rename column noted_at to noted');
      expect(await sqlStateOf(world.cycle())).toBe('42703');
      await world.database.raw('alter table entra_sync.data_faults rename column noted to noted_at');
      expect(await sqlStateOf(world.cycle())).toBe('23514');
      expect(await faultsOf(world)).toMatchObject([{ failures: 1 }]);
    },
  );

  test('fails once: the second cycle finds the culprits and commits the others, and so does each later one', async () => {
    const world = await openWorld({ users: 40 });
    const bad = [userOf(world, 3), userOf(world, 20), userOf(world, 21)].sort();
    for (const id of bad) world.tenant.updateUser(id, { jobTitle: 'poison' });
    const mend = await addHole(world, 'accounts', "mapped ->> 'jobTitle' is distinct from 'poison'");
    expect(await sqlStateOf(world.cycle())).toBe('23514');
    expect((await world.cycle()).streams.users).toMatchObject({ created: 37, set_aside: 3 });
    const aside = bad.map((id) => ({ id, reason: 'the database does not take it: SQLSTATE 23514 at hole' }));
    expect(await asideOf(world)).toEqual(aside);
    world.tenant.updateUser(userOf(world, 5), { jobTitle: 'Clerk of works' });
    expect((await world.cycle()).streams.users).toMatchObject({ updated: 1, set_aside: 3 });
    expect((await world.cycle({ resync: true })).streams.users).toMatchObject({ removed: 0, set_aside: 3 });
    expect(await asideOf(world)).toEqual(aside);
    await mend();
    expect((await world.cycle()).streams.users).toMatchObject({ created: 3, set_aside: 0 });
    await expectTruth(world.tenant, world.database, []);
    expect(await faultsOf(world)).toEqual([]);
  });

  test('a user that the database refuses to remove is set aside, and the others are removed', async () => {
    const world = await openWorld();
    await world.cycle();
    const [kept = '', ...others] = [3, 4, 5].map((place) => userOf(world, place));
    const mend = await addHole(world, 'accounts', `entra_object_id <> '${kept}' or removed_at is null`);
    // Not met by a full round, as well as reported by a later one.
    world.tenant.deleteUser(kept);
    for (const [place, wishes] of [{}, { resync: true }].entries()) {
      world.tenant.deleteUser(others[place] ?? '');
      await world.cycle(wishes).catch(() => {});
      expect((await world.cycle(wishes)).outcome).toBe('committed');
      expect(await asideOf(world)).toEqual([{ id: kept, reason: expect.stringContaining('23514') }]);
    }
    await mend();
    await world.cycle({ resync: true });
    await expectTruth(world.tenant, world.database, [kept, ...others]);
  });

  test('if two objects fail only together, one is set aside', async () => {
    const world = await openWorld();
    world.tenant.updateUser(userOf(world, 2), { jobTitle: 'the only one' });
    world.tenant.updateUser(userOf(world, 9), { jobTitle: 'the only one' });
    await world.database.raw(
      "create unique index only_one on entra_sync.accounts ((mapped ->> 'jobTitle')) where mapped ->> 'jobTitle' = 'the only one'",
    );
    expect(await sqlStateOf(world.cycle())).toBe('23505');
    expect((await world.cycle()).streams.users).toMatchObject({ created: 11, set_aside: 1 });
    expect(await asideOf(world)).toMatchObject([{ reason: expect.stringContaining('SQLSTATE 23505 at only_one') }]);
  });

  test.runIf(isDeep)(
    'without a culprit it is a defect each time, and the first cycle after the fault heals',
    async () => {
      const world = await openWorld();
      const mend = await addHole(world, 'checkpoints', "stream <> 'users'");
      for (const failures of [1, 2]) {
        expect(await sqlStateOf(world.cycle())).toBe('23514');
        expect(await faultsOf(world)).toEqual([{ stream: 'users', failures, state: '23514' }]);
        expect(await roundsOf(world)).toEqual([]);
      }
      await mend();
      await world.cycle();
      await expectTruth(world.tenant, world.database, []);
      expect(await faultsOf(world)).toEqual([]);
    },
  );

  const causes = rowsOf(['57014', '53100'], (_, n) => n === 0);

  test.each(causes)('stays if the cause is temporary and not the data (%s)', async (state) => {
    const world = await openWorld();
    await raiseAtCheckpoint(world, state);
    for (const _ of [1, 2]) {
      expect(await world.cycle().then(String, () => 'failed')).toBe('failed');
      expect(await roundsOf(world)).toMatchObject([{ stream: 'users' }]);
      expect(await faultsOf(world)).toEqual([]);
    }
  });

  test.runIf(isDeep)('a dry run reports at once what would be set aside, and stores nothing', async () => {
    const world = await openWorld();
    world.tenant.updateUser(userOf(world, 3), { jobTitle: 'poison' });
    await addHole(world, 'accounts', "mapped ->> 'jobTitle' is distinct from 'poison'");
    expect((await world.cycle({ dryRun: true })).streams.users).toMatchObject({ created: 11, set_aside: 1 });
    expect(await faultsOf(world)).toEqual([]);
    expect(await asideOf(world)).toEqual([]);
  });
});

async function raiseAtCheckpoint({ database }: World, state: string): Promise<void> {
  await database.raw(`create function entra_sync.fail() returns trigger language plpgsql as $$
    begin raise exception using errcode = '${state}', message = 'not now'; end $$`);
  await database.raw(
    "create trigger fail before insert on entra_sync.checkpoints for each row when (new.stream = 'users') execute function entra_sync.fail()",
  );
}

describe('rule 19: data that the database refuses before the commit', () => {
  test.each(rowsOf(['full', 'incremental'], (_, n) => n === 1))(
    'a page of users that cannot be staged (%s round)',
    async (kind) => {
      const world = await openWorld({ simulator: { pageSize: 5 } });
      if (kind === 'incremental') await world.cycle();
      const id = userOf(world, 3);
      for (const place of [2, 3, 4])
        world.tenant.updateUser(userOf(world, place), { jobTitle: place === 3 ? 'poison' : 'Clerk' });
      const mend = await addHole(world, 'stage_users', "source ->> 'jobTitle' is distinct from 'poison'");
      expect(await sqlStateOf(world.cycle())).toBe('23514');
      expect(await roundsOf(world)).toEqual([]);
      expect((await world.cycle()).streams.users).toMatchObject({ set_aside: 1 });
      expect(await asideOf(world)).toEqual([{ id, reason: 'the database does not take it: SQLSTATE 23514 at hole' }]);
      // Read by GET, and refused by the stage too.
      expect((await world.cycle()).streams.users).toMatchObject({ set_aside: 1 });
      await mend();
      await world.cycle();
      await expectTruth(world.tenant, world.database, []);
      expect(await faultsOf(world)).toEqual([]);
    },
  );

  test('a user read on demand is set aside at once', async () => {
    const world = await openWorld();
    await world.cycle();
    const id = userOf(world, 3);
    world.tenant.updateUser(id, { jobTitle: 'poison' });
    await addHole(world, 'accounts', "mapped ->> 'jobTitle' is distinct from 'poison'");
    const reason = 'the database does not take it: SQLSTATE 23514 at hole';
    expect(await personOf(world, id, { dryRun: true })).toMatchObject({ verdict: 'set_aside', reason });
    expect(await asideOf(world)).toEqual([]);
    expect(await personOf(world, id)).toMatchObject({ verdict: 'set_aside', reason });
    expect(await asideOf(world)).toEqual([{ id, reason }]);
  });

  test.each(rowsOf(['accounts', 'stage_users'], (_, n) => n === 0))(
    'the listing of a quick first load shows the others (%s)',
    async (table) => {
      const world = await openWorld({ firstLoad: 'quick' });
      world.tenant.updateUser(userOf(world, 3), { jobTitle: 'poison' });
      const column = table === 'accounts' ? 'mapped' : 'source';
      await addHole(world, table, `${column} ->> 'jobTitle' is distinct from 'poison'`);
      expect(await sqlStateOf(world.cycle())).toBe('23514');
      expect(await rows(world.database, 'select count(*)::int as live from directory.accounts')).toEqual([
        { live: 11 },
      ]);
      expect((await world.cycle()).streams.users).toMatchObject({ set_aside: 1 });
    },
  );
});

describe('rule 19: groups and members that the database refuses', () => {
  const world3 = (options: Parameters<typeof groupsWorld>[1] = {}) =>
    groupsWorld({ Blue: [0, 1, 2], Green: [3, 4, 'Blue'], Poison: [5, 6] }, options);

  test.each(rowsOf(['groups', 'stage_groups'], (_, n) => n === 0))('a group (%s)', async (table) => {
    const { world, group } = await world3();
    const mend = await addHole(world, table, "display_name is distinct from 'Poison'");
    expect(await sqlStateOf(world.cycle())).toBe('23514');
    expect((await world.cycle()).streams.groups).toMatchObject({ created: 2, set_aside: 1 });
    expect(await asideOf(world)).toMatchObject([
      { id: group('Poison'), reason: expect.stringContaining('23514 at hole') },
    ]);
    expect((await world.cycle()).streams.groups).toMatchObject({ set_aside: 1 });
    await mend();
    expect((await world.cycle()).streams.groups).toMatchObject({ created: 1, set_aside: 0 });
    await expectGroups(world);
  });

  const places = [
    ['first round', 'member_groups', 'delta'],
    ['later round', 'member_groups', 'delta'],
    ['later round', 'stage_members', 'delta'],
    ['listing', 'stage_members', 'quick'],
  ] as const;

  test.each(rowsOf(places, (_, n) => n % 2 === 0))(
    'the members of a group (%s, %s)',
    async (when, table, firstLoad) => {
      const { world, tenant, group, person } = await world3({ firstLoad });
      if (when === 'later round') await world.cycle();
      tenant.addMember(group('Poison'), person(9));
      const mend = await addHole(world, table, `member_object_id <> '${person(9)}'`);
      expect(await sqlStateOf(world.cycle())).toBe('23514');
      // A listing sets nothing aside, and shows the others.
      if (when === 'listing') expect(await rows(world.database, 'select from directory.groups')).toHaveLength(3);
      expect((await world.cycle()).streams.groups).toMatchObject({ set_aside: 1, memberships_removed: 0 });
      expect(await asideOf(world)).toMatchObject([{ id: `${group('Poison')}/members` }]);
      expect((await world.cycle()).streams.groups).toMatchObject({ set_aside: 1, memberships_removed: 0 });
      expect((await world.cycle({ resync: true })).streams.groups).toMatchObject({
        set_aside: 1,
        memberships_removed: 0,
      });
      await mend();
      expect((await world.cycle()).streams.groups).toMatchObject({ set_aside: 0 });
      await expectGroups(world);
      expect(await faultsOf(world)).toEqual([]);
    },
  );
});

test.runIf(isDeep)('rule 19: a slice that cannot be staged leads to a read of the whole list', async () => {
  const { world, tenant, group, person } = await groupsWorld({ Blue: [0, 1, 2], Poison: [5, 6] });
  await world.cycle();
  tenant.addMember(group('Poison'), person(9));
  await addHole(world, 'stage_slices', `not ('${person(9)}' = any(members))`);
  expect(await sqlStateOf(world.cycle())).toBe('23514');
  expect((await world.cycle()).streams.groups).toMatchObject({ set_aside: 0, memberships_added: 1 });
  await expectGroups(world);
});

test('rule 19: a link of a member list that the database cannot store as text is a failed page', async () => {
  const { world } = await groupsWorld({ Blue: [0, 1, 2] }, { firstLoad: 'quick' });
  world.simulator.transform(({ url }, body) =>
    url.includes('/members') && !isDeltaRequest(url)
      ? { ...body, '@odata.nextLink': `${world.simulator.origin}/v1.0/x?\0` }
      : body,
  );
  const { firstLoad } = await world.cycle();
  expect(firstLoad?.streams.groups).toMatchObject({ outcome: 'failed', reason: 'graph_unavailable' });
  await expectGroups(world);
});
