// No value that the decoder accepts may fail a statement (rule 19): values at the limits of each type are staged and
// committed, and each index over texts is checked.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { withColumns } from '../../src/engine/groups.ts';
import { decodePage, type Json } from '../../src/rules/decode.ts';
import type { Expression } from '../../src/rules/expressions.ts';
import { longestOf, type PropertyType, userProperties } from '../../src/rules/graph-properties.ts';
import { decodeGroupsPage, requiredGroupProperties } from '../../src/rules/groups.ts';
import { type MappedField, mapUser, requiredUserProperties, userKeys } from '../../src/rules/mapping.ts';
import { type MergedObject, mergeObjects, type RoundKind } from '../../src/rules/merge.ts';
import { commitPerson } from '../../src/store/accounts/on-demand.ts';
import { type CommitResult, commitRound } from '../../src/store/commit/round.ts';
import type { Lease } from '../../src/store/cycle/lease.ts';
import { settingsVersion } from '../../src/store/settings/versions.ts';
import { stageGroupsPage } from '../../src/store/stage/groups.ts';
import { beginRound } from '../../src/store/stage/rounds.ts';
import { type StagedUser, stageUsersPage } from '../../src/store/stage/users.ts';
import { isDeep } from '../support/deep.ts';
import {
  ask,
  begin,
  commit,
  deltaLinkOf,
  leasedTenant,
  linkTo,
  objectId,
  openStore,
  type Store,
} from '../support/stage.ts';

let store: Store;
let lease: Lease;

beforeEach(async () => {
  store = await openStore();
  lease = await leasedTenant(store);
});

afterEach(async () => {
  await lease.release();
  await store.close();
});

// Incompressible, because Postgres compresses an index entry before checking its size.
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A reproducible text of `length` UTF-16 units, from a range of code points. */
function textOf(length: number, [from, to]: readonly [number, number], seed = 1): string {
  const next = random(seed);
  let text = '';
  while (text.length < length) {
    const character = String.fromCodePoint(from + Math.floor(next() * (to - from)));
    text += text.length + character.length > length ? 'x' : character;
  }
  return text;
}

// Letters of one, three and four bytes, and letters that get longer in lower case.
const alphabets = [
  [0x61, 0x7b],
  [0xac00, 0xd7a3],
  [0x1f300, 0x1f6ff],
  [0x23a, 0x23b],
  [0x130, 0x131],
  [0x1e00, 0x1eff],
] as const;

const texts = (longest: number) => alphabets.map((alphabet) => textOf(longest, alphabet));
const nested = (depth: number): Json => (depth === 0 ? 1 : { deeper: nested(depth - 1) });
const numbers = [Number.MAX_VALUE, -Number.MAX_VALUE, Number.MIN_VALUE, -0, 0.1, Number.MAX_SAFE_INTEGER];

const objects: Json[] = [
  { text: textOf(32_768, alphabets[2]), [textOf(32_768, alphabets[1], 2)]: numbers },
  { ...(nested(6) as object), '': '', __proto__: null, '\u0001\ud83d\ude00"\\': '\u007f\u2028\ufffe\uffff' },
  Object.fromEntries(Array.from({ length: 3_000 }, (_, place) => [`k${place}`, null])),
];

const extremes: Record<PropertyType, readonly Json[]> = {
  string: [...texts(32_768), '', '\u0001\u001f\u007f\u0080\u2028\ufeff\ufffe\uffff', '\\u0000', "'; --", '{}', 'null'],
  boolean: [true, false],
  number: numbers,
  'string[]': [Array.from({ length: 2_000 }, (_, place) => textOf(100, alphabets[2], place + 1)), ['', '']],
  object: objects,
  'object[]': [objects.slice(1, 2), Array.from({ length: 2_000 }, () => ({}))],
  any: [...numbers, ...objects, [[[[]]]], textOf(32_768, alphabets[3])],
};

const selected: ReadonlyMap<string, PropertyType> = new Map([
  ...Object.entries(userProperties).flatMap(([name, { type, trackable }]) =>
    trackable && name !== 'id' ? [[name, type] as const] : [],
  ),
  ['extension_00000000000000000000000000000001_any', 'any'] as const,
]);

// Each property unchanged, and all texts joined and in lower case.
const fields: readonly MappedField[] = [...selected.keys()]
  .map((name): MappedField => ({ field: name, from: { path: [name] } }))
  .concat({
    field: 'all',
    from: { lower: { join: [...selected.keys()].map((name): Expression => ({ path: [name] })), with: ' ' } },
  });

function valuesOf(property: string, type: PropertyType): readonly Json[] {
  const longest = longestOf.get(property);
  return longest === undefined ? extremes[type] : [...texts(longest), ''];
}

