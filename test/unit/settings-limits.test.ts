// Limits of a settings file, told with their numbers; and names of fields that would meet functions of JavaScript.
import { describe, expect, test } from 'vitest';
import { ExpectedError } from '../../src/errors.ts';
import { settingsJsonSchema } from '../../src/settings/json-schema.ts';
import { checkSettings, loadDefaults, resolveSettings, type SettingsDocument } from '../../src/settings/settings.ts';

const defaults = loadDefaults();

/** Returns the problems of a document over `below`; none if it is accepted. */
function problemsOf(document: object, below: readonly SettingsDocument[] = [defaults]): readonly string[] {
  try {
    checkSettings(document, 'FILE', below);
    return [];
  } catch (error) {
    if (!(error instanceof ExpectedError) || error.code !== 'settings_invalid') throw error;
    return error.list;
  }
}

const fieldsOf = (count: number) => ({
  fields: Object.fromEntries(Array.from({ length: count }, (_, n) => [`field${n}`, { owner: 'user' as const }])),
});
const groupsOf = (count: number) => ({
  scope: { groups: Array.from({ length: count }, (_, n) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`) },
});

describe('rule 27: a settings file has limits', () => {
  const inDefaults = Object.keys(defaults.fields ?? {}).length;

  test.each([
    [`${500 - inDefaults} fields beside the ${inDefaults} below`, fieldsOf(500 - inDefaults), []],
    [`one more`, fieldsOf(501 - inDefaults), ['fields: there are 501, and at most 500 are possible']],
    ['2,000 fields', fieldsOf(2_000), ['fields: there are 2,019, and at most 500 are possible']],
    ['1,000 scope groups', groupsOf(1_000), []],
    ['1,001 scope groups', groupsOf(1_001), ['scope.groups: there are 1,001, and at most 1,000 are possible']],
  ])('%s', (_, document, problems) => {
    expect(problemsOf(document)).toEqual(problems);
  });

  test('a field that is taken out does not count, but a file names 500 at most', () => {
    const below = [defaults, fieldsOf(500)];
    const without = Object.fromEntries(Object.keys(defaults.fields ?? {}).map((name) => [name, null]));
    expect(problemsOf({ fields: without }, below)).toEqual([]);
    const nothing = Object.fromEntries(Object.keys(fieldsOf(501).fields).map((name) => [name, null]));
    expect(problemsOf({ fields: nothing }, [fieldsOf(501)])).toEqual([
      'fields: there are 501, and at most 500 are possible',
    ]);
  });

  test('what an earlier release has stored beyond them stays in force', () => {
    const stored = { ...fieldsOf(600), ...groupsOf(1_200) };
    const { fields, scope } = resolveSettings(
      [defaults, stored, { fields: { constructor: { owner: 'user' as const } } }],
      3,
    );
    expect(fields).toHaveLength(601 + inDefaults);
    expect(scope.groups).toHaveLength(1_200);
  });

  const reserved = Object.getOwnPropertyNames(Object.prototype);

  test.each(reserved)('%s is no name of a field, in a file or in the schema for editors', (name) => {
    const document = { fields: Object.fromEntries([[name, { from: 'mail' }]]) };
    expect(problemsOf(document)).toEqual([
      expect.stringMatching(
        /^fields\.\w+( is not a field name: use letters|: every object of JavaScript has this name)/,
      ),
    ]);
    expect(name).not.toMatch(pattern());
  });

  test('a name that only looks like one is accepted, and one that is stored can be taken out', () => {
    const near = ['constructors', 'Constructor', 'to_string', 'proto'];
    expect(problemsOf({ fields: Object.fromEntries(near.map((name) => [name, { from: 'mail' }])) })).toEqual([]);
    for (const name of near) expect(name).toMatch(pattern());
    const below = [defaults, { fields: { constructor: { owner: 'user' as const } } }];
    expect(problemsOf({ fields: { constructor: null } }, below)).toEqual([]);
  });

  test('the schema for editors says the numbers', () => {
    expect(schema.properties.fields).toMatchObject({
      maxProperties: 500,
      description: expect.stringContaining('At most 500 fields.'),
    });
    expect(schema.properties.scope.properties.groups).toMatchObject({
      maxItems: 1_000,
      description: expect.stringContaining('at most 1,000'),
    });
  });

  const schema = settingsJsonSchema() as {
    properties: { fields: { propertyNames: { pattern: string } }; scope: { properties: { groups: object } } };
  };
  const pattern = () => new RegExp(schema.properties.fields.propertyNames.pattern);
});
