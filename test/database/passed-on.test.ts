// Staged users equal the given ones, whatever the names of properties and fields. A field that only copies its property is
// not sent a second time, without a visible difference.
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Json } from '../../src/rules/decode.ts';
import type { Lease } from '../../src/store/cycle/lease.ts';
import { inTransaction, rows } from '../../src/store/database/pool.ts';
import { type StagedUser, stageUsers } from '../../src/store/stage/users.ts';
import { runsOf } from '../support/deep.ts';
import { drawn } from '../support/histories.ts';
import { begin, leasedTenant, objectId, openStore, type Store } from '../support/stage.ts';

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

const odd = ['', '__proto__', 'constructor', 'toString', 'a.b', '0', 'NULL', '{}', '"', ',', '\\', 'mail', 'Mail'];
const name = fc.oneof(fc.constantFrom(...odd), fc.string({ maxLength: 3 }));
const value = fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json>;
// Copied, left out, mapped from another property, or from a missing one.
const made = fc.oneof(
  fc.constant('passed on' as const),
  fc.constant('left out' as const),
  fc.record({ of: name }),
  fc.record({ value }),
);

type Made = typeof made extends fc.Arbitrary<infer One> ? One : never;

const person = fc.record({
  source: fc.array(fc.tuple(name, value), { maxLength: 6 }).map((entries) => Object.fromEntries(entries)),
  fields: fc.array(fc.tuple(name, made), { maxLength: 6 }),
  all: fc.boolean(),
});

function fieldOf(source: Readonly<Record<string, Json>>, field: string, how: Made): [string, Json][] {
  if (how === 'left out') return [];
  if (how !== 'passed on' && 'value' in how) return [[field, how.value]];
  const from = how === 'passed on' ? field : how.of;
  return Object.hasOwn(source, from) ? [[field, source[from] ?? null]] : [];
}

const mappedOf = ({
  source,
  fields,
  all,
}: {
  source: Record<string, Json>;
  fields: [string, Made][];
  all: boolean;
}) => {
  const made = new Map<string, Json>(all ? Object.entries(source) : []);
  for (const [field, how] of fields) {
    made.delete(field);
    for (const [key, one] of fieldOf(source, field, how)) made.set(key, one);
  }
  return Object.fromEntries(made);
};

test('sources and mapped documents are stored as they were given', async () => {
  const round = await begin(store, lease, 'full');
  await fc.assert(
    fc.asyncProperty(fc.array(person, { minLength: 1, maxLength: 4 }), async (people) => {
      const users = people.map(
        (one, n): StagedUser => ({
          id: objectId(n),
          source: one.source,
          mapped: mappedOf(one),
          removed: null,
          doubt: null,
          userPrincipalName: null,
          mail: null,
          enabled: true,
          inScope: true,
          outside: null,
          condition: null,
        }),
      );
      // Postgres compares, because V8 13 reads the key "\"" as "\\" if it has seen an object with the latter before.
      const stored = await inTransaction(store.database, async (transaction) => {
        await transaction.raw('delete from entra_sync.stage_users');
        await stageUsers(transaction, round.round_id, users);
        return rows<{ source: boolean; mapped: boolean }>(
          transaction,
          `select s.source = g.source as source, s.mapped = g.mapped as mapped
             from entra_sync.stage_users s
             full join jsonb_to_recordset(:given::jsonb) as g (id uuid, source jsonb, mapped jsonb) on g.id = s.entra_object_id
            order by s.entra_object_id`,
          { given: JSON.stringify(users) },
        );
      });
      expect(stored).toEqual(users.map(() => ({ source: true, mapped: true })));
    }),
    { ...drawn, numRuns: runsOf(100, 300) },
  );
});
