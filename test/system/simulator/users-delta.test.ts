// users/delta of the simulated tenant, over real sockets: what a round holds, and how its links behave.
import { afterEach, expect, test } from 'vitest';
import {
  createTenant,
  type Simulator,
  type SimulatorSettings,
  startSimulator,
  type TenantOptions,
} from '../../../src/simulator/index.ts';
import { createReader, errorOf } from './client.ts';

const started: Simulator[] = [];
const first = '/v1.0/users/delta?$select=displayName,jobTitle,mobilePhone,businessPhones';

async function start(tenantOptions: Partial<TenantOptions> = {}, settings: Partial<SimulatorSettings> = {}) {
  const tenant = createTenant({ seed: 11, users: 30, ...tenantOptions });
  const simulator = await startSimulator({ tenants: [tenant], pageSize: 7, ...settings });
  started.push(simulator);
  return { tenant, simulator, ...createReader(simulator, tenant.tenantId) };
}

afterEach(async () => {
  await Promise.all(started.splice(0).map((simulator) => simulator.close()));
});

const ids = (value: readonly Record<string, unknown>[]) => value.map((entry) => entry.id);

test('a first round holds every live user once, in pages, and ends with a delta link alone', async () => {
  const { tenant, round } = await start();
  const { pages, value } = await round(first);
  expect(pages.map((page) => page.value.length)).toEqual([7, 7, 7, 7, 2]);
  expect(new Set(ids(value))).toEqual(new Set(tenant.users().map((user) => user.id)));
  expect(pages.map((page) => '@odata.nextLink' in page)).toEqual([true, true, true, true, false]);
  expect(pages.map((page) => '@odata.deltaLink' in page)).toEqual([false, false, false, false, true]);
});

test('the select list stands in the context of the first page only', async () => {
  const { simulator, round } = await start();
  const { pages } = await round(first);
  const contexts = pages.map((page) => page['@odata.context']);
  const plain = `${simulator.origin}/v1.0/$metadata#users`;
  expect(contexts).toEqual([`${plain}(displayName,jobTitle,mobilePhone,businessPhones)`, plain, plain, plain, plain]);
});

test('properties that never had a value are absent, businessPhones is always an array', async () => {
  const { tenant, round } = await start({ users: 0 });
  const bare = tenant.createUser({ jobTitle: null, mobilePhone: null, businessPhones: null, displayName: 'Bare' });
  const { value } = await round(first);
  expect(value).toEqual([{ displayName: 'Bare', businessPhones: [], id: bare }]);
});

test('without $select the default properties come', async () => {
  const { tenant, round } = await start({ users: 0 });
  tenant.createUser({ faxNumber: '+1', officeLocation: 'Here', mobilePhone: null });
  const [user] = (await round('/v1.0/users/delta')).value;
  expect(user).toHaveProperty('officeLocation', 'Here');
  expect(user).not.toHaveProperty('faxNumber');
  expect(user).not.toHaveProperty('mobilePhone');
});

test('a first round has tombstones of users deleted before: changed for soft, deleted for hard', async () => {
  const { tenant, round } = await start({ users: 3, deletedUsers: 2 });
  const { value } = await round(first);
  const removed = value.filter((entry) => '@removed' in entry);
  const soft = removed.filter((entry) => JSON.stringify(entry['@removed']) === '{"reason":"changed"}');
  expect(new Set(ids(soft))).toEqual(new Set(tenant.deletedUsers().map((user) => user.id)));
  expect(removed.length - soft.length).toBe(1);
  expect(removed.every((entry) => Object.keys(entry).sort().join() === '@removed,id')).toBe(true);
});

test('a later round tells changes alone: full bodies by default, null for what was cleared', async () => {
  const { tenant, round } = await start({ users: 0 });
  const properties = { displayName: 'Åse', jobTitle: 'Clerk', mobilePhone: '+47 1', businessPhones: ['+47 2'] };
  const id = tenant.createUser(properties);
  tenant.createUser();
  const { deltaLink } = await round(first);
  tenant.updateUser(id, { jobTitle: null, businessPhones: null });
  const next = await round(deltaLink);
  expect(next.value).toEqual([{ displayName: 'Åse', jobTitle: null, mobilePhone: '+47 1', businessPhones: [], id }]);
  expect(next.deltaLink).not.toBe(deltaLink);
  expect((await round(next.deltaLink)).value).toEqual([]);
});

