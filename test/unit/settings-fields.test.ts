// The settings of fields and their editors: refusals, the merge of layers, and the fingerprint.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ExpectedError } from '../../src/errors.ts';
import { parseExpression } from '../../src/rules/expressions.ts';
import { belowStored } from '../../src/settings/fields.ts';
import { partialSchema } from '../../src/settings/schema.ts';
import {
  checkSettings,
  loadDefaults,
  loadSettingsFile,
  resolveSettings,
  type SettingsDocument,
} from '../../src/settings/settings.ts';
import { writtenExpressions } from '../support/expressions.ts';

const folder = mkdtempSync(join(tmpdir(), 'entra-sync-settings-'));
afterAll(() => rmSync(folder, { recursive: true }));
const defaults = loadDefaults();
const load = (yaml: string) => checkSettings(parse(yaml), 'FILE');
const resolve = (...layers: string[]) => resolveSettings([defaults, ...layers.map(load)], 1);

/** Returns the problems of a document; none if it is valid. */
function problemsOf(document: unknown, below?: readonly SettingsDocument[]): readonly string[] {
  try {
    checkSettings(document, 'FILE', below);
    return [];
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error;
    expect(error.list.length).toBeGreaterThan(0);
    return error.list;
  }
}

const tableOf = (entries: number, length: number) =>
  Object.fromEntries(Array.from({ length: entries }, (_, index) => [String(index).padStart(length, '0'), 'x']));

