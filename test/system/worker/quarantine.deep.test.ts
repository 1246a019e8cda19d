// A tenant that keeps failing is tried less and less often, but never given up. Faults that are not its own do not
// count.
import { expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { runCli } from '../../support/cli.ts';
import { type Fleet, openFleet, stopWorker, until, untilCycles } from '../../support/fleet.ts';

// Processes start slowly on a busy machine. Waits within the test are much shorter.
const stateOf = async (fleet: Fleet, tenantId: string) => {
  const [state] = await rows<{ status: string; failures: number; minutes: number; code: string | null }>(
    fleet.database,
    `select t.status, t.failures, t.last_error_code as code,
            (extract(epoch from t.next_cycle_at - (select max(started_at) from entra_sync.cycles where tenant_id = t.tenant_id)) / 60)::float8 as minutes
       from entra_sync.tenants t where t.tenant_id = ?`,
    [tenantId],
  );
  return state;
};

test('after three failures in a row it is in quarantine, with the reason in words; one success ends it', async () => {
  const fleet = await openFleet({ count: 2, users: 1 });
  const { simulator, environment } = fleet;
  const [bad, good] = fleet.tenants;
  if (!bad || !good) throw new Error('two tenants');
  const worker = fleet.worker();
  await untilCycles(fleet, 2);
  const body = { error: { code: 'Authorization_RequestDenied', message: 'Insufficient privileges.' } };
  const mend = simulator.intercept(({ tenantId, url }) =>
    tenantId === bad.tenantId && url.startsWith('/v1.0/') ? { status: 403, body } : undefined,
  );
  for (const [failures, status, minutes] of [
    [1, 'active', 40],
    [2, 'active', 40],
    [3, 'quarantined', 80],
    [4, 'quarantined', 160],
  ] as const) {
    await fleet.makeDue([bad]);
    await untilCycles(fleet, failures + 1, bad);
    const state = await stateOf(fleet, bad.tenantId);
    expect(state).toMatchObject({ status, failures, code: 'permission_missing' });
    expect(state?.minutes).toBeGreaterThan(minutes * 0.89);
    expect(state?.minutes).toBeLessThan(minutes * 1.11);
  }
  expect(await stateOf(fleet, good.tenantId)).toMatchObject({ status: 'active', failures: 0 });
  const { stdout } = await runCli(['status'], environment);
  expect(stdout).toMatch(
    /Tenant 1: in quarantine: 4 cycles in a row have failed, the last one because users: .*\. Tried again in \d+ (min|h), then less and less often; entra-sync tenant retry/,
  );
  // A person's request makes it due at once, and the failures before still count.
  expect((await runCli(['tenant', 'retry', bad.name], environment)).code).toBe(0);
  await untilCycles(fleet, 6, bad);
  expect(await stateOf(fleet, bad.tenantId)).toMatchObject({ status: 'quarantined', failures: 3 });
  await fleet.database.raw("update entra_sync.tenants set failures = 5, status = 'quarantined' where tenant_id = ?", [
    bad.tenantId,
  ]);
  mend();
  await fleet.makeDue([bad]);
  await untilCycles(fleet, 7, bad);
  const healed = await stateOf(fleet, bad.tenantId);
  expect(healed).toMatchObject({ status: 'active', failures: 0, code: null });
  expect(healed?.minutes).toBeLessThan(45);
  expect((await stopWorker(worker)).code).toBe(0);
});

test('a wrong credential of the installation is not a tenant’s fault, and a new one makes the tenants due at once', async () => {
  const fleet = await openFleet({ count: 2, users: 1 });
  const [tenant] = fleet.tenants;
  if (!tenant) throw new Error('no tenant');
  const wrong = fleet.worker([], { AZURE_CLIENT_SECRET: 'expired long ago' });
  for (const cycles of [1, 2, 3, 4]) {
    await untilCycles(fleet, cycles, tenant);
    if (cycles < 4) await fleet.makeDue([tenant]);
  }
  await until('the failure is stored with the fingerprint of its credential', async () => {
    const marked = await rows(fleet.database, 'select from entra_sync.tenants where failing_credential is not null');
    return marked.length === 2;
  });
  expect((await stopWorker(wrong)).code).toBe(0);
  expect(await stateOf(fleet, tenant.tenantId)).toMatchObject({
    status: 'pending',
    failures: 0,
    code: 'credential_refused',
  });
  // As in a long quarantine: without the change no tenant is due.
  await fleet.database.raw("update entra_sync.tenants set next_cycle_at = now() + interval '20 hours'");
  const kept = JSON.stringify(await rows(fleet.database, 'select * from entra_sync.tenants'));
  expect(kept).not.toContain('expired long ago');
  const again = fleet.worker();
  await untilCycles(fleet, 5, tenant);
  expect(await stateOf(fleet, tenant.tenantId)).toMatchObject({ status: 'active', failures: 0, code: null });
  const { stderr, code } = await stopWorker(again);
  expect(code).toBe(0);
  expect(stderr).toContain('the credential changed');
  // An unchanged credential makes no tenant due.
  const third = fleet.worker();
  await third.shows(/worker started/);
  await fleet.makeDue([tenant]);
  await untilCycles(fleet, 6, tenant);
  expect((await stopWorker(third)).stderr).not.toContain('the credential changed');
});
