// What support is asked of a customer's directory, each answered by one command, readably.
import { beforeAll, expect, test } from 'vitest';
import { assign, assigning, putItem, putSlot, type Target } from '../../../src/store/accounts/assignments.ts';
import { findGroups } from '../../../src/store/accounts/history.ts';
import { readAccount } from '../../../src/store/tenants/status.ts';
import { expectOneLine, runCli } from '../../support/cli.ts';
import { setSettings } from '../../support/settings.ts';
import { openWorld, type World } from '../../support/system.ts';

let world: World;
const ids = { ann: '', bo: '', carol: '', dan: '', sales: '', leads: '' };

const answerTo = async (...words: string[]) => {
  const environment = {
    ...world.simulator.environment(world.tenant.tenantId),
    DATABASE_URL: world.url,
    COLUMNS: '200',
  };
  const { code, stdout, stderr } = await runCli(words, environment);
  expect(code, stderr).toBe(0);
  // The cells of each line.
  return stdout.split('\n').map((line) => line.trim().split(/ {2,}/));
};

beforeAll(async () => {
  world = await openWorld({ users: 0, groups: 0, name: 'Contoso', onEnd: (() => {}) as never });
  const { tenant, database } = world;
  const hire = (name: string, department: string) =>
    tenant.createUser({
      ...{ displayName: name, department, userPrincipalName: `${name.split(' ')[0]?.toLowerCase()}@contoso.example` },
      ...{ userType: 'Member', accountEnabled: true, creationType: null },
    });
  ids.ann = hire('Ann Berg', 'Sales');
  ids.bo = hire('Bo Ek', 'Sales');
  ids.carol = hire('Carol Lund', 'Sales');
  ids.dan = hire('Dan Holm', 'Purchasing');
  ids.sales = tenant.createGroup({ displayName: 'Sales', securityEnabled: true });
  ids.leads = tenant.createGroup({ displayName: 'Leads', securityEnabled: true });
  for (const id of [ids.ann, ids.carol]) tenant.addMember(ids.sales, id);
  tenant.addMember(ids.leads, ids.carol);
  tenant.setManager(ids.ann, ids.bo);
  await setSettings(database, {
    scope: { where: [{ property: 'department', in: ['Sales'] }] },
    managers: true,
    managedBy: [{ managers: ids.leads, people: ids.sales }],
  });
  await world.cycle();
  const { tenantId } = tenant;
  const [sales] = await findGroups(database, tenantId, ids.sales);
  const carol = await readAccount(database, tenantId, ids.carol);
  await assigning(database, false, async (on) => {
    await putSlot(on, { tenant_id: null, slot: 'banner', winners: 1, title: null }, 'test');
    for (const item of ['corp', 'spring'])
      await putItem(on, { tenant_id: null, slot: 'banner', item, title: null, html: null }, 'test');
    const give = (item: string, target: Target, except = false) =>
      assign(on, { tenantId, slot: 'banner', item, target, options: { except } }, 'test');
    await give('corp', { everyone: true });
    await give('spring', { group: sales?.group_id ?? '' });
    await give('spring', { account: carol?.account_id ?? '' }, true);
  });
});

test('why is Dan not there: the condition, and the value that failed it', async () => {
  expect(await answerTo('explain', 'dan@contoso.example', '--ask')).toContainEqual([
    'The user is in Entra ID, but outside the scope: scope.where[0]: department is "Purchasing". There is no account here.',
  ]);
});

test('who manages Ann, and why', async () => {
  const told = await answerTo('managers', 'ann@contoso.example');
  expect(told[0]).toEqual(['Ann Berg, Contoso, is managed by:']);
  const why = told.filter(([, principal]) => principal?.includes('@')).map(([name, , reason]) => [name, reason]);
  expect(why).toEqual([
    ['Bo Ek', 'line: the manager in Entra ID'],
    ['Carol Lund', 'group: Leads manages Sales (managedBy)'],
  ]);
});

