// Consents that wait for the vendor: how they are stored, approved and rejected, also by two programs at the same time.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ExpectedError } from '../../src/errors.ts';
import { loadDefaults } from '../../src/settings/settings.ts';
import { type Database, openDatabase, rows } from '../../src/store/database/pool.ts';
import { dueTenants } from '../../src/store/queue/schedule.ts';
import { approveConsent, connectTenant, mayConnect } from '../../src/store/tenants/consent.ts';
import { disconnectTenant, purgeTenant } from '../../src/store/tenants/disconnect.ts';
import { createInvitation, findInvitation, withdrawInvitations } from '../../src/store/tenants/invitations.ts';
import { addTenant, findTenant, forgetPendingTenant } from '../../src/store/tenants/tenants.ts';
import { listWaiting, rejectWaiting } from '../../src/store/tenants/waiting-consents.ts';
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts';
import { untilBlocked } from '../support/stage.ts';

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

const defaults = loadDefaults();
let number = 0;
/** A reference that no other test uses. */
const newRef = (name: string) => {
  number += 1;
  return `${name}-${number}`;
};
const invite = async (ref: string, tenantId: string | null = null) =>
  (await createInvitation(database, { ref, name: null, tenantId, expiresInMs: 60_000, actor: 'test' })).invitation_id;
/** A consent with a valid token, by a person whose roles are not known. */
const ask = (invitationId: string, tenantId: string, adminId = randomUUID()) =>
  connectTenant(database, { invitationId, tenantId, adminId, administrator: false, actor: 'connect' }, defaults);
const kindOf = async (asked: ReturnType<typeof ask>) => {
  const done = await asked;
  return done.kind === 'refused' ? done.reason : done.kind;
};
const approve = (tenantId: string, ref?: string) =>
  approveConsent(database, { tenantId, ref, actor: 'mary' }, defaults);
const refsOf = async (tenantId: string) => (await listWaiting(database, tenantId)).map((one) => one.external_ref);
const tenantRow = async (tenantId: string) => {
  const [row] = await rows<{ status: string; external_ref: string | null }>(
    database,
    'select status, external_ref from directory.tenants where tenant_id = ?',
    [tenantId],
  );
  return row;
};
const refusal = async (work: Promise<unknown>) => {
  const error = (await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )) as ExpectedError | undefined;
  return [error?.code, error?.message];
};

/** Begins the works one after the other while the invitation's row is held, lets them go, and returns what each came to. */
async function whileHeld<Works extends Record<string, () => Promise<unknown>>>(
  invitationId: string,
  works: Works,
): Promise<Record<keyof Works, unknown>> {
  const holder = openDatabase(fresh.url, { maxConnections: 1 });
  const begun: [string, Promise<unknown>][] = [];
  try {
    await holder.transaction(async (transaction) => {
      await transaction.raw('select from entra_sync.invitations where invitation_id = ? for update', [invitationId]);
      for (const [name, work] of Object.entries(works)) {
        begun.push([name, work().catch((error: unknown) => error)]);
        await untilBlocked({ database }, begun.length);
      }
    });
  } finally {
    await holder.destroy();
  }
  const ended = await Promise.all(begun.map(async ([name, work]) => [name, await work]));
  return Object.fromEntries(ended) as Record<keyof Works, unknown>;
}

test('without a role and without the vendor’s name for it, a tenant gets no row, and each customer that asks waits', async () => {
  const tenantId = randomUUID();
  const [thief, owner] = [newRef('thief'), newRef('owner')];
  expect(await kindOf(ask(await invite(thief), tenantId))).toBe('waiting');
  expect(await kindOf(ask(await invite(owner), tenantId))).toBe('waiting');
  expect(await tenantRow(tenantId)).toBeUndefined();
  expect(await refsOf(tenantId)).toEqual([thief, owner]);
  expect(await rows(database, 'select 1 from directory.changes where tenant_id = ?', [tenantId])).toEqual([]);
  // Neither the worker nor an application can read it.
  expect(await dueTenants(database, tenantId)).toEqual([]);
  const read = database.raw('select directory.request_cycle(?, null, ?)', [tenantId, 'test']);
  expect((await refusal(Promise.resolve(read)))[0]).toBe('ES004');
  const [code, message] = await refusal(findTenant(database, tenantId));
  expect([code, message]).toEqual(['consent_waiting', expect.stringContaining(`"${thief}", "${owner}"`)]);
  expect((await refusal(findTenant(database, owner)))[0]).toBe('consent_waiting');
});

