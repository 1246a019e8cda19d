// Rule 28: a role that is bound to one tenant sees no other in any view or function, whatever its session does, and stays
// bound until a person lifts it.
import { randomUUID } from 'node:crypto';
import { type Client, escapeIdentifier } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { judgeGrants } from '../../src/engine/doctor-grants.ts';
import { grantRole } from '../../src/store/schema/grants.ts';
import { migrate } from '../../src/store/schema/migrate.ts';
import { calls, everywhere, type Filled, filledTenant, refusals, tenantsSeen, unknown } from '../support/granted.ts';
import { answerOf, type EditStore, openEditStore } from '../support/people-edit.ts';
import { ask } from '../support/stage.ts';

let store: EditStore;
let mine: Filled;
let theirs: Filled;
let client: Client;
let bound: string;
let open: string;

const name = (role: string) => escapeIdentifier(role).replaceAll('?', '\\?');
const seen = (by: Client) => tenantsSeen(store, by);
const only = (...tenants: string[]) => everywhere(store, tenants);

beforeAll(async () => {
  store = await openEditStore();
  mine = await filledTenant(store);
  theirs = await filledTenant(store);
  const application = await store.application({ grant: { tenant: mine.tenant } });
  client = await application.connect();
  bound = application.role;
  open = (await store.application({ grant: 'open' })).role;
});

afterAll(() => store.close());

/** Runs `statements` in a session, then `look`, and undoes both. */
async function having<Answer>(by: Client, statements: readonly string[], look: () => Promise<Answer>): Promise<Answer> {
  try {
    for (const statement of statements) await by.query(statement);
    return await look();
  } finally {
    await by.query('rollback');
    await by.query('reset all; reset session authorization; reset role');
  }
}

