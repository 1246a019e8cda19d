// The differences between two settings documents, key by key.
import { isDeepStrictEqual } from 'node:util';

/** A setting by its path, as `scope.groups` or `fields.mobilePhone.owner`; undefined where a document does not set it. */
export type SettingDifference = { readonly key: string; readonly before: unknown; readonly after: unknown };

/** Returns the settings that differ, in the order of their keys. Lists, and mappings (`from`), are compared whole. */
export function settingDifferences(before: unknown, after: unknown): SettingDifference[] {
  return below('', before, after).sort((one, other) => (one.key < other.key ? -1 : 1));
}

function below(path: string, before: unknown, after: unknown): SettingDifference[] {
  if (isDeepStrictEqual(before, after)) return [];
  const isWhole = path.endsWith('.from') || !(isMap(before) || isMap(after));
  if (isWhole || (before !== undefined && !isMap(before)) || (after !== undefined && !isMap(after)))
    return [{ key: path, before, after }];
  const [old, now] = [new Map(entriesOf(before)), new Map(entriesOf(after))];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((key) =>
    below(path === '' ? key : `${path}.${key}`, old.get(key), now.get(key)),
  );
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const entriesOf = (value: unknown): [string, unknown][] => (isMap(value) ? Object.entries(value) : []);
