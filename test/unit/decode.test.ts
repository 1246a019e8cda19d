// Decoding of undocumented pages: odd JSON, links and values. None of them may stop a round (rule 19).
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asGuid, type DeltaPage, decodeObject, decodePage, objectsOf } from '../../src/rules/decode.ts';
import { decodeGroup } from '../../src/rules/groups.ts';
import { allProperties } from './graph-examples.ts';

const id = '87d349ed-44d7-43e1-9a83-5f2406dee5bd';
const next = 'https://graph.microsoft.com/v1.0/users/delta?$skiptoken=abc';
const delta = 'https://graph.microsoft.com/v1.0/users/delta?$deltatoken=abc';

function page(value: unknown, more: object = { '@odata.deltaLink': delta }): DeltaPage {
  const decoded = decodePage({ value, ...more }, allProperties);
  if ('malformed' in decoded) throw new Error(decoded.malformed);
  return decoded;
}

/** Lists the places in a value that Postgres refuses in jsonb or text. */
function refusedByPostgres(value: unknown, place = 'value'): string[] {
  if (typeof value === 'string') return value.includes('\0') || !value.isWellFormed() ? [place] : [];
  if (typeof value === 'number') return Number.isFinite(value) ? [] : [place];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => [
    ...refusedByPostgres(key, `key of ${place}`),
    ...refusedByPostgres(item, `${place}.${key}`),
  ]);
}

const oddText = fc.string({ unit: fc.constantFrom('a', '\0', '\ud800', '\udc00', '😀', '\n', 'ü'), maxLength: 80 });
const oddValue = fc.oneof(
  oddText,
  fc.jsonValue(),
  fc.constantFrom(null, true, 1e308, Number.POSITIVE_INFINITY, Number.NaN, [], {}, [null], { '\0': 1 }, ['\ud800']),
  fc.array(oddText, { maxLength: 3 }),
  fc.dictionary(oddText, oddText, { maxKeys: 3 }),
);
const oddUser = fc.record(
  {
    id: fc.oneof({ weight: 4, arbitrary: fc.uuid() }, oddText, fc.jsonValue()),
    '@removed': fc.oneof(fc.constant({ reason: 'deleted' }), fc.jsonValue()),
    displayName: oddValue,
    businessPhones: oddValue,
    employeeOrgData: oddValue,
    accountEnabled: oddValue,
    favouriteColour: oddValue,
  },
  { requiredKeys: ['id'] },
);
const oddItem = fc.oneof({ weight: 4, arbitrary: oddUser }, fc.jsonValue(), fc.constantFrom(null, [], 0, ''));
const oddLink = fc.oneof(fc.constantFrom(next, ''), oddText, fc.jsonValue());
const oddPage = fc.record(
  {
    value: fc.oneof({ weight: 4, arbitrary: fc.array(oddItem, { maxLength: 6 }) }, fc.jsonValue()),
    '@odata.nextLink': oddLink,
    '@odata.deltaLink': oddLink,
    error: fc.jsonValue(),
  },
  { requiredKeys: [] },
);
const goodPage = fc.record({
  value: fc.array(oddItem, { maxLength: 10 }),
  '@odata.deltaLink': fc.constant(delta),
});

