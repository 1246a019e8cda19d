// Merging pages with known users: rule 3 (absent is not null), rule 4 (the last occurrence wins), rule 22 (doubts).
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Json, Occurrence, Removal, Source } from '../../src/rules/decode.ts';
import {
  doubts,
  type KnownObject,
  type MergedObject,
  mergeObjects,
  overlay,
  type RoundKind,
} from '../../src/rules/merge.ts';

const id = '87d349ed-44d7-43e1-9a83-5f2406dee5bd';
const whole = { userPrincipalName: 'adele@contoso.com', displayName: 'Adele', jobTitle: 'Clerk' };

const live = (patch: Record<string, Json>): Occurrence => ({ id, patch });
const removed = (removal: Removal = 'deleted_restorable'): Occurrence => ({ id, removed: removal });

function known(
  origin: KnownObject['origin'],
  source: Source,
  more: Partial<KnownObject> = {},
): Map<string, KnownObject> {
  return new Map([[id, { origin, source, removed: null, doubt: null, ...more }]]);
}

function mergeInto(
  kind: RoundKind,
  before: ReadonlyMap<string, KnownObject>,
  ...occurrences: Occurrence[]
): MergedObject {
  const [user, ...others] = mergeObjects(kind, before, occurrences, ['userPrincipalName']);
  if (!user || others.length > 0) throw new Error('one user was expected');
  return user;
}

describe('rule 3: absent is not null', () => {
  test('full round: absent means no value, whatever the account has', () => {
    const user = mergeInto('full', known('account', whole), live({ displayName: 'Adele V.' }));
    expect(user.source).toEqual({ displayName: 'Adele V.' });
  });

  test('full round: the document is the union of its occurrences', () => {
    const before = known('stage', { userPrincipalName: 'adele@contoso.com' });
    const user = mergeInto('full', before, live({ displayName: 'Adele' }), live({ jobTitle: 'Clerk' }));
    expect(user.source).toEqual(whole);
  });

  test('full round: null clears what an earlier page of the round brought', () => {
    expect(mergeInto('full', known('stage', whole), live({ jobTitle: null })).source).toEqual({
      userPrincipalName: 'adele@contoso.com',
      displayName: 'Adele',
    });
  });

  test('rule 19: an unreadable property keeps its known value in every kind of round, unless the round brought another', () => {
    const odd = { jobTitle: 'jobTitle is not of the type string' };
    const stored = new Map([[id, whole]]);
    const shown: Occurrence = { id, patch: { displayName: 'Adele V.' }, odd };
    for (const kind of ['full', 'listing', 'incremental'] as const) {
      const [user] = mergeObjects(kind, known('account', whole), [shown], [], stored);
      expect(user?.source, kind).toMatchObject({ displayName: 'Adele V.', jobTitle: 'Clerk' });
      const [other] = mergeObjects(kind, known('stage', { jobTitle: 'Captain' }), [shown], [], stored);
      expect(other?.source.jobTitle, kind).toBe('Captain');
      const [cleared] = mergeObjects(kind, new Map(), [shown, live({ jobTitle: null })], [], stored);
      expect(cleared?.source, kind).not.toHaveProperty('jobTitle');
    }
  });

  test('later round, minimal form: absent is unchanged', () => {
    const user = mergeInto('incremental', known('account', whole), live({ displayName: 'Adele V.' }));
    expect(user.source).toEqual({ ...whole, displayName: 'Adele V.' });
  });

  test('later round, default form: every property comes again, a cleared one as null', () => {
    const user = mergeInto('incremental', known('account', whole), live({ ...whole, jobTitle: null }));
    expect(user.source).toEqual({ userPrincipalName: 'adele@contoso.com', displayName: 'Adele' });
  });

  test('later round: the stage takes precedence over the account', () => {
    const user = mergeInto('incremental', known('stage', { ...whole, jobTitle: 'Boss' }), live({ displayName: 'A.' }));
    expect(user.source).toEqual({ ...whole, displayName: 'A.', jobTitle: 'Boss' });
  });

  test('an empty list is no value: a listing has one where a round may have nothing', () => {
    expect(overlay({ businessPhones: ['+1'] }, { businessPhones: [] })).toEqual({});
  });

  test.each([false, 0, ''])('%j is a value, not a cleared one', (value) => {
    expect(overlay({ accountEnabled: true }, { accountEnabled: value })).toEqual({ accountEnabled: value });
  });

  test('an overlay changes neither side, and no name is special', () => {
    const [below, above] = [
      Object.freeze({ a: 1 }),
      Object.freeze(JSON.parse('{"__proto__":1,"constructor":2,"a":null}')),
    ];
    expect(JSON.stringify(overlay(below, above))).toBe('{"__proto__":1,"constructor":2}');
  });
});

