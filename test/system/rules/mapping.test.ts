// The mapping of a directory's properties in whole cycles: paths, directory extensions, expressions.
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { exactNumber, showOdd } from '../../../src/simulator/index.ts';
import { runCli } from '../../support/cli.ts';
import { setSettings } from '../../support/settings.ts';
import { accountsOf, openWorld } from '../../support/system.ts';

const extension = 'extension_0123456789abcdef0123456789abcdef_badge';

const settings = `
  fields:
    phone: { from: { first: [faxNumber, "businessPhones[0]"] } }
    fullName: { from: { join: [givenName, surname], with: " " } }
    badge: { from: ${extension} }
    costCenter: { from: { map: onPremisesExtensionAttributes.extensionAttribute3, values: { red: R }, otherwise: other } }
    login: { from: { lower: userPrincipalName } }
    company: { from: { constant: Contoso } }
    faxNumber: null
`;

test('fields are made of parts of properties, of directory extensions and of expressions, and follow their changes', async () => {
  const world = await openWorld();
  const [person] = world.tenant.users();
  if (!person) throw new Error('the tenant has nobody');
  const profile = async () => (await accountsOf(world.database, world.tenant.tenantId))[person.id]?.profile;
  world.tenant.updateUser(person.id, {
    givenName: 'Adele',
    surname: null,
    faxNumber: null,
    businessPhones: ['+1 425'],
    userPrincipalName: 'Adele@Contoso.com',
    onPremisesExtensionAttributes: { extensionAttribute3: 'red' },
    [extension]: 7,
  });
  await world.cycle();
  await setSettings(world.database, parse(settings));
  expect((await world.cycle()).streams.users).toMatchObject({ round: 'full', reason: 'settings_changed' });
  expect(await profile()).toMatchObject({
    phone: '+1 425',
    fullName: 'Adele',
    badge: 7,
    costCenter: 'R',
    login: 'adele@contoso.com',
    company: 'Contoso',
  });
  expect(await profile()).not.toHaveProperty('faxNumber');

  world.tenant.updateUser(person.id, {
    surname: 'Vance',
    faxNumber: '+1 999',
    onPremisesExtensionAttributes: { extensionAttribute3: 'blue' },
    [extension]: null,
  });
  expect((await world.cycle()).streams.users).toMatchObject({ round: 'incremental', updated: 1 });
  expect(await profile()).toMatchObject({ phone: '+1 999', fullName: 'Adele Vance', costCenter: 'other' });
  expect(await profile()).not.toHaveProperty('badge');
});

test('rule 19: the digits of an extension property are kept, and a change of the last one is seen', async () => {
  const world = await openWorld();
  await setSettings(world.database, {
    fields: { badge: { from: extension }, label: { from: { join: [extension], with: ' ' } } },
    scope: { userType: 'any' },
  });
  const [person] = world.tenant.users();
  const id = person?.id ?? '';
  const badge = async () => (await accountsOf(world.database, world.tenant.tenantId))[id]?.profile;
  let end = () => {};
  for (const [digits, resync] of [
    ['9223372036854775807', false],
    ['9007199254740993', false],
    ['9007199254740992', true],
  ] as const) {
    end();
    end = showOdd(world.simulator, 'users', [id], { [extension]: exactNumber(digits) });
    world.tenant.touchUser(id);
    expect((await world.cycle({ resync })).streams.users, digits).toMatchObject({ set_aside: 0 });
    expect(await badge(), digits).toMatchObject({ badge: digits, label: digits });
    expect((await world.cycle({ resync: true })).streams.users, digits).toMatchObject({ updated: 0 });
  }
  end();
  showOdd(world.simulator, 'users', [id], { [extension]: exactNumber('9007199254740994') });
  const environment = { ...world.simulator.environment(world.tenant.tenantId), DATABASE_URL: world.url };
  const verified = await runCli(['verify', '--json'], environment);
  expect(JSON.parse(verified.stdout).tenants[0].drift).toContainEqual(
    expect.objectContaining({ field: 'badge', stored: '9007199254740992', fresh: '9007199254740994' }),
  );
});

test('a change of the owner or editors of a field causes no full round', async () => {
  const world = await openWorld();
  await world.cycle();
  const yaml = 'sourceOfTruth: hybrid\nfields: { mail: { owner: user } }\nmanual: { editable: [mail] }\nmatch: []';
  await setSettings(world.database, parse(yaml));
  expect((await world.cycle()).streams.users).toMatchObject({ round: 'incremental', seen: 0 });
});
