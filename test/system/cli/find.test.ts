// `find`, and verbs that take words of a name: on two tenants that were synced.
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { createAccount, removeAccount } from '../../../src/store/accounts/accounts.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { writeAudit } from '../../../src/store/feed/audit.ts';
import { listSessions } from '../../../src/store/web/sessions.ts';
import { beginSession } from '../../../src/web/session.ts';
import { expectOneLine, runCli } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { openWorld, type World } from '../../support/system.ts';

let world: World;
let ann: string;
let staff: string;
let unread: string;

const cli = (...words: string[]) => runCli(words, { DATABASE_URL: world.url, COLUMNS: '200' });

beforeAll(async () => {
  world = await openWorld({ users: 2, groups: 0, name: 'Contoso', onEnd: (() => {}) as never });
  const { tenant } = world;
  const address = (name: string) => ({ userPrincipalName: `${name}@contoso.example`, mail: `${name}@contoso.example` });
  ann = tenant.createUser({ displayName: 'Ann Bergström', ...address('ann.bergstrom') });
  tenant.createUser({ displayName: 'Anna Berg', ...address('anna.berg') });
  const gone = tenant.createUser({ displayName: 'Bertil Gone', ...address('bertil') });
  staff = tenant.createGroup({ displayName: 'SG-All-Staff', securityEnabled: true });
  tenant.addMember(staff, ann);
  unread = tenant.createGroup({ displayName: 'No\0Name', securityEnabled: true });
  await world.cycle();
  tenant.deleteUser(gone);
  await world.cycle();
});

