// A users round is committed whole or not at all (rules 1, 2, 17), and changes no rows of another tenant.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Lease } from '../../src/store/cycle/lease.ts';
import { settingsVersion } from '../../src/store/settings/versions.ts';
import { readCheckpoint, readRound } from '../../src/store/stage/rounds.ts';
import { setSettings } from '../support/settings.ts';
import {
  ask,
  commit,
  deltaLinkOf,
  fingerprintOf,
  holdCommits,
  leasedTenant,
  openStore,
  pull,
  type Store,
  sync,
  tombstone,
  untilBlocked,
  user,
} from '../support/stage.ts';

let store: Store;
let lease: Lease;

beforeEach(async () => {
  store = await openStore();
  lease = await leasedTenant(store);
});

afterEach(async () => {
  await lease.release();
  await store.close();
});

const names = () =>
  ask<{ name: string; enabled: boolean }>(
    store,
    'select display_name as name, enabled from directory.accounts where tenant_id = :tenantId order by entra_object_id',
    { tenantId: lease.tenantId },
  );

const kinds = async () =>
  (
    await ask<{ kind: string }>(
      store,
      `select kind from entra_sync.changes where batch_id = (select max(batch_id) from entra_sync.batches) order by kind`,
    )
  ).map((row) => row.kind);

describe('rule 1: the checkpoint moves in the transaction that holds every change before it', () => {
  // Places where the transaction may fail: early, at its last row, and at COMMIT.
  const latePlaces = {
    'at the first change row': 'create trigger late before insert on entra_sync.changes for each row',
    'at the checkpoint': 'create trigger late after insert or update on entra_sync.checkpoints for each row',
    'at the end of the round': 'create trigger late after delete on entra_sync.rounds for each row',
    'at COMMIT':
      'create constraint trigger late after insert on entra_sync.batches deferrable initially deferred for each row',
  };

  test.each(Object.entries(latePlaces))('a commit that fails %s leaves nothing behind', async (_place, trigger) => {
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    const round = await pull(store, lease, 'incremental', [
      [user(1, { displayName: 'Renamed' }), tombstone(2), user(3)],
    ]);
    await ask(
      store,
      `create function entra_sync.fail_late() returns trigger language plpgsql as $$ begin raise exception using errcode = '57014', message = 'too late'; end $$`,
    );
    await ask(store, `${trigger} execute function entra_sync.fail_late()`);
    const before = await fingerprintOf(store);
    await expect(commit(store, lease, round)).rejects.toThrow('too late');
    expect(await fingerprintOf(store)).toBe(before);
    // The round stays complete: the next attempt reads no page again.
    expect(await readRound(store.database, lease.tenantId, 'users', false)).toEqual(round);
    await ask(store, 'drop function entra_sync.fail_late() cascade');
    expect((await commit(store, lease, round)).counts).toMatchObject({ created: 1, updated: 1, removed: 1 });
    expect(await readCheckpoint(store.database, lease.tenantId, 'users')).toMatchObject({
      delta_link: deltaLinkOf(round),
    });
    expect(await readRound(store.database, lease.tenantId, 'users', false)).toBeUndefined();
  });

  test('a later round moves the link and keeps the time of the last full round', async () => {
    const fullAt = () => ask(store, 'select full_at from entra_sync.checkpoints');
    await sync(store, lease, 'full', [[user(1)]]);
    const before = await fullAt();
    const round = await pull(store, lease, 'incremental', [[]]);
    await commit(store, lease, round);
    expect(await ask(store, 'select delta_link, round_id from entra_sync.checkpoints')).toEqual([
      { delta_link: deltaLinkOf(round), round_id: round.round_id },
    ]);
    expect(await fullAt()).toEqual(before);
    await sync(store, lease, 'full', [[user(1)]]);
    expect(await fullAt()).not.toEqual(before);
  });
});

