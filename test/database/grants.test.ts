// `grant`: the access of a granted role over its own connection; a tenant-bound role sees the tenant that it names
// and no other.
import { randomBytes, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { type Client, escapeIdentifier } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageFile } from '../../src/package-files.ts';
import { openDatabase, rows } from '../../src/store/database/pool.ts';
import { grantRole } from '../../src/store/schema/grants.ts';
import { migrate } from '../../src/store/schema/migrate.ts';
import { calls, everywhere, type Filled, filledTenant, refusals, tenantsSeen, unknown } from '../support/granted.ts';
import { accountOf, answerOf, type EditStore, openEditStore, tenantWith } from '../support/people-edit.ts';
import { freshDatabase } from '../support/postgres.ts';
import { ask } from '../support/stage.ts';

let store: EditStore;
let mine: Filled;
let theirs: Filled;

beforeAll(async () => {
  store = await openEditStore();
  mine = await filledTenant(store);
  theirs = await filledTenant(store);
});

afterAll(() => store.close());

describe('a granted role', () => {
  test('sees every view of every tenant, and calls the functions', async () => {
    const client = await (await store.application({ grant: 'open' })).connect();
    expect(await tenantsSeen(store, client)).toEqual(await everywhere(store, [mine.tenant, theirs.tenant]));
    const { tenant, account } = await filledTenantOnce();
    const { rows: edited } = await client.query(
      `select directory.edit_account($1, '{"jobTitle": "Boss"}', 'Eve', 'user') as p`,
      [account],
    );
    expect(edited).toEqual([{ p: { jobTitle: 'Boss' } }]);
    await client.query(`select directory.revert_account($1, null, 'Eve', 'user')`, [account]);
    const { rows: made } = await client.query(
      `select directory.create_account($1, '{"jobTitle": "New"}', 'Eve') as id`,
      [tenant],
    );
    expect((await client.query('select * from directory.explain_account($1)', [made[0].id])).rows).toHaveLength(1);
    await client.query(`select directory.remove_account($1, 'Eve', 'user')`, [made[0].id]);
    expect((await client.query('select directory.feed_position() as p')).rows[0].p).toMatch(
      /^[0-9a-f]{8}:\d+:\d+(_[\d.-]+)?$/,
    );
    await ask(store, 'delete from entra_sync.tenants where tenant_id = :tenant', { tenant });
    await ask(store, 'delete from entra_sync.changes where tenant_id = :tenant', { tenant });
  });

  const filledTenantOnce = async () => {
    const tenant = await tenantWith(store, { jobTitle: {} });
    return { tenant, account: await accountOf(store, tenant) };
  };

  test('reads and writes no table, and writes no view', async () => {
    const client = await (await store.application({ grant: 'open' })).connect();
    const tables = await ask<{ name: string; column: string }>(
      store,
      `select format('%I.%I', c.relnamespace::regnamespace, c.relname) as name, case c.relkind when 'v' then 'tenant_id' else (select quote_ident(attname) from pg_attribute where attrelid = c.oid and attnum > 0 order by attnum limit 1) end as column
         from pg_class c where c.relnamespace in ('entra_sync'::regnamespace, 'directory'::regnamespace) and c.relkind in ('r', 'v')`,
    );
    expect(tables.map((table) => table.name)).toContain('entra_sync.accounts');
    for (const { name, column } of tables) {
      const statements = [
        `insert into ${name} default values`,
        `update ${name} set ${column} = null`,
        `delete from ${name}`,
        `truncate ${name}`,
        ...(name.startsWith('entra_sync.') ? [`select ${column} from ${name}`] : []),
      ];
      for (const sql of statements) {
        const answer = await answerOf(client, sql);
        // For a view that is not updatable, Postgres reports that first.
        const expected = name.startsWith('directory.') ? /^(42501|55000|42809)$/ : /^42501$/;
        expect([sql, answer]).toMatchObject([sql, { code: expect.stringMatching(expected) }]);
      }
    }
  });

  test('blocks no writer with an advisory lock', async () => {
    const client = await (await store.application({ grant: 'open' })).connect();
    // The lock that the feed's order once used.
    await client.query('select pg_advisory_lock(7305186414532914531)');
    const writer = await store.connect();
    await writer.query("set lock_timeout = '2s'");
    expect(
      await answerOf(writer, `select directory.edit_account($1, '{"jobTitle": "Free"}', 'Ann', 'user')`, [
        mine.account,
      ]),
    ).not.toHaveProperty('code');
    await client.query('select pg_advisory_unlock_all()');
    expect(await answerOf(client, 'select from entra_sync.feed_order for update')).toMatchObject({ code: '42501' });
  });

  test('can call no private function except the one that the views need', async () => {
    const { role } = await store.application({ grant: 'tenant-bound' });
    const allowed = await ask<{ name: string }>(
      store,
      `select format('%s.%s', p.pronamespace::regnamespace, p.proname) as name from pg_proc p
        where p.pronamespace = 'entra_sync'::regnamespace and has_function_privilege(:role, p.oid, 'execute')`,
      { role },
    );
    expect(allowed).toEqual([{ name: 'entra_sync.narrowed_to' }]);
  });
});

