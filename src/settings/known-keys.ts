// The keys that a settings document may have in a place, for the nearest one of a misspelt name.
import { languages } from '../rules/ownership.ts';
import { fieldSchema } from './field-schema.ts';
import { groupsSchema } from './groups-schema.ts';
import { managedBySchema } from './managers.ts';
import { photosSchema } from './photos-schema.ts';
import { helpSchema, notifySchema, portalSchema } from './portal-schema.ts';
import {
  certificateSchema,
  credentialSchema,
  documentSchema,
  manualSchema,
  roleGroupsSchema,
  roleSettings,
} from './schema.ts';
import { scopeSchema } from './scope-schema.ts';

/** Returns whether a place is inside a field's `label` or `help`, whose keys are languages. */
export function isWords([first, , third, more]: readonly PropertyKey[]): boolean {
  return first === 'fields' && (third === 'label' || third === 'help') && more === undefined;
}

/** Returns the keys that the place may have. */
export function knownKeys(path: readonly string[]): string[] {
  const [first, second] = path;
  if (first === undefined) return Object.keys(documentSchema.shape);
  if (isWords(path)) return [...languages];
  if (first === 'fields') return Object.keys(fieldSchema.shape);
  if (first === 'scope') return Object.keys(scopeSchema.shape);
  if (first === 'groups') return Object.keys(groupsSchema.shape);
  if (first === 'credential') return Object.keys((second === undefined ? credentialSchema : certificateSchema).shape);
  if (first === 'managedBy') return Object.keys(managedBySchema.shape);
  if (roleSettings.some((one) => one === first)) return Object.keys(roleGroupsSchema.shape);
  if (first === 'photos') return Object.keys(photosSchema.shape);
  if (first === 'notify') return Object.keys(notifySchema.shape);
  if (first === 'portal') return Object.keys(portalSchema.shape);
  if (first === 'help') return Object.keys(helpSchema.shape);
  if (first === 'manual') return Object.keys(manualSchema.shape);
  return ['retention'];
}