test('rule 2: readers see the state before a round or after it, never half', async () => {
  await sync(store, lease, 'full', [[user(1), user(2)]]);
  const round = await pull(store, lease, 'incremental', [
    [user(1, { displayName: 'Renamed' })],
    [tombstone(2), user(3)],
    [user(4, { accountEnabled: false })],
  ]);
  const before = [
    { name: 'User 1', enabled: true },
    { name: 'User 2', enabled: true },
  ];
  const letGo = await holdCommits(store);
  const committing = commit(store, lease, round);
  await untilBlocked(store);
  expect(await names()).toEqual(before);
  expect(await ask(store, "select from entra_sync.changes where kind <> 'account.created'")).toEqual([]);
  await letGo();
  await committing;
  expect(await names()).toEqual([
    { name: 'Renamed', enabled: true },
    { name: 'User 3', enabled: true },
    { name: 'User 4', enabled: false },
  ]);
  expect(await kinds()).toEqual(['account.created', 'account.created', 'account.removed', 'account.updated']);
});

test('a disabled account is suspended and an enabled one resumed, in addition to other changes', async () => {
  await sync(store, lease, 'full', [[user(1), user(2)]]);
  const suspended = await sync(store, lease, 'incremental', [
    [user(1, { accountEnabled: false, displayName: 'Renamed' }), user(2, { accountEnabled: false })],
  ]);
  expect(suspended.counts).toMatchObject({ suspended: 2, resumed: 0, updated: 1 });
  const written = (kind: string) =>
    ask(store, 'select before, after from directory.changes where kind = :kind order by change_id', { kind });
  expect(await written('account.suspended')).toEqual([
    { before: { enabled: true }, after: { enabled: false } },
    { before: { enabled: true }, after: { enabled: false } },
  ]);
  expect(await written('account.updated')).toEqual([
    { before: { profile: { displayName: 'User 1' } }, after: { profile: { displayName: 'Renamed' } } },
  ]);
  const resumed = await sync(store, lease, 'incremental', [[user(2, { accountEnabled: true })]]);
  expect(resumed.counts).toMatchObject({ suspended: 0, resumed: 1, updated: 0 });
  expect(await written('account.resumed')).toEqual([{ before: { enabled: false }, after: { enabled: true } }]);
  expect(await names()).toEqual([
    { name: 'Renamed', enabled: false },
    { name: 'User 2', enabled: true },
  ]);
});

test('a dry run returns the counts and changes of a real run, and keeps nothing', async () => {
  await sync(store, lease, 'full', [[user(1), user(2), user(3)]]);
  const pages = [[user(1, { displayName: 'Renamed', accountEnabled: false }), tombstone(2), user(4)]];
  const trial = await pull(store, lease, 'incremental', pages, { dryRun: true });
  const round = await pull(store, lease, 'incremental', pages);
  const before = await fingerprintOf(store);
  const dry = await commit(store, lease, trial, { dryRun: true });
  expect(await fingerprintOf(store)).toBe(before);
  // A real run's round that waits for its commit stays.
  expect(await readRound(store.database, lease.tenantId, 'users', false)).toEqual(round);
  const real = await commit(store, lease, round);
  expect(dry.counts).toEqual(real.counts);
  expect(real.counts).toMatchObject({ created: 1, updated: 1, suspended: 1, removed: 1 });
  expect(dry.sample.map((change) => change.kind).sort()).toEqual(await kinds());
  expect(dry.sample.find((change) => change.kind === 'account.updated')).toMatchObject({
    before: { profile: { displayName: 'User 1' } },
    after: { profile: { displayName: 'Renamed' } },
  });
});