test('who gets the spring banner, and why not Carol', async () => {
  const id = expect.stringMatching(/^[0-9a-f-]{36}$/);
  const carol = await answerTo('assignments', 'explain', 'carol@contoso.example', 'banner');
  expect(carol[0]).toEqual(['Carol Lund, Contoso, slot banner:']);
  expect(carol.slice(3, -1)).toEqual([
    ['spring', 'not to Carol Lund', '0', 'exception', 'it takes the item away', id],
    ['spring', 'group Sales', '0', 'excepted', 'an exception takes the item away', id],
    ['corp', 'everyone', '0', 'wins', 'it is number 1 of 1', id],
  ]);
  const ann = await answerTo('assignments', 'explain', 'ann@contoso.example', 'banner');
  expect(ann.slice(3, -1)).toEqual([
    ['spring', 'group Sales', '0', 'wins', 'it is number 1 of 1', id],
    ['corp', 'everyone', '0', 'beaten', expect.stringMatching(/^the slot has 1 winner/), id],
  ]);
  const people = await answerTo('assignments', 'people', 'Contoso', 'banner', 'spring');
  expect(people[0]).toEqual(['Contoso: 1 account gets spring of banner.']);
  expect(people.slice(3)).toEqual([['Ann Berg', 'ann@contoso.example', 'spring', '1', 'group Sales'], ['']]);
  const csv = await answerTo('assignments', 'people', 'Contoso', 'banner', '--csv');
  expect(csv.slice(1, -1).map(([line]) => line?.replace(/^[^,]*,|,[^,]*$/g, ''))).toEqual([
    'Ann Berg,ann@contoso.example,spring,1,group Sales',
    'Bo Ek,bo@contoso.example,corp,1,everyone',
    'Carol Lund,carol@contoso.example,corp,1,everyone',
  ]);
  const list = await answerTo('assignments', 'list', 'Contoso');
  expect(list.map((cells) => cells.slice(1))).toContainEqual(['banner', 'spring', 'group Sales', '0', 'active', '1']);
});

test('whose items a rule would change, and that asking changes none', async () => {
  const rule = ['Contoso', 'banner', 'spring', '--field', 'department', '--in', 'Sales'];
  const told = await answerTo('assignments', 'preview', ...rule);
  expect(told).toEqual([
    ['The items of 1 account would change:'],
    [''],
    ['account', 'user principal name', 'slot', 'before', 'after'],
    ['Bo Ek', 'bo@contoso.example', 'banner', 'corp', '->', 'spring'],
    [''],
  ]);
  expect(await answerTo('assignments', 'preview', ...rule)).toEqual(told);
});

test('a command that is offered for a word runs nothing in the shell that it is copied into', async () => {
  const word = '$(id) `id`';
  const asked = [
    ['edit', word, 'faxNumber=1'],
    ['edit', word, '--undo', 'x'],
    ['managers', word],
    ['person', 'export', word],
    ['restore', word],
    ['changes', '--account', word],
    ['items', 'show', 'banner', 'one', '--for', word],
    ['assignments', 'explain', word, 'banner'],
    ['assignments', 'assign', 'Contoso', 'banner', 'one', '--account', word],
    ['assignments', 'assign', 'Contoso', 'banner', 'one', '--group', word],
  ];
  for (const words of asked) {
    const { code, stderr } = await runCli(words, { DATABASE_URL: world.url });
    expect([code, stderr], words.join(' ')).toEqual([2, expect.stringContaining(`'${word}'`)]);
    expect(stderr).not.toContain(`"${word}"`);
  }
});

test('explain refuses to ask Entra ID for a time that is gone', async () => {
  const asked = await runCli(['explain', 'dan@contoso.example', '--ask', '--at', '1d'], { DATABASE_URL: world.url });
  expectOneLine(asked, 2, /--ask reads the user as it is now, and --at shows a time that is gone/);
});
