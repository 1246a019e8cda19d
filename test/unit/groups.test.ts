// Groups pages decoded as the index of the examples describes them, a group's columns, and scope by a user's
// properties.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Source } from '../../src/rules/decode.ts';
import {
  decodeGroupsPage,
  decodeMember,
  type GroupsPage,
  groupColumns,
  groupProperties,
  requiredGroupProperties,
} from '../../src/rules/groups.ts';
import { mergeObjects } from '../../src/rules/merge.ts';
import { outsideOf } from '../../src/rules/scope.ts';
import { anyScope } from '../support/scope.ts';
import { exampleBody, graphExamples } from './graph-examples.ts';

function decode(body: unknown): GroupsPage {
  const page = decodeGroupsPage(body);
  if ('malformed' in page) throw new Error(page.malformed);
  return page;
}

/** Returns each membership of a page as "group member type", with a minus in front if it ended. */
const told = ({ members }: GroupsPage): string[] =>
  members.map(({ groupId, memberId, type, removed }) => `${removed ? '-' : ''}${groupId} ${memberId} ${type}`).sort();

type Expected = {
  file: string;
  says: string;
  ends: 'next' | 'delta';
  live?: Record<string, Record<string, unknown>>;
  removed?: Record<string, string>;
  members?: string[];
  problems?: string[];
};

