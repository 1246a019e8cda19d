// The command line without faults: every verb's help and JSON, the certificate, simulate and demo.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import stringWidth from 'string-width';
import { describe, expect, test } from 'vitest';
import { runCli, startCli, temporaryDirectory } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { expectTruth, openWorld, type World } from '../../support/system.ts';

const verbs = [
  'demo',
  'simulate',
  'register',
  'migrate',
  'tenant add',
  'tenant list',
  'tenant show',
  'tenant pause',
  'tenant resume',
  'tenant acknowledge',
  'tenant contacts',
  'tenant retry',
  'connect',
  'sync',
  'resync',
  'worker',
  'web',
  'web sessions list',
  'web sessions end',
  'status',
  'doctor',
  'cycle show',
  'verify',
  'audit',
  'find',
  'explain',
  'managers',
  'history',
  'compare',
  'edit',
  'restore',
  'person export',
  'person erase',
  'changes',
  'removals list',
  'removals approve',
  'removals reject',
  'removals history',
  'removals undo',
  'assignments list',
  'assignments assign',
  'assignments preview',
  'assignments unassign',
  'assignments move',
  'assignments explain',
  'assignments change',
  'assignments people',
  'slots list',
  'slots put',
  'slots drop',
  'items list',
  'items show',
  'items put',
  'items drop',
  'settings show',
  'settings apply',
  'settings history',
  'settings diff',
  'settings revert',
  'grant',
  'webhook add',
  'webhook list',
  'webhook log',
  'webhook test',
  'webhook replay',
  'webhook rotate',
  'webhook pause',
  'webhook resume',
  'webhook remove',
  'notify add',
  'notify list',
  'notify log',
  'notify test',
  'notify pause',
  'notify resume',
  'notify remove',
  'psql',
];

describe.concurrent('help', () => {
  test.each(verbs)('%s --help has examples of itself', async (name) => {
    const { code, stdout } = await runCli([...name.split(' '), '--help'], {});
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`Examples:\\n  \\$ entra-sync ${name}\\b`));
    // These serve, show or hand over, and have no answer.
    expect(stdout.includes('--json')).toBe(!['demo', 'simulate', 'worker', 'psql'].includes(name));
  });

  test('the list of verbs below another fits 80 columns', async () => {
    for (const name of new Set(verbs.filter((verb) => verb.includes(' ')).map((verb) => verb.split(' ')[0] ?? ''))) {
      const { stdout } = await runCli([name, '--help'], {});
      const [list = ''] = stdout.split('\nExamples:');
      expect(list, name).toMatch(/\nCommands:\n/);
      expect(list.split('\n').filter((line) => line.length > 80)).toEqual([]);
    }
  });

  test('the help lists all verbs and all exit codes', async () => {
    const { code, stdout } = await runCli(['--help'], {});
    expect(code).toBe(0);
    const listed = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name);
    expect(listed.filter((name) => name !== 'help')).toEqual([...new Set(verbs.map((name) => name.split(' ')[0]))]);
    expect([...stdout.matchAll(/^[A-Z].*:$/gm)].map(([heading]) => heading)).toEqual([
      'Options:',
      'Try it:',
      'Connect and run:',
      'See how it stands:',
      'Accounts and groups:',
      'Who gets what:',
      'Settings and applications:',
      'Commands:',
      'Examples:',
    ]);
    for (const exitCode of ['0', '1', '2', '3', '4', '5', '6', '7', '130'])
      expect(stdout).toMatch(new RegExp(`\\b${exitCode} [A-Za-z]`));
  });
});

/** Runs verbs of one world with --json and expects exactly one document on stdout. */
function jsonOf(world: World) {
  const environment = { ...world.simulator.environment(), DATABASE_URL: world.url };
  const json = async (...args: string[]): Promise<Record<string, unknown>> => {
    const { code, stdout, stderr } = await runCli([...args, '--json'], environment);
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout);
  };
  return { json, environment };
}

