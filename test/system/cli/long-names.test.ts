// Names and values of any length in the answers for people: cut in each table, whole with --json.
import { expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { runCli } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { setSettings } from '../../support/settings.ts';
import { openWorld } from '../../support/system.ts';

const name = (letter: string, length = 256) => letter.repeat(length);
/** A name that is longer than tables show. */
const uncut = /(\p{L})\1{120}/u;

test.runIf(isDeep)('a name of any length is cut in the tables of each verb, and whole with --json', async () => {
  const world = await openWorld({ users: 0, groups: 0, name: 'Contoso' });
  const { tenant, database } = world;
  const ours = { mobilePhone: { from: 'mobilePhone', owner: 'user' } } as const;
  await setSettings(database, { sourceOfTruth: 'hybrid', managers: true, fields: ours });
  const address = (letter: string) => ({ userPrincipalName: `${name(letter, 200)}@contoso.example` });
  const user = tenant.createUser({ displayName: name('U'), ...address('u') });
  const leaver = tenant.createUser({ displayName: name('L'), ...address('l') });
  const group = tenant.createGroup({ displayName: name('G'), securityEnabled: true });
  for (const one of [user, leaver]) tenant.addMember(group, one);
  tenant.setManager(user, leaver);
  await world.cycle();
  const [began] = await rows<{ at: Date }>(database, 'select clock_timestamp() as at');
  const cli = async (...words: string[]) => {
    const done = await runCli(words, { ...world.simulator.environment(tenant.tenantId), DATABASE_URL: world.url });
    expect([0, 4, 8], `${words.join(' ').slice(0, 200)}: ${done.stderr}`).toContain(done.code);
    return done.stdout;
  };
  const made = { tenant: tenant.tenantId, slot: name('S', 150), item: name('I', 150), actor: name('A') };
  for (const statement of [
    'put_slot(:tenant, :slot, 1, :actor, :actor)',
    'put_item(:tenant, :slot, :item, :actor, null, :actor)',
    `assign(:tenant, :slot, :item, (select jsonb_build_object('group', group_id) from directory.groups), '{}', :actor)`,
  ])
    await database.raw(`select directory.${statement}`, made);
  await cli('edit', user, 'mobilePhone=+1 555', '--actor', made.actor);
  await cli('tenant', 'pause', 'Contoso', '--actor', made.actor);
  const back = await cli('edit', '--revert', 'mobilePhone', '--everyone', '--tenant', 'Contoso', '--dry-run');
  await setSettings(database, { removals: { max: 0 } });
  tenant.deleteUser(leaver);
  tenant.updateUser(user, { displayName: name('V') });
  const [dry, drift] = [await cli('sync', 'Contoso', '--dry-run'), await cli('verify', 'Contoso')];
  await world.cycle();
  const held = await cli('removals', 'list');
  await cli('removals', 'approve', 'Contoso', '--list', '1', '--all', '--actor', made.actor);
  const [cycle] = await rows<{ id: string }>(database, 'select max(cycle_id) as id from entra_sync.cycles');
  const [assignment] = await rows<{ id: string }>(database, 'select assignment_id as id from directory.assignments');
  const shown: Record<string, string> = { back, dry, drift, held };
  for (const words of [
    ['find', 'VVV'],
    ['explain', user],
    ['explain', user, '--at', new Date().toISOString()],
    ['explain', leaver],
    ['history', user],
    ['history', group],
    ['compare', 'Contoso', '--from', began?.at.toISOString() ?? ''],
    ['changes', '--limit', '100'],
    ['cycle', 'show', cycle?.id ?? ''],
    ['managers', user],
    ['audit'],
    ['removals', 'history'],
    ['removals', 'undo', 'Contoso', '--list', '1', '--dry-run'],
    ['slots', 'list'],
    ['items', 'list'],
    ['assignments', 'list'],
    ['assignments', 'people', 'Contoso', made.slot],
    ['assignments', 'explain', user, made.slot],
    ['assignments', 'unassign', assignment?.id ?? '', '--dry-run'],
  ])
    shown[words.join(' ')] = await cli(...words);
  const long = Object.entries(shown).flatMap(([words, text]) => {
    const line = text.split('\n').find((one) => uncut.test(one));
    return line === undefined ? [] : [`${words.slice(0, 60)}: ${line}`];
  });
  expect(long).toEqual([]);
  expect(await cli('history', group, '--json')).toContain(name('G'));
  for (const [words, text] of Object.entries(shown))
    expect(text, `${words} names something`).toMatch(/(\p{L})\1{110}…/u);
});
