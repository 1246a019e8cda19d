// `sync --user`: an on-demand read of one user, beside the cycles. No checkpoint moves, and no account is removed.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Tenant } from '../../../src/simulator/index.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { runCli } from '../../support/cli.ts';
import { groupsSeen, groupTruth, membershipPairs, replayMemberships } from '../../support/groups-truth.ts';
import { setSettings } from '../../support/settings.ts';
import {
  accountsOf,
  failureOf,
  interruption,
  openWorld,
  personOf,
  removedOf,
  truthOf,
  type World,
} from '../../support/system.ts';

const firstOf = (tenant: Tenant) => {
  const [person] = tenant.users();
  if (!person) throw new Error('an empty tenant');
  return { id: person.id, name: String(person.properties.userPrincipalName) };
};

const kinds = (changes: readonly { kind: string }[]) => changes.map((change) => change.kind);

const checkpointsOf = ({ database }: World) =>
  rows(database, 'select * from entra_sync.checkpoints order by tenant_id, stream');

const changeCount = async ({ database }: World) =>
  (await rows<{ count: number }>(database, 'select count(*)::int as count from directory.changes'))[0]?.count;

const accountOf = async ({ database, tenant }: World, id: string) => (await accountsOf(database, tenant.tenantId))[id];

test('shows the changes of one user and the user’s groups, and the next cycle does not repeat them', async () => {
  const world = await openWorld({ users: 6 });
  const { tenant } = world;
  const { id, name } = firstOf(tenant);
  const [old, fresh] = ['Old Team', 'New Team'].map((displayName) => tenant.createGroup({ displayName }));
  tenant.addMember(old ?? '', id);
  await world.cycle();
  const checkpoints = await checkpointsOf(world);
  tenant.updateUser(id, { jobTitle: 'Chief of Everything', city: null });
  tenant.removeMember(old ?? '', id);
  tenant.addMember(fresh ?? '', id);
  const result = await personOf(world, name);
  expect(result).toMatchObject({ verdict: 'updated', entraObjectId: id, groups: 1, reason: null });
  expect(kinds(result.changes).sort()).toEqual(['account.updated', 'membership.added', 'membership.removed']);
  expect(result.changes.find((change) => change.kind === 'membership.added')?.group_name).toBe('New Team');
  expect(await accountOf(world, id)).toMatchObject(truthOf(tenant)[id] ?? {});
  expect(await groupsSeen(world.database, tenant.tenantId)).toEqual(groupTruth(tenant));
  expect(await checkpointsOf(world)).toEqual(checkpoints);
  const written = await changeCount(world);
  await world.cycle();
  expect(await changeCount(world)).toBe(written);
  expect(await personOf(world, id)).toMatchObject({ verdict: 'unchanged', changes: [] });
});

test('its cycle has the kind on_demand, and is not a success of the tenant', async () => {
  const world = await openWorld({ users: 3 });
  const { id } = firstOf(world.tenant);
  await personOf(world, id, { actor: 'support' });
  const cycles = await rows(world.database, 'select kind, outcome, streams from directory.cycles');
  expect(cycles).toMatchObject([{ kind: 'on_demand', outcome: 'committed', streams: { users: { created: 1 } } }]);
  const [tenant] = await rows(world.database, 'select status, last_success_at from directory.tenants');
  expect(tenant).toEqual({ status: 'pending', last_success_at: null });
  expect(await checkpointsOf(world)).toEqual([]);
  const [change] = await rows(world.database, 'select kind, actor from directory.changes');
  expect(change).toEqual({ kind: 'account.created', actor: 'support' });
  await world.cycle();
  expect(await accountsOf(world.database, world.tenant.tenantId)).toMatchObject(truthOf(world.tenant));
});

test('a new user has an account at once, with memberships', async () => {
  const world = await openWorld({ users: 3 });
  const { tenant } = world;
  const group = tenant.createGroup({ displayName: 'Team' });
  await world.cycle();
  const id = tenant.createUser({ displayName: 'New Hire' });
  tenant.addMember(group, id);
  const result = await personOf(world, id);
  expect(result.verdict).toBe('created');
  expect(kinds(result.changes)).toEqual(['account.created', 'membership.added']);
  await world.cycle();
  expect(await replayMemberships(world.database, tenant.tenantId)).toEqual(
    await membershipPairs(world.database, tenant.tenantId),
  );
});

