// PgBouncer between everything and the database, in both of its usual modes: migrations, a worker's cycle, verbs, and an application
// that edits and reads the feed. With transaction pooling, no transaction leaves a setting to the next client's.
import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { loadDefaults } from '../../../src/settings/settings.ts';
import { createTenant } from '../../../src/simulator/index.ts';
import { migrate } from '../../../src/store/schema/migrate.ts';
import { addTenant } from '../../../src/store/tenants/tenants.ts';
import { runCli, startCli } from '../../support/cli.ts';
import { until } from '../../support/fleet.ts';
import { startPgBouncer } from '../../support/pgbouncer.ts';
import { freshDatabase } from '../../support/postgres.ts';
import { programOf } from '../../support/programs.ts';
import { setSettings } from '../../support/settings.ts';
import { expectSound } from '../../support/soundness.ts';
import { expectTruth, openWorld } from '../../support/system.ts';

test.for(['transaction', 'session'] as const)(
  'through PgBouncer with %s pooling: migrations, a worker, verbs, and an application of a tenant-bound role',
  async (mode, { skip, onTestFinished }) => {
    const program = programOf('pgbouncer', skip);
    const fresh = await freshDatabase({ migrated: false });
    onTestFinished(() => fresh.drop());
    const application = { user: `app_${randomBytes(6).toString('hex')}`, password: randomBytes(12).toString('hex') };
    const url = await startPgBouncer(program, { mode, url: fresh.url, logins: [application], onEnd: onTestFinished });
    await migrate(url);
    const other = createTenant({ seed: 2, users: 3 });
    const world = await openWorld({ users: 6, groups: 2, url, others: [other], onEnd: onTestFinished });
    const { tenant, database } = world;
    await addTenant(database, { tenantId: other.tenantId, name: other.name, ref: null }, loadDefaults());
    await setSettings(database, {
      sourceOfTruth: 'hybrid',
      fields: { mobilePhone: { from: 'mobilePhone', owner: 'user' } },
    });
    await database.raw(`create role ${application.user} login password '${application.password}'`);
    onTestFinished(async () => {
      await database.raw(`drop owned by ${application.user}; drop role ${application.user}`);
    });

    const environment = { ...world.simulator.environment(), DATABASE_URL: url, PORT: '0' };
    const worker = startCli(['worker'], environment);
    onTestFinished(() => void worker.child.kill('SIGKILL'));
    await until('both tenants are synced', async () => {
      const { rows } = await database.raw('select from directory.tenants where last_success_at is not null');
      return rows.length === 2;
    });
    for (const one of [tenant, other]) await expectTruth(one, database);
    expect(await runCli(['grant', application.user, '--tenant-bound'], environment)).toMatchObject({ code: 0 });
    tenant.createUser();
    expect(await runCli(['resync', tenant.tenantId], environment)).toMatchObject({ code: 0 });
    await expectTruth(tenant, database);

    // Its clients share one connection to the server.
    const connect = async () => {
      const client = new Client({ connectionString: withLogin(url, application) });
      await client.connect();
      onTestFinished(() => client.end());
      return client;
    };
    const inTenant = async (client: Client, tenantId: string, sql: string, ...values: unknown[]) => {
      await client.query('begin');
      await client.query(`set local directory.tenant = '${tenantId}'`);
      const { rows } = await client.query(sql, values).finally(() => client.query('commit'));
      return rows;
    };
    const first = await connect();
    const [{ id }] = await inTenant(first, tenant.tenantId, 'select account_id as id from directory.accounts');
    const [{ position }] = await inTenant(first, tenant.tenantId, 'select directory.feed_position() as position');
    const edit = "select directory.edit_account($1, '{\"mobilePhone\": \"+1 555\"}', 'ann', 'user') as profile";
    const [{ profile }] = await inTenant(first, tenant.tenantId, edit, id);
    expect(profile).toMatchObject({ mobilePhone: '+1 555' });
    const read = 'select kind, account_id from directory.read_changes($1)';
    expect(await inTenant(first, tenant.tenantId, read, position)).toEqual([
      { kind: 'account.edited', account_id: id },
    ]);
    if (mode === 'session') await first.end();
    const second = await connect();
    expect((await second.query('select * from directory.accounts')).rows, 'no tenant was left by the first').toEqual(
      [],
    );
    await expect(inTenant(second, other.tenantId, edit, id)).rejects.toMatchObject({ code: 'ES004' });

    const left = `select name, setting from pg_settings
      where source = 'session' and (name ~ '_timeout$|^enable_|^directory\\.' or name in ('jit', 'search_path', 'synchronous_commit'))`;
    for (const { rows } of await Promise.all(Array.from({ length: 8 }, () => database.raw(left))))
      expect(rows, 'no setting is left on a connection').toEqual([]);

    worker.child.kill('SIGTERM');
    expect(await worker.ended).toMatchObject({ code: 0 });
    for (const one of [tenant, other]) await expectSound(database, one.tenantId);
    expect(await runCli(['status'], environment)).toMatchObject({ code: 0 });
  },
);

function withLogin(url: string, { user, password }: { user: string; password: string }): string {
  const login = new URL(url);
  login.username = user;
  login.password = password;
  return login.href;
}
