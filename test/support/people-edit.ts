// Tenants with fields that people may edit, their accounts, and applications: roles without rights of their own that use
// connections of their own.
import { randomBytes, randomUUID } from 'node:crypto';
import { Client, escapeIdentifier } from 'pg';
import { grantRole } from '../../src/store/schema/grants.ts';
import { ask, openStore, type Store } from './stage.ts';

export type FieldRule = {
  owner?: 'directory' | 'user';
  editableBy?: string[];
  manualEditableBy?: string[];
  max?: number;
  pattern?: string;
  valueType?: 'text' | 'text[]' | 'number' | 'boolean' | 'any';
  mappedFrom?: string | null;
  private?: boolean;
};

const everybody = ['user', 'manager'];

/** Makes a tenant with these fields; by default a field is text, user-owned, and editable by every role. */
export async function tenantWith(store: Store, fields: Record<string, FieldRule>): Promise<string> {
  const tenantId = randomUUID();
  await ask(store, 'insert into entra_sync.tenants (tenant_id, name) values (:tenantId, :tenantId)', { tenantId });
  for (const [field, rule] of Object.entries(fields)) await setRule(store, tenantId, field, rule);
  return tenantId;
}

/** Says by the settings of the tenant whether managers are kept. By default they are not. */
export async function keepManagers(store: Store, tenantId: string, kept = true): Promise<void> {
  await ask(
    store,
    `insert into entra_sync.settings (tenant_id, document, actor)
     values (:tenantId, jsonb_build_object('managers', :kept::boolean), 'test')`,
    { tenantId, kept },
  );
}

export async function setRule(store: Store, tenantId: string, field: string, rule: FieldRule): Promise<void> {
  const owner = rule.owner ?? 'user';
  await ask(
    store,
    `insert into entra_sync.field_rules (tenant_id, field, owner, editable_by, manual_editable_by, value_type, mapped_from, max_length,
                                         pattern, private)
     values (:tenantId, :field, :owner, :editableBy, :manualEditableBy, :valueType, :mappedFrom, :max, :pattern, :private)
     on conflict (tenant_id, field) do update set owner = excluded.owner, editable_by = excluded.editable_by,
       manual_editable_by = excluded.manual_editable_by, value_type = excluded.value_type, mapped_from = excluded.mapped_from,
       max_length = excluded.max_length, pattern = excluded.pattern, private = excluded.private`,
    {
      tenantId,
      field,
      owner,
      editableBy: owner === 'directory' ? [] : (rule.editableBy ?? everybody),
      manualEditableBy: rule.manualEditableBy ?? everybody,
      valueType: rule.valueType ?? 'text',
      max: rule.max ?? null,
      pattern: rule.pattern ?? null,
      private: rule.private ?? false,
      mappedFrom: rule.mappedFrom === undefined ? field : rule.mappedFrom,
    },
  );
}

export type AccountSeed = {
  state?: 'managed' | 'manual';
  mapped?: object;
  source?: object;
  overrides?: object;
  edits?: object;
  shelf?: object;
  mail?: string | null;
  principal?: string | null;
  objectId?: string | null;
};

/** Inserts a live account, created a year ago, without a change row. */
export async function accountOf(store: Store, tenantId: string, seed: AccountSeed = {}): Promise<string> {
  const json = (value: object | undefined) => JSON.stringify(value ?? {});
  const [made] = await ask<{ id: string }>(
    store,
    `insert into entra_sync.accounts (tenant_id, state, entra_object_id, source, mapped, overrides, edits, shelf, mail, user_principal_name, created_at, updated_at)
     values (:tenantId, :state, :objectId::uuid, :source::jsonb, :mapped::jsonb, :overrides::jsonb, :edits::jsonb, :shelf::jsonb, :mail, :principal,
             now() - interval '1 year', now() - interval '1 year')
     returning account_id as id`,
    {
      tenantId,
      state: seed.state ?? 'managed',
      objectId: seed.objectId ?? null,
      source: json(seed.source),
      mapped: json(seed.mapped),
      overrides: json(seed.overrides),
      edits: json(seed.edits),
      shelf: json(seed.shelf),
      mail: seed.mail ?? null,
      principal: seed.principal ?? null,
    },
  );
  if (!made) throw new Error('no account was made');
  return made.id;
}

