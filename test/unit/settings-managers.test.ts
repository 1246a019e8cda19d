// The settings of managers: every problem on one line, what they resolve to, and which round they cause.
import { describe, expect, test } from 'vitest';
import { ExpectedError } from '../../src/errors.ts';
import { mapFromManager, mapUser, selectedProperties, trackedProperties } from '../../src/rules/mapping.ts';
import { fieldRules } from '../../src/rules/ownership.ts';
import { settingsJsonSchema } from '../../src/settings/json-schema.ts';
import { checkSettings, loadDefaults, resolveSettings, type SettingsDocument } from '../../src/settings/settings.ts';

const defaults = loadDefaults();
const group = '3F1C6E0A-9a55-4f7e-8e21-2f9b1c547a8e';

function problemsOf(document: object): readonly string[] {
  try {
    checkSettings(document, 'FILE', [defaults]);
    return [];
  } catch (error) {
    if (!(error instanceof ExpectedError) || error.code !== 'settings_invalid') throw error;
    return error.list;
  }
}

const from = (written: unknown) => ({ managers: true, fields: { boss: { from: written } } });
const resolved = (document: SettingsDocument) => resolveSettings([defaults, document], 1);

test.each<[object, unknown[]]>([
  [{ managers: true }, []],
  [from({ manager: 'displayName' }), []],
  [from({ manager: 'businessPhones[0]' }), []],
  [
    {
      managedBy: [
        { managers: group, people: 'everyone' },
        { managers: group, people: group },
      ],
    },
    [],
  ],
  [{ managers: 'yes' }, ['managers must be true or false']],
  [
    { fields: { boss: { from: { manager: 'displayName' } } } },
    ['fields.boss comes from the manager, and managers is false: set managers: true, or take the field out'],
  ],
  [
    from({ manager: 'displayNam' }),
    ['fields.boss.from.manager: a Graph user has no property "displayNam", did you mean displayName?'],
  ],
  [
    from({ manager: 'skills' }),
    [expect.stringMatching(/^fields\.boss\.from\.manager: skills cannot be synced by delta: /)],
  ],
  [
    from({ manager: 7 }),
    ['fields.boss.from.manager must be a property or path of the manager, as in { manager: displayName }'],
  ],
  [
    from({ manager: 'displayName', with: ' ' }),
    ["fields.boss.from has with beside manager: the manager's value stands alone"],
  ],
  [
    from({ first: [{ manager: 'displayName' }, 'jobTitle'] }),
    ["fields.boss.from.first[0]: the manager's value stands alone, as in from: { manager: displayName }"],
  ],
  [from('manager'), [expect.stringMatching(/^fields\.boss: manager cannot be synced by delta: /)]],
  [
    { managedBy: [{ managers: 'Chiefs', people: 'everyone' }] },
    [expect.stringMatching(/^managedBy\[0\]\.managers is not an object id/)],
  ],
  [{ managedBy: [{ managers: group }] }, ['managedBy[0].people must be everyone, or the object id of a group']],
  [
    { managedBy: [{ managers: group, people: 'all' }] },
    ['managedBy[0].people is neither everyone nor an object id: write the GUID that Entra shows for the group'],
  ],
  [
    { managedBy: [{ manager: group, people: group }] },
    expect.arrayContaining([expect.stringMatching(/did you mean managers\?/)]),
  ],
  [{ managedBy: 'everyone' }, ['managedBy must be a list']],
  [
    { managedBy: Array.from({ length: 101 }, () => ({ managers: group, people: group })) },
    ['managedBy must be at most 100 entries'],
  ],
])('%j', (document, problems) => {
  expect(problemsOf(document)).toEqual(problems);
});

describe('in force', () => {
  test('off by default, and then nothing of it is read or fingerprinted', () => {
    const settings = resolved({});
    expect({ managers: settings.managers, managedBy: settings.managedBy }).toEqual({ managers: false, managedBy: [] });
    expect(trackedProperties(settings)).toEqual(selectedProperties(settings));
  });

  test('rule 17: turning managers on is another fingerprint of the users, and managedBy is none', () => {
    const [off, on] = [resolved({}), resolved({ managers: true })];
    expect(trackedProperties(on)).toEqual([...selectedProperties(on), 'manager']);
    expect(on.fingerprints.users).not.toBe(off.fingerprints.users);
    expect(on.reading).not.toBe(off.reading);
    const managed = resolved({ managedBy: [{ managers: group, people: group }] });
    expect(managed.managedBy).toEqual([{ managers: group.toLowerCase(), people: group.toLowerCase() }]);
    expect(managed.fingerprints).toEqual(off.fingerprints);
  });

  test('a field of the manager selects its property, and takes its value from the manager alone', () => {
    const settings = resolved(from({ manager: 'employeeOrgData.division' }) as SettingsDocument);
    expect(selectedProperties(settings)).toContain('employeeOrgData');
    const ann = { employeeOrgData: { division: 'Sales' } };
    expect(mapUser(ann, settings.fields)).toEqual({});
    expect(mapFromManager(ann, settings.fields)).toEqual({ boss: 'Sales' });
    expect(mapFromManager(null, settings.fields)).toEqual({});
    expect(fieldRules(settings).find(({ field }) => field === 'boss')).toMatchObject({
      mappedFrom: 'employeeOrgData.division of the manager',
      managerPath: ['employeeOrgData', 'division'],
      valueType: 'text',
    });
  });
});

test('the schema of editors knows the settings', () => {
  expect(JSON.stringify(settingsJsonSchema())).toContain('"managedBy"');
});