describe('a tenant-bound role', () => {
  let client: Client;
  let bound: string;

  beforeAll(async () => {
    const application = await store.application({ grant: 'tenant-bound' });
    client = await application.connect();
    bound = application.role;
  });

  const nothing = () => everywhere(store, []);

  test('without the setting it sees nothing, and every account and tenant is unknown', async () => {
    expect(await tenantsSeen(store, client)).toEqual(await nothing());
    expect(await refusals(client, mine)).toEqual(unknown(mine));
  });

  test.each([
    ['empty', ''],
    ['no uuid', 'everybody'],
    ['an unbalanced brace', `{${randomUUID()}`],
    ['a tenant that is not there', randomUUID()],
    ['the nil uuid', '00000000-0000-0000-0000-000000000000'],
  ])('with a setting that is %s, too', async (_what, value) => {
    await client.query('begin');
    await client.query("select set_config('directory.tenant', $1, true)", [value]);
    expect(await tenantsSeen(store, client)).toEqual(await nothing());
    await client.query('rollback');
    for (const [sql, kind] of calls) {
      await client.query('begin');
      await client.query("select set_config('directory.tenant', $1, true)", [value]);
      expect([sql, await answerOf(client, sql, [mine[kind]])]).toMatchObject([sql, { code: 'ES004' }]);
      await client.query('rollback');
    }
  });

  test('with the setting it sees that tenant in every view, however the id is written, and nothing of another', async () => {
    for (const value of [mine.tenant, mine.tenant.toUpperCase(), `{${mine.tenant}}`, mine.tenant.replaceAll('-', '')]) {
      await client.query('begin');
      await client.query("select set_config('directory.tenant', $1, true)", [value]);
      expect(await tenantsSeen(store, client)).toEqual(await everywhere(store, [mine.tenant]));
      await client.query('rollback');
    }
    await client.query("select set_config('directory.tenant', $1, false)", [mine.tenant]);
    expect(await refusals(client, theirs)).toEqual(unknown(theirs));
    const never = { tenant: randomUUID(), account: randomUUID(), group: randomUUID(), assignment: randomUUID() };
    expect(await refusals(client, never)).toEqual(unknown(never));
    const { rows: found } = await client.query('select field from directory.explain_account($1)', [mine.account]);
    expect(found).toHaveLength(2);
    await client.query('reset directory.tenant');
  });

  test('set local ends with its transaction', async () => {
    await client.query('begin');
    await client.query(`set local directory.tenant = '${mine.tenant}'`);
    expect((await client.query('select from directory.accounts')).rowCount).toBe(2);
    await client.query('commit');
    // Postgres keeps an empty setting, which does not mean all tenants.
    expect((await client.query("select current_setting('directory.tenant', true) as s")).rows).toEqual([{ s: '' }]);
    expect((await client.query('select from directory.accounts')).rowCount).toBe(0);
    await client.query(`set local directory.tenant = '${mine.tenant}'`);
    expect((await client.query('select from directory.accounts')).rowCount).toBe(0);
  });

  test('roles that inherit from it, or become it with SET ROLE, are bound too', async () => {
    const name = (role: string) => escapeIdentifier(role).replaceAll('?', '\\?');
    const heir = await store.application();
    const guest = await store.application({ with: 'noinherit' });
    for (const { role } of [heir, guest]) await store.database.raw(`grant ${name(bound)} to ${name(role)}`);
    const inherited = await heir.connect();
    expect(await tenantsSeen(store, inherited)).toEqual(await nothing());
    const becoming = await guest.connect();
    expect(await answerOf(becoming, 'select from directory.accounts')).toMatchObject({ code: '42501' });
    await becoming.query(`set role ${escapeIdentifier(bound)}`);
    expect(await tenantsSeen(store, becoming)).toEqual(await nothing());
    // Through an intermediate role, and although another role lets it see everything.
    const open = await store.application({ grant: 'open' });
    const grandchild = await store.application();
    await store.database.raw(`grant ${name(heir.role)}, ${name(open.role)} to ${name(grandchild.role)}`);
    expect(await tenantsSeen(store, await grandchild.connect())).toEqual(await nothing());
  });

  test('a superuser is bound after SET ROLE to it, and not otherwise', async () => {
    const root = await store.connect();
    expect(await tenantsSeen(store, root)).toEqual(await everywhere(store, [mine.tenant, theirs.tenant]));
    await root.query(`set role ${escapeIdentifier(bound)}`);
    expect((await root.query('select from directory.accounts')).rowCount).toBe(0);
    await root.query('reset role');
    expect((await root.query('select from directory.accounts')).rowCount).toBe(4);
  });

  test('a dropped bound role binds no other role', async () => {
    await ask(
      store,
      "insert into entra_sync.grants (role_oid, role_name, tenant_bound, actor) values (4294967295, 'dropped long ago', true, 'test')",
    );
    const open = await (await store.application({ grant: 'open' })).connect();
    expect((await open.query('select from directory.accounts')).rowCount).toBe(4);
    expect((await client.query('select from directory.accounts')).rowCount).toBe(0);
  });

  test('stays bound under a new name, as does a role that gets the old one; migrating records the new name', async () => {
    const { role, connect } = await store.application({ grant: 'tenant-bound' });
    const own = await connect();
    const name = (word: string) => escapeIdentifier(word).replaceAll('?', '\\?');
    const renamed = `${role}_renamed`;
    await store.database.raw(`alter role ${name(role)} rename to ${name(renamed)}`);
    try {
      expect(await tenantsSeen(store, own)).toEqual(await nothing());
      const swapped = await store.application({ grant: 'open' });
      await store.database.raw(`alter role ${name(swapped.role)} rename to ${name(role)}`);
      await migrate(store.url);
      expect(await tenantsSeen(store, own)).toEqual(await nothing());
      const recorded = 'select role_name, tenant_bound from entra_sync.grants where role_name like :like order by 1';
      expect(await ask(store, recorded, { like: `${role}%` })).toEqual([
        { role_name: role, tenant_bound: false },
        { role_name: renamed, tenant_bound: true },
      ]);
      await store.database.raw(`alter role ${name(role)} rename to ${name(swapped.role)}`);
    } finally {
      await store.database.raw(`alter role ${name(renamed)} rename to ${name(role)}`);
    }
  });

  test('a recorded role restored with another oid is bound, and found by its name', async () => {
    const { role, connect } = await store.application({ grant: 'tenant-bound' });
    const own = await connect();
    await ask(store, 'update entra_sync.grants set role_oid = 4294967294 where role_name = :role', { role });
    expect(await tenantsSeen(store, own)).toEqual(await nothing());
    await migrate(store.url);
    expect(
      await ask(
        store,
        'select g.tenant_bound from entra_sync.grants g join pg_roles r on r.oid = g.role_oid where r.rolname = :role',
        { role },
      ),
    ).toEqual([{ tenant_bound: true }]);
    expect(await tenantsSeen(store, own)).toEqual(await nothing());
  });

  test('granted again it stays bound, unless that is explicitly lifted', async () => {
    const application = await store.application({ grant: 'tenant-bound' });
    const own = await application.connect();
    const counts: unknown[] = [];
    const grant = { role: application.role, actor: 'test' };
    await expect(grantRole(store.database, { ...grant, tenantBound: false })).rejects.toMatchObject({ code: 'usage' });
    for (const flags of [{ tenantBound: true }, { tenantBound: false, allTenants: true }, { tenantBound: true }]) {
      await grantRole(store.database, { ...grant, ...flags });
      counts.push((await own.query('select from directory.accounts')).rowCount);
    }
    expect(counts).toEqual([0, 4, 0]);
  });
});

