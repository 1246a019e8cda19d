// What becomes of a photo with its account (rule 57).
import { expect, test } from 'vitest';
import { exportPerson } from '../../../src/store/accounts/export.ts';
import { accountHistory } from '../../../src/store/accounts/history.ts';
import { erasePerson } from '../../../src/store/commit/erase-person.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { commitPhotos } from '../../../src/store/photos/commit.ts';
import { claimLane } from '../../../src/store/photos/lanes.ts';
import { makeDue, passOf, photosOf, photosSeen, readPhotosIn } from '../../support/photos.ts';
import { expectSound } from '../../support/soundness.ts';
import { accountsOf, openWorld } from '../../support/system.ts';

async function livingWorld() {
  const world = await openWorld({ users: 5, photos: 1 });
  const { database, tenant } = world;
  await world.cycle();
  await readPhotosIn(database);
  await passOf(world);
  const people = tenant.users().map(({ id }) => id);
  const accounts = await accountsOf(database, tenant.tenantId);
  const account = (n: number) => accounts[people[n] ?? '']?.accountId ?? '';
  const seen = () => photosSeen(database, tenant.tenantId);
  const stored = async (n: number) =>
    (
      await rows<{ rows: number }>(
        database,
        `select (select count(*) from entra_sync.photos where account_id = :id)::int
              + (select count(*) from entra_sync.photo_faults where account_id = :id)::int as rows`,
        { id: account(n) },
      )
    )[0]?.rows;
  return { world, database, tenant, people, account, seen, stored };
}

test('rule 57: a photo is hidden with the removal of its account, shown with its restore, and gone with its purge', async () => {
  const { world, database, tenant, people, seen, stored } = await livingWorld();
  const [gone = ''] = people;
  const all = photosOf(tenant);
  tenant.deleteUser(gone);
  await world.cycle();
  expect(Object.keys(await seen())).toEqual(Object.keys(all).filter((id) => id !== gone));
  await makeDue(database);
  // A removed account is asked for no more, and keeps what was read.
  expect(await passOf(world)).toMatchObject({ asked: 4, changed: 0 });
  expect(await stored(0)).toBe(1);
  tenant.restoreUser(gone);
  await world.cycle();
  expect(await seen()).toEqual(all);
  tenant.deleteUser(gone);
  await world.cycle();
  await rows(
    database,
    "update entra_sync.accounts set purge_at = now() - interval '1 minute' where removed_at is not null",
  );
  await world.cycle({ resync: true });
  expect(await stored(0)).toBe(0);
  await expectSound(database, tenant.tenantId);
});

test('rule 57: an erased person leaves no photo and no hash, and the export has the photo', async () => {
  const { world, database, tenant, people, account, stored } = await livingWorld();
  const exported = await exportPerson(database, account(1));
  const photo = tenant.photo(people[1] ?? '', 240);
  expect(exported?.photo).toMatchObject({
    content_type: photo?.contentType,
    content: photo?.bytes.toString('base64'),
    sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  const history = await accountHistory(database, account(1), 100);
  expect(history).toContainEqual(
    expect.objectContaining({
      kind: 'account.photo_changed',
      field: 'photo',
      before: null,
      after: exported?.photo?.sha256,
    }),
  );
  world.simulator.options.photoFaults = [{ id: people[1] ?? '', as: 'noise' }];
  await makeDue(database);
  await passOf(world);
  expect(await stored(1)).toBe(2);
  await erasePerson(database, { tenantId: tenant.tenantId, accountId: account(1), actor: 'test' });
  expect(await stored(1)).toBe(0);
  const left = await rows(
    database,
    `select from entra_sync.changes where account_id = :id and (before is not null or after is not null)
       and kind = 'account.photo_changed'`,
    { id: account(1) },
  );
  expect(left).toEqual([]);
});

test('rule 57: change rows hold the hash alone, and nothing is stored of an account that was removed meanwhile', async () => {
  const { world, database, tenant, people, account, seen } = await livingWorld();
  const kept = await rows<{ before: object; after: object }>(
    database,
    "select before, after from entra_sync.changes where kind = 'account.photo_changed'",
  );
  expect(kept).toHaveLength(5);
  for (const { before, after } of kept)
    expect([Object.keys(before), Object.keys(after)]).toEqual([['photo'], ['photo']]);
  const before = await seen();
  const lane = (await claimLane(database, tenant.tenantId)) ?? expect.unreachable();
  tenant.deleteUser(people[2] ?? '');
  await world.cycle();
  const photo = {
    content: Buffer.from('x'),
    contentType: 'image/png',
    sha256: 'b'.repeat(64),
    width: 1,
    height: 1,
  } as const;
  const answered = [2, 3].map((n) => ({
    account: {
      account_id: account(n),
      entra_object_id: people[n] ?? '',
      sha256: before[people[n] ?? '']?.split(' ')[1] ?? null,
    },
    answer: { photo },
  }));
  expect(await commitPhotos(database, lane, answered)).toMatchObject({ changed: 1 });
  const [hidden] = await rows<{ sha256: string }>(
    database,
    'select sha256 from entra_sync.photos where account_id = :id',
    {
      id: account(2),
    },
  );
  expect(before[people[2] ?? '']).toContain(hidden?.sha256 ?? 'nothing');
});
