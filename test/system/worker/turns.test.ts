// The order of tenants: full rounds are spread, long cycles delay no other tenant, and an expiring checkpoint comes
// first.
import { expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { isDeep } from '../../support/deep.ts';
import {
  closeGate,
  endRests,
  type Fleet,
  openFleet,
  stopWorker,
  until,
  untilCycles,
  untilPlanned,
} from '../../support/fleet.ts';
import { setSettings } from '../../support/settings.ts';

// Processes start slowly on a busy machine. Waits within the test are much shorter.
const isDelta = ({ url }: { url: string }) => url.startsWith('/v1.0/users/delta');

const roundsOf = async (fleet: Fleet) =>
  rows<{ round: string; reason: string; count: number }>(
    fleet.database,
    `select streams #>> '{users,round}' as round, streams #>> '{users,reason}' as reason, count(*)::int as count
       from directory.cycles group by 1, 2 order by 1, 2`,
  );

test.runIf(isDeep)(
  'full rounds of a first start, and of changed settings, run for 20 tenants at a time in all replicas; a deploy causes none',
  async () => {
    const count = 26;
    const fleet = await openFleet({ count, users: 1 });
    const { simulator, database } = fleet;

    async function expectTwentyAtATime(done: number) {
      const gate = closeGate(simulator, isDelta);
      if (done > 0) await fleet.makeDue();
      await until('twenty tenants are read', () => gate.waiting.size === 20);
      await untilPlanned(fleet, 3);
      expect(gate.waiting.size, 'no other full round starts meanwhile').toBe(20);
      expect(await rows(database, "select from entra_sync.cycles where outcome = 'running'")).toHaveLength(20);
      gate.open();
      await untilCycles(fleet, done + count);
      expect(await fleet.cycles()).toHaveLength(done + count);
    }

    // 32 worker slots, so that they are not the limit.
    let workers = [fleet.worker(['--concurrency', '16']), fleet.worker(['--concurrency', '16'])];
    await expectTwentyAtATime(0);
    expect(await roundsOf(fleet)).toEqual([{ round: 'full', reason: 'first', count }]);

    // A rolling deploy replaces every worker, and no tenant has a full round.
    for (const worker of workers) expect((await stopWorker(worker)).code).toBe(0);
    workers = [fleet.worker(['--concurrency', '16']), fleet.worker(['--concurrency', '16'])];
    await fleet.makeDue();
    await untilCycles(fleet, 2 * count);
    expect(await roundsOf(fleet)).toEqual([
      { round: 'full', reason: 'first', count },
      { round: 'incremental', reason: 'changes', count },
    ]);

    await setSettings(database, { fields: { employeeNumber: { from: 'employeeId' } } });
    await expectTwentyAtATime(2 * count);
    expect(await roundsOf(fleet)).toContainEqual({ round: 'full', reason: 'settings_changed', count });
    await until(
      'no slot is taken',
      async () => (await rows(database, 'select from entra_sync.full_turns')).length === 0,
    );
    for (const worker of workers) expect((await stopWorker(worker)).code).toBe(0);
  },
);

test.runIf(isDeep)(
  'tenants with long cycles take all slots but one, and the small tenants are synced meanwhile',
  async () => {
    const fleet = await openFleet({ count: 8, users: 1 });
    const { simulator, database } = fleet;
    const worker = fleet.worker(['--concurrency', '3']);
    await untilCycles(fleet, 8);
    const huge = fleet.tenants.slice(0, 4);
    const ids = huge.map((tenant) => tenant.tenantId);
    const isHuge = (tenantId: string | undefined) => tenantId !== undefined && ids.includes(tenantId);
    await database.raw(
      "update entra_sync.cycles set started_at = started_at - interval '5 minutes' where tenant_id = any(?::uuid[])",
      [ids],
    );
    const gate = closeGate(simulator, (request) => isDelta(request) && isHuge(request.tenantId));
    // The tenants with long cycles have waited longer.
    await fleet.makeDue(huge);
    await until('two tenants with long cycles are read', () => gate.waiting.size === 2);
    await fleet.makeDue(fleet.tenants.slice(4));
    await untilCycles(fleet, 12);
    expect((await fleet.cycles()).filter((cycle) => cycle.outcome === 'running')).toHaveLength(2);
    expect(gate.waiting.size).toBe(2);
    gate.open();
    await untilCycles(fleet, 16);
    expect((await stopWorker(worker)).code).toBe(0);
  },
);

test.runIf(isDeep)(
  'a tenant with a checkpoint older than five days goes first, then a requested one, then the one that has waited longest',
  async () => {
    const fleet = await openFleet({ count: 4, users: 1 });
    const { database } = fleet;
    const [first, second, asked, old] = fleet.tenants;
    if (!first || !second || !asked || !old) throw new Error('four tenants');
    await stopWorker(await untilAllSynced(fleet));
    await database.raw(
      `update entra_sync.tenants set next_cycle_at = clock_timestamp() - case tenant_id
       when :first::uuid then interval '40 minutes' when :second::uuid then interval '30 minutes' else interval '1 minute' end`,
      { first: first.tenantId, second: second.tenantId },
    );
    await database.raw(
      "update entra_sync.checkpoints set committed_at = now() - interval '5 days 1 minute' where tenant_id = ? and stream = 'groups'",
      [old.tenantId],
    );
    await endRests(database);
    await database.raw("select directory.request_cycle(?, null, 'ann')", [asked.tenantId]);
    const worker = fleet.worker(['--concurrency', '1']);
    await untilCycles(fleet, 8);
    expect((await fleet.cycles()).slice(4).map((cycle) => cycle.tenant_id)).toEqual(
      [old, asked, first, second].map((tenant) => tenant.tenantId),
    );
    expect((await stopWorker(worker)).code).toBe(0);
  },
);

async function untilAllSynced(fleet: Fleet) {
  const worker = fleet.worker();
  await untilCycles(fleet, fleet.tenants.length);
  return worker;
}
