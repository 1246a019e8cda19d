// Crashes at any instant lose nothing and repeat nothing (rule 12); every loop is bounded (rule 14).
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Lease } from '../../src/store/cycle/lease.ts';
import { isConnectionLost, openDatabase } from '../../src/store/database/pool.ts';
import { maxBarrenPages, type Round, readCheckpoint, readRound } from '../../src/store/stage/rounds.ts';
import { stageUsersPage } from '../../src/store/stage/users.ts';
import { type BreakablePath, openBreakablePath } from '../support/cut-connection.ts';
import {
  ask,
  begin,
  commit,
  deltaLinkOf,
  fingerprintOf,
  leasedTenant,
  linkTo,
  openStore,
  page,
  pull,
  type Store,
  settle,
  stageNext,
  sync,
  tombstone,
  user,
} from '../support/stage.ts';

let store: Store;
let lease: Lease;
let path: BreakablePath;
/** The same store over the breakable connection. */
let fragile: Store;

beforeEach(async () => {
  store = await openStore();
  lease = await leasedTenant(store);
  path = await openBreakablePath(store.url);
  fragile = { ...store, database: openDatabase(path.url) };
});

afterEach(async () => {
  await lease.release();
  await fragile.database.destroy();
  await path.close();
  await store.close();
});

/** The open round for the next process. */
async function found(): Promise<Round> {
  const round = await readRound(store.database, lease.tenantId, 'users', false);
  if (!round) throw new Error('no round is open');
  return round;
}

const stageOf = () =>
  ask(store, 'select entra_object_id, removed, source from entra_sync.stage_users order by entra_object_id');

const pages = [[user(1), user(2)], [user(3), tombstone(1)], [user(2, { displayName: 'Later' })]];

describe('rule 12: the next run resumes at the last staged page', () => {
  test.each(['before', 'after'] as const)('the connection breaks %s the COMMIT of each page in turn', async (when) => {
    await sync(store, lease, 'full', [[user(1), user(2), user(9)]]);
    await begin(store, lease, 'full');
    for (const [index, objects] of pages.entries()) {
      const last = index === pages.length - 1;
      const round = await found();
      expect(round).toMatchObject({ pages: index, resume_link: index === 0 ? null : linkTo(round, index + 1) });
      path.breakAtCommit(when);
      await expect(stageNext(fragile, lease, round, objects, last)).rejects.toSatisfy(isConnectionLost);
      if (when === 'before') {
        expect(await found()).toEqual(round);
        await stageNext(fragile, lease, round, objects, last);
      }
    }
    const round = await found();
    expect(round).toMatchObject({ pages: 3, seen: 5, resume_link: null, delta_link: deltaLinkOf(round) });
    await settle(store, lease, round, []);
    const { counts } = await commit(store, lease, round);
    expect(counts).toMatchObject({ distinct: 3, created: 1, updated: 1, removed: 2 });
  });

  test('an interrupted and resumed round has the same stage as an uninterrupted one', async () => {
    await pull(store, lease, 'full', pages);
    const whole = await stageOf();
    const broken = await begin(store, lease, 'full');
    await stageNext(store, lease, broken, pages[0] ?? []);
    path.breakAtCommit('before');
    await expect(stageNext(fragile, lease, await found(), pages[1] ?? [])).rejects.toSatisfy(isConnectionLost);
    await stageNext(store, lease, await found(), pages[1] ?? []);
    await stageNext(store, lease, await found(), pages[2] ?? [], true);
    expect(whole).toHaveLength(3);
    expect(await stageOf()).toEqual(whole);
  });

  test('a page staged twice from the same link is refused and changes nothing', async () => {
    const round = await begin(store, lease, 'full');
    await stageNext(store, lease, round, [user(1)]);
    const [stage, now] = [await stageOf(), await found()];
    await expect(stageNext(store, lease, round, [user(1, { displayName: 'Twice' })])).rejects.toMatchObject({
      code: 'lease_lost',
    });
    expect(await stageOf()).toEqual(stage);
    expect(await found()).toEqual(now);
  });

  test('a page of a round that was deleted meanwhile is refused', async () => {
    const round = await pull(store, lease, 'full', [[user(1)]]);
    await begin(store, lease, 'full');
    await expect(stageNext(store, lease, { ...round, delta_link: null }, [user(2)])).rejects.toMatchObject({
      code: 'lease_lost',
    });
    expect(await stageOf()).toEqual([]);
  });

  test('a page after the delta link is refused', async () => {
    const round = await pull(store, lease, 'full', [[user(1)]]);
    await expect(stageNext(store, lease, round, [user(2)])).rejects.toMatchObject({ code: 'lease_lost' });
    expect(await found()).toEqual(round);
  });

  test('a commit whose answer is lost is reported as committed', async () => {
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    const round = await pull(store, lease, 'incremental', [[user(1, { displayName: 'Renamed' }), user(3)]]);
    path.breakAtCommit('after');
    const { counts } = await commit(fragile, lease, round);
    expect(counts).toMatchObject({ created: 1, updated: 1, removed: 0 });
    expect(await readCheckpoint(store.database, lease.tenantId, 'users')).toMatchObject({
      delta_link: deltaLinkOf(round),
    });
    expect(await ask(store, 'select from entra_sync.batches')).toHaveLength(2);
    expect(await readRound(store.database, lease.tenantId, 'users', false)).toBeUndefined();
  });

  test('a COMMIT that never reached the server changes nothing, and the round waits for the next attempt', async () => {
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    const round = await pull(store, lease, 'incremental', [[tombstone(1)]]);
    const before = await fingerprintOf(store);
    path.breakAtCommit('before');
    await expect(commit(fragile, lease, round)).rejects.toMatchObject({
      code: 'database_unreachable',
      message: expect.stringContaining('nothing was changed'),
    });
    expect(await fingerprintOf(store)).toBe(before);
    expect((await commit(fragile, lease, await found())).counts).toMatchObject({ removed: 1 });
  });

  test('a broken connection prints nothing, since stdout is for the answer', async () => {
    const printed = vi.spyOn(console, 'log').mockImplementation(() => {});
    const round = await begin(store, lease, 'full');
    path.breakAtCommit('before');
    await expect(stageNext(fragile, lease, round, [user(1)])).rejects.toSatisfy(isConnectionLost);
    // The pool drops the broken connection at the next request for one.
    await stageNext(fragile, lease, round, [user(1)]);
    expect(printed.mock.calls).toEqual([]);
    printed.mockRestore();
  });

  test('a dry run whose connection breaks is not a success', async () => {
    const round = await pull(store, lease, 'full', [[user(1)]], { dryRun: true });
    const before = await fingerprintOf(store);
    await ask(
      store,
      `create function entra_sync.cut() returns trigger language plpgsql as
       $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$`,
    );
    await ask(
      store,
      'create trigger cut after delete on entra_sync.rounds for each row execute function entra_sync.cut()',
    );
    await expect(commit(store, lease, round, { dryRun: true })).rejects.toSatisfy(isConnectionLost);
    expect(await fingerprintOf(store)).toBe(before);
  });
});

