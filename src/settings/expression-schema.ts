// The schema of where a value comes from: a path, or a form of an expression.
import { z } from 'zod';
import type { WrittenExpression } from '../rules/expressions.ts';
import { userProperties } from '../rules/graph-properties.ts';

// A constant is copied to every profile, so it must be small.
export const text = z.string().max(4_096);
export const maxValues = 1_000;

const constant = z.union([text, z.number(), z.boolean(), z.array(text).max(100)]).meta({
  description: 'A text of at most 4,096 characters, a number, true or false, or a list of at most 100 such texts.',
});

// The names are for completion in editors; rules/graph-paths.ts checks paths.
export const path = z
  .union([
    z.enum(Object.keys(userProperties).filter((name) => name !== 'id' && userProperties[name]?.trackable)),
    z.string(),
  ])
  .meta({
    description:
      'A property of a Graph user, or a path into one: businessPhones[0], onPremisesExtensionAttributes.extensionAttribute3.',
  });

export const expression: z.ZodType<WrittenExpression> = z
  .lazy(() => z.union([path, ...Object.values(expressionForms)]))
  .meta({
    id: 'expression',
    title: 'Expression',
    description: 'Where a value comes from: a property or path, or one of first, join, constant, map, lower and trim.',
  });

/** A value of the user's manager. It stands alone as the source of a field. */
export const ofManager = z
  .strictObject({ manager: path })
  .meta({ description: "A property of the user's manager, or a path into one; needs managers: true." });

const expressions = z.array(expression).min(1);

/** The forms of an expression other than a path, by the key that marks each. */
export const expressionForms = {
  first: z
    .strictObject({ first: expressions })
    .meta({ description: 'The first of these that has a value; "" and an empty list count as none.' }),
  join: z
    .strictObject({ join: expressions, with: z.string().max(100).meta({ default: ' ' }).optional() })
    .meta({ description: 'These as one text, with a text between them (a space). Parts without a value are skipped.' }),
  constant: z.strictObject({ constant }).meta({ description: 'Always this value.' }),
  map: z
    .strictObject({
      map: expression,
      values: z
        .record(text, constant)
        .refine((values) => Object.keys(values).length <= maxValues)
        .meta({
          description: 'The result for each value, compared exactly. At most 1,000 entries.',
          maxProperties: maxValues,
        }),
      otherwise: constant.optional().meta({ description: 'The result for any other value; without it: no value.' }),
    })
    .meta({ description: 'A table from values to values. No value to look up gives no value.' }),
  lower: z.strictObject({ lower: expression }).meta({ description: 'This in lower case.' }),
  trim: z.strictObject({ trim: expression }).meta({ description: 'This without spaces at both ends.' }),
};
