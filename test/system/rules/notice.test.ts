// A mass change is committed, and noticed until a person acknowledges it.
import { expect, test } from 'vitest';
import { readHealth } from '../../../src/store/database/health.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { runCli } from '../../support/cli.ts';
import { setSettings } from '../../support/settings.ts';
import { accountsOf, openWorld, type World } from '../../support/system.ts';

const noticeOf = async ({ database }: World) => {
  const [tenant] = await rows<{ notice: string | null }>(database, 'select notice from directory.tenants');
  return tenant?.notice;
};

async function noticingWorld(users = 20) {
  const world = await openWorld({ users });
  const { tenant } = world;
  for (const { id } of tenant.users())
    tenant.updateUser(id, { department: 'IT', userType: 'Member', jobTitle: 'Clerk' });
  await world.cycle();
  await world.cycle();
  const change = (count: number, patch: object, from = 0) => {
    for (const { id } of tenant.users().slice(from, from + count)) tenant.updateUser(id, { ...patch });
  };
  return { world, tenant, change };
}

test('rule 36: a field cleared for everybody is committed and told, by status, report, metric and view, until it is acknowledged', async () => {
  const { world, tenant } = await noticingWorld();
  const cli = (...words: string[]) =>
    runCli(words, { ...world.simulator.environment(tenant.tenantId), DATABASE_URL: world.url });
  expect(await noticeOf(world)).toBeNull();
  tenant.run('clear-all department');
  const { streams, cycleId } = await world.cycle();
  const text = `20 of 20 profiles changed in cycle ${cycleId}, department cleared for 20`;
  expect(streams.users).toMatchObject({ updated: 20, notice: text });
  expect(
    Object.values(await accountsOf(world.database, tenant.tenantId)).map(({ profile }) => profile.department),
  ).toEqual(Array.from({ length: 20 }));
  expect(await noticeOf(world)).toBe(text);
  expect(await readHealth(world.database)).toMatchObject([{ noticed: true }]);
  expect((await cli('status')).stdout).toContain(
    `${text} -> look whether Entra ID is right, then entra-sync tenant acknowledge`,
  );
  expect((await cli('tenant', 'show', tenant.tenantId)).stdout).toContain(text);
  expect((await cli('cycle', 'show', cycleId ?? '')).stdout).toContain(text);
  await world.cycle();
  expect(await noticeOf(world), 'a quiet cycle takes nothing away').toBe(text);
  expect((await cli('tenant', 'acknowledge', tenant.tenantId)).stdout).toContain('acknowledged');
  expect(await noticeOf(world)).toBeNull();
  expect(await readHealth(world.database)).toMatchObject([{ noticed: false }]);
  expect((await cli('tenant', 'acknowledge', '--all')).stdout).toContain('there was no notice, nothing changed');
});

test('rule 36: less than that is not noticed, and a notice goes by itself after seven days', async () => {
  const { world, change } = await noticingWorld();
  change(6, { jobTitle: 'Head' });
  await world.cycle();
  expect(await noticeOf(world)).toBeNull();
  change(7, { jobTitle: 'Chief' });
  await world.cycle();
  expect(await noticeOf(world)).toMatch(/^7 of 20 profiles changed in cycle \d+$/);
  await world.database.raw("update entra_sync.tenants set notice_at = notice_at - interval '7 days'");
  expect(await noticeOf(world)).toBeNull();
});

test('rule 36: a dry run tells it and keeps nothing', async () => {
  const { world, change } = await noticingWorld();
  change(20, { jobTitle: 'Head' });
  expect((await world.cycle({ dryRun: true })).streams.users.notice).toBe('20 of 20 profiles changed in this cycle');
  expect(await noticeOf(world)).toBeNull();
});

test('rule 36: a change of the settings is no mass change, nor is the round that ends a first load', async () => {
  const { world, change } = await noticingWorld();
  await setSettings(world.database, { fields: { jobTitle: { from: { lower: 'jobTitle' } } } });
  expect((await world.cycle()).streams.users).toMatchObject({ updated: 20 });
  expect(await noticeOf(world)).toBeNull();
  // Another version of the settings, whatever it changes.
  await setSettings(world.database, { retention: '31d' });
  change(20, { jobTitle: 'Head' });
  await world.cycle();
  expect(await noticeOf(world)).toBeNull();
  change(20, { jobTitle: 'Chief' });
  await world.cycle();
  expect(await noticeOf(world)).not.toBeNull();
  await world.database.raw('update entra_sync.tenants set notice = null');
  await world.database.raw("update entra_sync.checkpoints set provisional = true where stream = 'users'");
  change(20, { jobTitle: 'Clerk' });
  await world.cycle();
  expect(await noticeOf(world)).toBeNull();
});

test('rule 36: restored and adopted accounts are left out, of what changed and of all', async () => {
  const { world, tenant, change } = await noticingWorld(40);
  const gone = tenant
    .users()
    .slice(0, 12)
    .map(({ id }) => id);
  for (const id of gone) tenant.deleteUser(id);
  await world.cycle();
  for (const id of gone) {
    tenant.restoreUser(id);
    tenant.updateUser(id, { jobTitle: 'Back' });
  }
  change(9, { jobTitle: 'Head' }, 20);
  expect((await world.cycle()).streams.users).toMatchObject({ restored: 12, updated: 9 });
  expect(await noticeOf(world)).toMatch(/^9 of 28 /);
});
