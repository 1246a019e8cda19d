// `managers`: who manages Ann and why, and whom she manages; and `edit --as ACCOUNT`.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectOneLine, runCli } from '../../support/cli.ts';
import { openWorld, type World } from '../../support/system.ts';

let world: World;
let folder: string;
const ids: Record<string, string> = {};

const cli = (...words: string[]) => runCli(words, { DATABASE_URL: world.url, COLUMNS: '200' });
const told = async (...words: string[]) => {
  const { code, stdout, stderr } = await cli(...words);
  expect(code, stderr).toBe(0);
  return stdout;
};
const set = async (text: string) => {
  const file = join(folder, 'settings.yaml');
  await writeFile(file, text);
  return cli('tenant', 'set', 'Contoso', file);
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'managers-'));
  world = await openWorld({ users: 0, groups: 0, name: 'Contoso', onEnd: (() => {}) as never });
  const { tenant } = world;
  for (const name of ['Ann', 'Bob', 'Carl', 'Dora'])
    ids[name] = tenant.createUser({ displayName: `${name} Berg`, userPrincipalName: `${name}@contoso.example` });
  for (const name of ['Chiefs', 'Staff']) ids[name] = tenant.createGroup({ displayName: name });
  tenant.addMember(ids.Chiefs ?? '', ids.Dora ?? '');
  tenant.addMember(ids.Staff ?? '', ids.Ann ?? '');
  tenant.run('manager ann bob');
  tenant.run('manager carl ann');
  await world.cycle();
});

afterAll(() => rm(folder, { recursive: true }));

test('where managers are not read, the answer names the setting', async () => {
  expect(await told('managers', 'ann')).toMatch(
    /^Ann Berg, Contoso, is managed by:\n {2}no account by line: the managers of this tenant are not read -> set managers: true in the settings\n\nManages no account\.\n$/,
  );
});

test('the manager in Entra ID, the members of a group by its name in the settings, and the reports', async () => {
  const wrong = await set('managers: true\nmanagedBy: [{ managers: Chefs, people: Staff }]');
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toContain('managedBy[0].managers: no synced group is called "Chefs"');
  expect((await set('managers: true\nmanagedBy: [{ managers: Chiefs, people: Staff }]')).code).toBe(0);
  await world.cycle();
  const answer = await told('managers', 'ann');
  expect(answer).toMatch(/Bob Berg +Bob@contoso.example +line: the manager in Entra ID +[0-9a-f-]{36}/);
  expect(answer).toMatch(/Dora Berg +Dora@contoso.example +group: Chiefs manages Staff \(managedBy\) +[0-9a-f-]{36}/);
  expect(answer.indexOf('Bob Berg')).toBeLessThan(answer.indexOf('Dora Berg'));
  expect(answer).toMatch(/Manages 1 account:\n[\s\S]*Carl Berg +Carl@contoso.example +line/);
  expect(JSON.parse(await told('managers', 'ann', '--json'))).toMatchObject({
    kept: true,
    named: { entra_object_id: ids.Bob, shown: 'live' },
    managed_by: [
      { display_name: 'Bob Berg', via: 'line', groups: null },
      { display_name: 'Dora Berg', via: 'group', groups: { managers: 'Chiefs', people: 'Staff' } },
    ],
    manages: { count: 1, reports: [{ display_name: 'Carl Berg', via: 'line' }] },
  });
});

test('edit --as ACCOUNT edits as user or manager, and is refused for others', async () => {
  expect((await set('sourceOfTruth: hybrid\nfields: { pronouns: { owner: user } }')).code).toBe(0);
  expect(await told('edit', 'ann', 'pronouns=she', '--as', 'ann')).toMatch(/pronouns +none +-> +"she"/);
  expect(await told('edit', 'ann', 'pronouns=her', '--as', 'Bob@contoso.example')).toMatch(/"she" +-> +"her"/);
  expectOneLine(
    await cli('edit', 'bob', 'pronouns=he', '--as', 'ann@contoso.example'),
    2,
    /does not manage account .* \(ES003\) -> .*entra-sync managers ACCOUNT shows these/,
  );
  expectOneLine(
    await cli('edit', 'bob', 'pronouns=he', '--as', 'xqwv'),
    2,
    /xqwv is neither a role nor an account of Contoso/,
  );
  expect(await told('edit', 'ann', '--undo', '--as', 'bob@contoso.example')).toMatch(/"her" +-> +"she"/);
  expect(await told('edit', 'ann', '--revert', '--as', 'bob@contoso.example')).toMatch(/pronouns +"she" +-> +none/);
});

test('a manager without an account, one who is removed, and oneself', async () => {
  const { tenant } = world;
  tenant.deleteUser(ids.Bob ?? '');
  tenant.run('manager dora dora');
  await world.cycle();
  expect(await told('managers', 'ann')).toMatch(/no account by line: the manager \(Bob Berg, object .*\) was removed /);
  expect(await told('managers', 'dora')).toMatch(/no account by line: Entra ID names the user as their own manager/);
  tenant.run('manager ann none');
  await world.cycle();
  expect(await told('managers', 'ann')).toMatch(/no account by line: Entra ID names no manager/);
  expectOneLine(await cli('managers', 'xqwv'), 2, /there is no account xqwv -> /);
});

test('escape codes in a name or a typed word do not reach the terminal', async () => {
  world.tenant.updateUser(ids.Carl ?? '', { displayName: 'Carl\u001b[2J\u001b]0;x\u0007 \u202eQuist' });
  await world.cycle();
  for (const words of [['managers'], ['history'], ['explain'], ['explain', '--at', '0m']]) {
    const { code, stdout, stderr } = await cli(...words, 'quist');
    expect([code, stdout, stderr]).toEqual([
      0,
      expect.stringContaining('Quist'),
      expect.stringContaining('quist: Carl'),
    ]);
    expect(stdout + stderr).not.toMatch(/(?!\n)[\p{Cc}\p{Bidi_Control}]/u);
  }
  expect((await cli('find', 'no\u001b[2J')).stderr).not.toContain('\u001b');
});

test('of very many managers the first are shown, and their number', async () => {
  const { tenant } = world;
  for (let at = 10; at < 65; at += 1)
    tenant.addMember(
      ids.Chiefs ?? '',
      tenant.createUser({ displayName: `Chief ${at}`, userPrincipalName: `chief${at}@contoso.example` }),
    );
  expect((await set('managers: true\nmanagedBy: [{ managers: Chiefs, people: Staff }]')).code).toBe(0);
  await world.cycle();
  const answer = await told('managers', 'ann');
  expect(answer).toContain('Chief 40');
  expect(answer).not.toContain('Chief 64');
  const { length } = JSON.parse(await told('managers', 'ann', '--json')).managed_by;
  expect(length).toBeGreaterThanOrEqual(55);
  expect(answer).toContain(`\n… ${length} in all (--json shows them)\n`);
});
