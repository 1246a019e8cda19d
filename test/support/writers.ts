// All writers of a tenant (design, "Who may write when"), each as one act on a scene with work for all of them: to run one
// against another, or over a connection that breaks.
import { randomUUID } from 'node:crypto';
import { groupColumns } from '../../src/rules/groups.ts';
import { loadDefaults } from '../../src/settings/settings.ts';
import { createAccount } from '../../src/store/accounts/accounts.ts';
import { changeAccount } from '../../src/store/accounts/edit.ts';
import { commitPerson } from '../../src/store/accounts/on-demand.ts';
import { decideRemovals } from '../../src/store/commit/held-removals.ts';
import { openLists } from '../../src/store/commit/removal-lists.ts';
import { commitRound } from '../../src/store/commit/round.ts';
import { undoRemovals } from '../../src/store/commit/undo-removals.ts';
import { acquireLease, type Lease } from '../../src/store/cycle/lease.ts';
import type { Database } from '../../src/store/database/pool.ts';
import { inReportedTransaction } from '../../src/store/feed/receipts.ts';
import { applySettings, settingsVersion } from '../../src/store/settings/versions.ts';
import { stageGroupsPage } from '../../src/store/stage/groups.ts';
import { beginRound, type Round } from '../../src/store/stage/rounds.ts';
import { disconnectTenant } from '../../src/store/tenants/disconnect.ts';
import { addTenant } from '../../src/store/tenants/tenants.ts';
import { ask, commit, objectId, pull, type Store, settle, sync, tombstone, user, withMapping } from './stage.ts';

export type Scene = {
  readonly store: Store;
  readonly tenantId: string;
  readonly lease: Lease;
  /** account_id by the number of the user. */
  readonly accounts: Readonly<Record<number, string>>;
  readonly manual: string;
  readonly listId: string;
};

export type Act = (database: Database) => Promise<unknown>;

export type Writer = {
  readonly name: string;
  /** Its lock of the tenant's row: `share` excludes only `exclusive`; `line` also excludes itself. */
  readonly lock: 'share' | 'line' | 'exclusive';
  /** Users whose accounts it locks. */
  readonly touches: readonly number[];
  /** The stream of its round; two commits cannot share one. */
  readonly stream?: 'users' | 'groups';
  /** Prepares the act; the test runs it later. */
  prepare(scene: Scene): Promise<Act>;
};

const named = (owner: 'directory' | 'user') => ({ fields: { displayName: { owner } } });
const anybody = { max: 1_000_000, percent: 100, floor: 0 };

/**
 * Makes a tenant in which the user owns displayName: accounts 1, 5 to 8 live, 2 and 3 removed, 4 held, one manual. Group
 * 101 contains 1 to 4 and group 102, which contains 5.
 */
export async function openScene(store: Store): Promise<Scene> {
  const tenantId = randomUUID();
  const { database } = store;
  await addTenant(database, { tenantId, name: tenantId, ref: null }, loadDefaults());
  const change = { tenantId, document: { sourceOfTruth: 'hybrid', ...named('user') }, actor: 'test' } as const;
  await applySettings(database, loadDefaults(), change);
  const lease = await acquireLease(database, tenantId);
  await sync(store, lease, 'full', [[1, 2, 3, 4, 5, 6, 7, 8].map((n) => user(n))]);
  const groups = await pullGroups(
    store,
    lease,
    'full',
    [101, 102],
    [
      [101, 1],
      [101, 2],
      [101, 3],
      [101, 4],
      [101, 102],
      [102, 5],
    ],
  );
  await commitGroups(database, lease, groups);
  await sync(store, lease, 'incremental', [[tombstone(2), tombstone(3)]]);
  await sync(store, lease, 'incremental', [[tombstone(4)]], { removals: { max: 0, percent: 0, floor: 0 } });
  const manual = await createAccount(database, tenantId, { displayName: 'By hand', mail: 'hand@example.com' }, 'Ann');
  const found = await ask<{ account_id: string; entra_object_id: string | null }>(
    store,
    'select account_id, entra_object_id from entra_sync.accounts where tenant_id = :tenantId',
    { tenantId },
  );
  const accounts = Object.fromEntries(
    found.map((one) => [Number(one.entra_object_id?.slice(-12) ?? 0), one.account_id]),
  );
  const [list] = await openLists(database, tenantId);
  if (!list) throw new Error('nothing is held');
  return { store, tenantId, lease, accounts, manual, listId: list.list_id };
}

