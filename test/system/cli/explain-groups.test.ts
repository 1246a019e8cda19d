// The end of `explain`: the account's last changes, and its groups.
import { expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { runCli } from '../../support/cli.ts';
import { groupsWorld } from '../../support/groups-world.ts';

test('explain ends with the last five changes and the groups: direct, nested, held', async () => {
  const { world, person } = await groupsWorld({ Outer: ['Inner'], Inner: [1], Other: [1] }, { users: 3 });
  await world.cycle();
  for (const title of ['One', 'Two', 'Three', 'Four']) {
    world.tenant.updateUser(person(1), { jobTitle: title });
    await world.cycle();
  }
  await rows(
    world.database,
    `with list as (insert into entra_sync.removal_lists (tenant_id, stream, why) values (:tenant, 'groups', 'test') returning list_id)
     insert into entra_sync.held_memberships (list_id, tenant_id, group_no, member_object_id)
     select l.list_id, :tenant, g.group_no, :object from list l, entra_sync.groups g where g.display_name = 'Other'`,
    { tenant: world.tenant.tenantId, object: person(1) },
  );
  const { stdout } = await runCli(['explain', person(1)], { DATABASE_URL: world.url });
  const [, changes = '', groups = ''] = /\nLast changes\n([\s\S]*)\nGroups\n([\s\S]*)$/.exec(stdout) ?? [];
  expect(changes.trim().split('\n')).toHaveLength(6);
  expect(changes).toMatch(/account\.updated +jobTitle +"Three" +"Four"/);
  expect(changes).toMatch(/membership\.added/);
  expect(groups.trim().split('\n')).toEqual([
    expect.stringMatching(/^Inner +direct$/),
    expect.stringMatching(/^Other +direct, its end waits for a person in list \d+$/),
    expect.stringMatching(/^Outer +through nested groups$/),
  ]);
  const { stdout: json } = await runCli(['explain', person(1), '--json'], { DATABASE_URL: world.url });
  expect(JSON.parse(json)).toMatchObject({
    changes: [{ field: 'profile.jobTitle', after: 'Four' }, {}, {}, {}, {}],
    groups: [
      { display_name: 'Inner', is_direct: true, held_list: null },
      { display_name: 'Other', is_direct: true, held_list: expect.any(String) },
      { display_name: 'Outer', is_direct: false, held_list: null },
    ],
  });
});
