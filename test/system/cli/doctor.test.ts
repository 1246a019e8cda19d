// `doctor`: each check is made to fail, over real sockets and a real database, with its cure and exit code.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { expect, test } from 'vitest';
import { openGraphAccess } from '../../../src/app.ts';
import { namesCredential, namesSignIn, readSignInCredential } from '../../../src/credentials.ts';
import { type Check, firstExitCode, openChecklist } from '../../../src/engine/checklist.ts';
import { checkInstallation, type DoctorParts } from '../../../src/engine/doctor.ts';
import { checkTenant } from '../../../src/engine/doctor-tenant.ts';
import { readEnvironment, readPublicUrl } from '../../../src/environment.ts';
import { loadDefaults } from '../../../src/settings/settings.ts';
import type { Intervention } from '../../../src/simulator/intercept.ts';
import { openDatabase, rows } from '../../../src/store/database/pool.ts';
import { markAsDemo } from '../../../src/store/embedded/demo-mark.ts';
import {
  rememberConsentWanted,
  rememberRegistration,
  rememberSignIn,
} from '../../../src/store/tenants/registrations.ts';
import { listTenants } from '../../../src/store/tenants/tenants.ts';
import { expectOneLine, runCli, temporaryDirectory } from '../../support/cli.ts';
import { isDeep, rowsOf } from '../../support/deep.ts';
import { freshDatabase } from '../../support/postgres.ts';
import { setSettings } from '../../support/settings.ts';
import { bufferLog, fastPolicy, isDeltaRequest, openWorld, trust, type World } from '../../support/system.ts';

type Changes = { variables?: Record<string, string>; parts?: Partial<DoctorParts> };

/** Runs all checks of a world, as the verb does. */
async function diagnose({ simulator, database, tenant }: World, changes: Changes = {}): Promise<Check[]> {
  trust(simulator.certificate);
  const environment = readEnvironment({ ...simulator.environment(), ...changes.variables });
  const { signal } = new AbortController();
  const defects: unknown[] = [];
  const parts: DoctorParts = {
    openDatabase: async () => ({ database, name: 'the test' }),
    openGraph: () => openGraphAccess(environment, { policy: { ...fastPolicy, retries: 0 } }),
    namesCredential: namesCredential(environment.variables),
    signIn: namesSignIn(environment.variables) ? () => readSignInCredential(environment.variables) : undefined,
    proxied: false,
    defaults: loadDefaults(),
    log: bufferLog().log,
    signal,
    now: Date.now,
    ...changes.parts,
  };
  const options = { signal, onDefect: (error: unknown) => defects.push(error) };
  const [first, second] = [openChecklist(null, options), openChecklist({ id: tenant.tenantId, name: 'one' }, options)];
  const installation = await checkInstallation(parts, first);
  const [row] = installation.schema.value ? await listTenants(database) : [];
  await checkTenant(parts, installation, { id: tenant.tenantId, name: 'one', row }, second);
  expect(defects).toEqual([]);
  return [...first.checks, ...second.checks];
}

/** Returns the checks that are not green as `state check: code`, and expects a cure for each red and yellow one. */
function notGreen(checks: readonly Check[]): string[] {
  for (const one of checks.filter(({ state }) => state === 'failed' || state === 'warning'))
    expect(one.cure, one.check).toBeTruthy();
  return checks
    .filter(({ state }) => state === 'failed' || state === 'warning')
    .map(({ state, check, code }) => `${state} ${check}${code ? `: ${code}` : ''}`);
}

const unchecked = (checks: readonly Check[]) =>
  checks.filter(({ state }) => state === 'not_checked').map(({ check }) => check);

const reads = ['users/delta', 'groups/delta', 'members', 'memberOf', 'deletedItems', '$batch'].map(
  (endpoint) => `read: ${endpoint}`,
);

