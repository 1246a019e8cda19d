// Failures that the data causes: which they are, how they are described, and how the objects at fault are found.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findCulprits } from '../../src/rules/culprits.ts';
import { dataFaultOf, isDataState, reasonOf } from '../../src/rules/data-faults.ts';
import { jsonChunks } from '../../src/store/stage/json-chunks.ts';

describe('rule 12: SQLSTATEs that the data causes', () => {
  test.each([
    ['54000', 'an index row is too large'],
    ['54001', 'a statement is too deep'],
    ['22001', 'a text is too long'],
    ['22003', 'a number is out of range'],
    ['22021', 'a byte fits no text'],
    ['22P05', 'a character cannot be translated'],
    ['21000', 'a row is updated twice'],
    ['23505', 'a key is there twice'],
    ['23514', 'a check'],
    ['42804', 'a type does not fit'],
    ['42846', 'a cast is not possible'],
    ['P0001', 'a trigger raises'],
    ['XX000', 'an allocation of more than 1 GB'],
  ])('%s is: %s', (state) => {
    expect(isDataState(state)).toBe(true);
  });

  test.each([
    ['08006', 'the connection'],
    ['25006', 'a server that takes no writes'],
    ['25P03', 'a session that idled'],
    ['28P01', 'the password'],
    ['40001', 'a serialization failure'],
    ['40P01', 'a deadlock'],
    ['42501', 'a missing right'],
    ['42P01', 'a missing table'],
    ['53100', 'a full disk'],
    ['53200', 'memory'],
    ['53300', 'too many connections'],
    ['55P03', 'a lock'],
    ['57014', 'a timeout'],
    ['57P01', 'a server that stops'],
    ['58030', 'the disk'],
    ['XX001', 'a broken file'],
    ['XX002', 'a broken index'],
    ['ES005', 'our own'],
    ['EPIPE', 'no SQLSTATE'],
    ['ECONNREFUSED', 'no SQLSTATE'],
    ['2250', 'no SQLSTATE'],
  ])('%s is not: %s', (state) => {
    expect(isDataState(state)).toBe(false);
  });
});

describe('rule 18: the description of a failure', () => {
  const sent = { severity: 'ERROR', code: '23514', table: 'accounts', detail: 'Failing row contains (Adele).' };
  test.each([
    [{ ...sent, constraint: 'accounts_by_mail' }, 'SQLSTATE 23514 at accounts_by_mail'],
    [{ ...sent, column: 'mail' }, 'SQLSTATE 23514 at mail'],
    [sent, 'SQLSTATE 23514 at accounts'],
    [{ ...sent, table: 'Adele Vance <adele@contoso.com>' }, 'SQLSTATE 23514'],
  ])('has the code and a schema name, and no value (%#)', (error, told) => {
    const fault = dataFaultOf(error);
    expect(fault && reasonOf(fault)).toBe(`the database does not take it: ${told}`);
  });

  test.each([
    [undefined],
    [null],
    ['23514'],
    [new Error('23514')],
    [{ code: '23514' }],
    [{ severity: 'ERROR', code: '40001' }],
  ])('another error is not a data fault (%#)', (error) => {
    expect(dataFaultOf(error)).toBeUndefined();
  });
});

describe('rule 19: the objects at fault are found by halves', () => {
  const names = (count: number) => Array.from({ length: count }, (_, place) => `unit ${place}`);

  test('every object that fails alone, and no other', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 60 }),
        fc.array(fc.nat(59)),
        fc.nat(60),
        async (count, places, cut) => {
          const units = names(count);
          const bad = new Set(places.filter((place) => place < count).map((place) => `unit ${place}`));
          if (bad.size === 0) return;
          const found = await findCulprits([units.slice(0, cut), units.slice(cut)], async (some) =>
            some.some((unit) => bad.has(unit)) ? 'fault' : undefined,
          );
          expect(new Set(found?.keys())).toEqual(bad);
        },
      ),
    );
  });

  test('two objects that fail only together: either one', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: 60 }), fc.nat(59), fc.nat(59), async (count, one, other) => {
        const pair = new Set([`unit ${one % count}`, `unit ${other % count}`]);
        const found = await findCulprits([names(count)], async (some) =>
          [...pair].every((unit) => some.includes(unit)) ? 'fault' : undefined,
        );
        expect(found?.size).toBe(1);
        expect([...pair]).toEqual(expect.arrayContaining([...(found?.keys() ?? [])]));
      }),
    );
  });

  test('a culprit among 100,000 objects takes fewer than 40 attempts, and a suspected one fewer than 6', async () => {
    const units = names(100_000);
    let attempts = 0;
    const fails = async (some: readonly string[]) => {
      attempts += 1;
      return some.includes('unit 7777') ? 'fault' : undefined;
    };
    expect(await findCulprits([units], fails)).toEqual(new Map([['unit 7777', 'fault']]));
    expect(attempts).toBeLessThan(40);
    attempts = 0;
    await findCulprits([units.filter((unit) => unit !== 'unit 7777'), ['unit 7777']], fails);
    expect(attempts).toBeLessThan(6);
  });

  test('no object is to blame if an attempt without objects fails', async () => {
    expect(await findCulprits([names(5)], async () => 'fault')).toBeUndefined();
  });

  test('beyond the maximum of attempts, a failing part is left out whole', async () => {
    const bad = new Set(names(500).filter((_, place) => place % 2 === 0));
    let attempts = 0;
    const fails = async (some: readonly string[]) => {
      attempts += 1;
      return some.some((unit) => bad.has(unit)) ? 'fault' : undefined;
    };
    const found = await findCulprits([names(500)], fails, 50);
    expect([...bad].every((unit) => found?.has(unit))).toBe(true);
    expect(attempts).toBeLessThan(80);
  });
});

test('rows are sent in chunks of a limited length, in their order', () => {
  const items = ['a', 'bb', 'x'.repeat(50), 'c', 'd'];
  const lots = [...jsonChunks(items, 20)];
  expect(lots.flatMap((lot) => JSON.parse(lot))).toEqual(items);
  expect(lots).toHaveLength(3);
  expect([...jsonChunks([])]).toEqual([]);
});
