// `settings apply` in words: who owns and may edit which fields, and when it acts.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCli, temporaryDirectory } from '../../support/cli.ts';
import { openWorld } from '../../support/system.ts';

test('settings apply tells which fields change owner and editors and who gains the right to edit; a dry run says would', async ({
  onTestFinished,
}) => {
  const world = await openWorld({ name: 'Contoso', users: 3, onEnd: onTestFinished });
  await world.cycle();
  const file = join(await temporaryDirectory(onTestFinished), 'settings.yaml');
  const apply = async (yaml: string, ...words: string[]) => {
    await writeFile(file, yaml);
    const { code, stdout, stderr } = await runCli(['settings', 'apply', file, ...words], { DATABASE_URL: world.url });
    expect(code, stderr).toBe(0);
    return stdout;
  };
  const hybrid = `
    sourceOfTruth: hybrid
    fields:
      mobilePhone: { owner: user }
      faxNumber: { owner: user, editableBy: [manager] }
      pronouns: { owner: user }
      shirt: { owner: user }
    manual: { editableBy: [manager] }`;
  const dryRun = await apply(hybrid, '--dry-run');
  const said = [
    'owned by the user from now on: faxNumber, linkedIn, mobilePhone, pronouns, website',
    'new, owned by the user: shirt',
    'the role manager may edit from now on: faxNumber',
    'the roles user and manager may edit from now on: linkedIn, mobilePhone, pronouns, shirt, website',
    'the role manager may edit on manual accounts from now on: shirt',
  ];
  expect(dryRun.split('\n').slice(1, 6)).toEqual(said);
  expect(dryRun).toMatch(/^the role user may no longer edit on manual accounts: (\w+, ){11}\w+ and \d+ more \(--json/m);
  expect(dryRun).toMatch(/^Dry run: nothing was changed\. Applied, it takes effect at once\.$/m);
  const { tenants } = JSON.parse(await apply(hybrid, '--dry-run', '--json'));
  expect(tenants[0].rules).toContainEqual({
    field: 'mobilePhone',
    owner: { before: 'directory', after: 'user' },
    managed: { gain: ['user', 'manager'], lose: [] },
    manual: { gain: [], lose: ['user'] },
  });
  const done = await apply(hybrid);
  for (const line of said) expect(done.split('\n')).toContain(line);
  expect(done).toMatch(/^Settings version \d+ is in force\. It takes effect at once\.$/m);

  const back = await apply('fields: { mobilePhone: { owner: directory }, shirt: null }', '--dry-run');
  expect(back).toMatch(/^owned by the directory from now on: mobilePhone$/m);
  expect(back).toMatch(/^the roles user and manager may no longer edit: mobilePhone, shirt$/m);
  expect(back).toMatch(/^no longer a field: shirt$/m);
  expect(await apply('scope: { userType: [Member, Guest] }', '--dry-run')).toMatch(
    /Applied, owners and editors take effect at once; the narrower scope with the next cycle, which is no full one\.$/m,
  );
  expect(await apply('retention: 31d', '--dry-run')).not.toMatch(/owned by|may edit/);
});

test('a dry run says how many users stay, and that the next cycle would hold removals beyond the limits of the new settings', async ({
  onTestFinished,
}) => {
  const world = await openWorld({ name: 'Contoso', users: 30, groups: 2, onEnd: onTestFinished });
  for (const [n, { id }] of world.tenant.users().entries())
    world.tenant.updateUser(id, { department: n < 3 ? 'IT' : 'Sales' });
  await world.cycle();
  const directory = await temporaryDirectory(onTestFinished);
  const apply = async (where: string, removals: string, ...words: string[]) => {
    const file = join(directory, 'settings.yaml');
    await writeFile(file, `scope: { where: [${where}] }\nremovals: ${removals}\n`);
    const { code, stdout, stderr } = await runCli(['settings', 'apply', file, ...words], { DATABASE_URL: world.url });
    expect(code, stderr).toBe(0);
    return stdout;
  };
  const everyone = '{ property: department, in: [Nonexisting] }';
  const some = '{ property: department, notIn: [IT] }';
  const limits = '{ max: 500, percent: 20, floor: 20 }';
  const all = await apply(everyone, limits, '--dry-run');
  expect(all).toContain('30 users leave the scope, 0 stay:');
  const why = '30 of 30 in one round are more than 20 %';
  expect(all.split('\n')).toContain(
    `the next cycle would hold the removals of these users until a person decides: ${why} -> entra-sync removals list`,
  );
  expect(all).toMatch(
    /the narrower scope with the next cycle, which is no full one, but for the removals that it would hold\.$/m,
  );
  const { tenants } = JSON.parse(await apply(everyone, limits, '--dry-run', '--json'));
  expect(tenants).toMatchObject([{ staying: 0, guard: { why, waiting: 0 } }]);
  const few = await apply(some, limits, '--dry-run');
  expect(few).toContain('3 users leave the scope, 27 stay:');
  expect(few).not.toContain('would hold');
  expect(few).toMatch(/the narrower scope with the next cycle, which is no full one\.$/m);
  // The limits of the settings that are applied count, not those in force.
  expect(await apply(some, '{ max: 2, percent: 20, floor: 20 }', '--dry-run')).toContain(
    'would hold the removals of these users until a person decides: 3 in one round are more than 2 ->',
  );
  expect(await apply(everyone, limits)).toContain(
    `would hold the removals of these users until a person decides: ${why}`,
  );
  expect((await world.cycle()).streams.users).toMatchObject({ held: 30, removed: 0 });
  expect(await apply(`${everyone}, ${some}`, limits, '--dry-run')).toContain(
    '30 of the removals of these users are held already -> entra-sync removals list',
  );
});
