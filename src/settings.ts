// The settings: one zod definition, checked so that all problems are listed at once with the nearest right name.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { ExpectedError } from './errors.ts';
import { packageFile } from './package-files.ts';
import { nearestName, userProperties } from './rules/graph-properties.ts';
import { groupProperties } from './rules/groups.ts';
import { type Field, selectedProperties } from './rules/mapping.ts';
import type { Scope } from './rules/scope.ts';

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const duration = (least: string, most: string) =>
  z.string().superRefine((text, context) => {
    const ms = durationMs(text);
    if (ms === undefined)
      context.addIssue(`${JSON.stringify(text)} is no duration: write a whole number and s, m, h or d, like 40m`);
    else if (ms < Number(durationMs(least)) || ms > Number(durationMs(most)))
      context.addIssue(`${text} is not between ${least} and ${most}`);
  });

const field = z.strictObject({ from: z.string() });

const scope = z.strictObject({
  userType: z.union([z.literal('any'), z.array(z.enum(['Member', 'Guest'])).min(1)]),
  accountEnabled: z.union([z.literal('any'), z.boolean()]),
  groups: z.array(z.guid('is no object id: write the GUID that Entra shows for the group')),
});

const documentSchema = z.strictObject({
  interval: duration('1m', '7d'),
  fields: z.record(z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,62}$/), field.nullable()),
  scope,
  retention: duration('1d', '3650d'),
  changes: z.strictObject({ retention: duration('1d', '3650d') }),
  cycles: z.strictObject({ retention: duration('1d', '3650d') }),
  fullEvery: duration('1h', '30d'),
  allowRoles: z.array(z.string().regex(/^[A-Za-z0-9._-]{1,120}$/, 'is no name of an application permission')),
});

const partialSchema = z.strictObject({
  interval: documentSchema.shape.interval.optional(),
  fields: documentSchema.shape.fields.optional(),
  scope: documentSchema.shape.scope.partial().optional(),
  retention: documentSchema.shape.retention.optional(),
  changes: documentSchema.shape.changes.partial().optional(),
  cycles: documentSchema.shape.cycles.partial().optional(),
  fullEvery: documentSchema.shape.fullEvery.optional(),
  allowRoles: documentSchema.shape.allowRoles.optional(),
});

/** A settings file as written: any part may be missing, it then keeps the value of the layer below. */
export type SettingsDocument = z.infer<typeof partialSchema>;

/** The settings in force for a tenant. Durations in milliseconds. */
export type Settings = {
  /** The number of the newest stored version that these settings rest on. */
  readonly version: number;
  readonly intervalMs: number;
  readonly fields: readonly Field[];
  readonly scope: Scope;
  readonly retentionMs: number;
  readonly changesRetentionMs: number;
  readonly cyclesRetentionMs: number;
  readonly fullEveryMs: number;
  readonly allowRoles: readonly string[];
  /** Of mapping, $select and scope: when it differs from a checkpoint's, the next round is a full one (rule 17). */
  readonly fingerprint: string;
  /** The same for the groups stream: of the groups that the scope names. */
  readonly groupsFingerprint: string;
};

/** Milliseconds of `40m`, `7d` …, or undefined. */
export function durationMs(text: string): number | undefined {
  const match = /^(\d{1,9})([smhd])$/.exec(text.trim());
  const unit = units[match?.[2] ?? ''];
  return match && unit ? Number(match[1]) * unit : undefined;
}

/** config/default.yaml, which must be complete. Read once by app.ts. */
export function loadDefaults(path: string = packageFile('config', 'default.yaml')): SettingsDocument {
  return checkDocument(parseYaml(readFileSync(path, 'utf8'), path), path, documentSchema);
}

/** A settings file of somebody's own, checked; throws `settings_invalid` that lists every problem. */
export function loadSettingsFile(path: string): SettingsDocument {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ExpectedError('settings_invalid', `${path} cannot be read`, { cure: 'check the path', cause: error });
  }
  return checkDocument(parseYaml(text, path), path, partialSchema);
}

/** What `upper` says laid over `lower`: objects by key, fields by name, anything else as a whole. */
export function mergeDocuments(lower: SettingsDocument, upper: SettingsDocument): SettingsDocument {
  const merged: SettingsDocument = { ...lower, ...upper };
  if (lower.fields && upper.fields) merged.fields = { ...lower.fields, ...upper.fields };
  if (lower.scope && upper.scope) merged.scope = { ...lower.scope, ...upper.scope };
  if (lower.changes && upper.changes) merged.changes = { ...lower.changes, ...upper.changes };
  if (lower.cycles && upper.cycles) merged.cycles = { ...lower.cycles, ...upper.cycles };
  return merged;
}

