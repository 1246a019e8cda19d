// `explain`, `edit` and `grant` as people run them: their answers, their writes, and one line for each refusal.
import { escapeIdentifier } from 'pg';
import { beforeEach, describe, expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { expectOneLine, runCli, startCli } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { setSettings } from '../../support/settings.ts';
import { openWorld, type World } from '../../support/system.ts';

const settings = {
  sourceOfTruth: 'hybrid' as const,
  fields: {
    mobilePhone: { from: 'mobilePhone', owner: 'user' as const, pattern: null },
    linkedIn: { pattern: null, max: null },
    website: { pattern: null, max: null },
    businessPhones: { from: 'businessPhones', owner: 'user' as const },
    // A field of each type.
    rank: { from: { map: 'jobTitle', values: { Clerk: 1 } }, owner: 'user' as const },
    remote: { from: { map: 'jobTitle', values: { Clerk: true } }, owner: 'user' as const },
    badge: { from: { map: 'jobTitle', values: { Clerk: 1, Boss: 'one' } }, owner: 'user' as const },
    faxNumber: { from: 'faxNumber', owner: 'user' as const, editableBy: ['manager' as const], pattern: null },
  },
};

const ann = {
  userPrincipalName: 'ann@contoso.example',
  mail: 'ann.example@contoso.example',
  displayName: 'Ann Example',
  jobTitle: 'Clerk',
  mobilePhone: '+1 555',
};

let world: World;
let objectId: string;
let accountId: string;

const cli = (...words: string[]) => runCli(words, { DATABASE_URL: world.url });
const sql = <Row>(statement: string, values: Record<string, unknown> = {}) =>
  rows<Row>(world.database, statement, values);

/** Returns the answer with --json, and expects exit code 0. */
async function json(...words: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await cli(...words, '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

/** Returns the cells of the table's line that begins with `name`. */
function lineOf(stdout: string, name: string): string[] {
  const line = stdout.split('\n').find((one) => one.startsWith(`${name} `));
  return line?.split(/ {2,}/) ?? [];
}

const profile = async () =>
  (
    await sql<{ profile: Record<string, unknown> }>(
      'select profile from directory.accounts where account_id = :accountId',
      { accountId },
    )
  )[0]?.profile ?? {};

beforeEach(async () => {
  world = await openWorld({ users: 3, name: 'Contoso' });
  await setSettings(world.database, settings);
  objectId = world.tenant.users()[0]?.id ?? '';
  world.tenant.updateUser(objectId, ann);
  await world.cycle();
  const [found] = await sql<{ id: string }>(
    'select account_id as id from directory.accounts where entra_object_id = :objectId',
    { objectId },
  );
  accountId = found?.id ?? '';
});

describe('explain', () => {
  test('shows for each field the origin of its value, who may edit it, and the value that it hides', async () => {
    await cli(
      'edit',
      'ann@contoso.example',
      'mobilePhone=+1 777',
      'businessPhones=',
      'pronouns=she/her',
      '--actor',
      'ann',
    );
    const { code, stdout } = await cli('explain', 'ANN@contoso.example');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^name +Ann Example$/m);
    expect(stdout).toMatch(/^state +managed: kept by the directory$/m);
    expect(lineOf(stdout, 'mobilePhone')).toEqual([
      'mobilePhone',
      '+1 777',
      expect.stringMatching(/^edited by ann, \d+ s ago$/),
      'user, manager',
      'mobilePhone',
      'directory: +1 555',
    ]);
    expect(lineOf(stdout, 'businessPhones')[1]).toMatch(/^cleared by ann/);
    expect(lineOf(stdout, 'jobTitle')).toEqual(['jobTitle', 'Clerk', 'directory', 'only in Entra ID', 'jobTitle']);
    expect(lineOf(stdout, 'pronouns').at(-1)).toBe('not in Entra ID');
    expect(lineOf(stdout, 'faxNumber')).toContain('manager');
    expect(stdout).toMatch(
      /How fresh this is\ntenant +Contoso, active\nlast success +\d+ s ago\nnext cycle +due in \d+ min/,
    );
  });

  test('shows a shelved edit and the value in force', async () => {
    await cli('edit', accountId, 'mobilePhone=+1 777', '--actor', 'ann');
    await setSettings(world.database, { fields: { mobilePhone: { owner: 'directory' } } });
    const { stdout } = await cli('explain', accountId);
    expect(lineOf(stdout, 'mobilePhone')).toEqual([
      'mobilePhone',
      '+1 555',
      'directory, an edit is shelved',
      'only in Entra ID',
      'mobilePhone',
      expect.stringMatching(/^shelved: \+1 777, by ann, \d+ s ago$/),
    ]);
  });

  test('does not send editors to Entra ID for a field that is not there', async () => {
    await setSettings(world.database, { sourceOfTruth: 'directory' });
    const { stdout } = await cli('explain', accountId);
    expect(lineOf(stdout, 'pronouns')).toEqual(
      expect.arrayContaining(['no role, see sourceOfTruth', 'not in Entra ID']),
    );
    expect(lineOf(stdout, 'jobTitle')).toContain('only in Entra ID');
    await setSettings(world.database, settings);
  });

  test.each([
    ['account id', () => accountId.toUpperCase()],
    ['object id', () => objectId],
    ['user principal name', () => 'Ann@Contoso.Example'],
    ['mail', () => 'ANN.EXAMPLE@contoso.example'],
  ])('finds by %s, and answers with one JSON object', async (_what, word) => {
    expect(await json('explain', word(), '--tenant', 'Contoso')).toMatchObject({
      verdict: 'live',
      account: { account_id: accountId, entra_object_id: objectId },
      fields: expect.arrayContaining([expect.objectContaining({ field: 'jobTitle', origin: 'directory' })]),
      tenant: { name: 'Contoso', status: 'active' },
      set_aside: null,
    });
  });

  test('no value of the directory controls the terminal', async () => {
    world.tenant.updateUser(objectId, { displayName: 'Ann\u001b[2J\r\nExample', jobTitle: '\u009b31mBoss\u202e' });
    await world.cycle();
    const { stdout } = await cli('explain', accountId);
    expect(stdout).toMatch(/^name +Ann \[2J Example$/m);
    expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
  });

  test.runIf(isDeep)(
    'shows several live accounts to choose from; removed accounts of the name only next to a live one',
    async () => {
      const other = '2f9b1c54-7a8e-4f7e-9a55-0d3f5f1c8e21';
      await cli('tenant', 'add', other, '--name', 'Fabrikam');
      const [twin] = await sql<{ id: string }>(
        'select directory.create_account(:other, \'{"mail": "ann.example@contoso.example"}\', \'bob\') as id',
        { other },
      );
      const both = await cli('explain', ann.mail);
      expectOneLine(both, 2, /2 accounts match ann\.example@contoso\.example -> name one by its account id/);
      for (const id of [accountId, twin?.id]) expect(both.stdout).toContain(id);
      const asJson = await cli('explain', ann.mail, '--json');
      expect(JSON.parse(asJson.stdout).error.list.toSorted()).toEqual([accountId, twin?.id].toSorted());
      expectOneLine(await cli('edit', ann.mail, 'mobilePhone=1'), 2, /2 accounts/);
      expect(await json('explain', ann.mail, '--tenant', 'Fabrikam')).toMatchObject({
        account: { account_id: twin?.id, state: 'manual' },
      });
      await sql("select directory.remove_account(:id, 'bob', 'manager')", { id: twin?.id });
      expect(await json('explain', ann.mail)).toMatchObject({ account: { account_id: accountId }, others: [twin?.id] });
    },
  );

  test.runIf(isDeep)('a removed account: when, by which actor, why, and until when it can be restored', async () => {
    world.tenant.deleteUser(objectId);
    await world.cycle({ actor: 'worker' });
    const { code, stdout } = await cli('explain', ann.userPrincipalName);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^state +removed \d+ s ago by worker: soft-deleted in Entra ID, where it can be restored.*; purged in 30 d/m,
    );
    expect(lineOf(stdout, 'jobTitle')[1]).toBe('Clerk');
    expect(await json('explain', objectId)).toMatchObject({ verdict: 'removed' });
    expectOneLine(await cli('edit', accountId, 'mobilePhone=1'), 2, /the account was removed .* -> entra-sync explain/);
  });

  test('a guest and users set aside, by a name that is not kept: the scope and the numbers are told', async () => {
    await setSettings(world.database, { scope: { userType: ['Member'] } });
    const asked = async (word: string) => (await cli('explain', word)).stderr;
    expect(await asked('guest_other.example#EXT#@contoso.example')).toMatch(
      /is known in Contoso \(last success [^)]*\); by its name it is a guest, and guests are outside the scope -> .* --user USER asks Entra ID and says why; explain with --ask names [^;]*; of users who are set aside or outside the scope no name is kept/,
    );
    await sql(
      "insert into entra_sync.set_aside (tenant_id, stream, object_key, reason) select tenant_id, 'users', k, 'test' from entra_sync.tenants, unnest(array[gen_random_uuid()::text, gen_random_uuid() || '/mail']) k",
    );
    await sql(
      'insert into entra_sync.outside_scope select tenant_id, gen_random_uuid() from entra_sync.tenants, generate_series(1, 2)',
    );
    const told = await asked('nobody@contoso.example');
    expect(told).toContain('; there are 2 users outside the scope and 1 user set aside -> ');
    expect(told).not.toContain('guest');
    const [outside] = await sql<{ id: string }>('select entra_object_id as id from entra_sync.outside_scope limit 1');
    expect((await cli('explain', outside?.id ?? '')).stdout).toMatch(
      /outside the scope of the settings by its properties: only the id is kept -> entra-sync explain [0-9a-f-]{36} --tenant "Contoso" --ask reads the value from Entra ID$/m,
    );
  });

  test.runIf(isDeep)('a user outside the scope: with a removed account, or known by id alone', async () => {
    const stranger = world.tenant.users()[1]?.id ?? '';
    const group = world.tenant.createGroup({ displayName: 'Team' });
    for (const id of [objectId, stranger]) world.tenant.addMember(group, id);
    world.tenant.updateUser(stranger, { userType: 'Guest' });
    await setSettings(world.database, { scope: { userType: ['Member'], groups: [group] } });
    await world.cycle();
    await world.cycle();
    expect((await cli('explain', stranger)).stdout).toMatch(/^state +removed .*: outside the scope of the settings/m);
    // The state after its retention.
    await sql('delete from entra_sync.accounts where entra_object_id = :stranger', { stranger });
    const { code, stdout } = await cli('explain', stranger);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^There is no account .*\nContoso +outside the scope of the settings by scope\.userType: only the id is kept/m,
    );
    expect(stdout).toMatch(/^last success +\d+ s ago$/m);
    expect(await json('explain', stranger)).toMatchObject({ verdict: 'absent', absences: [{ why: 'out_of_scope' }] });
  });

  test('a user who is set aside: the reason, such as an ambiguous match', async () => {
    await sql(
      "select directory.create_account(:tenantId, jsonb_build_object('mail', 'shared@contoso.example'), 'bob')",
      { tenantId: world.tenant.tenantId },
    );
    const twins = [1, 2].map(() => world.tenant.createUser({ mail: 'shared@contoso.example' }));
    await world.cycle();
    const { code, stdout } = await cli('explain', twins[0] ?? '');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^Contoso +set aside \d+ s ago, last seen \d+ s ago: ambiguous match: 2 people have the mail/m,
    );
  });

  test.runIf(isDeep)('an account whose user is set aside shows the last valid values, and says so', async () => {
    await sql(
      "insert into entra_sync.set_aside (tenant_id, stream, object_key, reason) values (:tenantId, 'users', :objectId, 'jobTitle is no text')",
      { tenantId: world.tenant.tenantId, objectId },
    );
    expect((await cli('explain', accountId)).stdout).toMatch(
      /^set aside +set aside .*jobTitle is no text\. The values shown are the last valid ones/m,
    );
  });

  test('a purged account, and a user who was never seen', async () => {
    const [before] = await sql<{ at: string }>("select to_json(clock_timestamp()) #>> '{}' as at");
    const at = before?.at ?? '';
    world.tenant.purgeUser(objectId);
    await world.cycle();
    await sql('update entra_sync.accounts set purge_at = now() where account_id = :accountId', { accountId });
    await world.cycle();
    expect((await cli('explain', accountId)).stdout).toMatch(/^Contoso +purged \d+ s ago/m);
    // As of a time before: its id, and that its values are gone.
    expect(await json('explain', accountId, '--at', at)).toMatchObject({
      verdict: 'live',
      account: { account_id: accountId, erased: true, profile: null, user_principal_name: null },
    });
    const then = await cli('explain', accountId, '--at', at, '--tenant', 'Contoso');
    expect(then.stdout).toMatch(new RegExp(`^${accountId} was live at .*; it was purged since, with its values$`, 'm'));
    expect((await cli('explain', accountId, '--at', '0m')).stdout).toMatch(/ had no live account at /);
    const { account, group, history } = await json('history', accountId);
    expect({ account, group }).toMatchObject({
      account: { account_id: accountId, tenant_name: 'Contoso' },
      group: null,
    });
    const lines = history as { kind: string; before: unknown; after: unknown }[];
    expect(lines.map(({ kind }) => kind)).toEqual(['account.purged', 'account.removed', 'account.created']);
    for (const line of lines) expect(line).toMatchObject({ before: null, after: null });
    const told = (await cli('history', accountId)).stdout;
    expect(told).toMatch(new RegExp(`^${accountId}, Contoso, purged \\d+ s ago: its values are gone$`, 'm'));
    expect(told).toMatch(/ account\.removed$/m);
    expectOneLine(
      await cli('explain', 'ghost@contoso.example'),
      2,
      /no user or account called ghost@contoso\.example is known in Contoso \(last success \d+ s ago\) -> entra-sync sync "Contoso" --user USER/,
    );
  });
});

