// Plain reads of the simulated Graph: listings, single objects, members, counts, batches, and what is refused.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createTenant, type Simulator, startSimulator } from '../../../src/simulator/index.ts';
import { createReader, errorOf } from './client.ts';

const tenant = createTenant({
  seed: 41,
  users: 230,
  groups: 20,
  largestGroup: 150,
  deletedUsers: 3,
  name: 'Łucja & Sons',
});
let simulator: Simulator;
let reader: ReturnType<typeof createReader>;

beforeAll(async () => {
  simulator = await startSimulator({ tenants: [tenant] });
  reader = createReader(simulator);
});
beforeEach(() => simulator.clearRequests());
afterAll(() => simulator.close());

const eventual = { ConsistencyLevel: 'eventual' };

test('a listing pages by $top, shows live users alone, and null for what has no value', async () => {
  const { pages, value } = await reader.round('/v1.0/users?$top=100&$select=id,displayName,jobTitle,otherMails');
  expect(pages.map((page) => page.value.length)).toEqual([100, 100, 30]);
  const expected = tenant.users().map(({ id, properties }) => {
    const { displayName, jobTitle = null, otherMails = [] } = properties;
    return { id, displayName, jobTitle, otherMails };
  });
  expect(value).toEqual(expected);
  expect(pages.at(-1)).not.toHaveProperty(['@odata.deltaLink']);
});

test('the token of a listing serves that listing alone', async () => {
  const link = String((await reader.get('/v1.0/users?$top=5&$select=id'))['@odata.nextLink']);
  expect((await reader.ask(link)).status).toBe(200);
  for (const other of [link.replace('$top=5', '$top=6'), link.replace('/users?', '/groups?')]) {
    const reply = await reader.ask(other);
    expect([reply.status, errorOf(reply).code]).toEqual([400, 'Request_UnsupportedQuery']);
  }
});

test('a user created while a listing is under way is on a later page', async () => {
  const page = await reader.get('/v1.0/users?$top=200&$select=id');
  const id = tenant.createUser();
  const rest = await reader.round(String(page['@odata.nextLink']));
  expect(rest.value.at(-1)).toEqual({ id });
  tenant.purgeUser(id);
});

test.each([
  ['users?$top=1000', 'Request_UnsupportedQuery'],
  ['users?$top=0', 'Request_UnsupportedQuery'],
  ['users?$orderby=displayName', 'Request_UnsupportedQuery'],
  ['users?$select=jobtitel', 'Request_BadRequest'],
  ['users?$filter=jobTitle like 1', 'Request_BadRequest'],
  ['users?$skiptoken=nonsense', 'Request_UnsupportedQuery'],
  ['printers', 'BadRequest'],
  ['users/x/photo', 'BadRequest'],
])('GET /%s is a 400 (%s)', async (path, code) => {
  const reply = await reader.ask(`/v1.0/${encodeURI(path)}`);
  expect([reply.status, errorOf(reply).code]).toEqual([400, code]);
});

test('properties outside the directory are 501 in a listing', async () => {
  const reply = await reader.ask('/v1.0/users?$select=skills');
  expect([reply.status, errorOf(reply).code]).toEqual([501, 'NotImplemented']);
});

test('$filter cuts a listing into partitions that together are the whole', async () => {
  const middle = '2022-01-01T00:00:00Z';
  const [older, newer] = await Promise.all(
    ['lt', 'ge'].map((operator) =>
      reader.round(`/v1.0/users?$select=id&$filter=createdDateTime%20${operator}%20${middle}`),
    ),
  );
  expect([older?.value.length, newer?.value.length].every((count) => (count ?? 0) > 0)).toBe(true);
  expect((older?.value.length ?? 0) + (newer?.value.length ?? 0)).toBe(230);
  const named = await reader.round(
    `/v1.0/users?$filter=${encodeURIComponent("startsWith(displayName,'s') and not (accountEnabled eq false)")}`,
  );
  const expected = tenant
    .users()
    .filter(({ properties }) => /^s/i.test(String(properties.displayName)) && properties.accountEnabled);
  expect(named.value.map((user) => user.id)).toEqual(expected.map((user) => user.id));
  const [one, two] = tenant.users();
  const some = await reader.get(
    `/v1.0/users?$filter=${encodeURIComponent(`id in ('${one?.id}','${two?.id}') or mail eq null`)}`,
  );
  expect(some.value).toHaveLength(2);
});

test('counts need ConsistencyLevel: eventual', async () => {
  const users = await reader.ask('/v1.0/users/$count', { headers: eventual });
  const groups = await reader.ask('/v1.0/groups/$count', { headers: eventual });
  expect([users.text, groups.text, users.headers['content-type']]).toEqual(['230', '20', 'text/plain']);
  const refused = await reader.ask('/v1.0/users/$count');
  expect([refused.status, errorOf(refused)]).toMatchObject([
    400,
    { code: 'Request_BadRequest', message: '$count is not currently supported.' },
  ]);
});

test('a user is found by id or principal name, a group by id; deleted ones are not', async () => {
  const [user] = tenant.users();
  const byId = await reader.get(`/v1.0/users/${user?.id}?$select=displayName`);
  const name = encodeURIComponent(String(user?.properties.userPrincipalName).toUpperCase());
  const byName = await reader.get(`/v1.0/users/${name}?$select=displayName`);
  expect(byId).toMatchObject({ id: user?.id, displayName: user?.properties.displayName });
  expect(byName).toEqual(byId);
  const [group] = tenant.groups();
  expect(await reader.get(`/v1.0/groups/${group?.id}`)).toMatchObject({ displayName: group?.properties.displayName });
  const reply = await reader.ask(`/v1.0/users/${tenant.deletedUsers()[0]?.id}`);
  expect([reply.status, errorOf(reply).code]).toEqual([404, 'Request_ResourceNotFound']);
});

