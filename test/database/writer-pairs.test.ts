// Section "Who may write when" of docs/rules.md: each pair of writers on two connections, in both orders. The second begins
// when the first has run all its statements and has not committed.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ExpectedError } from '../../src/errors.ts';
import { loadDefaults } from '../../src/settings/settings.ts';
import { type Database, openDatabase } from '../../src/store/database/pool.ts';
import { applySettings } from '../../src/store/settings/versions.ts';
import { disconnectTenant, purgeTenant } from '../../src/store/tenants/disconnect.ts';
import { isDeep, isSweep } from '../support/deep.ts';
import { moreWriters } from '../support/more-writers.ts';
import { expectSound } from '../support/soundness.ts';
import { ask, holdCommits, openStore, type Store, until } from '../support/stage.ts';
import {
  assignInScene,
  editedName,
  writers as elevenWriters,
  openScene,
  type Scene,
  type Writer,
} from '../support/writers.ts';

let store: Store;
let first: Database;
let second: Database;

beforeAll(async () => {
  store = await openStore();
  // Even on a slow machine no wait ends before the test ends it.
  const waits = { eachMs: 60_000 };
  first = openDatabase(store.url, { applicationName: 'first', waits });
  second = openDatabase(store.url, { applicationName: 'second', waits });
});

afterAll(async () => {
  await Promise.all([first.destroy(), second.destroy()]);
  await store.close();
});

// `SWEEP=all` adds writers that lock like one of these; `npm test` tries each against some of the others.
const writers = isSweep ? [...elevenWriters, ...moreWriters] : elevenWriters;
const everyPair = isDeep || isSweep;
const pairs = writers.flatMap((one, n) =>
  writers.filter((_, k) => everyPair || (n + k) % 8 === 0).map((other) => ({ one, other })),
);

/** The conflicting locks of the tenant's row. */
function inLine(one: Writer, other: Writer): boolean {
  const modes = new Set([one.lock, other.lock]);
  return modes.has('exclusive') || (modes.has('line') && modes.size === 1);
}

/** The rule: which writer has to wait for which. */
function mustWait(one: Writer, other: Writer): boolean {
  return inLine(one, other) || one.touches.some((person) => other.touches.includes(person));
}

/** The second writer's error when the first has changed its conditions. */
function endOf(one: Writer, other: Writer): string {
  const reads = other.stream !== undefined || other.name === 'on-demand';
  if (one.name === 'disconnect') {
    if (reads || other.name === 'disconnect') return 'tenant_disconnected';
    return other.name === 'approve' || other.name === 'reject' ? 'unknown_name' : 'done';
  }
  if (one.name === 'settings change' && reads) return 'round_changed';
  if (one.name === 'settings change' && other.name.startsWith('edit')) return 'usage';
  if (one.stream !== undefined && one.stream === other.stream) return 'round_changed';
  const decisions = ['approve', 'reject'];
  if (decisions.includes(one.name) && decisions.includes(other.name)) return 'unknown_name';
  if (one === other && one.name === 'erase') return 'unknown_name';
  const oneOfAKind = ['create', 'remove', 'edit undone', 'restore by hand'];
  return one === other && oneOfAKind.includes(one.name) ? 'usage' : 'done';
}

type Session = { pid: number; query: string; blockers: number[] };

/** The connection of this name that waits for a lock, if one does. */
async function waiting(name: string): Promise<Session | undefined> {
  // Postgres copies the statement before it reads whether the session waits, so the first row may be outdated.
  if ((await look(name)) === undefined) return undefined;
  return look(name);
}

async function look(name: string): Promise<Session | undefined> {
  const [session] = await ask<Session>(
    store,
    `select pid, query, pg_blocking_pids(pid) as blockers from pg_stat_activity
      where datname = current_database() and application_name = :name and wait_event_type = 'Lock'`,
    { name },
  );
  return session;
}

async function end(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    return error instanceof ExpectedError ? error.code : String(error);
  }
}

/** No edit is lost: each is in force or shelved. */
async function expectKept({ accounts }: Scene, person: number, name: string): Promise<void> {
  const kept = await ask(
    store,
    `select coalesce(overrides ->> 'displayName', shelf ->> 'displayName') as name from entra_sync.accounts where account_id = :id`,
    { id: accounts[person] },
  );
  expect(kept).toEqual([{ name }]);
}

describe(`rule 11: ${pairs.length} pairs of ${writers.length} writers, the second begins before the first commits`, () => {
  test.each(writers)(
    '$name, then others',
    async (one) => {
      for (const { other } of pairs.filter((pair) => pair.one === one)) {
        const what = `${one.name}, then ${other.name}`;
        const scene = await openScene(store);
        await assignInScene(scene);
        const [act, react] = [await one.prepare(scene), await other.prepare(scene)];
        const letGo = await holdCommits(store);
        const acted = end(act(first));
        let ahead: Session | undefined;
        await until(`${what}: the first is at its commit`, async () => {
          ahead = await waiting('first');
          return ahead?.query === 'COMMIT;';
        });
        let ended = false;
        const reacted = end(react(second)).finally(() => {
          ended = true;
        });
        let behind: Session | undefined;
        await until(`${what}: the second waits, or has come through`, async () => {
          behind = await waiting('second');
          return ended || behind !== undefined;
        });
        // At its own commit it waits only in the feed's line.
        const waits = behind !== undefined && behind.query !== 'COMMIT;';
        if (waits) expect(behind?.blockers, `${what}: ${behind?.query}`).toContain(ahead?.pid);
        // It waits with its first statement, before it reads anything.
        if (waits && inLine(one, other))
          expect(behind?.query, what).toMatch(/entra_sync\.(tenants|settings|restore_locked)|directory\./);
        await letGo();
        expect({ what, first: await acted, waits, second: await reacted }).toEqual({
          what,
          first: 'done',
          waits: mustWait(one, other),
          second: endOf(one, other),
        });
        await expectSound(store.database, scene.tenantId).catch((error: unknown) => {
          throw new Error(`${what}: what is left is unsound`, { cause: error });
        });
        const edited = one.name === 'edit' || (other.name === 'edit' && endOf(one, other) === 'done');
        if (edited) await expectKept(scene, 1, editedName);
        await scene.lease.release();
      }
    },
    300_000,
  );

  test("a tenant is erased during a change of the installation's settings", async () => {
    const { tenantId } = await openScene(store);
    await disconnectTenant(store.database, tenantId, { actor: 'Ann', dryRun: false });
    const holder = await store.connect();
    await holder.query('begin');
    await holder.query('lock table entra_sync.member_groups in share mode');
    const erased = end(purgeTenant(first, tenantId));
    await until('the erasure is under way', async () => (await waiting('first')) !== undefined);
    const change = { tenantId: null, document: { interval: '50m' }, actor: 'Ann' } as const;
    const changed = end(applySettings(second, loadDefaults(), change));
    await until('the change waits for it', async () => (await waiting('second')) !== undefined);
    await holder.query('commit');
    expect([await erased, await changed]).toEqual(['done', 'done']);
  });

  test('no pair ended in a deadlock', async () => {
    await Promise.all([first.destroy(), second.destroy()]);
    expect(await ask(store, 'select deadlocks from pg_stat_database where datname = current_database()')).toEqual([
      { deadlocks: '0' },
    ]);
  });
});