const groups: Expected[] = [
  {
    file: 'groups-01-first-round-page1-members.json',
    says: 'a group without members has no members@delta',
    ends: 'next',
    live: {
      'c2f798fd-f95d-4623-8824-63aec21fffff': {
        displayName: 'All Company',
        description: 'This is the default group for everyone in the network',
      },
      'ec22655c-8eb2-432a-b4ea-8b8a254bffff': { displayName: 'sg-HR', description: 'All HR personnel' },
    },
    members: [
      'c2f798fd-f95d-4623-8824-63aec21fffff 49320844-be99-4164-8167-87ff5d047ace u',
      'c2f798fd-f95d-4623-8824-63aec21fffff 693acd06-2877-4339-8ade-b704261fe7a0 u',
    ],
  },
  {
    file: 'groups-02-first-round-page2-members.json',
    says: 'one person may be a member of several groups',
    ends: 'next',
    live: {
      '2e5807ce-58f3-4a94-9b37-ffff2e085957': {
        displayName: 'Mark 8 Project Team',
        description: 'Mark 8 Project Team',
      },
      '421e797f-9406-4934-b778-4908421e3505': {
        displayName: 'Sales and Marketing',
        description: 'Sales and Marketing',
      },
    },
    members: [
      '2e5807ce-58f3-4a94-9b37-ffff2e085957 632f6bb2-3ec8-4c1f-9073-0027a8c68593 u',
      '421e797f-9406-4934-b778-4908421e3505 3c8ac7c4-d365-4df9-abfa-356a9dd7763c u',
      '421e797f-9406-4934-b778-4908421e3505 49320844-be99-4164-8167-87ff5d047ace u',
    ],
  },
  {
    file: 'groups-03-first-round-final-page-deltaLink.json',
    says: 'a description that was never set is absent, and the delta link ends the round',
    ends: 'delta',
    live: {
      'bed7f0d4-750e-4e7e-ffff-169002d06fc9': { displayName: 'All Employees' },
      '421e797f-9406-ffff-b778-4908421e3505': { displayName: 'Remote living', description: 'Remote living' },
    },
  },
  {
    file: 'groups-04-later-round-no-changes.json',
    says: 'a round without changes brings a new delta link',
    ends: 'delta',
  },
  {
    file: 'groups-05-later-round-member-removed-and-added.json',
    says: 'the member whose id is a digit short is set aside by itself, and spoils neither the group nor the other member',
    ends: 'delta',
    live: {
      '2e5807ce-58f3-4a94-9b37-ffff2e085957': {
        displayName: 'TestGroup3',
        description: 'A test group for change tracking',
      },
    },
    members: ['2e5807ce-58f3-4a94-9b37-ffff2e085957 37de1ae3-408f-4702-8636-20824abda004 u'],
    problems: ['2e5807ce-58f3-4a94-9b37-ffff2e085957/632f6bb2-3ec8-4c1f-9073-0027a8c6859'],
  },
  {
    file: 'groups-06-large-group-page1.json',
    says: 'a slice of a large group; the short id is set aside again',
    ends: 'next',
    live: {
      '2e5807ce-58f3-4a94-9b37-ffff2e085957': {
        displayName: 'LargeGroup',
        description: 'A group containing thousands of users',
      },
    },
    members: ['2e5807ce-58f3-4a94-9b37-ffff2e085957 37de1ae3-408f-4702-8636-20824abda004 u'],
    problems: ['2e5807ce-58f3-4a94-9b37-ffff2e085957/632f6bb2-3ec8-4c1f-9073-0027a8c6859'],
  },
  {
    file: 'groups-07-large-group-page2-same-group-other-members.json',
    says: 'another slice of the same group: one member removed, one added',
    ends: 'next',
    live: {
      '2e5807ce-58f3-4a94-9b37-ffff2e085957': {
        displayName: 'LargeGroup',
        description: 'A group containing thousands of users',
      },
    },
    members: [
      '-2e5807ce-58f3-4a94-9b37-ffff2e085957 c08a463b-7b8a-40a4-aa31-f9bf690b9551 u',
      '2e5807ce-58f3-4a94-9b37-ffff2e085957 23423fa6-821e-44b2-aae4-d039d33884c2 u',
    ],
  },
  {
    file: 'constructed-group-soft-and-hard-delete.json',
    says: 'a Microsoft 365 group can be restored, a security group cannot',
    ends: 'delta',
    removed: {
      'aaaaaaaa-0000-4000-8000-000000000001': 'deleted_restorable',
      'aaaaaaaa-0000-4000-8000-000000000002': 'deleted',
    },
  },
  {
    file: 'administrativeUnits-01-members-delta-users-and-groups.json',
    says: 'members that are groups are known as such, and properties that nobody selected are ignored',
    ends: 'next',
    live: { '8a07f5a8-edc9-4847-bbf2-dde106594bf4': { displayName: 'Management Fast Track', visibility: null } },
    members: [
      '8a07f5a8-edc9-4847-bbf2-dde106594bf4 5bde3e51-d13b-4db1-9948-fe4b109d11a7 u',
      '8a07f5a8-edc9-4847-bbf2-dde106594bf4 7e4ec76c-8276-43ef-ba10-9aaa197cb212 g',
      '8a07f5a8-edc9-4847-bbf2-dde106594bf4 801f2093-de7e-4883-a786-8a5f30874ff4 g',
      '8a07f5a8-edc9-4847-bbf2-dde106594bf4 b66ecf79-a093-4d51-86e0-efcc4531f37a u',
      '8a07f5a8-edc9-4847-bbf2-dde106594bf4 f5289423-7233-4d60-831a-fe107a8551cc u',
    ],
  },
];

// The documentation left out the ids; a real answer always has them.
const withoutId: Record<string, { live: Record<string, unknown>; members: string[] }> = {
  'groups-08-default-properties-no-select-with-members.json': {
    live: {
      displayName: 'All Company',
      description: 'This is the default group for everyone in the network',
      groupTypes: ['Unified'],
      mail: 'allcompany@contoso.com',
    },
    members: ['49320844-be99-4164-8167-87ff5d047ace', '693acd06-2877-4339-8ade-b704261fe7a0'],
  },
  'groups-09-select-three-default-response.json': {
    live: { displayName: 'All Company', description: null, mailNickname: 'allcompany@contoso.com' },
    members: [],
  },
  'groups-10-return-minimal-only-changed.json': { live: { displayName: 'Everyone', description: null }, members: [] },
};