describe('rule 28: a role of one tenant', () => {
  test('sees that tenant in every view and in the feed, and every other account and tenant is unknown to it', async () => {
    expect(await seen(client)).toEqual(await only(mine.tenant));
    expect(await refusals(client, theirs)).toEqual(unknown(theirs));
    const { rows: found } = await client.query('select field from directory.explain_account($1)', [mine.account]);
    expect(found.length).toBeGreaterThan(0);
    await client.query('begin');
    expect(
      await answerOf(client, `select directory.edit_account($1, '{"jobTitle": "Boss"}', 'Eve', 'user') as p`, [
        mine.account,
      ]),
    ).toMatchObject({ rows: [{ p: { jobTitle: 'Boss' } }] });
    await client.query('rollback');
  });

  test.each<[string, () => string[]]>([
    ['reset all', () => ['reset all']],
    ['discard all', () => ['discard all']],
    ['its own tenant', () => [`set directory.tenant = '${mine.tenant}'`]],
    ['an empty setting', () => ["set directory.tenant = ''"]],
    [
      'its own tenant for a transaction',
      () => ['begin', `set local directory.tenant = '${mine.tenant.toUpperCase()}'`],
    ],
    ['set role none', () => ['set role none']],
    ['set role to itself', () => [`set role ${escapeIdentifier(bound)}`]],
  ])('sees it after %s', async (_how, statements) => {
    expect(await having(client, statements(), () => seen(client))).toEqual(await only(mine.tenant));
  });

  test.each<[string, () => string]>([
    ['another tenant', () => theirs.tenant],
    ['another tenant in braces', () => `{${theirs.tenant}}`],
    ['a tenant that is not there', () => randomUUID()],
    ['no uuid', () => 'everybody'],
    ['the nil uuid', () => '00000000-0000-0000-0000-000000000000'],
  ])('sees nothing, and calls nothing, after it set directory.tenant to %s', async (_what, value) => {
    const set = [`set directory.tenant = '${value()}'`];
    expect(await having(client, set, () => seen(client))).toEqual(await only());
    for (const tenant of [mine, theirs])
      expect(await having(client, set, () => refusals(client, tenant))).toEqual(unknown(tenant));
  });

  test('cannot become another role by itself', async () => {
    for (const statement of [`set role ${escapeIdentifier(open)}`, 'set session authorization postgres'])
      expect(await answerOf(client, statement)).toMatchObject({ code: expect.stringMatching(/^(42501|22023)$/) });
  });

  test('stays in its tenant as another role that it may become, and within a function of that role', async () => {
    const { role, connect } = await store.application({ grant: { tenant: mine.tenant } });
    await store.database.raw(`grant ${name(open)} to ${name(role)}`);
    const own = await connect();
    expect(await seen(own)).toEqual(await only(mine.tenant));
    const become = [`set role ${escapeIdentifier(open)}`];
    expect(await having(own, become, () => seen(own))).toEqual(await only(mine.tenant));
    expect(await having(own, become, () => refusals(own, theirs))).toEqual(unknown(theirs));
    const both = [...become, `set directory.tenant = '${theirs.tenant}'`];
    expect(await having(own, both, () => seen(own))).toEqual(await only());
    // A function runs with the rights of its owner, who is not bound.
    await store.database.raw(`grant create on schema public to ${name(open)}`);
    await store.database.raw(`set role ${name(open)};
      create function public.peek() returns setof uuid language sql security definer as $$ select tenant_id from directory.tenants $$;
      reset role`);
    try {
      expect((await own.query('select public.peek() as t')).rows).toEqual([{ t: mine.tenant }]);
    } finally {
      await store.database.raw('drop function public.peek()');
      await store.database.raw(`revoke create on schema public from ${name(open)}`);
    }
  });

  test('binds the roles that inherit from it, and the sessions that become it', async () => {
    const heir = await store.application();
    const guest = await store.application({ grant: 'open', with: 'noinherit' });
    for (const { role } of [heir, guest]) await store.database.raw(`grant ${name(bound)} to ${name(role)}`);
    const inherited = await heir.connect();
    expect(await seen(inherited)).toEqual(await only(mine.tenant));
    expect(await refusals(inherited, theirs)).toEqual(unknown(theirs));
    const become = [`set role ${escapeIdentifier(bound)}`];
    const becoming = await guest.connect();
    const root = await store.connect();
    for (const one of [becoming, root]) {
      expect(await having(one, become, () => seen(one))).toEqual(await only(mine.tenant));
      expect(await seen(one)).toEqual(await only(...[mine.tenant, theirs.tenant].sort()));
    }
    const authorized = [`set session authorization ${escapeIdentifier(bound)}`];
    expect(await having(root, authorized, () => seen(root))).toEqual(await only(mine.tenant));
  });

  test('a role with two tenants sees neither, and doctor says so', async () => {
    const other = await store.application({ grant: { tenant: theirs.tenant } });
    const torn = await store.application({ grant: { tenant: mine.tenant } });
    await store.database.raw(`grant ${name(other.role)} to ${name(torn.role)}`);
    expect(await seen(await torn.connect())).toEqual(await only());
    const set = [`set directory.tenant = '${mine.tenant}'`];
    const own = await torn.connect();
    expect(await having(own, set, () => seen(own))).toEqual(await only());
    expect((await judgeGrants(store.database)).says).toContain(`role ${torn.role} inherits a role of another tenant`);
    const grant = { role: torn.role, tenantBound: false, onlyTenant: mine.tenant, actor: 'test' };
    await expect(grantRole(store.database, grant)).rejects.toMatchObject({
      code: 'usage',
      message: `role ${torn.role} inherits ${other.role}, which is bound to another tenant`,
    });
    await store.database.raw(`revoke ${name(other.role)} from ${name(torn.role)}`);
    expect(await seen(own)).toEqual(await only(mine.tenant));
  });

  test('stays bound under a new name, and as a new role of the same name', async () => {
    const { role, connect } = await store.application({ grant: { tenant: mine.tenant } });
    const own = await connect();
    await store.database.raw(`alter role ${name(role)} rename to ${name(`${role}_renamed`)}`);
    expect(await seen(own)).toEqual(await only(mine.tenant));
    await migrate(store.url);
    await store.database.raw(`alter role ${name(`${role}_renamed`)} rename to ${name(role)}`);
    expect(await seen(own)).toEqual(await only(mine.tenant));
    await ask(
      store,
      'update entra_sync.grants set role_oid = 4294967293, role_name = :role where role_oid = (select oid from pg_roles where rolname = :role)',
      { role },
    );
    expect(await seen(own)).toEqual(await only(mine.tenant));
    await migrate(store.url);
    expect(await seen(own)).toEqual(await only(mine.tenant));
  });

  test('sees nothing once its tenant is erased, and doctor names the tenant', async () => {
    const short = await filledTenant(store);
    const { role, connect } = await store.application({ grant: { tenant: short.tenant } });
    await ask(store, 'delete from entra_sync.changes where tenant_id = :tenant', short);
    await ask(store, 'delete from entra_sync.tenants where tenant_id = :tenant', short);
    expect(await seen(await connect())).toEqual(await only());
    expect(await judgeGrants(store.database)).toMatchObject({
      says: expect.stringContaining(`role ${role} is bound to tenant ${short.tenant}, which is not registered`),
      cure: expect.stringContaining('--all-tenants'),
    });
    await ask(store, 'delete from entra_sync.grants where role_name = :role', { role });
  });
});