describe('edit', () => {
  test('a field that is not there is named with the nearest one', async () => {
    expectOneLine(
      await cli('edit', ann.mail, 'mobilphone=1'),
      2,
      /there is no field "mobilphone", did you mean mobilePhone\? \(ES002\) -> the fields are: .*mobilePhone/,
    );
    expectOneLine(await cli('edit', ann.mail, 'zzz=1'), 2, /there is no field "zzz" \(ES002\) -> the fields are: /);
  });

  test.runIf(isDeep)('a long value makes no table wide for others; --json shows it whole', async () => {
    const long = 'x'.repeat(5_000);
    const edited = await cli('edit', ann.mail, `linkedIn=${long}`);
    const shown = [edited];
    for (const words of [['explain'], ['history'], ['changes', '--account']]) shown.push(await cli(...words, ann.mail));
    for (const { code, stdout } of shown) {
      expect(code).toBe(0);
      expect(stdout).toMatch(/x{119}…"? \(5,000 characters\)/);
      expect(stdout.trimEnd()).toContain('Values that end in … are cut -> --json shows them whole');
      expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThan(500);
    }
    const { fields } = await json('explain', accountId);
    expect(fields).toContainEqual(expect.objectContaining({ field: 'linkedIn', value: long }));
    await cli('edit', ann.mail, '--revert', 'linkedIn');
  });

  test('sets, clears and reverts in one transaction, and prints what changed', async () => {
    await cli('edit', accountId, 'pronouns=they');
    const { code, stdout } = await cli(
      'edit',
      ann.mail,
      'mobilePhone=a=b',
      'linkedIn=x',
      '--revert',
      'pronouns',
      'website=',
      '--actor',
      'bob',
    );
    expect(code).toBe(0);
    expect(
      stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => line.split(/ {2,}/)),
    ).toEqual([
      ['Ann Example, Contoso:'],
      ['field', 'before', 'after'],
      ['linkedIn', 'none', '->', '"x"'],
      ['mobilePhone', '"+1 555"', '->', '"a=b"'],
      ['pronouns', '"they"', '->', 'none'],
      ['website', 'none', '->', 'none'],
    ]);
    expect(await profile()).toMatchObject({ mobilePhone: 'a=b', linkedIn: 'x' });
    expect(await profile()).not.toHaveProperty('website');
    expect(await profile()).not.toHaveProperty('pronouns');
    const edits = await sql("select actor, kind from directory.changes where actor in ('bob') order by change_id");
    expect(edits).toEqual(Array(2).fill({ actor: 'bob', kind: 'account.edited' }));
    expect(await json('edit', accountId, 'linkedIn=x')).toMatchObject({
      account: { account_id: accountId },
      changed: [],
    });
    expect((await cli('edit', accountId, 'linkedIn=x')).stdout).toBe(
      'Ann Example, Contoso:\nNothing changed: the account had these values already.\n',
    );
  });

  test('each value is read as the type of its field', async () => {
    const words = ['businessPhones=+1 1, +1 2', 'rank=-2.5', 'remote=false', 'badge=7', 'mobilePhone=7', 'website='];
    expect(await cli('edit', accountId, ...words)).toMatchObject({ code: 0 });
    expect(await profile()).toMatchObject({
      businessPhones: ['+1 1', '+1 2'],
      rank: -2.5,
      remote: false,
      badge: 7,
      mobilePhone: '7',
    });
    expect(await profile()).not.toHaveProperty('website');
  });

  test('a refusal is one line with its cure, exit code 2, and the rest is not applied', async () => {
    const before = await profile();
    const refused: [string[], RegExp][] = [
      [['jobTitle=Boss'], /"jobTitle" is read-only.*ES001.* -> .*Entra ID/],
      [['mobile=1'], /no field "mobile".*ES002.* -> .*mobilePhone/],
      [['faxNumber=1'], /role "user" may not edit.*ES003.* -> .*manager/],
      [['badge={"a": 1}'], /does not fit the field "badge".*ES005/],
      [['--revert', 'jobTitle'], /"jobTitle" is read-only.*ES001/],
      [['rank=high'], /the value of rank is not a number/],
      [['pronouns=1', '--revert', 'pronouns'], /pronouns is given twice/],
      [['pronouns=1', '--actor', ' '], /the actor must have/],
    ];
    for (const [words, says] of refused)
      expectOneLine(await cli('edit', accountId, 'linkedIn=beside', ...words), 2, says);
    expectOneLine(await cli('edit', accountId), 2, /nothing to change/);
    expect(await profile()).toEqual(before);
    expect(await sql("select from directory.changes where kind = 'account.edited'")).toEqual([]);
  });

  test.runIf(isDeep)('a refused revert rolls back the edits before it', async () => {
    expectOneLine(await cli('edit', accountId, 'linkedIn=x', '--revert', 'department'), 2, /ES001/);
    expect(await profile()).not.toHaveProperty('linkedIn');
    expect(await sql("select from directory.changes where kind = 'account.edited'")).toEqual([]);
  });

  test('--revert without a field reverts all that the role may edit, and takes no edit beside it', async () => {
    await cli('edit', accountId, 'pronouns=they', 'linkedIn=x');
    expectOneLine(await cli('edit', accountId, 'linkedIn=y', '--revert'), 2, /reverts all, so an edit beside it/);
    expect(await json('edit', accountId, '--revert')).toMatchObject({
      changed: expect.arrayContaining([
        expect.objectContaining({ field: 'linkedIn' }),
        expect.objectContaining({ field: 'pronouns' }),
      ]),
    });
    expect(await profile()).not.toHaveProperty('pronouns');
    expect(await profile()).not.toHaveProperty('linkedIn');
    expect((await cli('edit', accountId, '--revert')).stdout).toContain('no field that the role may edit differs');
  });

  test('--as names one of the two roles, or an account', async () => {
    expect((await cli('edit', accountId, 'faxNumber=1', '--as', 'manager')).code).toBe(0);
    expect(await profile()).toMatchObject({ faxNumber: '1' });
    expect(await cli('edit', accountId, 'faxNumber=2', '--as', 'king')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('king is neither a role nor an account of'),
    });
  });

  test.runIf(isDeep)('refuses to give a manual account the key of a live one', async () => {
    const { tenantId } = world.tenant;
    const [made] = await sql<{ id: string }>(
      'select directory.create_account(:tenantId, \'{"mail": "m@x.example"}\', \'bob\') as id',
      { tenantId },
    );
    expectOneLine(
      await cli('edit', made?.id ?? '', 'mail=Ann.Example@contoso.example'),
      2,
      /already has this mail.*ES008/,
    );
    expect((await cli('edit', 'm@x.example', 'mail=n@x.example', '--revert', 'jobTitle')).code).toBe(0);
    expect((await json('explain', 'n@x.example')).account).toMatchObject({ account_id: made?.id });
  });

  test('an account that does not exist', async () => {
    expectOneLine(
      await cli('edit', 'nobody', 'mobilePhone=1'),
      2,
      /no account nobody -> entra-sync find "nobody" shows the nearest, entra-sync explain says why/,
    );
  });
});

