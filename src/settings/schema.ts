// The one definition of the settings: checks files, types documents, and gives editors their JSON Schema.
import { z } from 'zod';
import type { WrittenExpression } from '../rules/expressions.ts';
import { userProperties } from '../rules/graph-properties.ts';
import { owners, roles, sourcesOfTruth } from '../rules/ownership.ts';

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of `40m`, `7d` …, or undefined. */
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
        context.addIssue(`${JSON.stringify(text)} is no duration: write a whole number and s, m, h or d, like 40m`);
      else if (ms < Number(durationMs(least)) || ms > Number(durationMs(most)))
        context.addIssue(`${text} is not between ${least} and ${most}`);
    })
    .meta({ description: `${description} From ${least} to ${most}.`, pattern: '^\\s*\\d{1,9}[smhd]\\s*$' });

// Whatever a constant holds is in every profile: without limits one line of a file could fill the database.
const text = z.string().max(4_096);
const mostValues = 1_000;

const constant = z.union([text, z.number(), z.boolean(), z.array(text).max(100)]).meta({
  description: 'A text of 4,096 characters at most, a number, true or false, or a list of 100 such texts at most.',
});

// The names are for the completion of editors; which text is a path that leads somewhere, rules/graph-paths.ts tells.
const path = z
  .union([
    z.enum(Object.keys(userProperties).filter((name) => name !== 'id' && userProperties[name]?.trackable)),
    z.string(),
  ])
  .meta({
    description:
      'A property of a Graph user, or a path into one: businessPhones[0], onPremisesExtensionAttributes.extensionAttribute3.',
  });

const expression: z.ZodType<WrittenExpression> = z
  .lazy(() => z.union([path, ...Object.values(expressionForms)]))
  .meta({
    id: 'expression',
    title: 'Expression',
    description: 'Where a value comes from: a property or path, or one of first, join, constant, map, lower and trim.',
  });

const expressions = z.array(expression).min(1);

/** The forms of an expression beside a path, each by the key that tells it. */
export const expressionForms = {
  first: z
    .strictObject({ first: expressions })
    .meta({ description: 'The first of these that has a value; "" and an empty list count as none.' }),
  join: z
    .strictObject({ join: expressions, with: z.string().max(100).meta({ default: ' ' }).optional() })
    .meta({ description: 'These as one text, with a text between them (a space); what has no value is skipped.' }),
  constant: z.strictObject({ constant }).meta({ description: 'Always this value.' }),
  map: z
    .strictObject({
      map: expression,
      values: z
        .record(text, constant)
        .refine((values) => Object.keys(values).length <= mostValues)
        .meta({
          description: 'What becomes of each value, letter by letter: 1,000 of them at most.',
          maxProperties: mostValues,
        }),
      otherwise: constant.optional().meta({ description: 'What becomes of any other value; without it: no value.' }),
    })
    .meta({ description: 'A table from values to values. Without a value to look up there is none.' }),
  lower: z.strictObject({ lower: expression }).meta({ description: 'In lower case.' }),
  trim: z.strictObject({ trim: expression }).meta({ description: 'Without spaces at both ends.' }),
};

const editableBy = z.array(z.enum(roles));

export const fieldSchema = z.strictObject({
  from: expression.optional(),
  owner: z
    .enum(owners)
    .meta({ description: 'Who owns the field where sourceOfTruth is hybrid. Default: directory.' })
    .optional(),
  editableBy: editableBy
    .meta({ description: 'Who may edit the field of a managed account while the user owns it. Default: both.' })
    .optional(),
});

export const scopeSchema = z
  .strictObject({
    userType: z
      .union([z.literal('any'), z.array(z.enum(['Member', 'Guest'])).min(1)])
      .meta({ description: 'any, or a list of Member and Guest; a user without userType counts as Member.' }),
    accountEnabled: z
      .union([z.literal('any'), z.boolean()])
      .meta({ description: 'any, or only enabled (true) or disabled (false) users.' }),
    groups: z
      .array(z.guid('is no object id: write the GUID that Entra shows for the group'))
      .meta({ description: 'Object ids; when any are given, only members of these groups, nested ones too.' }),
  })
  .meta({ description: 'Who gets an account.' });

export const manualSchema = z
  .strictObject({
    editable: z
      .union([z.literal('all'), z.array(z.string())])
      .meta({ description: 'all, or the list of fields that can be edited.' }),
    editableBy: editableBy.meta({ description: 'Who may edit them.' }),
  })
  .meta({ description: 'What can be edited of manual accounts: made by hand, or left by a tenant that disconnected.' });

