// The public contract (docs/contract.md) in the database: every view, column, type and function of schema directory, and
// the access of a role without rights of its own.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, leasedTenant, openStore, type Store, sync, tombstone, user } from '../support/stage.ts';

let store: Store;

beforeAll(async () => {
  store = await openStore();
});

afterAll(async () => {
  await store.close();
});

const timestamptz = 'timestamp with time zone';

const views: Record<string, Record<string, string>> = {
  tenants: {
    tenant_id: 'uuid',
    name: 'text',
    external_ref: 'text',
    status: 'text',
    paused: 'boolean',
    provisional: 'boolean',
    source_of_truth: 'text',
    held_removals: 'integer',
    set_aside: 'integer',
    last_success_at: timestamptz,
    next_cycle_at: timestamptz,
    last_error_code: 'text',
    last_error_message: 'text',
    notice: 'text',
    time_zone: 'text',
    help: 'jsonb',
    portal: 'jsonb',
    preview_images: 'jsonb',
  },
  accounts: {
    tenant_id: 'uuid',
    account_id: 'uuid',
    entra_object_id: 'uuid',
    state: 'text',
    enabled: 'boolean',
    user_principal_name: 'text',
    mail: 'text',
    display_name: 'text',
    profile: 'jsonb',
    edited_fields: 'text[]',
    created_at: timestamptz,
    updated_at: timestamptz,
  },
  fields: {
    ...{ tenant_id: 'uuid', field: 'text', owner: 'text', editable_by: 'text[]', mapped_from: 'text' },
    ...{ max: 'integer', pattern: 'text', label: 'jsonb', help: 'jsonb', kind: 'text', sort_order: 'integer' },
    ...{ private: 'boolean', shown: 'boolean' },
  },
  removed_accounts: {
    tenant_id: 'uuid',
    account_id: 'uuid',
    entra_object_id: 'uuid',
    reason: 'text',
    removed_at: timestamptz,
    purge_at: timestamptz,
    display_name: 'text',
  },
  set_aside: {
    tenant_id: 'uuid',
    stream: 'text',
    // Text: an object may be set aside because its id is not a GUID.
    entra_object_id: 'text',
    reason: 'text',
    first_seen_at: timestamptz,
    last_seen_at: timestamptz,
  },
  held_removals: {
    tenant_id: 'uuid',
    list_id: 'bigint',
    account_id: 'uuid',
    group_id: 'uuid',
    display_name: 'text',
    reason: 'text',
    held_since: timestamptz,
    member_group_id: 'uuid',
  },
  groups: {
    tenant_id: 'uuid',
    group_id: 'uuid',
    entra_object_id: 'uuid',
    state: 'text',
    display_name: 'text',
    description: 'text',
    mail: 'text',
    kind: 'text',
    is_dynamic: 'boolean',
    attributes: 'jsonb',
    created_at: timestamptz,
    updated_at: timestamptz,
  },
  removed_groups: {
    tenant_id: 'uuid',
    group_id: 'uuid',
    entra_object_id: 'uuid',
    reason: 'text',
    removed_at: timestamptz,
    purge_at: timestamptz,
    display_name: 'text',
  },
  memberships: {
    tenant_id: 'uuid',
    group_id: 'uuid',
    member_kind: 'text',
    account_id: 'uuid',
    member_group_id: 'uuid',
  },
  effective_memberships: { tenant_id: 'uuid', group_id: 'uuid', account_id: 'uuid', is_direct: 'boolean' },
  cycles: {
    cycle_id: 'bigint',
    tenant_id: 'uuid',
    kind: 'text',
    started_at: timestamptz,
    finished_at: timestamptz,
    outcome: 'text',
    streams: 'jsonb',
    settings_version: 'integer',
    error_code: 'text',
    error_message: 'text',
  },
  slots: { tenant_id: 'uuid', slot: 'text', winners: 'integer', title: 'text' },
  items: {
    tenant_id: 'uuid',
    slot: 'text',
    item: 'text',
    title: 'text',
    html: 'text',
    updated_at: timestamptz,
  },
  assignments: {
    assignment_id: 'uuid',
    tenant_id: 'uuid',
    slot: 'text',
    item: 'text',
    target: 'text',
    group_id: 'uuid',
    account_id: 'uuid',
    field: 'text',
    field_values: 'text[]',
    except: 'boolean',
    priority: 'integer',
    starts_at: timestamptz,
    ends_at: timestamptz,
    state: 'text',
    group_name: 'text',
    created_by: 'text',
    updated_at: timestamptz,
  },
  photos: {
    ...{ tenant_id: 'uuid', account_id: 'uuid', content_type: 'text', sha256: 'text', content: 'bytea' },
    ...{ size: 'integer', width: 'integer', height: 'integer', updated_at: timestamptz },
  },
  managers: {
    tenant_id: 'uuid',
    account_id: 'uuid',
    manager_account_id: 'uuid',
    via: 'text',
  },
  assigned: {
    tenant_id: 'uuid',
    account_id: 'uuid',
    slot: 'text',
    rank: 'integer',
    item: 'text',
    assignment_id: 'uuid',
    via_group_id: 'uuid',
  },
  audit: {
    audit_id: 'bigint',
    at: timestamptz,
    actor: 'text',
    role: 'text',
    via: 'text',
    act: 'text',
    tenant_id: 'uuid',
    account_id: 'uuid',
    detail: 'jsonb',
    reference: 'text',
  },
  changes: {
    change_id: 'bigint',
    tenant_id: 'uuid',
    at: timestamptz,
    cycle_id: 'bigint',
    actor: 'text',
    kind: 'text',
    account_id: 'uuid',
    group_id: 'uuid',
    member_group_id: 'uuid',
    before: 'jsonb',
    after: 'jsonb',
  },
};