test('approve binds the tenant to the named customer, returns the dropped ones, and writes the actor to the feed', async () => {
  const tenantId = randomUUID();
  const [thief, owner] = [newRef('thief'), newRef('owner')];
  const thiefs = await invite(thief);
  await ask(thiefs, tenantId);
  await ask(await invite(owner), tenantId);
  expect((await refusal(approve(tenantId)))[0]).toBe('usage');
  expect((await refusal(approve(tenantId, 'unknown')))[0]).toBe('unknown_name');
  expect(await approve(tenantId, owner)).toMatchObject({ ref: owner, how: 'new', dropped: [thief] });
  expect(await tenantRow(tenantId)).toEqual({ status: 'active', external_ref: owner });
  expect(await rows(database, 'select 1 from entra_sync.waiting_consents where tenant_id = ?', [tenantId])).toEqual([]);
  const changes = await rows(database, 'select kind, actor, after from directory.changes where tenant_id = ?', [
    tenantId,
  ]);
  expect(changes).toEqual([
    { kind: 'tenant.connected', actor: 'mary', after: { status: 'active', external_ref: owner } },
  ]);
  // The thief's invitation still works for the thief's own tenant, but not for this one.
  expect(await kindOf(ask(thiefs, tenantId))).toBe('other_customer');
  expect(await refusal(approve(tenantId, thief))).toEqual([
    'tenant_exists',
    `tenant ${tenantId} is connected for "${owner}" already`,
  ]);
});

test('approve without a reference uses the only one that asks, whatever the number of its invitations', async () => {
  const tenantId = randomUUID();
  const owner = newRef('owner');
  for (const invitationId of [await invite(owner), await invite(owner)]) await ask(invitationId, tenantId);
  expect(await refsOf(tenantId)).toEqual([owner]);
  expect(await approve(tenantId)).toMatchObject({ ref: owner, dropped: [] });
});

test('a tenant that the vendor named in the invitation or registered for the customer is connected at once', async () => {
  const [invited, registered] = [randomUUID(), randomUUID()];
  const owner = newRef('owner');
  await addTenant(database, { tenantId: invited, name: invited, ref: owner }, defaults);
  expect(await kindOf(ask(await invite(owner, invited), invited))).toBe('connected');
  const other = newRef('owner');
  await addTenant(database, { tenantId: registered, name: registered, ref: other }, defaults);
  expect(await kindOf(ask(await invite(other), registered))).toBe('connected');
});

test('the tenant of a known administrator is connected at once, and its waiting consents end', async () => {
  const tenantId = randomUUID();
  const thief = newRef('thief');
  await ask(await invite(thief), tenantId);
  const consent = { invitationId: await invite(newRef('owner')), tenantId, adminId: randomUUID(), actor: 'connect' };
  const done = await connectTenant(database, { ...consent, administrator: true }, defaults);
  expect(done).toMatchObject({ kind: 'connected', dropped: [thief] });
  expect(await refsOf(tenantId)).toEqual([]);
});

test('a tenant registered without a customer stays so while consents wait', async () => {
  const tenantId = randomUUID();
  await addTenant(database, { tenantId, name: tenantId, ref: null }, defaults);
  const thief = newRef('thief');
  expect(await kindOf(ask(await invite(thief), tenantId))).toBe('waiting');
  expect(await tenantRow(tenantId)).toEqual({ status: 'pending', external_ref: null });
  expect(await approve(tenantId, thief)).toMatchObject({ how: 'pending' });
  expect(await tenantRow(tenantId)).toEqual({ status: 'active', external_ref: thief });
});

test('a consent to another customer’s tenant, active or disconnected, is refused, and the reference stays', async () => {
  const tenantId = randomUUID();
  const [owner, thief] = [newRef('owner'), newRef('thief')];
  const early = await invite(thief);
  await ask(early, tenantId);
  await addTenant(database, { tenantId, name: tenantId, ref: owner }, defaults);
  // An earlier waiting consent is no longer listed, and cannot be approved against the owner.
  expect(await refsOf(tenantId)).toEqual([]);
  expect((await refusal(approve(tenantId, thief)))[0]).toBe('tenant_exists');
  expect(await kindOf(ask(early, tenantId))).toBe('other_customer');
  await kindOf(ask(await invite(owner), tenantId));
  await disconnectTenant(database, tenantId, { actor: 'test', dryRun: false });
  expect(await kindOf(ask(await invite(thief), tenantId))).toBe('other_customer');
  expect(await tenantRow(tenantId)).toEqual({ status: 'disconnected', external_ref: owner });
});