test('members are direct and live, page, and can be cast; memberOf is their reverse', async () => {
  const group = tenant.groups().find(({ members }) => members.size === 150);
  const { pages, value } = await reader.round(`/v1.0/groups/${group?.id}/members?$select=id&$top=60`);
  expect(pages.map((page) => page.value.length)).toEqual([60, 60, 30]);
  expect(new Set(value.map((member) => member.id))).toEqual(new Set(group?.members.keys()));
  const someone = String(value[0]?.id);
  tenant.deleteUser(someone);
  const fewer = await reader.round(`/v1.0/groups/${group?.id}/members/microsoft.graph.user?$select=id`);
  expect(fewer.value).toHaveLength(149);
  tenant.restoreUser(someone);
  const groups = await reader.round(`/v1.0/users/${someone}/memberOf?$select=id`);
  const expected = tenant.groups().filter(({ members }) => members.has(someone));
  expect(new Set(groups.value.map((entry) => entry.id))).toEqual(new Set(expected.map(({ id }) => id)));
});

test('a member of a type the token may not read shows type and id', async () => {
  const before = simulator.options.roles;
  simulator.options.roles = ['GroupMember.Read.All'];
  const limited = createReader(simulator);
  const [group] = tenant.groups();
  const { value } = await limited.get(`/v1.0/groups/${group?.id}/members?$top=1`);
  simulator.options.roles = before;
  expect(value).toEqual([{ '@odata.type': '#microsoft.graph.user', id: value[0]?.id, displayName: null }]);
});

test('the organization is the tenant', async () => {
  const { value } = await reader.get('/v1.0/organization');
  expect(value).toMatchObject([{ id: tenant.tenantId, displayName: 'Łucja & Sons' }]);
});

test('a batch answers each part by itself, in an order of its own', async () => {
  const requests = [
    { id: 'count', method: 'GET', url: '/users/$count', headers: eventual },
    { id: 'lost', method: 'GET', url: 'users/nobody' },
    { id: 'write', method: 'PATCH', url: `/users/${tenant.users()[0]?.id}`, body: { jobTitle: 'x' } },
    { id: 'nested', method: 'POST', url: '/$batch', body: { requests: [] } },
  ];
  const reply = await reader.ask('/v1.0/$batch', { method: 'POST', body: JSON.stringify({ requests }) });
  const { responses } = JSON.parse(reply.text);
  expect(reply.status).toBe(200);
  const statuses = Object.fromEntries(responses.map((part: { id: string; status: number }) => [part.id, part.status]));
  expect(statuses).toEqual({ count: 200, lost: 404, write: 405, nested: 405 });
  expect(responses[0].id).not.toBe('count');
  expect(responses.find((part: { id: string }) => part.id === 'count').body).toBe('230');
  expect(simulator.requests.map(({ method, status }) => [method, status])).toContainEqual(['PATCH', 405]);
});

test.each([
  ['no JSON', 'GET /users'],
  ['no list', '{"requests":{}}'],
  ['an empty list', '{"requests":[]}'],
  ['null', 'null'],
  ['a null part', '{"requests":[null]}'],
  ['an absolute URL', '{"requests":[{"id":"1","method":"GET","url":"https://elsewhere.example/users"}]}'],
  ['an id twice', '{"requests":[{"id":"1","method":"GET","url":"/users"},{"id":"1","method":"GET","url":"/users"}]}'],
  [
    '21 parts',
    JSON.stringify({
      requests: Array.from({ length: 21 }, (_, id) => ({ id: `${id}`, method: 'GET', url: '/users' })),
    }),
  ],
])('a batch with %s is a 400', async (_name, body) => {
  const reply = await reader.ask('/v1.0/$batch', { method: 'POST', body });
  expect([reply.status, errorOf(reply).code]).toEqual([400, 'BadRequest']);
});

test.each(['PUT', 'PATCH', 'DELETE', 'POST', 'HEAD'])(
  '%s is refused, recorded, and changes nothing',
  async (method) => {
    const [user] = tenant.users();
    await reader.get('/v1.0/organization');
    simulator.clearRequests();
    const reply = await reader.ask(`/v1.0/users/${user?.id}`, {
      method,
      body: method === 'HEAD' ? '' : '{"displayName":"X"}',
    });
    expect(reply.status).toBe(405);
    expect(simulator.requests).toMatchObject([{ method, path: `/v1.0/users/${user?.id}`, status: 405 }]);
    expect(tenant.findUser(user?.id ?? '')).toEqual(user);
  },
);

test('headers: ids, the echo of the own id, a date, the content type of Graph; errors carry the ids', async () => {
  const reply = await reader.ask('/v1.0/users?$top=5000', { headers: { 'client-request-id': 'mine' } });
  expect(reply.headers).toMatchObject({ 'client-request-id': 'mine', 'odata-version': '4.0' });
  expect(reply.headers['content-type']).toMatch(/^application\/json;odata\.metadata=minimal;/);
  expect(Date.parse(reply.headers.date ?? '')).not.toBeNaN();
  expect(errorOf(reply).innerError).toMatchObject({
    'client-request-id': 'mine',
    'request-id': reply.headers['request-id'],
  });
});
