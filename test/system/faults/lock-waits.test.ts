// A whole cycle beside a session that forgot its transaction: how it ends, what others do during it, and how the next one resumes.
import { expect, test } from 'vitest';
import { exitCodeOf } from '../../../src/errors.ts';
import { openDatabase, rows } from '../../../src/store/database/pool.ts';
import { isDeep } from '../../support/deep.ts';
import { accountsOf, expectTruth, failureOf, openWorld } from '../../support/system.ts';

// Between two attempts of the users, the groups get their turn.
const soon = { eachMs: 200, forMs: 1_000, pauseMs: 100 } as const;

test('rule 11: a cycle whose users are locked by a forgotten session ends and names it, the groups are committed, and the next cycle resumes', async ({
  onTestFinished,
}) => {
  const world = await openWorld({ groups: 2 });
  await world.cycle();
  const [person] = Object.entries(await accountsOf(world.database, world.tenant.tenantId));
  if (!person) throw new Error('the tenant has no account');
  const [objectId, { accountId }] = person;
  world.tenant.updateUser(objectId, { jobTitle: 'Captain' });
  const forgetful = openDatabase(world.url, { applicationName: 'forgetful' });
  const impatient = openDatabase(world.url, { waits: soon });
  const session = await forgetful.transaction();
  onTestFinished(async () => {
    if (!session.isCompleted()) await session.rollback();
    await Promise.all([forgetful.destroy(), impatient.destroy()]);
  });
  const [{ pid } = { pid: 0 }] = await rows<{ pid: number }>(session, 'select pg_backend_pid() as pid');
  await session.raw('select from entra_sync.accounts where account_id = ? for update', [accountId]);
  const failure = await failureOf(world.cycle({ through: impatient }));
  expect(failure).toMatchObject({ code: 'database_locked', message: expect.stringContaining(`held by pid ${pid} (`) });
  expect(exitCodeOf(failure)).toBe(7);
  expect(
    await rows(
      world.database,
      'select outcome, error_code, error_message from entra_sync.cycles order by cycle_id desc limit 1',
    ),
  ).toEqual([
    { outcome: 'partial', error_code: 'database_locked', error_message: expect.stringContaining(`pid ${pid} (`) },
  ]);
  await session.rollback();
  world.simulator.clearRequests();
  await world.cycle({ through: impatient });
  expect(world.deltaRequests().filter((path) => path.includes('users'))).toEqual([]);
  await expectTruth(world.tenant, world.database, []);
});

test.runIf(isDeep)(
  'rule 11: a cycle of a tenant that a forgotten session holds whole ends before Graph is asked, and names it',
  async ({ onTestFinished }) => {
    const world = await openWorld();
    const forgetful = openDatabase(world.url, { applicationName: 'forgetful' });
    const impatient = openDatabase(world.url, { waits: soon });
    const session = await forgetful.transaction();
    onTestFinished(async () => {
      if (!session.isCompleted()) await session.rollback();
      await Promise.all([forgetful.destroy(), impatient.destroy()]);
    });
    await session.raw('select from entra_sync.tenants for update');
    expect(await failureOf(world.cycle({ through: impatient }))).toMatchObject({
      code: 'database_locked',
      message: expect.stringContaining('application "forgetful"'),
    });
    expect(world.deltaRequests()).toEqual([]);
    await session.rollback();
    await world.cycle({ through: impatient });
    await expectTruth(world.tenant, world.database);
  },
);
