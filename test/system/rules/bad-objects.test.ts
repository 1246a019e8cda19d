// Rule 19 in whole cycles: an invalid object is set aside, stops no other object, removes no account, and heals.
import { expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { expectTruth, isDeltaRequest, openWorld } from '../../support/system.ts';

test.each([
  ['a NUL character', { mail: 'a\0b' }],
  ['half a surrogate pair', { userPrincipalName: 'a\ud800b' }],
  ['a value of the wrong type', { accountEnabled: 17 }],
  ['a list in place of a text', { userType: ['1', null] }],
  ['a text without end', { mail: 'x'.repeat(40_000) }],
])('rule 19: %s sets one object aside, the others are taken, and it heals', async (_what, patch) => {
  const world = await openWorld();
  const id = world.tenant.users()[3]?.id ?? '';
  const heal = world.simulator.transform(({ url }, body) => {
    const { value } = body as { value?: { id: string }[] };
    if (value === undefined && !url.includes(id)) return body;
    if (value === undefined) return { ...body, ...patch };
    return { ...body, value: value.map((one) => (one.id === id ? { ...one, ...patch } : one)) };
  });
  expect((await world.cycle()).streams.users).toMatchObject({ created: 11, set_aside: 1 });
  const [aside] = await rows<{ reason: string }>(
    world.database,
    'select entra_object_id, reason from directory.set_aside',
  );
  expect(aside).toMatchObject({ entra_object_id: id, reason: expect.stringContaining(Object.keys(patch)[0] ?? '') });
  // Asked for once more, and still invalid.
  expect((await world.cycle()).streams.users).toMatchObject({ created: 0, set_aside: 1 });
  heal();
  expect((await world.cycle()).streams.users).toMatchObject({ created: 1, set_aside: 0 });
  await expectTruth(world.tenant, world.database, []);
  expect(await rows(world.database, 'select * from directory.set_aside')).toEqual([]);
});

test('rule 19: an id that is no GUID is set aside under what was sent, and forgotten when a full round no longer shows it', async () => {
  const world = await openWorld();
  const heal = world.simulator.transform(({ url }, body) =>
    isDeltaRequest(url)
      ? { ...body, value: [...(body as { value: object[] }).value, { id: 'x\0y' }, { noId: true }, 'text', null] }
      : body,
  );
  expect((await world.cycle()).streams.users).toMatchObject({ created: 12, set_aside: 3 });
  heal();
  await world.cycle({ resync: true });
  expect(await rows(world.database, 'select * from directory.set_aside')).toEqual([]);
  await expectTruth(world.tenant, world.database, []);
});

test('rule 19: a full round with an invalid object of a known user removes no account', async () => {
  const world = await openWorld();
  await world.cycle();
  world.simulator.transform(({ url }, body) =>
    isDeltaRequest(url)
      ? { ...body, value: (body as { value: object[] }).value.map((one) => ({ ...one, mail: 7 })) }
      : body,
  );
  const { streams } = await world.cycle({ resync: true });
  expect(streams.users).toMatchObject({ removed: 0, set_aside: 12 });
  await expectTruth(world.tenant, world.database, []);
});

test.each([
  { order: 'removed, then unreadable', reversed: false, deleted: false },
  { order: 'unreadable, then removed', reversed: true, deleted: false },
  { order: 'unreadable, then removed', reversed: true, deleted: true },
])('rules 19 and 22: a user who came $order is asked for by GET (deleted: $deleted)', async ({ reversed, deleted }) => {
  const world = await openWorld({ simulator: { pageSize: 1 } });
  await world.cycle();
  const id = world.tenant.users()[0]?.id ?? '';
  if (deleted) world.tenant.deleteUser(id);
  else world.tenant.touchUser(id);
  const tombstone = { id, '@removed': { reason: 'changed' } };
  const unreadable = { id, mail: 'a\0b' };
  let page = 0;
  const clean = world.simulator.transform(({ url }, body) => {
    if (!isDeltaRequest(url)) return body;
    page += 1;
    if ((page === 1) === reversed) return page === 1 ? onTo(body, [unreadable]) : { ...body, value: [unreadable] };
    return page === 1 ? onTo(body, [tombstone]) : { ...body, value: [tombstone] };
  });
  expect((await world.cycle()).streams.users).toMatchObject({ pages: 2, removed: deleted ? 1 : 0, set_aside: 0 });
  clean();
  await expectTruth(world.tenant, world.database, Object.keys({ [id]: true }));
  expect(await rows(world.database, 'select * from directory.set_aside')).toEqual([]);
});

test('rule 19: no full round removes a user with an unreadable body that GET does not find', async () => {
  const world = await openWorld();
  await world.cycle();
  const id = world.tenant.users()[0]?.id ?? '';
  const hidden = world.simulator.intercept(({ url }) =>
    url.includes(`/users/${id}`)
      ? { status: 404, body: { error: { code: 'Request_ResourceNotFound', message: '' } } }
      : undefined,
  );
  const clean = world.simulator.transform(({ url }, body) =>
    isDeltaRequest(url)
      ? {
          ...body,
          value: (body as { value: { id: string }[] }).value.map((one) => (one.id === id ? { ...one, mail: 7 } : one)),
        }
      : body,
  );
  // The second asks for it by GET, because it was set aside before.
  for (const _ of [1, 2]) {
    const { streams } = await world.cycle({ resync: true });
    expect(streams.users).toMatchObject({ removed: 0, set_aside: 1 });
  }
  hidden();
  clean();
  await world.cycle();
  await expectTruth(world.tenant, world.database, []);
});

/** The page with these objects, and its delta link as a next link: one more page follows. */
function onTo(body: object, value: object[]): object {
  return { '@odata.nextLink': (body as Record<string, string>)['@odata.deltaLink'], value };
}
