// The scope by the properties of a user: every operator with every kind of value, globs, the kinds of users, narrowing.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { agentType, type Json, type Source, typeProperty } from '../../src/rules/decode.ts';
import { folded, matchesGlob } from '../../src/rules/glob.ts';
import {
  type Condition,
  conditionName,
  holds,
  movedConditions,
  narrowing,
  outsideOf,
  propertiesOfScope,
  type Scope,
} from '../../src/rules/scope.ts';
import { anyScope } from '../support/scope.ts';

const id = '3f1c6e0a-9a55-4f7e-8e21-2f9b1c547a8e';
const other = '8a2f5f0e-1c7b-4e0c-9d27-5b7f0b6d9e11';
const among = { in: ['it', 'sales'] } as const;
const notAmong = { notIn: ['it', 'sales'] } as const;
const glob = { matches: 'sa*' } as const;
const present = { exists: true } as const;
const absent = { exists: false } as const;

describe('rule 35: a condition', () => {
  // in, notIn, matches, exists: true, exists: false
  test.each<[string, string, Source, string]>([
    ['is met by a value', 'department', { department: 'Sales' }, '+-++-'],
    ['ignores case', 'department', { department: 'SALES' }, '+-++-'],
    ['is not met by another value', 'department', { department: 'Board' }, '-+-+-'],
    ['is not met by a part of a value', 'department', { department: 'Its' }, '-+-+-'],
    ['takes absent', 'department', {}, '-+--+'],
    ['takes null', 'department', { department: null }, '-+--+'],
    ['takes an empty text', 'department', { department: '' }, '-+--+'],
    ['takes an empty list', 'otherMails', { otherMails: [] }, '-+--+'],
    ['takes a list of nothing', 'otherMails', { otherMails: ['', null] }, '-+--+'],
    ['needs one item of a list', 'otherMails', { otherMails: ['x', 'sales'] }, '+-++-'],
    ['needs one item, and notIn none', 'otherMails', { otherMails: ['x', 'y'] }, '-+-+-'],
    ['takes all items by [*]', 'otherMails[*]', { otherMails: ['x', 'it'] }, '+--+-'],
    ['takes one item by its number', 'otherMails[0]', { otherMails: ['x', 'it'] }, '-+-+-'],
    ['takes an item that is not there', 'otherMails[7]', { otherMails: ['it'] }, '-+--+'],
    ['goes into lists', 'assignedLicenses[*].skuId', { assignedLicenses: [{ skuId: 'A' }, { skuId: 'IT' }] }, '+--+-'],
    ['goes into lists that are not there', 'assignedLicenses[*].skuId', {}, '-+--+'],
    ['goes into lists of lists', 'a[*].b', { a: [{ b: [] }, { b: ['it'] }] }, '+--+-'],
    ['goes into objects', 'employeeOrgData.division', { employeeOrgData: { division: 'IT' } }, '+--+-'],
    ['takes an object as a value that is there', 'employeeOrgData', { employeeOrgData: { division: '' } }, '-+-+-'],
    ['takes an empty object', 'employeeOrgData', { employeeOrgData: {} }, '-+--+'],
    ['takes a text where it wants parts', 'department[*].skuId', { department: 'IT' }, '-+--+'],
    ['has own properties alone', 'constructor', {}, '-+--+'],
  ])('%s', (_what, property, source, expected) => {
    const all = [among, notAmong, glob, present, absent].map((test): Condition => ({ property, ...test }));
    expect(all.map((one) => (holds(one, source) ? '+' : '-')).join('')).toBe(expected);
  });

  test.each<[string, Json, boolean]>([
    ['accountEnabled', false, true],
    ['accountEnabled', true, false],
    ['size', 7, true],
    ['size', 70, false],
  ])('compares %s as it is written: %j', (property, value, met) => {
    expect(holds({ property, in: ['false', '7'] }, { [property]: value })).toBe(met);
  });

  test.each([
    ['é', 'É'],
    ['cafe\u0301', 'CAFÉ'],
  ])('%j and %j are the same', (one, other) => {
    expect(holds({ property: 'city', in: [folded(one)] }, { city: other })).toBe(true);
    expect(holds({ property: 'city', matches: folded(`${one}*`) }, { city: other })).toBe(true);
  });
});

