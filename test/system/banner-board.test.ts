// The example product, as a process: after any history with kills, a pruned feed and a purge it has what the views say.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { packageFile } from '../../src/package-files.ts';
import { assign, assigning, putItem, putSlot } from '../../src/store/accounts/assignments.ts';
import { findGroups } from '../../src/store/accounts/history.ts';
import { rows } from '../../src/store/database/pool.ts';
import { grantRole } from '../../src/store/schema/grants.ts';
import { isDeep, runsOf } from '../support/deep.ts';
import { drawn } from '../support/histories.ts';
import { setSettings } from '../support/settings.ts';
import { openWorld, type World } from '../support/system.ts';

const program = packageFile('examples', 'banner-board', 'board.ts');

type Board = { readonly child: ChildProcess; readonly url: string };

async function startBoard(databaseUrl: string): Promise<Board> {
  const environment = { ...process.env, DATABASE_URL: databaseUrl, PORT: '0' };
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'], env: environment });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = once(child, 'exit').then(() => Promise.reject(new Error('the board ended at its start')));
  const [line] = (await Promise.race([once(child.stdout ?? expect.unreachable(), 'data'), ended])) as [Buffer];
  ended.catch(() => {});
  return { child, url: line.toString().trim() };
}

async function stop({ child }: Board, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const ended = once(child, 'exit');
  child.kill(signal);
  const [code] = await ended;
  if (signal === 'SIGTERM') expect(code).toBe(0);
}

type Person = { account_id: string; tenant_id: string; name: string | null; banner: string };
const shown = async ({ url }: Board) =>
  ((await (await fetch(url)).json()) as Person[]).toSorted((one, other) =>
    one.account_id < other.account_id ? -1 : 1,
  );

const truth = ({ database }: World) =>
  rows<Person>(
    database,
    `select a.account_id, a.tenant_id, a.display_name as name, x.item as banner
       from directory.assigned x join directory.accounts a using (account_id)
      where x.slot = 'banner' and x.rank = 1 order by a.account_id`,
  );

const step = fc.constantFrom(
  'rename',
  'join',
  'leave',
  'remove',
  'restore',
  'kill',
  'prune',
  'purge',
  'cycle',
  'cycle',
);

test.runIf(isDeep)(
  'the banner board has what the views say, whatever happened to people and to itself, and edits by the contract',
  async () => {
    const world = await openWorld({ users: 8, groups: 0 });
    const { tenant, database } = world;
    const { tenantId } = tenant;
    await setSettings(database, {
      sourceOfTruth: 'hybrid',
      scope: { userType: 'any' },
      removals: { max: 1_000_000, percent: 100, floor: 0 },
      fields: { mobilePhone: { from: 'mobilePhone', owner: 'user', editableBy: ['user'] } },
    });
    const group = tenant.createGroup({ displayName: 'Sales', securityEnabled: true });
    const people = tenant.users().map(({ id }) => id);
    for (const id of people.slice(0, 4)) tenant.addMember(group, id);
    await world.cycle();
    const [sales] = await findGroups(database, tenantId, group);
    await assigning(database, false, async (on) => {
      await putSlot(on, { tenant_id: null, slot: 'banner', winners: 1, title: null }, 'test');
      for (const item of ['corp', 'spring'])
        await putItem(on, { tenant_id: null, slot: 'banner', item, title: null, html: null }, 'test');
      const given = { tenantId, slot: 'banner', options: {} };
      await assign(on, { ...given, item: 'spring', target: { group: sales?.group_id ?? '' } }, 'test');
      await assign(on, { ...given, item: 'corp', target: { everyone: true } }, 'test');
    });
    const role = `board_${randomBytes(6).toString('hex')}`;
    await database.raw(`create role ${role} login password '${role}'`);
    onTestFinished(async () => {
      await database.raw('drop schema if exists banner_board cascade');
      await database.raw(`drop owned by ${role}`);
      await database.raw(`drop role ${role}`);
    });
    await grantRole(database, { role, tenantBound: false, actor: 'test' });
    await database.raw(`create schema banner_board authorization ${role}`);
    const url = new URL(world.url);
    [url.username, url.password] = [role, role];
    let board = await startBoard(url.href);
    expect(await shown(board)).toEqual(await truth(world));

    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(step, fc.nat(7)), { minLength: 4, maxLength: 10 }), async (steps) => {
        for (const [what, number] of steps) {
          const id = people[number] ?? '';
          const isThere = tenant.users().some((user) => user.id === id);
          if (what === 'rename' && isThere)
            tenant.updateUser(id, { displayName: `Person ${number} ${randomBytes(2).toString('hex')}` });
          if (what === 'join' && isThere) tenant.addMember(group, id);
          if (what === 'leave' && isThere) tenant.removeMember(group, id);
          if (what === 'remove' && isThere && tenant.users().length > 4) tenant.deleteUser(id);
          if (what === 'restore' && !isThere) tenant.restoreUser(id);
          if (what === 'cycle') await world.cycle();
          if (what === 'kill') {
            await stop(board, 'SIGKILL');
            board = await startBoard(url.href);
          }
          if (what === 'prune') {
            await stop(board, 'SIGTERM');
            // As after a restore of the database: the position is of another one.
            await rows(
              database,
              "update banner_board.position set position = regexp_replace(position, '^[0-9a-f]{8}', '00000000')",
            );
            board = await startBoard(url.href);
          }
          if (what === 'purge') {
            await rows(database, 'update entra_sync.accounts set purge_at = now() where removed_at is not null');
            await world.cycle();
            for (const gone of people.filter((one) => !tenant.users().some((user) => user.id === one)))
              tenant.restoreUser(gone);
          }
        }
        await world.cycle();
        const expected = await truth(world);
        await expect.poll(() => shown(board), { timeout: 120_000, interval: 50 }).toEqual(expected);
      }),
      { numRuns: runsOf(2, 30), ...drawn },
    );

    const [account] = await rows<{ id: string; at: Date }>(
      database,
      'select account_id as id, updated_at as at from directory.accounts where tenant_id = :tenantId order by 1 limit 1',
      { tenantId },
    );
    const save = async (body: Record<string, unknown>) => {
      const answer = await fetch(`${board.url}/phone`, { method: 'POST', body: JSON.stringify(body) });
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
    };
    const seen = account?.at.toISOString();
    expect(await save({ account: account?.id, phone: '+47 22 00 00 00', seen })).toMatchObject({
      status: 200,
      body: { mobilePhone: '+47 22 00 00 00' },
    });
    expect(await save({ account: account?.id, phone: '+47 33', seen })).toMatchObject({
      status: 409,
      body: { code: 'ES009', field: 'mobilePhone', facts: { yours: '+47 33', theirs: '+47 22 00 00 00' } },
    });
    expect((await save({ account: account?.id, phone: 5 })).status).toBe(422);
    expect((await save({ account: randomBytes(16).toString('hex'), phone: '1' })).status).toBe(404);
    await stop(board, 'SIGTERM');
  },
);