// One user per extreme value. Users of one type put it into different properties, so that each property gets it.
function users(): { id: string; [property: string]: Json }[] {
  const drawn: [string, Json][] = [];
  const turns = new Map<PropertyType, number>();
  for (const [property, type] of selected) {
    const values = valuesOf(property, type);
    const turn = turns.get(type) ?? 0;
    turns.set(type, turn + 1);
    // For speed, only the first user of a type and the keys have all of them; the others have one, and the short ones.
    const [last] = values.slice(-1 - (turn % 4));
    for (const value of turn === 0 || longestOf.has(property) ? values : [last ?? null]) drawn.push([property, value]);
  }
  return drawn.map(([property, value], place) => ({
    id: objectId(place),
    userPrincipalName: `user${place}@example.com`,
    accountEnabled: true,
    [property]: value,
  }));
}

const staged = (user: MergedObject): StagedUser => ({
  ...user,
  ...userKeys(user.source),
  mapped: mapUser(user.source, fields),
  inScope: true,
  outside: null,
  condition: null,
});

async function readAll(
  kind: RoundKind,
  values: readonly object[],
  match: readonly ('mail' | 'userPrincipalName')[] = [],
): Promise<CommitResult> {
  const begun = await begin(store, lease, kind);
  const decoded = decodePage({ value: values, '@odata.deltaLink': deltaLinkOf(begun) }, selected);
  if ('malformed' in decoded) throw new Error(decoded.malformed);
  expect(decoded.problems).toEqual([]);
  const round = await stageUsersPage(store.database, lease, begun, {
    urls: [linkTo(begun, 1)],
    link: decoded.link,
    problems: [],
    seen: values.length,
    occurrences: decoded.occurrences,
    merge: (known) => mergeObjects(kind, known, decoded.occurrences, requiredUserProperties).map(staged),
  });
  return commit(store, lease, round, { match: [...match] });
}

describe('rule 19: the largest values that the decoder accepts', () => {
  test.runIf(isDeep)('users: created, changed, removed, restored, adopted and read on demand', async () => {
    const all = users();
    expect((await readAll('full', all)).counts).toMatchObject({ created: all.length, set_aside: 0 });
    // Each account gets the values of another one, so that each column changes and the change row has both values.
    const moved = all.map((user, place) => ({ ...all[(place + 1) % all.length], id: user.id }));
    const { counts } = await readAll('incremental', moved);
    expect(counts.set_aside).toBe(0);
    expect(counts.updated).toBeGreaterThan(all.length / 2);
    await readAll(
      'incremental',
      all.map(({ id }) => ({ id, '@removed': { reason: 'changed' } })),
    );
    expect((await readAll('full', all)).counts).toMatchObject({ restored: all.length, set_aside: 0 });
    await ask(store, "update entra_sync.accounts set state = 'manual', entra_object_id = null");
    const { counts: adopted } = await readAll('full', all, ['mail', 'userPrincipalName']);
    expect(adopted.adopted).toBeGreaterThan(all.length / 2);
    for (const object of all.filter((_, place) => place % 40 === 0)) {
      const decoded = decodePage({ value: [object], '@odata.deltaLink': 'https://graph.example/x' }, selected);
      if ('malformed' in decoded) throw new Error(decoded.malformed);
      const [merged] = mergeObjects('full', new Map(), decoded.occurrences, requiredUserProperties);
      if (!merged) throw new Error('no user was decoded');
      const committed = await commitPerson(store.database, {
        tenantId: lease.tenantId,
        entraObjectId: object.id,
        seen: staged(merged),
        memberOf: undefined,
        problems: [],
        settingsVersion: await settingsVersion(store.database, lease.tenantId),
        match: ['mail', 'userPrincipalName'],
        scopeGroups: [],
        groupsJudged: false,
        actor: 'test',
        askedAt: new Date(),
        requests: 1,
        dryRun: false,
      });
      expect(committed.aside ?? 'taken').toMatch(/^taken$|^ambiguous/);
    }
  });

  test.each([...longestOf])('one character more of %s than %i is refused, with that number', (property, longest) => {
    const body = (text: string) => ({
      value: [{ id: objectId(1), [property]: text }],
      '@odata.deltaLink': 'https://graph.example/x',
    });
    for (const alphabet of alphabets) {
      expect(decodePage(body(textOf(longest, alphabet)), selected)).toMatchObject({ problems: [] });
      expect(decodePage(body(textOf(longest + 1, alphabet)), selected)).toMatchObject({
        problems: [{ reason: `${property} has ${longest + 1} characters, more than ${longest}` }],
      });
    }
  });

  test('groups: created and changed', async () => {
    const values = ['displayName', 'description', 'mailNickname', 'classification', 'visibility'].flatMap((property) =>
      extremes.string.map((value) => ({ [property]: value })),
    );
    const mails = texts(longestOf.get('mail') ?? 0).map((mail) => ({ mail }));
    const groups = [...values, ...mails].map((more, place) => ({
      id: objectId(place),
      displayName: `Group ${place}`,
      ...more,
    }));
    const readGroups = async (kind: RoundKind, value: readonly object[]) => {
      const begun = await beginRound(store.database, lease, {
        ...{ stream: 'groups', dryRun: false, kind, reason: 'test', fingerprint: 'groups' },
        settingsVersion: await settingsVersion(store.database, lease.tenantId),
      });
      const decoded = decodeGroupsPage({ value, '@odata.deltaLink': deltaLinkOf(begun) });
      if ('malformed' in decoded) throw new Error(decoded.malformed);
      expect(decoded.problems).toEqual([]);
      const round = await stageGroupsPage(store.database, lease, begun, {
        ...{ urls: [linkTo(begun, 1)], link: decoded.link, problems: [], seen: value.length },
        occurrences: decoded.occurrences,
        merge: (known) =>
          mergeObjects(kind, known, decoded.occurrences, requiredGroupProperties).map((group) =>
            withColumns(group, { only: [], except: [], always: [] }),
          ),
        members: [decoded.members],
      });
      return commitRound(store.database, lease, {
        ...{ stream: 'groups', round, cycleId: null, actor: 'test', retentionMs: 86_400_000, match: [] },
        ...{ scopeGroups: [], groupsJudged: false, dryRun: false },
        removals: { max: 1_000_000, percent: 100, floor: 0 },
      });
    };
    expect((await readGroups('full', groups)).counts).toMatchObject({ created: groups.length, set_aside: 0 });
    const moved = groups.map((group, place) => ({ ...groups[(place + 1) % groups.length], id: group.id }));
    expect((await readGroups('incremental', moved)).counts).toMatchObject({ updated: groups.length, set_aside: 0 });
  });

  test('links: as long as the longest header', async () => {
    const round = await begin(store, lease, 'full');
    const link = `https://graph.example/users/delta?token=${textOf(1_000_000, alphabets[2])}`;
    const decoded = decodePage({ value: [], '@odata.deltaLink': link }, selected);
    if ('malformed' in decoded) throw new Error(decoded.malformed);
    const page = { urls: [link], link: decoded.link, problems: [], seen: 0, occurrences: [], merge: () => [] };
    await commit(store, lease, await stageUsersPage(store.database, lease, round, page));
    expect(await ask(store, 'select delta_link from entra_sync.checkpoints')).toEqual([{ delta_link: link }]);
  });
});