describe('rule 35: a glob', () => {
  test.each([
    ['*@contoso.com', 'ann@contoso.com', true],
    ['*@contoso.com', 'ann@contoso.com.evil', false],
    ['*', '', true],
    ['?', '', false],
    ['a?c', 'abc', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['**a**', 'bab', true],
    ['[a]', 'a', false],
    ['a.c', 'abc', false],
  ])('%j and %j: %j', (pattern, text, expected) => {
    expect(matchesGlob(text, pattern)).toBe(expected);
  });

  test('is what a regular expression says', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 12 });
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '.'), maxLength: 8 });
    fc.assert(
      fc.property(text, pattern, (one, written) => {
        const source = written.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.');
        expect(matchesGlob(one, written)).toBe(new RegExp(`^${source}$`, 's').test(one));
      }),
    );
  });

  test('takes a time that grows with the text alone, however many stars there are', () => {
    const steps = (length: number, stars: number) => {
      let read = 0;
      const text = {
        length,
        charCodeAt: () => {
          read += 1;
          return 'a'.charCodeAt(0);
        },
      };
      expect(matchesGlob(text as unknown as string, `${'*a'.repeat(stars)}b`)).toBe(false);
      return read;
    };
    expect(steps(4_000, 20) / steps(1_000, 20)).toBeLessThan(4.5);
    expect(steps(1_000, 100)).toBeLessThan(1_000 * 201);
  });
});

describe('rule 35: the kinds of users', () => {
  const guest = 'eve_x.example#EXT#@contoso.example';
  const of = (scope: Partial<Scope>, source: Source) => {
    const found = outsideOf({ id, source }, { ...anyScope, ...scope }, 'suspend');
    return found && `${conditionName(found.condition)}: ${found.why}`;
  };
  const external = { external: 'exclude' } as const;
  const domains = { domains: ['contoso.example'] };
  test.each<[string, Partial<Scope>, Source, string | null]>([
    [
      'an invited user',
      external,
      { userPrincipalName: guest },
      `scope.external: the user is of another tenant: userPrincipalName is "${guest}"`,
    ],
    ['an invited user in another case', external, { userPrincipalName: guest.toLowerCase() }, expect.any(String)],
    [
      'a converted user',
      external,
      { creationType: 'Invitation', externalUserState: 'Accepted' },
      'scope.external: the user is of another tenant: creationType is "Invitation", externalUserState is "Accepted"',
    ],
    ['a state alone', external, { externalUserState: 'Accepted' }, null],
    ['an invitation alone', external, { creationType: 'Invitation' }, null],
    ['a user of the tenant', external, { userPrincipalName: 'ann@contoso.example' }, null],
    [
      'an agent',
      { agents: 'exclude' },
      { [typeProperty]: agentType },
      'scope.agents: the user is an agent: @odata.type is "#microsoft.graph.agentUser"',
    ],
    ['an agent that is wanted', { agents: 'include' }, { [typeProperty]: agentType }, null],
    ['no agent', { agents: 'exclude' }, {}, null],
    ['mail of the domain', domains, { mail: 'a@CONTOSO.example', userPrincipalName: 'a@x.example' }, null],
    ['mail of another', domains, { mail: 'a@x.example', userPrincipalName: 'a@contoso.example' }, expect.any(String)],
    ['no mail', domains, { userPrincipalName: 'a@contoso.example' }, null],
    ['no address', domains, {}, 'scope.domains: the domain is ""'],
    ['a subdomain', domains, { mail: 'a@b.contoso.example' }, 'scope.domains: the domain is "b.contoso.example"'],
    ['a user who is named', { except: [id] }, {}, 'scope.except: the user is named there'],
    ['another user', { except: [id.replace('3', '4')] }, {}, null],
  ])('%s', (_who, scope, source, expected) => {
    expect(of(scope, source)).toEqual(expected);
  });

  test('the first condition that fails is named, with the value that failed it', () => {
    const where: Condition[] = [
      { property: 'mail', exists: true },
      { property: 'department', in: ['it'] },
      { property: 'businessPhones', notIn: ['+1'] },
    ];
    expect(of({ where }, { department: 'IT' })).toBe('scope.where[0]: mail has no value');
    expect(of({ where }, { mail: 'a@b', department: 'Sales' })).toBe('scope.where[1]: department is "Sales"');
    expect(of({ where }, { mail: 'a@b', department: 'it', businessPhones: ['+2', '+1', '+3', '+4'] })).toBe(
      'scope.where[2]: businessPhones is "+2", "+1", "+3", …',
    );
    expect(of({ where }, { mail: 'a@b', department: 'it' })).toBeNull();
  });

  test('only the properties that are asked for are selected', () => {
    const where: Condition[] = [{ property: 'assignedLicenses[*].skuId', exists: true }];
    expect(propertiesOfScope({ ...anyScope, where, external: 'exclude' })).toEqual([
      ...['creationType', 'externalUserState', 'assignedLicenses'],
    ]);
    expect(propertiesOfScope(anyScope)).toEqual([]);
  });
});

