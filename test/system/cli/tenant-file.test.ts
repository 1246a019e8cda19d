// `tenant add --file`: all tenants of a file or none, without and with a dry run; and tenants in the order of their names.
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { expectOneLine, runCli, startCli, temporaryDirectory } from '../../support/cli.ts';
import { openStore, type Store } from '../../support/stage.ts';

let store: Store;
let file: string;
const ends: (() => Promise<void>)[] = [];

beforeAll(async () => {
  store = await openStore();
  file = join(await temporaryDirectory((end) => ends.push(end)), 'tenants.csv');
});
afterAll(async () => {
  await store.close();
  for (const end of ends) await end();
});
beforeEach(() => store.database.raw('delete from entra_sync.tenants'));

const cli = (...args: string[]) => runCli(args, { DATABASE_URL: store.url });
const registered = () =>
  rows<{ name: string; ref: string | null }>(
    store.database,
    'select name, external_ref as ref from directory.tenants order by 1',
  );
const lineOf = (name: string, ref = '', id = randomUUID()) => `${id},${name},${ref}`;

test('registers all tenants in one transaction, and again changes nothing', async () => {
  const lines = ['tenant,name,ref', ...[10, 2, 1, 11].map((number) => lineOf(`Tenant ${number}`, `cust-${number}`))];
  await writeFile(file, lines.join('\n'));
  const dry = await cli('tenant', 'add', '--file', file, '--dry-run');
  expect([dry.code, await registered()], dry.stderr).toEqual([0, []]);
  expect(dry.stdout).toMatch(
    /Tenant 10 +cust-10[\s\S]*Dry run: nothing was changed\. 4 tenants would be registered\.\n$/,
  );
  const added = await cli('tenant', 'add', '--file', file);
  expect(added.stdout).toMatch(/^4 tenants registered\.$/m);
  expect(await registered()).toHaveLength(4);
  const field = await rows(store.database, 'select distinct tenant_id from entra_sync.field_rules');
  expect(field).toHaveLength(4);
  // Where rows were written together, one transaction wrote them.
  const written = await rows(
    store.database,
    'select count(distinct xmin::text)::int as transactions from entra_sync.tenants',
  );
  expect(written).toEqual([{ transactions: 1 }]);
  const again = await cli('tenant', 'add', '--file', file, '--json');
  expect(JSON.parse(again.stdout)).toMatchObject({ dryRun: false, added: [], unchanged: { length: 4 } });
  // Every list has the names in the order in which people look for them.
  for (const words of [['tenant', 'list'], ['status']]) {
    const { stdout } = await cli(...words);
    expect([...stdout.matchAll(/Tenant (\d+)/g)].map(([, number]) => Number(number))).toEqual([1, 2, 10, 11]);
  }
});

test('one tenant in the way, and none is registered: each problem has its line', async () => {
  const [taken, free] = [randomUUID(), randomUUID()];
  await cli('tenant', 'add', taken, '--name', 'Contoso', '--ref', 'a');
  await writeFile(
    file,
    ['tenant,name,ref', lineOf('New'), lineOf('Other', 'b', taken), lineOf('CONTOSO', '', free)].join('\n'),
  );
  for (const more of [[], ['--dry-run']]) {
    const ended = await cli('tenant', 'add', '--file', file, ...more);
    expectOneLine(ended, 2, /tenants\.csv has 2 problems, and nothing was registered -> correct the lines/);
    expect(ended.stderr).toContain(
      `line 3: tenant ${taken} is registered already, as "Contoso", reference "a": entra-sync tenant rename changes that`,
    );
    expect(ended.stderr).toContain(`line 4: the name is that of Contoso (${taken})`);
  }
  expect(await registered()).toEqual([{ name: 'Contoso', ref: 'a' }]);
});

test('reads stdin, and names wrong lines before it opens the database', async () => {
  const running = startCli(['tenant', 'add', '--file', '-'], { DATABASE_URL: store.url });
  running.child.stdin?.end(`- { tenant: ${randomUUID()}, name: Contoso, ref: 0017 }\n`);
  const ended = await running.ended;
  expect([ended.code, await registered()], ended.stderr).toEqual([0, [{ name: 'Contoso', ref: '0017' }]]);
  await writeFile(file, 'tenant,name\nx,\n');
  const wrong = await runCli(['tenant', 'add', '--file', file], {
    DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nowhere',
  });
  expectOneLine(wrong, 2, /has 2 problems/);
  expect(wrong.stderr).toMatch(/^ {2}line 2: "x" is no tenant id \(a GUID\)$/m);
});

test.each([
  [
    ['tenant', 'add'],
    /a tenant needs its id and a name -> entra-sync tenant add TENANT --name NAME, or .* --file FILE/,
  ],
  [['tenant', 'add', 'x', '--file', 'a.csv'], /a file names its tenants itself/],
  [['tenant', 'add', 'x', '--name', 'y', '--dry-run'], /--dry-run needs --file/],
  [['tenant', 'add', '--file', '/nowhere.csv'], /\/nowhere\.csv does not exist -> /],
])('%j is refused', async (words, says) => {
  expectOneLine(await cli(...words), 2, says);
});