describe('an expression', () => {
  const lists = 'must be a list of one or more';
  const forms = 'must have one of first, join, constant, map, lower, trim';
  const value = 'a text (at most 4,096 characters), a number, true, false or a list of at most 100 texts';
  const aTable = `a table of at most 1,000 entries, from a value to ${value}`;

  test.each([
    ['{ first: [] }', `fields.x.from.first ${lists}`],
    ['{ first: mail }', `fields.x.from.first ${lists}`],
    ['{ join: {} }', `fields.x.from.join ${lists}`],
    ['{}', `fields.x.from ${forms}`],
    ['{ frist: [mail] }', `fields.x.from ${forms}, did you mean first?`],
    ['{ constructor: mail }', `fields.x.from ${forms}`],
    ['{ first: [mail], join: [mail] }', 'fields.x.from has both first and join: nest one in the other'],
    ['{ join: [mail], wiht: "-" }', 'there is no "wiht" in fields.x.from, did you mean with?'],
    ['{ lower: mail, colour: red }', 'there is no "colour" in fields.x.from (there are lower)'],
    ['{ join: [mail], with: 1 }', 'fields.x.from.with must be a text of at most 100 characters'],
    ['{ constant: null }', `fields.x.from.constant must be ${value}`],
    ['{ constant: { a: 1 } }', `fields.x.from.constant must be ${value}`],
    ['{ constant: [1] }', `fields.x.from.constant must be ${value}`],
    ['{ constant: .inf }', `fields.x.from.constant must be ${value}`],
    ['{ map: mail }', `fields.x.from.values must be ${aTable}`],
    ['{ map: mail, values: [a] }', `fields.x.from.values must be ${aTable}`],
    ['{ map: mail, values: { a: null } }', `fields.x.from.values must be ${aTable}`],
    ['{ map: mail, values: {}, otherwise: null }', `fields.x.from.otherwise must be ${value}`],
    ['{ map: mail, values: { __proto__: a } }', 'fields.x.from.values cannot have the key "__proto__"'],
    ['{ lower: maill }', 'fields.x.from.lower: a Graph user has no property "maill", did you mean mail?'],
    ['{ first: [mail, photo] }', /^fields\.x\.from\.first\[1\]: photo cannot be synced by delta: it is kept outside/],
    [
      '{ trim: { join: [mial] } }',
      'fields.x.from.trim.join[0]: a Graph user has no property "mial", did you mean mail?',
    ],
    ['{ map: [mail], values: {} }', /^fields\.x\.from\.map must be a property, a path, or one of first/],
    ['"mail[0]"', 'fields.x: mail is not a list, so it has no numbered items'],
    ['7', /^fields\.x\.from must be a property, a path, or one of first/],
    ['null', /^fields\.x\.from must be a property, a path, or one of first/],
  ])('%s is refused: %s', (from, problem) => {
    const told = problemsOf(parse(`fields: { x: { from: ${from} } }`));
    expect(told).toEqual([typeof problem === 'string' ? problem : expect.stringMatching(problem)]);
  });

  test('shows all its problems at once', () => {
    const from = { first: [{ join: ['mial'], wiht: '' }, { constant: null }, 'photo'], thne: 1 };
    expect(problemsOf({ fields: { x: { from } } })).toHaveLength(5);
  });

  test.each([8, 9])('may be nested 8 deep: %i', (depth) => {
    let from: unknown = 'mail';
    for (let level = 1; level < depth; level += 1) from = { lower: from };
    const told = depth === 8 ? [] : [`fields.x.from${'.lower'.repeat(8)} is nested more than 8 deep`];
    expect(problemsOf({ fields: { x: { from } } })).toEqual(told);
  });

  test.each([99, 100])('may have 100 parts: a list of %i and itself', (parts) => {
    const told = parts === 99 ? [] : ['fields.x.from has more than 100 parts'];
    expect(problemsOf({ fields: { x: { from: { first: Array(parts).fill('mail') } } } })).toEqual(told);
  });

  test.each<[string, (more: number) => object, string]>([
    ['a constant of 4,096 characters', (more) => ({ constant: 'x'.repeat(4096 + more) }), 'constant'],
    ['a list of 100', (more) => ({ constant: Array(100 + more).fill('x') }), 'constant'],
    [
      'another value of 4,096 characters',
      (more) => ({ map: 'mail', values: {}, otherwise: 'x'.repeat(4096 + more) }),
      'otherwise',
    ],
    ['a table of 1,000', (more) => ({ map: 'mail', values: tableOf(1000 + more, 1) }), 'values'],
    ['a table of keys of 4,096 characters', (more) => ({ map: 'mail', values: tableOf(1, 4096 + more) }), 'values'],
  ])('may hold %s and no more', (_, from, key) => {
    expect(problemsOf({ fields: { x: { from: from(0) } } })).toEqual([]);
    expect(problemsOf({ fields: { x: { from: from(1) } } })).toEqual([
      expect.stringContaining(`fields.x.from.${key} must be `),
    ]);
  });

  test('with endless nesting is refused like any other', () => {
    let deep: unknown = 'mail';
    for (let level = 0; level < 1_000; level += 1) deep = { lower: deep };
    expect(problemsOf({ fields: { x: { from: deep } } })).toHaveLength(1);
    const brackets = join(folder, 'brackets.yaml');
    writeFileSync(brackets, '['.repeat(5_000));
    expect(() => loadSettingsFile(brackets)).toThrow(/is not YAML/);
  });

  test('that is valid is accepted and parsed', () => {
    fc.assert(
      fc.property(writtenExpressions, (from) => {
        const document = { fields: { x: { from } } };
        expect(problemsOf(document)).toEqual([]);
        const { fields } = resolveSettings([{ ...defaults, fields: {} }, checkSettings(document, 'FILE')], 1);
        expect(fields).toMatchObject([{ field: 'x', from: parseExpression(from) }]);
      }),
    );
  });

  test('is accepted or refused as by the schema, except for paths and sizes', () => {
    const junk = fc.letrec<{ any: unknown }>((tie) => ({
      any: fc.oneof(
        { maxDepth: 2 },
        fc.constantFrom<unknown>('mail', 7, null, true, []),
        fc.dictionary(fc.constantFrom('first', 'join', 'with', 'constant', 'map', 'values', 'lower', 'x'), tie('any'), {
          maxKeys: 3,
        }),
        fc.array(tie('any'), { maxLength: 2 }),
      ),
    })).any;
    fc.assert(
      fc.property(junk, (from) => {
        const document = { fields: { x: { from } } };
        expect(problemsOf(document).length === 0).toBe(partialSchema.safeParse(document).success);
      }),
      { numRuns: 500 },
    );
  });
});

