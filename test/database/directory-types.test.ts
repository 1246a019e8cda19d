// directory.d.ts, the types that the package ships: as the script writes them, true on rows, and good for a consumer.
import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { otherWords } from '../../scripts/directory-columns.ts';
import { describeTypes } from '../../scripts/types.ts';
import { packageFile } from '../../src/package-files.ts';
import { temporaryDirectory } from '../support/cli.ts';
import { isDeep } from '../support/deep.ts';
import { expectTrueTypes } from '../support/directory-types.ts';
import { filledTenant } from '../support/granted.ts';
import { codeIn, readPages, tableOf } from '../support/pages.ts';
import { ask, openStore, type Store } from '../support/stage.ts';

let store: Store;

beforeAll(async () => {
  store = await openStore();
});

afterAll(() => store.close());

test('directory.d.ts shows schema directory as the migrations leave it; `npm run types` writes it', async () => {
  const client = await store.connect();
  expect(await describeTypes(client)).toBe(await readFile(packageFile('directory.d.ts'), 'utf8'));
});

test('no column that the types call not null is null, and no other word is in a column of words', async () => {
  const { tenant, account } = await filledTenant(store);
  const client = await store.connect();
  // A view without rows would prove nothing.
  expect(await expectTrueTypes(store.database)).toEqual([]);
  await ask(store, `select directory.create_account(:tenant, '{}', 'Ann')`, { tenant });
  await expectTrueTypes(store.database);
  const { rows } = await client.query('select * from directory.explain_account($1)', [account]);
  expect(rows.length).toBeGreaterThan(0);
  for (const { field, origin, editable_by, since } of rows)
    expect([field, origin, editable_by, since]).not.toContain(null);
});

test('the kinds of changes are those of docs/contract.md', () => {
  const page = readPages().find(({ path }) => path === 'docs/contract.md') ?? expect.unreachable();
  const told = tableOf(page, 'Change rows').flatMap(([cell = '']) => {
    const family = cell.split('.')[0];
    return cell.split(', ').map((kind) => (kind.startsWith('.') ? `${family}${kind}` : kind));
  });
  expect(otherWords.ChangeKind?.toSorted()).toEqual([...new Set(told)].sort());
  const source = tableOf(page, 'Views').find(([column]) => column === 'source_of_truth')?.[2] ?? '';
  expect(otherWords.SourceOfTruth).toEqual(codeIn(source));
});

const consumer = `
import type { Account, Database, Functions, TenantStatus } from 'entra-sync/directory';

export function card(account: Account): string {
  const title: unknown = account.profile['jobTitle'];
  return account.display_name === null ? account.account_id : account.display_name + String(title);
}
export const since = (row: Database['directory.changes']): string => row.change_id + row.at.toISOString();
export const words: TenantStatus[] = ['active', 'pending'];
export const call: Functions['edit_account']['args'] = ['id', { mobilePhone: null }, 'Ann', 'user'];
// @ts-expect-error A display name may be null.
export const name = (account: Account): string => account.display_name;
// @ts-expect-error There is no such state.
export const state: Account['state'] = 'gone';
// @ts-expect-error There is no such role.
export const other: Functions['remove_account']['args'] = ['id', 'Ann', 'owner'];
`;

test.runIf(isDeep)(
  'an application compiles with entra-sync/directory, and mistakes do not',
  async ({ onTestFinished }) => {
    const folder = await temporaryDirectory(onTestFinished);
    await mkdir(join(folder, 'node_modules'));
    await symlink(packageFile('.'), join(folder, 'node_modules', 'entra-sync'));
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    await writeFile(join(folder, 'consumer.ts'), consumer);
    const tsc = packageFile('node_modules', 'typescript', 'bin', 'tsc');
    const options = ['--strict', '--noEmit', '--target', 'es2022', '--types', ''];
    for (const module of [
      ['--module', 'nodenext'],
      ['--module', 'esnext', '--moduleResolution', 'bundler'],
    ]) {
      const run = promisify(execFile)(process.execPath, [tsc, ...options, ...module, 'consumer.ts'], { cwd: folder });
      expect(
        await run.then(
          () => '',
          ({ stdout, stderr }) => `${stdout}${stderr}`,
        ),
      ).toBe('');
    }
  },
);