describe('rule 19: any page is decoded', () => {
  test('never throws, whatever the JSON', () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), oddPage, goodPage), (body) => {
        expect(() => decodePage(body, allProperties)).not.toThrow();
      }),
      { numRuns: 500 },
    );
  });

  test('every object of the page is an occurrence or a problem', () => {
    fc.assert(
      fc.property(goodPage, ({ value }) => {
        const { occurrences, problems } = page(value);
        expect(objectsOf({ occurrences, problems })).toBe(value.length);
      }),
      { numRuns: 300 },
    );
  });

  test('Postgres accepts the result, with the link and the keys of the problems', () => {
    fc.assert(
      fc.property(fc.oneof(goodPage, oddPage), (body) => {
        const decoded = decodePage(body, allProperties);
        expect(refusedByPostgres(decoded)).toEqual([]);
        // Minus zero is the one number that JSON does not preserve.
        const zeroless = (text: string) => JSON.parse(text, (_, value) => (Object.is(value, -0) ? 0 : value));
        expect(JSON.stringify(zeroless(JSON.stringify(decoded)))).toBe(JSON.stringify(decoded));
      }),
      { numRuns: 500 },
    );
  });

  test('a property that was not selected is ignored, whatever its value', () => {
    fc.assert(
      fc.property(fc.string(), oddValue, (name, value) => {
        fc.pre(!allProperties.has(name) && name !== 'id' && name !== '@removed' && name !== '__proto__');
        const user = { id, displayName: 'Adele' };
        expect(decodeObject({ ...user, [name]: value }, allProperties)).toEqual({
          id,
          patch: { displayName: 'Adele' },
        });
      }),
    );
  });

  test('one bad object spoils no other', () => {
    const other = '605d1257-ffff-40b6-8e6f-528a53f5dc55';
    const { occurrences, problems } = page([
      { id, mail: 'a\0b' },
      { id: other, displayName: 'Delia' },
    ]);
    expect(occurrences).toEqual([{ id: other, patch: { displayName: 'Delia' } }]);
    expect(problems).toEqual([{ key: id, id, reason: 'mail holds a NUL character' }]);
  });
});

describe('rule 19: an unreadable property does not spoil the rest of its object', () => {
  test('it is a problem of its own, under the id and its name', () => {
    const { occurrences, problems } = page([{ id, mobilePhone: 4420, accountEnabled: false, city: '\0' }]);
    const odd = { mobilePhone: 'mobilePhone is not of the type string', city: 'city holds a NUL character' };
    expect(occurrences).toEqual([{ id, patch: { accountEnabled: false }, odd }]);
    expect(problems.toSorted((one, other) => one.key.localeCompare(other.key))).toEqual([
      { key: `${id}/city`, reason: odd.city },
      { key: `${id}/mobilePhone`, reason: odd.mobilePhone },
    ]);
    expect(objectsOf({ occurrences, problems })).toBe(1);
  });

  test('the last occurrence on a page counts', () => {
    const [odd, well] = [
      { id, mobilePhone: 4420 },
      { id, mobilePhone: null },
    ];
    expect(page([odd, well]).problems).toEqual([]);
    expect(page([well, odd]).problems).toHaveLength(1);
  });

  test.each(['userPrincipalName', 'mail', 'accountEnabled', 'userType'])(
    'an unreadable %s sets the user aside',
    (key) => {
      const { occurrences, problems } = page([{ id, [key]: 7, city: 'Oslo' }]);
      expect({ occurrences, ids: problems.map((problem) => problem.id) }).toEqual({ occurrences: [], ids: [id] });
    },
  );

  test.each(['displayName', 'mailEnabled', 'securityEnabled', 'groupTypes'])(
    'an unreadable %s sets the group aside',
    (key) => {
      expect(decodeGroup({ id, [key]: 7 })).toMatchObject({ key: id, id });
      expect(decodeGroup({ id, description: 7, [key]: null })).toEqual({
        id,
        patch: { [key]: null },
        odd: { description: 'description is not of the type string' },
      });
    },
  );

  test('an object that is too large loses its largest properties', () => {
    const phones = Array(20).fill('x'.repeat(20_000));
    expect(decodeObject({ id, businessPhones: phones, city: 'Oslo' }, allProperties)).toEqual({
      id,
      patch: { city: 'Oslo' },
      odd: { businessPhones: 'businessPhones makes the object larger than 262144 characters' },
    });
  });

  test.each([
    ['13 texts of 20,000 letters', Array(13).fill('x'.repeat(20_000)), false],
    ['14 of them', Array(14).fill('x'.repeat(20_000)), true],
    ['7 texts of 20,000 quotation marks, which take two characters each', Array(7).fill('"'.repeat(20_000)), true],
    ['3 texts of 20,000 control characters, which take six', Array(3).fill('\u0001'.repeat(20_000)), true],
    ['2 of them', Array(2).fill('\u0001'.repeat(20_000)), false],
  ])('the length of an object is that of its JSON: %s', (_, businessPhones, isTooLarge) => {
    const { patch } = decodeObject({ id, businessPhones, city: 'Oslo' }, allProperties) as { patch: object };
    expect('businessPhones' in patch).toBe(!isTooLarge);
  });
});

