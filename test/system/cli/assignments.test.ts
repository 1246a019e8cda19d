// `assignments`, `slots`, `items`: on two tenants that were synced.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { expectOneLine, runCli, temporaryDirectory } from '../../support/cli.ts';
import { expectSound } from '../../support/soundness.ts';
import { openWorld, type World } from '../../support/system.ts';

let world: World;

const cli = (...words: string[]) => runCli(words, { DATABASE_URL: world.url, COLUMNS: '200' });
const acting = (...words: string[]) => cli(...words, '--actor', 'Eve');
const json = async (...words: string[]) => JSON.parse((await cli(...words, '--json')).stdout);
const counted = async (view: string) =>
  (await rows<{ n: number }>(world.database, `select count(*)::int as n from directory.${view}`))[0]?.n;

let sales: string;

beforeAll(async () => {
  world = await openWorld({ users: 2, groups: 0, name: 'Contoso', onEnd: (() => {}) as never });
  const { tenant } = world;
  const ann = tenant.createUser({ displayName: 'Ann Berg', userPrincipalName: 'ann@contoso.example', country: 'DE' });
  tenant.createUser({ displayName: 'Bo Ek', userPrincipalName: 'bo@contoso.example', country: 'AT' });
  sales = tenant.createGroup({ displayName: 'Sales', securityEnabled: true });
  tenant.addMember(sales, ann);
  await world.cycle();
  for (const words of [
    ['slots', 'put', 'banner', '--all-tenants', '--winners', '1'],
    ['items', 'put', 'banner', 'corp', '--all-tenants', '--title', 'Corporate'],
    ['items', 'put', 'banner', 'spring', '--all-tenants'],
  ])
    expect((await acting(...words)).code).toBe(0);
});

