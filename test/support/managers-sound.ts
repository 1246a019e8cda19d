// The managers of accounts, and what accounts show of their managers, judged on the tables without the product's SQL.
import { expect } from 'vitest';
import { type Database, rows } from '../../src/store/database/pool.ts';

type Account = {
  account: string;
  object: string | null;
  live: boolean;
  managed: boolean;
  source: Record<string, unknown>;
  mapped: Record<string, unknown>;
};
type Tables = {
  accounts: Account[];
  groups: { object: string; live: boolean }[];
  memberships: { holder: string; member: string }[];
  rules: { managers: string; people: string | null }[];
  fields: { field: string; path: string[] }[];
  /** Whether the settings in force keep managers. */
  kept: boolean;
  strangers: number;
};

/**
 * Expects `directory.managers` to show the live manager of each live account, by line where the settings keep managers and by
 * group, and each managed account to have the values of its manager. No change row holds values of a manager who was purged.
 */
export async function expectManagersSound(database: Database, tenantId: string): Promise<void> {
  const tables = await readTables(database, tenantId);
  const shown = await rows<{ pair: string }>(
    database,
    `select account_id || ' ' || manager_account_id || ' ' || via as pair from directory.managers where tenant_id = :tenantId`,
    { tenantId },
  );
  expect(shown.map(({ pair }) => pair).sort(), 'directory.managers').toEqual(
    [...lines(tables), ...byGroups(tables)].sort(),
  );
  await expectTold(database, tenantId, [...lines(tables), ...byGroups(tables)]);
  const wrong = tables.accounts
    .filter(({ live, managed }) => live && managed)
    .flatMap((one) =>
      tables.fields.flatMap(({ field, path }) => {
        const wanted = valueAt(managerOf(tables, one)?.source, path);
        const has = one.mapped[field];
        return JSON.stringify(has) === JSON.stringify(wanted) ? [] : [{ account: one.account, field, has, wanted }];
      }),
    );
  expect(wrong, 'fields that come from the manager').toEqual([]);
  expect({ strangers: tables.strangers }, 'change rows with values of purged managers').toEqual({ strangers: 0 });
}

/** The functions that answer by one account tell each pair once, `line` before `group`. */
async function expectTold(database: Database, tenantId: string, pairs: readonly string[]): Promise<void> {
  const told = await rows<{ pair: string; via: string; tested: string | null; found: boolean }>(
    database,
    `select x.account_id || ' ' || m.account_id as pair, x.via, directory.manages(m.account_id, x.account_id) as tested,
            exists (select from directory.managed(m.account_id, x.display_name, null, null, 1000) y
                     where y.account_id = x.account_id) as found
       from directory.accounts m cross join lateral directory.managed(m.account_id, null, null, null, 1000) x
      where m.tenant_id = :tenantId`,
    { tenantId },
  );
  const wanted = new Map(pairs.map((one) => [one.slice(0, 73), one.slice(74)]));
  for (const one of pairs) if (one.endsWith(' line')) wanted.set(one.slice(0, 73), 'line');
  expect(new Map(told.map(({ pair, via }) => [pair, via])), 'directory.managed').toEqual(wanted);
  expect(
    told.filter(({ via, tested, found }) => via !== tested || !found),
    'directory.manages',
  ).toEqual([]);
}

const managerOf = ({ accounts }: Tables, one: Account) =>
  accounts.find((other) => other.live && other.object !== null && other.object === one.source.manager && other !== one);

function valueAt(value: unknown, path: readonly string[]): unknown {
  const found = path.reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], value);
  return found ?? undefined;
}

function lines(tables: Tables): string[] {
  return tables.accounts.flatMap((one) => {
    const manager = tables.kept && one.live ? managerOf(tables, one) : undefined;
    return manager ? `${one.account} ${manager.account} line` : [];
  });
}

function byGroups(tables: Tables): string[] {
  const pairs = tables.rules.flatMap(({ managers, people }) => {
    const [holders, held] = [membersOf(tables, managers), people === null ? null : membersOf(tables, people)];
    return tables.accounts
      .filter((one) => one.live && holders.has(one.object))
      .flatMap((manager) =>
        tables.accounts
          .filter((one) => one.live && one !== manager && (held === null || held.has(one.object)))
          .map((one) => `${one.account} ${manager.account} group`),
      );
  });
  return [...new Set(pairs)];
}

function membersOf({ groups, memberships }: Tables, group: string): Set<string | null> {
  const live = new Set(groups.flatMap((one) => (one.live ? one.object : [])));
  const met = new Set(live.has(group) ? [group] : []);
  const members = new Set<string | null>();
  for (const one of met)
    for (const { holder, member } of memberships) {
      if (holder !== one) continue;
      if (live.has(member)) met.add(member);
      else members.add(member);
    }
  return members;
}

async function readTables(database: Database, tenantId: string): Promise<Tables> {
  const [found] = await rows<Tables>(
    database,
    `select coalesce((select jsonb_agg(jsonb_build_object('account', account_id, 'object', entra_object_id, 'live', removed_at is null,
                               'managed', state = 'managed', 'source', source, 'mapped', mapped))
                        from entra_sync.accounts where tenant_id = :tenantId), '[]') as accounts,
            coalesce((select jsonb_agg(jsonb_build_object('object', entra_object_id, 'live', removed_at is null))
                        from entra_sync.groups where tenant_id = :tenantId), '[]') as groups,
            coalesce((select jsonb_agg(jsonb_build_object('holder', g.entra_object_id, 'member', m.member_object_id))
                        from entra_sync.memberships m join entra_sync.groups g on g.group_no = m.group_no
                       where g.tenant_id = :tenantId), '[]') as memberships,
            coalesce((select jsonb_agg(jsonb_build_object('managers', managers_id, 'people', people_id))
                        from entra_sync.managed_by where tenant_id = :tenantId), '[]') as rules,
            coalesce((select jsonb_agg(jsonb_build_object('field', field, 'path', manager_path))
                        from entra_sync.field_rules where tenant_id = :tenantId and manager_path is not null), '[]') as fields,
            coalesce((select (array_agg(document -> 'managers' order by tenant_id nulls last, version desc))[1]
                        from (select distinct on (tenant_id) * from entra_sync.settings
                               where tenant_id is null or tenant_id = :tenantId order by tenant_id, version desc) s
                       where jsonb_exists(document, 'managers')), 'false') as kept,
            (select count(*)::int from entra_sync.changes c where c.tenant_id = :tenantId
                and (c.before_manager is not null and not exists (select from entra_sync.accounts a where a.account_id = c.before_manager)
                     or c.after_manager is not null and not exists (select from entra_sync.accounts a where a.account_id = c.after_manager))
            ) as strangers`,
    { tenantId },
  );
  if (!found) throw new Error('the tables were not read');
  return found;
}
