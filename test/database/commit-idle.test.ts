// A checkpoint moves without a round only if a commit would have nothing else to do (rules 1, 10, 11, 17, 19).
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { commitIdle } from '../../src/store/commit/idle.ts';
import { acquireLease, type Lease } from '../../src/store/cycle/lease.ts';
import { openDatabase } from '../../src/store/database/pool.ts';
import { settingsVersion } from '../../src/store/settings/versions.ts';
import { readCheckpoint } from '../../src/store/stage/rounds.ts';
import { disconnectTenant } from '../../src/store/tenants/disconnect.ts';
import { openBreakablePath } from '../support/cut-connection.ts';
import { setSettings } from '../support/settings.ts';
import { ask, begin, leasedTenant, openStore, type Store, sync, untilBlocked, user } from '../support/stage.ts';

let store: Store;
let lease: Lease;

beforeEach(async () => {
  store = await openStore();
  lease = await leasedTenant(store);
  await sync(store, lease, 'full', [[user(1), user(2)]]);
});

afterEach(async () => {
  await lease.release();
  await store.close();
});

const delta = 'https://graph.microsoft.com/v1.0/users/delta?$deltatoken=next';

const checkpoint = async () => {
  const found = await readCheckpoint(store.database, lease.tenantId, 'users');
  if (!found) throw new Error('no checkpoint');
  return found;
};

const asked = async () => {
  const { delta_link: link, fingerprint } = await checkpoint();
  const settings = await settingsVersion(store.database, lease.tenantId);
  const noRow = { cycleId: null, requests: 0 } as const;
  return { stream: 'users', asked: link, delta, fingerprint, settingsVersion: settings, ...noRow } as const;
};

test('the link and its time move, and the time of the last full round stays', async () => {
  const before = await ask(store, 'select full_at, round_id from entra_sync.checkpoints');
  expect(await commitIdle(store.database, lease, await asked())).toBe(true);
  expect((await checkpoint()).delta_link).toBe(delta);
  expect(await ask(store, 'select full_at, round_id from entra_sync.checkpoints')).toEqual(before);
  expect(await ask(store, 'select from entra_sync.rounds')).toEqual([]);
  expect(await commitIdle(store.database, lease, await asked()), 'Graph may give the same link again').toBe(true);
});

