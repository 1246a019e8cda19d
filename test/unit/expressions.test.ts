// Expressions over a source document: their values, the properties they read, and the types of their values.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Json, Source } from '../../src/rules/decode.ts';
import {
  evaluate,
  parseExpression,
  rootsOf,
  type ValueType,
  valueTypeOf,
  type WrittenExpression,
} from '../../src/rules/expressions.ts';
import { mapUser, selectedProperties } from '../../src/rules/mapping.ts';
import { writtenExpressions } from '../support/expressions.ts';
import { anyScope } from '../support/scope.ts';

const adele: Source = {
  givenName: 'Adele',
  surname: 'Vance',
  mail: ' Adele@Contoso.COM ',
  jobTitle: '',
  department: 'HR',
  businessPhones: ['+1 425', '+1 426'],
  otherMails: [],
  proxyAddresses: ['SMTP:A@b', 'smtp:C@d'],
  accountEnabled: true,
  employeeOrgData: { division: 'Retail', costCenter: null },
  onPremisesExtensionAttributes: { extensionAttribute3: 'red', extensionAttribute4: null },
  assignedLicenses: [{ skuId: 'sku-1', disabledPlans: ['a'] }],
  mobilePhone: null,
};

const value = (written: WrittenExpression, source: Source = adele) => evaluate(parseExpression(written), source);

describe('a path', () => {
  test.each<[string, Json | undefined]>([
    ['givenName', 'Adele'],
    ['jobTitle', ''],
    ['otherMails', []],
    ['accountEnabled', true],
    ['mobilePhone', undefined],
    ['faxNumber', undefined],
    ['businessPhones', ['+1 425', '+1 426']],
    ['businessPhones[0]', '+1 425'],
    ['businessPhones[1]', '+1 426'],
    ['businessPhones[2]', undefined],
    ['otherMails[0]', undefined],
    ['onPremisesExtensionAttributes.extensionAttribute3', 'red'],
    ['onPremisesExtensionAttributes.extensionAttribute4', undefined],
    ['onPremisesExtensionAttributes.extensionAttribute5', undefined],
    ['employeeOrgData.division', 'Retail'],
    ['employeeOrgData', { division: 'Retail', costCenter: null }],
    ['assignedLicenses[0].skuId', 'sku-1'],
    ['assignedLicenses[0].disabledPlans[0]', 'a'],
    ['assignedLicenses[1].skuId', undefined],
    // The catalogue says otherwise, but Graph may send anything.
    ['givenName[0]', undefined],
    ['givenName.length', undefined],
    ['businessPhones.length', undefined],
    ['employeeOrgData[0]', undefined],
    ['constructor', undefined],
    ['employeeOrgData.constructor', undefined],
    ['employeeOrgData.__proto__', undefined],
  ])('%s is %j', (path, expected) => {
    expect(value(path)).toEqual(expected);
  });
});

