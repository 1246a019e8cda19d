// The forecast of a dry run: the same numbers as the cycle that follows, whichever stream counts them.
import { expect, test } from 'vitest';
import type { CycleResult } from '../../../src/engine/cycle.ts';
import { effects } from '../../../src/rules/counts.ts';
import { setSettings } from '../../support/settings.ts';
import { openWorld } from '../../support/system.ts';

/** The effects of both streams together: a membership of a new account counts with the stream that is committed last. */
function effectsOf({ streams: { users, groups } }: CycleResult): Record<string, number> {
  return Object.fromEntries(effects.map((name) => [name, users[name] + groups[name]]));
}

test.for([
  ['everybody', false],
  ['a scope group', true],
] as const)('a dry run forecasts the memberships of accounts that come and go: %s', async ([, scope]) => {
  const world = await openWorld({ users: 20, groups: 4 });
  const { tenant, database } = world;
  const [group, other] = tenant.groups();
  for (const user of tenant.users().slice(0, 15)) tenant.addMember(group?.id ?? '', user.id);
  await setSettings(database, { firstLoad: 'delta', ...(scope && { scope: { groups: [group?.id ?? ''] } }) });
  const first = effectsOf(await world.cycle({ dryRun: true }));
  expect(first.memberships_added).toBeGreaterThanOrEqual(15);
  expect(effectsOf(await world.cycle())).toEqual(first);

  const [leaver, stays] = tenant.users();
  tenant.deleteUser(leaver?.id ?? '');
  const hired = tenant.createUser();
  for (const id of [group?.id, other?.id]) tenant.addMember(id ?? '', hired);
  tenant.removeMember(group?.id ?? '', stays?.id ?? '');
  const later = effectsOf(await world.cycle({ dryRun: true }));
  expect(later).toMatchObject({ created: 1 });
  expect(effectsOf(await world.cycle())).toEqual(later);
});
