// The truth of a simulated tenant: made from a seed, edited by hand or by script.
import { expect, test } from 'vitest';
import { createTenant, type Tenant } from '../../../src/simulator/index.ts';
import { isDeep } from '../../support/deep.ts';

const snapshot = (tenant: Tenant) => ({
  id: tenant.tenantId,
  name: tenant.name,
  users: tenant.users(),
  deleted: tenant.deletedUsers(),
  groups: tenant.groups().map((group) => ({ ...group, members: [...group.members] })),
});
const script = [
  'hire 3',
  'title 5',
  'clear mobilePhone 2',
  'delete 2',
  'restore 1',
  'purge 1',
  'disable 2',
  'enable 1',
  'rename-group 1',
  'join 5',
  'leave 5',
  'random 20',
];

test('the same seed and edits give the same tenant, another seed another one', () => {
  const [one, two] = [1, 1].map(() => createTenant({ seed: 61, users: 60, groups: 12, deletedUsers: 3 }));
  if (one === undefined || two === undefined) {
    throw new Error('unreachable');
  }
  expect(script.map((line) => one.run(line))).toEqual(script.map((line) => two.run(line)));
  expect(snapshot(one)).toEqual(snapshot(two));
  const other = createTenant({ seed: 62, users: 60, groups: 12, deletedUsers: 3 });
  expect(other.users()[0]).not.toEqual(createTenant({ seed: 61, users: 60 }).users()[0]);
});

test('the people are diverse: scripts, apostrophes, guests, disabled ones, attributes; addresses are unique ASCII', () => {
  const users = createTenant({ seed: 63, users: 2000 }).users();
  const all = (name: string) => users.map((user) => user.properties[name]).filter((value) => typeof value === 'string');
  const principals = all('userPrincipalName');
  expect(new Set(principals.map((name) => name.toLowerCase())).size).toBe(2000);
  expect(principals.every((name) => /^[\x21-\x7e]+$/.test(name))).toBe(true);
  const names = all('displayName').join('\n');
  for (const kind of [
    /'/,
    /ß/,
    /Ł/,
    /\p{Script=Han}/u,
    /\p{Script=Greek}/u,
    /\p{Script=Cyrillic}/u,
    /\p{Script=Arabic}/u,
    /𠮷/u,
  ]) {
    expect(names).toMatch(kind);
  }
  const share = (test: (properties: Record<string, unknown>) => boolean) =>
    users.filter((user) => test(user.properties)).length / users.length;
  expect(share(({ userType }) => userType === 'Guest')).toBeGreaterThan(0.01);
  expect(share(({ userType }) => userType === 'Guest')).toBeLessThan(0.1);
  expect(share(({ accountEnabled }) => accountEnabled === false)).toBeGreaterThan(0.01);
  expect(share(({ onPremisesExtensionAttributes }) => onPremisesExtensionAttributes !== undefined)).toBeGreaterThan(
    0.1,
  );
  expect(share(({ faxNumber }) => faxNumber !== undefined)).toBeGreaterThan(0.1);
  expect(share(({ businessPhones }) => Array.isArray(businessPhones))).toBe(1);
});

test('the groups are of all kinds: dynamic, empty, large, nested with a cycle, with devices', () => {
  const tenant = createTenant({ seed: 64, users: 300, groups: 40, largestGroup: 250 });
  const groups = tenant.groups();
  const kind = ({ properties: p }: (typeof groups)[number]) =>
    `${p.mailEnabled ? 'mail' : ''} ${p.securityEnabled ? 'security' : ''} ${String(p.groupTypes).includes('Unified') ? 'unified' : ''}`;
  expect(new Set(groups.map(kind))).toEqual(new Set([' security ', 'mail  unified', 'mail  ', 'mail security ']));
  expect(
    groups.filter(({ properties }) => String(properties.groupTypes).includes('DynamicMembership')).length,
  ).toBeGreaterThan(1);
  expect(groups.filter(({ members }) => members.size === 0).length).toBeGreaterThan(0);
  expect(Math.max(...groups.map(({ members }) => members.size))).toBe(250);
  expect(groups.some(({ members }) => [...members.values()].includes('#microsoft.graph.device'))).toBe(true);
  const [, second, third] = groups;
  expect(second?.members.get(third?.id ?? '')).toBe('#microsoft.graph.group');
  expect(third?.members.get(second?.id ?? '')).toBe('#microsoft.graph.group');
});

