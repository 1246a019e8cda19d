// What was: `history`, `explain --at`, `compare` and the filters of `changes`, on one tenant with a past.
import { beforeAll, describe, expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { disconnectTenant } from '../../../src/store/tenants/disconnect.ts';
import { expectOneLine, runCli } from '../../support/cli.ts';
import { setSettings } from '../../support/settings.ts';
import { openWorld, type World } from '../../support/system.ts';

let world: World;
let beforeRename: string;
let beforeLeave: string;
let ann: string;
let staff: string;

const cli = (...words: string[]) => runCli(words, { DATABASE_URL: world.url });

async function json<Answer>(...words: string[]): Promise<Answer> {
  const { code, stdout, stderr } = await cli(...words, '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Answer;
}

/** The database's clock, in microseconds. */
async function clock(): Promise<string> {
  const [now] = await rows<{ at: string }>(
    world.database,
    `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`,
  );
  return now?.at ?? '';
}

beforeAll(async () => {
  // Closed with the file's process: the hooks of a file know no end of a test.
  world = await openWorld({ users: 4, groups: 0, name: 'Contoso', onEnd: (() => {}) as never });
  const { tenant } = world;
  await setSettings(world.database, {
    sourceOfTruth: 'hybrid',
    fields: { mobilePhone: { from: 'mobilePhone', owner: 'user' } },
  });
  ann = tenant.createUser({ displayName: 'Ann Example', jobTitle: 'Clerk', userPrincipalName: 'ann@contoso.example' });
  staff = tenant.createGroup({ displayName: 'All Staff', securityEnabled: true });
  tenant.addMember(staff, ann);
  await world.cycle();
  beforeRename = await clock();
  tenant.updateUser(ann, { displayName: 'Ann Sample', jobTitle: null });
  await world.cycle();
  expect((await cli('edit', 'ann@contoso.example', 'mobilePhone=+1 555', '--actor', 'mary')).code).toBe(0);
  beforeLeave = await clock();
  tenant.removeMember(staff, ann);
  tenant.deleteUser(ann);
  const hired = tenant.createUser({ displayName: 'Bob Newman', userPrincipalName: 'bob@contoso.example' });
  tenant.addMember(staff, hired);
  await world.cycle();
});

describe('history', () => {
  test('of an account: one line a field, newest first, with groups joined and left', async () => {
    const { history } = await json<{ history: Record<string, unknown>[] }>('history', ann);
    expect(
      history.map(({ kind, field, before, after, actor, name }) => [kind, field, before, after, actor, name]),
    ).toEqual(
      expect.arrayContaining([
        ['account.removed', 'removed', null, 'deleted_restorable', expect.any(String), null],
        ['account.edited', 'profile.mobilePhone', null, '+1 555', 'mary', null],
        ['account.updated', 'profile.displayName', 'Ann Example', 'Ann Sample', expect.any(String), null],
        ['account.updated', 'profile.jobTitle', 'Clerk', null, expect.any(String), null],
        ['membership.removed', 'group', expect.any(String), null, expect.any(String), 'All Staff'],
        ['membership.added', 'group', null, expect.any(String), expect.any(String), 'All Staff'],
        ['account.created', 'profile.displayName', null, 'Ann Example', expect.any(String), null],
      ]),
    );
    const ids = history.map(({ change_id }) => BigInt(String(change_id)));
    expect(ids).toEqual(ids.toSorted((one, other) => (one < other ? 1 : one > other ? -1 : 0)));
    const shown = await cli('history', ann, '--limit', '3');
    expect(shown.stdout).toMatch(/^Ann Sample, Contoso\n/);
    expect(shown.stdout).toMatch(/There is more -> --limit 30/);
  });

  test('of a group by its name: its members by name', async () => {
    const { history } = await json<{ history: Record<string, unknown>[] }>(
      'history',
      'ALL staff',
      '--tenant',
      'Contoso',
    );
    expect(history.filter(({ field }) => field === 'member').map(({ kind, name }) => [kind, name])).toEqual([
      ['membership.added', 'Bob Newman'],
      ['membership.removed', 'Ann Sample'],
      ['membership.added', 'Ann Sample'],
    ]);
    expect(history).toContainEqual(
      expect.objectContaining({ kind: 'group.created', field: 'display_name', before: null, after: 'All Staff' }),
    );
  });

  test('of a name that nothing has is one line', async () => {
    expectOneLine(await cli('history', 'no such name'), 2, /no account and no group is called no such name -> /);
  });
});

describe('explain --at', () => {
  test('shows the account as it was before each change', async () => {
    const at = async (time: string) =>
      (await json<{ account: { profile: object; state: string } }>('explain', ann, '--at', time)).account;
    expect(await at(beforeRename)).toMatchObject({
      state: 'managed',
      profile: { displayName: 'Ann Example', jobTitle: 'Clerk' },
    });
    const later = await at(beforeLeave);
    expect(later.profile).toMatchObject({ displayName: 'Ann Sample', mobilePhone: '+1 555' });
    expect(later.profile).not.toHaveProperty('jobTitle');
    expect((await cli('explain', ann, '--at', beforeRename)).stdout).toMatch(
      /Ann Sample +at .*\n[\s\S]*jobTitle +Clerk/,
    );
    expect((await cli('explain', ann, '--at', await clock())).stdout).toMatch(
      /had no live account at .* -> entra-sync history/,
    );
  });

  test.each([
    ['2001-01-01', 2, /not kept as far back as that -> The oldest that is kept is of 20/],
    ['yesterday', 2, /write a time like/],
  ])('%s is one line', async (time, code, line) => {
    expectOneLine(await cli('explain', ann, '--at', time), code, line);
  });
});

describe('compare', () => {
  test('tells who came, went and changed between two times, and which groups', async () => {
    const whole = await json<Record<string, unknown>>('compare', 'Contoso', '--from', beforeRename);
    expect(whole).toMatchObject({ came: 1, went: 1, changed: 0, joined: 1, left: 1 });
    const middle = await json<Record<string, unknown>>(
      'compare',
      'Contoso',
      '--from',
      beforeRename,
      '--to',
      beforeLeave,
    );
    expect(middle).toMatchObject({ came: 0, went: 0, changed: 1, joined: 0, left: 0, groups: [] });
    expect(middle.accounts).toEqual([
      expect.objectContaining({
        change: 'changed',
        name: 'Ann Sample',
        before: { profile: { displayName: 'Ann Example', jobTitle: 'Clerk', mobilePhone: null } },
        after: { profile: { displayName: 'Ann Sample', jobTitle: null, mobilePhone: '+1 555' } },
      }),
    ]);
    const { stdout } = await cli('compare', 'Contoso', '--from', beforeRename);
    expect(stdout).toMatch(/accounts: 1 came, 1 went, 0 changed; memberships: 1 joined, 1 left/);
    expect(stdout).toMatch(/Bob Newman +came +bob@contoso\.example\nAnn Example +went/);
    expect(stdout).toMatch(/All Staff +1 +1/);
  });

  test('the wrong way round is one line', async () => {
    expectOneLine(await cli('compare', 'Contoso', '--from', '1m', '--to', '2m'), 2, /--from is later than --to/);
  });
});

describe('changes', () => {
  const found = async (...filter: string[]) =>
    (await json<{ changes: { kind: string; display_name: string | null }[] }>('changes', ...filter)).changes;

  test('fits all filters that are given', async () => {
    expect((await found('--account', ann, '--kind', 'account.*')).map(({ kind }) => kind)).toEqual([
      'account.created',
      'account.updated',
      'account.edited',
      'account.removed',
    ]);
    expect((await found('--group', 'All Staff', '--kind', 'membership.*')).map((one) => one.display_name)).toEqual([
      'Ann Sample',
      'Ann Sample',
      'Bob Newman',
    ]);
    expect((await found('--actor', 'mary')).map(({ kind }) => kind)).toEqual(['account.edited']);
    expect((await found('--tenant', 'Contoso', '--since', beforeLeave, '--kind', '%')).length).toBe(0);
    const since = await found('--tenant', 'Contoso', '--since', beforeLeave, '--limit', '2');
    expect(since).toHaveLength(2);
    const [{ cycle_id: cycle } = { cycle_id: '' }] = await rows<{ cycle_id: string }>(
      world.database,
      "select cycle_id from directory.changes where kind = 'account.removed'",
    );
    expect(new Set((await found('--cycle', cycle, '--limit', '100')).map(({ kind }) => kind))).toContain(
      'account.removed',
    );
    expect(await found('--until', beforeRename, '--kind', 'account.updated')).toEqual([]);
  });

  test('counts by kind', async () => {
    const { counts } = await json<{ counts: { kind: string; count: number }[] }>(
      'changes',
      '--account',
      ann,
      '--count',
    );
    expect(counts).toContainEqual({ kind: 'account.created', count: 1 });
    expect((await cli('changes', '--account', ann, '--count')).stdout).toMatch(/account\.created +1\n/);
  });

  test('a filter beside --follow, and an unknown account, are one line', async () => {
    expectOneLine(await cli('changes', '--follow', '--kind', 'x'), 2, /take no filter/);
    expectOneLine(await cli('changes', '--account', 'nemo'), 2, /there is no account nemo -> /);
  });
});

test('a disconnected tenant keeps its past', async () => {
  const { tenantId } = world.tenant;
  await disconnectTenant(world.database, tenantId, { actor: 'test', dryRun: false });
  expect((await cli('history', ann)).code).toBe(0);
});
