// Decoding and merging the links to managers (rule 40).
import { describe, expect, test } from 'vitest';
import { decodeUserWithManager } from '../../src/rules/managers.ts';
import { doubts, type KnownObject, mergeObjects } from '../../src/rules/merge.ts';

const id = '00000000-0000-4000-8000-000000000001';
const [ann, bob] = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b'];
const selected = new Map([['jobTitle', 'string' as const]]);
const gone = { '@removed': { reason: 'deleted' } };
const decode = (link: unknown, more: object = {}) =>
  decodeUserWithManager({ id, ...more, ...(link !== undefined && { 'manager@delta': link }) }, selected);

describe('rule 40: manager@delta of one user', () => {
  test.each([
    ['without it the manager is unchanged', undefined, { id, patch: {} }],
    ['null and an empty list tell nothing', null, { id, patch: {} }],
    ['an empty list tells nothing', [], { id, patch: {} }],
    ['a manager, in lower case', [{ id: ann.toUpperCase() }], { id, patch: { manager: ann } }],
    ['the end of a link', [{ id: ann, ...gone }], { id, patch: {}, formerManager: ann }],
    [
      'a new manager before the end of the old one',
      [{ id: bob }, { id: ann, ...gone }],
      { id, patch: { manager: bob } },
    ],
    ['and after it', [{ id: ann, ...gone }, { id: bob }], { id, patch: { manager: bob } }],
    ['of two managers the last', [{ id: ann }, { id: bob }], { id, patch: { manager: bob } }],
    ['no list', { id: ann }, { id, patch: {}, odd: { manager: 'manager@delta is not a list' } }],
    ['no GUID', [{ id: 'x' }], { id, patch: {}, odd: { manager: 'the id of the manager is not a GUID' } }],
    ['no object', [null], { id, patch: {}, odd: { manager: 'the id of the manager is not a GUID' } }],
  ])('%s', (_, link, decoded) => {
    expect(decode(link)).toEqual(decoded);
  });

  test('a tombstone has none, and an unreadable user stays a problem', () => {
    expect(decode([{ id: ann }], gone)).toEqual({ id, removed: 'deleted' });
    expect(decodeUserWithManager({ id: 'x', 'manager@delta': [{ id: ann }] }, selected)).toMatchObject({ key: 'x' });
  });
});

describe('rule 40: the link of the document', () => {
  const known = (manager: string | undefined, origin: KnownObject['origin'] = 'account') =>
    new Map([[id, { origin, source: { jobTitle: 'Clerk', ...(manager && { manager }) }, removed: null, doubt: null }]]);
  const merged = (kind: 'full' | 'incremental', manager: string | undefined, ...links: unknown[]) => {
    const occurrences = links.map((link) => decode(link)).filter((one) => 'patch' in one);
    const [user] = mergeObjects(kind, known(manager), occurrences, []);
    return { manager: user?.source.manager, doubt: user?.doubt ?? null };
  };

  test.each([
    ['an absent link changes nothing', ann, [undefined], ann, null],
    ['another manager takes the place', ann, [[{ id: bob }]], bob, null],
    ['the end of the known link ends it', ann, [[{ id: ann, ...gone }]], undefined, null],
    ['again, nothing', undefined, [[{ id: ann, ...gone }]], undefined, null],
    [
      'the old one ends on the page after the new one came',
      ann,
      [[{ id: bob }], [{ id: ann, ...gone }]],
      bob,
      doubts.otherManager,
    ],
    ['and on the page before', ann, [[{ id: ann, ...gone }], [{ id: bob }]], bob, null],
    ['the end of a link that is not known is in doubt', ann, [[{ id: bob, ...gone }]], ann, doubts.otherManager],
  ])('in a later round: %s', (_, before, links, manager, doubt) => {
    expect(merged('incremental', before, ...links)).toEqual({ manager, doubt });
  });

  test('in a full round the document starts empty, and a link on any page counts', () => {
    expect(merged('full', ann, undefined)).toEqual({ manager: undefined, doubt: null });
    expect(merged('full', ann, undefined, [{ id: bob }], undefined)).toEqual({ manager: bob, doubt: null });
  });

  test('a page applied twice changes nothing', () => {
    const page = [[{ id: ann, ...gone }], [{ id: bob }]];
    expect(merged('incremental', ann, ...page, ...page)).toMatchObject({ manager: bob });
  });
});
