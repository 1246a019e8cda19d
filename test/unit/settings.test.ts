// The settings: defaults, layers, all problems at once with the nearest valid name, and the fingerprint for full
// rounds.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { ExpectedError } from '../../src/errors.ts';
import { userProperties } from '../../src/rules/graph-properties.ts';
import { durationMs } from '../../src/settings/durations.ts';
import {
  loadDefaults,
  loadSettingsFile,
  mergeDocuments,
  resolveSettings,
  type SettingsDocument,
} from '../../src/settings/settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'entra-sync-settings-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'settings.yaml');
const defaults = loadDefaults();

function load(yaml: string): SettingsDocument {
  writeFileSync(path, yaml);
  return loadSettingsFile(path);
}

function errorOf(load: () => unknown): ExpectedError {
  try {
    load();
  } catch (error) {
    if (error instanceof ExpectedError) return error;
    throw error;
  }
  throw new Error('the file was taken');
}

/** Returns the error for an invalid settings file, with the list of problems on one line. */
function refusal(yaml: string): string {
  try {
    load(yaml);
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error;
    expect(error.code).toBe('settings_invalid');
    expect(error.cure).toBeTruthy();
    const lines = [error.message, ...error.list].map((line) => line.replaceAll(path, 'FILE'));
    expect(lines.join('')).not.toContain('\n');
    const { length } = error.list;
    if (length > 0) expect(lines[0]).toBe(`FILE has ${length} problem${length === 1 ? '' : 's'}`);
    // A file that is no mapping has no settings with lines.
    for (const line of error.list) expect(line).toMatch(/^line \d+: |^the file must be a mapping$/);
    const told = error.list.map((line) => line.replace(/^line \d+: /, ''));
    return length > 0 ? `FILE: ${told.join('; ')}` : lines.join('');
  }
  throw new Error('the file was taken');
}

describe('config/default.yaml', () => {
  test('is valid, complete and resolves by itself', () => {
    expect(resolveSettings([defaults], 1)).toMatchObject({
      version: 1,
      intervalMs: 40 * 60_000,
      retentionMs: 30 * 86_400_000,
      changesRetentionMs: 400 * 86_400_000,
      cyclesRetentionMs: 90 * 86_400_000,
      fullEveryMs: 7 * 86_400_000,
      allowRoles: [],
    });
  });

  const bounded = { max: expect.any(Number), pattern: expect.any(String) };

  test('maps the fields of a signature, each named as its Graph property', () => {
    const { fields } = resolveSettings([defaults], 1);
    const needed =
      'displayName givenName surname mail businessPhones mobilePhone faxNumber jobTitle department companyName officeLocation streetAddress postalCode city state country';
    const mapped = fields.filter((one) => one.from);
    expect(mapped.map((one) => one.field).sort()).toEqual(needed.split(' ').sort());
    expect(mapped).toEqual(
      mapped.map(({ field }) => ({
        field,
        from: { path: [field] },
        owner: 'directory',
        editableBy: ['user', 'manager'],
        look: expect.anything(),
        ...(['mobilePhone', 'faxNumber'].includes(field) && bounded),
      })),
    );
  });

  test('has fields that are not in the directory, for the user to fill in', () => {
    const { fields } = resolveSettings([defaults], 1);
    expect(fields.filter((one) => !one.from)).toEqual(
      ['linkedIn', 'pronouns', 'website'].map((field) => ({
        field,
        from: null,
        owner: 'user',
        editableBy: ['user', 'manager'],
        look: expect.anything(),
        ...(field !== 'pronouns' && bounded),
      })),
    );
  });

  test.each(Object.keys(defaults))('must have %s', (setting) => {
    const { [setting as keyof SettingsDocument]: _, ...rest } = defaults;
    writeFileSync(path, stringify(rest));
    expect(() => loadDefaults(path)).toThrow(
      expect.objectContaining({ list: expect.arrayContaining([expect.stringContaining(`${setting} must be`)]) }),
    );
  });
});