const explained =
  'field text, value jsonb, origin text, owner text, editable_by text[], mapped_from text, directory_value jsonb, user_value jsonb, since timestamp with time zone, changed_by text';

// The rows that functions return.
const types = [
  ...[
    'account_then',
    'assignment_candidate',
    'assignment_preview',
    'change_row',
    'feed_row',
    'found_row',
    'history_row',
    'managed_row',
  ],
  'membership_then',
].map((name) => ({
  name,
  kind: 'c',
}));

const functions = {
  'account_history/1': { takes: 'account_id uuid', gives: 'SETOF directory.history_row' },
  'account_history/2': { takes: 'account_id uuid, viewer_account_id uuid', gives: 'SETOF directory.history_row' },
  accounts_after: {
    takes: 'tenant_id uuid, after uuid DEFAULT NULL::uuid, max integer DEFAULT 50',
    gives: 'SETOF directory.accounts',
  },
  accounts_of_group: {
    takes: 'group_id uuid, after uuid DEFAULT NULL::uuid, max integer DEFAULT 200',
    gives: 'SETOF directory.accounts',
  },
  'accounts_at/2': { takes: 'tenant_id uuid, at timestamp with time zone', gives: 'SETOF directory.account_then' },
  'accounts_at/3': {
    takes: 'tenant_id uuid, at timestamp with time zone, viewer_account_id uuid',
    gives: 'SETOF directory.account_then',
  },
  create_account: { takes: 'tenant_id uuid, profile jsonb, actor text', gives: 'uuid' },
  edit_account: { takes: 'account_id uuid, patch jsonb, actor text, actor_role text', gives: 'jsonb' },
  explain_account: { takes: 'account_id uuid', gives: `TABLE(${explained})` },
  assign: {
    takes: 'tenant_id uuid, slot text, item text, target jsonb, options jsonb, actor text',
    gives: 'SETOF uuid',
  },
  change_assignment: { takes: 'assignment_id uuid, options jsonb, actor text', gives: 'void' },
  drop_item: { takes: 'tenant_id uuid, slot text, item text, actor text', gives: 'void' },
  drop_slot: { takes: 'tenant_id uuid, slot text, actor text', gives: 'void' },
  explain_assignment: { takes: 'account_id uuid, slot text', gives: 'SETOF directory.assignment_candidate' },
  'managed/5': {
    takes:
      'manager_account_id uuid, words text DEFAULT NULL::text, after_name text DEFAULT NULL::text, after_account_id uuid DEFAULT NULL::uuid, max integer DEFAULT 50',
    gives: 'SETOF directory.managed_row',
  },
  'managed/7': {
    takes:
      'manager_account_id uuid, words text, after_name text, after_account_id uuid, max integer, order_by text, descending boolean',
    gives: 'SETOF directory.managed_row',
  },
  manages: { takes: 'manager_account_id uuid, account_id uuid', gives: 'text' },
  move_assignments: { takes: 'from_group_id uuid, to_group_id uuid, actor text', gives: 'integer' },
  preview_assignment: {
    takes: 'tenant_id uuid, slot text, item text, target jsonb, options jsonb',
    gives: 'SETOF directory.assignment_preview',
  },
  put_item: { takes: 'tenant_id uuid, slot text, item text, title text, html text, actor text', gives: 'void' },
  put_slot: { takes: 'tenant_id uuid, slot text, winners integer, title text, actor text', gives: 'void' },
  unassign: { takes: 'assignment_id uuid, actor text', gives: 'void' },
  feed_position: { takes: '', gives: 'text' },
  find: {
    takes: 'tenant_id uuid, words text, max integer DEFAULT 20, with_removed boolean DEFAULT false',
    gives: 'SETOF directory.found_row',
  },
  group_history: { takes: 'group_id uuid', gives: 'SETOF directory.history_row' },
  latest_changes: { takes: 'tenant_id uuid, max integer DEFAULT 50', gives: 'SETOF directory.change_row' },
  memberships_at: { takes: 'tenant_id uuid, at timestamp with time zone', gives: 'SETOF directory.membership_then' },
  read_changes: { takes: 'after text, max integer DEFAULT 1000', gives: 'SETOF directory.feed_row' },
  remove_account: { takes: 'account_id uuid, actor text, actor_role text', gives: 'void' },
  request_cycle: { takes: 'tenant_id uuid, account_id uuid, actor text', gives: 'void' },
  restore_account: { takes: 'account_id uuid, actor text, actor_role text', gives: 'jsonb' },
  revert_account: { takes: 'account_id uuid, fields text[], actor text, actor_role text', gives: 'jsonb' },
  edit_as: {
    takes:
      'actor_account_id uuid, account_id uuid, patch jsonb, expected_updated_at timestamp with time zone DEFAULT NULL::timestamp with time zone',
    gives: 'jsonb',
  },
  undo_edit: {
    takes:
      'account_id uuid, change_id bigint, actor_account_id uuid, expected_updated_at timestamp with time zone DEFAULT NULL::timestamp with time zone',
    gives: 'jsonb',
  },
  revert_as: {
    takes:
      'actor_account_id uuid, account_id uuid, fields text[], expected_updated_at timestamp with time zone DEFAULT NULL::timestamp with time zone',
    gives: 'jsonb',
  },
  undo_account: {
    takes:
      'account_id uuid, change_id bigint, actor text, actor_role text, expected_updated_at timestamp with time zone DEFAULT NULL::timestamp with time zone',
    gives: 'jsonb',
  },
};

