// Photos of the simulated tenant: pictures by a seed, sizes, refusals and faults.
import { imageSize } from 'image-size';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createTenant, type Simulator, startSimulator } from '../../../src/simulator/index.ts';
import { isDeep } from '../../support/deep.ts';
import { createReader, errorOf } from './client.ts';

const options = { seed: 7, users: 100 };
const tenant = createTenant(options);
const [first = ''] = tenant.users().map(({ id }) => id);
let simulator: Simulator;
let reader: ReturnType<typeof createReader>;

beforeAll(async () => {
  simulator = await startSimulator({ tenants: [tenant] });
  reader = createReader(simulator);
});
beforeEach(() => {
  simulator.options.photoFaults = [];
});
afterAll(() => simulator.close());

test.runIf(isDeep)(
  'half of the users have a photo, the same from the same seed, and most in the size that is asked for',
  () => {
    const same = createTenant(options);
    const shown = tenant.users().flatMap(({ id }) => tenant.photo(id, 240) ?? []);
    expect(Math.abs(shown.length - 50)).toBeLessThan(20);
    expect(same.users().flatMap(({ id }) => same.photo(id, 240) ?? [])).toEqual(shown);
    const sizes = shown.map(({ bytes }) => imageSize(bytes));
    expect(new Set(sizes.map(({ type }) => type))).toEqual(new Set(['jpg', 'png']));
    const asked = sizes.filter(({ width, height }) => width === 240 && height === 240).length;
    expect([asked > shown.length * 0.7, asked < shown.length]).toEqual([true, true]);
    const isLarge = ({ id }: { id: string }) => tenant.photo(id, 648) !== undefined;
    // Some have none in the largest size: the first of these is enough.
    expect(tenant.users().some((user) => tenant.photo(user.id, 240) && !isLarge(user))).toBe(true);
  },
);

test('a photo comes as bytes, in a batch as base64, and a change of it is no change of the user', async () => {
  tenant.setPhoto(first, 'another');
  const bytes = tenant.photo(first, 96)?.bytes;
  const path = `/users/${first}/photos/96x96/$value`;
  const link = (await reader.round('/v1.0/users/delta?$select=displayName')).deltaLink;
  const urls = { '1': path, '2': `/users/${first}/photos/50x50/$value` };
  const requests = Object.entries(urls).map(([id, url]) => ({ id, method: 'GET', url }));
  const headers = { 'content-type': 'application/json' };
  const batch = await reader.ask('/v1.0/$batch', { method: 'POST', headers, body: JSON.stringify({ requests }) });
  const responses: { id: string; status: number; headers: object; body: unknown }[] = JSON.parse(batch.text).responses;
  const [good, bad] = responses.toSorted((one, other) => (one.id < other.id ? -1 : 1));
  expect(good).toMatchObject({ status: 200, body: bytes?.toString('base64') });
  expect(good?.headers).toMatchObject({ 'Content-Type': expect.stringMatching(/^image\/(jpeg|png)$/) });
  expect(bad?.status).toBe(400);
  tenant.setPhoto(first, 'another');
  expect(tenant.photo(first, 96)?.bytes).not.toEqual(bytes);
  tenant.setPhoto(first, null);
  const gone = await reader.ask(`/v1.0${path}`);
  expect([gone.status, errorOf(gone).code]).toEqual([404, 'ImageNotFound']);
  expect((await reader.round(link)).value).toEqual([]);
});

test('a photo needs a permission of its own or User.Read.All, and one mailbox may be closed', async () => {
  const other = createTenant({ seed: 8, users: 2, photos: 1 });
  const [one = '', two = ''] = other.users().map(({ id }) => id);
  const closed = await startSimulator({ tenants: [other], roles: ['Directory.Read.All'] });
  const ask = async (id: string) => {
    const fresh = createReader(closed);
    const reply = await fresh.ask(`/v1.0/users/${id}/photos/240x240/$value`);
    return reply.status;
  };
  expect(await ask(one)).toBe(403);
  closed.options.roles = ['ProfilePhoto.Read.All'];
  expect(await ask(one)).toBe(200);
  closed.options.photoFaults = [{ id: one, as: 'refused' }];
  expect([await ask(one), await ask(two)]).toEqual([403, 200]);
  await closed.close();
});
