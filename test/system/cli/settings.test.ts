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