describe('refused with the nearest valid name', () => {
  test.each([
    ['sourceOfTruth: directroy', 'sourceOfTruth must be directory, user or hybrid, did you mean directory?'],
    ['sourceOfTruth: 1', 'sourceOfTruth must be directory, user or hybrid'],
    ['sourceoftruth: user', 'there is no setting "sourceoftruth", did you mean sourceOfTruth?'],
    ['disabledAccounts: suspended', 'disabledAccounts must be suspend, remove or ignore, did you mean suspend?'],
    ['match: [email]', 'match[0] must be mail or userPrincipalName, did you mean mail?'],
    ['match: [mail, upn]', 'match[1] must be mail or userPrincipalName'],
    ['match: mail', 'match must be a list'],
    ['manual: { editabel: all }', 'there is no setting "editabel" in manual, did you mean editable?'],
    ['manual: { editable: everything }', 'manual.editable must be all, or a list of fields, did you mean all?'],
    ['manual: { editable: jobTitle }', 'manual.editable must be all, or a list of fields'],
    ['manual: { editable: [mail, 1] }', 'manual.editable[1] must be a text'],
    ['manual: { editableBy: [users] }', 'manual.editableBy[0] must be user or manager, did you mean user?'],
    ['manual: all', 'manual must be a mapping'],
    ['fields: { x: { owner: usr } }', 'fields.x.owner must be directory or user, did you mean user?'],
    [
      'fields: { x: { editableBy: [manger] } }',
      'fields.x.editableBy[0] must be user or manager, did you mean manager?',
    ],
    ['fields: { x: { editableBy: user } }', 'fields.x.editableBy must be a list'],
    ['fields: { x: { ownr: user } }', 'there is no setting "ownr" in fields.x, did you mean owner?'],
    ['scope: { userType: Guest }', 'scope.userType must be any, or a list of Member and Guest, did you mean [Guest]?'],
    [
      'scope: { userType: members }',
      'scope.userType must be any, or a list of Member and Guest, did you mean [Member]?',
    ],
    ['scope: { userType: 1 }', 'scope.userType must be any, or a list of Member and Guest'],
    ['scope: { userType: [Member, Guests] }', 'scope.userType[1] must be Member or Guest, did you mean Guest?'],
    ['scope: { userType: [] }', 'scope.userType must be a list of one or more'],
    ['scope: { accountEnabled: yes }', 'scope.accountEnabled must be any, true or false, did you mean true?'],
    ['scope: { accountEnabled: no }', 'scope.accountEnabled must be any, true or false, did you mean false?'],
    ['scope: { accountEnabled: maybe }', 'scope.accountEnabled must be any, true or false'],
    ['scope: { accountEnabled: [true] }', 'scope.accountEnabled must be any, true or false'],
  ])('%s: %s', (yaml, problem) => {
    expect(problemsOf(parse(yaml))).toEqual([problem]);
  });

  test.each([
    [
      'fields: { x: {} }',
      'fields.x has no from: say where it comes from, or "owner: user" when it is not in the directory',
    ],
    ['fields: { x: { owner: directory } }', /^fields\.x has no from/],
    ['manual: { editable: [mail, jobTitel] }', 'manual.editable: there is no field "jobTitel", did you mean jobTitle?'],
    ['manual: { editable: [colour] }', 'manual.editable: there is no field "colour"'],
    ['manual: { editable: [constructor] }', 'manual.editable: there is no field "constructor"'],
    ['fields: { jobtitle: null }', 'fields.jobtitle: there is no such field to take out, did you mean jobTitle?'],
    ['fields: { colour: null }', 'fields.colour: there is no such field to take out'],
    ['fields: { constructor: null }', 'fields.constructor: there is no such field to take out'],
    ['{ fields: { mail: null }, manual: { editable: [mail] } }', /^manual\.editable: there is no field "mail"/],
  ])('over the layers below it, %s: %s', (yaml, problem) => {
    expect(problemsOf(parse(yaml))).toEqual([]);
    expect(problemsOf(parse(yaml), [defaults])).toEqual([
      typeof problem === 'string' ? problem : expect.stringMatching(problem),
    ]);
  });

  test('a field that a lower layer takes out may be taken out again', () => {
    const out = { fields: { faxNumber: null } };
    expect(problemsOf(out, [defaults, out])).toEqual([]);
  });

  test('problems of the file and of the whole are reported at once', () => {
    const yaml = 'interval: soon\nfields: { x: { owner: directory }, y: { from: mial } }\nmanual: { editable: [mial] }';
    expect(problemsOf(parse(yaml), [defaults])).toHaveLength(4);
  });

  test.each([
    ['manual: { editable: [pronouns, mail], editableBy: [] }'],
    ['fields: { x: { from: mail }, mail: null }\nmanual: { editable: [x] }'],
    ['fields: { mail: { owner: user } }'],
    ['match: []'],
  ])('%s is accepted', (yaml) => {
    expect(problemsOf(parse(yaml), [defaults])).toEqual([]);
  });

  test('stored layers that no longer fit together are one line', () => {
    const own = load('manual: { editable: [faxNumber] }');
    expect(() => resolveSettings([defaults, load('fields: { faxNumber: null }'), own], 1)).toThrow(
      /^the stored settings do not fit together: manual\.editable: there is no field "faxNumber"$/,
    );
  });
});

