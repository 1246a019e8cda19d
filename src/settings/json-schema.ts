// The settings as JSON Schema, for editors: `npm run settings-schema` writes config/settings.schema.json anew.
import { z } from 'zod';
import { partialSchema } from './schema.ts';

/** The JSON Schema of a settings file. Draft 7 is what the YAML plug-ins of editors know. */
export function settingsJsonSchema(): object {
  return z.toJSONSchema(partialSchema, { target: 'draft-7', io: 'input' });
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(settingsJsonSchema(), null, 2)}\n`);
