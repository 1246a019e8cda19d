// Defines the settings once: for checks, types and the JSON Schema of editors.
import { z } from 'zod';
import { owners, roles, sourcesOfTruth } from '../rules/ownership.ts';
import { patternProblem } from '../rules/patterns.ts';
import { expression } from './expression-schema.ts';
import { scopeSchema } from './scope-schema.ts';

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Returns the milliseconds of `40m`, `7d` …, or undefined for any other text. */
export function durationMs(text: string): number | undefined {
  const match = /^(\d{1,9})([smhd])$/.exec(text.trim());
  const unit = units[match?.[2] ?? ''];
  return match && unit ? Number(match[1]) * unit : undefined;
}

const duration = (least: string, most: string, description: string) =>
  z
    .string()
    .superRefine((text, context) => {
      const ms = durationMs(text);
      if (ms === undefined)
        context.addIssue(`${JSON.stringify(text)} is not a duration: write a whole number and s, m, h or d, like 40m`);
      else if (ms < Number(durationMs(least)) || ms > Number(durationMs(most)))
        context.addIssue(`${text} is not between ${least} and ${most}`);
    })
    .meta({ description: `${description} From ${least} to ${most}.`, pattern: '^\\s*\\d{1,9}[smhd]\\s*$' });

/** Maximum number of fields, of a file and in force. Every profile has them all. */
export const maxFields = 500;

/** Names of fields that every object of JavaScript has already: a program that reads a profile finds a function. */
export const reservedNames = Object.getOwnPropertyNames(Object.prototype).filter((name) => /^[a-z]/i.test(name));

const editableBy = z.array(z.enum(roles));

export const fieldSchema = z.strictObject({
  from: expression.optional(),
  owner: z
    .enum(owners)
    .meta({ description: 'The owner of the field if sourceOfTruth is hybrid. Default: directory.' })
    .optional(),
  editableBy: editableBy
    .meta({
      description: 'The roles that may edit the field of a managed account while the user owns it. Default: both.',
    })
    .optional(),
  max: z
    .int()
    .min(1)
    .max(32_768)
    .nullable()
    .meta({ description: 'The characters that an edit may have at most; null: 32,768. What is stored stays.' })
    .optional(),
  pattern: z
    .string()
    .superRefine((pattern, context) => {
      const problem = patternProblem(pattern);
      if (problem !== undefined) context.addIssue(problem);
    })
    .nullable()
    .meta({
      description:
        'A regular expression that an edit matches as a whole; null: none. No look-around, no back-reference. What is stored stays.',
    })
    .optional(),
});

export const manualSchema = z
  .strictObject({
    editable: z
      .union([z.literal('all'), z.array(z.string())])
      .meta({ description: 'all, or the list of fields that can be edited.' }),
    editableBy: editableBy.meta({ description: 'The roles that may edit them.' }),
  })
  .meta({ description: 'Editing of manual accounts: made by hand, or released from a tenant.' });

const retentionOf = (what: string) =>
  z
    .strictObject({ retention: duration('1d', '3650d', `How long ${what} are kept.`) })
    .meta({ description: `Retention of ${what}.` });

export const removalsSchema = z
  .strictObject({
    max: z.int().min(0).max(1_000_000_000).meta({ description: 'Maximum number of removals in one round; 0: none.' }),
    percent: z
      .number()
      .min(0)
      .max(100)
      .meta({ description: 'The same as a percentage of the accounts (or groups) before the round; 0: none.' }),
    floor: z.int().min(0).max(1_000_000_000).meta({
      description:
        'The number of accounts from which the two limits count. Below it, more than half within seven days is too many.',
    }),
  })
  .meta({ description: 'Limits beyond which removals are held until a person approves or rejects them.' });

// An absolute path, because commands and workers run in different folders.
const filePath = z
  .string()
  .max(4_096)
  .regex(/^(\/|[A-Za-z]:[\\/])/, 'is not an absolute path');