describe('a body that is not a page', () => {
  test.each([
    ['null', null, 'not a JSON object'],
    ['a list', [], 'not a JSON object'],
    ['a text', 'value', 'not a JSON object'],
    ['an error object in a 200', { error: { code: 'x' }, value: [], '@odata.nextLink': next }, 'error object'],
    ['no value', { '@odata.nextLink': next }, 'no value array'],
    ['a value that is not a list', { value: {}, '@odata.nextLink': next }, 'no value array'],
    ['neither link', { value: [] }, 'neither'],
    ['empty links', { value: [], '@odata.nextLink': '', '@odata.deltaLink': '' }, 'neither'],
    ['a link that is not a text', { value: [], '@odata.nextLink': 7 }, 'neither'],
    ['both links', { value: [], '@odata.nextLink': next, '@odata.deltaLink': delta }, 'both'],
    ['a link with a NUL', { value: [], '@odata.nextLink': `${next}\0` }, 'not printable text'],
    ['a link with a line break', { value: [], '@odata.deltaLink': `${delta}\r\nx: y` }, 'not printable text'],
    ['a link with half a surrogate pair', { value: [], '@odata.deltaLink': `${delta}\ud800` }, 'not printable text'],
  ])('%s is malformed', (_, body, reason) => {
    expect(decodePage(body, allProperties)).toEqual({ malformed: expect.stringContaining(reason) });
  });

  test('inherited properties do not count', () => {
    const body = JSON.parse(`{"__proto__":{"value":[],"@odata.nextLink":"${next}"}}`);
    expect(decodePage(body, allProperties)).toHaveProperty('malformed');
  });

  test.each([
    ['a null beside the next link', { '@odata.nextLink': next, '@odata.deltaLink': null }, { next }],
    ['a null beside the delta link', { '@odata.nextLink': null, '@odata.deltaLink': delta }, { delta }],
  ])('%s does not count', (_, links, link) => {
    expect(page([], links).link).toEqual(link);
  });
});

describe('ids', () => {
  test('are kept in lower case', () => {
    expect(page([{ id: id.toUpperCase() }]).occurrences).toEqual([{ id, patch: {} }]);
  });

  test.each([
    '',
    '1',
    'adele@contoso.com',
    `{${id}}`,
    `${id}0`,
    id.slice(1),
    id.replaceAll('-', ''),
    ` ${id}`,
    `${id}\n`,
  ])('%j is not a GUID', (text) => {
    expect(asGuid(text)).toBeUndefined();
    expect(decodeObject({ id: text }, allProperties)).toMatchObject({ reason: 'its id is not a GUID' });
  });

  test.each([undefined, null, 5, ['x'], {}])('%j is not an id', (value) => {
    expect(decodeObject({ id: value }, allProperties)).toEqual({ key: '(no id)', reason: 'it has no id' });
  });

  test('a bad id is shortened and cleaned for the list of set-aside objects', () => {
    const shown = (text: string) => decodeObject({ id: text }, allProperties);
    expect(shown('a\0b\u001b[31m')).toMatchObject({ key: 'a?b?[31m' });
    expect(shown('x'.repeat(1_000_000))).toMatchObject({ key: 'x'.repeat(64) });
    expect(shown('')).toMatchObject({ key: '(empty id)' });
  });

  test('the cut leaves no half of a surrogate pair, for which Postgres would refuse the page', () => {
    const problem = decodeObject({ id: `${'x'.repeat(63)}😀` }, allProperties);
    expect(refusedByPostgres(problem)).toEqual([]);
  });
});

describe('removed objects', () => {
  test.each([
    [{ reason: 'deleted' }, 'deleted'],
    [{ reason: 'changed' }, 'deleted_restorable'],
    // Any other reason counts as restorable.
    [{ reason: 'something new' }, 'deleted_restorable'],
    [{}, 'deleted_restorable'],
  ])('%j is %s', (removed, expected) => {
    expect(page([{ id, '@removed': removed }]).occurrences).toEqual([{ id, removed: expected }]);
  });

  test('rule 19: @removed must be an object: null is ignored, any other value is unreadable', () => {
    expect(page([{ id, '@removed': null, displayName: 'Ada' }]).occurrences).toEqual([
      { id, patch: { displayName: 'Ada' } },
    ]);
    for (const odd of ['deleted', false, 0]) {
      const { occurrences, problems } = page([{ id, '@removed': odd, displayName: 'Ada' }]);
      expect({ occurrences, ids: problems.map((problem) => problem.id) }).toEqual({ occurrences: [], ids: [id] });
    }
  });

  test('an unreadable property beside @removed does not matter', () => {
    expect(page([{ id, '@removed': { reason: 'deleted' }, displayName: 7 }]).problems).toEqual([]);
  });
});