describe('refused as harmful', () => {
  test.each([
    ['fields: { __proto__: { from: mail } }', 'fields.__proto__ is not a field name'],
    ['fields: { x: { from: mail, __proto__: 1 } }', 'there is no setting "__proto__" in fields.x'],
    ['__proto__: { interval: 1m }', 'there is no setting "__proto__"'],
    ['fields: { x: { from: { __proto__: mail } } }', 'fields.x.from must have one of first'],
  ])('%s: %s', (yaml, problem) => {
    expect(problemsOf(parse(yaml))).toEqual([expect.stringContaining(problem)]);
  });

  test.each([
    [{ fields: { x: { from: { constant: 'a\0b' } } } }, 'fields.x.from.constant holds a NUL character'],
    [{ fields: { x: { from: { constant: ['\ud800'] } } } }, 'fields.x.from.constant[0] holds half a surrogate pair'],
    [{ fields: { x: { from: { map: 'mail', values: { 'a\0': 1 } } } } }, 'fields.x.from.values holds a NUL character'],
    [{ 'a\0': 1 }, 'the file holds a NUL character'],
  ])('%j, which Postgres could not store: %s', (document, problem) => {
    expect(problemsOf(document)).toEqual([problem]);
  });
});

describe('the settings in force', () => {
  const look = { look: expect.anything() };

  test('by default', () => {
    expect(resolve()).toMatchObject({
      sourceOfTruth: 'directory',
      manual: { editable: 'all', editableBy: ['user', 'manager'] },
      disabledAccounts: 'suspend',
      match: ['mail', 'userPrincipalName'],
    });
  });

  test('as set, with roles and names sorted, and match keys in the given order', () => {
    expect(
      resolve(`
        sourceOfTruth: hybrid
        disabledAccounts: remove
        match: [userPrincipalName, mail, userPrincipalName]
        manual: { editable: [mail, city, mail], editableBy: [manager, user, manager] }
        fields: { mail: { owner: user, editableBy: [manager] } }
      `),
    ).toMatchObject({
      sourceOfTruth: 'hybrid',
      disabledAccounts: 'remove',
      match: ['userPrincipalName', 'mail'],
      manual: { editable: ['city', 'mail'], editableBy: ['user', 'manager'] },
      fields: expect.arrayContaining([
        { ...look, field: 'mail', from: { path: ['mail'] }, owner: 'user', editableBy: ['manager'] },
      ]),
    });
  });

  const fieldX = (...layers: string[]) => resolve(...layers).fields.find((one) => one.field === 'x');
  const base = 'fields: { x: { from: mail, owner: user, editableBy: [user] } }';

  test.each([
    ['{ owner: directory }', { from: { path: ['mail'] }, owner: 'directory', editableBy: ['user'] }],
    ['{ editableBy: [manager] }', { from: { path: ['mail'] }, owner: 'user', editableBy: ['manager'] }],
    ['{ from: { first: [city] } }', { from: { first: [{ path: ['city'] }] }, owner: 'user', editableBy: ['user'] }],
    ['{}', { from: { path: ['mail'] }, owner: 'user', editableBy: ['user'] }],
  ])('a layer above sets %s of a field: the rest of the field stays', (upper, merged) => {
    expect(fieldX(base, `fields: { x: ${upper} }`)).toEqual({ ...look, field: 'x', ...merged });
  });

  test('null takes a field out with all its settings', () => {
    expect(fieldX(base, 'fields: { x: null }')).toBeUndefined();
    expect(fieldX(base, 'fields: { x: null }', 'fields: { x: { owner: user } }')).toEqual({
      ...look,
      field: 'x',
      from: null,
      owner: 'user',
      editableBy: ['user', 'manager'],
    });
  });

  test('an expression is replaced as a whole', () => {
    const join = 'fields: { x: { from: { join: [mail, city], with: "-" } } }';
    expect(fieldX(join, 'fields: { x: { from: { join: [mail] } } }')?.from).toEqual({
      join: [{ path: ['mail'] }],
      with: ' ',
    });
  });

  test('each setting of manual is merged by itself', () => {
    expect(resolve('manual: { editable: [mail] }', 'manual: { editableBy: [manager] }').manual).toEqual({
      editable: ['mail'],
      editableBy: ['manager'],
    });
  });
});

