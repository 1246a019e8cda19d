// The owner and the editors of a field, for every source of truth; mappings in words.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseExpression, type WrittenExpression } from '../../src/rules/expressions.ts';
import {
  describeMapping,
  type Field,
  type FieldLook,
  fieldRules,
  type ManualEditing,
  type Owner,
  type OwnershipSettings,
  owners,
  type Role,
  roles,
  sourcesOfTruth,
} from '../../src/rules/ownership.ts';

const plain: FieldLook = { label: null, help: null, kind: null, order: null, private: false, shown: true };

const field = (owner: Owner, editableBy: readonly Role[] = roles, more: Partial<Field> = {}): Field => ({
  field: 'x',
  from: parseExpression('jobTitle'),
  owner,
  editableBy,
  look: plain,
  ...more,
});

const manual: ManualEditing = { editable: 'all', editableBy: roles };

function ruleOf(settings: Partial<OwnershipSettings>) {
  const [rule] = fieldRules({ fields: [field('directory')], sourceOfTruth: 'hybrid', manual, ...settings });
  return rule;
}

describe('the owner of a field', () => {
  test.each([
    ['directory', 'directory', 'directory', []],
    ['directory', 'user', 'directory', []],
    ['user', 'directory', 'user', ['manager']],
    ['user', 'user', 'user', ['manager']],
    ['hybrid', 'directory', 'directory', []],
    ['hybrid', 'user', 'user', ['manager']],
  ] as const)(
    'source of truth %s, owner %s in the settings: the %s owns it, editable by %j',
    (sourceOfTruth, owner, effective, editableBy) => {
      expect(ruleOf({ sourceOfTruth, fields: [field(owner, ['manager'])] })).toMatchObject({
        owner: effective,
        editableBy,
      });
    },
  );

  test('if the directory is the source of truth, even fields that it lacks cannot be edited', () => {
    expect(ruleOf({ sourceOfTruth: 'directory', fields: [field('user', roles, { from: null })] })).toEqual({
      field: 'x',
      owner: 'directory',
      editableBy: [],
      manualEditableBy: roles,
      valueType: 'text',
      max: null,
      pattern: null,
      mappedFrom: null,
      managerPath: null,
      ...plain,
      kind: 'text',
    });
  });

  test('the kind of a field is what the settings say; a list is a list, and a field of people alone is what its kind says', () => {
    const ruleWith = (from: string | null, kind: FieldLook['kind']) =>
      ruleOf({
        fields: [
          field('user', roles, { from: from === null ? null : parseExpression(from), look: { ...plain, kind } }),
        ],
      });
    expect(ruleWith('mobilePhone', 'tel')).toMatchObject({ kind: 'tel', valueType: 'text' });
    expect(ruleWith('mobilePhone', null)).toMatchObject({ kind: 'text', valueType: 'text' });
    expect(ruleWith('businessPhones', null)).toMatchObject({ kind: 'list', valueType: 'text[]' });
    expect(ruleWith('businessPhones', 'mail')).toMatchObject({ kind: 'list', valueType: 'text[]' });
    expect(ruleWith(null, 'list')).toMatchObject({ kind: 'list', valueType: 'text[]' });
    expect(ruleWith(null, 'url')).toMatchObject({ kind: 'url', valueType: 'text' });
  });

  test('a field that the directory owns cannot be edited, whatever else is set', () => {
    const anyRoles = fc.subarray([...roles]);
    const settings = fc.record({
      fields: fc.array(fc.tuple(fc.constantFrom(...owners), anyRoles).map(([owner, by]) => field(owner, by))),
      sourceOfTruth: fc.constantFrom(...sourcesOfTruth),
      manual: fc.record({ editable: fc.constantFrom('all' as const, [], ['x']), editableBy: anyRoles }),
    });
    fc.assert(
      fc.property(settings, (some) => {
        const rules = fieldRules(some);
        expect(rules).toHaveLength(some.fields.length);
        for (const rule of rules) if (rule.owner === 'directory') expect(rule.editableBy).toEqual([]);
      }),
    );
  });
});

describe('a manual account', () => {
  test.each<[ManualEditing, readonly Role[]]>([
    [{ editable: 'all', editableBy: ['user', 'manager'] }, ['user', 'manager']],
    [{ editable: 'all', editableBy: ['manager'] }, ['manager']],
    [{ editable: ['y', 'x'], editableBy: ['user'] }, ['user']],
    [{ editable: ['y'], editableBy: ['user'] }, []],
    [{ editable: [], editableBy: ['user'] }, []],
    [{ editable: 'all', editableBy: [] }, []],
  ])('with %j: the field is editable by %j, under any owner', (editing, by) => {
    for (const sourceOfTruth of sourcesOfTruth) {
      for (const owner of owners) {
        const rule = ruleOf({ sourceOfTruth, fields: [field(owner, ['user'])], manual: editing });
        expect(rule?.manualEditableBy).toEqual(by);
      }
    }
  });
});

test('a rule has the type and the origin of its values', () => {
  const from = parseExpression({ first: ['otherMails', 'businessPhones'] });
  expect(ruleOf({ fields: [field('user', roles, { from })] })).toMatchObject({
    valueType: 'text[]',
    mappedFrom: 'otherMails, else businessPhones',
  });
});

describe('a mapping in words', () => {
  const longTable = Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((key) => [key, key.toUpperCase()]));

  test.each<[WrittenExpression, string]>([
    ['jobTitle', 'jobTitle'],
    ['onPremisesExtensionAttributes.extensionAttribute3', 'onPremisesExtensionAttributes.extensionAttribute3'],
    [{ first: ['businessPhones[0]', 'mobilePhone'] }, 'businessPhones[0], else mobilePhone'],
    [{ first: ['mail', { constant: 'none' }] }, 'mail, else "none"'],
    [{ join: ['givenName', 'surname'] }, 'givenName and surname joined with " "'],
    [{ constant: ['a', 'b'] }, '["a","b"]'],
    [{ lower: 'mail' }, 'mail in lower case'],
    [{ trim: { lower: 'mail' } }, '(mail in lower case) trimmed'],
    [
      { first: [{ join: ['givenName', 'surname'], with: ', ' }, 'displayName'] },
      '(givenName and surname joined with ", "), else displayName',
    ],
    [{ map: 'department', values: { HR: 'People' } }, 'department mapped ("HR" to "People")'],
    [
      { map: 'accountEnabled', values: { true: 1 }, otherwise: 0 },
      'accountEnabled mapped ("true" to 1, any other to 0)',
    ],
    [
      { map: { lower: 'state' }, values: longTable },
      '(state in lower case) mapped ("a" to "A", "b" to "B", "c" to "C", "d" to "D", "e" to "E", 2 more)',
    ],
  ])('%j: %s', (written, words) => {
    expect(describeMapping(parseExpression(written))).toBe(words);
  });
});
