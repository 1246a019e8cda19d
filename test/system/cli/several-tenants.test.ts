// `sync` of several tenants: whose progress a line tells, and the cron job that is quiet.
import { expect, test } from 'vitest';
import { runCli } from '../../support/cli.ts';
import { openFleet } from '../../support/fleet.ts';

test('lines of progress name the tenant; --quiet speaks only of what changed or failed, with the same exit code', async () => {
  const { tenants, simulator, environment, database } = await openFleet({ count: 3, users: 4 });
  const [one, other] = tenants;
  const first = await runCli(['sync'], environment);
  expect(first.code, first.stderr).toBe(0);
  expect(first.stderr).toMatch(/^Tenant 1, users: writing, 4 objects/m);
  expect(first.stderr).toMatch(/^Tenant 3, groups: writing, /m);
  // Of a tenant that was named, the lines are its own.
  expect((await runCli(['sync', 'Tenant 2', '--dry-run'], environment)).stderr).not.toMatch(/Tenant 2, /);

  await database.raw("update entra_sync.tenants set paused = true where name = 'Tenant 3'");
  expect(await runCli(['sync', '--quiet'], environment)).toEqual({ code: 0, stdout: '', stderr: '' });

  const [user] = other?.users() ?? [];
  other?.updateUser(user?.id ?? '', { jobTitle: 'Head of Sales' });
  const changed = await runCli(['sync', '--quiet'], environment);
  expect(changed).toMatchObject({ code: 0, stderr: '' });
  expect(changed.stdout).toMatch(/^Tenant 2 .* users .*$/m);
  expect(changed.stdout).not.toMatch(/Tenant [13]/);

  simulator.intercept(({ tenantId, url }) =>
    tenantId === one?.tenantId && url.startsWith('/v1.0/users')
      ? { status: 403, body: { error: { code: 'Authorization_RequestDenied' } } }
      : undefined,
  );
  const loud = await runCli(['sync'], environment);
  const failed = await runCli(['sync', '--quiet'], environment);
  expect([loud.code, failed.code]).toEqual([3, 3]);
  expect(failed.stderr).toMatch(/^entra-sync: Tenant 1, users: .* -> /);
  expect(`${failed.stdout}${failed.stderr}`).not.toMatch(/Tenant [23]|database:|no changes/);
});