const columnsOf = (relation: string) =>
  ask<{ name: string; type: string }>(
    store,
    `select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
      where attrelid = :relation::regclass and attnum > 0 and not attisdropped order by attnum`,
    { relation },
  );

describe('the shape', () => {
  test.each(Object.entries(views))('view %s has these columns, in order, with their types', async (view, columns) => {
    expect(await columnsOf(`directory.${view}`)).toEqual(
      Object.entries(columns).map(([name, type]) => ({ name, type })),
    );
  });

  test('there are these views and no others: add new ones to this test and docs/contract.md', async () => {
    const found = await ask<{ name: string; kind: string }>(
      store,
      `select relname as name, relkind as kind from pg_class
        where relnamespace = 'directory'::regnamespace and relkind not in ('i') order by relname`,
    );
    expect(found).toEqual(
      [...Object.keys(views).map((name) => ({ name, kind: 'v' })), ...types].toSorted((a, b) =>
        a.name < b.name ? -1 : 1,
      ),
    );
  });

  test('there are these functions and no others', async () => {
    const found = await ask<{ name: string; takes: string; gives: string }>(
      store,
      `select proname || case when count(*) over (partition by proname) > 1 then '/' || pronargs else '' end as name,
              pg_get_function_arguments(oid) as takes, pg_get_function_result(oid) as gives
         from pg_proc where pronamespace = 'directory'::regnamespace order by proname`,
    );
    expect(Object.fromEntries(found.map(({ name, takes, gives }) => [name, { takes, gives }]))).toEqual(functions);
  });

  test('a row of the feed has a position, then the columns of changes', async () => {
    expect(await columnsOf('directory.feed_row')).toEqual([
      { name: 'position', type: 'text' },
      ...Object.entries(views.changes ?? {}).map(([name, type]) => ({ name, type })),
    ]);
  });
});

