// The settings in force in words: each key of the settings has a label, and each line names the layer that says so.
import { expect, test } from 'vitest';
import { fieldSchema } from '../../src/settings/field-schema.ts';
import { documentSchema } from '../../src/settings/schema.ts';
import { loadDefaults, type SettingsDocument } from '../../src/settings/settings.ts';
import { hasWords, settingLabel, settingValue } from '../../src/words/setting-words.ts';
import { describeOthers, settingsBeyondShipped } from '../../src/words/settings-beyond-shipped.ts';

const shipped = loadDefaults();
const labels = new Map([['mobilePhone', 'Mobile phone']]);

test('every setting has a label and words for its default value', () => {
  const inner = (schema: unknown): readonly string[] => {
    if (typeof schema !== 'object' || schema === null) return [];
    if ('shape' in schema) return Object.keys(schema.shape as object);
    return !('element' in schema) && 'unwrap' in schema && typeof schema.unwrap === 'function'
      ? inner(schema.unwrap())
      : [];
  };
  const keys = Object.entries(documentSchema.shape).flatMap(([key, schema]) => {
    const below = inner(schema);
    // Credentials are told whole, whose parts are no page's business.
    return key === 'fields'
      ? []
      : key === 'credential' || below.length === 0
        ? [key]
        : below.map((one) => `${key}.${one}`);
  });
  expect(keys.length).toBeGreaterThan(40);
  for (const key of [...keys, ...Object.keys(fieldSchema.shape).map((one) => `fields.mobilePhone.${one}`)]) {
    expect([key, hasWords(key)]).toEqual([key, true]);
    const value = key
      .split('.')
      .reduce<unknown>((one, name) => (one as Record<string, unknown> | undefined)?.[name], shipped);
    expect(settingValue(key, value, labels), key).not.toMatch(/undefined|null|NaN|\[object|^$/);
  }
  for (const [key, value, words] of [
    ['interval', '90m', '90 minutes'],
    ['retention', '30d', '30 days'],
    ['retention', '48h', '2 days'],
    ['portal.history', '0d', 'none'],
    ['scope.userType', ['Member', 'Guest'], 'Member, Guest'],
    ['scope.userType', 'any', 'any'],
    ['scope.groups', [], 'all users are taken'],
    ['scope.groups', ['x', 'y'], '2 groups'],
    ['manual.editable', ['mobilePhone', 'x'], 'Mobile phone, x'],
    ['manual.editable', 'all', 'all'],
    ['manual.editableBy', ['user', 'manager'], 'the person and the manager'],
    ['manual.editableBy', [], 'no role'],
    ['photos.read', true, 'read'],
    ['help', null, 'none'],
    ['a.later.key', { one: 1 }, '{"one":1}'],
  ] as const)
    expect([key, settingValue(key, value, labels)]).toEqual([key, words]);
  expect(settingLabel('fields.mobilePhone.label.de', labels)).toBe('Mobile phone: label (de)');
});

test('a setting that is not as shipped names its layer, and so does one by which the tenant differs from the vendor', () => {
  const linesOf = (vendors: SettingsDocument | undefined, own: SettingsDocument | undefined) => {
    const stored = [
      { document: { ...shipped, ...vendors }, version: 3, tenant_id: null },
      ...(own === undefined ? [] : [{ document: own, version: 7, tenant_id: 'x' }]),
    ];
    const all = settingsBeyondShipped(shipped, stored, labels);
    return { all, lines: all.map(({ key, value, says }) => `${key}: ${value} (${says})`) };
  };
  expect(linesOf(undefined, undefined).lines).toEqual([]);
  expect(describeOthers([], [])).toBe('Every setting is as shipped.');
  const { faxNumber: _, ...fields } = shipped.fields ?? {};
  const { all, lines } = linesOf(
    { interval: '20m', retention: '60d', timeZone: 'Europe/Berlin', fields },
    {
      interval: '40m',
      retention: '60d',
      fields: { mobilePhone: { owner: 'user' }, badge: { owner: 'user' }, city: null },
      credential: { clientId: 'c', secret: { env: 'S' } },
      help: { text: 'Ask IT' },
    },
  );
  const [own, vendors] = ["this tenant's settings, version 7", "the vendor's defaults, version 3"];
  expect(lines).toEqual([
    `credential: its own (${own})`,
    `fields.badge: a field, made of nothing of the directory (${own})`,
    `fields.city: no field (${own})`,
    `fields.faxNumber: no field (${vendors})`,
    `fields.mobilePhone.owner: the user (${own})`,
    `help.text: Ask IT (${own})`,
    // As shipped again, and not as the vendor has it.
    `interval: 40 minutes (${own})`,
    `retention: 60 days (${own})`,
    `timeZone: Europe/Berlin (${vendors})`,
  ]);
  expect(describeOthers(all.slice(0, 8), all)).toBe('1 more setting differs too.');
  expect(describeOthers(all, all)).toBe('All others are as shipped.');
});
