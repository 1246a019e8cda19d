// Rule 3: the profile leaves out a field that a person cleared, whichever writer changes the account afterwards.
import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageFile } from '../../src/package-files.ts';
import type { Lease } from '../../src/store/cycle/lease.ts';
import { openDatabase, rows } from '../../src/store/database/pool.ts';
import { migrate } from '../../src/store/schema/migrate.ts';
import { undoMigrations } from '../support/older-schema.ts';
import { setRule } from '../support/people-edit.ts';
import { freshDatabase } from '../support/postgres.ts';
import { ask, leasedTenant, openStore, type Store, sync, tombstone, user } from '../support/stage.ts';

let store: Store;
let lease: Lease;

beforeAll(async () => {
  store = await openStore();
  lease = await leasedTenant(store);
});

afterAll(async () => {
  await lease.release();
  await store.close();
});

const shown = async () =>
  (
    await ask<{ profile: Record<string, unknown> }>(
      store,
      'select profile from directory.accounts where tenant_id = :tenantId',
      { tenantId: lease.tenantId },
    )
  )[0]?.profile;

test('rule 3: a cleared field is left out after each writer of the account, and change rows that hold everything leave it out', async () => {
  await sync(store, lease, 'full', [[user(1, { jobTitle: 'Clerk' })]]);
  await setRule(store, lease.tenantId, 'jobTitle', {});
  const before = (await shown()) ?? {};
  expect(before).toMatchObject({ jobTitle: 'Clerk' });
  const { jobTitle: _, ...without } = before;
  const [edited] = await ask(
    store,
    `select directory.edit_account(account_id, '{"jobTitle": null}', 'Ann', 'user') as profile from directory.accounts where tenant_id = :tenantId`,
    { tenantId: lease.tenantId },
  );
  expect(edited).toEqual({ profile: without });
  expect(await shown()).toEqual(without);
  await sync(store, lease, 'incremental', [[user(1, { jobTitle: 'Boss' })]]);
  expect(await shown()).toEqual(without);
  await sync(store, lease, 'incremental', [[tombstone(1)]]);
  await sync(store, lease, 'full', [[user(1, { jobTitle: 'Boss' })]]);
  expect(await shown()).toEqual(without);
  const told = await ask<{ kind: string; after: { profile?: object } | null }>(
    store,
    "select kind, after from directory.changes where tenant_id = :tenantId and kind like 'account.%' order by change_id",
    { tenantId: lease.tenantId },
  );
  expect(told.map(({ kind, after }) => [kind, after?.profile])).toEqual([
    ['account.created', before],
    // A change says with null that a field has no value any more.
    ['account.edited', { jobTitle: null }],
    ['account.updated', undefined],
    ['account.removed', undefined],
    ['account.restored', without],
  ]);
  const [reverted] = await ask(
    store,
    `select directory.revert_account(account_id, null, 'Ann', 'user') as profile from directory.accounts where tenant_id = :tenantId`,
    { tenantId: lease.tenantId },
  );
  expect(reverted).toEqual({ profile: { ...without, jobTitle: 'Boss' } });
  expect(await shown()).toEqual({ ...without, jobTitle: 'Boss' });
});

test('rule 3: what was cleared before the upgrade is left out after it, without a change row', async () => {
  const fresh = await freshDatabase({ migrated: false });
  const database = openDatabase(fresh.url);
  try {
    const files = (await readdir(packageFile('migrations'))).filter((file) => file.endsWith('.sql')).sort();
    await undoMigrations(database, files.indexOf('0041-cleared-fields.sql'));
    await database.raw(`
      insert into entra_sync.tenants (tenant_id, name) values ('5a4ccf1c-0000-4000-8000-000000000001', 'Contoso');
      insert into entra_sync.accounts (tenant_id, state, mapped, overrides)
      select '5a4ccf1c-0000-4000-8000-000000000001', 'managed', '{"displayName": "P", "mobilePhone": "1"}', overrides::jsonb
        from unnest(array['{}', '{"jobTitle": "Mine"}', '{"jobTitle": null, "mobilePhone": null}']) overrides`);
    const times =
      "select updated_at from entra_sync.accounts where not jsonb_path_exists(overrides, '$.* \\? (@ == null)') order by 1";
    const before = await rows(database, times);
    await migrate(fresh.url);
    const profiles = await rows<{ profile: object }>(
      database,
      'select profile from directory.accounts order by length(profile::text)',
    );
    expect(profiles.map(({ profile }) => profile)).toEqual([
      { displayName: 'P' },
      { displayName: 'P', mobilePhone: '1' },
      { displayName: 'P', jobTitle: 'Mine', mobilePhone: '1' },
    ]);
    // The other accounts show no change.
    expect(await rows(database, times)).toEqual(before);
    expect(await rows(database, 'select from entra_sync.changes')).toEqual([]);
  } finally {
    await database.destroy();
    await fresh.drop();
  }
});