describe('an expression', () => {
  test.each<[WrittenExpression, Json | undefined]>([
    [{ first: ['mobilePhone', 'businessPhones[0]'] }, '+1 425'],
    [{ first: ['jobTitle', 'otherMails', 'department'] }, 'HR'],
    [{ first: ['accountEnabled', 'department'] }, true],
    [{ first: ['businessPhones', 'department'] }, ['+1 425', '+1 426']],
    [{ first: ['mobilePhone', 'jobTitle', 'otherMails'] }, undefined],
    [{ first: ['mobilePhone', { constant: 'none' }] }, 'none'],
    [{ first: [{ constant: false }, 'department'] }, false],
    [{ first: [{ constant: 0 }, 'department'] }, 0],

    [{ join: ['givenName', 'surname'], with: '-' }, 'Adele-Vance'],
    [{ join: ['givenName', 'surname'] }, 'Adele Vance'],
    [{ join: ['givenName', 'surname'], with: '' }, 'AdeleVance'],
    [{ join: ['givenName', 'mobilePhone', 'jobTitle', 'surname'], with: ', ' }, 'Adele, Vance'],
    [{ join: ['mobilePhone', 'jobTitle', 'otherMails'], with: ', ' }, undefined],
    [{ join: ['businessPhones', 'department'], with: '; ' }, '+1 425; +1 426; HR'],
    [{ join: ['accountEnabled', { constant: 7 }] }, 'true 7'],
    [{ join: ['employeeOrgData', 'department'] }, 'HR'],

    [{ constant: 'Contoso' }, 'Contoso'],
    [{ constant: ['a', 'b'] }, ['a', 'b']],
    [{ constant: false }, false],

    [{ map: 'department', values: { HR: 'People', IT: 'Machines' } }, 'People'],
    [{ map: 'department', values: { hr: 'People' } }, undefined],
    [{ map: 'department', values: { IT: 'Machines' }, otherwise: 'Others' }, 'Others'],
    [{ map: 'department', values: {} }, undefined],
    [{ map: 'department', values: { HR: false }, otherwise: true }, false],
    [{ map: 'mobilePhone', values: { HR: 'People' }, otherwise: 'Others' }, undefined],
    [{ map: 'jobTitle', values: { HR: 'People' }, otherwise: 'Others' }, undefined],
    [{ map: 'accountEnabled', values: { true: 'on', false: 'off' } }, 'on'],
    [{ map: { constant: 7 }, values: { 7: ['seven'] } }, ['seven']],
    [{ map: { constant: 'constructor' }, values: {} }, undefined],
    [{ map: 'businessPhones', values: { '+1 425': 'x' }, otherwise: 'y' }, undefined],
    [{ map: 'employeeOrgData', values: {}, otherwise: 'y' }, undefined],

    [{ lower: 'mail' }, ' adele@contoso.com '],
    [{ trim: 'mail' }, 'Adele@Contoso.COM'],
    [{ trim: { lower: 'mail' } }, 'adele@contoso.com'],
    [{ lower: 'proxyAddresses' }, ['smtp:a@b', 'smtp:c@d']],
    [{ lower: 'accountEnabled' }, true],
    [{ lower: 'employeeOrgData' }, { division: 'Retail', costCenter: null }],
    [{ trim: 'mobilePhone' }, undefined],
    [{ trim: { constant: '  ' } }, ''],
    [{ first: [{ trim: { constant: '  ' } }, 'department'] }, 'HR'],
    [{ lower: { join: [{ first: ['mobilePhone', 'givenName'] }, 'surname'], with: '.' } }, 'adele.vance'],
  ])('%j is %j', (written, expected) => {
    expect(value(written)).toEqual(expected);
  });

  test('is the same for any order of its keys, and with its defaults written out', () => {
    const one = { map: 'department', values: { b: 1, a: 2 }, otherwise: 3 };
    const other = { otherwise: 3, values: { a: 2, b: 1 }, map: 'department' };
    expect(JSON.stringify(parseExpression(one))).toBe(JSON.stringify(parseExpression(other)));
    const joined = parseExpression({ join: ['mail'] });
    expect(JSON.stringify(joined)).toBe(JSON.stringify(parseExpression({ with: ' ', join: ['mail'] })));
  });

  test('is a defect if it is invalid and was not checked', () => {
    expect(() => parseExpression('not a path')).toThrow('unchecked path "not a path"');
  });
});