test('a deleted user is reported as not found, and the account stays until delta reports it; restored, it is back with its groups', async () => {
  const world = await openWorld({ users: 4 });
  const { tenant, database } = world;
  const { id, name } = firstOf(tenant);
  const group = tenant.createGroup({ displayName: 'Team' });
  tenant.addMember(group, id);
  await world.cycle();
  const account = (await personOf(world, id)).after?.account_id;
  tenant.deleteUser(id);
  const gone = await personOf(world, name);
  expect(gone).toMatchObject({ verdict: 'not_there', changes: [], entraObjectId: id });
  expect(gone.after?.removed_at).toBeNull();
  expect(await accountOf(world, id)).toBeDefined();
  await world.cycle();
  expect((await personOf(world, id)).after).toMatchObject({ removed_reason: 'deleted_restorable' });
  tenant.restoreUser(id);
  tenant.removeMember(group, id);
  const back = await personOf(world, name);
  expect(back).toMatchObject({ verdict: 'restored', groups: 0 });
  expect(back.after?.account_id).toBe(account);
  expect(await groupsSeen(database, tenant.tenantId)).toEqual(groupTruth(tenant));
  await world.cycle();
  expect(await groupsSeen(database, tenant.tenantId)).toEqual(groupTruth(tenant));
});

test('creates and removes no account outside the scope; a new membership of a scope group puts the user in scope', async () => {
  const world = await openWorld({ users: 6 });
  const { tenant, database } = world;
  const [inside, outside] = tenant.users().map((user) => user.id) as [string, string];
  const group = tenant.createGroup({ displayName: 'Licensed' });
  tenant.addMember(group, inside);
  await setSettings(database, { scope: { groups: [group], userType: 'any' } });
  await world.cycle();
  expect(await personOf(world, outside)).toMatchObject({
    verdict: 'out_of_scope',
    reason: 'scope.groups: in none of the scope groups',
    changes: [],
  });
  tenant.addMember(group, outside);
  const entered = await personOf(world, outside);
  expect(entered.verdict).toBe('created');
  expect(kinds(entered.changes)).toEqual(['account.created', 'membership.added']);
  tenant.removeMember(group, inside);
  const left = await personOf(world, inside);
  expect(left).toMatchObject({ verdict: 'out_of_scope' });
  expect(left.after?.removed_at, 'a single read removes no account').toBeNull();
  await world.cycle();
  expect(Object.keys(await accountsOf(database, tenant.tenantId))).toEqual([outside]);
  await setSettings(database, { scope: { groups: [], userType: ['Guest'] } });
  expect(await personOf(world, outside)).toMatchObject({
    verdict: 'out_of_scope',
    reason: 'scope.userType: userType is "Member"',
  });
});

test('finds a user by every name: object id in any case, unusual principal names, former name, mail, account id', async () => {
  const world = await openWorld({ users: 4 });
  const { tenant } = world;
  const { id } = firstOf(tenant);
  const [, second, third] = tenant.users().map((user) => user.id) as [string, string, string];
  tenant.updateUser(second, { userPrincipalName: "$dollar'o@contoso.example" });
  tenant.updateUser(third, { userPrincipalName: 'ann_fabrikam.com#EXT#@contoso.example' });
  tenant.updateUser(id, { userPrincipalName: 'before@contoso.example', mail: 'Mail.Of@contoso.example' });
  await world.cycle();
  tenant.updateUser(id, { userPrincipalName: 'after@contoso.example' });
  const account = (await personOf(world, id.toUpperCase())).after?.account_id ?? '';
  tenant.updateUser(id, { userPrincipalName: 'last@contoso.example' });
  for (const word of ['after@contoso.example', 'LAST@contoso.example', 'mail.of@contoso.example', account])
    expect(await personOf(world, word), word).toMatchObject({ entraObjectId: id });
  expect(await personOf(world, "$dollar'o@contoso.example")).toMatchObject({ entraObjectId: second });
  expect(await personOf(world, 'ANN_fabrikam.com#EXT#@contoso.example')).toMatchObject({ entraObjectId: third });
});