describe('durations', () => {
  test.each([
    ['45s', 45_000],
    ['40m', 2_400_000],
    ['3h', 10_800_000],
    ['7d', 604_800_000],
    ['0m', 0],
    [' 40m ', 2_400_000],
  ])('%j is %i ms', (text, ms) => {
    expect(durationMs(text)).toBe(ms);
  });

  test.each(['', '40', 'm', '-1m', '1.5h', '1h30m', '40 m', '40M', '1w', '1e3s', '40mm', '9999999999d'])(
    '%j is not one',
    (text) => {
      expect(durationMs(text)).toBeUndefined();
    },
  );

  test.each([
    ['interval: 59s', 'interval: 59s is not between 1m and 7d'],
    ['interval: 8d', 'interval: 8d is not between 1m and 7d'],
    ['removals: { percent: 101 }', 'removals.percent must be at most 100'],
    ['removals: { max: -1 }', 'removals.max must be at least 0'],
    ['interval: 40', 'interval: 40 has no unit: write one, as in 40m'],
    ['retention: 30', 'retention: 30 has no unit: write one, as in 30d'],
    ['changes: { retention: 400 }', 'changes.retention: 400 has no unit: write one, as in 400d'],
    ['retention: 1.5', 'retention must be a text'],
    ['fullEvery: true', 'fullEvery must be a text'],
    [
      'interval: 40 minutes',
      'interval: "40 minutes" is not a duration: write a whole number and s, m, h or d, like 40m',
    ],
    ['retention: 0d', 'retention: 0d is not between 1d and 3650d'],
    ['fullEvery: 31d', 'fullEvery: 31d is not between 1h and 30d'],
    ['changes: { retention: x }', 'changes.retention: "x" is not a duration'],
  ])('%s is refused', (yaml, message) => {
    expect(refusal(yaml)).toContain(`FILE: ${message}`);
  });

  test.each(['interval: 1m', 'interval: 7d', 'fullEvery: 1h', 'fullEvery: 30d', 'retention: 3650d'])(
    '%s is accepted',
    (yaml) => {
      expect(() => load(yaml)).not.toThrow();
    },
  );
});

