// Compares a migrated database with docs/schema.sql.
import { readFile } from 'node:fs/promises';
import { Client } from 'pg';
import { expect } from 'vitest';
import { describeSchema } from '../../scripts/schema.ts';
import { packageFile } from '../../src/package-files.ts';

export async function expectSchemaPage(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ version: string }>("select current_setting('server_version_num') as version");
    // Postgres 15 writes the table's name before each column of a view, so only the head of a view is compared.
    const parts = (text: string) =>
      text
        .split('\n\n')
        .map((part) =>
          Number(rows[0]?.version) < 160_000 && /^ *create view/.test(part) ? part.split('\n')[0] : part,
        );
    const shown = await readFile(packageFile('docs', 'schema.sql'), 'utf8');
    expect(parts(await describeSchema(client))).toEqual(parts(shown));
  } finally {
    await client.end();
  }
}