describe('rule 14: every loop is bounded', () => {
  test('a link that was already requested in this round is refused, also after a resume', async () => {
    let round = await begin(store, lease, 'full');
    round = await stageNext(store, lease, round, [user(1)]);
    const stage = await stageOf();
    const same = (next: string) => page('full', linkTo(round, 1), [user(2)], { next });
    await expect(stageUsersPage(store.database, lease, round, same(linkTo(round, 3)))).rejects.toMatchObject({
      code: 'round_endless',
    });
    expect(await stageOf()).toEqual(stage);
    await expect(stageUsersPage(store.database, lease, await found(), same(linkTo(round, 4)))).rejects.toMatchObject({
      code: 'round_endless',
    });
    expect(await found()).toEqual(round);
  });

  test('a restarted round may request the same links again', async () => {
    const url = 'https://graph.example/users/delta?first';
    for (const _attempt of [1, 2]) {
      const round = await begin(store, lease, 'full');
      await stageUsersPage(store.database, lease, round, page('full', url, [user(1)], { next: linkTo(round, 2) }));
    }
    expect(await found()).toMatchObject({ pages: 1 });
  });

  test('consecutive pages without anything new are counted across resumes, up to the limit', async () => {
    const barren = () => ask(store, 'select barren_pages as n from entra_sync.rounds');
    await begin(store, lease, 'full');
    await stageNext(store, lease, await found(), [user(1)]);
    await stageNext(store, lease, await found(), []);
    await stageNext(store, lease, await found(), [user(1)]);
    expect(await barren()).toEqual([{ n: 2 }]);
    await ask(store, `update entra_sync.rounds set barren_pages = ${maxBarrenPages - 1}`);
    await stageNext(store, lease, await found(), []);
    await expect(stageNext(store, lease, await found(), [])).rejects.toMatchObject({ code: 'round_endless' });
    expect(await barren()).toEqual([{ n: maxBarrenPages }]);
    // A new object is progress, so the count restarts.
    await stageNext(store, lease, await found(), [user(1, { displayName: 'Other' })]);
    expect(await barren()).toEqual([{ n: 0 }]);
  });
});