describe('values', () => {
  const reason = (user: object) => {
    const decoded = decodeObject({ id, ...user }, allProperties);
    if ('reason' in decoded) return decoded.reason;
    return 'odd' in decoded ? Object.values(decoded.odd ?? {})[0] : undefined;
  };
  const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: deep(levels - 1) });

  test.each([
    ['displayName', 7, 'displayName is not of the type string'],
    ['displayName', ['x'], 'displayName is not of the type string'],
    ['accountEnabled', 'true', 'accountEnabled is not of the type boolean'],
    ['businessPhones', '+1', 'businessPhones is not of the type string[]'],
    ['businessPhones', ['+1', null], 'businessPhones is not of the type string[]'],
    ['employeeOrgData', [], 'employeeOrgData is not of the type object'],
    ['identities', [1], 'identities is not of the type object[]'],
    ['displayName', '\ud800', 'displayName holds half a surrogate pair'],
    ['displayName', 'a\0', 'displayName holds a NUL character'],
    ['displayName', 'x'.repeat(1_048_576), 'displayName is longer than 32768 characters'],
    ['mail', 'x'.repeat(2_700), 'mail has 2700 characters, more than 320'],
    ['businessPhones', ['ok', '\0'], 'businessPhones holds a NUL character'],
    ['businessPhones', Array(2_001).fill(''), 'businessPhones has too many items'],
    ['employeeOrgData', { '\0': 1 }, 'employeeOrgData holds a NUL character'],
    ['employeeOrgData', { a: Number.POSITIVE_INFINITY }, 'employeeOrgData has a number out of range'],
    ['employeeOrgData', deep(20), 'employeeOrgData is nested too deep'],
  ])('%s with odd value %# is unreadable: %3$s', (property, value, expected) => {
    expect(reason({ [property]: value })).toBe(expected);
  });

  test.each([
    ['displayName', 'x'.repeat(32_768)],
    ['displayName', ''],
    ['displayName', '😀'],
    ['businessPhones', []],
    ['businessPhones', Array(2_000).fill('')],
    ['employeeOrgData', deep(8)],
    ['accountEnabled', false],
    ['accountEnabled', null],
    ['businessPhones', null],
  ])('%s with value %# is accepted unchanged', (property, value) => {
    expect(decodeObject({ id, [property]: value }, allProperties)).toEqual({ id, patch: { [property]: value } });
  });

  test('a number that JSON allows but no double holds is unreadable', () => {
    expect(reason(JSON.parse('{"employeeOrgData":{"a":1e999}}'))).toBe('employeeOrgData has a number out of range');
  });

  test('__proto__ and constructor are ordinary names, at every level', () => {
    const text = `{"id":"${id}","__proto__":{"displayName":"forged"},"constructor":{"name":"x"},"toString":1}`;
    expect(decodeObject(JSON.parse(text), allProperties)).toEqual({ id, patch: {} });
    const nested = decodeObject(
      JSON.parse(`{"id":"${id}","employeeOrgData":{"__proto__":{"a":1},"constructor":2}}`),
      allProperties,
    );
    expect(JSON.stringify(nested)).toContain('"employeeOrgData":{"__proto__":{"a":1},"constructor":2}');
    expect(({} as { displayName?: unknown }).displayName).toBeUndefined();
  });

  test('a page of a thousand users with a text of 1 MB each is a thousand problems', () => {
    const large = 'x'.repeat(1_048_576);
    const { problems } = page(Array.from({ length: 1_000 }, () => ({ id, mail: large })));
    expect(problems).toHaveLength(1_000);
    expect(JSON.stringify(problems).length).toBeLessThan(1_000_000);
  });
});
