// The catalogue of user properties, compared with documented answers of Graph, and its "did you mean".
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nearestName, userProperties } from '../../src/rules/graph-properties.ts';

const examples = new URL('../fixtures/graph-examples/', import.meta.url);
const names = Object.keys(userProperties);
const trackable = names.filter((name) => userProperties[name]?.trackable);

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return `${typeof value[0]}[]`;
  return typeof value;
}

function exampleUsers(): Record<string, unknown>[] {
  const files = readdirSync(examples).filter((file) => /^users-\d+.*\.json$/.test(file));
  return files.flatMap((file) => JSON.parse(readFileSync(new URL(file, examples), 'utf8')).value);
}

describe('the catalogue', () => {
  test('has every property of the documented users, with its type in JSON', () => {
    const values = exampleUsers().flatMap((user) => Object.entries(user));
    const checkable = values.filter(
      ([name, value]) => !name.includes('@') && value !== null && !(Array.isArray(value) && value.length === 0),
    );
    expect(checkable.length).toBeGreaterThan(20);
    for (const [name, value] of checkable) {
      expect({ name, type: userProperties[name]?.type }).toEqual({ name, type: typeOf(value) });
    }
  });

  test('has the fields of a signature: names, mail, phones, fax, title, department, company, office, address', () => {
    const signature =
      'displayName givenName surname mail userPrincipalName businessPhones mobilePhone faxNumber jobTitle department companyName officeLocation streetAddress city state postalCode country accountEnabled userType id';
    expect(signature.split(' ').filter((name) => !trackable.includes(name))).toEqual([]);
  });

  test.each(
    // docs/graph.md, "First URL and $select": a delta query refuses these, or never reports them.
    'signInActivity cloudLicensing mailboxSettings deviceEnrollmentLimit print aboutMe birthday hireDate interests mySite pastProjects preferredName responsibilities schools skills licenseAssignmentStates photo manager extensions customSecurityAttributes employeeLeaveDateTime'.split(
      ' ',
    ),
  )('refuses %s with a reason', (name) => {
    const property = userProperties[name];
    expect(property).toMatchObject({ trackable: false, why: expect.stringMatching(/^[a-zA-Z].{10,}[^.\s]$/) });
  });

  test('has dates as strings and numbers as numbers', () => {
    const dates = names.filter((name) => /Date(Time)?$|^birthday$/.test(name));
    expect(dates).toContain('employeeHireDate');
    expect(dates.filter((name) => userProperties[name]?.type !== 'string')).toEqual([]);
    expect(userProperties.deviceEnrollmentLimit?.type).toBe('number');
  });

  test.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])('does not have %s as a property', (name) => {
    expect(userProperties[name]).toBeUndefined();
  });

  test('cannot be changed by its readers', () => {
    expect(Object.isFrozen(userProperties)).toBe(true);
  });
});

describe('the nearest name', () => {
  test.each([
    ['displayname', 'displayName'],
    ['JOBTITLE', 'jobTitle'],
    ['jobTitel', 'jobTitle'],
    ['mial', 'mail'],
    ['busnessPhone', 'businessPhones'],
    ['surename', 'surname'],
    ['dispName', 'displayName'],
    ['onPremiseSamAccountName', 'onPremisesSamAccountName'],
    ['employeID', 'employeeId'],
  ])('for %s is %s', (typed, meant) => {
    expect(nearestName(typed, names)).toBe(meant);
  });

  test.each(['', 'x', 'favouriteColour', 'constructor', 'ma', '🙂'])('for "%s" does not exist', (typed) => {
    expect(nearestName(typed, names)).toBeUndefined();
  });

  test('prefers the right letters in another case to any typing error, in any order', () => {
    expect(nearestName('MAILS', ['mail', 'mails'])).toBe('mails');
  });

  test('prefers fewer errors to an earlier position, and the earlier position among equals', () => {
    expect(nearestName('countryy', ['countryab', 'country'])).toBe('country');
    expect(nearestName('abcdef', ['abcdeX', 'abcdeY'])).toBe('abcdeX');
  });

  test('allows errors in at most a third of the longer name', () => {
    expect(nearestName('abcxxx', ['abcdef'])).toBeUndefined();
    expect(nearestName('abcdxx', ['abcdef'])).toBe('abcdef');
  });

  const word = fc.string({ unit: fc.constantFrom(...'abcdefgh'), minLength: 3, maxLength: 30 });

  test('is found for every property in any mixture of case', () => {
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.infiniteStream(fc.boolean()), (name, upper) => {
        const typed = [...name].map((letter) => (upper.next().value ? letter.toUpperCase() : letter.toLowerCase()));
        expect(nearestName(typed.join(''), names)).toBe(name);
      }),
    );
  });

  test('allows one typing error of any kind, anywhere', () => {
    fc.assert(
      fc.property(word, fc.nat(), fc.constantFrom('drop', 'add', 'replace', 'swap'), (name, seed, kind) => {
        const place = seed % (name.length - 1);
        const [head, one, two, tail] = [name.slice(0, place), name[place], name[place + 1], name.slice(place + 2)];
        const typed = {
          drop: `${head}${two}${tail}`,
          add: `${head}${one}z${two}${tail}`,
          replace: `${head}z${two}${tail}`,
          swap: `${head}${two}${one}${tail}`,
        }[kind];
        expect(nearestName(typed, [name])).toBe(name);
      }),
    );
  });

  test('is symmetric, and never a name that shares no letter', () => {
    fc.assert(
      fc.property(word, word, (one, other) => {
        expect(nearestName(one, [other]) === undefined).toBe(nearestName(other, [one]) === undefined);
        expect(nearestName(one.toUpperCase().replaceAll(/./g, 'z'), [other])).toBeUndefined();
      }),
    );
  });
});