test.concurrent('rule 21: a verb that acts answers with one JSON document, and "0 changes" says why', async ({
  onTestFinished,
}) => {
  const world = await openWorld({ registered: false, onEnd: onTestFinished });
  const { json, environment } = jsonOf(world);
  const { tenantId } = world.tenant;
  const dryRun = await json('sync', '--dry-run');
  expect(dryRun).toMatchObject({ cycles: [{ outcome: 'dry_run', streams: { users: { created: 12 } } }] });
  expect((await runCli(['sync', '--dry-run'], environment)).stderr).toMatch(/^users: comparing, 12 objects/m);
  expect(await json('tenant', 'list')).toEqual({ tenants: [], waiting: [] });
  const added = await json('tenant', 'add', tenantId.toUpperCase(), '--name', 'Contoso', '--ref', 'customer-17');
  expect(added).toMatchObject({ tenant_id: tenantId, status: 'pending' });
  const synced = await json('sync', 'contoso');
  expect(synced).toMatchObject({ cycles: [{ outcome: 'committed', streams: { users: { created: 12 } } }] });
  const refused = world.simulator.intercept(({ url }) =>
    url.startsWith('/v1.0/users')
      ? { status: 403, body: { error: { code: 'Authorization_RequestDenied' } } }
      : undefined,
  );
  for (const _ of [1, 2]) expect((await runCli(['sync', 'contoso'], environment)).code).toBe(3);
  refused();
  const { stdout: shown } = await runCli(['tenant', 'show', 'contoso'], environment);
  expect(shown.match(/\(403\)/g)).toHaveLength(2);
  expect(shown.match(/as above$/gm)).toHaveLength(1);
  const quiet = await runCli(['sync', 'customer-17'], environment);
  expect(quiet.stdout).toMatch(/no changes: Graph reported none since the last cycle, \d+ s ago/);
  const again = await runCli(['resync'], environment);
  expect(again.stdout).toMatch(/no changes: Graph returned 12 objects, none differs/);
});

test.concurrent('a verb that reads answers with one JSON document, or with lines that fit the terminal', async ({
  onTestFinished,
}) => {
  const world = await openWorld({ name: 'Contoso', onEnd: onTestFinished });
  const { json, environment } = jsonOf(world);
  await world.cycle();
  const changes = await json('changes', '--limit', '5');
  expect(changes).toMatchObject({ changes: { length: 5 } });
  expect(await json('changes', '--position')).toEqual({ position: changes.position });
  expect(await json('status')).toMatchObject({ tenants: [{ name: 'Contoso', status: 'active', accounts: 12 }] });
  expect(await json('tenant', 'show', 'contoso')).toMatchObject({
    streams: [{ stream: 'groups' }, { stream: 'users' }],
  });
  expect(await json('settings', 'show')).toMatchObject({ version: 2, settings: { interval: '40m' } });
  expect(await json('migrate')).toEqual({ applied: [] });
  expect(await json('migrate', '--check')).toMatchObject({ pending: [], unknown: [] });
  // In 80 columns no line is longer; in a pipe a row stays one line.
  const [user] = world.tenant.users();
  for (const [words, row] of [
    [['resync'], /^Contoso +resync +users +full, resync +\d+ +12 .* \d\.\d$/m],
    [['doctor'], /^ {2}✓ ok +cloud +sign-in at .*, Graph at \S+$/m],
    [['explain', user?.id ?? ''], /^displayName +\S.* only in Entra ID +displayName$/m],
    [['status'], /^Contoso +active +12 +\d+ +0 +0 .*committed$/m],
    [['changes'], /^\S+Z +\S+ +\S.*$/m],
    [['verify'], /^Contoso: no drift in 12 users, .* s\)$/m],
  ] as const) {
    const narrow = await runCli(words, { ...environment, COLUMNS: '80' });
    expect([narrow.code, narrow.stdout.split('\n').filter((line) => stringWidth(line) > 80)]).toEqual([0, []]);
    const piped = await runCli(words, environment);
    expect([piped.code, piped.stdout]).toEqual([0, expect.stringMatching(row)]);
  }
});

test.concurrent('--verbose and --json may stand before the verb', async ({ onTestFinished }) => {
  const world = await openWorld({ name: 'Contoso', onEnd: onTestFinished });
  const environment = { ...world.simulator.environment(), DATABASE_URL: world.url };
  for (const words of [
    ['--verbose', 'status', '--json'],
    ['--json', '--verbose', 'status', 'Contoso'],
  ]) {
    const { code, stdout, stderr } = await runCli(words, environment);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ tenants: [{ name: 'Contoso' }] });
  }
  expect((await runCli(['--verbose'], environment)).code).toBe(2);
});

test.concurrent('with --json an error is one document on stdout, too', async ({ onTestFinished }) => {
  const world = await openWorld({ registered: false, onEnd: onTestFinished });
  const { code, stdout } = await runCli(['sync', 'Nobody', '--json'], {
    ...world.simulator.environment(),
    DATABASE_URL: world.url,
  });
  expect([code, JSON.parse(stdout)]).toEqual([
    2,
    { error: expect.objectContaining({ code: 'unknown_name', exitCode: 2 }) },
  ]);
});