describe('the documented groups pages', () => {
  test.each(groups)('$file: $says', ({ file, ends, live = {}, removed = {}, members = [], problems = [] }) => {
    const body = exampleBody(file) as Record<string, unknown>;
    const page = decode(body);
    expect(page.link).toEqual({ [ends]: body[`@odata.${ends}Link`] });
    const found = page.occurrences.map((one) => [one.id, 'patch' in one ? one.patch : one.removed]);
    expect(Object.fromEntries(found)).toEqual({ ...live, ...removed });
    expect(found).toHaveLength(Object.keys({ ...live, ...removed }).length);
    expect(told(page)).toEqual(members);
    expect(page.problems.map((problem) => problem.key)).toEqual(problems);
  });

  test.each(Object.entries(withoutId))('%s, with and without the omitted id', (file, expected) => {
    const body = exampleBody(file) as { value: object[] };
    expect(decode(body)).toMatchObject({ occurrences: [], members: [], problems: [{ reason: 'it has no id' }] });
    const id = 'aaaaaaaa-0000-4000-8000-0000000000aa';
    const page = decode({ ...body, value: body.value.map((group) => ({ id, ...group })) });
    expect(page.occurrences).toEqual([{ id, patch: expected.live }]);
    expect(told(page)).toEqual(expected.members.map((member) => `${id} ${member} u`));
  });

  test('every example is tested', () => {
    const files = graphExamples.map((one) => one.file).filter((file) => file.startsWith('groups-'));
    expect(files).toHaveLength(10);
    expect(files.filter((file) => !groups.some((one) => one.file === file) && !(file in withoutId))).toEqual([]);
  });

  test('a listing of members has ids and types, also for types that cannot be read', () => {
    const { value } = exampleBody('groupMembers-01-limited-information-for-unreadable-type.json') as {
      value: unknown[];
    };
    const groupId = 'aaaaaaaa-0000-4000-8000-0000000000aa';
    expect(value.map((entry) => decodeMember(groupId, entry))).toEqual([
      { groupId, memberId: '69d035a3-29c9-469f-809d-d21a4ae69e65', type: 'u', removed: false },
      { groupId, memberId: 'c43a7cc9-2d95-44b6-bf6a-6392e41949b4', type: 'g', removed: false },
      { groupId, memberId: 'd282309e-f91d-43b6-badb-9e68aa4b4fc8', type: 'd', removed: false },
    ]);
  });
});

const a = 'AAAAAAAA-0000-4000-8000-00000000000A';
const b = 'bbbbbbbb-0000-4000-8000-00000000000b';
const c = 'cccccccc-0000-4000-8000-00000000000c';
const pageOf = (...value: unknown[]) => decode({ value, '@odata.nextLink': 'https://graph.example/next' });

describe('rule 8: slices of members', () => {
  test('slices of one group on one page are joined, and leave the group itself unchanged', () => {
    const page = pageOf(
      { id: a, displayName: 'Large', 'members@delta': [{ '@odata.type': '#microsoft.graph.user', id: b }] },
      { id: a, displayName: 'Large', 'members@delta': [{ '@odata.type': '#microsoft.graph.group', id: c }] },
    );
    expect(told(page)).toEqual([`${a.toLowerCase()} ${b} u`, `${a.toLowerCase()} ${c} g`]);
    const merged = mergeObjects('full', new Map(), page.occurrences, requiredGroupProperties);
    expect(merged).toEqual([{ id: a.toLowerCase(), source: { displayName: 'Large' }, removed: null, doubt: null }]);
  });

  test('rule 4: the last entry for a membership wins, within a slice and between slices', () => {
    const live = { '@odata.type': '#microsoft.graph.user', id: b };
    const removed = { ...live, id: b.toUpperCase(), '@removed': { reason: 'deleted' } };
    expect(told(pageOf({ id: a, 'members@delta': [live, removed] }))).toEqual([`-${a.toLowerCase()} ${b} u`]);
    expect(told(pageOf({ id: a, 'members@delta': [removed] }, { id: a, 'members@delta': [live] }))).toEqual([
      `${a.toLowerCase()} ${b} u`,
    ]);
  });

  test('"deleted" inside members@delta ends the membership and does not remove the member', () => {
    const page = pageOf({ id: a, 'members@delta': [{ id: b, '@removed': { reason: 'deleted' } }] });
    expect(page.occurrences).toEqual([{ id: a.toLowerCase(), patch: {} }]);
  });

  test('a tombstone has no members; a group with unreadable properties does', () => {
    const members = [{ '@odata.type': '#microsoft.graph.user', id: b }];
    const gone = { id: a, '@removed': { reason: 'deleted' }, 'members@delta': members };
    const bad = { id: c, displayName: 'a\0b', 'members@delta': members };
    expect(pageOf(gone, bad)).toMatchObject({
      members: [{ groupId: c, memberId: b, removed: false }],
      problems: [{ key: c }],
    });
  });
});