describe('slots and items', () => {
  test('a table of each, and nothing is stored by a dry run', async () => {
    expect((await acting('slots', 'put', 'links', '--tenant', 'Contoso', '--winners', '3', '--dry-run')).stdout).toBe(
      'slot links, Contoso: would be made.\n',
    );
    const { stdout } = await cli('slots', 'list');
    expect(stdout).toMatch(/^slot +of +winners +items +assignments +title\nbanner +all tenants +1 +2 +\d+ *\n$/);
    expect((await cli('items', 'list', 'Contoso')).stdout).toMatch(/banner +corp +all tenants +0 +Corporate\n/);
    expect(await json('items', 'list')).toMatchObject({
      items: [{ item: 'corp', tenant_id: null }, { item: 'spring' }],
    });
  });

  test('a slot counts the items and assignments in it: those of a tenant too, and none where the tenant has a slot of its own', async () => {
    const slotsOf = async (...words: string[]) => (await json('slots', 'list', ...words)).slots;
    await acting('slots', 'put', 'legal', '--all-tenants', '--winners', '1');
    for (const place of [['--all-tenants'], ['--tenant', 'Contoso']])
      expect((await acting('items', 'put', 'legal', 'note', ...place)).code).toBe(0);
    await acting('items', 'put', 'legal', 'own', '--tenant', 'Contoso');
    await acting('assignments', 'assign', 'Contoso', 'legal', 'own', '--everyone');
    const ofAll = { slot: 'legal', tenant_id: null };
    expect(await slotsOf('Contoso')).toContainEqual(expect.objectContaining({ ...ofAll, items: 2, assignments: 1 }));
    await acting('slots', 'put', 'legal', '--tenant', 'Contoso', '--winners', '1');
    const own = { slot: 'legal', tenant_id: world.tenant.tenantId };
    for (const words of [['Contoso'], []]) {
      const slots = await slotsOf(...words);
      expect(slots).toContainEqual(expect.objectContaining({ ...ofAll, items: 1, assignments: 0 }));
      expect(slots).toContainEqual(expect.objectContaining({ ...own, items: 2, assignments: 1 }));
    }
    for (const words of [
      [
        'assignments',
        'unassign',
        ...(await json('assignments', 'list', 'Contoso')).assignments.map(
          (one: { assignment_id: string }) => one.assignment_id,
        ),
      ],
      ['items', 'drop', 'legal', 'note', '--tenant', 'Contoso'],
      ['items', 'drop', 'legal', 'own', '--tenant', 'Contoso'],
      ['items', 'drop', 'legal', 'note', '--all-tenants'],
      ['slots', 'drop', 'legal', '--tenant', 'Contoso'],
      ['slots', 'drop', 'legal', '--all-tenants'],
    ])
      expect((await acting(...words)).code, words.join(' ')).toBe(0);
  });

  test('an html file is checked', async () => {
    const file = join(await temporaryDirectory(onTestFinished), 'spring.html');
    await writeFile(file, '<img src="{{photo}}">');
    const put = ['items', 'put', 'banner', 'spring', '--all-tenants', '--html'];
    expectOneLine(
      await acting(...put, file),
      2,
      /a \{\{field\}\} of the html stands in the attribute src \(line 1\) \(ES005\) -> /,
    );
    await writeFile(file, '<img alt="{{displayName}}">');
    expect((await acting(...put, file)).stdout).toBe(
      'item spring of banner, all tenants: changed: html none -> of 27 characters.\n',
    );
    expectOneLine(await acting(...put, join(file, 'none')), 2, /cannot be read/);
  });

  test('the html for one account, the own item of its tenant before that of all tenants', async () => {
    const file = join(await temporaryDirectory(onTestFinished), 'card.html');
    const put = async (html: string, ...place: string[]) => {
      await writeFile(file, html);
      expect((await acting('items', 'put', 'banner', 'card', ...place, '--html', file)).code).toBe(0);
    };
    const shown = (...words: string[]) =>
      cli('items', 'show', 'banner', 'card', '--for', 'ann@contoso.example', ...words);
    await put('{{displayName}} {{nick}}', '--all-tenants');
    expect(await shown()).toMatchObject({
      stdout: 'Ann Berg \n',
      stderr: expect.stringMatching(/\nThe settings of Contoso have no field nick\.\n$/),
    });
    await put(
      '<p>{{#country}}<b>{{displayName}}</b><br>{{country}}{{/country}}{{#nick}}!{{/nick}}</p>',
      '--tenant',
      'Contoso',
    );
    expect(await shown()).toMatchObject({ stdout: '<p><b>Ann Berg</b><br>DE</p>\n' });
    expect((await shown('--text')).stdout).toBe('Ann Berg\nDE\n');
    expect(await json('items', 'show', 'banner', 'card', '--for', 'ann')).toMatchObject({ text: 'Ann Berg\nDE' });
    expectOneLine(await cli('items', 'show', 'banner', 'spring', '--for', 'zoe'), 2, /no account zoe -> .*find/);
    expectOneLine(
      await cli('items', 'show', 'banner', 'none', '--for', 'ann'),
      2,
      /has no item none of slot banner -> /,
    );
    expectOneLine(
      await cli('items', 'show', 'banner', 'corp', '--for', 'ann'),
      2,
      /item corp of banner has no html -> .* --html FILE \(--tenant TENANT or --all-tenants\)$/,
    );
    for (const place of [['--all-tenants'], ['--tenant', 'Contoso']])
      expect((await acting('items', 'drop', 'banner', 'card', ...place)).code).toBe(0);
  });

  test('one of --tenant and --all-tenants', async () => {
    expectOneLine(await acting('slots', 'put', 'x', '--winners', '1'), 2, /neither or both .* -> give one of them/);
    expectOneLine(
      await acting('slots', 'drop', 'banner', '--all-tenants'),
      2,
      /the slot "banner" is used \(ES010\) -> Drop its items and assignments first: entra-sync items list and entra-sync assignments list show them\.$/,
    );
    expectOneLine(
      await acting('slots', 'put', 'x', '--all-tenants', '--winners', '0'),
      2,
      /a whole number from 1 to 100/,
    );
  });
});

