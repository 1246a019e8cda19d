// docs/schema.sql equals the migrated schema.
import { readFile } from 'node:fs/promises';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { describeSchema } from '../../scripts/schema.ts';
import { packageFile } from '../../src/package-files.ts';
import { freshDatabase } from '../support/postgres.ts';

test('docs/schema.sql shows the schema as the migrations leave it; `npm run schema` writes it', async () => {
  const fresh = await freshDatabase();
  const client = new Client({ connectionString: fresh.url });
  try {
    await client.connect();
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
    await fresh.drop();
  }
});
