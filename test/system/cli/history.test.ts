// What was: `history`, `explain --at`, `compare` and the filters of `changes`, on one tenant with a past.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { decidedRemovals, removalsDecided } from '../../../src/store/commit/removal-lists.ts';
import { inTransaction, rows } from '../../../src/store/database/pool.ts';
import { disconnectTenant } from '../../../src/store/tenants/disconnect.ts';
import { expectOneLine, runCli, startCli, temporaryDirectory } from '../../support/cli.ts';
import { rowsRead } from '../../support/rows-read.ts';
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
    const fields = [...(await cli('explain', ann, '--at', beforeRename)).stdout.matchAll(/^[a-z]\w+(?= {2})/gm)];
    const names = fields.map(([name]) => name).slice(fields.findIndex(([name]) => name === 'mail') + 1);
    expect(names).toEqual(names.toSorted((one, other) => one.localeCompare(other, 'en')));
    expect(names).toContain('displayName');
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

  test('tells who made each, --follow too', async () => {
    const edited = /Z +mary +account\.edited +Ann Sample +mobilePhone: none -> "\+1 555"$/m;
    expect((await cli('changes', '--limit', '100')).stdout).toMatch(edited);
    expect((await cli('changes', '--actor', 'mary')).stdout).toMatch(/^at +by +kind +who or what +what$/m);
    const following = startCli(['changes', '--limit', '100', '--follow'], { DATABASE_URL: world.url });
    await following.shows(edited);
    following.interrupt();
    expect((await following.ended).code).toBe(130);
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

test('cycle show tells what a cycle did, in numbers and by name', async () => {
  const [{ cycle_id: cycle } = { cycle_id: '' }] = await rows<{ cycle_id: string }>(
    world.database,
    "select cycle_id from directory.changes where kind = 'account.removed'",
  );
  const { cycle: told, counts } = await json<{ cycle: object; counts: object[] }>('cycle', 'show', cycle);
  expect(told).toMatchObject({ kind: 'incremental', outcome: 'committed', tenant_name: 'Contoso' });
  expect(counts).toEqual([
    { kind: 'account.created', count: 1 },
    { kind: 'account.removed', count: 1 },
    { kind: 'membership.added', count: 1 },
    { kind: 'membership.removed', count: 1 },
  ]);
  const { stdout } = await cli('cycle', 'show', cycle, '--limit', '1');
  expect(stdout).toMatch(new RegExp(`^Cycle ${cycle} of Contoso: incremental, committed, began .*Z, took `));
  expect(stdout).toMatch(
    /created +1 +0\n[\s\S]*account\.removed +1\n[\s\S]*Z +test +\w+\.\w+ [\s\S]*and 3 earlier changes -> --limit 4/,
  );
  expectOneLine(await cli('cycle', 'show', '999999'), 2, /there is no cycle 999999 -> entra-sync tenant show/);
});

test('settings history, diff and revert: an older version comes back whole, after a look at what that would do', async () => {
  const file = join(await temporaryDirectory(onTestFinished), 'my.yaml');
  await writeFile(file, 'interval: 50m\nfields:\n  desk: { from: officeLocation }\n');
  expect((await cli('settings', 'apply', file, '--actor', 'mary')).code).toBe(0);
  const { versions } = await json<{ versions: { version: number; actor: string; changed: { key: string }[] }[] }>(
    'settings',
    'history',
  );
  const [newest, before] = versions;
  expect(newest).toMatchObject({ actor: 'mary' });
  expect(newest?.changed.map(({ key }) => key)).toEqual(['fields.desk.from', 'interval']);
  const [now, then] = [String(newest?.version), String(before?.version)];
  expect((await cli('settings', 'history')).stdout).toMatch(
    /^4 .* fields\.desk\.from, interval\n[\s\S]*^1 .* the installation +everything: the first version$/m,
  );
  expect((await cli('settings', 'diff', now)).stdout).toMatch(/is the newest: there is nothing to compare/);
  expect((await cli('settings', 'diff', then, now)).stdout).toBe(
    'fields.desk.from: not set -> officeLocation\ninterval: 40m -> 50m\n',
  );
  expect((await cli('settings', 'revert', then, '--dry-run')).stdout).toMatch(/Dry run: nothing was changed/);
  expect((await json<{ differences: object[] }>('settings', 'diff', then)).differences).toHaveLength(2);
  expect((await cli('settings', 'revert', then)).stdout).toMatch(/Settings version \d+ is in force/);
  expect((await json<{ differences: object[] }>('settings', 'diff', then)).differences).toEqual([]);
  expect((await cli('settings', 'show')).stdout).not.toContain('desk: ');
  expect((await cli('settings', 'revert', then)).stdout).toMatch(/in force; no new version is stored/);
  expectOneLine(
    await cli('settings', 'revert', '999'),
    2,
    /there is no settings version 999 -> entra-sync settings history/,
  );
  expectOneLine(await cli('settings', 'diff', '1', 'x'), 2, /whole number/);
});

test('removals history tells who decided what', async () => {
  const { tenantId } = world.tenant;
  expect((await cli('removals', 'history')).stdout).toBe('Nothing was decided yet.\n');
  await world.database.raw(
    `with batch as (insert into entra_sync.batches (tenant_id) values (:tenantId) returning batch_id)
     insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id, after)
     select batch_id, :tenantId, 'mary', 'removal.approved', gen_random_uuid(),
            '{"list_id": 7, "reason": "not_seen"}' from batch cross join generate_series(1, 3)`,
    { tenantId },
  );
  expect((await cli('removals', 'history', 'Contoso')).stdout).toMatch(
    /Contoso +7 +approved +3 +mary +(purged|[-0-9a-f]{36}), .*, [-0-9a-f]{36} +a full listing of Entra ID did not show it \(3\)/,
  );
  expect(await json<{ decisions: object[] }>('removals', 'history')).toMatchObject({
    decisions: [{ list_id: '7', decision: 'approved', count: 3, reasons: { not_seen: 3 } }],
  });
});

test('removals history names the first accounts and memberships of each decision, and --json has all', async () => {
  const { database } = world;
  const { tenantId } = world.tenant;
  // Behind the decision its batch has a row for each membership that ended.
  await database.raw(
    `with batch as (insert into entra_sync.batches (tenant_id) values (:tenantId) returning batch_id), decided as (
       select batch_id, k.kind, a.account_id, g.group_id
         from batch cross join (values (1, 'removal.rejected'), (2, 'account.updated')) k (place, kind)
        cross join entra_sync.accounts a cross join generate_series(1, 400) n
         left join entra_sync.groups g on a.profile ->> 'displayName' = 'Ann Sample' and n = 1 and g.display_name = 'All Staff'
        where k.place = 2 or n = 1
        order by k.place, a.profile ->> 'displayName')
     insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id, group_id, after)
     select batch_id, :tenantId, 'mary', kind, account_id, group_id, '{"list_id": 8, "reason": "not_seen"}' from decided`,
    { tenantId },
  );
  const told = /Contoso +8 +rejected +6 +mary +Ann Sample in All Staff, [^,]+, [^,]+ and 3 more +a full listing/;
  expect((await cli('removals', 'history', '--limit', '1')).stdout).toMatch(told);
  const { decisions } = await json<{ decisions: { removals: object[] }[] }>('removals', 'history', '--limit', '1');
  expect(decisions[0]?.removals).toHaveLength(6);
  expect(decisions[0]?.removals[0]).toMatchObject({
    account_id: expect.any(String),
    display_name: 'Ann Sample',
    group_name: 'All Staff',
    reason: 'not_seen',
  });
  const [newest] = await decidedRemovals(database, tenantId, 1);
  const read = () =>
    inTransaction(database, async (transaction) => {
      const before = await rowsRead(transaction, 'changes');
      expect(await removalsDecided(transaction, newest ? [newest] : [], 3)).toHaveLength(3);
      return (await rowsRead(transaction, 'changes')) - before;
    });
  expect(await read(), 'only the first rows of the batch').toBeLessThan(10);
  await database.raw('analyze entra_sync.changes');
  expect(await read(), 'likewise where autovacuum came by').toBeLessThan(10);
});

test('a disconnected tenant keeps its past, and compare tells that its accounts became manual', async () => {
  const { tenantId } = world.tenant;
  const before = await clock();
  await disconnectTenant(world.database, tenantId, { actor: 'test', dryRun: false });
  expect((await cli('history', ann)).code).toBe(0);
  const line = /tenant\.disconnected +Contoso +status: "active" -> "disconnected"\n/;
  expect((await cli('changes', '--kind', 'tenant.*')).stdout).toMatch(line);
  expect((await cli('changes', '--limit', '100')).stdout).toMatch(line);
  expect((await cli('compare', 'Contoso', '--from', before)).stdout).toMatch(
    /Bob Newman +changed +account state: managed -> manual\n/,
  );
});
