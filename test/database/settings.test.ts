// Applying settings: version numbers and the time of the next cycle.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadDefaults } from '../../src/settings/settings.ts';
import { inTransaction, rows } from '../../src/store/database/pool.ts';
import { applySettings, completeRules } from '../../src/store/settings/versions.ts';
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

test('directory.fields tells how a field is shown and what bounds its edits, also after an upgrade', async () => {
  const { tenantId } = await leasedTenant(store);
  await setSettings(store.database, {
    fields: {
      mobilePhone: { max: 40, pattern: '[+0-9 ]+' },
      website: {
        max: null,
        pattern: null,
        label: { en: 'Homepage' },
        help: null,
        kind: null,
        order: null,
        private: true,
        shown: false,
      },
    },
  });
  const shown = () =>
    rows(
      store.database,
      `select field, max, pattern, label, help, kind, sort_order, private, shown from directory.fields
        where tenant_id = :tenantId and field in ('businessPhones', 'mobilePhone', 'pronouns', 'website')
        order by sort_order, field`,
      { tenantId },
    );
  const none = { max: null, pattern: null, help: null, private: false, shown: true };
  const asSet = [
    {
      ...{ ...none, field: 'businessPhones', label: { en: 'Business phones', de: 'Telefon (geschäftlich)' } },
      ...{ help: { en: 'One number per line.', de: 'Eine Nummer pro Zeile.' }, kind: 'list', sort_order: 50 },
    },
    {
      ...{ ...none, field: 'mobilePhone', label: { en: 'Mobile phone', de: 'Mobiltelefon' } },
      ...{ max: 40, pattern: '[+0-9 ]+', kind: 'tel', sort_order: 60 },
      help: { en: 'A number such as +1 206 555 0100.', de: 'Eine Nummer wie +49 89 1234567.' },
    },
    {
      ...{ ...none, field: 'pronouns', label: { en: 'Pronouns', de: 'Pronomen' }, kind: 'text', sort_order: 170 },
      ...{ help: { en: 'Such as she/her.', de: 'Zum Beispiel sie/ihr.' }, private: true },
    },
    {
      ...{ ...none, field: 'website', label: { en: 'Homepage' }, kind: 'text', sort_order: null },
      ...{ private: true, shown: false },
    },
  ];
  expect(await shown()).toEqual(asSet);
  // As the release before wrote the rules, and the settings of its first version.
  await store.database.raw(
    `update entra_sync.field_rules set label = null, help = null, kind = null, sort_order = null, private = default, shown = default`,
  );
  await store.database.raw(
    `update entra_sync.settings s set document = jsonb_set(document, '{fields}', (
       select jsonb_object_agg(f.key, case when f.key = 'website' then f.value else f.value - '{label,help,kind,order,private}'::text[] end)
         from jsonb_each(document -> 'fields') f)) where tenant_id is null`,
  );
  expect(await shown()).toMatchObject(
    asSet.map(({ field }) => ({ field, kind: field === 'businessPhones' ? 'list' : 'text' })),
  );
  await inTransaction(store.database, (transaction) => completeRules(transaction, loadDefaults()));
  expect(await shown()).toEqual(asSet);
});
