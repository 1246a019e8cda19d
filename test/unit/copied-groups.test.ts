// Which groups are copied, and when a choice is narrower than another (rule 43).
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ExpectedError } from '../../src/errors.ts';
import { type GroupChoice, globsWithoutGroup, leftOutOf, narrowsGroups } from '../../src/rules/copied-groups.ts';
import { checkSettings, loadDefaults, resolveSettings } from '../../src/settings/settings.ts';

const defaults = loadDefaults();
const idOf = (n: number) => `00000000-0000-4000-8000-00000000000${n}`;
const settingsOf = (yaml: string) => resolveSettings([defaults, checkSettings(parse(yaml), 'FILE', [defaults])], 1);
const choiceOf = (yaml: string) => settingsOf(yaml).groups;

function problemsOf(yaml: string): readonly string[] {
  try {
    checkSettings(parse(yaml), 'FILE', [defaults]);
    return [];
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error;
    return error.list;
  }
}

test.each([
  ['{}', 'SG-Sales', null],
  ['{ only: [sg-*] }', 'SG-Sales', null],
  ['{ only: [sg-*] }', 'Sales', 'groups.only'],
  ['{ only: [SG-?] }', 'sg-1', null],
  ['{ only: [SG-?] }', 'sg-12', 'groups.only'],
  ['{ except: ["*test*"] }', 'A Test group', 'groups.except'],
  ['{ only: [sg-*], except: [SG-Old*] }', 'sg-older', 'groups.except'],
  [`{ only: [${idOf(1).toUpperCase()}] }`, 'any', null],
  [`{ only: ["*"], except: [${idOf(1)}] }`, 'any', 'groups.except'],
  [`{ only: [${idOf(2)}] }`, 'any', 'groups.only'],
  ['{ only: ["Ä*"] }', 'ärzte', null],
  ['{ only: ["?*"] }', null, 'groups.only'],
  ['{ only: ["*"] }', null, null],
] as const)('groups: %s and a group called %s: %s', (yaml, name, setting) => {
  expect(leftOutOf(choiceOf(`groups: ${yaml}`), idOf(1), name)?.setting ?? null).toBe(setting);
});

test('rule 43: a group that another setting names is copied, whatever the choice says', () => {
  const choice = choiceOf(`{ groups: { only: [x], except: ["*"] }, scope: { groups: [${idOf(3)}] } }`);
  expect(leftOutOf(choice, idOf(3), 'any')).toBeNull();
  expect(leftOutOf(choice, idOf(1), 'any')).toEqual({ setting: 'groups.except', entry: '*' });
});

test('globs that no name fits are named', () => {
  const choice = choiceOf(`groups: { only: [a*, b*, ${idOf(1)}], except: ["*z"] }`);
  expect(globsWithoutGroup(choice, ['Anna', null])).toEqual(['groups.only "b*"', 'groups.except "*z"']);
});

const entries = fc.uniqueArray(fc.constantFrom('a*', '*b', 'ab', '*', idOf(1), idOf(2)), { maxLength: 4 });
const choices: fc.Arbitrary<GroupChoice> = fc.record({
  only: entries,
  except: entries,
  always: fc.subarray([idOf(1), idOf(2)]),
});

test('rule 43: a choice that is narrower copies no group that was left out', () => {
  let narrower = 0;
  fc.assert(
    fc.property(choices, choices, (before, after) => {
      if (!narrowsGroups(before, after)) return;
      narrower += 1;
      for (const id of [idOf(1), idOf(2), idOf(3)])
        for (const name of ['', 'a', 'b', 'ab', 'aab', 'abb', 'c'])
          if (leftOutOf(before, id, name)) expect(leftOutOf(after, id, name), `${id} ${name}`).not.toBeNull();
    }),
    { numRuns: 3_000 },
  );
  expect(narrower).toBeGreaterThan(50);
});

test.each([
  ['{}', '{ only: [a] }', true],
  ['{ only: [a, b] }', '{ only: [b], except: [c] }', true],
  ['{ only: [a] }', '{ only: [a, b] }', false],
  ['{ only: [a] }', '{}', false],
  ['{ except: [a] }', '{}', false],
  ['{ only: [a*] }', '{ only: [ab*] }', false],
])('from groups: %s to %s is narrower: %s', (before, after, expected) => {
  expect(narrowsGroups(choiceOf(`groups: ${before}`), choiceOf(`groups: ${after}`))).toBe(expected);
});

describe('the fingerprint of the groups', () => {
  const print = (yaml: string) => settingsOf(yaml).fingerprints.groups;

  test('changes with the choice, and not by the order or the case of its entries', () => {
    expect(print('groups: { only: [A, b] }')).toBe(print('groups: { only: [B, a, b] }'));
    expect(print('groups: { only: [a] }')).not.toBe(print('groups: {}'));
    expect(print('groups: { only: [a] }')).not.toBe(print('groups: { except: [a] }'));
  });

  test('is that of earlier releases where nothing is chosen, so that an upgrade reads nothing again', () => {
    expect(print('groups: {}')).toBe('9a4960357d8d8b71');
  });
});

test.each([
  ['groups: [a]', 'groups must be a mapping'],
  ['groups: { onyl: [a] }', 'there is no setting "onyl" in groups, did you mean only?'],
  ['groups: { only: a }', 'groups.only must be a list'],
  ['groups: { only: [1] }', 'groups.only[0] must be a text'],
  ['groups: { except: [""] }', 'groups.except[0] must be one character or more'],
])('%s is refused: %s', (yaml, problem) => {
  expect(problemsOf(yaml)).toEqual([problem]);
});

test('at most 1,000 entries in each list', () => {
  const list = (count: number) => JSON.stringify(Array.from({ length: count }, (_, n) => `g${n}`));
  expect(problemsOf(`groups: { only: ${list(1_000)}, except: ${list(1_000)} }`)).toEqual([]);
  expect(problemsOf(`groups: { except: ${list(1_001)} }`)).toEqual([
    'groups.except: there are 1,001, and at most 1,000 are possible',
  ]);
});
