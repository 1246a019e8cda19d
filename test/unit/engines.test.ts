// README names the Node from which on `npm ci` prints no EBADENGINE warning. npm compares these ranges of the lock file.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import lock from '../../package-lock.json' with { type: 'json' };
import { packageFile } from '../../src/package-files.ts';

type Version = readonly number[];

const versionOf = (text: string): Version => text.split('.').map((part) => Number(/^\d+$/.test(part) ? part : 0));

/** Negative, 0 or positive: how `one` stands to `other`. */
function compare(one: Version, other: Version): number {
  const at = [0, 1, 2].find((place) => (one[place] ?? 0) !== (other[place] ?? 0)) ?? 0;
  return (one[at] ?? 0) - (other[at] ?? 0);
}

function meets(version: Version, comparator: string): boolean {
  const [, sign = '', text = ''] = /^(>=|<|\^)?v?([\d.x*]+)$/.exec(comparator) ?? expect.unreachable(comparator);
  const bound = versionOf(text);
  if (sign === '<') return compare(version, bound) < 0;
  const sameMajor = version[0] === bound[0];
  if (sign === '') return sameMajor;
  return compare(version, bound) >= 0 && (sign === '>=' || sameMajor);
}

const isMet = (version: Version, range: string) =>
  range.split('||').some((one) =>
    one
      .replaceAll(/(>=|<|\^)\s+/g, '$1')
      .trim()
      .split(/\s+/)
      .every((comparator) => meets(version, comparator)),
  );

/** The packages of the lock file that want another Node than this one. */
function unmet(text: string): string[] {
  return Object.entries(lock.packages).flatMap(([name, one]) => {
    const { node } = 'engines' in one && 'node' in one.engines ? one.engines : { node: undefined };
    return node === undefined || isMet(versionOf(text), node) ? [] : [`${name} ${node}`];
  });
}

test('README names the Node from which on npm ci warns of no package, and older ones are warned', () => {
  const [, named = ''] = /From Node ([\d.]+) on/.exec(readFileSync(packageFile('README.md'), 'utf8')) ?? [];
  expect(unmet(`${named}.0`)).toEqual([]);
  expect(unmet('20.20.2').length).toBeGreaterThan(0);
  expect(unmet('24.11.0')).toEqual([]);
});
