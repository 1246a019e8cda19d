// Photos on the command line: `sync --photos`, and what `status`, `explain` and `doctor` say of them.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { expectOneLine, runCli, temporaryDirectory } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { makeDue, photosOf, photosSeen, readPhotosIn } from '../../support/photos.ts';
import { openWorld, trust, type World } from '../../support/system.ts';

let world: World;
let person: string;

beforeAll(async () => {
  world = await openWorld({ users: 25, photos: 1, name: 'Contoso', onEnd: (() => {}) as never });
  trust(world.simulator.certificate);
  await world.cycle();
  person = String(world.tenant.users()[0]?.properties.userPrincipalName);
});

const cli = (...words: string[]) =>
  runCli(words, { ...world.simulator.environment(), DATABASE_URL: world.url, COLUMNS: '200' });
const told = async (...words: string[]) => {
  const { code, stdout, stderr } = await cli(...words);
  expect(code, stderr).toBe(0);
  return stdout;
};

test('where photos are not read, sync --photos names the setting, and no other verb speaks of photos', async () => {
  expectOneLine(await cli('sync', '--photos'), 2, /photos are read of no tenant: photos\.read is false/);
  expectOneLine(await cli('sync', 'Contoso', '--photos'), 2, /photos are read not of Contoso/);
  expect(await told('status')).not.toMatch(/photo/);
  expect(await told('explain', person)).not.toMatch(/^photo /m);
  expect(await told('doctor', 'Contoso')).not.toMatch(/photos/);
  expectOneLine(await cli('sync', '--photos', '--dry-run'), 2, /reads all photos that are due/);
});

test('photos are read, and told by status, explain and doctor', async () => {
  await readPhotosIn(world.database);
  expect(await told('status')).toMatch(/^Contoso: 0 photos \(240x240\), not asked for yet$/m);
  expect(await told('explain', person)).toMatch(/^photo +not asked for yet/m);
  const answer = await told('sync', '--photos');
  expect(answer).toMatch(/^Contoso +25 +25 +0 +0 +25 +0 +2 +\d+ s/m);
  expect(await photosSeen(world.database, world.tenant.tenantId)).toEqual(photosOf(world.tenant));
  expect(await told('sync', 'Contoso', '--photos', '--quiet')).toBe('');
  expect((await cli('sync', 'Contoso', '--photos')).stderr).toMatch(/no photo was due/);
  expect(JSON.parse(await told('sync', 'Contoso', '--photos', '--json'))).toMatchObject({
    photos: [{ tenant: { name: 'Contoso' }, asked: 0, left: 0 }],
    failures: [],
  });
  expect(await told('status')).toMatch(/^Contoso: 25 photos \(240x240\), 0 due$/m);
  expect(JSON.parse(await told('status', '--json')).photos).toMatchObject([
    { photos: 25, due: 0, faults: 0, trouble: null },
  ]);
  expect(await told('explain', person)).toMatch(/^photo +(JPEG|PNG), \d+ x \d+, \d+ KiB, since .*; last asked/m);
  expect(JSON.parse(await told('explain', person, '--json')).photo).toMatchObject({ read: true, fault: null });
  expect(await told('doctor', 'Contoso')).toMatch(/read: photos +of one user, \d+ x \d+/);
});

test('what is set aside and a missing permission are told, and cycles do not suffer', async () => {
  const { options } = world.simulator;
  options.photoFaults = [{ id: world.tenant.users()[0]?.id ?? '', as: 'gif' }];
  await makeDue(world.database);
  await told('sync', '--photos');
  expect(await told('explain', person)).toMatch(/; the newest is set aside: it is neither a JPEG nor a PNG \(gif\)/);
  expect(await told('status')).toMatch(/25 photos \(240x240\), 0 due, 1 set aside$/m);
  options.roles = ['Directory.Read.All'];
  await makeDue(world.database);
  expectOneLine(await cli('sync', '--photos'), 3, /Graph refuses the photos of this tenant \(403\)/);
  expect(await told('status')).toMatch(
    /none is read \(since .*\): Graph refuses the photos.* -> add the application permission/,
  );
  const doctor = await cli('doctor', 'Contoso');
  expect([doctor.code, doctor.stdout]).toEqual([3, expect.stringMatching(/photos cannot be read/)]);
  expect((await cli('sync', 'Contoso')).code).toBe(0);
  options.roles = ['User.Read.All', 'GroupMember.Read.All'];
  await told('sync', '--photos');
  expect(await told('status')).not.toMatch(/none is read/);
});

const claimFor = (seconds: number) =>
  rows(
    world.database,
    `update entra_sync.photo_lanes
        set claim = gen_random_uuid(), claimed_until = clock_timestamp() + make_interval(secs => :seconds)`,
    { seconds },
  );

test('sync --photos says after two seconds that it waits for another process', async () => {
  await claimFor(2.6);
  const { code, stderr } = await cli('sync', 'Contoso', '--photos');
  expect([code, stderr.match(/Contoso: another process reads its photos.*waiting for it, 2\d s at most/g)]).toEqual([
    0,
    [expect.any(String)],
  ]);
});

test('sync --photos waits until the claim of a process that died ends', async () => {
  await claimFor(0.3);
  await makeDue(world.database);
  expect(JSON.parse(await told('sync', 'Contoso', '--photos', '--json')).photos).toMatchObject([{ asked: 25 }]);
});

// It waits for longer than a claim lasts.
test.runIf(isDeep)('a lane that another process keeps is exit code 6', async () => {
  await claimFor(3_600);
  expectOneLine(await cli('sync', 'Contoso', '--photos'), 6, /being read by another process/);
  await claimFor(0);
});

test('tenant set says how many photos go where photos are read no more, in the dry run and when it is done', async ({
  onTestFinished,
}) => {
  const file = join(await temporaryDirectory(onTestFinished), 'settings.yaml');
  await writeFile(file, 'photos: { read: false }\n');
  for (const words of [['--dry-run'], []]) {
    expect(await told('tenant', 'set', 'Contoso', file, ...words)).toMatch(
      /^25 photos will be deleted: photos are read/m,
    );
  }
  await told('sync', 'Contoso', '--photos');
  await writeFile(file, 'photos: { read: true }\n');
  expect(await told('tenant', 'set', 'Contoso', file)).not.toMatch(/deleted/);
  await writeFile(file, 'photos: { read: false }\n');
  expect(await told('tenant', 'set', 'Contoso', file, '--dry-run')).not.toMatch(/deleted/);
});