describe('a changed round is refused, and nothing moves', () => {
  const damages = {
    'a staged page is gone': 'delete from entra_sync.stage_pages where page = 1',
    'a page more than was told': 'update entra_sync.rounds set pages = pages + 1',
    'no delta link yet': 'update entra_sync.rounds set delta_link = null',
    'a doubt that nobody settled': "update entra_sync.stage_users set doubt = 'came both ways'",
    'the round is gone': 'delete from entra_sync.rounds',
  };

  test.each(Object.entries(damages))('%s', async (_what, damage) => {
    await sync(store, lease, 'full', [[user(1)]]);
    const round = await pull(store, lease, 'full', [[user(2)], [user(3)]]);
    await ask(store, damage);
    const before = await fingerprintOf(store);
    await expect(commit(store, lease, round)).rejects.toMatchObject({ code: 'round_changed' });
    expect(await fingerprintOf(store)).toBe(before);
  });

  test('rule 17: a round with settings that are no longer in force', async () => {
    const round = await pull(store, lease, 'full', [[user(1)]]);
    await setSettings(store.database, { interval: '10m' });
    await expect(commit(store, lease, round)).rejects.toMatchObject({ code: 'round_changed' });
    expect(await names()).toEqual([]);
    expect(await readCheckpoint(store.database, lease.tenantId, 'users')).toBeUndefined();
    await sync(store, lease, 'full', [[user(1)]]);
    expect(await names()).toHaveLength(1);
  });

  test('rule 17: a commit waits for a settings change under way, and then refuses', async () => {
    const round = await pull(store, lease, 'full', [[user(1)]]);
    const changing = await store.connect();
    await changing.query('begin');
    await changing.query('select from entra_sync.tenants for update');
    await changing.query(`insert into entra_sync.settings (document, actor) values ('{"interval": "10m"}', 'test')`);
    const refused = expect(commit(store, lease, round)).rejects.toMatchObject({ code: 'round_changed' });
    await untilBlocked(store);
    await changing.query('commit');
    await refused;
    expect(await names()).toEqual([]);
  });

  test('rule 17: a settings change waits for a commit under way', async () => {
    const round = await pull(store, lease, 'full', [[user(1)]]);
    const letGo = await holdCommits(store);
    const committing = commit(store, lease, round);
    await untilBlocked(store);
    const applying = setSettings(store.database, { interval: '10m' });
    await untilBlocked(store, 2);
    expect(await settingsVersion(store.database, lease.tenantId)).toBe(round.settings_version);
    await letGo();
    await committing;
    expect((await applying).version).toBe(round.settings_version + 1);
    expect(await names()).toHaveLength(1);
  });
});

test('a round touches no other tenant, even with equal object ids', async () => {
  const other = await leasedTenant(store);
  await sync(store, other, 'full', [[user(1), user(2), user(3), user(4)]], { retentionMs: 0 });
  await sync(store, other, 'incremental', [[tombstone(3)]], { retentionMs: 0 });
  await pull(store, other, 'full', [[user(1)]]);
  const before = await fingerprintOf(store, other.tenantId);
  await sync(store, lease, 'full', [[user(1), user(2), user(3)]]);
  await sync(store, lease, 'full', [[user(1, { displayName: 'Renamed' }), tombstone(2, 'deleted')]]);
  await sync(store, lease, 'incremental', [[user(3)]], { now: [user(3)] });
  expect(await fingerprintOf(store, other.tenantId)).toBe(before);
  expect(await readRound(store.database, other.tenantId, 'users', false)).toMatchObject({ pages: 1 });
  await other.release();
});

test.each(['40P01', '40001'])(
  'a transaction that Postgres gives up (%s) is tried again and counted once',
  async (state) => {
    const round = await pull(store, lease, 'full', [[user(1), user(2)]]);
    await ask(store, 'create sequence entra_sync.tries');
    await ask(
      store,
      `create function entra_sync.give_up() returns trigger language plpgsql as $$
     begin
       if nextval('entra_sync.tries') <= 2 then raise exception using errcode = '${state}', message = 'given up'; end if;
       return null;
     end $$`,
    );
    await ask(
      store,
      'create trigger give_up after insert on entra_sync.checkpoints for each row execute function entra_sync.give_up()',
    );
    const { counts } = await commit(store, lease, round);
    expect(counts).toMatchObject({ created: 2, distinct: 2 });
    expect(await kinds()).toEqual(['account.created', 'account.created']);
    // The third such error in a row is thrown.
    const again = await pull(store, lease, 'full', [[user(1)]]);
    await ask(store, 'alter sequence entra_sync.tries restart');
    await ask(
      store,
      `create or replace function entra_sync.give_up() returns trigger language plpgsql as $$
     begin perform nextval('entra_sync.tries'); raise exception using errcode = '${state}', message = 'given up'; end $$`,
    );
    await ask(
      store,
      'create or replace trigger give_up after insert or update on entra_sync.checkpoints for each row execute function entra_sync.give_up()',
    );
    await expect(commit(store, lease, again)).rejects.toMatchObject({ code: state });
    expect(await ask(store, 'select last_value::int as tries from entra_sync.tries')).toEqual([{ tries: 3 }]);
  },
);