describe('the words', () => {
  const wordsOf = async (table: string, column: string) => {
    const [found] = await ask<{ rule: string }>(
      store,
      `select pg_get_constraintdef(c.oid) as rule from pg_constraint c
         join pg_attribute a on a.attrelid = c.conrelid and a.attname = :column and c.conkey = array[a.attnum]
        where c.conrelid = :table::regclass and c.contype = 'c'`,
      { table, column },
    );
    return [...(found?.rule ?? '').matchAll(/'([a-z_]+)'::text/g)].map((match) => match[1]);
  };

  test.each([
    ['entra_sync.tenants', 'status', ['pending', 'active', 'quarantined', 'disconnected']],
    ['entra_sync.accounts', 'state', ['managed', 'manual']],
    [
      'entra_sync.accounts',
      'removed_reason',
      ['deleted_restorable', 'deleted', 'out_of_scope', 'disabled', 'not_seen', 'by_hand'],
    ],
    ['entra_sync.cycles', 'kind', ['first_load', 'initial', 'incremental', 'resync', 'on_demand', 'settings']],
    ['entra_sync.cycles', 'outcome', ['running', 'committed', 'partial', 'held', 'failed', 'cancelled']],
  ])('%s.%s', async (table, column, words) => {
    expect(await wordsOf(table, column)).toEqual(words);
  });
});

describe('the access of a foreign role', () => {
  test('every security definer function pins its search_path, and PUBLIC may call no function', async () => {
    const found = await ask<{ name: string; definer: boolean; config: string[] | null; open: boolean }>(
      store,
      `select p.oid::regprocedure::text as name, p.prosecdef as definer, p.proconfig as config,
              exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) where grantee = 0) as open
         from pg_proc p where p.pronamespace in ('directory'::regnamespace, 'entra_sync'::regnamespace)`,
    );
    expect(found.length).toBeGreaterThanOrEqual(5);
    for (const { name, definer, config, open } of found) {
      expect({ name, open }).toEqual({ name, open: false });
      if (definer)
        expect({ name, config }).toEqual({ name, config: expect.arrayContaining(['search_path=pg_catalog, pg_temp']) });
    }
  });

  test('PUBLIC has no right on a table, view or schema', async () => {
    const open = await ask(
      store,
      `select c.oid::regclass::text as name from pg_class c
        where c.relnamespace in ('directory'::regnamespace, 'entra_sync'::regnamespace)
          and exists (select from aclexplode(c.relacl) where grantee = 0)
       union all
       select nspname from pg_namespace where nspname in ('directory', 'entra_sync')
          and exists (select from aclexplode(nspacl) where grantee = 0)`,
    );
    expect(open).toEqual([]);
  });

  test('SELECT on the views and EXECUTE on the functions and narrowed_to suffice to read, and allow only reading', async () => {
    const lease = await leasedTenant(store);
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    await sync(store, lease, 'incremental', [[tombstone(2)]]);
    await lease.release();
    const client = await store.connect();
    const role = `reader_${lease.tenantId.replaceAll('-', '')}`;
    await client.query('begin');
    await client.query(`create role ${role}`);
    await client.query(`grant usage on schema directory to ${role}`);
    const answer = async (sql: string) => {
      await client.query('savepoint before');
      try {
        await client.query(`set local role ${role}`);
        const { rowCount } = await client.query(sql);
        await client.query('reset role');
        return rowCount;
      } catch (error) {
        await client.query('rollback to before');
        return (error as { code?: string }).code;
      }
    };
    expect(await answer('select * from directory.accounts')).toBe('42501');
    expect(await answer('select directory.feed_position()')).toBe('42501');
    await client.query(`grant select on all tables in schema directory to ${role}`);
    await client.query(`grant execute on all functions in schema directory to ${role}`);
    await client.query(`grant execute on function entra_sync.narrowed_to() to ${role}`);
    for (const [sql, count] of [
      ['select * from directory.tenants', 1],
      ['select * from directory.accounts', 1],
      ['select * from directory.removed_accounts', 1],
      ['select * from directory.changes', 3],
      ['select * from directory.read_changes(null)', 3],
      ['select directory.feed_position()', 1],
      ['select * from entra_sync.accounts', '42501'],
      // No view of two halves can be written, whatever was granted.
      ['update directory.tenants set name = name', '55000'],
      ['delete from directory.set_aside', '55000'],
      ['delete from directory.cycles', '55000'],
    ] as const) {
      expect([sql, await answer(sql)]).toEqual([sql, count]);
    }
    await client.query('rollback');
  });

  test('a function of the caller does not replace one of ours', async () => {
    const client = await store.connect();
    await client.query('begin');
    await client.query(
      `create function pg_temp.string_to_array(text, text) returns text[] language sql as $$ select array['taken in'] $$`,
    );
    await client.query('create temp table feed as select 1 as epoch');
    await client.query('set local search_path = pg_temp, pg_catalog');
    const { rows } = await client.query('select directory.feed_position() as position');
    expect(rows[0].position).toMatch(/^[0-9a-f]{8}:[0-9]+:[0-9]+(_[0-9.-]+)?$/);
    await client.query('select * from directory.read_changes($1)', [rows[0].position]);
    await client.query('rollback');
  });
});