test('the minimal form, by option or by Prefer, holds changed properties alone', async () => {
  const { tenant, round, simulator } = await start({ users: 0 });
  const id = tenant.createUser({ displayName: 'Åse', jobTitle: 'Clerk', mobilePhone: '+47 1' });
  const { deltaLink } = await round(first);
  tenant.updateUser(id, { jobTitle: null, mobilePhone: '+47 3' });
  const expected = [{ jobTitle: null, mobilePhone: '+47 3', id }];
  expect((await round(deltaLink, { prefer: 'return=minimal' })).value).toEqual(expected);
  simulator.options.form = 'minimal';
  expect((await round(deltaLink)).value).toEqual(expected);
});

test('a change of a property that is not selected is no news', async () => {
  const { tenant, round } = await start({ users: 2 });
  const { deltaLink } = await round(first);
  const [user] = tenant.users();
  tenant.updateUser(user?.id ?? '', { faxNumber: '+47 99' });
  expect((await round(deltaLink)).value).toEqual([]);
});

test('deleted, purged, restored and replayed users are told as Graph tells them', async () => {
  const { tenant, round } = await start({ users: 4, deletedUsers: 1 });
  const [a, b, c] = tenant.users().map((user) => user.id);
  const back = tenant.deletedUsers()[0]?.id ?? '';
  const { deltaLink } = await round(first);
  tenant.deleteUser(a ?? '');
  tenant.purgeUser(b ?? '');
  tenant.touchUser(c ?? '');
  tenant.restoreUser(back);
  const next = await round(deltaLink);
  expect(next.value[0]).toEqual({ id: a, '@removed': { reason: 'changed' } });
  expect(next.value[1]).toEqual({ id: b, '@removed': { reason: 'deleted' } });
  expect(next.value[2]).toMatchObject({ id: c, displayName: tenant.findUser(c ?? '')?.properties.displayName });
  expect(next.value[3]).toMatchObject({ id: back, displayName: tenant.findUser(back)?.properties.displayName });
  expect(next.value[3]).not.toHaveProperty('@removed');
  tenant.purgeUser(a ?? '');
  expect((await round(next.deltaLink)).value).toEqual([{ id: a, '@removed': { reason: 'deleted' } }]);
});

test('a restored user shows null for what was cleared before it was deleted', async () => {
  const { tenant, round } = await start({ users: 0 });
  const id = tenant.createUser({ displayName: 'Ó', jobTitle: 'Clerk', mobilePhone: '1', businessPhones: ['2'] });
  const { deltaLink } = await round(first);
  tenant.updateUser(id, { jobTitle: null });
  tenant.deleteUser(id);
  const gone = await round(deltaLink);
  tenant.restoreUser(id);
  const expected = [{ displayName: 'Ó', jobTitle: null, mobilePhone: '1', businessPhones: ['2'], id }];
  expect((await round(gone.deltaLink)).value).toEqual(expected);
});

test('the same link gives the same page byte for byte, and the latest state once an object changed', async () => {
  const { tenant, ask, get } = await start();
  const page = await get(first);
  const link = String(page['@odata.nextLink']);
  const before = await ask(link);
  expect((await ask(link)).text).toBe(before.text);
  const shown = JSON.parse(before.text).value[0].id;
  tenant.updateUser(shown, { displayName: 'Renamed meanwhile' });
  expect(JSON.parse((await ask(link)).text).value[0].displayName).toBe('Renamed meanwhile');
});

test('what changes while a round is under way comes in the next round at the latest', async () => {
  const { tenant, get, round } = await start();
  const page = await get(first);
  const shown = String(page.value[0]?.id);
  tenant.updateUser(shown, { jobTitle: 'Changed behind the reader' });
  const hired = tenant.createUser();
  const rest = await round(String(page['@odata.nextLink']));
  const next = await round(rest.deltaLink);
  expect(next.value.find((entry) => entry.id === shown)).toHaveProperty('jobTitle', 'Changed behind the reader');
  expect(ids([...rest.value, ...next.value])).toContain(hired);
});

test('a delta link asked again after more edits tells these edits, too', async () => {
  const { tenant, round } = await start({ users: 3 });
  const { deltaLink } = await round(first);
  const [a, b] = tenant.users().map((user) => user.id);
  tenant.deleteUser(a ?? '');
  const once = await round(deltaLink);
  const again = await round(deltaLink);
  expect(again).toEqual(once);
  tenant.deleteUser(b ?? '');
  expect(ids((await round(deltaLink)).value)).toEqual([a, b]);
});