describe('for any source document', () => {
  const sources = fc.dictionary(
    fc.constantFrom(
      'jobTitle',
      'mail',
      'businessPhones',
      'accountEnabled',
      'employeeOrgData',
      'onPremisesExtensionAttributes',
      'assignedLicenses',
      'extension_0123456789abcdef0123456789abcdef_shoeSize',
      'constructor',
      '__proto__',
    ),
    fc.oneof(fc.jsonValue(), fc.constantFrom('Sales', 'HR', ['+1', ''], [{ skuId: 'x' }, { skuId: 'y' }])),
  ) as fc.Arbitrary<Source>;

  test('the mapping never throws and returns JSON without nulls', () => {
    fc.assert(
      fc.property(writtenExpressions, sources, (written, source) => {
        const mapped = mapUser(source, [{ field: 'x', from: parseExpression(written) }]);
        expect(Object.values(mapped)).not.toContain(null);
        expect(Object.values(mapped)).not.toContain(undefined);
        expect(() => JSON.stringify(mapped)).not.toThrow();
      }),
    );
  });

  test('the selected properties cover what the mapping reads', () => {
    fc.assert(
      fc.property(writtenExpressions, sources, (written, source) => {
        const fields = [{ field: 'x', from: parseExpression(written) }];
        const selected = selectedProperties({ fields, scope: anyScope });
        const seen = Object.fromEntries(Object.entries(source).filter(([property]) => selected.includes(property)));
        expect(mapUser(seen, fields)).toEqual(mapUser(source, fields));
      }),
    );
  });

  test('the value has the derived type, if Graph keeps to its catalogue', () => {
    const right = fc.record(
      {
        jobTitle: fc.string(),
        mail: fc.string(),
        businessPhones: fc.array(fc.string(), { maxLength: 3 }),
        accountEnabled: fc.boolean(),
        employeeOrgData: fc.record({ division: fc.string() }),
        onPremisesExtensionAttributes: fc.record({ extensionAttribute3: fc.string() }),
        assignedLicenses: fc.array(fc.record({ skuId: fc.string() }), { maxLength: 3 }),
      },
      { requiredKeys: [] },
    ) as fc.Arbitrary<Source>;
    fc.assert(
      fc.property(writtenExpressions, right, (written, source) => {
        const expression = parseExpression(written);
        const type = valueTypeOf(expression);
        const got = evaluate(expression, source);
        if (got !== undefined && type !== 'any') expect(typeOf(got)).toBe(type);
      }),
    );
  });
});

function typeOf(got: Json): ValueType {
  if (Array.isArray(got)) return got.every((item) => typeof item === 'string') ? 'text[]' : 'any';
  if (typeof got === 'number' || typeof got === 'boolean') return typeof got as ValueType;
  return typeof got === 'string' ? 'text' : 'any';
}

describe('the type of its values', () => {
  test.each<[WrittenExpression, ValueType]>([
    ['jobTitle', 'text'],
    ['businessPhones', 'text[]'],
    ['businessPhones[0]', 'text'],
    ['accountEnabled', 'boolean'],
    ['employeeHireDate', 'text'],
    ['employeeOrgData', 'any'],
    ['employeeOrgData.division', 'text'],
    ['assignedLicenses', 'any'],
    ['assignedLicenses[0].disabledPlans', 'text[]'],
    ['serviceProvisioningErrors[0].isResolved', 'boolean'],
    ['extension_0123456789abcdef0123456789abcdef_shoeSize', 'any'],
    [{ first: ['jobTitle', 'businessPhones[0]'] }, 'text'],
    [{ first: ['businessPhones', 'otherMails'] }, 'text[]'],
    [{ first: ['jobTitle', 'businessPhones'] }, 'any'],
    [{ join: ['accountEnabled', 'businessPhones'] }, 'text'],
    [{ constant: 'x' }, 'text'],
    [{ constant: 1 }, 'number'],
    [{ constant: true }, 'boolean'],
    [{ constant: [] }, 'text[]'],
    [{ map: 'accountEnabled', values: { true: 'on' } }, 'text'],
    [{ map: 'jobTitle', values: { a: 1 }, otherwise: 2 }, 'number'],
    [{ map: 'jobTitle', values: { a: 1 }, otherwise: 'x' }, 'any'],
    [{ map: 'jobTitle', values: {} }, 'any'],
    [{ lower: 'mail' }, 'text'],
    [{ lower: 'proxyAddresses' }, 'text[]'],
    [{ trim: 'accountEnabled' }, 'boolean'],
    [{ trim: { first: ['jobTitle', 'accountEnabled'] } }, 'any'],
  ])('of %j is %s', (written, type) => {
    expect(valueTypeOf(parseExpression(written))).toBe(type);
  });
});

describe('the properties it reads', () => {
  test.each<[WrittenExpression, string[]]>([
    ['employeeOrgData.division', ['employeeOrgData']],
    [
      { first: ['businessPhones[0]', { join: ['mail', 'businessPhones[1]'] }] },
      ['businessPhones', 'mail', 'businessPhones'],
    ],
    [{ map: { lower: { trim: 'department' } }, values: { a: 'surname' } }, ['department']],
    [{ constant: 'mail' }, []],
  ])('%j: %j', (written, roots) => {
    expect(rootsOf(parseExpression(written))).toEqual(roots);
  });
});
