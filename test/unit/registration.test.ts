// The commands that register the application, run by a shell with an `az` of this test that keeps what it is told.
import { execFile, execFileSync } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { opsRoles, registrationScript } from '../../src/rules/registration.ts';
import { expectOneLine, runCli } from '../support/cli.ts';

const az = `#!${process.execPath}
const { readFileSync, writeFileSync } = require('node:fs');
const file = process.env.AZ_STATE;
const state = JSON.parse(readFileSync(file, 'utf8'));
const args = process.argv.slice(2);
const words = args.slice(0, args.findIndex((one) => one.startsWith('--'))).join(' ');
const of = (name) => args[args.indexOf(name) + 1];
for (const [index, one] of args.entries())
  if (index >= words.split(' ').length && one.startsWith('--') && !known(one)) throw new Error('no option ' + one);
function known(one) {
  return ['--query', '--output', '--filter', '--display-name', '--sign-in-audience', '--method', '--uri', '--headers', '--body', '--id', '--append', '--years'].includes(one);
}
const say = (text) => process.stdout.write(text + '\\n');
if (state.fails === words || state.fails === words + ' ' + of('--method')) process.exit(1);
const app = (id) => state.apps.find((one) => one.id === id);
const uses = { 'ad app create': 1, 'ad sp create': 1, 'ad app credential reset': 1 };
if (uses[words] || of('--method') === 'POST') state.made.push(words);
if (words === 'cloud show') say('https://graph.microsoft.com/');
else if (words === 'account show') say('tenant-of-the-vendor');
else if (words === 'ad signed-in-user show') say('me');
else if (words === 'ad app list') {
  const name = /^displayName eq '(.*)'$/.exec(of('--filter'))[1];
  say(state.apps.filter((one) => one.name === name).map(({ id }) => id).join('\\n'));
} else if (words === 'ad app create') {
  state.apps.push({ id: 'app-' + state.apps.length, name: of('--display-name'), secrets: 0, principal: false });
  say(state.apps.at(-1).id);
} else if (words === 'ad sp show') {
  if (!app(of('--id')).principal) process.exit(3);
  if (of('--output') !== 'none') say('principal-of-' + of('--id'));
} else if (words === 'ad sp create') app(of('--id')).principal = true;
else if (words === 'ad app credential list') say(String(app(of('--id')).secrets));
else if (words === 'ad app credential reset') {
  app(of('--id')).secrets += 1;
  say('secret-of-' + of('--id'));
} else if (words === 'rest' && of('--method') === 'PATCH') {
  const [, id] = /^https:\\/\\/graph.microsoft.com\\/v1.0\\/applications\\(appId='(.*)'\\)$/.exec(of('--uri'));
  app(id).properties = JSON.parse(of('--body'));
} else if (words === 'rest' && of('--method') === 'POST') state.assigned.push(JSON.parse(of('--body')));
else if (words === 'rest') say(String(state.assigned.length));
else throw new Error('az knows no ' + words);
writeFileSync(file, JSON.stringify(state));
`;

type State = {
  apps: { id: string; name: string; secrets: number; principal: boolean; properties: Record<string, unknown> }[];
  made: string[];
  assigned: object[];
  /** The command that is refused. */
  fails?: string;
};

async function shellWith(script: string, onEnd: (remove: () => Promise<void>) => void) {
  const folder = await mkdtemp(join(tmpdir(), 'entra-sync-az-'));
  onEnd(() => rm(folder, { recursive: true, force: true }));
  const [file, state] = [join(folder, 'register.sh'), join(folder, 'state.json')];
  await writeFile(join(folder, 'az'), az);
  await chmod(join(folder, 'az'), 0o755);
  await writeFile(join(folder, 'sleep'), '#!/bin/sh\n');
  await chmod(join(folder, 'sleep'), 0o755);
  await writeFile(file, script);
  await writeFile(state, JSON.stringify({ apps: [], made: [], assigned: [] }));
  const env = { PATH: `${folder}:${process.env.PATH}`, AZ_STATE: state };
  return {
    file,
    run: async (by = 'sh') => (await promisify(execFile)(by, [file], { env })).stdout.trimEnd().split('\n'),
    state: async (): Promise<State> => JSON.parse(await readFile(state, 'utf8')),
    set: (value: Partial<State>) => writeFile(state, JSON.stringify({ apps: [], made: [], assigned: [], ...value })),
  };
}

const graph = '00000003-0000-0000-c000-000000000000';
const reading = ['df021288-bdef-4463-88db-98f22de89214', '98830695-27a2-44f7-8c18-0c3ebc9698f6'];
const signing = ['37f7f235-527c-4136-accd-4a02d197296e', '14dad69e-099b-42c9-810b-d002981feec1'];
const access = (ids: readonly string[]) => [
  {
    resourceAppId: graph,
    resourceAccess: ids.map((id) => ({ id, type: reading.includes(id) ? 'Role' : 'Scope' })),
  },
];

