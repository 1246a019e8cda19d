// `edit --undo` and `edit --revert FIELD` of many, as people run them.
import { beforeEach, describe, expect, test } from 'vitest';
import type { Run } from '../../../src/cli/command.ts';
import { revertOfMany } from '../../../src/cli/verbs/edit-many.ts';
import { createAccount, editAccount } from '../../../src/store/accounts/accounts.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { expectOneLine, runCli } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { groupsWorld } from '../../support/groups-world.ts';
import { setSettings } from '../../support/settings.ts';
import { expectSound } from '../../support/soundness.ts';
import type { World } from '../../support/system.ts';

let world: World;
let accounts: string[];

const cli = (...words: string[]) => runCli(words, { DATABASE_URL: world.url });
const sql = <Row>(statement: string, values: Record<string, unknown> = {}) =>
  rows<Row>(world.database, statement, values);

async function json(...words: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await cli(...words, '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

const titles = async () =>
  Object.fromEntries(
    (
      await sql<{ id: string; title: string | null }>(
        "select account_id as id, profile ->> 'jobTitle' as title from directory.accounts",
      )
    ).map(({ id, title }) => [id, title]),
  );

beforeEach(async () => {
  const opened = await groupsWorld({ Outer: ['Inner', 0], Inner: [1, 2] }, { users: 5, name: 'Contoso' });
  world = opened.world;
  await setSettings(world.database, { sourceOfTruth: 'hybrid', fields: { jobTitle: { owner: 'user' } } });
  for (const { id } of world.tenant.users()) world.tenant.updateUser(id, { jobTitle: 'Clerk' });
  await world.cycle();
  const found = await sql<{ id: string; object: string }>(
    'select account_id as id, entra_object_id as object from directory.accounts',
  );
  accounts = [0, 1, 2, 3, 4].map((n) => found.find(({ object }) => object === opened.person(n))?.id ?? '');
  for (const id of accounts)
    await editAccount(
      world.database,
      id,
      { jobTitle: `Wrong ${accounts.indexOf(id)}` },
      { actor: 'bot', role: 'user' },
    );
});

describe('edit --undo', () => {
  test.runIf(isDeep)(
    'the last edit, or the one with this number; an edit that is over is refused with ES009',
    async () => {
      const id = accounts[0] ?? '';
      const { history } = (await json('history', id)) as { history: { change_id: string; kind: string }[] };
      const first = history.find(({ kind }) => kind === 'account.edited')?.change_id ?? '';
      const { stdout } = await cli('edit', id, '--undo', '--actor', 'ann');
      expect(stdout).toMatch(/^jobTitle +"Wrong 0" +-> +"Clerk"$/m);
      await cli('edit', id, 'jobTitle=Boss');
      expectOneLine(await cli('edit', id, '--undo', first), 2, /no longer shows what that edit gave \(ES009\)/);
      await cli('edit', id, 'jobTitle=Wrong 0');
      expect(await json('edit', id, '--undo', first)).toMatchObject({
        undone: first,
        changed: [{ field: 'jobTitle', before: 'Wrong 0', after: 'Clerk' }],
      });
      expectOneLine(
        await cli('edit', id, '--undo', '1'),
        2,
        /change 1 is no edit of account \S+ -> entra-sync history ACCOUNT --json shows/,
      );
      expect((await titles())[id]).toBe('Clerk');
    },
  );

  test('a refusal is one line', async () => {
    const refused: [string[], RegExp][] = [
      [['--undo', 'jobTitle=Boss'], /--undo needs the number of a change/],
      [['jobTitle=Boss', '--undo'], /--undo stands alone/],
      [['--undo', '--revert'], /--undo stands alone/],
      [['--undo', '--dry-run'], /--dry-run goes with/],
    ];
    for (const [words, message] of refused) expectOneLine(await cli('edit', accounts[0] ?? '', ...words), 2, message);
  });

  test('an account without an edit says so', async () => {
    const id = await createAccount(world.database, world.tenant.tenantId, { displayName: 'Bob' }, 'ann');
    expectOneLine(await cli('edit', id, '--undo'), 2, /no person has edited this account/);
  });
});

describe('edit --revert FIELD of many', () => {
  test('of a group with its nested groups; a dry run changes nothing, and others keep their edits', async () => {
    const before = await titles();
    const words = ['edit', '--revert', 'jobTitle', '--group', 'Outer', '--tenant', 'Contoso'];
    const { stdout } = await cli(...words, '--dry-run');
    expect(stdout).toContain("Contoso, Outer: jobTitle of 3 accounts would be reverted to the directory's value.");
    expect(stdout).toMatch(/"Wrong 1" +-> +"Clerk"$/m);
    expect(await titles()).toEqual(before);
    expect(await json(...words, '--actor', 'eve')).toMatchObject({
      field: 'jobTitle',
      reverted: [{}, {}, {}],
      refused: [],
    });
    const after = await titles();
    expect(accounts.map((id) => after[id])).toEqual(['Clerk', 'Clerk', 'Clerk', 'Wrong 3', 'Wrong 4']);
    expect(await sql("select from directory.changes where actor = 'eve' and kind = 'account.edited'")).toHaveLength(3);
    expect((await cli(...words)).stdout).toContain("no account holds a person's value of jobTitle");
    await expectSound(world.database, world.tenant.tenantId);
  });

  test.runIf(isDeep)('of everyone; an account that refuses is left as it is, and said', async () => {
    const manual = await createAccount(
      world.database,
      world.tenant.tenantId,
      { displayName: 'Bob', jobTitle: 'Guest' },
      'ann',
    );
    await setSettings(world.database, { manual: { editableBy: ['manager'] } });
    const { stdout } = await cli('edit', '--revert', 'jobTitle', '--everyone', '--tenant', 'Contoso');
    expect(stdout).toContain('jobTitle of 5 accounts reverted');
    expect(stdout).toMatch(/1 left as they are:\nBob +the role may not edit the field \(ES003\)/);
    expect(await titles()).toMatchObject({ [manual]: 'Guest', [accounts[4] ?? '']: 'Clerk' });
  });

  test('one that is stopped between its batches says how many accounts are done', async () => {
    const notes: string[] = [];
    const run = {
      terminal: { note: (line: string) => void notes.push(line) },
      ...{ actor: 'eve', signal: AbortSignal.abort(new Error('stopped')), environment: {} },
      database: async () => ({ database: world.database }),
    } as unknown as Run;
    const stop = (dryRun: boolean) =>
      revertOfMany(run, ['jobTitle'], { as: 'user', tenant: 'Contoso', everyone: true, dryRun });
    await expect(stop(true)).rejects.toThrow('stopped');
    expect(notes).toEqual([]);
    await expect(stop(false)).rejects.toThrow('stopped');
    expect(notes).toEqual(['5 of 5 accounts are done and stay so; the same command does the rest']);
  });

  test('a refusal is one line, and changes nothing', async () => {
    const before = await titles();
    const refused: [string[], RegExp][] = [
      [['--group', 'Outer', '--tenant', 'Contoso'], /go with --revert FIELD alone/],
      [['--revert', '--everyone', '--tenant', 'Contoso'], /one field is reverted at a time/],
      [['--revert', 'jobTitle', 'city', '--everyone', '--tenant', 'Contoso'], /one field is reverted at a time/],
      [['--revert', 'jobTitle', '--everyone'], /need a tenant/],
      [['--revert', 'jobTitle', '--everyone', '--group', 'Outer', '--tenant', 'Contoso'], /exclude each other/],
      [['--revert', 'nosuch', '--everyone', '--tenant', 'Contoso'], /there is no field "nosuch" \(ES002\)/],
      [['--revert', 'jobTitle', '--group', 'Nosuch', '--tenant', 'Contoso'], /no group is called Nosuch/],
      [['--revert', 'jobTitle'], /no account was named/],
    ];
    for (const [words, message] of refused) expectOneLine(await cli('edit', ...words), 2, message);
    expect(await titles()).toEqual(before);
  });
});