describe('rule 28: granted again', () => {
  const granted = async () => {
    const application = await store.application({ grant: { tenant: mine.tenant } });
    const grant = { role: application.role, tenantBound: false, actor: 'test' };
    return { role: application.role, own: await application.connect(), grant };
  };

  test('it stays bound to its tenant, unless that is lifted', async () => {
    const { role, own, grant } = await granted();
    const [{ name: called } = { name: '' }] = await ask<{ name: string }>(
      store,
      'select name from entra_sync.tenants where tenant_id = :tenant',
      mine,
    );
    for (const change of [{}, { tenantBound: true }, { onlyTenant: theirs.tenant }]) {
      await expect(grantRole(store.database, { ...grant, ...change })).rejects.toMatchObject({
        code: 'usage',
        message: `role ${role} is bound to the tenant ${called} for good`,
        cure: expect.stringContaining('--all-tenants'),
      });
    }
    expect(await seen(own)).toEqual(await only(mine.tenant));
    await grantRole(store.database, { ...grant, onlyTenant: mine.tenant });
    expect(await seen(own)).toEqual(await only(mine.tenant));
    await grantRole(store.database, { ...grant, allTenants: true });
    expect(await seen(own)).toEqual(await only(...[mine.tenant, theirs.tenant].sort()));
    await grantRole(store.database, { ...grant, tenantBound: true });
    expect(await seen(own)).toEqual(await only());
    await grantRole(store.database, { ...grant, onlyTenant: theirs.tenant });
    expect(await seen(own)).toEqual(await only(theirs.tenant));
  });

  test('after its rights were revoked it comes back to its tenant alone', async () => {
    const { role, own, grant } = await granted();
    await store.database.raw(`drop owned by ${name(role)}`);
    expect(await answerOf(own, 'select from directory.accounts')).toMatchObject({ code: '42501' });
    await expect(grantRole(store.database, grant)).rejects.toMatchObject({ code: 'usage' });
    await migrate(store.url);
    expect(await seen(own)).toEqual(await only(mine.tenant));
  });

  test.each([
    ['a role that creates roles', 'createrole', '', 'can create roles'],
    ['a role that replicates', 'replication', '', 'can replicate'],
    ['a role that may become one that reads all data', 'noinherit', 'pg_read_all_data', 'may become pg_read_all_data'],
    [
      'a role that may run programs on the server',
      '',
      'pg_execute_server_program',
      'may become pg_execute_server_program',
    ],
  ])('%s is not bound to a tenant', async (_what, options, member, why) => {
    const { role } = await store.application({ with: options });
    if (member !== '') await store.database.raw(`grant ${member} to ${name(role)}`);
    const grant = { role, tenantBound: false, onlyTenant: mine.tenant, actor: 'test' };
    await expect(grantRole(store.database, grant)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining(why),
    });
    expect(await ask(store, 'select from entra_sync.grants where role_name = :role', { role })).toEqual([]);
  });
});

test('rule 28: every function of the contract that takes an id of a tenant is tried', async () => {
  const found = await ask<{ name: string }>(
    store,
    `select p.proname as name from pg_proc p
      where p.pronamespace = 'directory'::regnamespace and 'uuid'::regtype::oid = any (p.proargtypes::oid[]) order by 1`,
  );
  expect(found.length).toBeGreaterThan(25);
  for (const one of found) expect(calls.map(([sql]) => sql).join(), one.name).toContain(`directory.${one.name}(`);
});

test('doctor says what the granted roles see, and which of them no grant limits', async () => {
  expect((await judgeGrants(store.database)).cure).toBeUndefined();
  const { role } = await store.application({ grant: { tenant: mine.tenant } });
  await store.database.raw(`alter role ${name(role)} createrole`);
  expect(await judgeGrants(store.database)).toMatchObject({
    says: expect.stringMatching(/can create roles.*: no grant limits it; .*roles are bound to one tenant each/),
    cure: 'give the application a role of its own',
  });
});