test('the feed has edits, and the changes of the directory under them', async () => {
  await cli('edit', accountId, 'mobilePhone=+1 777', '--actor', 'ann');
  world.tenant.updateUser(objectId, { mobilePhone: '+1 999' });
  await world.cycle();
  await cli('tenant', 'disconnect', 'Contoso');
  const { stdout } = await cli('changes');
  expect(stdout).toMatch(/account\.edited +Ann Example +mobilePhone: "\+1 555" -> "\+1 777"\n/);
  expect(stdout).toMatch(/account\.updated +Ann Example +mobilePhone, under an edit: "\+1 555" -> "\+1 999"\n/);
  expect(stdout).toMatch(/account\.released +Ann Example +manual from now on, with these values\n/);
  expect(stdout).toMatch(/tenant\.disconnected +Contoso +status: "active" -> "disconnected"\n/);
  expect((await cli('explain', accountId)).stdout).toMatch(
    /^state +manual: kept by people\n[\s\S]*^next cycle +none: the tenant is disconnected/m,
  );
});

describe('grant', () => {
  test.runIf(isDeep)('lists what was granted, bound to a tenant or not', async ({ onTestFinished }) => {
    const role = `App "${Date.now().toString(36)}${Math.random().toString(36).slice(2)}`;
    await world.database.raw(`create role ${escapeIdentifier(role)} login`);
    onTestFinished(async () => {
      await world.database.raw(`drop owned by ${escapeIdentifier(role)}`);
      await world.database.raw(`drop role ${escapeIdentifier(role)}`);
    });
    const open = await cli('grant', role);
    expect(open.code, open.stderr).toBe(0);
    expect(open.stdout).toMatch(
      /select on \d+ views: accounts, assigned, assignments, changes, .*tenants\n.*execute on \d+ functions: .*edit_account/,
    );
    expect(open.stdout).toContain('It sees all tenants');
    expect(open.stdout).toContain('Once is enough');
    expect(open.stdout).toContain('idle_in_transaction_session_timeout = 60s, lock_timeout = 10s');
    const views = await sql<{ name: string }>(
      // No grant gives the audit.
      `select relname as name from pg_class
        where relnamespace = 'directory'::regnamespace and relkind = 'v' and relname <> 'audit' order by 1`,
    );
    const bound = await json('grant', role, '--tenant-bound', '--actor', 'ops');
    expect(bound).toMatchObject({ role, tenantBound: true, views: views.map((one) => one.name) });
    expect(bound).toMatchObject({ timeouts: { set: {}, kept: { lock_timeout: '10s' }, missing: [] } });
    expect(await sql('select role_name, tenant_bound, actor from entra_sync.grants')).toEqual([
      { role_name: role, tenant_bound: true, actor: 'ops' },
    ]);
    expect(await json('grant', role, '--tenant-bound', '--no-timeouts')).not.toHaveProperty('timeouts');
    const { tenantId: id } = world.tenant;
    expectOneLine(await cli('grant', role, '--tenant', 'Contoso', '--tenant-bound'), 2, /exclude each other/);
    expect(await json('grant', role, '--tenant', 'contoso')).toMatchObject({
      ...{ role, tenantBound: true },
      tenant: { id, name: 'Contoso' },
    });
    expect((await cli('tenant', 'show', 'Contoso')).stdout).toContain(`roles bound to it: ${role}\n`);
    const again = await cli('grant', role);
    expectOneLine(again, 2, /is bound to the tenant Contoso for good -> .*--tenant [0-9a-f-]{36} again/);
    expect((await cli('grant', role, '--tenant', id)).stdout).toContain(
      `It sees only Contoso (${id}), whatever it sets in directory.tenant.`,
    );
  });

  test('refuses a role that does not exist, and one that owns everything', async () => {
    expectOneLine(await cli('grant', 'nobody-of-this-name'), 2, /no role nobody-of-this-name -> create role/);
    const [owner] = await sql<{ name: string }>('select current_user as name');
    expectOneLine(await cli('grant', owner?.name ?? ''), 2, /a superuser|owns the schema/);
  });
});

test.runIf(isDeep)('Ctrl-C during an edit that waits says where to look, whether pressed once or twice', async () => {
  const editing = await world.database.transaction();
  try {
    await editing.raw('select from entra_sync.accounts where account_id = :accountId for update', { accountId });
    const running = startCli(['edit', accountId, 'mobilePhone=1'], { DATABASE_URL: world.url });
    await expect
      .poll(() => sql("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"), {
        timeout: 120_000,
      })
      .toHaveLength(1);
    running.interrupt();
    await running.shows(/again: at once/);
    running.interrupt();
    const line = expectOneLine(await running.ended, 130, /ended at once; nothing half done is visible/);
    expect(line).toMatch(/-> entra-sync explain ACCOUNT shows whether the edit is stored$/);
  } finally {
    await editing.rollback();
  }
});