describe('rule 4: the last occurrence wins', () => {
  test.each<[string, Occurrence[], Removal | null]>([
    ['live, removed', [live(whole), removed()], 'deleted_restorable'],
    ['removed, live', [removed(), live(whole)], null],
    ['removed, live, permanently deleted', [removed(), live(whole), removed('deleted')], 'deleted'],
    ['restorable, then permanent', [removed(), removed('deleted')], 'deleted'],
    ['permanent, then restorable', [removed('deleted'), removed()], 'deleted_restorable'],
  ])('%s', (_, occurrences, expected) => {
    expect(mergeInto('incremental', new Map(), ...occurrences).removed).toBe(expected);
    expect(mergeInto('full', new Map(), ...occurrences).removed).toBe(expected);
  });

  test('a removed object keeps its known document for a restore', () => {
    expect(mergeInto('incremental', known('account', whole), removed()).source).toEqual(whole);
  });

  test('the document of a released account is not merged', () => {
    expect(mergeInto('incremental', known('released', whole), live({ displayName: 'A.' })).source).toEqual({
      displayName: 'A.',
    });
  });

  test('each object is returned once, in the order of its first occurrence', () => {
    const other = '605d1257-ffff-40b6-8e6f-528a53f5dc55';
    const page: Occurrence[] = [live(whole), { id: other, patch: whole }, live({ displayName: 'A.' })];
    expect(mergeObjects('full', new Map(), page, ['userPrincipalName']).map((user) => user.id)).toEqual([id, other]);
  });
});

describe('rule 22: an object in doubt is asked for', () => {
  test.each<[string, RoundKind, Map<string, KnownObject>, Occurrence[], string | null]>([
    ['live in a full round', 'full', new Map(), [live({})], null],
    ['unknown and whole', 'incremental', new Map(), [live(whole)], null],
    ['unknown and in part', 'incremental', new Map(), [live({ displayName: 'Adele' })], doubts.partial],
    [
      'unknown, its user principal name null',
      'incremental',
      new Map(),
      [live({ userPrincipalName: null })],
      doubts.partial,
    ],
    ['known and in part', 'incremental', known('account', whole), [live({ displayName: 'A.' })], null],
    [
      'removed in an earlier round, live now',
      'incremental',
      known('account', whole, { removed: 'deleted' }),
      [live(whole)],
      doubts.restored,
    ],
    [
      'removed in an earlier round, seen by a full one',
      'full',
      known('account', whole, { removed: 'deleted' }),
      [live(whole)],
      null,
    ],
    ['released and whole', 'incremental', known('released', whole), [live(whole)], doubts.released],
    ['released, seen by a full round', 'full', known('released', whole), [live(whole)], null],
    ['known and removed', 'incremental', known('account', whole), [removed()], null],
    ['unknown and removed', 'incremental', new Map(), [removed()], null],
    ['removed twice', 'incremental', new Map(), [removed(), removed('deleted')], null],
    ['live then removed on one page', 'full', new Map(), [live(whole), removed()], doubts.bothWays],
    ['removed then live on one page', 'full', new Map(), [removed(), live(whole)], doubts.bothWays],
    ['live on an earlier page, removed now', 'full', known('stage', whole), [removed()], doubts.bothWays],
    [
      'removed on an earlier page, live now',
      'incremental',
      known('stage', whole, { removed: 'deleted' }),
      [live(whole)],
      doubts.bothWays,
    ],
    [
      'both ways on earlier pages, live again',
      'full',
      known('stage', whole, { doubt: doubts.bothWays }),
      [live(whole)],
      doubts.bothWays,
    ],
    [
      'both ways on earlier pages, removed again',
      'full',
      known('stage', whole, { removed: 'deleted', doubt: doubts.bothWays }),
      [removed()],
      doubts.bothWays,
    ],
    [
      'partial on an earlier page',
      'incremental',
      known('stage', {}, { doubt: doubts.partial }),
      [live({ jobTitle: 'x' })],
      doubts.partial,
    ],
  ])('%s', (_, kind, before, occurrences, expected) => {
    expect(mergeInto(kind, before, ...occurrences).doubt).toBe(expected);
  });
});

