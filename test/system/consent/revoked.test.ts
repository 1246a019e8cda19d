// Revoked consent: nothing is removed, edits still work, status and metrics report it at once.
import { expect, onTestFinished, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { openMetrics } from '../../../src/worker/metrics.ts';
import { runCli } from '../../support/cli.ts';
import { setSettings } from '../../support/settings.ts';
import { accountsOf, failureOf, openWorld } from '../../support/system.ts';

test.each([
  ['the application is deleted from the tenant', 'deleted', 'sign_in_failed', /AADSTS700016/],
  ['its permissions are taken away', 'permissions', 'consent_missing', /carries no permission/],
] as const)(
  '%s: no account is removed, edits work, status --only failing names the tenant',
  async (_what, how, code, says) => {
    const { tenant, simulator, database, url, cycle } = await openWorld({ name: 'Contoso', onEnd: onTestFinished });
    await setSettings(database, { sourceOfTruth: 'user' });
    await cycle();
    const before = await accountsOf(database, tenant.tenantId);
    simulator.consents.revoke(tenant.tenantId, how);
    simulator.revokeTokens();
    const failure = await failureOf(cycle());
    expect([failure.code, says.test(failure.message)]).toEqual([code, true]);
    const after = await accountsOf(database, tenant.tenantId);
    expect(after).toEqual(before);
    const [someone] = Object.values(after);
    const [edited] = await rows<{ profile: Record<string, unknown> }>(
      database,
      `select directory.edit_account(:id, '{"jobTitle": "Founder"}', 'test', 'user') as profile`,
      { id: someone?.accountId },
    );
    expect(edited?.profile.jobTitle).toBe('Founder');
    const [shown] = await rows<{ last_error_code: string; last_error_message: string; status: string }>(
      database,
      'select last_error_code, last_error_message, status from directory.tenants',
    );
    expect(shown).toMatchObject({ last_error_code: code, status: 'active' });
    expect(shown?.last_error_message).toMatch(says);
    const metrics = openMetrics({ database, tenantLimit: 10, credentialEnd: () => undefined });
    const gauge = `entra_sync_tenant_failing{tenant="${tenant.tenantId}",code="${code}"} 1\n`;
    expect(await metrics.text()).toContain(gauge);
    const together = openMetrics({ database, tenantLimit: 0, credentialEnd: () => undefined });
    expect(await together.text()).toContain(`entra_sync_tenant_failing{tenant="all",code="${code}"} 1\n`);
    const environment = { ...simulator.environment(), DATABASE_URL: url };
    const failing = await runCli(['status', '--only', 'failing'], environment);
    expect(failing.stdout).toMatch(says);
    expect(failing.stdout).toMatch(/^Contoso /m);
    // After a new consent the next cycle starts at the checkpoint.
    simulator.consents.grant(tenant.tenantId);
    expect((await cycle()).kind).toBe('incremental');
    expect(await metrics.text()).not.toContain(gauge);
    expect((await runCli(['status', '--only', 'failing'], environment)).stdout).toBe('No tenant is failing.\n');
  },
);

test('sync of a tenant whose consent is revoked ends with exit code 3', async () => {
  const { simulator, tenant, url } = await openWorld({ onEnd: onTestFinished });
  simulator.consents.revoke(tenant.tenantId);
  const ended = await runCli(['sync'], { ...simulator.environment(), DATABASE_URL: url });
  expect([ended.code, /AADSTS700016.* -> /.test(ended.stderr)]).toEqual([3, true]);
});

test.each([
  ['deleted', /AADSTS700016.*revoked it: entra-sync connect --print-url --ref "cust 3" asks again(.*)$/m],
  ['permissions', /carries no permission.*admin consent: entra-sync connect --print-url --ref "cust 3" (.*)$/m],
] as const)(
  'the cure of a revoked consent (%s) names the stored reference, and the client id only where it may be wrong',
  async (how, says) => {
    const { simulator, tenant, url, database } = await openWorld({ onEnd: onTestFinished });
    await database.raw("update entra_sync.tenants set external_ref = 'cust 3'");
    simulator.consents.revoke(tenant.tenantId, how);
    const environment = { ...simulator.environment(), DATABASE_URL: url };
    const restOf = async () => says.exec((await runCli(['sync', tenant.tenantId], environment)).stderr)?.[1];
    const alone = await restOf();
    expect(alone).toBe(how === 'deleted' ? '; or AZURE_CLIENT_ID is wrong' : '(docs/connect.md)');
    if (how === 'permissions') return;
    await database.raw(`insert into entra_sync.tenants (tenant_id, name, status, last_success_at)
                        values (gen_random_uuid(), 'Other', 'active', now())`);
    expect(await restOf()).toBe('');
    // The other tenant fails too, or signs in with an application of its own.
    await database.raw("update entra_sync.tenants set last_error_code = 'sign_in_failed' where name = 'Other'");
    expect(await restOf()).toBe('; or AZURE_CLIENT_ID is wrong');
    const stored = await rows<{ last_error_message: string }>(
      database,
      'select last_error_message from directory.tenants where tenant_id = ?',
      [tenant.tenantId],
    );
    expect(stored[0]?.last_error_message).toContain('--ref "cust 3"');
  },
);