describe('rule 9: members of any type', () => {
  test.each([
    ['#microsoft.graph.user', 'u'],
    ['#microsoft.graph.group', 'g'],
    ['#microsoft.graph.device', 'd'],
    ['#microsoft.graph.orgContact', 'c'],
    ['#microsoft.graph.servicePrincipal', 's'],
    ['#Microsoft.Graph.ServicePrincipal', 's'],
    ['#microsoft.graph.somethingNew', 'x'],
    ['constructor', 'x'],
    ['__proto__', 'x'],
    [undefined, 'x'],
    [7, 'x'],
  ])('%s is kept as %s', (type, letter) => {
    expect(decodeMember(a.toLowerCase(), { '@odata.type': type, id: b })).toMatchObject({ type: letter });
  });

  test.each([null, undefined, 'text', 7, [], {}, { id: 7 }, { id: `${b}0` }, { id: 'a\0b\ud800' }])(
    'rule 19: %j is set aside by itself under a key that can be stored',
    (entry) => {
      const decoded = decodeMember(a.toLowerCase(), entry);
      expect(decoded).toHaveProperty('reason', 'the id of a member is not a GUID');
      const { key } = decoded as { key: string };
      expect([key.isWellFormed(), /\p{Cc}/u.test(key), key.startsWith(`${a.toLowerCase()}/`)]).toEqual([
        true,
        false,
        true,
      ]);
    },
  );

  test('rule 19: members@delta that is not a list is a problem of its group, which is kept', () => {
    for (const members of ['text', 7, { id: b }, true]) {
      const page = pageOf({ id: a, displayName: 'Odd', 'members@delta': members });
      expect(page.problems).toMatchObject([{ id: a.toLowerCase() }]);
    }
    expect(pageOf({ id: a, 'members@delta': null })).toMatchObject({ problems: [], members: [] });
  });
});

test('rule 19: decoding never throws, and each object is either accepted or set aside', () => {
  const entry = fc.oneof(
    fc.jsonValue(),
    fc.record({ id: fc.oneof(fc.uuid(), fc.string(), fc.jsonValue()), '@odata.type': fc.jsonValue() }),
    fc.record({ id: fc.uuid(), '@removed': fc.jsonValue() }),
  );
  const group = fc.oneof(
    fc.jsonValue(),
    fc.record(
      {
        id: fc.oneof(fc.uuid(), fc.string({ unit: 'binary' })),
        displayName: fc.jsonValue(),
        groupTypes: fc.jsonValue(),
        'members@delta': fc.oneof(fc.array(entry), fc.jsonValue()),
        '@removed': fc.jsonValue(),
      },
      { requiredKeys: ['id'] },
    ),
  );
  fc.assert(
    fc.property(fc.array(group), (value) => {
      const page = pageOf(...value);
      const objects = page.problems.filter((problem) => problem.reason !== 'the id of a member is not a GUID');
      const listless = objects.filter((problem) => problem.reason === 'its members@delta is not a list');
      expect(page.occurrences.length + objects.length - listless.length).toBe(value.length);
      for (const one of page.occurrences)
        if ('patch' in one) expect(() => groupColumns(one.patch as Source)).not.toThrow();
      const pairs = page.members.map((member) => `${member.groupId} ${member.memberId}`);
      expect(new Set(pairs).size).toBe(pairs.length);
    }),
  );
  fc.assert(fc.property(fc.jsonValue(), (body) => void decodeGroupsPage(body)));
});

