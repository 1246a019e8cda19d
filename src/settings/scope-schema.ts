// The schema of the scope: the users that get an account.
import { z } from 'zod';
import { maxValues, path, text } from './expression-schema.ts';

/** Maximum number of groups in `scope.groups`: each is asked for in every round. */
export const maxScopeGroups = 1_000;

/** Maximum number of conditions in `scope.where`: each is judged for every user. */
export const maxConditions = 100;

/** Maximum number of entries in `scope.except` and `scope.domains`. */
export const maxScopeUsers = 10_000;
export const scopeLists = ['domains', 'except'] as const;

const compared = z
  .array(z.union([text, z.number(), z.boolean()]))
  .min(1)
  .max(maxValues);
const property = path.meta({
  id: 'property',
  description:
    'A property of a Graph user, or a path into one; of lists an item (businessPhones[0]) or all (assignedLicenses[*].skuId).',
});

/** The operators of a condition, with their operands. */
export const operands = {
  in: compared,
  notIn: compared,
  matches: z.string().min(1).max(256),
  exists: z.boolean(),
};

/** The conditions of the scope, by their operator. */
const conditionForms = {
  in: z
    .strictObject({ property, in: operands.in })
    .meta({ description: 'The value, or one of a list, is one of these; case is ignored.' }),
  notIn: z
    .strictObject({ property, notIn: operands.notIn })
    .meta({ description: 'The value, and all of a list, is none of these; true without a value.' }),
  matches: z.strictObject({ property, matches: operands.matches }).meta({
    description: 'The value, or one of a list, fits the glob: * is any text, ? one character; case is ignored.',
  }),
  exists: z
    .strictObject({ property, exists: operands.exists })
    .meta({ description: 'There is a value (true) or none (false); an empty text or list is none.' }),
};

export const scopeSchema = z
  .strictObject({
    userType: z
      .union([z.literal('any'), z.array(z.enum(['Member', 'Guest'])).min(1)])
      .meta({ description: 'any, or a list of Member and Guest; a user without userType counts as Member.' }),
    accountEnabled: z
      .union([z.literal('any'), z.boolean()])
      .meta({ description: 'any, or only enabled (true) or disabled (false) users.' }),
    external: z
      .enum(['include', 'exclude'])
      .meta({ description: 'Users of another tenant: invited guests, and invited members.' }),
    agents: z.enum(['include', 'exclude']).meta({ description: "AI agents' users." }),
    domains: z
      .array(z.string().regex(/^[^\s@]{1,253}$/, 'is not a domain: write it like contoso.com'))
      .meta({ description: 'Domains of the mail address, else of the user principal name; [] for any.' }),
    where: z
      .array(z.union([conditionForms.in, conditionForms.notIn, conditionForms.matches, conditionForms.exists]))
      .meta({ description: 'Conditions that all have to hold. At most 100.', maxItems: maxConditions }),
    except: z
      .array(z.guid('is not an object id: write the GUID that Entra shows for the user'))
      .meta({ description: 'Object ids of users who are never taken. At most 10,000.', maxItems: maxScopeUsers }),
    groups: z.array(z.guid('is not an object id: write the GUID that Entra shows for the group')).meta({
      description:
        'Object ids, at most 1,000. If there are any, only members of these groups get an account, nested ones too.',
      maxItems: maxScopeGroups,
    }),
  })
  .meta({ description: 'The users that get an account.' });