/** The settings in force: the layers (defaults first, a tenant's own last) merged and checked as a whole. */
export function resolveSettings(layers: readonly SettingsDocument[], version: number): Settings {
  const merged = layers.reduce(mergeDocuments, {});
  const document = checkDocument(merged, 'the stored settings', documentSchema);
  const fields = Object.entries(document.fields ?? {})
    .flatMap(([name, one]) => (one ? [{ field: name, from: one.from }] : []))
    .sort((one, other) => (one.field < other.field ? -1 : 1));
  const userType = document.scope?.userType ?? 'any';
  const scope: Scope = {
    userTypes: userType === 'any' ? 'any' : userType.map((type) => type.toLowerCase()).sort(),
    accountEnabled: document.scope?.accountEnabled ?? 'any',
    groups: (document.scope?.groups ?? []).map((group) => group.toLowerCase()).sort(),
  };
  return {
    version,
    fields,
    intervalMs: known(document.interval),
    retentionMs: known(document.retention),
    changesRetentionMs: known(document.changes?.retention),
    cyclesRetentionMs: known(document.cycles?.retention),
    fullEveryMs: known(document.fullEvery),
    allowRoles: document.allowRoles ?? [],
    scope,
    fingerprint: fingerprintOf([selectedProperties(fields), fields, scope]),
    groupsFingerprint: fingerprintOf([...groupProperties.keys(), scope.groups]),
  };
}

function fingerprintOf(parts: unknown): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

function known(text: string | undefined): number {
  const ms = durationMs(text ?? '');
  if (ms === undefined) throw new Error(`unchecked duration ${text}`);
  return ms;
}

function parseYaml(text: string, path: string): unknown {
  const document = parseDocument(text, { prettyErrors: true });
  const [error] = document.errors;
  if (error) throw noYaml(path, error);
  try {
    return document.toJS({ maxAliasCount: 20 }) ?? {};
  } catch (fault) {
    // Aliases are resolved only here: one without its anchor, or so many that they would fill the memory.
    throw noYaml(path, fault);
  }
}

function noYaml(path: string, error: unknown): ExpectedError {
  const [line] = (error instanceof Error ? error.message : String(error)).split('\n');
  return new ExpectedError('settings_invalid', `${path} is no YAML: ${line}`, { cure: 'mend that line', cause: error });
}

function checkDocument(
  document: unknown,
  path: string,
  schema: typeof documentSchema | typeof partialSchema,
): SettingsDocument {
  const parsed = schema.safeParse(document);
  const problems = parsed.success ? [] : parsed.error.issues.flatMap(describeIssue);
  problems.push(...fieldProblems(document));
  if (parsed.success && problems.length === 0) return parsed.data as SettingsDocument;
  const count = problems.length === 1 ? '' : `${problems.length} problems: `;
  throw new ExpectedError('settings_invalid', `${path}: ${count}${problems.join('; ')}`, {
    cure: 'mend the file; config/default.yaml shows every setting',
  });
}

type Issue = z.core.$ZodIssue;

function describeIssue(issue: Issue): string[] {
  const place = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(issue.path.map(String));
    return issue.keys.map((key) => {
      const near = nearestName(key, known);
      const where = place ? ` in ${place}` : '';
      return `there is no setting ${JSON.stringify(key)}${where}${near ? `, did you mean ${near}?` : ` (there are ${known.join(', ')})`}`;
    });
  }
  if (issue.code === 'invalid_key') return [`${place} is no name for a field: letters, digits and _ only, 63 at most`];
  if (issue.code === 'invalid_type') return [`${place || 'the file'} must be ${article(issue.expected)}`];
  return [place ? `${place}: ${issue.message}` : issue.message];
}

function knownKeys(path: readonly string[]): string[] {
  const [first] = path;
  if (first === undefined) return Object.keys(documentSchema.shape);
  if (first === 'fields') return Object.keys(field.shape);
  if (first === 'scope') return Object.keys(scope.shape);
  return ['retention'];
}

function article(type: string): string {
  return type === 'record' || type === 'object' ? 'a mapping' : type === 'array' ? 'a list' : `a ${type}`;
}

// Beyond the shape: does Graph have the property, and can delta track it?
function fieldProblems(document: unknown): string[] {
  const fields = (document as { fields?: unknown } | null)?.fields;
  if (typeof fields !== 'object' || fields === null) return [];
  return Object.entries(fields).flatMap(([name, one]) => {
    const from = (one as { from?: unknown } | null)?.from;
    if (typeof from !== 'string') return [];
    if (from === 'id')
      return [`fields.${name}: the id of a user is entra_object_id of directory.accounts, not a field`];
    const property = Object.hasOwn(userProperties, from) ? userProperties[from] : undefined;
    if (!property) {
      const near = nearestName(from, Object.keys(userProperties));
      return [
        `fields.${name}: a Graph user has no property ${JSON.stringify(from)}${near ? `, did you mean ${near}?` : ''}`,
      ];
    }
    return property.trackable ? [] : [`fields.${name}: ${from} cannot be synced by delta: ${property.why}`];
  });
}