describe('the checkpoint stays if a commit has more to do:', () => {
  const held = `with list as (
    insert into entra_sync.removal_lists (tenant_id, stream, why) values (:tenantId, :stream, 'test') returning list_id)
    insert into entra_sync.held_removals (tenant_id, list_id, object_id, account_id, reason)
    select :tenantId, list_id, entra_object_id, account_id, 'deleted' from list, entra_sync.accounts where tenant_id = :tenantId limit 1`;
  const aGroup = (more: string, values: string) => `
    insert into entra_sync.groups (tenant_id, entra_object_id, state, kind, is_dynamic, source${more})
    values (:tenantId, gen_random_uuid(), 'managed', 'security', false, '{}'${values})`;
  const groupsRead = `
    insert into entra_sync.checkpoints (tenant_id, stream, delta_link, fingerprint, settings_version, round_id, committed_at, full_at)
    select tenant_id, 'groups', delta_link, fingerprint, settings_version, round_id, committed_at, full_at
      from entra_sync.checkpoints where tenant_id = :tenantId`;
  const works: Record<string, string> = {
    'rule 10: removals are held': held.replace(':stream', "'users'"),
    'rule 10: a membership is held': `with list as (
      insert into entra_sync.removal_lists (tenant_id, stream, why) values (:tenantId, 'groups', 'test') returning list_id),
      made as (${aGroup('', '')} returning group_no)
      insert into entra_sync.held_memberships (list_id, tenant_id, group_no, member_object_id)
      select list_id, :tenantId, group_no, gen_random_uuid() from list, made`,
    'rule 10: a membership is kept by a decision': `with made as (${aGroup('', '')} returning group_no)
      insert into entra_sync.kept_memberships (tenant_id, group_no, member_object_id)
      select :tenantId, group_no, gen_random_uuid() from made`,
    'rule 7: the purge of a group is due': aGroup(
      ', removed_at, removed_reason, purge_at',
      ", now(), 'deleted', now()",
    ),
    'rule 19: something is set aside':
      "insert into entra_sync.set_aside (tenant_id, stream, object_key, reason) values (:tenantId, 'users', 'x', 'test')",
    'rule 7: the purge of an account is due':
      "update entra_sync.accounts set removed_at = now(), removed_reason = 'deleted', purge_at = now() where tenant_id = :tenantId",
    'rule 8: somebody is back, and still to be asked for groups': `with back as (
         insert into entra_sync.deleted_strangers (tenant_id, stream, entra_object_id, is_back) values (:tenantId, 'users', gen_random_uuid(), true))
       ${groupsRead}`,
    'the tenant is provisional': 'update entra_sync.tenants set provisional = true where tenant_id = :tenantId',
    'the checkpoint is another one':
      "update entra_sync.checkpoints set delta_link = delta_link || '2' where tenant_id = :tenantId",
    'rule 17: another fingerprint':
      "update entra_sync.checkpoints set fingerprint = 'other' where tenant_id = :tenantId",
  };

  test.each(Object.entries(works))('%s', async (_what, work) => {
    const round = await asked();
    await ask(store, work, { tenantId: lease.tenantId });
    const before = await ask(store, 'select * from entra_sync.checkpoints');
    expect(await commitIdle(store.database, lease, round)).toBe(false);
    expect(await ask(store, 'select * from entra_sync.checkpoints')).toEqual(before);
  });

  test.each(Object.entries(works))('but moves if that is another tenant’s: %s', async (_what, work) => {
    const other = await leasedTenant(store);
    await sync(store, other, 'full', [[user(1)]]);
    // The most similar tenant possible.
    await ask(store, 'update entra_sync.checkpoints set delta_link = :asked', {
      asked: (await checkpoint()).delta_link,
    });
    await ask(store, work, { tenantId: other.tenantId });
    const checkpointOfOther = () =>
      ask(store, 'select * from entra_sync.checkpoints where tenant_id = :tenantId', { tenantId: other.tenantId });
    const before = await checkpointOfOther();
    expect(await commitIdle(store.database, lease, await asked())).toBe(true);
    expect(await checkpointOfOther()).toEqual(before);
    await other.release();
  });

  test('a round is open', async () => {
    const round = await asked();
    await begin(store, lease, 'incremental');
    expect(await commitIdle(store.database, lease, round)).toBe(false);
  });

  test('a round of another stream or tenant is ignored', async () => {
    const other = await leasedTenant(store);
    await begin(store, other, 'full');
    await begin(store, lease, 'incremental');
    await ask(store, "update entra_sync.rounds set stream = 'groups' where tenant_id = :tenantId", {
      tenantId: lease.tenantId,
    });
    expect(await commitIdle(store.database, lease, await asked())).toBe(true);
    await other.release();
  });

  test.each([
    ['somebody who is away still', 'users', false],
    ['whoever another stream asks about', 'groups', true],
    ['somebody who is back while the groups were never read', 'users', true],
  ])('but not for %s', async (_whom, stream, isBack) => {
    await ask(
      store,
      `insert into entra_sync.deleted_strangers (tenant_id, stream, entra_object_id, is_back)
       values (:tenantId, :stream, gen_random_uuid(), :isBack)`,
      { tenantId: lease.tenantId, stream, isBack },
    );
    expect(await commitIdle(store.database, lease, await asked())).toBe(true);
  });

  test('a purge that is not due is ignored', async () => {
    await ask(
      store,
      "update entra_sync.accounts set removed_at = now(), removed_reason = 'deleted', purge_at = now() + interval '1 day'",
    );
    expect(await commitIdle(store.database, lease, await asked())).toBe(true);
  });

  test('an equal checkpoint of another stream stays', async () => {
    const round = await asked();
    await ask(
      store,
      `insert into entra_sync.checkpoints select (jsonb_populate_record(c, '{"stream": "groups"}')).* from entra_sync.checkpoints c`,
    );
    expect(await commitIdle(store.database, lease, round)).toBe(true);
    expect(await readCheckpoint(store.database, lease.tenantId, 'groups')).toMatchObject({ delta_link: round.asked });
  });

  test('a round of a dry run is ignored', async () => {
    const round = await asked();
    await begin(store, lease, 'incremental', { dryRun: true });
    expect(await commitIdle(store.database, lease, round)).toBe(true);
  });

  test('objects set aside in another stream are ignored', async () => {
    await ask(
      store,
      "insert into entra_sync.set_aside (tenant_id, stream, object_key, reason) values (:tenantId, 'groups', 'x', 'test')",
      { tenantId: lease.tenantId },
    );
    expect(await commitIdle(store.database, lease, await asked())).toBe(true);
  });
});

