// `verify` (and `sync`) of several tenants: what one of them cannot have takes nothing from the others.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { loadDefaults } from '../../../src/settings/settings.ts';
import { disconnectTenant } from '../../../src/store/tenants/disconnect.ts';
import { addTenant } from '../../../src/store/tenants/tenants.ts';
import { expectOneLine, runCli } from '../../support/cli.ts';
import { openWorld, type World } from '../../support/system.ts';

async function syncedWorld() {
  const world = await openWorld({ name: 'Contoso', users: 4 });
  await world.cycle();
  return { world, environment: { ...world.simulator.environment(), DATABASE_URL: world.url } };
}

/** Registers a tenant that the simulator does not serve, before Contoso in the order of names. */
async function addAdatum({ database }: World): Promise<string> {
  const tenantId = randomUUID();
  await addTenant(database, { tenantId, name: 'Adatum', ref: null }, loadDefaults());
  return tenantId;
}

/** As if it had been synced. */
async function copyCheckpoints({ database, tenant }: World, to: string): Promise<void> {
  await database.raw(
    `insert into entra_sync.checkpoints
     select (jsonb_populate_record(c, jsonb_build_object('tenant_id', :to::text))).* from entra_sync.checkpoints c where tenant_id = :from`,
    { from: tenant.tenantId, to },
  );
}

test('a tenant that fails leaves the results of the others, and its exit code', async () => {
  const { world, environment } = await syncedWorld();
  await copyCheckpoints(world, await addAdatum(world));
  await world.database.raw("update entra_sync.accounts set mail = 'x'");
  const said = await runCli(['verify'], environment);
  expectOneLine(said, 3, /^entra-sync: Adatum \(/);
  expect(said.stdout).toContain('Contoso: 4 differences');
  const { code, stdout } = await runCli(['verify', '--json'], environment);
  expect([code, JSON.parse(stdout)]).toEqual([
    3,
    {
      tenants: [expect.objectContaining({ tenant: { id: world.tenant.tenantId, name: 'Contoso' } })],
      failures: [expect.objectContaining({ code: 'sign_in_failed', exitCode: 3 })],
      skipped: [],
    },
  ]);
});

test('a tenant that was never synced is refused by name, and skipped among others', async () => {
  const { world, environment } = await syncedWorld();
  await addAdatum(world);
  expectOneLine(await runCli(['verify', 'Adatum'], environment), 2, /never synced -> run entra-sync sync "Adatum"/);
  const all = await runCli(['verify'], environment);
  expect([all.code, all.stdout]).toEqual([0, expect.stringContaining('Contoso: no drift')]);
  expect(all.stderr).toMatch(/^Adatum \(.*not compared, .*never synced -> /m);
  expect(JSON.parse((await runCli(['verify', '--json'], environment)).stdout)).toMatchObject({
    tenants: [{ tenant: { name: 'Contoso' } }],
    failures: [],
    skipped: [{ tenant: { name: 'Adatum' }, code: 'never_synced' }],
  });
});

test('a disconnected tenant is not compared; where nothing is compared, that is no success', async () => {
  const { world, environment } = await syncedWorld();
  const options = { actor: 'test', dryRun: false };
  await disconnectTenant(world.database, world.tenant.tenantId, options);
  expectOneLine(await runCli(['verify'], environment), 2, /disconnected -> entra-sync tenant reconnect/);
  await addAdatum(world);
  const all = await runCli(['verify'], environment);
  expect([all.code, all.stdout]).toEqual([2, '']);
  expect(all.stderr).toMatch(
    /^Contoso \(.*not compared, Contoso is disconnected -> entra-sync tenant reconnect "Contoso"/m,
  );
});

test('where no tenant is registered there is nothing to verify', async () => {
  const world = await openWorld({ registered: false });
  const environment = { ...world.simulator.environment(), DATABASE_URL: world.url };
  expectOneLine(await runCli(['verify'], environment), 2, /no tenant is registered -> run entra-sync sync/);
});

test('without a tenant, sync and resync leave a disconnected one alone and succeed; by its name it is refused', async () => {
  const { world, environment } = await syncedWorld();
  await disconnectTenant(world.database, world.tenant.tenantId, { actor: 'ann', dryRun: false });
  for (const verb of ['sync', 'resync']) {
    const all = await runCli([verb], environment);
    expect([all.code, all.stdout, all.stderr]).toEqual([
      0,
      '',
      expect.stringMatching(/^1 disconnected tenant left alone -> entra-sync tenant reconnect TENANT$/m),
    ]);
    const named = await runCli([verb, 'Contoso'], environment);
    expectOneLine(named, 2, /Contoso is disconnected -> entra-sync tenant reconnect "Contoso" connects it again/);
  }
});
