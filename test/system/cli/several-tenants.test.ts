// `sync` of several tenants: whose progress a line tells, and the cron job that is quiet.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { expectOneLine, runCli, temporaryDirectory } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { openFleet } from '../../support/fleet.ts';
import { setSettings } from '../../support/settings.ts';
import { openWorld } from '../../support/system.ts';

test.runIf(isDeep)(
  'lines of progress name the tenant; --quiet speaks only of what changed or failed, with the same exit code',
  async () => {
    const { tenants, simulator, environment, database } = await openFleet({ count: 3, users: 4 });
    const [one, other] = tenants;
    const first = await runCli(['sync'], environment);
    expect(first.code, first.stderr).toBe(0);
    expect(first.stderr).toMatch(/^Tenant 1, users: writing, 4 objects/m);
    expect(first.stderr).toMatch(/^Tenant 3, groups: writing, /m);
    // The lines about one named tenant do not repeat its name.
    expect((await runCli(['sync', 'Tenant 2', '--dry-run'], environment)).stderr).not.toMatch(/Tenant 2, /);

    // A change says of which tenant it is, where that is not said by the question.
    const changes = await runCli(['changes', '--limit', '50'], environment);
    expect(changes.stdout).toMatch(/^at +tenant +by +kind +who or what/m);
    expect(changes.stdout).toMatch(/Z +Tenant 3 +\S+ +account\.created /);
    expect((await runCli(['changes', '--tenant', 'Tenant 2'], environment)).stdout).toMatch(
      /^at +by +kind +who or what/m,
    );

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
  },
);

test('status --exit-code tells failing, held and stale tenants and a missing worker apart, and obeys --only', async () => {
  const { database, environment } = await openFleet({ count: 2, users: 2 });
  const codeOf = async (...words: string[]) => (await runCli(['status', ...words], environment)).code;
  const set = (values: string) => database.raw(`update entra_sync.tenants set ${values} where name = 'Tenant 1'`);
  const cycle = (outcome: string, error: string | null) =>
    database.raw(
      `insert into entra_sync.cycles (tenant_id, kind, outcome, streams, actor, fence, settings_version, finished_at, error_code)
       select tenant_id, 'incremental', ?, '{}', 'test', 1, 1, clock_timestamp(), ?
         from entra_sync.tenants where name = 'Tenant 1'`,
      [outcome, error],
    );
  await set('last_success_at = clock_timestamp()');
  expect(await codeOf('--exit-code')).toBe(0);

  await set("last_success_at = clock_timestamp() - interval '3 hours'");
  expect([await codeOf(), await codeOf('--exit-code'), await codeOf('--exit-code', '--only', 'stale')]).toEqual([
    0, 8, 8,
  ]);
  expect([await codeOf('--exit-code', '--only', 'held'), await codeOf('Tenant 2', '--exit-code')]).toEqual([0, 0]);
  for (const [error, code] of [
    ['consent_missing', 3],
    ['graph_unavailable', 5],
    ['database_unable', 7],
    ['defect', 1],
    ['cut_off', 8],
  ] as const) {
    await cycle('failed', error);
    // A failing tenant has also had no success, which says less.
    expect([error, await codeOf('--exit-code'), await codeOf('--exit-code', '--only', 'failing')]).toEqual([
      error,
      code,
      code,
    ]);
  }
  await set('last_success_at = clock_timestamp(), paused = true');
  await cycle('committed', null);
  expect(await codeOf('--exit-code')).toBe(0);
  await set("status = 'quarantined', last_error_code = 'permission_missing'");
  expect(await codeOf('--exit-code')).toBe(3);
  await set(
    "status = 'active', last_error_code = null, paused = false, next_cycle_at = clock_timestamp() - interval '1 hour'",
  );
  // A command that ran lately counts as work.
  await database.raw(
    "update entra_sync.cycles set started_at = started_at - interval '1 day', finished_at = finished_at - interval '1 day'",
  );
  expect([await codeOf('--exit-code'), await codeOf('--exit-code', '--only', 'failing')]).toEqual([8, 0]);
});

test('status --exit-code ends with 4 where removals are held', async ({ onTestFinished }) => {
  const world = await openWorld({ onEnd: onTestFinished });
  await setSettings(world.database, { removals: { max: 2, percent: 10, floor: 0 } });
  await world.cycle();
  for (const user of world.tenant.users().slice(0, 5)) world.tenant.deleteUser(user.id);
  await world.cycle();
  const environment = { ...world.simulator.environment(), DATABASE_URL: world.url };
  for (const only of [[], ['--only', 'held']])
    expect((await runCli(['status', '--exit-code', ...only], environment)).code).toBe(4);
});

