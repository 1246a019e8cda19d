// The settings as JSON Schema, for editors. `npm run settings-schema` writes it to config/settings.schema.json.
import { z } from 'zod';
import { partialSchema } from './schema.ts';

/** Returns the JSON Schema of a settings file, in draft 7, which YAML plug-ins of editors understand. */
export function settingsJsonSchema(): object {
  return z.toJSONSchema(partialSchema, { target: 'draft-7', io: 'input' });
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(settingsJsonSchema(), null, 2)}\n`);
