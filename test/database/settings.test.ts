// Applying settings: version numbers and the time of the next cycle.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadDefaults } from '../../src/settings/settings.ts';
import { rows } from '../../src/store/database/pool.ts';
import { applySettings } from '../../src/store/settings/versions.ts';
import { setSettings } from '../support/settings.ts';
import { leasedTenant, openStore, type Store } from '../support/stage.ts';

let store: Store;
beforeEach(async () => {
  store = await openStore();
});
afterEach(() => store.close());

test('a dry run of settings uses up no version number', async () => {
  const first = await setSettings(store.database, { sourceOfTruth: 'user' });
  const change = { tenantId: null, document: { sourceOfTruth: 'directory' }, actor: 'test' } as const;
  for (let times = 0; times < 3; times += 1)
    await applySettings(store.database, loadDefaults(), change, { dryRun: true });
  const next = await setSettings(store.database, { sourceOfTruth: 'directory' });
  expect(next.version).toBe(first.version + 1);
});

test('the next cycle is sooner after a shorter interval, later after a longer one', async () => {
  const { tenantId } = await leasedTenant(store);
  await setSettings(store.database, { interval: '7d' });
  await store.database.raw("update entra_sync.tenants set next_cycle_at = '2026-01-08T00:00:00Z'");
  const next = async () =>
    (
      await rows<{ at: Date }>(store.database, 'select next_cycle_at as at from entra_sync.tenants')
    )[0]?.at.toISOString();
  await setSettings(store.database, { interval: '5m' });
  expect(await next()).toBe('2026-01-01T00:05:00.000Z');
  await setSettings(store.database, { interval: '1h' }, tenantId);
  expect(await next()).toBe('2026-01-01T01:00:00.000Z');
});

const fieldsOf = (name: string, count: number) => ({
  fields: Object.fromEntries(Array.from({ length: count }, (_, n) => [`${name}${n}`, { owner: 'user' as const }])),
});

test('rule 27: the installation’s fields and a tenant’s own are 500 at most together, and what is in force already stays', async () => {
  const { tenantId } = await leasedTenant(store);
  await setSettings(store.database, fieldsOf('own', 400), tenantId);
  const apply = (count: number) => setSettings(store.database, fieldsOf('shared', count));
  await expect(apply(101)).rejects.toMatchObject({
    code: 'settings_invalid',
    message: expect.stringMatching(/ would have 5\d\d fields with its own, and at most 500 are possible$/),
  });
  await apply(80);
  // As an earlier release may have left it.
  await store.database.raw(
    `update entra_sync.settings set document = jsonb_set(document, '{fields}', document -> 'fields' || :more::jsonb)
      where tenant_id = :tenantId`,
    { tenantId, more: JSON.stringify(fieldsOf('older', 50).fields) },
  );
  await setSettings(store.database, { interval: '1h' });
});
