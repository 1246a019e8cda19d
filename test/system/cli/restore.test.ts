// `restore` and `removals undo` as people run them (rule 33): accounts and groups come back at once, and what is skipped is said.
import { beforeEach, describe, expect, test } from 'vitest';
import { createAccount, removeAccount } from '../../../src/store/accounts/accounts.ts';
import { decideRemovals } from '../../../src/store/commit/held-removals.ts';
import { openLists } from '../../../src/store/commit/removal-lists.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { expectOneLine, runCli } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { groupsWorld } from '../../support/groups-world.ts';
import { setSettings } from '../../support/settings.ts';
import { expectSound } from '../../support/soundness.ts';
import type { World } from '../../support/system.ts';

let world: World;
let person: (number: number) => string;
let group: (name: string) => string;

const cli = (...words: string[]) => runCli(words, { DATABASE_URL: world.url });
const sql = <Row>(statement: string, values: Record<string, unknown> = {}) =>
  rows<Row>(world.database, statement, values);

async function json(...words: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await cli(...words, '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

const account = async (objectId: string) =>
  (
    await sql<{ id: string; state: string; removed: boolean }>(
      'select account_id as id, state, removed_at is not null as removed from entra_sync.accounts where entra_object_id = :objectId',
      { objectId },
    )
  )[0];

const cycleOfRemoval = async () =>
  (
    await sql<{ id: string }>(
      "select max(cycle_id)::text as id from entra_sync.changes where kind in ('account.removed', 'group.removed')",
    )
  )[0]?.id ?? '';

beforeEach(async () => {
  ({ world, person, group } = await groupsWorld(
    { Outer: ['Inner', 0], Inner: [1, 2] },
    { users: 6, name: 'Contoso', simulator: { roles: ['User.Read.All', 'Group.Read.All'] } },
  ));
  await world.cycle();
});

describe('removals undo', () => {
  test('rule 33: what a cycle removed is shown again at once as manual, with its memberships, and managed when Graph shows it', async () => {
    const { tenant, database } = world;
    tenant.deleteUser(person(1));
    tenant.deleteGroup(group('Inner'));
    await world.cycle();
    const cycle = await cycleOfRemoval();
    const { stdout: removals } = await cli('changes', '--tenant', 'Contoso', '--kind', '*.removed');
    expect(removals).toContain('account.removed');
    const before = await account(person(1));
    expect(await json('removals', 'undo', 'Contoso', '--cycle', cycle, '--dry-run')).toMatchObject({
      ...{ dry_run: true, memberships: 3 },
      shown: [{ what: 'account' }, { what: 'group', name: 'Inner' }],
    });
    expect(await account(person(1))).toEqual({ ...before, removed: true });
    const { stdout } = await cli('removals', 'undo', 'Contoso', '--cycle', cycle);
    expect(stdout).toContain(`Contoso, cycle ${cycle}: 1 account, 1 group, 3 memberships shown again.`);
    expect(await account(person(1))).toEqual({ id: before?.id, state: 'manual', removed: false });
    await expectSound(database, tenant.tenantId);
    await world.cycle({ resync: true });
    expect(await account(person(1))).toMatchObject({ state: 'manual', removed: false });
    tenant.restoreUser(person(1));
    tenant.restoreGroup(group('Inner'));
    await world.cycle();
    expect(await account(person(1))).toEqual({ id: before?.id, state: 'managed', removed: false });
    expect(await sql("select from directory.groups where display_name = 'Inner' and state = 'managed'")).toHaveLength(
      1,
    );
    await expectSound(database, tenant.tenantId);
  });

  test('rule 33: purged, live, removed again and ES008 are skipped, each with its reason', async () => {
    const { tenant, database } = world;
    for (const n of [0, 1, 2, 3, 4]) tenant.deleteUser(person(n));
    await world.cycle();
    const cycle = await cycleOfRemoval();
    const ids = Object.fromEntries(
      await Promise.all([0, 1, 2, 3, 4].map(async (n) => [n, (await account(person(n)))?.id] as const)),
    );
    tenant.restoreUser(person(1));
    tenant.restoreUser(person(2));
    await world.cycle();
    tenant.deleteUser(person(2));
    await sql("update entra_sync.accounts set purge_at = now() - interval '1 day' where account_id = :id", {
      id: ids[0],
    });
    await world.cycle();
    const [taken] = await sql<{ mail: string }>('select mail from entra_sync.accounts where account_id = :id', {
      id: ids[3],
    });
    await createAccount(database, tenant.tenantId, { mail: taken?.mail }, 'ann');
    const answer = await json('removals', 'undo', 'Contoso', '--cycle', cycle);
    expect(answer.shown).toMatchObject([{ id: ids[4] }]);
    expect(
      Object.fromEntries((answer.skipped as { id: string; reason: string }[]).map(({ id, reason }) => [id, reason])),
    ).toEqual({
      [ids[0] ?? '']: 'purged',
      [ids[1] ?? '']: 'live',
      [ids[2] ?? '']: 'removed_again',
      [ids[3] ?? '']: 'ES008',
    });
    const { stdout } = await cli('removals', 'undo', 'Contoso', '--cycle', cycle);
    expect(stdout).toMatch(/nothing shown again\.\n\n5 skipped:/);
    expect(stdout).toContain('purged: nothing of it is kept');
    expect(stdout).toContain('removed again since');
    await expectSound(database, tenant.tenantId);
  });

  test.runIf(isDeep)('rule 33: what an approved list removed, and no more', async () => {
    const { tenant, database } = world;
    await setSettings(database, { removals: { max: 0, percent: 0, floor: 0 } });
    for (const n of [0, 1]) tenant.deleteUser(person(n));
    await world.cycle();
    const [list] = await openLists(database, tenant.tenantId);
    const listId = list?.list_id ?? '';
    const open = await cli('removals', 'undo', 'Contoso', '--list', listId);
    expect(open).toMatchObject({ code: 2 });
    expect(open.stderr).toContain(`no removal of list ${listId} of this tenant was approved`);
    const decision = {
      tenantId: tenant.tenantId,
      listId,
      decision: 'approve',
      side: 'vendor' as const,
      actor: 'ann',
    } as const;
    await decideRemovals(database, { ...decision, ids: null });
    expect(await account(person(0))).toMatchObject({ removed: true });
    expect(await json('removals', 'undo', 'Contoso', '--list', listId)).toMatchObject({ shown: [{}, {}], skipped: [] });
    expect(await account(person(0))).toMatchObject({ state: 'manual', removed: false });
    await expectSound(database, tenant.tenantId);
  });

  test('rule 33: a decided list stays known by its number when what it removed is purged, and the purged are said', async () => {
    const { tenant, database } = world;
    await setSettings(database, { removals: { max: 0, percent: 0, floor: 0 } });
    for (const n of [0, 1]) tenant.deleteUser(person(n));
    await world.cycle();
    const listId = (await openLists(database, tenant.tenantId))[0]?.list_id ?? '';
    await cli('removals', 'approve', 'Contoso', '--list', listId, '--all', '--actor', 'ann');
    const purge = async (objectId: string) => {
      await sql('update entra_sync.accounts set purge_at = now() where entra_object_id = :objectId', { objectId });
      await world.cycle();
    };
    const decisions = async () => (await json('removals', 'history', 'Contoso')).decisions;
    const decided = { list_id: listId, decision: 'approved', actor: 'ann', count: 2 };
    await purge(person(0));
    expect(await decisions()).toMatchObject([{ ...decided, reasons: { deleted_restorable: 1, purged: 1 } }]);
    // As an earlier release has left the row.
    await sql(
      "update entra_sync.changes set after = null where kind = 'removal.approved' and not jsonb_exists(after, 'reason')",
    );
    expect(await decisions()).toMatchObject([{ ...decided, reasons: { deleted_restorable: 1, purged: 1 } }]);
    await purge(person(1));
    expect(await decisions()).toMatchObject([{ ...decided, reasons: { purged: 2 } }]);
    expect((await cli('removals', 'history', 'Contoso')).stdout).toContain('purged since, with the reason (2)');
    const { skipped } = await json('removals', 'undo', 'Contoso', '--list', listId);
    expect(skipped).toMatchObject([{ what: 'account', name: null, reason: 'purged' }]);
  });

  test('a refusal is one line', async () => {
    const refused: [string[], RegExp][] = [
      [['--cycle', '1', '--list', '1'], /either --cycle or --list/],
      [[], /either --cycle or --list/],
      [['--cycle', 'x'], /--cycle needs a number/],
      [['--cycle', '999999'], /removed no account/],
    ];
    for (const [words, message] of refused)
      expectOneLine(await cli('removals', 'undo', 'Contoso', ...words), 2, message);
  });
});

describe('restore', () => {
  test('rule 33: an account that was removed by hand; a dry run changes nothing', async () => {
    const { database, tenant } = world;
    const id = await createAccount(
      database,
      tenant.tenantId,
      { displayName: 'Bob', mail: 'bob@contoso.example' },
      'ann',
    );
    await removeAccount(database, id, { actor: 'ann', role: 'user' });
    const removed = () => sql('select from directory.removed_accounts where account_id = :id', { id });
    expect((await cli('restore', 'bob@contoso.example', '--dry-run')).stdout).toContain(
      'Bob, Contoso: would be shown again',
    );
    expect(await removed()).toHaveLength(1);
    expect((await cli('restore', 'BOB@contoso.example', '--tenant', 'Contoso', '--actor', 'eve')).stdout).toContain(
      'Bob, Contoso: shown again, as a manual account.',
    );
    expect(await removed()).toHaveLength(0);
    expect(
      await sql('select actor from directory.changes where account_id = :id order by change_id desc limit 1', { id }),
    ).toEqual([{ actor: 'eve' }]);
    expectOneLine(
      await cli('restore', id),
      2,
      /is live: there is nothing to restore -> entra-sync changes --kind account\.removed shows the accounts/,
    );
    await removeAccount(database, id, { actor: 'ann', role: 'user' });
    await createAccount(database, tenant.tenantId, { displayName: 'Bob', mail: 'bob@contoso.example' }, 'ann');
    const both = await cli('restore', 'bob@contoso.example');
    expectOneLine(both, 2, /names a live account beside a removed one -> name the removed one/);
    expect(both.stderr).toContain(id);
    expectOneLine(await cli('restore', id), 2, /already has this mail \(ES008\)/);
  });

  test.runIf(isDeep)('what a cycle removed names the cycle to undo; what was purged says so', async () => {
    world.tenant.deleteUser(person(3));
    await world.cycle();
    const cycle = await cycleOfRemoval();
    const { id } = (await account(person(3))) ?? expect.unreachable();
    expectOneLine(await cli('restore', id), 2, new RegExp(`removals undo TENANT --cycle ${cycle}`));
    await sql("update entra_sync.accounts set purge_at = now() - interval '1 day' where account_id = :id", { id });
    await world.cycle();
    expectOneLine(await cli('restore', id), 2, /^entra-sync: the account \S+ was purged/);
  });
});
