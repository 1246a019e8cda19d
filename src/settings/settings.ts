// Checks settings files, merges layers, and resolves the settings in force for a tenant.

import { createHash } from 'node:crypto';
import { ExpectedError } from '../errors.ts';
import { packageFile } from '../package-files.ts';
import { type GroupChoice, writtenChoice } from '../rules/copied-groups.ts';
import { groupProperties } from '../rules/groups.ts';
import type { RemovalLimits } from '../rules/guard.ts';
import { type MatchKey, trackedProperties } from '../rules/mapping.ts';
import { type Field, type ManualEditing, roles, type SourceOfTruth } from '../rules/ownership.ts';
import type { Photos } from '../rules/photos.ts';
import { type DisabledAccounts, type Scope, writtenScope } from '../rules/scope.ts';
import type { Stream } from '../rules/streams.ts';
import { durationMs } from './durations.ts';
import { fieldsOf } from './fields.ts';
import { parseSettings, readSettingsFile, readText } from './files.ts';
import { choiceOf } from './groups-schema.ts';
import { problemsOfLimits } from './limits.ts';
import { inFileOrder } from './lines.ts';
import { type ManagedBy, managedByOf } from './managers.ts';
import { photosOf } from './photos-schema.ts';
import { checkShape, isRecord, problemsOfRemovals, problemsOfWhole } from './problems.ts';
import {
  type CredentialReference,
  documentSchema,
  installationSchema,
  partialSchema,
  type RoleSetting,
  roleSettings,
  type SecretReference,
  type SettingsDocument,
} from './schema.ts';
import { scopeOf } from './scope.ts';

export type { CredentialReference, SecretReference, SettingsDocument };

/** The settings in force for a tenant. Durations in milliseconds. */
export type Settings = {
  /** The newest stored version that these settings come from. */
  readonly version: number;
  readonly intervalMs: number;
  /** Sorted by name. */
  readonly fields: readonly Field[];
  readonly sourceOfTruth: SourceOfTruth;
  readonly manual: ManualEditing;
  readonly scope: Scope;
  /** Whether the users' managers are read and kept. */
  readonly managers: boolean;
  readonly managedBy: readonly ManagedBy[];
  readonly groups: GroupChoice;
  readonly disabledAccounts: DisabledAccounts;
  /** Keys that match manual accounts with users, in this order; empty: none. */
  readonly match: readonly MatchKey[];
  readonly removals: RemovalLimits;
  /** `quick`: a listing fills the accounts before the first full round. */
  readonly firstLoad: 'quick' | 'delta';
  readonly retentionMs: number;
  readonly changesRetentionMs: number;
  readonly cyclesRetentionMs: number;
  readonly fullEveryMs: number;
  readonly photos: Photos;
  readonly allowRoles: readonly string[];
  /** A reference to the tenant's own credential; null: the environment's is used. */
  readonly credential: CredentialReference | null;
  /** Object ids of the groups that give a role in the web, in lower case. */
  readonly roleGroups: Readonly<Record<RoleSetting, readonly string[]>>;
  /**
   * Hashes of the settings that shape a stream's stage; a change leads to a full round, unless it only narrows the scope
   * (rule 17). Users: mapping, $select,
   * scope and disabledAccounts. Groups: $select, the scope groups and the choice of groups.
   */
  readonly fingerprints: Readonly<Record<Stream, string>>;
  /** A hash of the part of the users' fingerprint that is not the scope: $select, mapping and disabledAccounts. */
  readonly reading: string;
};

// A process asks for the same file several times, and parsing takes 20 ms.
let defaults: { readonly path: string; readonly text: string; readonly document: SettingsDocument } | undefined;

/** Reads config/default.yaml, which must be complete. */
export function loadDefaults(path: string = packageFile('config', 'default.yaml')): SettingsDocument {
  const text = readText(path);
  if (defaults?.path !== path || defaults.text !== text)
    defaults = { path, text, document: checkSettings(parseSettings(text, path), path, [], documentSchema) };
  return structuredClone(defaults.document);
}

/**
 * Reads a settings file and checks it, by itself and merged over the layers `below`. Throws `settings_invalid` with
 * every problem.
 */
export function loadSettingsFile(path: string, below: readonly SettingsDocument[] = []): SettingsDocument {
  return checkSettings(readSettingsFile(path), path, below);
}

/** {@link checkSettings} for the settings of the whole installation. */
export function checkInstallationSettings(
  document: unknown,
  path: string,
  below: readonly SettingsDocument[],
): SettingsDocument {
  return checkSettings(document, path, below, installationSchema);
}

/** {@link loadSettingsFile} for a document that was already read. */
export function checkSettings(
  document: unknown,
  path: string,
  below: readonly SettingsDocument[] = [],
  schema: typeof documentSchema | typeof partialSchema | typeof installationSchema = partialSchema,
): SettingsDocument {
  const checked = checkShape(document, schema);
  const isWhole = below.length > 0 || schema === documentSchema;
  const under = below.reduce(mergeLayers, {});
  const merged = isRecord(document) ? mergeLayers(under, document) : {};
  const problems = [
    ...('problems' in checked ? checked.problems : []),
    ...(isWhole ? problemsOfWhole(merged) : []),
    ...(below.length > 0 ? problemsOfRemovals(document, under) : []),
    ...(schema === documentSchema ? [] : problemsOfLimits(document, merged)),
  ];
  if ('document' in checked && problems.length === 0) return checked.document;
  throw new ExpectedError(
    'settings_invalid',
    `${path} has ${problems.length} problem${problems.length === 1 ? '' : 's'}`,
    {
      list: inFileOrder(document, problems),
      cure: 'correct the file; config/default.yaml shows every setting',
    },
  );
}