describe('an invalid settings file', () => {
  test('a problem inside a list has the line of its own key or entry, and every message writes places alike', () => {
    writeFileSync(
      path,
      [
        'scope:',
        '  userType: [Member, Gast]',
        '  where:',
        '    - property: department',
        '      equals: IT',
        '    - property: jobTitle',
        '      matches: ""',
        '    - property: mial',
        '      exists: true',
        '    - in: [a]',
        '  domains:',
        '    - contoso.com',
        '    - "@contoso.com"',
        'managedBy:',
        '  - managers: 3b1e4b9a-7d39-4e0f-9d53-9a54c2a5c9d1',
        '    peple: everyone',
      ].join('\n'),
    );
    const { list } = errorOf(() => loadSettingsFile(path, [defaults]));
    expect(list).toEqual([
      'line 2: scope.userType[1] must be Member or Guest',
      'line 5: there is no "equals" in scope.where[0] (there are in, notIn, matches, exists)',
      'line 7: scope.where[1].matches must be a glob of 1 to 256 characters, such as *@contoso.com',
      'line 8: scope.where[2]: a Graph user has no property "mial", did you mean mail?',
      expect.stringMatching(/^line 10: scope\.where\[3\] must have a property/),
      'line 13: scope.domains[1] is not a domain: write it like contoso.com',
      'line 15: managedBy[0].people must be everyone, or the object id of a group',
      'line 16: there is no setting "peple" in managedBy[0], did you mean people?',
    ]);
  });

  test('tells its problems in the order of the file, each with its line and in no words of the checker', () => {
    writeFileSync(
      path,
      [
        '# The first line.',
        'removals:',
        '  max: -1',
        '  floor: 1.5',
        'scope: &scope { groups: [no-id, 5] }',
        'fields:',
        '  title:',
        '    from:',
        '      join:',
        '        - jobTitle',
        '        - jobTitel',
        '    owner: usr',
        '  none: { owner: directory }',
        'intervall: 40m',
        'manual: { editable: [nofield] }',
        'interval: 99999999d',
        'match: *scope',
        'removals.max: 1e400',
        'fullEvery: 40d',
      ].join('\n'),
    );
    const refused = () => loadSettingsFile(path, [defaults]);
    const { list } = errorOf(refused);
    expect(list).toEqual([
      'line 3: removals.max must be at least 0',
      'line 4: removals.floor must be a whole number',
      'line 5: scope.groups[0] is not an object id: write the GUID that Entra shows for the group',
      'line 5: scope.groups[1] must be a text',
      'line 11: fields.title.from.join[1]: a Graph user has no property "jobTitel", did you mean jobTitle?',
      'line 12: fields.title.owner must be directory or user, did you mean user?',
      'line 13: fields.none has no from: say where it comes from, or "owner: user" when it is not in the directory',
      'line 14: there is no setting "intervall", did you mean interval?',
      'line 15: manual.editable: there is no field "nofield"',
      'line 16: interval: 99999999d is not between 1m and 7d',
      'line 17: match must be a list',
      expect.stringMatching(/^line 18: there is no setting "removals.max"/),
      'line 19: fullEvery: 40d is not between 1h and 30d',
    ]);
  });

  test.each([
    ['removals: { max: 1e30 }', 'line 1: removals.max must be at most 1,000,000,000'],
    ['removals: { max: -1e30 }', 'line 1: removals.max must be at least 0'],
    [
      `credential: { clientId: 3, secret: { file: '${'/x'.repeat(3_000)}' } }`,
      'line 1: credential.clientId must be a text',
    ],
  ])('%s has one problem, of the value', (yaml, problem) => {
    writeFileSync(path, yaml);
    expect(errorOf(() => loadSettingsFile(path)).list[0]).toBe(problem);
  });

  test('a directory is called one, and an error of YAML ends without a colon', () => {
    expect(errorOf(() => loadSettingsFile(folder))).toMatchObject({
      message: `${folder} is a directory`,
      cure: 'name the YAML file in it',
    });
    writeFileSync(path, 'a: 1\na: 2\n');
    expect(errorOf(() => loadSettingsFile(path)).message).toMatch(/Map keys must be unique at line 2, column 1$/);
  });

  test('shows all its problems at once', () => {
    const message = refusal(`
      intervall: 40m
      retention: soon
      fields:
        title: { from: jobTitel }
        photo: { from: photo }
        phone: { form: mobilePhone }
      allowRoles: Mail.Read
    `);
    expect(message.split('; ')).toHaveLength(6);
    for (const part of [
      'there is no setting "intervall", did you mean interval?',
      'retention: "soon" is not a duration',
      'fields.title: a Graph user has no property "jobTitel", did you mean jobTitle?',
      'fields.photo: photo cannot be synced by delta: it is kept outside the user',
      'there is no setting "form" in fields.phone, did you mean from?',
      'allowRoles must be a list',
    ]) {
      expect(message).toContain(part);
    }
  });

  test.each([
    ['fullevery: 7d', '"fullevery", did you mean fullEvery?'],
    ['alowRoles: []', '"alowRoles", did you mean allowRoles?'],
    ['cycles: { retension: 1d }', '"retension" in cycles, did you mean retention?'],
    ['colour: red', 'there is no setting "colour" (there are interval, sourceOfTruth, fields,'],
    ['constructor: 1', 'there is no setting "constructor"'],
  ])('%s: the error has the most likely name, or all names', (yaml, message) => {
    expect(refusal(yaml)).toContain(message);
  });

  test.each([
    ['favouriteColour', 'has no property "favouriteColour"'],
    ['constructor', 'has no property "constructor"'],
    ['__proto__', 'has no property "__proto__"'],
    ['DisplayName', 'has no property "DisplayName", did you mean displayName?'],
    ['manager', 'manager cannot be synced by delta: it is a link to other objects'],
    ['signInActivity', 'signInActivity cannot be synced by delta: Graph keeps it outside Entra ID'],
  ])('a field from %s is refused, with the reason', (from, message) => {
    expect(refusal(`fields: { x: { from: ${from} } }`)).toContain(message);
  });

  test('each property that delta cannot track is refused with its own reason', () => {
    const untrackable = Object.entries(userProperties).flatMap(([name, one]) =>
      one.trackable ? [] : [[name, one.why] as const],
    );
    expect(untrackable.length).toBeGreaterThan(20);
    for (const [name, why] of untrackable) {
      expect(refusal(`fields: { x: { from: ${name} } }`)).toBe(
        `FILE: fields.x: ${name} cannot be synced by delta: ${why}`,
      );
    }
  });

  test.each(['1st', '_x', 'a-b', 'a.b', 'ü', '""', `a${'b'.repeat(63)}`])('%s is not a field name', (name) => {
    expect(refusal(`fields: { ${name}: { from: mail } }`)).toContain('is not a field name');
  });

  test.each([
    ['fields: [mail]', 'fields must be a mapping'],
    ['fields: { x: mail }', 'fields.x must be a mapping'],
    [
      'fields: { x: { from: [mail] } }',
      'fields.x.from must be a property, a path, or one of first, join, constant, map, lower, trim',
    ],
    ['just words', 'the file must be a mapping'],
    ['- a', 'the file must be a mapping'],
    ['interval: null', 'interval must be a text'],
    ['changes: null', 'changes must be a mapping'],
    ['allowRoles: [1]', 'allowRoles[0] must be a text'],
  ])('%s: %s', (yaml, message) => {
    expect(refusal(yaml)).toBe(`FILE: ${message}`);
  });

  test.each([
    ['an open bracket', 'fields: { x: { from: mail }', 'line 1'],
    ['a tab', 'interval: 40m\nfields:\n\tx: 1', 'line 3'],
    ['a setting twice', 'interval: 40m\ninterval: 41m', 'line 2'],
    ['an alias without its anchor', 'interval: *x', 'not YAML'],
    ['aliases that multiply', billionLaughs(), 'not YAML'],
    ['an alias within its own anchor', 'fields: &f { a: *f }', 'an alias refers to a value that contains it'],
    ['an alias within its own list', 'allowRoles: &l [a, [*l]]', 'an alias refers to a value that contains it'],
  ])('YAML with %s is one line with the place', (_, yaml, message) => {
    expect(refusal(yaml)).toMatch(/^FILE is not YAML: /);
    expect(refusal(yaml)).toContain(message);
    expect(refusal(yaml), 'what the parser would show below').not.toMatch(/:$/);
  });

  test('a missing file is named', () => {
    const missing = join(folder, 'nothing.yaml');
    expect(() => loadSettingsFile(missing)).toThrow(`${missing} cannot be read`);
  });

  test('any content leads to one expected line', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.jsonValue().map((value) => stringify(value)),
        ),
        (yaml) => {
          try {
            load(yaml);
          } catch (error) {
            expect(error).toBeInstanceOf(ExpectedError);
          }
        },
      ),
    );
  });
});

