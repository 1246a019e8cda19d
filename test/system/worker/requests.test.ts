// Requests of people and applications to the worker: pause, resume, retry, and on-demand reads from SQL.
import { expect, onTestFinished, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { expectOneLine, runCli } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { closeGate, endRests, openFleet, stopWorker, until, untilCycles, untilPlanned } from '../../support/fleet.ts';
import { accountsOf, expectTruth } from '../../support/system.ts';

// Processes start slowly on a busy machine. Waits within the test are much shorter.
test('directory.request_cycle: a user or a whole tenant is read long before it is due, with the requester as the actor', async () => {
  const fleet = await openFleet({ count: 1, users: 4 });
  const { database } = fleet;
  const [tenant] = fleet.tenants;
  if (!tenant) throw new Error('no tenant');
  const worker = fleet.worker();
  await untilCycles(fleet, 1);
  const [user, other] = tenant.users();
  if (!user || !other) throw new Error('no users');
  tenant.updateUser(user.id, { jobTitle: 'Asked for' });
  tenant.updateUser(other.id, { jobTitle: 'Nobody asked' });
  const account = (await accountsOf(database, tenant.tenantId))[user.id];
  await database.raw("select directory.request_cycle(:tenant, :account, 'ann')", {
    tenant: tenant.tenantId,
    account: account?.accountId,
  });
  const titleOf = async (id: string) => (await accountsOf(database, tenant.tenantId))[id]?.profile.jobTitle;
  await until('the user is read', async () => (await titleOf(user.id)) === 'Asked for');
  expect(await titleOf(other.id)).not.toBe('Nobody asked');
  expect(await rows(database, "select actor, outcome from entra_sync.cycles where kind = 'on_demand'")).toEqual([
    { actor: 'ann', outcome: 'committed' },
  ]);
  // Like an application's edit: the worker numbers its batch.
  await database.raw('insert into entra_sync.batches (tenant_id) values (?)', [tenant.tenantId]);
  const unnumbered = () => rows(database, 'select from entra_sync.batches where number is null');
  await until('the batch has a number', async () => (await unnumbered()).length === 0);
  // Between two cycles: an assignment begins, and a slot of all tenants gets another item.
  const given = { tenant: tenant.tenantId, soon: "now() + interval '500 milliseconds'" };
  await database.raw(
    `select directory.put_slot(null, 'banner', 1, null, 'ann');
     select directory.put_item(null, 'banner', 'spring', null, null, 'ann');
     select directory.assign('${given.tenant}', 'banner', 'spring', '{"everyone": true}', jsonb_build_object('starts_at', ${given.soon}), 'ann')`,
  );
  const assigned = () => rows(database, 'select from directory.assigned');
  await until('the assignment has begun', async () => (await assigned()).length === 4);
  await endRests(database);
  await database.raw("select directory.request_cycle(?, null, 'bob')", [tenant.tenantId]);
  await untilCycles(fleet, 2);
  await expectTruth(tenant, database);
  expect((await fleet.cycles()).map((cycle) => cycle.actor)).toEqual(['worker', 'bob']);
  await until(
    'no request is left',
    async () => (await rows(database, 'select from entra_sync.cycle_requests')).length === 0,
  );
  await untilPlanned(fleet);
  expect(await fleet.cycles()).toHaveLength(2);
  expect((await stopWorker(worker)).code).toBe(0);
});

test.runIf(isDeep)(
  'a user is read at once, though Graph hangs for a user of another tenant; a stop waits for neither',
  async () => {
    const fleet = await openFleet({ count: 2, users: 2 });
    const { database } = fleet;
    const [hanging, other] = fleet.tenants;
    if (!hanging || !other) throw new Error('two tenants');
    const worker = fleet.worker();
    await untilCycles(fleet, 2);
    const gate = closeGate(fleet.simulator, ({ tenantId }) => tenantId === hanging.tenantId);
    onTestFinished(gate.open);
    const ask = async (tenantId: string) => {
      const account = Object.values(await accountsOf(database, tenantId))[0]?.accountId;
      await database.raw("select directory.request_cycle(:tenantId, :account, 'ann')", { tenantId, account });
    };
    await ask(hanging.tenantId);
    await until('one request hangs', () => gate.waiting.size > 0);
    await ask(other.tenantId);
    const left = () => rows<{ tenant_id: string }>(database, 'select tenant_id from entra_sync.cycle_requests');
    await until('the other user is read', async () => (await left()).length === 1);
    expect(await left()).toEqual([{ tenant_id: hanging.tenantId }]);
    const ended = await stopWorker(worker);
    expect(ended.code).toBe(0);
    expect(ended.seconds).toBeLessThan(9);
  },
);

test.runIf(isDeep)(
  'the worker and sync without a name skip a paused tenant, sync by its name does not; resumed, it is synced',
  async () => {
    const fleet = await openFleet({ count: 2, users: 1 });
    const { database, environment } = fleet;
    const [one, other] = fleet.tenants;
    if (!one || !other) throw new Error('two tenants');
    expect((await runCli(['tenant', 'pause', one.name], environment)).stdout).toContain('Tenant 1: paused');
    const worker = fleet.worker();
    await untilCycles(fleet, 1, other);
    await database.raw("select directory.request_cycle(?, null, 'ann')", [one.tenantId]);
    await untilPlanned(fleet, 3);
    expect(await fleet.cycles(one)).toEqual([]);
    const all = await runCli(['sync'], environment);
    expect([all.code, all.stderr]).toEqual([0, expect.stringContaining('1 paused tenant skipped')]);
    expect(await fleet.cycles(one)).toEqual([]);
    const named = await runCli(['sync', one.name], environment);
    expect([named.code, named.stderr]).toEqual([0, expect.stringContaining('Tenant 1 is paused')]);
    expect(await fleet.cycles(one)).toHaveLength(1);
    expect((await runCli(['status', one.name], environment)).stdout).toContain('active, paused');
    expect((await runCli(['tenant', 'pause', '--all', '--confirm'], environment)).code).toBe(0);
    const none = await runCli(['sync'], environment);
    expect([none.code, none.stderr]).toEqual([0, expect.stringContaining('2 paused tenants skipped')]);
    // Requests during the pause are still answered.
    const resumed = await runCli(['tenant', 'resume', '--all', '--confirm'], environment);
    expect(resumed.stdout).toContain('1 tenant paused by name and left so: Tenant 1');
    expect((await runCli(['tenant', 'resume', one.name], environment)).stdout).toContain('Tenant 1: resumed');
    await untilCycles(fleet, 2, one);
    const before = (await fleet.cycles(other)).length;
    const retried = await runCli(['tenant', 'retry', other.name], environment);
    expect(retried.stdout).toContain('due now');
    await untilCycles(fleet, before + 1, other);
    expectOneLine(await runCli(['tenant', 'retry'], environment), 2, /name one tenant, or give --all/);
    expectOneLine(
      await runCli(['tenant', 'pause', one.name, '--all'], environment),
      2,
      /name one tenant, or give --all/,
    );
    expect((await stopWorker(worker)).code).toBe(0);
  },
);

test.runIf(isDeep)(
  'rule 27: an application that asks again and again gets cycles ten seconds apart, and each request one that began after it',
  async () => {
    const fleet = await openFleet({ count: 1, users: 1 });
    const { database } = fleet;
    const [tenant] = fleet.tenants;
    if (!tenant) throw new Error('no tenant');
    const worker = fleet.worker();
    await untilCycles(fleet, 1);
    await until('three more cycles', async () => {
      await database.raw("select directory.request_cycle(?, null, 'ann')", [tenant.tenantId]);
      return (await fleet.cycles()).filter((cycle) => cycle.outcome === 'committed').length >= 4;
    });
    tenant.updateUser(tenant.users()[0]?.id ?? '', { jobTitle: 'Asked for' });
    const [asked] = await rows<{ at: Date }>(database, 'select clock_timestamp() as at');
    await database.raw("select directory.request_cycle(?, null, 'ann')", [tenant.tenantId]);
    await until('the last request is answered', async () =>
      (await fleet.cycles()).some((cycle) => cycle.outcome === 'committed' && cycle.started_at > (asked?.at ?? 0)),
    );
    await expectTruth(tenant, database);
    const pauses = await rows<{ seconds: number }>(
      database,
      `select extract(epoch from started_at - lag(finished_at) over (order by cycle_id))::float8 as seconds
         from entra_sync.cycles where actor = 'ann' offset 1`,
    );
    expect(pauses.length).toBeGreaterThan(2);
    expect(Math.min(...pauses.map(({ seconds }) => seconds))).toBeGreaterThanOrEqual(10);
    expect((await stopWorker(worker)).code).toBe(0);
  },
);