test('a dry run shows the same and keeps nothing', async () => {
  const world = await openWorld({ users: 3 });
  const { id } = firstOf(world.tenant);
  await world.cycle();
  world.tenant.updateUser(id, { jobTitle: 'Somebody Else' });
  const before = await rows(
    world.database,
    'select account_id, profile, read_live_at from entra_sync.accounts order by 1',
  );
  const preview = await personOf(world, id, { dryRun: true });
  expect(preview).toMatchObject({ verdict: 'updated', cycleId: null });
  expect(
    await rows(world.database, 'select account_id, profile, read_live_at from entra_sync.accounts order by 1'),
  ).toEqual(before);
  expect((await personOf(world, id)).changes).toEqual(
    preview.changes.map((change) => ({ ...change, before: expect.anything() })),
  );
});

test('sets an invalid user aside with the reason, and refuses a word that cannot name a user', async () => {
  const world = await openWorld({ users: 3 });
  const { id } = firstOf(world.tenant);
  await world.cycle();
  const off = world.simulator.transform((_request, body) => ('mail' in body ? { ...body, mail: 'a\0b' } : body));
  const result = await personOf(world, id);
  off();
  expect(result).toMatchObject({ verdict: 'set_aside', reason: expect.stringContaining('mail') });
  expect(result.after?.removed_at).toBeNull();
  expect(await rows(world.database, 'select entra_object_id from directory.set_aside')).toEqual([
    { entra_object_id: id },
  ]);
  expect(await personOf(world, id)).toMatchObject({ verdict: 'unchanged' });
  expect(await rows(world.database, 'select * from directory.set_aside')).toEqual([]);
  expect(await failureOf(personOf(world, randomUUID()))).toMatchObject({ code: 'unknown_name' });
  for (const word of ['', 'adele', 'a b@c', '../groups', 'x@y/z', `${'x'.repeat(400)}@y`])
    expect(await failureOf(personOf(world, word)), word).toMatchObject({ code: 'usage' });
});

test('works beside an open full round, whose sweep keeps users that were read live after its start', async () => {
  const world = await openWorld({ users: 8 });
  const { tenant, simulator, database } = world;
  simulator.options.pageSize = 2;
  await world.cycle();
  const crash = new AbortController();
  let pages = 0;
  const off = simulator.intercept(({ url }) => {
    pages += url.startsWith('/v1.0/users/delta') ? 1 : 0;
    if (pages === 3) crash.abort(interruption());
    return undefined;
  });
  await failureOf(world.cycle({ resync: true, signal: crash.signal }));
  off();
  const [round] = await rows<{ pages: number }>(database, "select pages from entra_sync.rounds where stream = 'users'");
  expect(round?.pages).toBeGreaterThan(0);
  const id = tenant.createUser({ displayName: 'Came Meanwhile' });
  expect(await personOf(world, id)).toMatchObject({ verdict: 'created' });
  // The resumed round does not show the user, as if its pages were older.
  const hide = simulator.transform((request, body) => {
    const { value } = body as { value?: { id?: string }[] };
    return request.url.startsWith('/v1.0/users/delta') && value
      ? { ...body, value: value.filter((one) => one.id !== id) }
      : body;
  });
  await world.cycle();
  hide();
  expect(await removedOf(database, tenant.tenantId)).toEqual({});
  expect(await accountOf(world, id)).toBeDefined();
});

test('purges no account, however long ago its retention ended', async () => {
  const world = await openWorld({ users: 4 });
  const { tenant, database } = world;
  const [{ id }, other] = [firstOf(tenant), tenant.users()[1]?.id ?? ''];
  await world.cycle();
  tenant.deleteUser(other);
  await world.cycle();
  await database.raw("update entra_sync.accounts set purge_at = now() - interval '1 day' where removed_at is not null");
  await personOf(world, id);
  expect(Object.keys(await removedOf(database, tenant.tenantId))).toEqual([other]);
});

