// Rules 1, 2, 11 and 12 at every statement: a cycle whose connection, or whose network, breaks before, in or after each
// statement that writes; and one that sleeps there past its lease. The next cycle reaches the truth.
import { expect, test } from 'vitest';
import { ExpectedError } from '../../../src/errors.ts';
import type { Tenant } from '../../../src/simulator/index.ts';
import { describeDatabaseError, openDatabase, rows } from '../../../src/store/database/pool.ts';
import {
  type BreakablePath,
  type Breakage,
  type Moment,
  moments,
  openBreakablePath,
  type PassingStatement,
} from '../../support/cut-connection.ts';
import { isDeep, isSweep } from '../../support/deep.ts';
import { groupsSeen, groupTruth } from '../../support/groups-truth.ts';
import { unified } from '../../support/groups-world.ts';
import { expectSound } from '../../support/soundness.ts';
import { until } from '../../support/stage.ts';
import { type CycleWishes, expectTruth, openWorld, type World } from '../../support/system.ts';

/** `SWEEP=all` breaks each statement in each way; the deep run each text in one of the ways, by turns; `npm test` one in six. */
const everyWay = isSweep;

const everyTime = everyWay ? 3_600_000 : undefined;

type Turns = { world: World; path: BreakablePath; turn: number };

async function openTurns(): Promise<Turns> {
  const world = await openWorld({ users: 14, groups: 5, simulator: { pageSize: 6 } });
  const path = await openBreakablePath(world.url);
  await world.cycle();
  const turns = { world, path, turn: 0 };
  for (let n = 0; n < 3; n += 1) {
    await change(turns);
    await world.cycle();
  }
  return turns;
}

const at = <Item>(items: readonly Item[], index: number): Item => items[index % items.length] as Item;

/** Makes one more day of the tenant: users come, change, leave, come back, expire. */
async function change(turns: Turns): Promise<void> {
  const { tenant, database } = turns.world;
  turns.turn += 1;
  const { turn } = turns;
  const [users, groups] = [tenant.users(), tenant.groups()];
  tenant.updateUser(at(users, turn * 3).id, { jobTitle: `Title ${turn}`, accountEnabled: turn % 2 === 0 });
  changeMembers(tenant, turn);
  tenant.updateGroup(at(groups, turn).id, { displayName: `Group ${turn}` });
  const left = at(users, turn * 5).id;
  const [back, expired] = tenant.deletedUsers().map(({ id }) => id);
  tenant.deleteUser(left);
  if (back !== undefined && turn % 2 === 0) tenant.restoreUser(back);
  else if (back !== undefined)
    await database.raw(
      'update entra_sync.accounts set purge_at = now() where entra_object_id = ? and removed_at is not null',
      [expired ?? back],
    );
  const team = tenant.createGroup({ displayName: `Team ${turn}`, ...unified });
  tenant.addMember(team, at(tenant.users(), turn + 1).id);
  if (groups.length > 6) tenant.deleteGroup(at(groups, turn * 2).id);
}

function changeMembers(tenant: Tenant, turn: number): void {
  const groups = tenant.groups();
  tenant.addMember(at(groups, turn).id, tenant.createUser());
  const [member] = at(groups, turn + 1).members.keys();
  if (member !== undefined) tenant.removeMember(at(groups, turn + 1).id, member);
  tenant.addMember(at(groups, turn).id, at(groups, turn + 2).id);
}

type Point = PassingStatement & { moment: Moment; breakage: Breakage };

const writes = (sql: string) =>
  !/^select(?! set_config)/.test(sql.trim()) || /for (no key )?update|for (key )?share/.test(sql);

/** Returns the statements of such a cycle that write, or belong to a writing transaction, in order. */
async function statementsOf(turns: Turns, wishes: CycleWishes): Promise<PassingStatement[]> {
  const seen: PassingStatement[] = [];
  await change(turns);
  turns.path.watch((statement, moment) => {
    if (moment === 'before' && writes(statement.sql)) seen.push(statement);
    return undefined;
  });
  await cycleThrough(turns, wishes);
  turns.path.mend();
  await expectWhole(turns);
  return seen;
}

async function cycleThrough({ world, path }: Turns, wishes: CycleWishes) {
  const through = openDatabase(path.url, { applicationName: 'through' });
  try {
    return await world.cycle({ ...wishes, through });
  } finally {
    await through.destroy();
  }
}

/** The tables are the tenant's truth, the feed rebuilds them, and nothing is left half done. */
async function expectWhole({ world: { tenant, database } }: Turns): Promise<void> {
  await expectTruth(tenant, database);
  expect(await groupsSeen(database, tenant.tenantId)).toEqual(groupTruth(tenant));
  await expectSound(database, tenant.tenantId);
  expect(await rows(database, "select from entra_sync.cycles where outcome = 'running'")).toEqual([]);
  expect(await rows(database, 'select from entra_sync.rounds')).toEqual([]);
}

const codeOf = (error: unknown): string => {
  const described = describeDatabaseError(error);
  return described instanceof ExpectedError ? described.code : `a defect: ${String(described)}`;
};

const ended = (work: Promise<unknown>): Promise<string> => work.then(() => 'done', codeOf);

/** The next cycle, tried until the server has seen that the connections of the one before are gone. */
async function nextCycle(turns: Turns): Promise<void> {
  const { database, cycle } = turns.world;
  // The interrupted cycle ran in this process, so its lease still looks alive.
  await database.raw('update entra_sync.heartbeats set expires_at = clock_timestamp()');
  const end = await ended(cycle());
  if (end === 'cycle_running') return nextCycle(turns);
  expect(end).toBe('done');
}