// The reason why no text of each index is too long. Check a new index over texts, and test it above.
const textsOfIndexes: Record<string, string> = {
  accounts_by_mail: 'longestOf, and require_fitting of what people edit',
  accounts_by_principal: 'longestOf, and require_fitting of what people edit',
  assignments_by_item: 'require_name: at most 200 characters each',
  assignments_by_tenant: 'require_name: at most 200 characters each',
  checkpoints_pkey: 'a stream',
  data_faults_pkey: 'a stream',
  deleted_strangers_pkey: 'a stream',
  erased_objects_pkey: 'a hash of 32 bytes',
  feed_epochs_pkey: 'eight letters',
  field_rules_pkey: 'at most 63 letters, by the check of the settings',
  grants_by_name: 'the name of a role, at most 63 bytes',
  items_tenant_id_slot_item_key: 'require_name: at most 200 characters each',
  registrations_pkey: 'the client id of the registration, which the environment gives',
  rounds_open_each: 'a stream, and a kind',
  sessions_pkey: 'a hash of 32 bytes',
  set_aside_pkey: 'cleanKey: at most 100 characters',
  sign_in_addresses_pkey: 'the client id and the address of this web, which the environment gives',
  slots_tenant_id_slot_key: 'require_name: at most 200 characters each',
  sort_names_pkey: 'kept_sort_name: at most 1,000 bytes',
  stage_pages_round_id_link_hash_key: 'a hash',
  stage_set_aside_pkey: 'cleanKey: at most 100 characters',
  stream_failures_pkey: 'a stream, and a kind',
  troubles_open: 'a word, and a number or the reference of a customer',
  vocabulary_of_letters: 'words of at most 64 letters',
  vocabulary_pkey: 'words of at most 64 letters',
  words_left_pkey: 'words of at most 64 letters',
  words_pkey: 'words of at most 64 letters',
};

test('rule 19: each index over texts or documents has been checked', async () => {
  const found = await ask<{ index: string }>(
    store,
    `select c.relname as index from pg_index i
       join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid
      where t.relnamespace in ('entra_sync'::regnamespace, 'directory'::regnamespace)
        and exists (select from pg_attribute a where a.attrelid = i.indexrelid and a.attnum > 0 and a.attlen = -1)
      order by 1`,
  );
  expect(found.map((one) => one.index)).toEqual(Object.keys(textsOfIndexes));
});