test('a synced tenant is green, and each endpoint is read once', async () => {
  const world = await openWorld({ users: 5, groups: 2 });
  await world.cycle();
  world.simulator.clearRequests();
  const checks = await diagnose(world);
  expect([notGreen(checks), unchecked(checks), firstExitCode(checks)]).toEqual([[], [], 0]);
  const asked = world.simulator.requests.filter(({ path, remotePort }) => path.startsWith('/v1.0/') && remotePort);
  expect(asked.map(({ path }) => path.replace(/\?.*/, '').replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, 'ID'))).toEqual([
    '/v1.0/',
    '/v1.0/users/delta',
    '/v1.0/groups/delta',
    '/v1.0/groups/ID/members',
    '/v1.0/users/ID/memberOf',
    '/v1.0/directory/deletedItems/microsoft.graph.user',
    '/v1.0/$batch',
  ]);
  const [users] = checks.filter(({ check }) => check === 'read: users/delta');
  expect(users?.message).toMatch(/^\d users on the first page$/);
});

const url = (part: string, answer: Intervention) => (world: World) => {
  world.simulator.intercept((request) => (request.url.includes(part) ? answer : undefined));
};
const denied = { status: 403, body: { error: { code: 'Authorization_RequestDenied' } } };
const roles = (given: string[]) => (world: World) => {
  world.simulator.options.roles = given;
};
const aged = (interval: string) => async (world: World) => {
  await world.cycle();
  await world.database.raw(
    `update entra_sync.checkpoints set committed_at = now() - interval '${interval}' where stream = 'users'`,
  );
};
const at = (origin: string, date: number) => (world: World) => {
  world.simulator.intercept((request) =>
    request.url.startsWith(origin) ? { headers: { Date: new Date(Date.now() + date).toUTCString() } } : undefined,
  );
};

const reds: [string, (world: World) => Promise<unknown> | unknown, Changes, string[], number][] = [
  ['a wrong secret', () => {}, { variables: { AZURE_CLIENT_SECRET: 'no' } }, ['failed token: credential_refused'], 3],
  [
    'no credential',
    () => {},
    { variables: { AZURE_CLIENT_ID: '', AZURE_CLIENT_SECRET: '' } },
    ['warning credential'],
    0,
  ],
  ['half a credential', () => {}, { variables: { AZURE_CLIENT_SECRET: '' } }, ['failed credential: usage'], 2],
  ['no consent', roles([]), {}, ['failed roles: consent_missing'], 3],
  ['a role too much', roles(['User.Read.All', 'Mail.Send']), {}, ['failed roles: role_refused'], 3],
  ['no role for users', roles(['Group.Read.All']), {}, ['failed roles: permission_missing'], 3],
  [
    'no role for groups',
    roles(['User.Read.All']),
    {},
    [
      'failed roles: permission_missing',
      'failed read: groups/delta: permission_missing',
      'failed read: memberOf: permission_missing',
    ],
    3,
  ],
  ['users refused', url('/users/delta', denied), {}, ['failed read: users/delta: permission_missing'], 3],
  ['members refused', url('/members', denied), {}, ['failed read: members: permission_missing'], 3],
  ['groups of a person refused', url('/memberOf', denied), {}, ['failed read: memberOf: permission_missing'], 3],
  ['deleted ones refused', url('/deletedItems', denied), {}, ['warning read: deletedItems'], 0],
  ['a batch that fails', url('$batch', { status: 503 }), {}, ['failed read: $batch: graph_answer_invalid'], 5],
  [
    'a page that is none',
    url('/groups/delta', { body: '<html>' }),
    {},
    ['failed read: groups/delta: graph_answer_invalid'],
    5,
  ],
  ['throttled', url('/users/delta', { status: 429 }), {}, ['failed read: users/delta: graph_throttled'], 5],
  ['a sign-in that is six minutes ahead', at('/common/', 360_000), {}, ['failed clock: sign-in: clock_skewed'], 3],
  ['a Graph that is six minutes behind', at('/v1.0/', -360_000), {}, ['failed clock: Graph: clock_skewed'], 3],
  ['a Graph that is two minutes behind', at('/v1.0/', -120_000), {}, ['warning clock: Graph'], 0],
  [
    'an unknown host',
    () => {},
    { variables: { AZURE_AUTHORITY_HOST: 'https://nobody.invalid' } },
    ['failed DNS: sign-in: graph_unavailable'],
    5,
  ],
  [
    'a host that does not answer',
    () => {},
    { variables: { AZURE_AUTHORITY_HOST: 'https://localhost:1' } },
    ['failed TLS: sign-in: graph_unavailable'],
    5,
  ],
  ['a cloud that does not exist', () => {}, { variables: { ENTRA_SYNC_CLOUD: 'mars' } }, ['failed cloud: usage'], 2],
  ['a checkpoint of five days', aged('5 days'), {}, ['warning checkpoint: users'], 0],
  ['a checkpoint of seven days', aged('7 days'), {}, ['failed checkpoint: users: checkpoint_too_old'], 8],
];