test('an invitation waits only for its last tenant: a hundred tenants make one row', async () => {
  const ref = newRef('flood');
  const invitationId = await invite(ref);
  const tenants = Array.from({ length: 100 }, () => randomUUID());
  for (let start = 0; start < tenants.length; start += 25)
    await Promise.all(tenants.slice(start, start + 25).map((tenantId) => ask(invitationId, tenantId)));
  const waiting = (await listWaiting(database, null)).filter((one) => one.external_ref === ref);
  expect(waiting).toHaveLength(1);
  const last = randomUUID();
  await ask(invitationId, last);
  expect(await refsOf(last)).toEqual([ref]);
  const kept = await rows(database, 'select 1 from entra_sync.waiting_consents where invitation_id = ?', [
    invitationId,
  ]);
  expect(kept).toHaveLength(1);
});

test('a consent waits for 30 days, beyond the end of its invitation, and is then deleted with the person’s id', async () => {
  const tenantId = randomUUID();
  const ref = newRef('late');
  const invitationId = await invite(ref);
  await ask(invitationId, tenantId);
  const [kept] = await listWaiting(database, tenantId);
  const days = (Number(kept?.expires_at) - Number(kept?.asked_at)) / 86_400_000;
  expect(Math.round(days)).toBe(30);
  await database.raw('update entra_sync.invitations set expires_at = now() where invitation_id = ?', [invitationId]);
  expect(await refsOf(tenantId)).toEqual([ref]);
  await database.raw('update entra_sync.waiting_consents set expires_at = now() where invitation_id = ?', [
    invitationId,
  ]);
  expect(await refsOf(tenantId)).toEqual([]);
  expect((await refusal(approve(tenantId, ref)))[0]).toBe('unknown_name');
  expect((await refusal(findTenant(database, tenantId)))[0]).toBe('unknown_name');
  await invite(newRef('other'));
  expect(await rows(database, 'select 1 from entra_sync.waiting_consents where tenant_id = ?', [tenantId])).toEqual([]);
});

test('withdrawing an invitation deletes its waiting consent', async () => {
  const tenantId = randomUUID();
  const ref = newRef('withdrawn');
  await ask(await invite(ref), tenantId);
  await withdrawInvitations(database, ref);
  expect(await refsOf(tenantId)).toEqual([]);
  expect((await refusal(approve(tenantId, ref)))[0]).toBe('unknown_name');
});

test('reject withdraws the invitations that asked, so that a new attempt needs a new one; the others still wait', async () => {
  const tenantId = randomUUID();
  const [thief, owner] = [newRef('thief'), newRef('owner')];
  const thiefs = await invite(thief);
  await ask(thiefs, tenantId);
  await ask(await invite(owner), tenantId);
  expect(await rejectWaiting(database, { tenantId, ref: thief })).toEqual({ withdrawn: 1, waiting: [owner] });
  expect(await kindOf(ask(thiefs, tenantId))).toBe('withdrawn');
  expect((await mayConnect(database, thiefs, tenantId)).refused).toBe('withdrawn');
  expect(await kindOf(ask(await invite(thief), tenantId))).toBe('waiting');
  expect((await refusal(rejectWaiting(database, { tenantId, ref: 'unknown' })))[0]).toBe('unknown_name');
  expect(await refsOf(tenantId)).toEqual([owner, thief]);
});

test('after simultaneous approvals, consents and rejections the tenant belongs to the approved customer or to none', async () => {
  for (let round = 0; round < 8; round += 1) {
    const tenantId = randomUUID();
    const [thief, owner] = [newRef('thief'), newRef('owner')];
    const [thiefs, owners] = [await invite(thief), await invite(owner)];
    await ask(thiefs, tenantId);
    await ask(owners, tenantId);
    await Promise.all([
      ask(thiefs, tenantId),
      approve(tenantId, owner),
      ask(thiefs, tenantId),
      rejectWaiting(database, { tenantId, ref: thief }).catch(() => {}),
      ask(owners, tenantId),
    ]);
    expect(await tenantRow(tenantId)).toEqual({ status: 'active', external_ref: owner });
    expect(await refsOf(tenantId)).toEqual([]);
  }
});

test('two simultaneous approvals of one tenant for two customers: one succeeds, the other is refused', async () => {
  for (let round = 0; round < 5; round += 1) {
    const tenantId = randomUUID();
    const refs = [newRef('a'), newRef('b')];
    for (const ref of refs) await ask(await invite(ref), tenantId);
    const done = await Promise.allSettled(refs.map((ref) => approve(tenantId, ref)));
    const won = done.flatMap((one) => (one.status === 'fulfilled' ? [one.value.ref] : []));
    expect(won).toHaveLength(1);
    expect(await tenantRow(tenantId)).toEqual({ status: 'active', external_ref: won[0] });
  }
});

