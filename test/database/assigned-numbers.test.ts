// A field that holds a number is compared as it is written.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, openStore, type Store } from '../support/stage.ts';

let store: Store;

beforeAll(async () => {
  store = await openStore();
});

afterAll(() => store.close());

test('what an account with 1.0 in a field gets does not depend on an account with 1 beside it', async () => {
  const tenant = randomUUID();
  await ask(store, "insert into entra_sync.tenants (tenant_id, name) values (:tenant, 'Numbers')", { tenant });
  const accounts = await ask<{ no: number }>(
    store,
    `insert into entra_sync.accounts (tenant_id, entra_object_id, state, mapped)
     select :tenant, gen_random_uuid(), 'managed', v from unnest(array['{"n": 1}', '{"n": 1.0}', '{"n": [1.0]}']::jsonb[]) v
     returning account_no as no`,
    { tenant },
  );
  const [whole, decimal, list] = accounts.map(({ no }) => no);
  await ask(
    store,
    `insert into entra_sync.assignments
       (tenant_id, slot, item, target, field, field_values, is_exception, priority, created_by)
     values (:tenant, 'banner', 'a', 'field', 'n', '{1.0}', false, 0, 'Ann')`,
    { tenant },
  );
  const won = async (numbers: unknown[]) =>
    (
      await ask<{ no: number }>(
        store,
        `select account_no as no from entra_sync.assigned_by(:tenant, :numbers::integer[],
           array(select r from entra_sync.assignments r where r.tenant_id = :tenant), '{"banner": 1}') order by 1`,
        { tenant, numbers },
      )
    ).map(({ no }) => no);
  expect(await won([decimal])).toEqual([decimal]);
  expect(await won([whole, decimal, list])).toEqual([decimal, list]);
});