const retentionOf = (what: string) =>
  z
    .strictObject({ retention: duration('1d', '3650d', `How long ${what} are kept.`) })
    .meta({ description: `What is kept of ${what}.` });

export const removalsSchema = z
  .strictObject({
    max: z.int().min(0).max(1_000_000_000).meta({ description: 'Most removals in one round; 0: none.' }),
    percent: z
      .number()
      .min(0)
      .max(100)
      .meta({ description: 'The same in percent of the accounts (or groups) there were; 0: none.' }),
    floor: z.int().min(0).max(1_000_000_000).meta({
      description: 'From how many accounts on the two count; below it, more than half within seven days is too many.',
    }),
  })
  .meta({ description: 'Beyond which removals are held until a person approves or rejects them.' });

// Absolute, because commands and workers run in different folders.
const filePath = z
  .string()
  .max(4_096)
  .regex(/^(\/|[A-Za-z]:[\\/])/, 'is no absolute path');

const secretReference = z
  .union([
    z.strictObject({
      env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,199}$/, 'is no name of an environment variable'),
    }),
    z.strictObject({ file: filePath }),
  ])
  .meta({ description: 'Where the secret is: { env: NAME } or { file: PATH }, never the secret itself.' });

/** Where a secret is, never the secret itself. */
export type SecretReference = z.infer<typeof secretReference>;

export const certificateSchema = z
  .strictObject({ file: filePath, password: secretReference.optional() })
  .meta({ description: 'A PEM file with key and certificate, and where the password of the key is, if it has one.' });

export const credentialSchema = z
  .strictObject({
    clientId: z.guid('is no application id: write the GUID that Entra shows as "Application (client) ID"'),
    secret: secretReference.optional(),
    certificate: certificateSchema.optional(),
  })
  .refine(({ secret, certificate }) => (secret === undefined) !== (certificate === undefined), {
    message: 'names a secret or a certificate, one of them',
  });

/** The application that a tenant brings itself. */
export type CredentialReference = z.infer<typeof credentialSchema>;

/** A complete document: config/default.yaml, or layers merged. */
export const documentSchema = z.strictObject({
  interval: duration('1m', '7d', 'How often a tenant is synced.'),
  sourceOfTruth: z.enum(sourcesOfTruth).meta({
    description: 'Who owns the profile: the directory all fields, the user all fields, or field by field (hybrid).',
  }),
  fields: z
    .record(z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,62}$/), fieldSchema.nullable())
    .meta({ description: 'The profile, field by field, merged over the fields in force; null takes a field out.' }),
  manual: manualSchema,
  scope: scopeSchema,
  disabledAccounts: z.enum(['suspend', 'remove', 'ignore']).meta({
    description: 'What becomes of the account of a user who is disabled in Entra ID.',
  }),
  match: z.array(z.enum(['mail', 'userPrincipalName'])).meta({
    description: 'How manual accounts are recognised as users of the directory, in order, ignoring case; [] for never.',
  }),
  removals: removalsSchema,
  firstLoad: z.enum(['quick', 'delta']).meta({
    description:
      'How a tenant is read for the first time: by a quick listing, which shows people early, and then by delta; or by delta alone.',
  }),
  retention: duration('1d', '3650d', 'How long a removed account can be restored before it is purged.'),
  changes: retentionOf('change rows'),
  cycles: retentionOf('cycle rows'),
  fullEvery: duration('1h', '30d', 'Every stream walks the whole directory at least this often.'),
  allowRoles: z
    .array(z.string().regex(/^[A-Za-z0-9._-]{1,120}$/, 'is no name of an application permission'))
    .meta({ description: 'Application permissions that a token may carry beside the known read permissions.' }),
  credential: credentialSchema
    .nullable()
    .meta({
      description:
        'The application that a tenant brings itself. Of one tenant alone; null: the one of the environment.',
    })
    .optional(),
});

// zod drops the description of what is made partial.
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
    description: 'What shall differ from the settings in force. config/default.yaml tells every default.',
  });

/** A settings file of the whole installation: what only a tenant can have is missing. */
export const installationSchema = partialSchema.omit({ credential: true });

/** A settings file as written: any part may be missing, it then keeps the value of the layer below. */
export type SettingsDocument = z.infer<typeof partialSchema>;