test('the setting narrows an unbound role too', async () => {
  const client = await (await store.application({ grant: 'open' })).connect();
  await client.query('begin');
  await client.query(`set local directory.tenant = '${theirs.tenant}'`);
  expect(await tenantsSeen(store, client)).toEqual(await everywhere(store, [theirs.tenant]));
  expect(await answerOf(client, 'select * from directory.explain_account($1)', [mine.account])).toMatchObject({
    code: 'ES004',
  });
  await client.query('rollback');
});

test('no tenant can have the nil uuid, which stands for no tenant', async () => {
  await expect(
    ask(
      store,
      "insert into entra_sync.tenants (tenant_id, name) values ('00000000-0000-0000-0000-000000000000', 'Nil')",
    ),
  ).rejects.toMatchObject({ code: '23514' });
});

describe('refused', () => {
  test('a role that does not exist', async () => {
    await expect(
      grantRole(store.database, { role: 'no "such" role', tenantBound: false, actor: 'test' }),
    ).rejects.toMatchObject({
      code: 'unknown_name',
      message: 'the server has no role no "such" role',
      cure: expect.stringContaining('create role "no ""such"" role"'),
    });
  });

  test.each([
    ['a superuser', 'superuser', '', 'is a superuser'],
    ['whoever may become the owner', '', 'owner', 'owns the schema'],
    ['whoever reads all data', '', 'pg_read_all_data', 'can reach the private tables'],
    ['whoever writes all data', '', 'pg_write_all_data', 'can reach the private tables'],
  ])('%s', async (_who, with_, member, why) => {
    const { role } = await store.application({ with: with_ });
    if (member !== '') {
      const [owner] = await ask<{ name: string }>(
        store,
        "select nspowner::regrole::text as name from pg_namespace where nspname = 'directory'",
      );
      const name = escapeIdentifier(role).replaceAll('?', '\\?');
      await store.database.raw(`grant ${member === 'owner' ? owner?.name : member} to ${name}`);
    }
    await expect(grantRole(store.database, { role, tenantBound: true, actor: 'test' })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining(why),
    });
    expect(await ask(store, 'select from entra_sync.grants where role_name = :role', { role })).toEqual([]);
  });
});

