// The JSON Schema with which editors complete a settings file.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { packageFile } from '../../src/package-files.ts';
import { settingsJsonSchema } from '../../src/settings/json-schema.ts';
import { documentSchema } from '../../src/settings/schema.ts';

const file = packageFile('config', 'settings.schema.json');

type Schema = { description?: string; properties?: Record<string, Schema> };

describe('config/settings.schema.json', () => {
  test('is the output of `npm run settings-schema`', () => {
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(JSON.stringify(settingsJsonSchema())));
  });

  test('is the one that config/default.yaml names', () => {
    const defaults = packageFile('config', 'default.yaml');
    const [, relative = ''] = /^# yaml-language-server: \$schema=(\S+)\n/.exec(readFileSync(defaults, 'utf8')) ?? [];
    expect(join(dirname(defaults), relative)).toBe(file);
  });

  test('describes every setting', () => {
    const { properties = {} } = settingsJsonSchema() as Schema;
    expect(Object.keys(properties)).toEqual(Object.keys(documentSchema.shape));
    for (const [name, setting] of Object.entries(properties)) {
      expect({ name, description: setting.description }).toEqual({
        name,
        description: expect.stringMatching(/^.{10,}\.$/),
      });
    }
  });
});