const secretReference = z
  .union([
    z.strictObject({
      env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,199}$/, 'is not a name of an environment variable'),
    }),
    z.strictObject({ file: filePath }),
  ])
  .meta({ description: 'Where the secret is: { env: NAME } or { file: PATH }, never the secret itself.' });

/** The place of a secret, never the secret itself. */
export type SecretReference = z.infer<typeof secretReference>;

export const certificateSchema = z
  .strictObject({ file: filePath, password: secretReference.optional() })
  .meta({ description: 'A PEM file with key and certificate, and where the password of the key is, if it has one.' });

export const credentialSchema = z
  .strictObject({
    clientId: z.guid('is not an application id: write the GUID that Entra shows as "Application (client) ID"'),
    secret: secretReference.optional(),
    certificate: certificateSchema.optional(),
  })
  .refine(({ secret, certificate }) => (secret === undefined) !== (certificate === undefined), {
    message: 'names a secret or a certificate, one of them',
  });

/** A reference to a tenant's own application. */
export type CredentialReference = z.infer<typeof credentialSchema>;

// Stored settings of an earlier release may break these limits and stay in force; settings/limits.ts checks files. Here
// they are for editors.
const fieldName = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_]{0,62}$/)
  .meta({ pattern: `^(?!(?:${reservedNames.join('|')})$)[A-Za-z][A-Za-z0-9_]{0,62}$` });

/** A complete document: config/default.yaml, or layers merged. */
export const documentSchema = z.strictObject({
  interval: duration('1m', '7d', 'How often a tenant is synced.'),
  sourceOfTruth: z.enum(sourcesOfTruth).meta({
    description: 'The owner of the profile: the directory, the user, or one or the other per field (hybrid).',
  }),
  fields: z.record(fieldName, fieldSchema.nullable()).meta({
    description:
      'The profile, field by field, merged over the fields in force; null takes a field out. At most 500 fields.',
    maxProperties: maxFields,
  }),
  manual: manualSchema,
  scope: scopeSchema,
  disabledAccounts: z.enum(['suspend', 'remove', 'ignore']).meta({
    description: 'The treatment of accounts whose user is disabled in Entra ID.',
  }),
  match: z.array(z.enum(['mail', 'userPrincipalName'])).meta({
    description: 'Keys that match manual accounts with users, in order, ignoring case; [] for none.',
  }),
  removals: removalsSchema,
  firstLoad: z.enum(['quick', 'delta']).meta({
    description:
      'How a tenant is first read: by a quick listing, which fills accounts early, and then by delta; or by delta alone.',
  }),
  retention: duration('1d', '3650d', 'How long a removed account can be restored before it is purged.'),
  changes: retentionOf('change rows'),
  cycles: retentionOf('cycle rows'),
  fullEvery: duration('1h', '30d', 'Every stream does a full round at least this often.'),
  allowRoles: z
    .array(z.string().regex(/^[A-Za-z0-9._-]{1,120}$/, 'is not a name of an application permission'))
    .meta({ description: 'Application permissions that a token may carry besides the known read permissions.' }),
  credential: credentialSchema
    .nullable()
    .meta({
      description: 'The application of a single tenant itself; null: the application of the environment.',
    })
    .optional(),
});

// `partial` of zod drops the description.
function partial<Shape extends z.core.$ZodLooseShape>(schema: z.ZodObject<Shape, z.core.$strict>) {
  return schema.partial().meta({ description: schema.description });
}

/** A settings file as written: any part may be missing. */
export const partialSchema = documentSchema
  .extend({
    scope: partial(scopeSchema),
    manual: partial(manualSchema),
    removals: partial(removalsSchema),
    changes: partial(documentSchema.shape.changes),
    cycles: partial(documentSchema.shape.cycles),
  })
  .partial()
  .meta({
    title: 'Settings of entra-sync',
    description: 'Differences from the settings in force. config/default.yaml has every default.',
  });

/** A settings file of the whole installation, without the settings that only a tenant can have. */
export const installationSchema = partialSchema.omit({ credential: true });

/** A settings file as written. A missing part keeps the value of the layer below. */
export type SettingsDocument = z.infer<typeof partialSchema>;