test('tenant pause and resume ask before they take --all, and resume leaves what was paused by name', async () => {
  const { database, environment } = await openFleet({ count: 3, users: 1 });
  const cli = (...words: string[]) => runCli(['tenant', ...words], environment);
  const paused = () =>
    rows<{ name: string }>(database, 'select name from entra_sync.tenants where paused order by name');
  await cli('pause', 'Tenant 2');
  for (const verb of ['pause', 'resume'])
    expectOneLine(
      await cli(verb, '--all'),
      2,
      new RegExp(
        `--all is not confirmed: it would ${verb} all 3 tenants -> entra-sync tenant ${verb} --all --confirm$`,
      ),
    );
  expect(await paused()).toEqual([{ name: 'Tenant 2' }]);
  expect((await cli('pause', '--all', '--confirm')).stdout).toContain(
    '3 tenants: paused. The worker leaves them alone until entra-sync tenant resume --all. 1 of them was paused before.',
  );
  expect(await paused()).toHaveLength(3);
  const resumed = await cli('resume', '--all', '--confirm');
  expect(resumed.stdout).toMatch(/^2 tenants: resumed/m);
  expect(resumed.stdout).toMatch(/^1 tenant paused by name and left so: Tenant 2 -> entra-sync tenant resume TENANT$/m);
  expect(await paused()).toEqual([{ name: 'Tenant 2' }]);
  expect(JSON.parse((await cli('resume', '--all', '--confirm', '--json')).stdout)).toMatchObject({
    changed: 0,
    still_paused: [expect.any(String)],
  });
});

test('tenant retry promises a cycle to what is neither paused nor disconnected, and tells how to resume', async () => {
  const { database, environment } = await openFleet({ count: 3, users: 1 });
  const cli = (...words: string[]) => runCli(['tenant', ...words], environment);
  await database.raw('insert into entra_sync.worker_beats (worker_id) values (gen_random_uuid())');
  await cli('pause', 'Tenant 2');
  await database.raw("update entra_sync.tenants set status = 'disconnected' where name = 'Tenant 3'");
  const alone = 'Tenant 2: paused, synced only when it is resumed -> entra-sync tenant resume "Tenant 2"\n';
  expect(await cli('retry', 'Tenant 2')).toMatchObject({ code: 0, stdout: alone });
  const all = await cli('retry', '--all');
  expect(all.stdout).toBe(`Tenant 1: due now; the worker syncs it within seconds.\n${alone}`);
  const told = JSON.parse((await cli('retry', '--all', '--json')).stdout);
  expect([told.tenants.length, told.changed, told.due.length, told.paused.length]).toEqual([2, 2, 1, 1]);
  expect(
    await rows(
      database,
      `select count(*)::int as lines from entra_sync.audit a join entra_sync.tenants t using (tenant_id)
        where a.act = 'tenant.retried' and t.name = 'Tenant 3'`,
    ),
    'the audit tells of no act on it',
  ).toEqual([{ lines: 0 }]);
  await cli('pause', 'Tenant 1');
  expect((await cli('retry', '--all')).stdout).toBe(
    '2 tenants paused, synced only when they are resumed: Tenant 1, Tenant 2 -> entra-sync tenant resume TENANT\n',
  );
  await database.raw("update entra_sync.tenants set status = 'disconnected'");
  expect((await cli('retry', '--all')).stdout).toBe('No tenant is connected, nothing changed.\n');
});

test("a tenant's versions of the settings: history without those of others, diff of its own alone, revert to one", async () => {
  const { environment } = await openFleet({ count: 2, users: 1 });
  const folder = await temporaryDirectory(onTestFinished);
  const file = join(folder, 'settings.yaml');
  const json = async (...words: string[]) => JSON.parse((await runCli([...words, '--json'], environment)).stdout);
  const store = async (interval: string, ...words: string[]): Promise<number> => {
    await writeFile(file, `interval: ${interval}\n`);
    return (await json(...words, file)).version;
  };
  const mine = ['tenant', 'set', 'Tenant 1'];
  const older = await store('50m', ...mine);
  const newer = await store('30m', ...mine);
  const all = await store('20m', 'settings', 'apply');
  const other = await store('25m', 'tenant', 'set', 'Tenant 2');

  const versionsOf = async (name: string): Promise<[number, string | null][]> =>
    (await json('settings', 'history', name)).versions.map((one: { version: number; tenant_name: string | null }) => [
      one.version,
      one.tenant_name,
    ]);
  expect((await versionsOf('Tenant 1')).slice(0, 3)).toEqual([
    [all, null],
    [newer, 'Tenant 1'],
    [older, 'Tenant 1'],
  ]);
  expect(await json('settings', 'diff', String(older))).toMatchObject({
    to: newer,
    differences: [{ key: 'interval', before: '50m', after: '30m' }],
  });
  for (const [version, name] of [
    [other, 'Tenant 2'],
    [all, 'the installation'],
  ])
    expectOneLine(
      await runCli(['settings', 'diff', String(older), String(version)], environment),
      2,
      new RegExp(
        `version ${older} is of Tenant 1, version ${version} of ${name} -> compare versions of the same tenant`,
      ),
    );

  const reverted = (await json('settings', 'revert', String(older))).version;
  expect((await versionsOf('Tenant 1'))[0]).toEqual([reverted, 'Tenant 1']);
  expect((await versionsOf('Tenant 2'))[0], 'the others keep theirs').toEqual([other, 'Tenant 2']);
  const intervalOf = async (...words: string[]) =>
    /^interval: (\S+)/m.exec((await runCli(['settings', 'show', ...words], environment)).stdout)?.[1];
  expect([await intervalOf('Tenant 1'), await intervalOf('Tenant 2'), await intervalOf()]).toEqual([
    '50m',
    '25m',
    '20m',
  ]);
});