describe('rule 35: a narrower scope', () => {
  const texts = fc.subarray(['a', 'b', 'c'], { minLength: 1 });
  const property = fc.constantFrom('department', 'jobTitle');
  const condition: fc.Arbitrary<Condition> = fc.oneof(
    fc.record({ property, in: texts }),
    fc.record({ property, notIn: texts }),
    fc.record({ property, matches: fc.constantFrom('a*', '*') }),
    fc.record({ property, exists: fc.boolean() }),
  );
  const scope: fc.Arbitrary<Scope> = fc.record({
    userTypes: fc.constantFrom<Scope['userTypes']>('any', ['member'], ['guest'], ['guest', 'member']),
    accountEnabled: fc.constantFrom<Scope['accountEnabled']>('any', true, false),
    external: fc.constantFrom('include' as const, 'exclude' as const),
    agents: fc.constantFrom('include' as const, 'exclude' as const),
    domains: fc.subarray(['x.example', 'y.example']),
    where: fc.array(condition, { maxLength: 3 }),
    except: fc.subarray([id]),
    groups: fc.constant([]),
  });
  const source: fc.Arbitrary<Source> = fc.record(
    {
      ...{ department: fc.constantFrom('a', 'b', ''), jobTitle: fc.constantFrom('a', 'c') },
      ...{ userType: fc.constantFrom('Member', 'Guest'), accountEnabled: fc.boolean() },
      mail: fc.constantFrom('a@x.example', 'a@y.example'),
      userPrincipalName: fc.constantFrom('a@x.example', 'a_z#EXT#@y.example'),
      [typeProperty]: fc.constant(agentType),
    },
    { requiredKeys: [] },
  );

  test('takes no user that the wider one leaves out', () => {
    let narrower = 0;
    fc.assert(
      fc.property(scope, scope, fc.array(source, { maxLength: 8 }), fc.boolean(), (one, other, sources, isPart) => {
        const after = isPart ? { ...one, where: [...other.where, ...one.where], except: [id] } : other;
        if (narrowing(one, after) === undefined) return;
        narrower += 1;
        for (const each of sources) {
          const user = { id, source: each };
          if (outsideOf(user, one, 'suspend')) expect(outsideOf(user, after, 'suspend')).not.toBeNull();
        }
      }),
    );
    expect(narrower).toBeGreaterThan(10);
  });

  test.each<[string, Partial<Scope>, Partial<Scope>, boolean]>([
    ['the same', {}, {}, true],
    ['one type of two', { userTypes: ['guest', 'member'] }, { userTypes: ['member'] }, true],
    ['another type', { userTypes: ['guest'] }, { userTypes: ['member'] }, false],
    ['no agents any more', { agents: 'include' }, { agents: 'exclude' }, true],
    ['agents too', { agents: 'exclude' }, { agents: 'include' }, false],
    ['a domain where there was none', {}, { domains: ['a.example'] }, true],
    ['any domain', { domains: ['a.example'] }, {}, false],
    ['one more condition', {}, { where: [{ property: 'mail', exists: true }] }, true],
    ['a condition less', { where: [{ property: 'mail', exists: true }] }, {}, false],
    ['fewer values', { where: [{ property: 'a', in: ['x', 'y'] }] }, { where: [{ property: 'a', in: ['x'] }] }, true],
    [
      'fewer others',
      { where: [{ property: 'a', notIn: ['x', 'y'] }] },
      { where: [{ property: 'a', notIn: ['x'] }] },
      false,
    ],
    ['a user less', {}, { except: [id] }, true],
    ['a user more', { except: [id] }, {}, false],
    ['a scope group where there was none', {}, { groups: [id] }, true],
    ['a scope group less', { groups: [id, other] }, { groups: [id] }, true],
    ['a scope group more', { groups: [id] }, { groups: [id, other] }, false],
    ['another scope group', { groups: [id] }, { groups: [other] }, false],
    ['no scope group any more', { groups: [id] }, { groups: [] }, false],
  ])('%s', (_what, before, after, expected) => {
    expect(narrowing({ ...anyScope, ...before }, { ...anyScope, ...after }) !== undefined).toBe(expected);
  });

  test('tells where each condition went', () => {
    const [one, two]: [Condition, Condition] = [
      { property: 'a', exists: true },
      { property: 'b', exists: true },
    ];
    const places = narrowing({ ...anyScope, where: [one, two] }, { ...anyScope, where: [two, one] }) ?? [];
    expect(places).toEqual([1, 0]);
    expect(movedConditions(places)).toEqual([
      { was: 100, now: 101 },
      { was: 101, now: 100 },
    ]);
    expect(conditionName(101)).toBe('scope.where[1]');
  });
});