function billionLaughs(): string {
  const levels = ['a', 'b', 'c', 'd', 'e', 'f'].map(
    (name, index, all) =>
      `${name}: &${name} [${Array(9)
        .fill(index === 0 ? 'x' : `*${all[index - 1]}`)
        .join(', ')}]`,
  );
  return levels.join('\n');
}

test.each(['', '\n \n', '# interval: 1h\n', '---', '---\n...\n', 'null', '~', '--- # later'])(
  'the empty file %j is an error: one that was cut off must not pass for one that changes nothing',
  (yaml) => {
    expect(refusal(yaml)).toBe('FILE is empty: it names no setting');
  },
);

describe('layers', () => {
  test.each(['{}', 'changes: {}\ncycles: {}\nfields: {}'])('the file %j changes nothing', (yaml) => {
    const { version, ...settings } = resolveSettings([defaults, load(yaml)], 2);
    expect(version).toBe(2);
    expect({ version: 1, ...settings }).toEqual(resolveSettings([defaults], 1));
  });

  test('fields are merged by name: one is changed, one is added, the rest stays', () => {
    const upper = load('fields: { jobTitle: { from: employeeType }, skype: { from: imAddresses } }');
    const merged = Object.fromEntries(resolveSettings([defaults, upper], 2).fields.map((one) => [one.field, one.from]));
    const before = Object.fromEntries(resolveSettings([defaults], 1).fields.map((one) => [one.field, one.from]));
    expect(merged).toEqual({ ...before, jobTitle: { path: ['employeeType'] }, skype: { path: ['imAddresses'] } });
  });

  test('null takes a field out, and a later layer brings it back', () => {
    const without = load('fields: { faxNumber: null }');
    const names = (...layers: SettingsDocument[]) =>
      resolveSettings([defaults, ...layers], 2).fields.map((one) => one.field);
    expect(names()).toContain('faxNumber');
    expect(names(without)).toEqual(names().filter((name) => name !== 'faxNumber'));
    expect(names(without, load('fields: { faxNumber: { from: faxNumber } }'))).toEqual(names());
  });

  test('a mapping is merged by setting; a list is replaced', () => {
    const first = load('changes: { retention: 10d }\nallowRoles: [A]');
    const second = load('cycles: { retention: 5d }\nallowRoles: [B]');
    expect(resolveSettings([defaults, first, second], 3)).toMatchObject({
      changesRetentionMs: 10 * 86_400_000,
      cyclesRetentionMs: 5 * 86_400_000,
      allowRoles: ['B'],
    });
  });

  test('a merge changes neither side', () => {
    const upper = load('fields: { faxNumber: null }\ninterval: 1h');
    const before = JSON.stringify([defaults, upper]);
    mergeDocuments(defaults, upper);
    expect(JSON.stringify([defaults, upper])).toBe(before);
  });

  test('stored settings are checked again: a missing default is refused by name', () => {
    expect(() => resolveSettings([{ interval: '40m' }], 1)).toThrow(/stored settings .*retention must be/);
  });
});

describe('rule 17: the fingerprint', () => {
  const of = (yaml: string) => resolveSettings([defaults, load(yaml)], 2).fingerprints.users;
  const before = resolveSettings([defaults], 1).fingerprints.users;

  test.each([
    'fields: { faxNumber: null }',
    'fields: { jobTitle: { from: employeeType } }',
    'fields: { title: { from: jobTitle } }',
    'fields: { skype: { from: imAddresses } }',
  ])('%s changes it', (yaml) => {
    expect(of(yaml)).not.toBe(before);
  });

  test.each([
    '{}',
    'interval: 1h',
    'retention: 10d',
    'fullEvery: 1d',
    'allowRoles: [Mail.Read]',
    'changes: { retention: 1d }',
    'fields: { mail: { from: mail } }',
    'fields: { notThere: null }',
  ])('%s does not', (yaml) => {
    expect(of(yaml)).toBe(before);
  });

  test('does not depend on the order of the fields', () => {
    const reversed = { ...defaults, fields: Object.fromEntries(Object.entries(defaults.fields ?? {}).reverse()) };
    expect(resolveSettings([reversed], 1)).toEqual(resolveSettings([defaults], 1));
  });
});
