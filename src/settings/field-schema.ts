// The schema of a profile field: where it comes from, who may edit it, and how it is shown.
import { z } from 'zod';
import { fieldKinds, languages, owners, roles } from '../rules/ownership.ts';
import { patternProblem } from '../rules/patterns.ts';
import { expression, ofManager } from './expression-schema.ts';

export const editableBy = z.array(z.enum(roles));

/** The form of a `label` or `help`, for messages. */
export const mustBeWords = `name the text by its language, as in { ${languages.join(': …, ')}: … }`;

function words(most: number, description: string) {
  const text = z.string().min(1).max(most).optional();
  return z
    .strictObject({ en: text, de: text })
    .nullable()
    .meta({ description: `${description} At most ${most} characters; null: none.` })
    .optional();
}

export const fieldSchema = z.strictObject({
  from: z.union([expression, ofManager]).optional(),
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
  label: words(100, 'The name of the field as people read it.'),
  help: words(500, 'A sentence that says what belongs into the field.'),
  kind: z
    .enum(fieldKinds)
    .nullable()
    .meta({ description: 'The kind of input that a form shows; a field that holds a list is a list. Default: text.' })
    .optional(),
  order: z
    .int()
    .min(0)
    .max(1_000_000)
    .nullable()
    .meta({ description: 'The place of the field among the others, from the smallest on; null: after all of them.' })
    .optional(),
  private: z.boolean().meta({ description: 'Earlier values are for the person alone. Default: false.' }).optional(),
  shown: z.boolean().meta({ description: 'Whether a form or page shows the field. Default: true.' }).optional(),
});