export type StoredAccount = {
  overrides: Record<string, unknown>;
  edits: Record<string, { by: string; at: string }>;
  shelf: Record<string, unknown>;
  profile: Record<string, unknown>;
  mail: string | null;
  user_principal_name: string | null;
  removed_reason: string | null;
  moved: boolean;
};

/** Returns an account as it is stored; `moved`: whether it was updated after its creation. */
export async function storedAccount(store: Store, accountId: string): Promise<StoredAccount> {
  const [row] = await ask<StoredAccount>(
    store,
    `select overrides, edits, shelf, profile, mail, user_principal_name, removed_reason, updated_at > created_at as moved
       from entra_sync.accounts where account_id = :accountId`,
    { accountId },
  );
  if (!row) throw new Error(`no account ${accountId}`);
  return row;
}

export type StoredChange = { kind: string; actor: string; before: unknown; after: unknown; told: boolean };

/** Returns the change rows of an account, oldest first; `told`: whether the batch is in the feed. */
export function changesOf(store: Store, accountId: string): Promise<StoredChange[]> {
  return ask<StoredChange>(
    store,
    `select c.kind, c.actor, c.before, c.after, b.batch_id is not null as told
       from entra_sync.changes c left join entra_sync.batches b using (batch_id)
      where c.account_id = :accountId order by c.change_id`,
    { accountId },
  );
}

/** A login role with a password and no rights; more roles can be granted to it. */
export type Application = {
  readonly role: string;
  connect(): Promise<Client>;
};

export type EditStore = Store & {
  /** Makes a role, dropped with the store, as roles belong to the server. `grant`: as `entra-sync grant` would. */
  application(options?: { grant?: 'open' | 'tenant-bound' | { tenant: string }; with?: string }): Promise<Application>;
};

export async function openEditStore(): Promise<EditStore> {
  const store = await openStore();
  const clients: Client[] = [];
  const roles: string[] = [];
  return {
    ...store,
    async application(options = {}) {
      // Role names may need quoting: capitals, a blank, quotes, and knex's bindings.
      const role = `App ?:x "${randomBytes(6).toString('hex')}`;
      const password = randomBytes(12).toString('hex');
      await store.database.raw(
        `create role ${escapeIdentifier(role).replaceAll('?', '\\?')} login password '${password}' ${options.with ?? ''}`,
      );
      roles.push(role);
      if (options.grant) {
        const onlyTenant = typeof options.grant === 'object' ? options.grant.tenant : undefined;
        const tenantBound = options.grant === 'tenant-bound';
        await grantRole(store.database, { role, tenantBound, onlyTenant, actor: 'test' });
      }
      return {
        role,
        async connect() {
          const { hostname, port, pathname } = new URL(store.url);
          const database = pathname.slice(1);
          const client = new Client({ host: hostname, port: Number(port), database, user: role, password });
          client.on('error', () => {});
          await client.connect();
          clients.push(client);
          return client;
        },
      };
    },
    async close() {
      await Promise.all(clients.map((client) => client.end().catch(() => {})));
      for (const role of roles) {
        const name = escapeIdentifier(role).replaceAll('?', '\\?');
        await store.database.raw(`drop owned by ${name}`);
        await store.database.raw(`drop role ${name}`);
      }
      await store.close();
    },
  };
}

export type Refusal = { code: string; message: string; hint: string | undefined };

/** Runs one statement; returns a refusal instead of throwing it. */
export async function answerOf(
  client: Client,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Refusal | { rows: Record<string, unknown>[] }> {
  try {
    const { rows } = await client.query(sql, [...values]);
    return { rows };
  } catch (error) {
    const { code, message, hint } = error as Refusal;
    return { code, message, hint };
  }
}
