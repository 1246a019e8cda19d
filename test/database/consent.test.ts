// Registration by consent: two customers at the same time, and the validity of links and steps.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadDefaults } from '../../src/settings/settings.ts';
import { type Database, openDatabase, rows } from '../../src/store/database/pool.ts';
import { connectTenant } from '../../src/store/tenants/consent.ts';
import {
  createInvitation,
  openStep,
  signingKey,
  takeStep,
  withdrawInvitations,
} from '../../src/store/tenants/invitations.ts';
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts';

let fresh: FreshDatabase;
let database: Database;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = openDatabase(fresh.url);
});
afterAll(async () => {
  await database.destroy();
  await fresh.drop();
});

let number = 0;
const newTenant = () => {
  number += 1;
  return `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
};
const invite = async (ref: string) => {
  const wanted = { ref, name: null, tenantId: null, expiresInMs: 60_000, actor: 'test' };
  return (await createInvitation(database, wanted)).invitation_id;
};
const connect = (invitationId: string, tenantId: string) =>
  connectTenant(
    database,
    { invitationId, tenantId, adminId: newTenant(), administrator: true, actor: 'test' },
    loadDefaults(),
  );
const outcome = (one: Awaited<ReturnType<typeof connect>>) =>
  one.kind === 'connected' ? one.how : one.kind === 'waiting' ? 'waiting' : one.reason;

test('two customers connect one tenant at the same time: one gets it, the other is refused', async () => {
  for (let round = 0; round < 5; round += 1) {
    const tenantId = newTenant();
    const invitations = await Promise.all(['a', 'b'].map((ref) => invite(`${ref}-${round}`)));
    const done = await Promise.all(invitations.map((one) => connect(one, tenantId)));
    expect(done.map(outcome).sort()).toEqual(['new', 'other_customer']);
    const changes = await rows(
      database,
      "select 1 from directory.changes where tenant_id = ? and kind = 'tenant.connected'",
      [tenantId],
    );
    expect(changes).toHaveLength(1);
  }
});

test('one invitation used for two tenants at the same time connects one of them', async () => {
  const invitation = await invite('one');
  const done = await Promise.all([newTenant(), newTenant()].map((tenantId) => connect(invitation, tenantId)));
  expect(done.map(outcome).sort()).toEqual(['new', 'other_tenant']);
});

test('a tenant without a customer can be bound until its first sync', async () => {
  const [fallow, synced] = [newTenant(), newTenant()];
  await database.raw(
    "insert into entra_sync.tenants (tenant_id, name, last_success_at) values (?, 'fallow', null), (?, 'synced', now())",
    [fallow, synced],
  );
  expect(outcome(await connect(await invite('x'), fallow))).toBe('pending');
  expect(outcome(await connect(await invite('y'), synced))).toBe('unassigned');
});

test('a repeated consent ends the quarantine and makes the tenant due, without a change in the feed', async () => {
  const tenantId = newTenant();
  const invitation = await invite('again');
  await connect(invitation, tenantId);
  await database.raw(
    "update entra_sync.tenants set status = 'quarantined', failures = 7, next_cycle_at = now() + interval '1 day', last_error_code = 'consent_missing' where tenant_id = ?",
    [tenantId],
  );
  expect(outcome(await connect(invitation, tenantId))).toBe('renewed');
  const [tenant] = await rows(
    database,
    'select status, failures, next_cycle_at, last_error_code from entra_sync.tenants where tenant_id = ?',
    [tenantId],
  );
  expect(tenant).toEqual({ status: 'active', failures: 0, next_cycle_at: null, last_error_code: null });
  expect(await rows(database, 'select 1 from directory.changes where tenant_id = ?', [tenantId])).toHaveLength(1);
});

test('a step is used once, by its browser, for its purpose, before its end; withdrawing the invitation deletes it', async () => {
  const invitationId = await invite('steps');
  const [browser, other] = [randomBytes(32), randomBytes(32)];
  const tryToOpen = (expiresInMs: number) =>
    openStep(database, { invitationId, browser, step: 'sign_in', nonce: 'n', verifier: 'v' }, expiresInMs);
  const open = async (expiresInMs = 60_000) => {
    const opened = await tryToOpen(expiresInMs);
    if (!opened) throw new Error('not opened');
    return opened;
  };
  const { id } = await open();
  expect(await takeStep(database, { id, browser: other, step: 'sign_in' })).toBeUndefined();
  expect(await takeStep(database, { id, browser, step: 'consent' })).toBeUndefined();
  const taken = await Promise.all([1, 2, 3].map(() => takeStep(database, { id, browser, step: 'sign_in' })));
  expect(taken.filter((one) => one !== undefined)).toHaveLength(1);
  const late = await open(-5_000);
  expect(await takeStep(database, { id: late.id, browser, step: 'sign_in' })).toBeUndefined();
  const gone = await open();
  expect(await withdrawInvitations(database, 'steps')).toBe(1);
  expect(await takeStep(database, { id: gone.id, browser, step: 'sign_in' })).toBeUndefined();
  expect(await tryToOpen(60_000), 'withdrawn while somebody was on the way').toBeUndefined();
});

test('simultaneous requests for the signing key return the same key', async () => {
  await database.raw('delete from entra_sync.signing_key');
  const keys = await Promise.all([1, 2, 3, 4].map(() => signingKey(database)));
  expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(1);
  expect(keys[0]).toHaveLength(32);
});