describe('find', () => {
  test('rule 32: a table, best first, with what each is', async () => {
    const { code, stdout } = await cli('find', 'ann', 'berg');
    expect(code).toBe(0);
    const [head = '', ...lines] = stdout.trim().split('\n').slice(1);
    expect([head, ...lines].join('\n')).toMatch(
      /Ann Bergström .*ann\.bergstrom@contoso\.example .*managed +[0-9a-f-]{36}/,
    );
    expect(stdout.indexOf('Ann Bergström')).toBeLessThan(stdout.indexOf('Anna Berg'));
    expect((await cli('find', 'staff', '--tenant', 'Contoso')).stdout).toMatch(/group +SG-All-Staff .*managed/);
    expect((await cli('find', 'gone')).stdout).toMatch(/account +Bertil Gone .*removed/);
  });

  test('the nearest, more than are shown, JSON', async () => {
    expect((await cli('find', 'bergstrrom')).stdout).toMatch(
      /^Nothing is called bergstrrom\. The nearest:\n[\s\S]*Ann Bergström/,
    );
    expect((await cli('find', 'ann', '--limit', '1')).stdout).toMatch(/There is more -> --limit 10/);
    const { found, near, more } = JSON.parse((await cli('find', 'ann', 'bergstr', '--json')).stdout);
    expect({ near, more, found }).toMatchObject({
      near: false,
      more: false,
      found: [
        { kind: 'account', tenant_name: 'Contoso', entra_object_id: ann, display_name: 'Ann Bergström', fit: 'begins' },
      ],
    });
  });

  test('a group that was set aside before it was stored is found by its id, and explain says why it is not here', async () => {
    expect((await cli('find', unread)).stdout).toMatch(new RegExp(`^group .*set aside +${unread}$`, 'm'));
    const { code, stdout, stderr } = await cli('explain', unread, '--at', '0m');
    expect(code).toBe(0);
    expect(stderr).toMatch(/^--at shows accounts, purged ones by their account id\. What is known now:$/m);
    expect(stdout).toMatch(new RegExp(`^There is no group ${unread}:\nContoso +set aside .*NUL character`));
    const history = await cli('history', unread);
    expectOneLine(history, 2, /no account and no group is called/);
    expect(history.stderr, 'a group without an id here is none to choose').not.toContain(`${unread}: `);
    expectOneLine(await cli('changes', '--group', unread), 2, /: no group is called/);
    // A group that is stored may have a part set aside.
    await world.database.raw(
      "insert into entra_sync.set_aside (tenant_id, stream, object_key, reason) values (:tenantId, 'groups', :key, 'x')",
      { tenantId: world.tenant.tenantId, key: `${staff}/members` },
    );
    expect((await cli('explain', staff)).stdout).toMatch(/^Contoso: SG-All-Staff is a group that is copied/);
  });

  test('explain of a group that is copied, or was, says so, and names the command that shows it', async () => {
    const [group] = await rows<{ group_id: string }>(
      world.database,
      'select group_id from entra_sync.groups where entra_object_id = :staff',
      { staff },
    );
    const id = group?.group_id ?? '';
    const told = `Contoso: SG-All-Staff is a group that is copied, and no account. Its members and its past -> entra-sync history ${id}\n`;
    for (const word of ['SG-All-Staff', 'sg-all-staff', staff, id]) {
      expect(await cli('explain', word)).toMatchObject({ code: 0, stdout: told });
    }
    expect((await cli('explain', 'SG-All-Staff', '--tenant', 'Contoso')).stdout).toBe(told);
    expect(JSON.parse((await cli('explain', staff, '--json')).stdout)).toMatchObject({
      verdict: 'group',
      groups: [{ group_id: id, display_name: 'SG-All-Staff', tenant_name: 'Contoso', copied: true, why: null }],
    });
    const shown = await cli('history', id);
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/membership\.added +member +Ann Bergström/);
    const closed = world.tenant.createGroup({ displayName: 'Closed Club', securityEnabled: true });
    await world.cycle();
    world.tenant.deleteGroup(closed);
    await world.cycle();
    expect((await cli('explain', 'Closed Club')).stdout).toMatch(
      /^Contoso: Closed Club is a group that was removed .*, and no account\. Its past -> entra-sync history [0-9a-f-]{36}\n$/,
    );
  });

  test('nothing, no words, a tenant that is not there', async () => {
    expectOneLine(await cli('find', 'xqwv'), 2, /nothing is called xqwv -> /);
    expectOneLine(await cli('find', 'ann', '--tenant', 'Nowhere'), 2, /Nowhere/);
    expect((await cli('find')).code).toBe(2);
  });

  test.runIf(isDeep)('an empty word, as a variable of a script may be, is told as such', async () => {
    for (const [words, what] of [
      [['history', ''], 'account and no group'],
      [['audit', '--account', ' '], 'account'],
      [['web', 'sessions', 'end', '--account', ''], 'account'],
      [['restore', ''], 'account'],
      [['changes', '--group', ''], 'group'],
    ] as const)
      expectOneLine(await cli(...words), 2, new RegExp(`an empty word names no ${what} -> give a name`));
  });
});