test.runIf(isDeep)('a tenant can have a hundred thousand users', () => {
  expect(createTenant({ seed: 65, users: 100_000 }).users()).toHaveLength(100_000);
});

test('given properties override made-up ones; null leaves one out; the truth contains no null', () => {
  const tenant = createTenant({ seed: 66, users: 0 });
  const id = tenant.createUser({ userPrincipalName: 'Ann@a.example', displayName: 'Ann', jobTitle: null });
  expect(tenant.findUser('ann@A.example')).toMatchObject({
    id,
    properties: { displayName: 'Ann', mail: 'Ann@a.example' },
  });
  expect(tenant.findUser(id)?.properties).not.toHaveProperty('jobTitle');
  tenant.updateUser(id, { mobilePhone: null, businessPhones: null, faxNumber: '1' });
  const properties = tenant.findUser(id)?.properties ?? {};
  expect(Object.values(properties)).not.toContain(null);
  expect(properties).toMatchObject({ businessPhones: [], faxNumber: '1' });
});

test('users are soft-deleted, restored and permanently deleted; impossible edits are refused', () => {
  const tenant = createTenant({ seed: 67, users: 1 });
  const id = tenant.users()[0]?.id ?? '';
  const name = String(tenant.findUser(id)?.properties.userPrincipalName);
  tenant.deleteUser(id);
  expect([tenant.users(), tenant.deletedUsers().map((user) => user.id)]).toEqual([[], [id]]);
  expect(tenant.findUser(id)).toMatchObject({ deleted: 'soft' });
  expect(tenant.findUser(name)).toBeUndefined();
  expect(() => tenant.updateUser(id, { jobTitle: 'x' })).toThrow('soft');
  const heir = tenant.createUser({ userPrincipalName: name });
  expect(() => tenant.restoreUser(id)).toThrow('userPrincipalName');
  tenant.purgeUser(heir);
  tenant.restoreUser(id);
  expect(tenant.findUser(name)).toMatchObject({ id });
  tenant.purgeUser(id);
  expect(tenant.findUser(id)).toEqual({ id, deleted: 'hard', properties: {} });
  expect(() => tenant.restoreUser(id)).toThrow('hard');
  expect(() => tenant.createUser({ id })).toThrow('taken');
  expect(() => tenant.createUser({ jobtitel: 'x' })).toThrow('jobtitel');
});

test('a taken name is refused and changes nothing', () => {
  const tenant = createTenant({ seed: 68, users: 2 });
  const [a, b] = tenant.users();
  const name = String(b?.properties.userPrincipalName);
  expect(() => tenant.updateUser(a?.id ?? '', { userPrincipalName: name })).toThrow('userPrincipalName');
  expect(() => tenant.updateUser(a?.id ?? '', { nonsense: 1 })).toThrow('nonsense');
  expect(tenant.users()).toEqual([a, b]);
  expect(tenant.findUser(name)?.id).toBe(b?.id);
});

test('edits by script report their result', () => {
  const tenant = createTenant({ seed: 69, users: 20, groups: 4 });
  expect(tenant.run('hire 3')).toBe('hired 3 users');
  expect(tenant.users()).toHaveLength(23);
  expect(tenant.run('delete 2')).toBe('deleted 2 users');
  expect(tenant.run('restore 1')).toBe('restored 1 user');
  expect(tenant.run('purge 5')).toBe('permanently deleted 1 user');
  expect(tenant.run('clear jobTitle 2')).toBe('cleared jobTitle of 2 users');
  expect(tenant.run('rename-group')).toBe('renamed 1 group');
  expect(tenant.run('join 2')).toBe('added to groups: 2 members');
  expect(tenant.run('random 3')).toMatch(/^random edits: /);
});