test.each(rowsOf(reds, (_, n) => n % 3 === 0))('red: %s', async (_what, arrange, changes, expected, exitCode) => {
  const world = await openWorld({ users: 3, groups: 1 });
  await arrange(world);
  const checks = await diagnose(world, changes);
  const none = ['warning checkpoint: users', 'warning checkpoint: groups'];
  const cycled = (await rows(world.database, 'select from entra_sync.checkpoints')).length > 0;
  expect(notGreen(checks)).toEqual([...expected, ...(cycled ? [] : none)]);
  expect(firstExitCode(checks)).toBe(exitCode);
});

test('a check that depends on a red one is skipped and names it; the others run', async () => {
  const world = await openWorld({ users: 1, groups: 1 });
  world.simulator.options.roles = ['User.Read.All', 'Mail.Send'];
  const checks = await diagnose(world);
  expect(unchecked(checks)).toEqual(reads);
  expect(checks.find(({ check }) => check === 'read: members')?.message).toBe('needs read: groups/delta');
  world.simulator.options.roles = ['User.Read.All'];
  expect(unchecked(await diagnose(world))).toEqual(['read: members']);
});

test('the sign-in of the web has a line where the environment names it: yellow with one registration, red without a secret', async () => {
  const world = await openWorld();
  await world.cycle();
  const lineOf = async (variables: Record<string, string>) =>
    (await diagnose(world, { variables })).find(({ check }) => check === 'credential: web');
  expect(await lineOf({})).toBeUndefined();
  const ops = { ENTRA_SYNC_OPS_TENANT: world.tenant.tenantId };
  expect(await lineOf(ops)).toMatchObject({ state: 'warning', cure: expect.stringContaining('docs/web.md') });
  const own = { ...ops, ENTRA_SYNC_SIGN_IN_CLIENT_ID: '6f8d9a3e-2a46-4c57-9c1b-0b6a3c3d2f10' };
  expect(await lineOf(own)).toMatchObject({ state: 'failed', code: 'usage' });
  expect(await lineOf({ ...own, ENTRA_SYNC_SIGN_IN_CLIENT_SECRET: 'x' })).toMatchObject({ state: 'ok' });
});

