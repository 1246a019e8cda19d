// Defines the settings once: for checks, types and the JSON Schema of editors.
import { z } from 'zod';
import { sourcesOfTruth } from '../rules/ownership.ts';
import { duration } from './durations.ts';
import { editableBy, fieldSchema } from './field-schema.ts';
import { groupsSchema } from './groups-schema.ts';
import { managersSchemas } from './managers.ts';
import { photosSchema } from './photos-schema.ts';
import { helpSchema, notifySchema, portalSchema, previewImages, timeZone } from './portal-schema.ts';
import { scopeSchema } from './scope-schema.ts';

/** Maximum number of fields, of a file and in force. Every profile has them all. */
export const maxFields = 500;

/** Names of fields that every object of JavaScript has already: a program that reads a profile finds a function. */
export const reservedNames = Object.getOwnPropertyNames(Object.prototype).filter((name) => /^[a-z]/i.test(name));

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

/** The side that decides about held removals of a tenant. */
export const deciders = ['either', 'customer', 'vendor'] as const;

export type Decider = (typeof deciders)[number];

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
    decide: z
      .enum(deciders)
      .meta({
        description:
          "Who approves or rejects held removals: the customer's administrator, the vendor, or either. The other looks. Default: either.",
      })
      .optional(),
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

/** The settings whose groups give a role in the web. */
export const roleSettings = ['admins', 'readers', 'publishers'] as const;

export type RoleSetting = (typeof roleSettings)[number];

/** The most groups that give one role. */
const maxRoleGroups = 50;

export const roleGroupsSchema = z
  .strictObject({
    groups: z
      .array(z.guid('is not an object id: write the GUID that Entra shows for the group'))
      .max(maxRoleGroups)
      .meta({ description: 'Object ids of groups, at most 50. Direct members alone count.' }),
  })
  .meta({ description: 'The groups whose members have a role in the web.' });

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
  ...managersSchemas,
  groups: groupsSchema,
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
  photos: photosSchema,
  portal: portalSchema,
  notify: notifySchema,
  timeZone,
  previewImages,
  allowRoles: z
    .array(z.string().regex(/^[A-Za-z0-9._-]{1,120}$/, 'is not a name of an application permission'))
    .meta({ description: 'Application permissions that a token may carry besides the known read permissions.' }),
  credential: credentialSchema
    .nullable()
    .meta({
      description: 'The application of a single tenant itself; null: the application of the environment.',
    })
    .optional(),
  admins: roleGroupsSchema
    .meta({ description: 'The groups of a single tenant whose members are its administrators in the web.' })
    .optional(),
  readers: roleGroupsSchema
    .meta({ description: 'The groups of a single tenant whose members look at all of it in the web.' })
    .optional(),
  publishers: roleGroupsSchema
    .meta({ description: 'The groups of a single tenant whose members assign in the web, and see nothing else of it.' })
    .optional(),
  help: helpSchema
    .nullable()
    .meta({ description: 'Where people of a single tenant ask about a value that they cannot change; null: nowhere.' })
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
    groups: partial(groupsSchema),
    manual: partial(manualSchema),
    removals: partial(removalsSchema),
    changes: partial(documentSchema.shape.changes),
    cycles: partial(documentSchema.shape.cycles),
    photos: partial(photosSchema),
    portal: partial(portalSchema),
    notify: partial(notifySchema),
  })
  .partial()
  .meta({
    title: 'Settings of entra-sync',
    description: 'Differences from the settings in force. config/default.yaml has every default.',
  });

/** A settings file of the whole installation, without the settings that only a tenant can have. */
export const installationSchema = partialSchema.omit({
  credential: true,
  admins: true,
  readers: true,
  publishers: true,
  help: true,
});

/** A settings file as written. A missing part keeps the value of the layer below. */
export type SettingsDocument = z.infer<typeof partialSchema>;
