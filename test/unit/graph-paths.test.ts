// Paths into a Graph user: their syntax, the types of their values, and the messages for paths that do not exist.
import { describe, expect, test } from 'vitest';
import { parsePath, pathProblem, pathText, typeOfPath } from '../../src/rules/graph-paths.ts';
import { userProperties } from '../../src/rules/graph-properties.ts';

const extension = 'extension_0123456789abcdef0123456789abcdef_shoeSize';

describe('a path', () => {
  test.each([
    ['mail', ['mail']],
    ['businessPhones[0]', ['businessPhones', 0]],
    ['assignedLicenses[12].disabledPlans[3]', ['assignedLicenses', 12, 'disabledPlans', 3]],
    ['onPremisesExtensionAttributes.extensionAttribute3', ['onPremisesExtensionAttributes', 'extensionAttribute3']],
    ['x_1.y_2', ['x_1', 'y_2']],
    [extension, [extension]],
  ])('%s is parsed, and written back unchanged', (text, path) => {
    const parsed = parsePath(text);
    expect(parsed).toEqual(path);
    expect(parsed && pathText(parsed)).toBe(text);
  });

  test.each([
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    'a[]',
    'a[-1]',
    'a[01]',
    'a[1',
    'a[x]',
    'a[99999]',
    'a b',
    'a-b',
    '[0]',
    'a.0',
    '0',
  ])('%j is not one', (text) => {
    expect(parsePath(text)).toBeUndefined();
  });

  test.each([
    'mail',
    'businessPhones[0]',
    'onPremisesExtensionAttributes',
    'onPremisesExtensionAttributes.extensionAttribute1',
    'onPremisesExtensionAttributes.extensionAttribute15',
    'employeeOrgData.division',
    'employeeOrgData.costCenter',
    'identities[0].issuerAssignedId',
    extension,
    `${extension}[0]`,
  ])('%s is accepted', (text) => {
    expect(pathProblem(text)).toBeUndefined();
  });

  test('every property that can be tracked is accepted, and no other', () => {
    for (const [name, { trackable }] of Object.entries(userProperties)) {
      expect({ name, taken: pathProblem(name) === undefined }).toEqual({ name, taken: trackable && name !== 'id' });
    }
  });

  test.each([
    ['id', 'the id of a user is entra_object_id of directory.accounts, not a field'],
    ['maill', 'a Graph user has no property "maill", did you mean mail?'],
    ['busnessPhones[0]', 'a Graph user has no property "busnessPhones", did you mean businessPhones?'],
    ['fotos', 'a Graph user has no property "fotos", did you mean photos?'],
    ['favouriteColour', 'a Graph user has no property "favouriteColour"'],
    ['constructor.name', 'a Graph user has no property "constructor"'],
    ['manager.displayName', /^manager cannot be synced by delta: it is a link/],
    ['signInActivity.lastSignInDateTime', /^signInActivity cannot be synced by delta: Graph keeps it outside/],
    ['extension_shoeSize', 'a Graph user has no property "extension_shoeSize"'],
    [
      'businessPhones[x]',
      '"businessPhones[x]" is not a path: write it like businessPhones[0] or employeeOrgData.division',
    ],
    ['mail.', /^"mail\." is not a path/],
    ['mail[0]', 'mail is not a list, so it has no numbered items'],
    ['businessPhones[0][0]', 'businessPhones[0] is not a list, so it has no numbered items'],
    ['employeeOrgData[0]', 'employeeOrgData is not a list, so it has no numbered items'],
    ['mail.address', 'mail has no parts, so there is no "address" in it'],
    ['businessPhones[0].x', 'businessPhones[0] has no parts, so there is no "x" in it'],
    ['identities.issuer', 'identities is a list: name the position in it, like identities[0]'],
    ['businessPhones.first', 'businessPhones is a list: name the position in it, like businessPhones[0]'],
    ['employeeOrgData.divison', 'employeeOrgData has no "divison", did you mean division?'],
    ['employeeOrgData.colour', 'employeeOrgData has no "colour" (there are costCenter, division)'],
    ['employeeOrgData.constructor', 'employeeOrgData has no "constructor" (there are costCenter, division)'],
    ['identities[0].isuer', 'identities[0] has no "isuer", did you mean issuer?'],
    [
      'onPremisesExtensionAttributes.extensionAttribut1',
      'onPremisesExtensionAttributes has no "extensionAttribut1", did you mean extensionAttribute1?',
    ],
  ])('%s is refused: %s', (text, problem) => {
    expect(pathProblem(text)).toEqual(typeof problem === 'string' ? problem : expect.stringMatching(problem));
  });

  test('the parts of every object that can be tracked are known', () => {
    for (const [name, { type, trackable }] of Object.entries(userProperties)) {
      if (!trackable || !type.startsWith('object')) continue;
      expect(pathProblem(type === 'object' ? `${name}.zzz` : `${name}[0].zzz`)).toMatch(/\(there are \w+/);
    }
  });

  test.each([
    ['mail', 'string'],
    ['businessPhones', 'string[]'],
    ['businessPhones[0]', 'string'],
    ['assignedPlans[0]', 'object'],
    ['assignedPlans[0].service', 'string'],
    [extension, 'any'],
    [`${extension}[0]`, 'any'],
    ['nothing', 'any'],
  ])('%s is of the type %s', (text, type) => {
    expect(typeOfPath(parsePath(text) ?? ['?'])).toBe(type);
  });
});