describe('migrating', () => {
  test('grants again to the recorded roles that exist', async () => {
    const { role, connect } = await store.application({ grant: 'tenant-bound' });
    const name = escapeIdentifier(role).replaceAll('?', '\\?');
    await store.database.raw(`revoke all on all tables in schema directory from ${name}`);
    await store.database.raw(`revoke all on function entra_sync.narrowed_to() from ${name}`);
    const client = await connect();
    expect(await answerOf(client, 'select from directory.accounts')).toMatchObject({ code: '42501' });
    await migrate(store.url);
    expect((await client.query('select from directory.accounts')).rowCount).toBe(0);
    const [kept] = await ask(store, 'select tenant_bound, actor from entra_sync.grants where role_name = :role', {
      role,
    });
    expect(kept).toEqual({ tenant_bound: true, actor: 'test' });
  });

  test('keeps manual grants from before `grant` existed', async () => {
    const fresh = await freshDatabase({ migrated: false });
    const database = openDatabase(fresh.url, { maxConnections: 1 });
    const role = `reader_${randomBytes(6).toString('hex')}`;
    try {
      await applyMigrations(database, (file) => file < '0009');
      await database.raw(`create role ${role}; grant usage on schema directory to ${role}`);
      await database.raw(`grant select on all tables in schema directory to ${role}`);
      await applyMigrations(database, (file) => file.startsWith('0009'));
      await database.raw(`set role ${role}`);
      expect(await rows(database, 'select * from directory.accounts')).toEqual([]);
    } finally {
      await database.raw('reset role');
      await database.raw(`drop owned by ${role}; drop role ${role}`);
      await database.destroy();
      await fresh.drop();
    }
  });

  async function applyMigrations(database: ReturnType<typeof openDatabase>, which: (file: string) => boolean) {
    await database.raw('create schema if not exists entra_sync');
    const files = (await readdir(packageFile('migrations'))).filter((file) => file.endsWith('.sql')).sort();
    for (const file of files.filter(which))
      await database.raw((await readFile(packageFile('migrations', file), 'utf8')).replaceAll('?', '\\?'));
  }
});