test.concurrent('a certificate signs in as well as a secret', async ({ onTestFinished }) => {
  const world = await openWorld({ registered: false, onEnd: onTestFinished });
  const { code, stderr } = await runCli(['sync'], {
    ...world.simulator.certificateEnvironment(),
    DATABASE_URL: world.url,
  });
  expect(code, stderr).toBe(0);
  const { tenantId } = world.tenant;
  expect(stderr).toMatch(
    new RegExp(`^${tenantId} has no name yet -> entra-sync tenant rename ${tenantId} --name NAME$`, 'm'),
  );
  await expectTruth(world.tenant, world.database, []);
});

const processesNaming = async (text: string) =>
  (await promisify(execFile)('ps', ['-eo', 'args'])).stdout.split('\n').filter((line) => line.includes(text));

test
  .runIf(isDeep)
  .concurrent(
    'simulate prints all that sync needs, accepts edits, ends on Ctrl-C; the embedded database ends with its verb',
    async ({ onTestFinished }) => {
      const home = await temporaryDirectory(onTestFinished);
      const simulated = startCli(['simulate', '--users', '30', '--groups', '2'], {});
      onTestFinished(async () => {
        simulated.child.kill('SIGKILL');
        await simulated.ended;
      });
      const shown = await simulated.shows(/no role/);
      // All of it can be pasted into a shell.
      expect(shown.split('\n').filter((line) => !/^(export \w+='[^']*'|# .*|)$/.test(line))).toEqual([]);
      const environment = Object.fromEntries(
        [...shown.matchAll(/^export (\w+)='(.*)'$/gm)].map(([, name, value]) => [name, value]),
      );
      const sync = async () => {
        const { code, stdout, stderr } = await runCli(['sync', '--json'], { ...environment, ENTRA_SYNC_HOME: home });
        expect(code, stderr).toBe(0);
        return JSON.parse(stdout).cycles[0].streams.users;
      };
      // A guest among the thirty users is outside the scope by default.
      expect(await sync()).toMatchObject({ distinct: 30, created: 29 });
      for (const [line, answer] of [
        ['hire 3', /hired 3 users/],
        ['delete 2', /deleted 2 users/],
        ['dance', /Unknown edit 'dance'/],
      ] as const) {
        simulated.type(line);
        await simulated.shows(answer);
      }
      expect(await sync()).toMatchObject({ round: 'incremental', created: expect.any(Number), seen: 5 });
      simulated.interrupt();
      expect(await simulated.ended).toMatchObject({ code: 0, stderr: expect.stringMatching(/stopped\n$/) });
      expect(await processesNaming(home)).toEqual([]);
    },
  );

test
  .runIf(isDeep)
  .concurrent('demo tells its story, exits with 0 and leaves no process behind', async ({ onTestFinished }) => {
    const home = join(await temporaryDirectory(onTestFinished), "Ann's files");
    const { code, stdout, stderr } = await runCli(['demo', '--users', '50'], { ENTRA_SYNC_HOME: home });
    expect(code, stderr).toBe(0);
    // Ordered by cycle and kind, whichever stream was committed first.
    expect(stdout).toMatch(/account\.created[\s\S]*account\.removed[\s\S]*account\.restored[\s\S]*membership\.added/);
    expect(stdout).toMatch(/What happened so far[\s\S]*Of the 50 users 3 are guests[\s\S]*What changed/);
    const [, group = '', excepted = ''] =
      /^6\. .* the banner spring goes to the group (.+), but not to (.+):$/m.exec(stdout) ?? [];
    const [, hire = '', manager = ''] =
      /^ {3}In Entra ID (.+) is hired, joins .+, and (.+) is the manager:$/m.exec(stdout) ?? [];
    expect(stdout).toContain(`is renamed to ${group}, and ${manager} and ${excepted} join it`);
    const shown = stdout.split('\n').map((line) => line.trim().split(/ {2,}/));
    const first = ['spring', 'group', 'wins', 'it is number 1 of 1'];
    for (const name of [manager, hire]) expect(shown).toContainEqual([name, ...first]);
    expect(shown).not.toContainEqual([excepted, ...first]);
    expect(shown).toContainEqual([excepted, 'spring', 'group', 'excepted', 'an exception takes the item away']);
    expect(shown).toContainEqual([hire, manager, manager, 'the manager in Entra ID']);
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^ {2}ENTRA_SYNC_HOME='\S.*demo' \S.* web --local {6}#/);
    // One word of the shell: without quotes the command would delete another folder.
    expect(stdout).toMatch(/^ {2}rm -r '\S+\/Ann'\\''s files\/demo' {6}# deletes the database of the demo/m);
    expect(stdout).toContain('Chief Happiness Officer');
    expect(await processesNaming(home)).toEqual([]);
  });
