// `simulate` with several tenants: the worker's view of them, and edits of a named tenant or user while it runs.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runLine } from '../../../src/cli/verbs/simulate-edits.ts';
import { createTenant } from '../../../src/simulator/index.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { runCli, runProcess, startCli, temporaryDirectory } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { openStore } from '../../support/stage.ts';

test.runIf(isDeep)(
  'several tenants are served: each can be registered, synced, and edited by name',
  async ({ onTestFinished }) => {
    const store = await openStore();
    onTestFinished(() => store.close());
    const application = ['--client-id', '5e1f0000-0000-4000-8000-000000000001', '--client-secret', 'no-secret'];
    const folder = await temporaryDirectory(onTestFinished);
    const simulated = startCli(
      ['simulate', '--tenants', '3', '--users', '5', '--groups', '1', '--directory', folder, ...application],
      {},
    );
    onTestFinished(async () => {
      simulated.child.kill('SIGKILL');
      await simulated.ended;
    });
    const shown = await simulated.shows(/the same of each other tenant/);
    expect(shown.split('\n').filter((line) => !/^(export \w+='[^']*'|# .*|)$/.test(line))).toEqual([]);
    const environment = {
      ...Object.fromEntries([...shown.matchAll(/^export (\w+)='(.*)'$/gm)].map(([, name, value]) => [name, value])),
      DATABASE_URL: store.url,
    };
    expect(environment).toMatchObject({
      AZURE_CLIENT_ID: application[1],
      AZURE_CLIENT_SECRET: application[3],
      NODE_EXTRA_CA_CERTS: join(folder, 'authority.pem'),
    });
    const commands = [...shown.matchAll(/^# {3}entra-sync tenant add (\S+) --name "([^"]+)"$/gm)];
    expect(commands.map(([, , name]) => name)).toEqual(['Contoso 2', 'Contoso 3']);
    for (const [, id = '', name = ''] of commands)
      expect((await runCli(['tenant', 'add', id, '--name', name], environment)).code).toBe(0);
    for (const [line, answer] of [
      ['hire ann@contoso2.example', /^Contoso 2: hired ann@contoso2\.example$/m],
      ['title ann@contoso2.example CEO', /^Contoso 2: ann@contoso2\.example: jobTitle is "CEO"$/m],
      ['dance', /^Contoso: Unknown edit 'dance'; the line help lists them all\.$/m],
      ['in "Contoso 3" revoke', /^Contoso 3: Contoso 3 has revoked its consent$/m],
    ] as const) {
      simulated.type(line);
      await simulated.shows(answer);
    }
    // The verb trusts the simulator's certificate, which this process does not.
    const synced = await runProcess(['sync', 'Contoso 2'], environment);
    expect(synced.code, synced.stderr).toBe(0);
    const titles = await rows(
      store.database,
      "select profile ->> 'jobTitle' as title from directory.accounts where user_principal_name = 'ann@contoso2.example'",
    );
    expect(titles).toEqual([{ title: 'CEO' }]);
    expect((await runProcess(['sync', 'Contoso 3'], environment)).code).toBe(3);
    simulated.interrupt();
    expect((await simulated.ended).code).toBe(0);
  },
);

test('a line is for the tenant that it names, that of its principal name, or the first one', () => {
  const tenants = [1, 2].map((seed) => createTenant({ seed, users: 2, name: `Tenant ${seed}` }));
  const run = (line: string) => runLine(undefined, tenants, line);
  expect(run('hire 1')).toBe('Tenant 1: hired 1 user');
  expect(run('in "tenant 2" hire 1')).toBe('Tenant 2: hired 1 user');
  expect(run(`in ${tenants[1]?.tenantId} hire 2`)).toBe('Tenant 2: hired 2 users');
  expect(run('in all hire 1')).toBe('Tenant 1: hired 1 user\nTenant 2: hired 1 user');
  expect(run('hire ann@tenant2.example')).toBe('Tenant 2: hired ann@tenant2.example');
  expect(run('in Nowhere hire 1')).toBe("There is no tenant 'Nowhere'; there are Tenant 1, Tenant 2.");
  expect(run('help')).toMatch(/^ {2}title USER TITLE {2,}\w[\s\S]*in TENANT or in all/m);
  expect(tenants.map((one) => one.users().length)).toEqual([4, 7]);
});