test('$deltatoken=latest gives a delta link without data; the $select stays with it', async () => {
  const { tenant, get, round } = await start({ users: 2 });
  const page = await get(`${first}&$deltatoken=latest`);
  expect(page.value).toEqual([]);
  const id = tenant.createUser({ displayName: 'New', jobTitle: null, mobilePhone: null, businessPhones: [] });
  const next = await round(String(page['@odata.deltaLink']));
  expect(next.value).toEqual([{ displayName: 'New', businessPhones: [], id }]);
});

test.each([
  [
    're-encoded by URLSearchParams',
    (link: string) => {
      const url = new URL(link);
      url.search = url.searchParams.toString();
      return url.href;
    },
  ],
  ['with + decoded to a space', (link: string) => link.replace('+', '%20')],
  ['with %2B decoded', (link: string) => link.replace('%2B', '+')],
  ['with = encoded', (link: string) => link.replace(/=$/, '%3D')],
  ['cut short', (link: string) => link.slice(0, -9)],
  [
    'with one letter changed',
    (link: string) => link.replace(/.(.)=$/, (_, last) => `${last === 'A' ? 'B' : 'A'}${last}=`),
  ],
])('a link %s is refused as too old', async (_name, damage) => {
  const { ask, round, get } = await start();
  const links = [String((await get(first))['@odata.nextLink']), (await round(first)).deltaLink];
  for (const link of links) {
    expect((await ask(new URL(link).href)).status).toBe(200);
    const reply = await ask(damage(link));
    expect(reply.status).toBe(400);
    expect(errorOf(reply)).toMatchObject({
      code: 'Request_UnsupportedQuery',
      message: 'DeltaLink older than 30 days is not supported.',
    });
  }
});

test('both tokens in one URL are refused', async () => {
  const { ask, get, round } = await start();
  const next = String((await get(first))['@odata.nextLink']);
  const delta = (await round(first)).deltaLink;
  const reply = await ask(`${next}&${delta.split('?')[1]}`);
  expect(reply.status).toBe(400);
  expect(errorOf(reply).message).toBe("Invalid request: Both skiptoken and deltatoken can't be in the same request.");
});

test('expired tokens answer 410 with a Location, or the observed 400; new ones work', async () => {
  const { tenant, simulator, ask, get, round } = await start();
  const { deltaLink } = await round(first);
  const nextLink = String((await get(first))['@odata.nextLink']);
  tenant.expireTokens('410');
  for (const link of [deltaLink, nextLink]) {
    const reply = await ask(link);
    expect(reply.status).toBe(410);
    expect(errorOf(reply).code).toBe('resyncRequired');
    expect(reply.headers.location).toBe(`${simulator.origin}/v1.0/users/delta?$deltatoken=`);
    expect((await round(String(reply.headers.location))).value).toHaveLength(30);
  }
  const fresh = await round(first);
  expect((await ask(fresh.deltaLink)).status).toBe(200);
  tenant.expireTokens('400');
  const reply = await ask(fresh.deltaLink);
  expect([reply.status, errorOf(reply).code]).toEqual([400, 'Request_UnsupportedQuery']);
});

test('tokens of another tenant or of another stream are refused', async () => {
  const [one, two] = [createTenant({ seed: 1, users: 2 }), createTenant({ seed: 2, users: 2 })];
  const simulator = await startSimulator({ tenants: [one, two] });
  started.push(simulator);
  const [first1, second] = [createReader(simulator, one.tenantId), createReader(simulator, two.tenantId)];
  const { deltaLink } = await first1.round(first);
  expect((await second.ask(deltaLink)).status).toBe(400);
  expect((await first1.ask(deltaLink.replace('/users/', '/groups/'))).status).toBe(400);
  expect((await first1.ask(deltaLink)).status).toBe(200);
});

test.each([
  [
    'jobtitel',
    "Parsing OData Select and Expand failed: Could not find a property named 'jobtitel' on type 'microsoft.graph.user'.",
  ],
  [
    'birthday',
    'Invalid request for delta query: for this entity set, $expand/$select is not supported for the following properties: birthday',
  ],
  [
    'signInActivity,skills',
    'Invalid request for delta query: for this entity set, $expand/$select is not supported for the following properties: signInActivity, skills',
  ],
])('$select=%s is refused', async (select, message) => {
  const { ask } = await start();
  const reply = await ask(`/v1.0/users/delta?$select=displayName,${select}`);
  expect([reply.status, errorOf(reply).code, errorOf(reply).message]).toEqual([400, 'BadRequest', message]);
});