test.each([
  ['dance 3', "Unknown edit 'dance'; the line help lists them all."],
  ['', 'help lists'],
  ['toString 1', 'help lists'],
  ['toString ann', 'help lists'],
  ['hire many', "'many' is not a principal name such as ann@"],
  ['hire -1', 'whole number'],
  ['clear nonsense 1', 'nonsense'],
  ['title nobody@x.example CEO', "There is no user 'nobody@x.example'"],
  ['title', undefined],
  ['title ann@tenant.example', 'No title was given.'],
  ['set ann@tenant.example nonsense 1', "'nonsense' is not a property of users."],
  ['set ann@tenant.example accountEnabled maybe', 'accountEnabled is true or false.'],
  ['join ann@tenant.example Nowhere', "There is no group 'Nowhere'"],
  ['restore ann@tenant.example', "There is no deleted user 'ann@tenant.example'"],
  ['remove Ann Example', "'Example' is too much"],
  ['hire ann@tenant.example', 'has this userPrincipalName already'],
  ['rename ann@tenant.example', 'No name was given.'],
  ['disable same', "2 users are called 'same': name one by its id"],
])('the script line %j is refused in one line, and the error names the cure', (line, cure) => {
  const tenant = createTenant({ seed: 70, users: 2 });
  tenant.createUser({ userPrincipalName: 'ann@tenant.example' });
  for (const domain of ['a', 'b']) tenant.createUser({ userPrincipalName: `same@${domain}.example` });
  const before = tenant.users();
  if (cure === undefined) {
    expect(tenant.run(line)).toMatch(/^gave a new job title to 1 user$/);
    return;
  }
  expect(() => tenant.run(line)).toThrow(cure);
  expect(() => tenant.run(line)).toThrow(/^[^\n]+$/);
  expect(tenant.users()).toEqual(before);
});

test('edits by name change the user or group that they name', () => {
  const tenant = createTenant({ seed: 71, users: 3, name: 'Contoso' });
  const group = tenant.createGroup({ displayName: 'All Staff' });
  expect(tenant.run('hire ann@contoso.example Ann Example')).toBe('hired ann@contoso.example');
  const id = tenant.findUser('ann@contoso.example')?.id ?? '';
  const ann = () => tenant.findUser(id);
  expect(ann()?.properties.displayName).toBe('Ann Example');
  for (const [line, answer] of [
    ['title ANN@contoso.example Chief Executive Officer', 'ann@contoso.example: jobTitle is "Chief Executive Officer"'],
    ['department ann Board', 'ann@contoso.example: department is "Board"'],
    ['set "Ann Example" mobilePhone "+43 1 234"', 'ann@contoso.example: mobilePhone is "+43 1 234"'],
    ['set ann businessPhones "+43 1 5"', 'ann@contoso.example: businessPhones is ["+43 1 5"]'],
    ['clear ann mobilePhone', 'ann@contoso.example: mobilePhone is cleared'],
    ['disable ann', 'disabled ann@contoso.example'],
    ['join ann All Staff', 'ann@contoso.example is in All Staff'],
    ['rename ann Ann Newname', 'ann@contoso.example is called "Ann Newname"'],
    ['rename-group "All Staff" Everybody', 'the group All Staff is called "Everybody"'],
  ] as const)
    expect(tenant.run(line)).toBe(answer);
  expect(ann()?.properties).toMatchObject({
    ...{ displayName: 'Ann Newname', jobTitle: 'Chief Executive Officer', department: 'Board' },
    ...{ accountEnabled: false, businessPhones: ['+43 1 5'] },
  });
  expect(ann()?.properties).not.toHaveProperty('mobilePhone');
  expect(tenant.findGroup(group)?.members.has(id)).toBe(true);
  expect(tenant.findGroup(group)?.properties.displayName).toBe('Everybody');
  expect(tenant.run('leave ann Everybody')).toBe('ann@contoso.example is no longer in Everybody');
  expect(tenant.findGroup(group)?.members.has(id)).toBe(false);
  expect(tenant.run('remove-group everybody')).toBe('deleted the group Everybody');
  expect(tenant.findGroup(group)?.deleted).toBe('soft');
  expect(() => tenant.run('remove-group Everybody')).toThrow("There is no group 'Everybody'");
  expect(tenant.run('restore-group Everybody')).toBe('restored the group Everybody');
  expect(tenant.findGroup(group)?.deleted).toBeUndefined();
  tenant.createGroup({ displayName: 'Post', mailEnabled: true });
  expect(tenant.run('remove-group Post')).toBe('deleted the group Post for good');
  expect(tenant.run('purge-group Everybody')).toBe('deleted the group Everybody for good');
  expect(tenant.run(`rename ${id} anna@contoso.example`)).toBe('ann@contoso.example is called anna@contoso.example');
  expect(tenant.run('remove anna')).toBe('deleted anna@contoso.example');
  expect(ann()?.deleted).toBe('soft');
  expect(tenant.run('restore anna')).toBe('restored anna@contoso.example');
  expect(tenant.run('purge anna')).toBe('permanently deleted anna@contoso.example');
  expect(ann()?.deleted).toBe('hard');
});

