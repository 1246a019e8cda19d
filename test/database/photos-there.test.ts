// The portal asks on many pages whether a tenant has photos at all; the answer is "none" for most tenants.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type EditStore, openEditStore } from '../support/people-edit.ts';
import { rowsRead } from '../support/plans.ts';
import { ask } from '../support/stage.ts';

const bare = randomUUID();
let full: string;
let store: EditStore;

/** 200 tenants of 20 people with photos, and one whose 500 people have none. */
beforeAll(async () => {
  store = await openEditStore();
  await ask(
    store,
    `insert into entra_sync.tenants (tenant_id, name)
     select gen_random_uuid(), 'Tenant ' || n from generate_series(1, 200) n union all select :bare, 'Bare'`,
    { bare },
  );
  await ask(
    store,
    `with made as (
       insert into entra_sync.accounts (tenant_id, entra_object_id, state, source, mapped)
       select t.tenant_id, gen_random_uuid(), 'managed', '{}', '{}'
         from entra_sync.tenants t
        cross join lateral generate_series(1, case when t.tenant_id = :bare then 500 else 20 end)
       returning account_id, tenant_id)
     insert into entra_sync.photos (account_id, tenant_id, read_at, content, content_type, sha256, width, height, updated_at)
     select account_id, tenant_id, now(), 'x'::bytea, 'image/png', repeat('0', 64), 1, 1, now() from made where tenant_id <> :bare
     union all
     select account_id, tenant_id, now(), null, null, null, null, null, null from made where tenant_id = :bare`,
    { bare },
  );
  const [one] = await ask<{ id: string }>(
    store,
    'select min(tenant_id::text) as id from entra_sync.photos where content is not null',
  );
  full = one?.id ?? expect.unreachable();
});

afterAll(() => store.close());

test.each(['before ANALYZE', 'after ANALYZE'])('%s: a tenant without photos reads none to know it', async (when) => {
  if (when === 'after ANALYZE') await store.database.raw('analyze');
  const reader = await (await store.application({ grant: 'tenant-bound' })).connect();
  for (const [tenant, has] of [[bare, false] as const, [full, true] as const]) {
    await reader.query(`set directory.tenant = '${tenant}'`);
    const { rows } = await reader.query('select exists (select from directory.photos) as has');
    expect(rows).toEqual([{ has }]);
    const { rows: plan } = await reader.query(
      'explain (analyze, timing off, format json) select exists (select from directory.photos)',
    );
    expect(rowsRead(plan[0]['QUERY PLAN'][0].Plan).get('photos') ?? 0).toBeLessThanOrEqual(has ? 20 : 0);
  }
});