test('accounts shows live accounts, also suspended ones, with the profile’s display name and the edited fields', async () => {
  const own = await openStore();
  const lease = await leasedTenant(own);
  await sync(own, lease, 'full', [
    [user(1), user(2, { accountEnabled: false }), user(3), user(4, { displayName: null })],
  ]);
  await sync(own, lease, 'incremental', [[tombstone(3)]]);
  await ask(
    own,
    `update entra_sync.accounts set overrides = '{"displayName": "By hand"}' where user_principal_name = 'user1@example.com'`,
  );
  expect(
    await ask(
      own,
      'select display_name, edited_fields, enabled, state from directory.accounts order by entra_object_id',
    ),
  ).toEqual([
    { display_name: 'By hand', edited_fields: ['displayName'], enabled: true, state: 'managed' },
    { display_name: 'User 2', edited_fields: [], enabled: false, state: 'managed' },
    { display_name: null, edited_fields: [], enabled: true, state: 'managed' },
  ]);
  expect(await ask(own, 'select display_name, reason from directory.removed_accounts')).toEqual([
    { display_name: 'User 3', reason: 'deleted_restorable' },
  ]);
  await lease.release();
  await own.close();
});

test('tenants shows the tenant’s own source of truth, else the installation’s, else the directory', async () => {
  const own = await openStore();
  const lease = await leasedTenant(own);
  const truth = async () => (await ask<{ source_of_truth: string }>(own, 'select * from directory.tenants'))[0];
  const apply = (tenant: string | null, document: object) =>
    ask(
      own,
      `insert into entra_sync.settings (tenant_id, document, actor) values (:tenant, :document::jsonb, 'test')`,
      {
        tenant,
        document: JSON.stringify(document),
      },
    );
  expect(await truth()).toMatchObject({ source_of_truth: 'directory', held_removals: 0, set_aside: 0 });
  await apply(null, { sourceOfTruth: 'hybrid' });
  expect(await truth()).toMatchObject({ source_of_truth: 'hybrid' });
  await apply(lease.tenantId, { sourceOfTruth: 'user' });
  await apply(null, { sourceOfTruth: 'directory' });
  expect(await truth()).toMatchObject({ source_of_truth: 'user' });
  await lease.release();
  await own.close();
});