describe('assignments', () => {
  test('assign, preview, explain, move and unassign', async () => {
    const everyone = await acting('assignments', 'assign', 'Contoso', 'banner', 'corp', '--everyone');
    expect(everyone.stdout).toMatch(/^1 assignment made: [0-9a-f-]{36}\nThe items of 4 accounts changed:\n/);
    const toSales = ['Contoso', 'banner', 'spring', '--group', 'sales', '--priority', '5'];
    const seen = await cli('assignments', 'preview', ...toSales);
    expect(seen.stdout).toMatch(
      /^The items of 1 account would change:\n\naccount +user principal name +slot +before +after\nAnn Berg +ann@contoso\.example +banner +corp +-> +spring\n$/,
    );
    const dry = await acting('assignments', 'assign', ...toSales, '--dry-run');
    expect(dry.stdout).toBe(seen.stdout);
    expect(await counted('assignments')).toBe(1);
    const { assignment_ids: ids, changed } = JSON.parse(
      (await acting('assignments', 'assign', ...toSales, '--json')).stdout,
    );
    expect(changed).toMatchObject([
      { display_name: 'Ann Berg', before: { banner: ['corp'] }, after: { banner: ['spring'] } },
    ]);
    expect((await cli('assignments', 'explain', 'ann berg', 'banner')).stdout).toMatch(
      /spring +group Sales +5 +wins +it is number 1 of 1 +[0-9a-f-]{36}\ncorp +everyone +0 +beaten +the slot has 1 winner/,
    );
    await acting(
      'assignments',
      'assign',
      'Contoso',
      'banner',
      'corp',
      '--field',
      'country',
      '--in',
      'de',
      'CH',
      '--except',
    );
    expect((await cli('assignments', 'list')).stdout).toMatch(
      /Contoso +banner +corp +not to country: de, CH +0 +active +0\n/,
    );
    await acting(
      'assignments',
      'assign',
      'Contoso',
      'banner',
      'corp',
      '--account',
      'bo@contoso.example',
      '--starts',
      '3h',
    );
    expect((await cli('assignments', 'list', 'Contoso', '--state', 'scheduled')).stdout).toMatch(
      /banner +corp +Bo Ek +0 +scheduled, \d{4}-/,
    );
    const staff = world.tenant.createGroup({ displayName: 'Staff', securityEnabled: true });
    world.tenant.deleteGroup(sales);
    await world.cycle();
    await world.database.raw('update entra_sync.groups set purge_at = now() where removed_at is not null');
    world.tenant.addMember(staff, world.tenant.users()[0]?.id ?? '');
    await world.cycle();
    expect((await cli('assignments', 'list', 'Contoso')).stdout).toMatch(
      /orphaned[\s\S]*A purged group does not come back -> /,
    );
    const [gone] = await rows<{ id: string }>(
      world.database,
      "select group_id as id from directory.assignments where state = 'orphaned'",
    );
    const moving = ['assignments', 'move', gone?.id ?? '', 'Staff', '--tenant', 'Contoso'];
    expect((await acting(...moving, '--dry-run')).stdout).toMatch(/^1 assignment would move to Staff\.\n/);
    expect((await acting(...moving)).stdout).toMatch(
      /^1 assignment moved to Staff\.\nThe items of 1 account changed:\n/,
    );
    const change = (...words: string[]) => acting('assignments', 'change', ids[0], ...words);
    expect((await change('--starts', '2h')).stdout).toMatch(
      /^The assignment is changed\.\nThe items of 1 account changed:\n/,
    );
    expect((await change('--no-start', '--dry-run')).stdout).toMatch(/would change:\n[\s\S]*-> +spring/);
    expect((await change('--no-start')).stdout).toMatch(/-> +spring/);
    expectOneLine(await change(), 2, /nothing to change was given -> /);
    expect((await acting('assignments', 'unassign', ids[0])).stdout).toMatch(/^1 assignment taken back\.\n/);
    await expectSound(world.database, world.tenant.tenantId);
  });

  test('what is refused is one line, and changes nothing', async () => {
    const before = await counted('changes');
    const give = (...words: string[]) => acting('assignments', 'assign', 'Contoso', 'banner', ...words);
    expectOneLine(
      await give('none', '--everyone'),
      2,
      /the slot has no item "none" \(ES010\) -> entra-sync items list shows /,
    );
    expectOneLine(await give('corp'), 2, /no target was given -> give one of/);
    expectOneLine(await give('corp', '--everyone', '--group', 'Staff'), 2, /more than one target was given -> /);
    expectOneLine(await give('corp', '--group', 'Nowhere'), 2, /Nowhere/);
    expectOneLine(await give('corp', '--field', 'nothing', '--in', 'x'), 2, /there is no field "nothing" \(ES002\)/);
    expectOneLine(
      await give('corp', '--everyone', '--starts', '3d', '--ends', '2h'),
      2,
      /ends_at is not after starts_at \(ES005\) -> Give a later end, or none\./,
    );
    expectOneLine(
      await acting('assignments', 'unassign', world.tenant.tenantId),
      2,
      /there is no assignment [0-9a-f-]{36} \(ES004\) -> entra-sync assignments list shows the ids\.$/,
    );
    expectOneLine(await acting('assignments', 'unassign', 'x'), 2, /x is no assignment id -> /);
    expectOneLine(
      await cli('assignments', 'explain', 'bo', 'none'),
      2,
      /there is no slot "none" \(ES010\) -> entra-sync slots list shows those there are; entra-sync slots put makes one\.$/,
    );
    expect(await counted('changes')).toBe(before);
  });

  test('each of the ways in which a target is not one target is told by name', async () => {
    const give = (...words: string[]) => acting('assignments', 'assign', 'Contoso', 'banner', 'corp', ...words);
    expectOneLine(await give('--everyone', '--group', 'Staff'), 2, /more than one target was given -> give one of/);
    expectOneLine(await give('--field', 'country'), 2, /--field was given without --in -> add --in VALUE/);
    expectOneLine(await give('--in', 'DE'), 2, /--in was given without --field -> add --field FIELD/);
    expectOneLine(await give('--everyone', '--in', 'DE'), 2, /--in was given without --field -> /);
    expectOneLine(
      await give('--group', 'Nowhere'),
      2,
      /: no group is called Nowhere -> entra-sync find "Nowhere" shows the nearest$/,
    );
    expectOneLine(
      await give('--everyone', '--priority', '10000000'),
      2,
      /a whole number from -9999999 to 9999999 is needed -> /,
    );
    expectOneLine(await cli('assignments', 'list', '--state', 'bogus'), 2, /'bogus' .*active, scheduled, ended/);
    expectOneLine(
      await cli('assignments', 'people', 'Contoso', 'banner', 'none'),
      2,
      /there is no item none of slot banner in Contoso -> entra-sync items list "Contoso" shows them$/,
    );
  });

  test('a removed account gets nothing, and the line leads to why it is removed', async () => {
    const cy = world.tenant.createUser({ displayName: 'Cy Dahl', userPrincipalName: 'cy@contoso.example' });
    await world.cycle();
    world.tenant.deleteUser(cy);
    await world.cycle();
    const says = /: Cy Dahl was removed .* ago and gets nothing -> entra-sync explain [0-9a-f-]{36} says why$/;
    expectOneLine(await cli('assignments', 'explain', 'cy dahl', 'banner'), 2, says);
    expectOneLine(await cli('assignments', 'preview', 'Contoso', 'banner', 'corp', '--account', 'cy dahl'), 2, says);
  });

  test('an assignment that is not in force yet, or no more, says so', async () => {
    const give = (...words: string[]) =>
      acting('assignments', 'assign', 'Contoso', 'banner', 'spring', '--everyone', '--priority', '3', ...words);
    const later = ['--starts', '2100-01-01'];
    const made = await give(...later);
    expect(made.stdout).toMatch(
      /\nNo account gets anything else before the start, 2100-01-01T00:00Z, when the items of [1-9] accounts? would change\.\n$/,
    );
    const ended = await give('--ends', '2020-01-01');
    expect(ended.stdout).toMatch(/\nNo account gets anything else: the end, 2020-01-01T00:00Z, has passed\.\n$/);
    for (const { stdout } of [made, ended])
      await acting('assignments', 'unassign', /made: (\S+)/.exec(stdout)?.[1] ?? '');
  });
});