test('rule 17: the checkpoint stays if settings changed since the page was read', async () => {
  const round = await asked();
  await setSettings(store.database, { interval: '10m' });
  expect(await commitIdle(store.database, lease, round)).toBe(false);
  expect((await checkpoint()).delta_link).toBe(round.asked);
});

test('rule 17: the checkpoint stays if the tenant’s own settings changed, not if another tenant’s did', async () => {
  const round = await asked();
  const change = (tenantId: string) =>
    ask(
      store,
      `insert into entra_sync.settings (tenant_id, document, actor) values (:tenantId, '{"interval": "10m"}', 'test')`,
      { tenantId },
    );
  const other = await leasedTenant(store);
  await change(other.tenantId);
  expect(await commitIdle(store.database, lease, round)).toBe(true);
  await other.release();
  await change(lease.tenantId);
  expect(await commitIdle(store.database, lease, { ...round, asked: delta })).toBe(false);
});

test('rule 17: the checkpoint stays if the installation’s settings changed, although the tenant has its own', async () => {
  await setSettings(store.database, { interval: '20m' }, lease.tenantId);
  const round = await asked();
  await setSettings(store.database, { interval: '10m' });
  expect(await commitIdle(store.database, lease, round)).toBe(false);
});

test('rule 17: it waits for a settings change under way, and sees it', async () => {
  const round = await asked();
  const changing = await store.connect();
  await changing.query('begin');
  await changing.query('select from entra_sync.tenants for update');
  await changing.query(`insert into entra_sync.settings (document, actor) values ('{"interval": "10m"}', 'test')`);
  const moved = commitIdle(store.database, lease, round);
  await untilBlocked(store);
  await changing.query('commit');
  expect(await moved).toBe(false);
});

test('rule 11: a process that lost the lease moves nothing', async () => {
  const round = await asked();
  await ask(store, 'update entra_sync.heartbeats set expires_at = clock_timestamp()');
  const other = await acquireLease(store.database, lease.tenantId);
  await expect(commitIdle(store.database, lease, round)).rejects.toMatchObject({ code: 'lease_lost' });
  expect((await checkpoint()).delta_link).toBe(round.asked);
  await other.release();
});

test('rule 11: the lease is lost while it waits for the tenant’s row', async () => {
  const round = await asked();
  const other = await store.connect();
  await other.query('begin');
  await other.query('select from entra_sync.tenants for update');
  await other.query('update entra_sync.leases set fence = fence + 1');
  const lost = expect(commitIdle(store.database, lease, round)).rejects.toMatchObject({ code: 'lease_lost' });
  await untilBlocked(store);
  await other.query('commit');
  await lost;
  expect((await checkpoint()).delta_link).toBe(round.asked);
});

test('a tenant that was disconnected meanwhile is reported as disconnected', async () => {
  const round = await asked();
  await disconnectTenant(store.database, lease.tenantId, { actor: 'Ann', dryRun: false });
  await expect(commitIdle(store.database, lease, round)).rejects.toMatchObject({ code: 'tenant_disconnected' });
});

test('a disconnected tenant is reported as disconnected, whatever its fence', async () => {
  const round = await asked();
  await ask(store, "update entra_sync.tenants set status = 'disconnected' where tenant_id = :tenantId", {
    tenantId: lease.tenantId,
  });
  await expect(commitIdle(store.database, lease, round)).rejects.toMatchObject({ code: 'tenant_disconnected' });
  expect((await checkpoint()).delta_link).toBe(round.asked);
});

test('rules 1 and 12: after a lost answer to COMMIT, the outcome is known', async () => {
  const path = await openBreakablePath(store.url);
  const fragile = openDatabase(path.url);
  try {
    const round = await asked();
    path.breakAtCommit('before');
    await expect(commitIdle(fragile, lease, round)).rejects.toMatchObject({ code: 'database_unreachable' });
    expect((await checkpoint()).delta_link).toBe(round.asked);
    path.breakAtCommit('after');
    expect(await commitIdle(fragile, lease, round)).toBe(true);
    expect((await checkpoint()).delta_link).toBe(delta);
  } finally {
    path.mend();
    await fragile.destroy();
    await path.close();
  }
});