test.runIf(isDeep)(
  'the registrations as sign-ins have shown them: redirect addresses, roles in tokens, a consent that is wanted',
  async () => {
    const world = await openWorld();
    const { database, simulator } = world;
    const signIn = '6f8d9a3e-2a46-4c57-9c1b-0b6a3c3d2f10';
    const variables = { ENTRA_SYNC_SIGN_IN_CLIENT_ID: signIn, ENTRA_SYNC_SIGN_IN_CLIENT_SECRET: 'x' };
    const publicUrl = 'https://sync.example.com';
    const told = async (parts: Partial<DoctorParts> = { publicUrl: () => publicUrl }) =>
      Object.fromEntries(
        (await diagnose(world, { variables, parts }))
          .filter(({ check }) => /^(redirect|sign-in: (roles|consent))/.test(check))
          .map(({ check, state, message }) => [check, `${state} ${message}`]),
      );
    expect(await told({})).toEqual({ 'sign-in: roles': expect.stringMatching(/^ok not known yet/) });
    expect(await told()).toMatchObject({
      'redirect: /callback': expect.stringMatching(/^warning no sign-in has come back to \S+\/callback yet/),
      'redirect: /entered': expect.stringMatching(/^warning no sign-in has come back to \S+\/entered yet/),
    });
    const wrong = () => readPublicUrl({ ENTRA_SYNC_PUBLIC_URL: 'http://sync.example.com' }, undefined, 0);
    expect((await told({ publicUrl: wrong }))['redirect: /entered']).toMatch(/^failed the public address/);
    const { clientId } = simulator.options;
    await rememberSignIn(database, { clientId, redirectUri: `${publicUrl}/callback` });
    // Another address of the same application says nothing of this one.
    await rememberSignIn(database, { clientId: signIn, redirectUri: 'https://old.example.com/entered' });
    await rememberRegistration(database, signIn, false);
    await rememberConsentWanted(database, {
      clientId: signIn,
      redirectUri: `${publicUrl}/entered`,
      code: 'AADSTS90094',
    });
    expect(await told()).toEqual({
      'redirect: /callback': expect.stringMatching(/^ok \S+\/callback works \(last sign-in \d{4}-\d\d-\d\d\)$/),
      'redirect: /entered': expect.stringMatching(/^warning/),
      'sign-in: roles': expect.stringMatching(/^warning id tokens tell no directory roles .* cannot come in$/),
      'sign-in: consent': expect.stringMatching(/^warning .*only an administrator .*\(AADSTS90094, last /),
    });
    await database.raw(
      "update entra_sync.sign_in_addresses set consent_wanted_at = now() - interval '8 days' where consent_code is not null",
    );
    await rememberRegistration(database, signIn, true);
    await rememberSignIn(database, { clientId: signIn, redirectUri: `${publicUrl}/entered` });
    expect(Object.values(await told()).map((line) => line.split(' ')[0])).toEqual(['ok', 'ok', 'ok']);
  },
);

test('held removals, a clock that differs from the database, a paused or disconnected tenant', async () => {
  const world = await openWorld({ users: 6 });
  await world.cycle();
  await setSettings(world.database, { removals: { max: 0 } });
  const [user] = world.tenant.users();
  world.tenant.deleteUser(user?.id ?? '');
  await world.cycle();
  const held = await diagnose(world);
  expect(notGreen(held)).toEqual(['warning tenant', 'failed held removals: removals_held']);
  expect(held.find(({ check }) => check === 'tenant')).toMatchObject({
    message: 'active; the last cycle ended with removals_held',
    cure: expect.stringContaining('entra-sync tenant show "Fabrikam'),
  });
  expect([held.at(-1)?.message, held.at(-1)?.cure, firstExitCode(held)]).toEqual([
    expect.stringMatching(/^1 removal waits for a person since \d{4}-\d\d-\d\d$/),
    'entra-sync removals list one',
    4,
  ]);
  // This machine's own clock is wrong, so all three checks fail.
  const late = await diagnose(world, { parts: { now: () => Date.now() - 400_000 } });
  expect(notGreen(late).slice(0, 3)).toEqual([
    'failed clock: database: clock_skewed',
    'failed clock: sign-in: clock_skewed',
    'failed clock: Graph: clock_skewed',
  ]);
  expect(late.find(({ check }) => check === 'clock: database')?.message).toMatch(/this machine is (39|40)\d s behind/);
  await world.database.raw('update entra_sync.tenants set paused = true, last_error_message = null');
  const paused = await diagnose(world);
  expect(paused.find(({ check }) => check === 'tenant')).toMatchObject({ state: 'warning', message: 'active, paused' });
  await world.database.raw("update entra_sync.tenants set status = 'disconnected'");
  const left = await diagnose(world);
  expect([left.at(-1)?.check, left.at(-1)?.message]).toEqual(['tenant', 'disconnected: nothing is read of it']);
});

test('a schema that is not current, and a database that does not exist yet', async (context) => {
  const world = await openWorld({ users: 1 });
  const fresh = await freshDatabase({ migrated: false });
  const empty = openDatabase(fresh.url);
  context.onTestFinished(async () => {
    await empty.destroy();
    await fresh.drop();
  });
  const checks = await diagnose(world, { parts: { openDatabase: async () => ({ database: empty, name: 'empty' }) } });
  expect(notGreen(checks)).toEqual(['failed schema: schema_not_current']);
  expect(firstExitCode(checks)).toBe(7);
  const none = await diagnose(world, { parts: { openDatabase: async () => undefined } });
  expect([notGreen(none), unchecked(none)]).toEqual([
    ['warning database'],
    ['schema', 'clock: database', 'disk: database', 'limits: database'],
  ]);
});

test('on the database of the demo nothing is red: its tenant was simulated, and no host of Microsoft is asked', async ({
  onTestFinished,
}) => {
  const world = await openWorld({ users: 1 });
  await world.cycle();
  await markAsDemo(world.database);
  onTestFinished(async () => {
    const { pathname } = new URL(world.url);
    await world.database.raw(`comment on database ${pathname.slice(1)} is null`);
  });
  const hosts = { AZURE_AUTHORITY_HOST: 'https://gone.invalid', GRAPH_BASE_URL: 'https://gone.invalid' };
  const variables = { ...hosts, AZURE_CLIENT_ID: '', AZURE_CLIENT_SECRET: '' };
  const checks = await diagnose(world, { variables });
  expect([notGreen(checks), firstExitCode(checks)]).toEqual([[], 0]);
  expect(checks.find(({ check }) => check === 'cloud')?.message).toMatch(/^simulated: the demo made this database/);
  expect(unchecked(checks)).toEqual(expect.arrayContaining(['credential', 'DNS: sign-in', 'DNS: Graph', 'token']));
  // With a credential the environment may serve the tenant again.
  const served = await diagnose(world);
  expect([notGreen(served), unchecked(served)]).toEqual([[], []]);
});

test.runIf(isDeep)('a full disk of the database is red, though everything can be read', async () => {
  const world = await openWorld({ users: 1 });
  await world.cycle();
  // The server's error when a table cannot grow.
  await world.database.raw(`
    create function public.full_disk() returns event_trigger language plpgsql
      as $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$;
    create event trigger full_disk on ddl_command_end when tag in ('CREATE TABLE AS') execute function public.full_disk()`);
  const checks = await diagnose(world);
  expect([notGreen(checks), firstExitCode(checks)]).toEqual([['failed disk: database: database_unable'], 7]);
  expect(checks.find(({ check }) => check === 'disk: database')?.message).toBe('the disk of the database is full');
  await world.database.raw('drop event trigger full_disk');
  expect(notGreen(await diagnose(world))).toEqual([]);
});

test.each([
  // Fatal is a limit below one second. Doctor's own statements end within this one on a busy machine too.
  ['900ms', 'failed limits: database: database_unable', 7],
  ['2s', 'warning limits: database', 0],
  ['10min', undefined, 0],
])('a statement_timeout of %s in the database', async (value, expected, exitCode) => {
  const world = await openWorld({ users: 1 });
  await world.cycle();
  const [name] = await rows<{ name: string }>(world.database, 'select current_database() as name');
  await world.database.raw(`alter database ${name?.name} set statement_timeout = '${value}'`);
  const limited = openDatabase(world.url);
  const checks = await diagnose(world, {
    parts: { openDatabase: async () => ({ database: limited, name: 'limited' }) },
  });
  await limited.destroy();
  expect([notGreen(checks), firstExitCode(checks)]).toEqual([expected === undefined ? [] : [expected], exitCode]);
  if (expected === undefined) return;
  expect(checks.find(({ check }) => check === 'limits: database')).toMatchObject({
    message: `statement_timeout is ${value}, set for the database: statements that take longer are ended`,
    cure: expect.stringMatching(/^alter role ".*" in database ".*" set statement_timeout = 0$/),
  });
});

test.runIf(isDeep)('the expiry of a certificate: valid, soon, expired', async (context) => {
  const world = await openWorld({ users: 1 });
  const folder = await temporaryDirectory(context.onTestFinished);
  const certificate = async (days: number) => {
    const path = join(folder, `${days}.pem`);
    const day = 86_400_000;
    const notBeforeDate = new Date(Date.now() - 100 * day);
    const notAfterDate = new Date(Date.now() + days * day);
    const pem = await generate([{ name: 'commonName', value: 'app' }], { keySize: 2048, notBeforeDate, notAfterDate });
    await writeFile(path, `${pem.private}\n${pem.cert}\n`);
    const variables = { AZURE_CLIENT_SECRET: '', AZURE_CLIENT_CERTIFICATE_PATH: path };
    return (await diagnose(world, { variables })).find(({ check }) => check === 'credential');
  };
  expect(await certificate(20)).toMatchObject({ state: 'ok', message: expect.stringMatching(/good until 20\d\d-/) });
  expect(await certificate(10)).toMatchObject({ state: 'warning', cure: expect.stringContaining('new certificate') });
  expect(await certificate(-1)).toMatchObject({ state: 'failed', code: 'credential_refused', exitCode: 3 });
});

test('the command: lines with words and cures, the exit code of the first red line, --json, no colours in a pipe', async (context) => {
  const world = await openWorld({ users: 2, registered: false, onEnd: context.onTestFinished });
  const environment = { ...world.simulator.environment(), DATABASE_URL: world.url };
  const [green, red, unknown] = await Promise.all([
    runCli(['doctor', '--json'], environment),
    runCli(['doctor'], {
      ...environment,
      DATABASE_URL: 'postgres://nobody@localhost:1/nowhere',
      AZURE_CLIENT_SECRET: 'wrong',
    }),
    runCli(['doctor', 'Nobody'], environment),
  ]);
  expect(green.code, green.stderr).toBe(0);
  const answer = JSON.parse(green.stdout) as { checks: Check[]; exitCode: number };
  // Not registered yet, so doctor checks the tenant of AZURE_TENANT_ID.
  expect([answer.exitCode, answer.checks.at(-2)]).toMatchObject([
    0,
    { tenant: { id: world.tenant.tenantId }, check: 'read: $batch', state: 'ok' },
  ]);
  expect(red.code).toBe(7);
  expect(red.stdout).toMatch(/^ {2}✗ failed +database +the database cannot be reached.* -> check DATABASE_URL/m);
  expect(red.stdout).toMatch(/^ {2}✗ failed +token .*AADSTS7000215.* -> set AZURE_CLIENT_SECRET/m);
  expect(red.stdout).toMatch(/^ {2}– not checked +schema +needs database$/m);
  expect(red.stdout).toMatch(/^2 of \d+ checks failed, \d+ not checked\.$/m);
  expect(red.stdout).not.toContain('\u001b');
  expectOneLine(unknown, 2, /no tenant Nobody is registered/);
  expect(await rows(world.database, 'select from entra_sync.tenants'), 'nothing is registered by it').toEqual([]);
  expect(world.simulator.requests.some(({ path }) => isDeltaRequest(path))).toBe(true);
});