describe('rule 17: the fingerprint', () => {
  const before = resolve().fingerprints.users;
  const mapped = 'fields: { x: { from: { map: department, values: { a: 1, b: 2 } } } }';

  test.each([
    ['', 'disabledAccounts: remove'],
    ['', 'scope: { userType: any }'],
    ['', 'fields: { mail: { from: { lower: mail } } }'],
    ['', 'fields: { pronouns: { from: employeeType } }'],
    ['', 'fields: { x: { from: { constant: a } } }'],
    ['', 'fields: { businessPhones: { from: "businessPhones[0]" } }'],
    [mapped, 'fields: { x: { from: { map: department, values: { a: 1, b: 3 } } } }'],
    [mapped, 'fields: { x: { from: { map: department, values: { a: 1, b: 2 }, otherwise: 3 } } }'],
  ])('over %j, %s changes it', (below, yaml) => {
    const under = below ? [below] : [];
    expect(resolve(...under, yaml).fingerprints.users).not.toBe(resolve(...under).fingerprints.users);
  });

  test.each([
    'sourceOfTruth: user',
    'sourceOfTruth: hybrid',
    'manual: { editable: [mail], editableBy: [] }',
    'match: []',
    'fields: { mail: { owner: user, editableBy: [manager] } }',
    'fields: { nickname: { owner: user }, pronouns: null }',
    'disabledAccounts: suspend',
    'scope: { userType: [Member, Member], groups: [] }',
  ])('%s does not', (yaml) => {
    expect(resolve(yaml).fingerprints.users).toBe(before);
  });

  test.each([
    [mapped, 'fields: { x: { from: { values: { b: 2, a: 1 }, map: department } } }'],
    ['fields: { x: { from: { join: [mail] } } }', 'fields: { x: { from: { with: " ", join: [mail] } } }'],
    [
      'scope: { groups: [3f1c6e0a-9a55-4f7e-8e21-2f9b1c547a8e, 4f1c6e0a-9a55-4f7e-8e21-2f9b1c547a8e] }',
      'scope: { groups: [4F1C6E0A-9a55-4f7e-8e21-2f9b1c547a8e, 3f1c6e0a-9a55-4f7e-8e21-2f9b1c547a8e] }',
    ],
  ])('%s and %s have the same one', (one, other) => {
    expect(resolve(one).fingerprints.users).toBe(resolve(other).fingerprints.users);
    expect(resolve(one).fingerprints.users).not.toBe(before);
  });
});

test('a file is checked with the layers below it if they are given', () => {
  const path = join(folder, 'mine.yaml');
  writeFileSync(path, 'fields: { x: { owner: directory } }');
  expect(() => loadSettingsFile(path)).not.toThrow();
  expect(() => loadSettingsFile(path, [defaults])).toThrow(`${path} has 1 problem`);
});

test('max and pattern bound edits; null lifts them, and a bad one is told with its reason', () => {
  const fields = (yaml: string) =>
    resolveSettings([defaults, load(yaml)], 1).fields.find((one) => one.field === 'pronouns');
  expect(fields('fields: { pronouns: { max: 60, pattern: "[^<>]*" } }')).toMatchObject({ max: 60, pattern: '[^<>]*' });
  expect(fields('fields: { pronouns: { max: null } }')).not.toHaveProperty('max');
  expect(problemsOf(parse('fields: { pronouns: { max: 0, pattern: "(a)\\\\1" }, linkedIn: { max: 1.5 } }'))).toEqual([
    'fields.pronouns.max must be at least 1',
    expect.stringMatching(/^fields\.pronouns\.pattern: has \\1: of escapes there are/),
    'fields.linkedIn.max must be a whole number',
  ]);
});