describe('words in place of an id or a name', () => {
  test('explain, history, changes and edit take them where they mean one', async () => {
    expect((await cli('explain', 'bergstrom')).stdout).toMatch(/Ann Bergström/);
    expect((await cli('history', 'bergstrom')).stdout).toMatch(/^Ann Bergström, Contoso\n/);
    expect((await cli('history', 'all staff')).stdout).toMatch(/^SG-All-Staff, Contoso\n/);
    expect((await cli('changes', '--group', 'staff', '--count')).stdout).toMatch(/membership\.added +1/);
    expect((await cli('changes', '--account', 'bergstrom', '--count')).stdout).toMatch(/account\.created +1/);
    const edited = await cli('edit', 'bergstrom', 'mobilePhone=+1 555');
    expect(edited.stderr).toMatch(/bergstrom: Ann Bergström, Contoso/);
  });

  test('sync --user and restore take them too', async () => {
    const { tenantId } = world.tenant;
    world.tenant.updateUser(ann, { jobTitle: 'Chief' });
    const environment = { ...world.simulator.environment(tenantId), DATABASE_URL: world.url };
    const synced = await runCli(['sync', 'Contoso', '--user', 'BERGSTROM ann'], environment);
    expect(synced.stdout).toMatch(/^Contoso, Ann Bergström: updated$/m);
    const { account } = JSON.parse((await cli('explain', ann, '--json')).stdout);
    const byId = await runCli(['sync', 'Contoso', '--user', account.account_id], environment);
    expect(byId.stdout).toMatch(/^Contoso, Ann Bergström: no changes$/m);
    const made = await createAccount(world.database, tenantId, { displayName: 'Hilda Hand' }, 'test');
    for (const word of ['hilda', made])
      expectOneLine(
        await runCli(['sync', 'Contoso', '--user', word], environment),
        2,
        new RegExp(`Hilda Hand is an account without a user in Entra ID -> entra-sync explain "?${word}"? shows`),
      );
    await removeAccount(world.database, made, { actor: 'test', role: 'user' });
    expect((await cli('restore', 'hild')).stdout).toMatch(/^Hilda Hand, Contoso: shown again, as a manual account\.$/m);
  });

  test('audit and web sessions end take them too, and audit the id of an account that is gone', async () => {
    const { database, tenant } = world;
    const { tenantId } = tenant;
    const { account } = JSON.parse((await cli('explain', ann, '--json')).stdout);
    const [gone, other] = [randomUUID(), randomUUID()];
    for (const accountId of [account.account_id, gone])
      await writeAudit(database, [
        { actor: 'Mary', role: 'ops_read', via: 'web', act: 'person.viewed', tenantId, accountId },
      ]);
    for (const [word, accountId] of [
      ['bergstrom', account.account_id],
      [gone, gone],
    ]) {
      const { audit } = JSON.parse((await cli('audit', 'Contoso', '--account', word, '--json')).stdout);
      expect(audit, word).toMatchObject([{ act: 'person.viewed', account_id: accountId }]);
    }
    expectOneLine(
      await cli('audit', '--account', 'xqwv'),
      2,
      /there is no account xqwv -> entra-sync find "xqwv" shows/,
    );
    for (const objectId of [ann, other])
      await beginSession(database, { tenantId, objectId, actor: objectId, ops: null, directoryRole: null });
    const ended = await cli('web', 'sessions', 'end', '--account', 'bergstrom', '--tenant', 'Contoso');
    expect(ended.stdout).toBe('1 session ended.\n');
    expect((await listSessions(database)).map(({ actor }) => actor)).toEqual([other]);
  });

  test('several: a table to choose from, nothing is changed', async () => {
    const before = await rows(world.database, 'select count(*) from entra_sync.changes', {});
    const result = await cli('edit', 'berg ann', 'mobilePhone=+1 555');
    expect(result.code).toBe(2);
    expect(result.stdout).toMatch(/Ann Bergström[\s\S]*Anna Berg/);
    expect(result.stderr).toMatch(
      /2 accounts match berg ann -> name one by its id or address, or write more of the name: /,
    );
    expect(await rows(world.database, 'select count(*) from entra_sync.changes', {})).toEqual(before);
  });

  test('several of two tenants: the tenant is a way to choose', async () => {
    const other = '7c1b3e0a-5d2f-4a86-9b10-3e6f8a2d4c51';
    expect((await cli('tenant', 'add', other, '--name', 'Fabrikam')).code).toBe(0);
    await createAccount(world.database, other, { displayName: 'Anna Berg' }, 'test');
    expect((await cli('explain', 'anna berg')).stderr).toMatch(
      /2 accounts match anna berg -> .*, or name the tenant: /,
    );
    expect((await cli('explain', 'anna berg', '--tenant', 'Fabrikam')).code).toBe(0);
  });

  test('a word that one has whole and others begin with, it is that one', async () => {
    expect((await cli('explain', 'ann')).stdout).toMatch(/Ann Bergström/);
  });
});