/**
 * Merges `upper` over `lower`: objects by key, fields by name and key. Other values and credentials are replaced whole.
 */
export function mergeDocuments(lower: SettingsDocument, upper: SettingsDocument): SettingsDocument {
  return mergeLayers(lower, upper);
}

// Also merges unchecked documents, to report problems of file and whole together.
function mergeLayers(lower: Record<string, unknown>, upper: Record<string, unknown>): Record<string, unknown> {
  return mergeRecords(lower, upper, (one, other, key) =>
    mergeRecords(one, other, key === 'fields' ? (field, over) => ({ ...field, ...over }) : undefined),
  );
}

function mergeRecords(
  lower: Record<string, unknown>,
  upper: Record<string, unknown>,
  merge?: (lower: Record<string, unknown>, upper: Record<string, unknown>, key: string) => unknown,
): Record<string, unknown> {
  const merged = Object.entries(upper).map(([key, value]) => {
    const below = Object.hasOwn(lower, key) ? lower[key] : undefined;
    const isWhole = key === 'credential' || !merge || !isRecord(below) || !isRecord(value);
    return [key, isWhole ? value : merge(below, value, key)];
  });
  return { ...lower, ...Object.fromEntries(merged) };
}

/** Resolves the settings in force from the layers, defaults first. */
export function resolveSettings(layers: readonly SettingsDocument[], version: number): Settings {
  const document = checkStored(layers.reduce(mergeDocuments, {}));
  const fields = fieldsOf(document);
  const scope = scopeOf(document.scope);
  const groups = choiceOf(document.groups, namedGroups(scope, document));
  const { editable = 'all', editableBy = roles } = document.manual ?? {};
  const disabledAccounts = document.disabledAccounts ?? 'suspend';
  const managers = document.managers ?? false;
  const tracked = trackedProperties({ fields, scope, managers });
  const mapping = fields.flatMap(({ field, from }) => (from ? [[field, from]] : []));
  return {
    version,
    fields,
    sourceOfTruth: document.sourceOfTruth ?? 'directory',
    manual: {
      editable: editable === 'all' ? 'all' : unique(editable).sort(),
      editableBy: roles.filter((role) => editableBy.includes(role)),
    },
    managers,
    managedBy: (document.managedBy ?? []).map(managedByOf),
    disabledAccounts,
    match: unique(document.match ?? []),
    removals: removalsOf(document.removals),
    firstLoad: document.firstLoad ?? 'quick',
    intervalMs: known(document.interval),
    retentionMs: known(document.retention),
    changesRetentionMs: known(document.changes?.retention),
    cyclesRetentionMs: known(document.cycles?.retention),
    fullEveryMs: known(document.fullEvery),
    photos: photosOf(document.photos),
    allowRoles: document.allowRoles ?? [],
    credential: document.credential ?? null,
    roleGroups: {
      admins: lowered(document.admins?.groups),
      readers: lowered(document.readers?.groups),
      publishers: lowered(document.publishers?.groups),
    },
    scope,
    groups,
    reading: fingerprintOf([tracked, mapping, disabledAccounts]),
    fingerprints: {
      users: fingerprintOf([tracked, mapping, writtenScope(scope), disabledAccounts]),
      groups: fingerprintOf([...groupProperties.keys(), scope.groups, ...writtenChoice(groups)]),
    },
  };
}

/** Returns the groups that the settings name for a purpose of their own: they are always copied. */
function namedGroups({ groups }: Scope, { managedBy = [], ...document }: SettingsDocument): readonly string[] {
  const managing = managedBy
    .map(managedByOf)
    .flatMap(({ managers, people }) => [managers, ...(people ? [people] : [])]);
  return [...groups, ...managing, ...roleSettings.flatMap((one) => lowered(document[one]?.groups))];
}

function removalsOf({ max = 500, percent = 20, floor = 20 }: SettingsDocument['removals'] = {}): RemovalLimits {
  return { max, percent, floor };
}

const lowered = (ids: readonly string[] = []) => unique(ids.map((id) => id.toLowerCase())).sort();

function unique<Item>(items: readonly Item[]): Item[] {
  return [...new Set(items)];
}

// Stored settings were checked before, so the problems go on one line, for a cycle row or a log.
function checkStored(document: SettingsDocument): SettingsDocument {
  const where = 'the stored settings';
  try {
    return checkSettings(document, where, [], documentSchema);
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error;
    throw new ExpectedError('settings_invalid', `${where} do not fit together: ${error.list.join('; ')}`, {
      cure: 'correct them with entra-sync settings apply FILE',
    });
  }
}

function fingerprintOf(parts: unknown): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

function known(text: string | undefined): number {
  const ms = durationMs(text ?? '');
  if (ms === undefined) throw new Error(`unchecked duration ${text}`);
  return ms;
}