describe('how a field is shown', () => {
  const lookOf = (name: string, ...layers: SettingsDocument[]) =>
    resolveSettings(layers, 1).fields.find(({ field }) => field === name)?.look;

  test('every default field has a name in English and German, a place of its own, and pronouns are private', () => {
    const { fields } = resolveSettings([defaults], 1);
    for (const { field, look } of fields)
      expect({ field, label: look.label }).toEqual({
        field,
        label: { en: expect.any(String), de: expect.any(String) },
      });
    expect(new Set(fields.map(({ look }) => look.order)).size).toBe(fields.length);
    expect(fields.filter(({ look }) => look.private).map(({ field }) => field)).toEqual(['pronouns']);
    expect(fields.filter(({ look }) => look.shown)).toHaveLength(fields.length);
  });

  test('a file changes one key of it and keeps the others; null takes one back', () => {
    const file = load(
      'fields: { jobTitle: { label: { en: Role }, shown: false }, mobilePhone: { kind: null, order: null, label: {} } }',
    );
    expect(lookOf('jobTitle', defaults, file)).toEqual({
      ...{ label: { en: 'Role' }, help: null, kind: null, order: 80, private: false, shown: false },
    });
    expect(lookOf('mobilePhone', defaults, file)).toMatchObject({ label: null, kind: null, order: null });
  });

  test.each([
    ['label: Role', 'fields.x.label must name the text by its language, as in { en: …, de: … }'],
    ['help: { fr: Rôle }', 'there is no setting "fr" in fields.x.help (there are en, de)'],
    ['label: { en: "" }', 'fields.x.label.en must be one character or more'],
    [`help: { de: ${'x'.repeat(501)} }`, 'fields.x.help.de must be at most 500 characters long'],
    ['label: { en: 1 }', 'fields.x.label.en must be a text'],
    ['kind: phone', 'fields.x.kind must be text, tel, url, mail or list'],
    ['kind: lsit', 'fields.x.kind must be text, tel, url, mail or list, did you mean list?'],
    ['order: -1', 'fields.x.order must be at least 0'],
    ['private: yes please', 'fields.x.private must be true or false'],
    ['shwon: false', 'there is no setting "shwon" in fields.x, did you mean shown?'],
    ['from: businessPhones, kind: tel', 'fields.x.kind: the field holds a list: write list, or take one of it in from'],
    ['from: mail, kind: list', 'fields.x.kind: the field holds one value, and no list: write text, tel, url or mail'],
  ])('{ %s } is told as: %s', (field, problem) => {
    expect(problemsOf(parse(`fields: { x: { owner: user, ${field} } }`), [defaults])).toEqual([problem]);
  });

  test('a kind fits the values of the layers below, too', () => {
    expect(problemsOf(parse('fields: { businessPhones: { kind: tel } }'), [defaults])).toHaveLength(1);
    expect(problemsOf(parse('fields: { mail: { from: proxyAddresses } }'), [defaults])).toEqual([]);
  });

  test('a release adds it to stored fields of the same origin, and adds no field', () => {
    const stored = load(
      'fields: { jobTitle: { from: jobTitle, shown: false }, mail: { from: proxyAddresses }, own: { owner: user } }',
    );
    const below = belowStored(defaults, [stored]);
    expect(resolveSettings([below, stored], 1).fields.map(({ field }) => field)).toEqual(['jobTitle', 'mail', 'own']);
    expect(lookOf('jobTitle', below, stored)).toMatchObject({ label: { de: 'Position' }, order: 80, shown: false });
    expect(lookOf('mail', below, stored)).toMatchObject({ label: null, kind: null, order: null });
    expect(belowStored(defaults, [])).toBe(defaults);
  });

  test('it changes no round: the fingerprint is the same', () => {
    const before = resolveSettings([defaults], 1).fingerprints;
    expect(resolve('fields: { mail: { label: null, kind: text, order: 1, private: true } }').fingerprints).toEqual(
      before,
    );
  });
});