test('one registration is made whole, and running the commands again makes nothing more', async ({
  onTestFinished,
}) => {
  const shell = await shellWith(registrationScript('entra-sync', false, 'https://x.example/sync'), onTestFinished);
  expect(await shell.run()).toEqual([
    "export AZURE_CLIENT_ID='app-0'",
    "export AZURE_CLIENT_SECRET='secret-of-app-0'",
    "export ENTRA_SYNC_OPS_TENANT='tenant-of-the-vendor'",
    "export ENTRA_SYNC_PUBLIC_URL='https://x.example/sync'",
  ]);
  const once = await shell.state();
  expect(once.made).toEqual(['ad app create', 'ad sp create', 'rest', 'ad app credential reset']);
  expect(once.apps[0]?.properties).toMatchObject({
    signInAudience: 'AzureADMultipleOrgs',
    web: { redirectUris: ['https://x.example/sync/callback', 'https://x.example/sync/entered'] },
    requiredResourceAccess: access([...reading, ...signing]),
    groupMembershipClaims: 'DirectoryRole',
    optionalClaims: { idToken: [{ name: 'acct' }] },
    servicePrincipalLockConfiguration: { isEnabled: true, allProperties: true },
    appRoles: opsRoles.map(({ id, value }) => ({ id, value, isEnabled: true, allowedMemberTypes: ['User'] })),
  });
  const [, act] = opsRoles;
  const principal = 'principal-of-app-0';
  expect(once.assigned).toEqual([{ principalId: 'me', resourceId: principal, appRoleId: act.id }]);
  const again = await shell.run();
  expect(again[1]).toMatch(/^# AZURE_CLIENT_SECRET: as before/);
  expect(await shell.state()).toEqual(once);
});

test('two registrations: one reads and has no application roles, the other signs in and reads nothing', async ({
  onTestFinished,
}) => {
  const shell = await shellWith(registrationScript('Ann’s sync', true, 'https://x.example'), onTestFinished);
  const said = await shell.run();
  expect(said).toContain("export ENTRA_SYNC_SIGN_IN_CLIENT_ID='app-1'");
  expect(said).toContain("export ENTRA_SYNC_SIGN_IN_CLIENT_SECRET='secret-of-app-1'");
  const { apps, assigned } = await shell.state();
  expect(apps.map(({ name }) => name)).toEqual(['Ann’s sync', 'Ann’s sync sign-in']);
  expect(apps.map(({ properties }) => properties.requiredResourceAccess)).toEqual([
    access([...reading, ...signing]),
    access(signing),
  ]);
  expect(apps.map(({ properties }) => (properties.web as { redirectUris: string[] }).redirectUris)).toEqual([
    ['https://x.example/callback'],
    ['https://x.example/entered'],
  ]);
  expect(apps.map(({ properties }) => 'appRoles' in properties)).toEqual([false, true]);
  expect(assigned).toMatchObject([{ resourceId: 'principal-of-app-1' }]);
});

test('two registrations of one name stop it before anything is changed', async ({ onTestFinished }) => {
  const shell = await shellWith(registrationScript('entra-sync', false, 'https://x.example'), onTestFinished);
  const app = { name: 'entra-sync', secrets: 0, principal: true, properties: {} };
  await shell.set({
    apps: [
      { ...app, id: 'one' },
      { ...app, id: 'two' },
    ],
  });
  await expect(shell.run()).rejects.toThrow('more than one registration is called entra-sync');
  expect((await shell.state()).made).toEqual([]);
});

// sh goes on behind a command that fails within a word of another one, bash behind one that fails within a function too.
test.each([
  ['sh', ['account show', 'ad app credential reset']],
  ['bash', ['ad app list', 'ad app create', 'rest PATCH', 'ad sp create', 'ad app credential list']],
] as const)(
  'a command that is refused ends all with its failure in %s, and no secret is claimed',
  async (by, commands) => {
    const ends: (() => Promise<void>)[] = [];
    for (const fails of commands) {
      const shell = await shellWith(registrationScript('x', false, 'https://x.example'), (end) => ends.push(end));
      await shell.set({ fails });
      const { code, stdout } = await shell.run(by).then(
        (lines) => ({ code: 0, stdout: lines.join('\n') }),
        (error: { code: number; stdout: string }) => error,
      );
      expect([code, stdout.includes('as before')], fails).toEqual([1, false]);
    }
    for (const end of ends) await end();
  },
);

const hasShellcheck = (() => {
  try {
    execFileSync('shellcheck', ['--version']);
    return true;
  } catch {
    return false;
  }
})();

test.runIf(hasShellcheck).each([true, false])('shellcheck finds nothing (two: %s)', async (two) => {
  const folder = await mkdtemp(join(tmpdir(), 'entra-sync-az-'));
  const file = join(folder, 'register.sh');
  await writeFile(file, registrationScript('entra-sync', two, 'https://x.example'));
  expect(execFileSync('shellcheck', [file], { encoding: 'utf8' })).toBe('');
  await rm(folder, { recursive: true });
});

test('register prints the commands and nothing else, and runs none itself', async () => {
  expectOneLine(await runCli(['register'], {}), 2, /runs no command itself.*--print/);
  expectOneLine(await runCli(['register', '--print', '--name', "x' or '"], {}), 2, /letters/);
  expectOneLine(await runCli(['register', '--print', '--public-url', 'http://x.example'], {}), 2, /public address/);
  const { code, stdout } = await runCli(['register', '--print'], { ENTRA_SYNC_PUBLIC_URL: 'https://x.example' });
  expect([code, stdout]).toEqual([0, registrationScript('entra-sync', false, 'https://x.example')]);
  const told = JSON.parse((await runCli(['register', '--print', '--two', '--json'], {})).stdout);
  expect(told.registrations).toHaveLength(2);
});
