// The examples of docs/from-your-orm.md for Kysely and Drizzle: they compile with the types of the package, and answer as the views do.
import { execFile } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { packageFile } from '../../src/package-files.ts';
import { temporaryDirectory } from '../support/cli.ts';
import { filledTenant } from '../support/granted.ts';
import { readPage } from '../support/pages.ts';
import { ask, openStore, type Store } from '../support/stage.ts';

let store: Store;

beforeAll(async () => {
  store = await openStore();
});

afterAll(() => store.close());

const page = readPage('docs/from-your-orm.md');
const example = (start: string): string =>
  page.blocks.find(({ text }) => text.includes(start))?.text ?? expect.unreachable(`no example with ${start}`);

const opened = `
import { Client, Pool } from 'pg';
import type { Account, Database } from 'entra-sync/directory';
const [url = '', tenantId = ''] = process.argv.slice(2);
`;
const programs: Record<string, string> = {
  kysely: `import { Kysely, PostgresDialect } from 'kysely';${opened}
const dialect = new PostgresDialect({ pool: new Pool({ connectionString: url }) });
${example('new Kysely')}
const titles: (string | null)[] = rows.map((row) => row.group_name);
// @ts-expect-error The groups are not those of this view.
db.selectFrom('directory.accounts').select('group_id');
console.log(JSON.stringify({ rows, count: titles.length }));
await db.destroy();`,
  drizzle: `import { and, eq } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { jsonb, pgSchema, text, timestamp, uuid } from 'drizzle-orm/pg-core';${opened}
const client = new Client({ connectionString: url });
await client.connect();
${example('pgSchema')}
const states: Account['state'][] = managed.map((row) => row.state);
// @ts-expect-error There is no such state.
eq(accounts.state, 'gone');
console.log(JSON.stringify({ rows: managed, count: states.length }));
await client.end();`,
};

test.each(Object.keys(programs))('%s: the example compiles and answers', async (orm) => {
  const { tenant } = await filledTenant(store);
  const folder = await temporaryDirectory(onTestFinished);
  const link = async (name: string, to = packageFile('node_modules', name)) => {
    await mkdir(dirname(join(folder, 'node_modules', name)), { recursive: true });
    await symlink(to, join(folder, 'node_modules', name));
  };
  await link('entra-sync', packageFile('.'));
  for (const name of ['kysely', 'drizzle-orm', 'pg', '@types']) await link(name);
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await writeFile(join(folder, 'program.ts'), programs[orm] ?? '');
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, args, { cwd: folder }).then(
      ({ stdout }) => stdout,
      ({ stdout, stderr }) => expect.unreachable(`${stdout}${stderr}`),
    );
  const options = [
    '--strict',
    '--noEmit',
    '--skipLibCheck',
    '--target',
    'es2022',
    '--module',
    'nodenext',
    '--types',
    'node',
  ];
  expect(await run(packageFile('node_modules', 'typescript', 'bin', 'tsc'), ...options, 'program.ts')).toBe('');
  const answered = JSON.parse(await run('program.ts', store.url, tenant));
  const wanted =
    orm === 'kysely'
      ? `select a.account_id, a.display_name, g.display_name as group_name from directory.accounts a
           join directory.effective_memberships m using (account_id) join directory.groups g using (group_id) where a.tenant_id = :tenant`
      : `select tenant_id, account_id, state, display_name, profile, updated_at from directory.accounts
          where tenant_id = :tenant and state = 'managed'`;
  const rows = await ask(store, wanted, { tenant });
  expect(rows.length).toBeGreaterThan(0);
  expect(answered.rows).toEqual(expect.arrayContaining(JSON.parse(JSON.stringify(rows))));
  expect(answered.count).toBe(rows.length);
});
