// The audit: it only grows, ages after 400 days, and forgets erased people and tenants.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { erasePerson } from '../../src/store/commit/erase-person.ts';
import { type AuditFilter, expireAudit, readAudit, writeAudit } from '../../src/store/feed/audit.ts';
import { disconnectTenant, purgeTenant } from '../../src/store/tenants/disconnect.ts';
import { accountOf, answerOf, type EditStore, openEditStore, tenantWith } from '../support/people-edit.ts';
import { ask } from '../support/stage.ts';

let store: EditStore;

beforeAll(async () => {
  store = await openEditStore();
});

afterAll(() => store.close());

const line = { actor: 'Ann', role: 'cli', via: 'cli', act: 'tenant.paused' } as const;
const all: AuditFilter = {
  ...{ tenantId: null, accountId: null, actor: null, act: null, since: null, until: null, before: null },
  limit: 1_000,
};
const read = (filter: Partial<AuditFilter> = {}) => readAudit(store.database, { ...all, ...filter });

describe('rule 48: the audit only grows', () => {
  test.each([
    ['an update', "update entra_sync.audit set actor = 'Eve'"],
    ['a delete', 'delete from entra_sync.audit'],
  ])('%s is refused, of the owner too', async (_words, sql) => {
    await writeAudit(store.database, [line]);
    const client = await store.connect();
    expect(await answerOf(client, sql)).toMatchObject({
      code: '55000',
      message: expect.stringContaining('only grows'),
    });
    // Upkeep lifts that for its own statement, not for the rest of its transaction.
    await client.query('begin');
    await client.query('select entra_sync.expire_audit()');
    expect(await answerOf(client, sql)).toMatchObject({ code: '55000' });
    await client.query('rollback');
  });

  test('no grant reads or writes it', async () => {
    for (const grant of ['open', 'tenant-bound'] as const) {
      const client = await (await store.application({ grant })).connect();
      for (const sql of [
        'select * from directory.audit',
        'select * from entra_sync.audit',
        "select entra_sync.write_audit('Eve', 'x', 'web', 'x', null, null, null, null)",
        'select entra_sync.expire_audit()',
        "select entra_sync.purge_audit(gen_random_uuid(), 'Eve', 'x', 'web', '{}')",
        "select entra_sync.forget_in_audit(gen_random_uuid(), '{}', '{}')",
      ])
        expect([sql, await answerOf(client, sql)]).toMatchObject([sql, { code: '42501' }]);
    }
  });
});

test('rule 48: rows are kept for 400 days', async () => {
  const tenantId = await tenantWith(store, {});
  await writeAudit(store.database, [{ ...line, tenantId }]);
  const aged = (days: number) =>
    ask(
      store,
      `insert into entra_sync.audit (at, actor, role, via, act, tenant_id)
       values (now() - :days * interval '1 day', 'Ann', 'cli', 'cli', 'tenant.paused', :tenantId)`,
      { days, tenantId },
    );
  for (const days of [399, 400.01, 900]) await aged(days);
  expect(await expireAudit(store.database)).toBe(2);
  expect(await expireAudit(store.database)).toBe(0);
  expect(await read({ tenantId })).toHaveLength(2);
});

test('the audit is read by tenant, account, actor, act and time, newest first', async () => {
  const tenantId = await tenantWith(store, {});
  const accountId = randomUUID();
  await writeAudit(store.database, [
    { ...line, tenantId },
    { ...line, tenantId, act: 'tenant.resumed', actor: 'Bob' },
    { ...line, tenantId, accountId, act: 'person.viewed', via: 'web', detail: { count: 3 }, reference: 'r' },
    { ...line, tenantId: null, act: 'sign_in.refused' },
  ]);
  const acts = async (filter: Partial<AuditFilter>) => (await read({ tenantId, ...filter })).map(({ act }) => act);
  expect(await acts({})).toEqual(['person.viewed', 'tenant.resumed', 'tenant.paused']);
  expect(await acts({ actor: 'bob' })).toEqual(['tenant.resumed']);
  expect(await acts({ act: 'tenant.*' })).toEqual(['tenant.resumed', 'tenant.paused']);
  expect(await acts({ act: 'tenant' })).toEqual([]);
  expect(await acts({ accountId })).toEqual(['person.viewed']);
  const [newest] = await read({ tenantId });
  expect(newest).toMatchObject({ detail: { count: 3 }, reference: 'r', tenant_name: tenantId, via: 'web' });
  expect(await acts({ before: newest?.audit_id ?? '' })).toEqual(['tenant.resumed', 'tenant.paused']);
  expect(await acts({ limit: 1 })).toEqual(['person.viewed']);
  expect(await acts({ until: '2020-01-01T00:00Z' })).toEqual([]);
  expect(await acts({ since: '2020-01-01T00:00Z', limit: 1 })).toEqual(['person.viewed']);
});

test('rule 48: an erased person is taken out, as the actor and as the one who was looked at', async () => {
  const tenantId = await tenantWith(store, {});
  const objectId = randomUUID();
  const accountId = await accountOf(store, tenantId, { objectId });
  const other = await accountOf(store, tenantId, { objectId: randomUUID() });
  await writeAudit(store.database, [
    { ...line, tenantId, accountId: other, actor: `account:${accountId}`, act: 'one', detail: { a: 1 } },
    { ...line, tenantId: null, actor: `entra:${tenantId}/${objectId}`, act: 'two' },
    { ...line, tenantId, accountId, actor: `account:${other}`, act: 'three', detail: { reason: 'x' } },
    { ...line, tenantId, accountId: other, actor: 'Ann', act: 'four' },
  ]);
  await erasePerson(store.database, { tenantId, accountId, actor: 'test' });
  const kept = await ask<{ act: string; actor: string; account_id: string | null; detail: object }>(
    store,
    "select act, actor, account_id, detail from directory.audit where act in ('one', 'two', 'three', 'four') order by 1",
  );
  expect(kept).toEqual([
    { act: 'four', actor: 'Ann', account_id: other, detail: {} },
    { act: 'one', actor: 'purged', account_id: other, detail: { a: 1 } },
    { act: 'three', actor: `account:${other}`, account_id: null, detail: {} },
    { act: 'two', actor: 'purged', account_id: null, detail: {} },
  ]);
  expect(JSON.stringify(await read())).not.toContain(accountId);
});

test('rule 48: one row of an erased tenant stays: its id, the numbers, and who erased it', async () => {
  const tenantId = await tenantWith(store, {});
  const other = await tenantWith(store, {});
  await accountOf(store, tenantId, { objectId: randomUUID() });
  await writeAudit(store.database, [
    { ...line, tenantId },
    { ...line, tenantId, act: 'x' },
    { ...line, tenantId: other },
  ]);
  await disconnectTenant(store.database, tenantId, { actor: 'test', dryRun: false });
  await purgeTenant(store.database, tenantId, { actor: 'Ann', role: 'cli', via: 'cli' });
  expect(await read({ tenantId })).toMatchObject([
    { act: 'tenant.purged', actor: 'Ann', tenant_id: tenantId, tenant_name: null, detail: { accounts: 1, groups: 0 } },
  ]);
  expect(await read({ tenantId: other })).toHaveLength(1);
});
