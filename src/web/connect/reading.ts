// The properties that a tenant is read for, and how often, in the words of a language.
import type { Settings } from '../../settings/settings.ts';
import type { Language } from './language.ts';

export type Reading = {
  readonly properties: readonly string[];
  readonly retentionMs: number;
  readonly intervalMs: number;
};

/** Returns the properties and times that the settings imply. */
export function readingOf(settings: Settings, properties: readonly string[]): Reading {
  const { retentionMs, intervalMs } = settings;
  return { properties: properties.filter((name) => name !== 'id'), retentionMs, intervalMs };
}

/** Returns the words for a property of Graph: `businessPhones` -> business phones. */
export function inWords(property: string, { properties }: Language): string {
  const known = Object.hasOwn(properties, property) ? properties[property] : undefined;
  if (known !== undefined) return known;
  return property.startsWith('extension_') ? property : property.replaceAll(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
}

/** Returns a number of units in the words of a language. */
export function unitsOf(count: number, unit: 'minute' | 'hour' | 'day', { tag }: Language): string {
  return new Intl.NumberFormat(tag, { style: 'unit', unit, unitDisplay: 'long' }).format(count);
}

/** Returns an interval in whole minutes, or in hours from two on. */
export function intervalOf(ms: number, language: Language): string {
  const minutes = Math.max(1, Math.round(ms / 60_000));
  return minutes < 120 ? unitsOf(minutes, 'minute', language) : unitsOf(Math.round(minutes / 60), 'hour', language);
}