describe('kind and is_dynamic', () => {
  test.each([
    { types: ['Unified'], mail: true, security: false, kind: 'microsoft365', dynamic: false },
    { types: ['Unified'], mail: true, security: true, kind: 'microsoft365', dynamic: false },
    { types: ['DynamicMembership', 'Unified'], mail: true, security: false, kind: 'microsoft365', dynamic: true },
    { types: [], mail: false, security: true, kind: 'security', dynamic: false },
    { types: ['DynamicMembership'], mail: false, security: true, kind: 'security', dynamic: true },
    { types: [], mail: true, security: true, kind: 'mail_enabled_security', dynamic: false },
    { types: [], mail: true, security: false, kind: 'distribution', dynamic: false },
    { types: undefined, mail: undefined, security: undefined, kind: 'security', dynamic: false },
    { types: ['SomethingNew'], mail: false, security: true, kind: 'security', dynamic: false },
  ])('$types, mailEnabled $mail, securityEnabled $security: $kind, dynamic $dynamic', (one) => {
    const source = Object.fromEntries(
      Object.entries({ groupTypes: one.types, mailEnabled: one.mail, securityEnabled: one.security }).filter(
        ([, value]) => value !== undefined,
      ),
    ) as Source;
    expect(groupColumns(source)).toMatchObject({ kind: one.kind, isDynamic: one.dynamic });
  });
});

test('attributes hold what has no column and has a value; texts without a value are null', () => {
  expect(groupColumns({ displayName: 'A' })).toEqual({
    displayName: 'A',
    description: null,
    mail: null,
    kind: 'security',
    isDynamic: false,
    attributes: {},
  });
  const whole = {
    description: 'About',
    mail: 'a@example.com',
    visibility: 'HiddenMembership',
    mailNickname: 'a',
    classification: 'Low',
    onPremisesSyncEnabled: true,
  };
  const { description, mail, ...attributes } = whole;
  expect(groupColumns(whole)).toMatchObject({ displayName: null, description, mail });
  expect(groupColumns(whole).attributes).toEqual(attributes);
  expect([...groupProperties.keys()]).toEqual(expect.arrayContaining(Object.keys(whole)));
});

describe('scope by the properties of a user', () => {
  const any = anyScope;
  const members = { ...any, userTypes: ['member'] };
  const enabled = { ...any, accountEnabled: true };
  test.each([
    ['anybody', any, { userType: 'Guest', accountEnabled: false }, true],
    ['a member', members, { userType: 'Member' }, true],
    ['a member in another case', members, { userType: 'MEMBER' }, true],
    ['a guest', members, { userType: 'Guest' }, false],
    ['an older user without userType counts as Member', members, {}, true],
    ['an older user, if the scope is guests', { ...any, userTypes: ['guest'] }, {}, false],
    ['either type', { ...any, userTypes: ['guest', 'member'] }, { userType: 'Guest' }, true],
    ['an enabled user', enabled, { accountEnabled: true }, true],
    ['a disabled user', enabled, { accountEnabled: false }, false],
    ['a user without accountEnabled counts as enabled', enabled, {}, true],
    ['disabled users only', { ...any, accountEnabled: false }, { accountEnabled: false }, true],
    ['disabled users only, for an enabled user', { ...any, accountEnabled: false }, {}, false],
    ['an enabled guest under both rules', { ...members, accountEnabled: true }, { userType: 'Guest' }, false],
    ['scope groups do not matter here', { ...any, groups: [b] }, {}, true],
  ] as const)('%s', (_who, scope, source, inside) => {
    expect(outsideOf({ id: b, source }, scope, 'suspend') === null).toBe(inside);
  });
});
