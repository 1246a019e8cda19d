// The conditions of the scope in a settings file: every problem on one line, with the nearest right name.
import { expect, test } from 'vitest';
import { ExpectedError } from '../../src/errors.ts';
import { settingsJsonSchema } from '../../src/settings/json-schema.ts';
import { checkSettings, loadDefaults, resolveSettings, type SettingsDocument } from '../../src/settings/settings.ts';

const defaults = loadDefaults();

function problemsOf(scope: object): readonly string[] {
  try {
    checkSettings({ scope }, 'FILE', [defaults]);
    return [];
  } catch (error) {
    if (!(error instanceof ExpectedError) || error.code !== 'settings_invalid') throw error;
    return error.list;
  }
}

const where = (...conditions: unknown[]) => ({ where: conditions });
const operators = 'in, notIn, matches, exists';

test.each<[object, string[]]>([
  [where({ property: 'department', in: ['IT', 7, true] }), []],
  [where({ property: 'assignedLicenses[*].skuId', exists: false }), []],
  [where({ property: 'assignedLicenses', exists: true }), []],
  [where({ property: 'businessPhones[0]', matches: '+43*' }), []],
  [{ domains: ['Contoso.com'], external: 'exclude', agents: 'include' }, []],
  [
    where({ property: 'departmnt', in: ['IT'] }),
    ['scope.where[0]: a Graph user has no property "departmnt", did you mean department?'],
  ],
  [
    where({ property: 'mail', exists: true }, { property: 'skills', exists: true }),
    [expect.stringMatching(/^scope\.where\[1\]: skills cannot be synced by delta: /)],
  ],
  [
    where({ property: 'assignedLicenses', in: ['x'] }),
    [
      'scope.where[0]: assignedLicenses is a list of objects: name a part of it (assignedLicenses[*].disabledPlans), or use exists',
    ],
  ],
  [
    where({ property: 'employeeOrgData', in: ['x'] }),
    ['scope.where[0]: employeeOrgData is an object: name a part of it (employeeOrgData.costCenter), or use exists'],
  ],
  [
    where({ property: 'department[*]', in: ['x'] }),
    ['scope.where[0]: department is not a list, so it has no numbered items'],
  ],
  [where({ property: 'department' }), [`scope.where[0] must have one of ${operators}`]],
  [
    where({ property: 'department', in: ['a'], exists: true }),
    [`scope.where[0] must have one of ${operators}, and has in and exists: write two conditions`],
  ],
  [where({ property: 'department', match: 'a' }), ['there is no "match" in scope.where[0], did you mean matches?']],
  [where({ property: 'department', in: [] }), [expect.stringMatching(/^scope\.where\[0\]\.in must be a list of 1 to/)]],
  [
    where({ property: 'department', in: 'IT' }),
    [expect.stringMatching(/^scope\.where\[0\]\.in must be a list of 1 to/)],
  ],
  [where({ property: 'department', exists: 'yes' }), ['scope.where[0].exists must be true or false']],
  [where({ property: 'department', matches: '*'.repeat(257) }), [expect.stringContaining('a glob of 1 to 256')]],
  [where({ in: ['x'] }), [expect.stringMatching(/^scope\.where\[0\] must have a property/)]],
  [where('department'), [expect.stringMatching(/^scope\.where\[0\] must have a property/)]],
  [{ where: { property: 'mail' } }, ['scope.where must be a list of conditions']],
  [
    where(...Array.from({ length: 101 }, () => ({ property: 'mail', exists: true }))),
    ['scope.where: there are 101 conditions, and at most 100 are possible'],
  ],
  [{ domains: ['@contoso.com'] }, ['scope.domains[0] is not a domain: write it like contoso.com']],
  [{ external: 'excluded' }, ['scope.external must be include or exclude, did you mean exclude?']],
  [{ agents: false }, ['scope.agents must be include or exclude']],
  [{ except: ['ann@contoso.com'] }, [expect.stringContaining('is not an object id')]],
  [{ excpt: [] }, ['there is no setting "excpt" in scope, did you mean except?']],
])('%j', (scope, problems) => {
  expect(problemsOf(scope)).toEqual(problems);
});

test('a mapping has no [*], and a condition may name what a mapping names', () => {
  expect(() => checkSettings({ fields: { x: { from: 'assignedLicenses[*].skuId' } } }, 'FILE', [defaults])).toThrow(
    expect.objectContaining({ list: [expect.stringContaining('is not a path')] }),
  );
});

test('a condition joins $select, and a setting that is left out changes no fingerprint of an earlier release', () => {
  const resolve = (scope: SettingsDocument['scope']) => resolveSettings([defaults, ...(scope ? [{ scope }] : [])], 1);
  const { scope: _, ...before } = defaults;
  const older = resolveSettings(
    [before, { scope: { userType: ['Member'], accountEnabled: 'any', groups: [] } }, { scope: defaults.scope }],
    1,
  );
  expect(older.fingerprints).toEqual(resolve(undefined).fingerprints);
  // Written by the release before there were conditions.
  expect(resolve(undefined).fingerprints.users).toBe('5b2d3e174449fa38');
  expect(resolve({ where: [{ property: 'city', exists: true }] }).reading).toBe(resolve(undefined).reading);
  expect(resolve({ where: [{ property: 'employeeId', exists: true }] }).reading).not.toBe(resolve(undefined).reading);
  expect(resolve({ external: 'exclude' }).reading).not.toBe(resolve(undefined).reading);
  expect(resolve({ agents: 'include' }).fingerprints.users).not.toBe(resolve(undefined).fingerprints.users);
});

test('the schema for editors has the conditions', () => {
  expect(JSON.stringify(settingsJsonSchema())).toContain('"notIn"');
});