async function breakAt(turns: Turns, point: Point, wishes: CycleWishes): Promise<string> {
  await change(turns);
  let broken = false;
  turns.path.watch(
    ({ sql, occurrence }, moment) => {
      if (broken || sql !== point.sql || occurrence !== point.occurrence || moment !== point.moment) return undefined;
      broken = true;
      return point.breakage;
    },
    // Checks the outcome of a commit for some seconds; everything else gives up at once, like a dead process.
    point.sql === 'COMMIT;' ? 3 : undefined,
  );
  const end = await ended(cycleThrough(turns, wishes));
  turns.path.mend();
  // A cycle that reports success has succeeded.
  if (end === 'done') await expectWhole(turns);
  else expect(end).toBe('database_unreachable');
  await nextCycle(turns);
  await expectWhole(turns);
  return broken ? end : 'not met';
}

const ways = moments.flatMap((moment) =>
  (['connection', 'network'] as const).map((breakage) => ({ moment, breakage })),
);

/** Each text once, and each COMMIT; one in six of these without the deep run. */
function chosen(statements: readonly PassingStatement[], known: Set<string>): PassingStatement[] {
  const texts = statements.filter(({ sql }) => {
    const fresh = everyWay || sql === 'COMMIT;' || !known.has(sql);
    known.add(sql);
    return fresh;
  });
  return everyWay || isDeep ? texts : texts.filter((_, k) => k % 6 === 0);
}

/** Names the statement of a failure. */
async function named<Answer>(point: Point, work: Promise<Answer>): Promise<Answer> {
  return work.catch((error: unknown) => {
    const { moment, occurrence, sql } = point;
    throw new Error(`${moment} statement ${occurrence} of: ${sql.slice(0, 200)}`, { cause: error });
  });
}

const seen = new Set<string>();

test.each([
  { what: 'an incremental cycle', wishes: {} },
  { what: 'a full cycle', wishes: { resync: true } },
])(
  'rules 1, 2 and 12: $what breaks before, in and after each statement that writes',
  async ({ wishes }) => {
    const turns = await openTurns();
    const statements = chosen(await statementsOf(turns, wishes), seen);
    const points = statements.flatMap((statement, k) =>
      everyWay ? ways.map((way) => ({ ...statement, ...way })) : [{ ...statement, ...at(ways, k) }],
    );
    let met = 0;
    for (const point of points) met += (await named(point, breakAt(turns, point, wishes))) === 'not met' ? 0 : 1;
    expect(met, 'most cycles come by the statement').toBeGreaterThan(points.length * 0.7);
    await turns.path.close();
  },
  everyTime,
);

const waitsForSleeper = `
select from pg_stat_activity waiting join pg_stat_activity sleeper on sleeper.pid = any(pg_blocking_pids(waiting.pid))
 where waiting.datname = current_database() and sleeper.application_name = 'through' and waiting.application_name <> 'through'`;

/** Sleeps at the point until another worker has taken over, was refused, or waits for the sleeper's locks. */
async function sleepAt(turns: Turns, point: Point): Promise<void> {
  const { world, path } = turns;
  const { database, cycle } = world;
  await change(turns);
  const [asleep, wake] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  path.watch(async ({ sql, occurrence }, moment) => {
    if (sql !== point.sql || occurrence !== point.occurrence || moment !== point.moment) return undefined;
    asleep.resolve();
    await wake.promise;
    return undefined;
  });
  const sleeper = ended(cycleThrough(turns, {}));
  await Promise.race([asleep.promise, sleeper]);
  const [before] = await cyclesOf(turns);
  await database.raw('update entra_sync.heartbeats set expires_at = clock_timestamp()');
  let settled = false;
  const other = ended(cycle()).finally(() => {
    settled = true;
  });
  await until('the other has ended or waits', async () => {
    return settled || (await rows(database, waitsForSleeper)).length > 0;
  });
  wake.resolve();
  const ends = [await sleeper, await other];
  path.mend();
  if (ends[1] === 'cycle_running') expect(ends).toEqual(['done', 'cycle_running']);
  else {
    expect(ends[1]).toBe('done');
    expect(['done', 'lease_lost', 'round_changed']).toContain(ends[0]);
    // Only a cycle that had closed its row before the other came has succeeded.
    const closed = (await cyclesOf(turns)).find((one) => one.cycle_id === before?.cycle_id);
    if (ends[0] === 'done') expect(closed).toMatchObject({ outcome: 'committed' });
  }
  await nextCycle(turns);
  await expectWhole(turns);
}

const cyclesOf = ({ world }: Turns) =>
  rows<{ cycle_id: string; outcome: string }>(
    world.database,
    'select cycle_id, outcome from entra_sync.cycles order by cycle_id desc',
  );

test(
  'rule 11: a worker that sleeps past its lease at any statement wakes up and may do nothing, or no other worker may until it is done',
  async () => {
    const turns = await openTurns();
    const statements = chosen(await statementsOf(turns, {}), new Set());
    const some = everyWay ? statements : statements.filter((_, k) => k % 4 === 0);
    for (const [k, statement] of some.entries()) {
      const point = { ...statement, moment: at(moments, k), breakage: 'connection' } as const;
      await named(point, sleepAt(turns, point));
    }
    await turns.path.close();
  },
  everyTime,
);