test('runs while a cycle of the tenant is running', async () => {
  const world = await openWorld({ users: 8 });
  await world.cycle();
  const { id } = firstOf(world.tenant);
  world.tenant.updateUser(id, { jobTitle: 'In The Middle' });
  let beside: Promise<unknown> | undefined;
  const result = await world.cycle({
    resync: true,
    onProgress: () => {
      beside ??= personOf(world, id);
    },
  });
  expect(await beside).toMatchObject({ verdict: expect.stringMatching(/updated|unchanged/) });
  expect(result.outcome).toBe('committed');
  expect(await accountOf(world, id)).toMatchObject({ profile: { jobTitle: 'In The Middle' } });
});

test('the command explains the outcome in words', async () => {
  const world = await openWorld({ users: 4 });
  const { tenant } = world;
  const environment = { ...world.simulator.environment(tenant.tenantId), DATABASE_URL: world.url };
  await world.cycle();
  const { id, name } = firstOf(tenant);
  tenant.updateUser(id, { jobTitle: 'Chief' });
  const sync = (...words: string[]) => runCli(['sync', ...words], environment);
  const updated = await sync('--user', name);
  expect(updated).toMatchObject({ code: 0 });
  expect(updated.stdout).toContain('updated\nEntra ID has other values than the last cycle stored.');
  expect(updated.stdout).toMatch(/account\.updated +.*jobTitle: .* -> "Chief"/);
  tenant.purgeUser(id);
  const gone = await sync(tenant.tenantId, '--user', id);
  expect(gone.stdout).toContain('not found in Entra ID');
  expect(gone.stdout).toContain('a single read removes no account');
  const json = await sync('--user', id, '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({ verdict: 'not_there', changes: [], tenant: { id: tenant.tenantId } });
  const unknown = await sync('--user', 'nobody@nowhere.example');
  expect(unknown).toMatchObject({ code: 2 });
  expect(unknown.stderr).toContain('neither Entra ID nor this database knows that person');
});

test('the answer has the same keys for every outcome, and the name that is known', async () => {
  const world = await openWorld({ users: 4, deletedUsers: 0 });
  const { tenant } = world;
  const environment = { ...world.simulator.environment(tenant.tenantId), DATABASE_URL: world.url };
  await setSettings(world.database, { scope: { userType: ['Member'] } });
  await world.cycle();
  const [{ id }, other] = [firstOf(tenant), tenant.users()[1]?.id ?? ''];
  const outside = tenant.createUser({ displayName: 'Gus Guest', userType: 'Guest' });
  const fresh = tenant.createUser({ displayName: 'New Hire' });
  tenant.updateUser(other, { mail: 'A\0B' });
  const answers: Record<string, { verdict: string; name: string }> = {};
  for (const word of [outside, fresh, id, other])
    answers[word] = JSON.parse((await runCli(['sync', '--user', word, '--json'], environment)).stdout);
  tenant.purgeUser(id);
  answers.gone = JSON.parse((await runCli(['sync', '--user', id, '--json'], environment)).stdout);
  expect(Object.values(answers).map((answer) => answer.verdict)).toEqual([
    'out_of_scope',
    'created',
    'unchanged',
    'set_aside',
    'not_there',
  ]);
  const [first, ...rest] = Object.values(answers).map((answer) => Object.keys(answer).sort());
  for (const keys of rest) expect(keys).toEqual(first);
  expect(answers[outside]).toMatchObject({ name: 'Gus Guest', before: null, after: null, groups: 0 });
  expect(answers[fresh]).toMatchObject({ name: 'New Hire', before: null, after: { display_name: 'New Hire' } });
  expect(answers.gone).toMatchObject({ groups: null, cycleId: null });
  const said = await runCli(['sync', '--user', outside], environment);
  expect(said.stdout).toContain(`${tenant.name}, Gus Guest: outside the scope\n`);
});
