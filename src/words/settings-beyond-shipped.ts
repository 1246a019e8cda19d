// The settings of a tenant that are not as this release ships them, in words, each with the layer that says so.
import { plural } from '../rules/numbers.ts';
import { settingDifferences } from '../settings/differences.ts';
import { belowStored } from '../settings/fields.ts';
import { mergeDocuments, type SettingsDocument } from '../settings/settings.ts';
import type { StoredVersion } from '../store/settings/versions.ts';
import { cut } from './changes.ts';
import { settingLabel, settingValue } from './setting-words.ts';

export type SettingInForce = {
  /** As a settings file names it: `scope.domains`, `fields.mobilePhone.owner`. */
  readonly key: string;
  readonly label: string;
  readonly value: string;
  readonly says: string;
};

type Layer = Pick<StoredVersion, 'document' | 'version' | 'tenant_id'>;

/**
 * Returns the settings in force that differ from those of the release, or by which the tenant differs from the vendor's
 * defaults. `labels`: those of fields, by name.
 */
export function settingsBeyondShipped(
  shipped: SettingsDocument,
  stored: readonly Layer[],
  labels: ReadonlyMap<string, string>,
): SettingInForce[] {
  const over = (layers: readonly Layer[]) => layers.map((one) => one.document).reduce(mergeDocuments, lowest);
  const lowest = belowStored(
    shipped,
    stored.map((one) => one.document),
  );
  const [below, merged] = [over(stored.filter(isVendors)), over(stored)];
  const keys = [shipped, below].flatMap((before) => settingDifferences(before, merged).map(({ key }) => key));
  return [...new Set(keys.map((key) => wholeKey(key, shipped, merged)))].sort().map((key) => ({
    key,
    label: settingLabel(key, labels),
    value: cut(settingValue(key, valueAt(merged, key), labels)),
    says: layerOf(key, stored),
  }));
}

/** Credentials, and fields that came or went, are told whole. */
function wholeKey(key: string, shipped: SettingsDocument, merged: SettingsDocument): string {
  const [first = '', second = ''] = key.split('.');
  if (first === 'credential') return first;
  const field = `fields.${second}`;
  const isWhole = first === 'fields' && [shipped, merged].some((one) => !valueAt(one, field));
  return isWhole ? field : key;
}

function valueAt(document: unknown, key: string): unknown {
  return key
    .split('.')
    .reduce<unknown>(
      (value, name) =>
        typeof value === 'object' && value !== null && Object.hasOwn(value, name)
          ? (value as Record<string, unknown>)[name]
          : undefined,
      document,
    );
}

/** Returns the layer that sets a key last. The vendor's list of fields is complete, so a missing field is the vendor's word. */
function layerOf(key: string, stored: readonly Layer[]): string {
  const layer = stored.findLast((one) => valueAt(one.document, key) !== undefined) ?? stored.find(isVendors);
  if (layer === undefined) return 'as shipped';
  return isVendors(layer)
    ? `the vendor's defaults, version ${layer.version}`
    : `this tenant's settings, version ${layer.version}`;
}

const isVendors = ({ tenant_id }: Layer) => tenant_id === null;

/** Returns a sentence on the settings that are not listed. */
export function describeOthers(listed: readonly SettingInForce[], all: readonly SettingInForce[]): string {
  const more = all.length - listed.length;
  if (all.length === 0) return 'Every setting is as shipped.';
  return more > 0
    ? `${plural(more, 'more setting')} differ${more === 1 ? 's' : ''} too.`
    : 'All others are as shipped.';
}