// The same rules, stated for a whole round at once instead of per occurrence.
function roundResult(
  kind: RoundKind,
  account: KnownObject | undefined,
  occurrences: readonly Occurrence[],
): MergedObject {
  const start = kind === 'incremental' ? account : undefined;
  const patches = occurrences.flatMap((one) => ('patch' in one ? [one.patch] : []));
  const values: Record<string, Json> = Object.assign({}, start?.source, ...patches);
  const source = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
  const last = occurrences.at(-1);
  const removals = occurrences.length - patches.length;
  let doubt: string | null = null;
  if (patches.length > 0 && removals > 0) doubt = doubts.bothWays;
  else if (kind === 'incremental' && patches.length > 0) {
    if (start) doubt = start.removed === null ? null : doubts.restored;
    else doubt = typeof patches[0]?.userPrincipalName === 'string' ? null : doubts.partial;
  }
  return { id: last?.id ?? '', source, removed: last && 'removed' in last ? last.removed : null, doubt };
}

/** Merges a round as the stage does: page by page over the staged objects, else (later rounds) over the accounts. */
function runPages(
  kind: RoundKind,
  accounts: ReadonlyMap<string, KnownObject>,
  pages: readonly (readonly Occurrence[])[],
) {
  const stage = new Map<string, MergedObject>();
  for (const page of pages) {
    const staged = [...stage].map(([key, user]) => [key, { ...user, origin: 'stage' as const }] as const);
    const before = new Map<string, KnownObject>([...(kind === 'incremental' ? accounts : []), ...staged]);
    for (const user of mergeObjects(kind, before, page, ['userPrincipalName'])) stage.set(user.id, user);
  }
  return stage;
}

describe('rules 3, 4 and 22 for any round', () => {
  const ids = ['a', 'b', 'c'].map((letter) => `${letter.repeat(8)}-0000-4000-8000-000000000000`);
  const patch = fc.dictionary(
    fc.constantFrom('userPrincipalName', 'displayName', 'jobTitle'),
    fc.constantFrom<Json>('x', 'y', null),
  );
  const removal = fc.constantFrom<Removal>('deleted', 'deleted_restorable');
  const occurrence: fc.Arbitrary<Occurrence> = fc.oneof(
    fc.record({ id: fc.constantFrom(...ids), patch }),
    fc.record({ id: fc.constantFrom(...ids), removed: removal }),
  );
  const occurrences = fc.array(occurrence, { maxLength: 12 });
  const account = fc.record({
    origin: fc.constant('account' as const),
    source: patch.map((one) => overlay({}, one)),
    removed: fc.option(removal),
    doubt: fc.constant(null),
  });
  const accounts = fc.dictionary(fc.constantFrom(...ids), account).map((one) => new Map(Object.entries(one)));
  const kind = fc.constantFrom<RoundKind>('full', 'incremental');

  test('the outcome of a round follows the rules for the whole, wherever the pages are cut', () => {
    fc.assert(
      fc.property(kind, accounts, occurrences, fc.array(fc.nat(12)), (ofKind, before, all, cuts) => {
        const places = [0, ...cuts.sort((one, other) => one - other), all.length];
        const pages = places.map((place, index) => all.slice(place, places[index + 1] ?? all.length));
        const expected = ids.flatMap((one) => {
          const own = all.filter((item) => item.id === one);
          return own.length > 0 ? [[one, roundResult(ofKind, before.get(one), own)] as const] : [];
        });
        const outcome = runPages(ofKind, before, pages);
        expect(Object.fromEntries(outcome)).toEqual(Object.fromEntries(expected));
        expect(Object.fromEntries(runPages(ofKind, before, [all]))).toEqual(Object.fromEntries(outcome));
      }),
      { numRuns: 1_000 },
    );
  });

  test('a page applied twice in a row changes nothing', () => {
    fc.assert(
      fc.property(kind, accounts, occurrences, occurrences, (ofKind, before, earlier, page) => {
        // An object both live and removed on one page is already in doubt.
        const once = runPages(ofKind, before, [earlier, page]);
        const twice = runPages(ofKind, before, [earlier, page, page]);
        expect(Object.fromEntries(twice)).toEqual(Object.fromEntries(once));
      }),
      { numRuns: 1_000 },
    );
  });
});
