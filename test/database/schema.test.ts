// docs/schema.sql equals the migrated schema.
import { expect, onTestFinished, test } from 'vitest';
import { freshDatabase } from '../support/postgres.ts';
import { expectSchemaPage } from '../support/schema-page.ts';

test('docs/schema.sql shows the schema as the migrations leave it; `npm run schema` writes it', async () => {
  const fresh = await freshDatabase();
  onTestFinished(() => fresh.drop());
  expect.hasAssertions();
  await expectSchemaPage(fresh.url);
});
