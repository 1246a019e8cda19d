// `slots put` and `items put`: what is not given stays.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { expectOneLine, runCli, temporaryDirectory } from '../../support/cli.ts';
import { ask } from '../../support/stage.ts';
import { openWorld, type World } from '../../support/system.ts';

let world: World;

const acting = (...words: string[]) => runCli([...words, '--actor', 'Ann'], { DATABASE_URL: world.url });
const said = async (...words: string[]) => (await acting(...words)).stdout;

beforeAll(async () => {
  // Closed with the file's process: the hooks of a file know no end of a test.
  world = await openWorld({ users: 2, groups: 0, name: 'Contoso', onEnd: (() => {}) as never });
  await world.cycle();
});

test('a slot keeps its title and its winners where they are not given', async () => {
  const put = ['slots', 'put', 'banner', '--all-tenants'];
  expectOneLine(await acting(...put, '--title', 'Banner'), 2, /the slot banner is new -> give --winners N/);
  expect(await said(...put, '--winners', '1', '--title', 'Banner')).toBe('slot banner, all tenants: made.\n');
  expect(await said(...put, '--winners', '2', '--dry-run')).toBe(
    'slot banner, all tenants: would change: winners 1 -> 2.\nWhat accounts get follows tenant by tenant, after this.\n',
  );
  expect(await said(...put, '--winners', '1')).toBe('slot banner, all tenants: there is nothing to change.\n');
  expect(await said(...put, '--title', 'Top')).toBe('slot banner, all tenants: changed: title "Banner" -> "Top".\n');
  expect(await said(...put, '--no-title')).toBe('slot banner, all tenants: changed: title "Top" -> none.\n');
  expect(await said('slots', 'put', 'banner', '--tenant', 'Contoso', '--winners', '3')).toBe(
    'slot banner, Contoso: made.\n',
  );
  expect(
    await ask(world, 'select tenant_id is null as of_all, winners, title from directory.slots order by 1'),
  ).toEqual([
    { of_all: false, winners: 3, title: null },
    { of_all: true, winners: 1, title: null },
  ]);
});

test('an item keeps its title and its html where they are not given, of a tenant and of all', async () => {
  const file = join(await temporaryDirectory(onTestFinished), 'a.html');
  await writeFile(file, '<p>{{displayName}}</p>');
  for (const [place, name] of [
    [['--all-tenants'], 'all tenants'],
    [['--tenant', 'Contoso'], 'Contoso'],
  ] as const) {
    const put = ['items', 'put', 'banner', 'autumn', ...place];
    expect(await said(...put, '--title', 'Herbst')).toBe(`item autumn of banner, ${name}: made.\n`);
    expect(await said(...put, '--html', file)).toBe(
      `item autumn of banner, ${name}: changed: html none -> of 22 characters.\n`,
    );
    expect(await said(...put, '--title', 'Neu')).toBe(
      `item autumn of banner, ${name}: changed: title "Herbst" -> "Neu".\n`,
    );
    expect(await said(...put)).toBe(`item autumn of banner, ${name}: there is nothing to change.\n`);
    expect(JSON.parse(await said(...put, '--no-html', '--dry-run', '--json'))).toMatchObject({ outcome: 'changed' });
  }
  const stored = { title: 'Neu', html: '<p>{{displayName}}</p>' };
  expect(await ask(world, 'select title, html from directory.items')).toEqual([stored, stored]);
  expect(await said('items', 'put', 'banner', 'autumn', '--all-tenants', '--no-html', '--no-title')).toBe(
    'item autumn of banner, all tenants: changed: title "Neu" -> none, html of 22 characters -> none.\n',
  );
});