/** Gives everyone, group 101 and the title Clerk an item each, so that every writer has something to keep. */
export async function assignInScene({ store, tenantId: tenant }: Scene): Promise<void> {
  await ask(store, "select directory.put_slot(:tenant, 'banner', 2, null, 'Ann')", { tenant });
  for (const item of ['corp', 'team', 'clerks', 'more'])
    await ask(store, "select directory.put_item(:tenant, 'banner', :item, null, null, 'Ann')", { tenant, item });
  const [outer] = await ask<{ id: string }>(
    store,
    'select group_id as id from directory.groups where tenant_id = :tenant and entra_object_id = :object',
    { tenant, object: objectId(101) },
  );
  for (const [item, target] of Object.entries({
    corp: { everyone: true },
    team: { group: outer?.id },
    clerks: { field: 'jobTitle', in: ['Clerk', 'Captain'] },
  }))
    await ask(store, "select directory.assign(:tenant, 'banner', :item, :target::jsonb, null, 'Ann')", {
      ...{ tenant, item },
      target: JSON.stringify(target),
    });
}

/** Stages a round of groups by number, with members as [group, member]; a negative member leaves. */
export async function pullGroups(
  store: Store,
  lease: Lease,
  kind: 'full' | 'incremental',
  groups: readonly number[],
  members: readonly (readonly [number, number])[],
  displayName = 'Group',
  isCopied: (n: number) => boolean = () => true,
): Promise<Round> {
  const settings = await settingsVersion(store.database, lease.tenantId);
  const begun = { stream: 'groups', dryRun: false, kind, reason: 'test', settingsVersion: settings } as const;
  const round = await beginRound(store.database, lease, { ...begun, fingerprint: 'mapping' });
  const whole = (n: number) => {
    const source = { displayName: `${displayName} ${n}`, securityEnabled: true, mailEnabled: false };
    return { id: objectId(n), source, removed: null, doubt: null, copied: isCopied(n), ...groupColumns(source) };
  };
  return stageGroupsPage(store.database, lease, round, {
    urls: [`https://graph.example/groups/delta?round=${round.round_id}`],
    link: { delta: `https://graph.example/groups/delta?after=${round.round_id}` },
    problems: [],
    seen: groups.length,
    occurrences: groups.map((n) => ({ id: objectId(n), patch: {} })),
    merge: () => groups.map(whole),
    members: [
      members.map(([holder, member]) => ({
        groupId: objectId(holder),
        memberId: objectId(Math.abs(member)),
        type: Math.abs(member) > 100 ? 'g' : 'u',
        removed: member < 0,
      })),
    ],
  });
}

export function commitGroups(database: Database, lease: Lease, round: Round) {
  const options = { cycleId: null, actor: 'test', retentionMs: 30 * 86_400_000, removals: anybody, dryRun: false };
  const scope = { match: [], scopeGroups: [], groupsJudged: false };
  return commitRound(database, lease, { stream: 'groups', round, ...options, ...scope });
}

const openRound = async ({ store, tenantId }: Scene, stream: string): Promise<Round | undefined> => {
  const [round] = await ask<Round>(
    store,
    'select * from entra_sync.rounds where tenant_id = :tenantId and stream = :stream',
    { tenantId, stream },
  );
  return round;
};

/** Prepares a users round with these objects, or uses one that already waits for its commit. */
function usersRound(objects: Parameters<typeof pull>[3][number], before?: (scene: Scene) => Promise<unknown>) {
  return async (scene: Scene): Promise<Act> => {
    const { store, lease } = scene;
    await before?.(scene);
    const round = (await openRound(scene, 'users')) ?? (await pull(store, lease, 'incremental', [objects]));
    await settle(store, lease, round, objects);
    return (database) => commit({ ...store, database }, lease, round);
  };
}

export const decide =
  (decision: 'approve' | 'reject') =>
  async (scene: Scene): Promise<Act> => {
    const { tenantId, listId } = scene;
    return (database) =>
      decideRemovals(database, { tenantId, listId, ids: null, decision, side: 'vendor', actor: 'Ann' });
  };

export const editOf =
  (person: number, displayName: string) =>
  async ({ tenantId, accounts }: Scene): Promise<Act> => {
    const account = { tenant_id: tenantId, account_id: accounts[person] ?? '' };
    return (database) =>
      changeAccount(database, account, { edits: { displayName }, reverts: [] }, { actor: 'Ann', role: 'user' });
  };