test('$top, $filter and $expand are ignored; the SDK spelling of the path works', async () => {
  const { round } = await start();
  const path = '/v1.0/users/microsoft.graph.delta()?$select=id&$top=2&$expand=manager';
  const { value } = await round(`${path}&$filter=startswith(displayName,%27zzz%27)`);
  expect(value).toHaveLength(30);
});

test('repeats, empty pages and shuffling change the shape of a round but not its sum', async () => {
  const { tenant, simulator, round } = await start();
  const plain = (await round(first)).value;
  Object.assign(simulator.options, { repeats: 0.5, emptyPages: 0.5, shuffle: true });
  const { value, pages } = await round(first);
  expect(value.length).toBeGreaterThan(plain.length);
  expect(pages.some((page) => page.value.length === 0 && '@odata.nextLink' in page)).toBe(true);
  expect(ids(value).slice(0, 10)).not.toEqual(ids(plain).slice(0, 10));
  expect(new Set(ids(value))).toEqual(new Set(tenant.users().map((user) => user.id)));
});

test('a repeated object shows an earlier state first and the latest state last', async () => {
  const { tenant, simulator, round } = await start({ users: 0 });
  simulator.options.repeats = 1;
  const changed = tenant.createUser({ displayName: 'Old name', jobTitle: 'Old title' });
  const restored = tenant.createUser({ displayName: 'Back' });
  tenant.updateUser(changed, { displayName: 'New name', jobTitle: null });
  tenant.deleteUser(restored);
  tenant.restoreUser(restored);
  const { value } = await round(first);
  const of = (id: string) => value.filter((entry) => entry.id === id);
  expect(of(changed)).toMatchObject([
    { displayName: 'Old name', jobTitle: 'Old title' },
    { displayName: 'New name', jobTitle: null },
  ]);
  expect(of(restored)).toMatchObject([{ '@removed': { reason: 'changed' } }, { displayName: 'Back' }]);
});

test('what an earlier state has shown is corrected even when the rest of the round is asked for in minimal form', async () => {
  const { tenant, simulator, get, round } = await start({ users: 0 });
  const id = tenant.createUser({ displayName: 'Old name' });
  tenant.updateUser(id, { displayName: 'New name' });
  const { deltaLink } = await round(first);
  tenant.touchUser(id);
  Object.assign(simulator.options, { repeats: 1, pageSize: 1 });
  const page = await get(deltaLink);
  expect(page.value).toMatchObject([{ id, displayName: 'Old name' }]);
  const next = await get(String(page['@odata.nextLink']), { prefer: 'return=minimal' });
  expect(next.value).toMatchObject([{ id, displayName: 'New name' }]);
});

test('shuffled and repeated rounds are the same for the same seed and the same requests', async () => {
  const shapes = { repeats: 0.5, emptyPages: 0.5, shuffle: true };
  const [one, two] = [await start({}, shapes), await start({}, shapes)];
  const sizes = async ({ round }: typeof one) => {
    const { pages } = await round(first);
    return pages.map((page) => ids(page.value));
  };
  expect(await sizes(one)).toEqual(await sizes(two));
});

test('manager links come in the first round and when they change, not otherwise', async () => {
  const { tenant, round } = await start({ users: 2 });
  const [a, b] = tenant.users().map((user) => user.id);
  tenant.updateUser(a ?? '', { manager: b });
  const begun = await round('/v1.0/users/delta?$select=displayName,manager');
  const link = { '@odata.type': '#microsoft.graph.user', id: b };
  expect(begun.value.find((entry) => entry.id === a)).toHaveProperty(['manager@delta'], [link]);
  tenant.updateUser(a ?? '', { displayName: 'Other' });
  const second = await round(begun.deltaLink);
  expect(second.value).toEqual([{ displayName: 'Other', id: a }]);
  tenant.updateUser(a ?? '', { manager: null });
  const third = await round(second.deltaLink);
  expect(third.value[0]?.['manager@delta']).toEqual([{ ...link, '@removed': { reason: 'deleted' } }]);
});