test('a directory holds more than people: agents, users of other tenants, mailboxes, rooms; licences', () => {
  const tenant = createTenant({ seed: 73, users: 3, name: 'Contoso' });
  const propertiesOf = (principal: string) => tenant.findUser(principal)?.properties;
  for (const [line, answer] of [
    ['agent bot@contoso.example Helper', 'added bot@contoso.example'],
    ['guest eve@fabrikam.example', 'added eve_fabrikam.example#EXT#@contoso.example'],
    ['external kim@fabrikam.example Kim', 'added kim_fabrikam.example#EXT#@contoso.example'],
    ['mailbox info@contoso.example', 'added info@contoso.example'],
    ['room big@contoso.example', 'added big@contoso.example'],
    ['license bot SKU-1', 'bot@contoso.example has the licence SKU-1'],
  ] as const)
    expect(tenant.run(line)).toBe(answer);
  expect(propertiesOf('bot@contoso.example')).toMatchObject({
    ...{ displayName: 'Helper', identityParentId: expect.any(String) },
    assignedLicenses: [{ skuId: 'SKU-1' }],
  });
  expect(propertiesOf('kim_fabrikam.example#EXT#@contoso.example')).toMatchObject({
    ...{ userType: 'Member', mail: 'kim@fabrikam.example', creationType: 'Invitation' },
    externalUserState: 'Accepted',
  });
  expect(propertiesOf('eve_fabrikam.example#EXT#@contoso.example')).toMatchObject({ userType: 'Guest' });
  expect(propertiesOf('info@contoso.example')).toMatchObject({ accountEnabled: false, mail: 'info@contoso.example' });
  expect(propertiesOf('info@contoso.example')).not.toHaveProperty('department');
  expect(propertiesOf('big@contoso.example')).toMatchObject({ accountEnabled: false, isResourceAccount: true });
  expect(tenant.run('unlicense bot SKU-1')).toBe('bot@contoso.example has no longer the licence SKU-1');
  expect(propertiesOf('bot@contoso.example')?.assignedLicenses).toEqual([]);
  expect(tenant.run('room 2')).toBe('added as room: 2 users');
  expect(() => tenant.run('agent bot')).toThrow("'bot' is not an address");
});

test('a domain is renamed, and a property cleared, for everybody', () => {
  const tenant = createTenant({ seed: 74, users: 40, name: 'Contoso' });
  const ofDomain = (domain: string) => tenant.users().filter((user) => String(user.properties.mail).endsWith(domain));
  const before = ofDomain('@contoso.example').length;
  expect(tenant.run('rename-domain contoso.example fabrikam.example')).toBe(
    '40 users moved from contoso.example to fabrikam.example',
  );
  expect([ofDomain('@contoso.example').length, ofDomain('@fabrikam.example').length]).toEqual([0, before]);
  expect(tenant.domain).toBe('fabrikam.example');
  const filled = tenant.users().filter((user) => user.properties.department !== undefined).length;
  expect(tenant.run('clear-all department')).toBe(`department is cleared for ${filled} users`);
  expect(tenant.users().some((user) => 'department' in user.properties)).toBe(false);
  expect(() => tenant.run('rename-domain contoso')).toThrow('Two domains are wanted');
  expect(() => tenant.run('clear-all nonsense')).toThrow('nonsense');
});

test('help lists every edit that there is', () => {
  const tenant = createTenant({ seed: 72, users: 3 });
  const help = tenant.run('help');
  const named = [...help.matchAll(/^ {2}([a-z-]+) [A-Z]/gm)].map(([, word = '']) => word);
  expect(named).toHaveLength(28);
  for (const word of named) expect(() => tenant.run(`${word} nothing@nowhere nothing@x`)).not.toThrow(/Unknown edit/);
  const byChance =
    help
      .split('\n')
      .at(-1)
      ?.match(/[a-z-]+(?= (?:3|20|PROPERTY))/g) ?? [];
  expect(byChance).toContain('random');
  for (const word of byChance) expect(tenant.run(word === 'clear' ? 'clear jobTitle 0' : `${word} 0`)).not.toBe('');
});