export const editedName = 'Edited';

export const assigning =
  (sql: string) =>
  async (scene: Scene): Promise<Act> => {
    const { store, tenantId: tenant } = scene;
    const known = await ask(store, "select from directory.slots where tenant_id = :tenant and slot = 'banner'", {
      tenant,
    });
    if (known.length === 0) await assignInScene(scene);
    return (database) =>
      inReportedTransaction(database, async (transaction) => {
        await transaction.raw(sql, { tenant });
      });
  };

export const writers: readonly Writer[] = [
  {
    name: 'users commit',
    lock: 'line',
    touches: [1, 5],
    stream: 'users',
    prepare: usersRound([user(1, { displayName: 'Renamed', jobTitle: 'Captain' }), user(9), tombstone(5)]),
  },
  {
    name: 'groups commit',
    lock: 'line',
    touches: [],
    stream: 'groups',
    async prepare(scene) {
      const round =
        (await openRound(scene, 'groups')) ??
        (await pullGroups(
          scene.store,
          scene.lease,
          'incremental',
          [101, 103],
          [
            [101, -1],
            [101, 6],
            [101, 9],
            [102, 103],
            [103, 7],
          ],
          'Team',
        ));
      return (database) => commitGroups(database, scene.lease, round);
    },
  },
  {
    name: 'purge',
    lock: 'line',
    touches: [2, 6],
    stream: 'users',
    prepare: usersRound([user(6, { jobTitle: 'Mate' })], ({ store, accounts }) =>
      ask(store, "update entra_sync.accounts set purge_at = now() - interval '1 day' where account_id = :id", {
        id: accounts[2],
      }),
    ),
  },
  { name: 'restore', lock: 'line', touches: [3], stream: 'users', prepare: usersRound([user(3)]) },
  {
    name: 'create',
    lock: 'line',
    touches: [],
    prepare:
      async ({ tenantId }) =>
      (database) =>
        inReportedTransaction(database, (transaction) =>
          createAccount(transaction, tenantId, { displayName: 'New', mail: 'new@example.com' }, 'Ann'),
        ),
  },
  { name: 'edit', lock: 'share', touches: [1], prepare: editOf(1, editedName) },
  {
    name: 'settings change',
    lock: 'exclusive',
    touches: [],
    prepare:
      async ({ tenantId }) =>
      (database) =>
        applySettings(database, loadDefaults(), { tenantId, document: named('directory'), actor: 'Ann' }),
  },
  { name: 'approve', lock: 'line', touches: [4], prepare: decide('approve') },
  {
    name: 'disconnect',
    lock: 'exclusive',
    touches: [],
    prepare:
      async ({ tenantId }) =>
      (database) =>
        disconnectTenant(database, tenantId, { actor: 'Ann', dryRun: false }),
  },
  {
    name: 'on-demand',
    lock: 'line',
    touches: [1],
    async prepare({ store, tenantId }) {
      const { id, ...source } = user(1, { displayName: 'Asked', jobTitle: 'Cook' });
      const settings = await settingsVersion(store.database, tenantId);
      const [{ now } = { now: new Date() }] = await ask<{ now: Date }>(store, 'select clock_timestamp() as now');
      return (database) =>
        commitPerson(database, {
          tenantId,
          entraObjectId: id,
          seen: withMapping({ id, source: source as never, removed: null, doubt: null }),
          memberOf: [{ groupId: objectId(102), memberId: id, type: 'u', removed: false }],
          problems: [],
          settingsVersion: settings,
          match: [],
          scopeGroups: [],
          groupsJudged: false,
          actor: 'Ann',
          askedAt: now,
          requests: 1,
          dryRun: false,
        });
    },
  },
  {
    name: 'assign',
    lock: 'line',
    touches: [],
    prepare: assigning(
      "select directory.assign(:tenant, 'banner', 'more', '{\"everyone\": true}', '{\"priority\": 1}', 'Ann')",
    ),
  },
  {
    name: 'undo',
    lock: 'line',
    touches: [3],
    async prepare({ store, tenantId, accounts }) {
      await ask(
        store,
        "update entra_sync.changes set cycle_id = 77 where account_id = :id and kind = 'account.removed' and cycle_id is null",
        { id: accounts[3] },
      );
      return (database) => undoRemovals(database, { tenantId, of: { cycle: '77' }, actor: 'Ann', dryRun: false });
    },
  },
];