test('approve and reject report a tenant that is connected already, even since a moment ago', async () => {
  const tenantId = randomUUID();
  const owner = newRef('owner');
  await ask(await invite(owner), tenantId);
  await approve(tenantId, owner);
  const said = ['tenant_exists', `tenant ${tenantId} is connected for "${owner}" already`];
  expect(await refusal(approve(tenantId))).toEqual(said);
  expect(await refusal(approve(tenantId, owner))).toEqual(said);
  expect(await refusal(rejectWaiting(database, { tenantId, ref: owner }))).toEqual(said);
  const twice = randomUUID();
  const other = newRef('owner');
  await ask(await invite(other), twice);
  const done = await Promise.allSettled([approve(twice, other), approve(twice, other)]);
  const refused = done.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []));
  expect(refused).toEqual(['tenant_exists']);
});

test('a rejection that waits for an approval then finds the tenant connected, and withdraws no invitation', async () => {
  const tenantId = randomUUID();
  const owner = newRef('owner');
  const invitationId = await invite(owner);
  await ask(invitationId, tenantId);
  const { approved, rejected } = await whileHeld(invitationId, {
    approved: () => approve(tenantId, owner),
    rejected: () => rejectWaiting(database, { tenantId, ref: owner }),
  });
  expect(approved).toMatchObject({ ref: owner });
  expect(rejected).toMatchObject({ code: 'tenant_exists' });
  expect(await tenantRow(tenantId)).toEqual({ status: 'active', external_ref: owner });
  expect(await findInvitation(database, invitationId)).toMatchObject({ tenant_id: tenantId });
});

test('an approval that waits for a consent then finds the invitation used for another tenant, and connects none', async () => {
  const [tenantId, another] = [randomUUID(), randomUUID()];
  const ref = newRef('owner');
  const invitationId = await invite(ref);
  await ask(invitationId, tenantId);
  const spend = { invitationId, tenantId: another, adminId: randomUUID(), administrator: true, actor: 'connect' };
  const { consented, approved } = await whileHeld(invitationId, {
    consented: () => connectTenant(database, spend, defaults),
    approved: () => approve(tenantId, ref),
  });
  expect(consented).toMatchObject({ kind: 'connected' });
  expect(approved).toMatchObject({ code: 'unknown_name' });
  expect(await tenantRow(tenantId)).toBeUndefined();
  expect(await findInvitation(database, invitationId)).toMatchObject({ tenant_id: another });
});

test('simultaneous approve, consent and disconnect each get an outcome, and the tenant keeps its customer', async () => {
  for (let round = 0; round < 6; round += 1) {
    const tenantId = randomUUID();
    const [owner, thief] = [newRef('owner'), newRef('thief')];
    await addTenant(database, { tenantId, name: tenantId, ref: owner }, defaults);
    const [owners, thiefs] = [await invite(owner), await invite(thief)];
    const ends = await Promise.allSettled([
      disconnectTenant(database, tenantId, { actor: 'test', dryRun: false }),
      ask(owners, tenantId),
      approve(tenantId, owner),
      ask(thiefs, tenantId),
      ask(owners, tenantId),
    ]);
    for (const end of ends) if (end.status === 'rejected') expect(end.reason).toBeInstanceOf(ExpectedError);
    expect((await tenantRow(tenantId))?.external_ref).toBe(owner);
    expect(await refsOf(tenantId)).toEqual([]);
  }
});

test('a dry run deletes its own registration of a tenant, unless a customer has connected it meanwhile', async () => {
  const [tenantId, another] = [randomUUID(), randomUUID()];
  for (const id of [tenantId, another]) await addTenant(database, { tenantId: id, name: id, ref: null }, defaults);
  const consent = { invitationId: await invite(newRef('owner')), tenantId, adminId: randomUUID(), actor: 'connect' };
  expect(await connectTenant(database, { ...consent, administrator: true }, defaults)).toMatchObject({
    kind: 'connected',
  });
  expect(await forgetPendingTenant(database, tenantId, 'unclaimed')).toBe(false);
  expect(await forgetPendingTenant(database, another, 'unclaimed')).toBe(true);
  expect((await tenantRow(tenantId))?.status).toBe('active');
});

test('erasing a tenant deletes the consents that wait for it', async () => {
  const tenantId = randomUUID();
  await addTenant(database, { tenantId, name: tenantId, ref: null }, defaults);
  await ask(await invite(newRef('asks')), tenantId);
  await disconnectTenant(database, tenantId, { actor: 'test', dryRun: false });
  expect(await refsOf(tenantId)).toHaveLength(1);
  await purgeTenant(database, tenantId);
  expect(await rows(database, 'select 1 from entra_sync.waiting_consents where tenant_id = ?', [tenantId])).toEqual([]);
});
