// Webhooks over real sockets: each change at least once and in order, whatever the receiver and the workers do (rule 52).
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLog } from '../../../src/logger.ts';
import { lotSize } from '../../../src/rules/webhooks.ts';
import { claimWebhook, nextLot } from '../../../src/store/webhooks/lots.ts';
import {
  addWebhook,
  listAttempts,
  listWebhooks,
  type NewWebhook,
  pauseWebhook,
  replayWebhook,
  resumeWebhook,
  rotateSecret,
} from '../../../src/store/webhooks/webhooks.ts';
import { shownSecret } from '../../../src/webhooks/signature.ts';
import { openWebhookSender } from '../../../src/worker/webhook-sender.ts';
import { runsOf } from '../../support/deep.ts';
import { countedAccounts, number, readFeed, writeBatch } from '../../support/feed-writer.ts';
import { drawn } from '../../support/histories.ts';
import { checkSignature, type Doing, type Receiver, startReceiver } from '../../support/receiver.ts';
import { ask, openStore, type Store } from '../../support/stage.ts';

let store: Store;
let receiver: Receiver;
let tenantId: string;
let accounts: string[];

beforeEach(async () => {
  [store, receiver] = await Promise.all([openStore(), startReceiver()]);
  ({ tenantId, accounts } = await countedAccounts(store, 3));
});

afterEach(async () => {
  await receiver.close();
  await store.close();
});

const add = (more: Partial<NewWebhook> = {}) =>
  addWebhook(store.database, {
    ...{
      tenantId: null,
      url: receiver.url,
      kinds: [],
      told: 'names',
      insecureLocal: true,
      form: 'changes',
      actor: 'test',
    },
    ...more,
  });

/** Writes batches of one change each. */
async function write(batches: number, of = tenantId, who = accounts): Promise<void> {
  const client = await store.connect();
  for (let n = 0; n < batches; n += 1) await writeBatch(client, of, [who[n % who.length] ?? '']);
  await client.end();
}

const open = (signal = new AbortController().signal, withinMs = 5_000, turnMs = 30_000) =>
  openWebhookSender({
    ...{ database: store.database, log: createLog('silent'), signal, withinMs, turnMs, random: () => 0 },
    onError: (error) => {
      throw error;
    },
  });

const makeDue = () => ask(store, 'update entra_sync.webhooks set next_at = now()');

/** Sends all that is due, once. */
async function send(withinMs?: number): Promise<void> {
  const sender = open(undefined, withinMs);
  sender.look();
  await sender.idle();
}

const idsOf = (messages: readonly { changes: readonly string[] }[]) => messages.flatMap(({ changes }) => changes);
const feed = async () => (await readFeed(store, null, 1_000_000)).map((row) => row.change_id);
const standing = async () => {
  const [webhook] = await listWebhooks(store.database);
  return webhook ?? expect.unreachable('there is no webhook');
};

test('an address whose turn is over waits for the others', async () => {
  const [first, second] = [await add(), await add()];
  await write(lotSize + 1);
  const sender = open(undefined, undefined, 0);
  sender.look();
  await sender.idle();
  const addressed = receiver.taken.map(({ body }) => JSON.parse(body).data.webhook_id);
  expect(addressed).toEqual([first, second, first, second].map(({ id }) => id));
});

test('an address whose lot this release cannot write keeps no other from its turn', async () => {
  const { id } = await add({ form: 'json' });
  await ask(
    store,
    `update entra_sync.webhooks
        set lot_id = gen_random_uuid(), lot_at = now(), lot_to = position, lot_notice = '{"kind": "of a later release"}'
      where webhook_id = :id`,
    { id },
  );
  await add();
  await write(1);
  const errors: unknown[] = [];
  const sender = openWebhookSender({
    ...{ database: store.database, log: createLog('silent'), signal: new AbortController().signal },
    onError: (error) => errors.push(error),
  });
  for (const _ of [1, 2]) {
    sender.look();
    await sender.idle();
  }
  expect([idsOf(receiver.taken), errors.length]).toEqual([await feed(), 1]);
});

test('rule 52: a lot with values ends before it is too large, and loses nothing', async () => {
  await add({ told: 'all' });
  await write(7);
  const note = JSON.stringify({ profile: { note: 'x'.repeat(200_000) } });
  await ask(store, 'update entra_sync.changes set after = :note::jsonb', { note });
  await send();
  expect(receiver.taken.map(({ changes }) => changes.length)).toEqual([2, 2, 2, 1]);
  expect(idsOf(receiver.taken)).toEqual(await feed());
});

test('rule 52: a webhook is sent what changes from its making on, in lots, signed, by ids and names of fields', async () => {
  await write(2);
  const { id, secret } = await add();
  await write(2 * lotSize + 5);
  await number(store);
  await send();
  expect(receiver.received.map(({ changes }) => changes.length)).toEqual([lotSize, lotSize, 5]);
  expect(idsOf(receiver.taken)).toEqual((await feed()).slice(2));
  for (const message of receiver.received) checkSignature(shownSecret(secret), message);
  expect(() => checkSignature(shownSecret(Buffer.alloc(32)), receiver.received[0] ?? expect.unreachable())).toThrow();
  const { type, data } = JSON.parse(receiver.received[0]?.body ?? '');
  expect([type, data.webhook_id]).toEqual(['directory.changes', id]);
  expect(data.changes[0]).toEqual({
    ...{ change_id: expect.any(String), tenant_id: tenantId, at: expect.any(String), cycle_id: null },
    ...{ kind: 'account.updated', account_id: accounts[0], group_id: null, member_group_id: null },
    fields: ['profile.displayName'],
  });
  expect(await standing()).toMatchObject({ failures: 0, behind_since: null, last_status: 200 });
  const [attempt] = await listAttempts(store.database, id, 10);
  expect(attempt).toMatchObject({ changes: 5, status: 200, problem: null, answer: 'thank you' });
  await send();
  expect(receiver.received).toHaveLength(3);
});

describe('rules 52, 53: a lot that is not taken is sent again, the same under the same id; a redirect is not followed', () => {
  test.each<[string, Doing, RegExp | null]>([
    ['500', { status: 500 }, null],
    ['429', { status: 429, headers: { 'retry-after': '7' } }, null],
    ['a redirect, which is not followed', { status: 302, headers: { location: '/elsewhere' } }, /redirects/],
    ['a cut connection', 'cut', /no connection/],
    ['an answer that is cut off', 'cut amid the answer', /no connection/],
    ['no answer', 'silent', /no answer within/],
  ])('%s', async (_name, doing, problem) => {
    const { id } = await add();
    await write(3);
    receiver.behave(() => doing);
    await send(doing === 'silent' ? 200 : undefined);
    const failing = await standing();
    expect(failing).toMatchObject({ state: 'active', failures: 1, behind_since: expect.any(Date) });
    if (problem) expect(failing.last_problem).toMatch(problem);
    // It waits: nothing is sent before its time.
    await send();
    expect(receiver.received).toHaveLength(1);
    await write(2);
    receiver.behave(() => 'taken');
    await makeDue();
    await send();
    const [first, again, later] = receiver.received;
    expect([again?.id, again?.body]).toEqual([first?.id, first?.body]);
    expect(idsOf([first ?? expect.unreachable(), later ?? expect.unreachable()])).toEqual(await feed());
    expect((await standing()).failures).toBe(0);
    expect((await listAttempts(store.database, id, 10)).map(({ status }) => status).at(-1)).toBe(
      typeof doing === 'object' ? doing.status : null,
    );
  });
});

test('rule 52: 410 pauses at once, five days of failures too; resume goes on where it stood', async () => {
  const { id } = await add();
  await write(2);
  receiver.behave(() => ({ status: 410 }));
  await send();
  expect(await standing()).toMatchObject({ state: 'paused', paused_because: 'gone' });
  await resumeWebhook(store.database, id);
  receiver.behave(() => ({ status: 503 }));
  await send();
  await ask(store, "update entra_sync.webhooks set next_at = now(), failing_since = now() - interval '5 days'");
  await send();
  expect(await standing()).toMatchObject({ state: 'paused', paused_because: 'failing' });
  await makeDue();
  await send();
  expect(receiver.received).toHaveLength(3);
  expect([await resumeWebhook(store.database, id), await resumeWebhook(store.database, id)]).toEqual([true, false]);
  receiver.behave(() => 'taken');
  await send();
  expect(idsOf(receiver.taken)).toEqual(await feed());
  expect([await pauseWebhook(store.database, id), await pauseWebhook(store.database, id)]).toEqual([true, false]);
  await write(1);
  await send();
  expect(receiver.taken).toHaveLength(1);
});

test('kinds and tenant: the position moves past what is not wanted, and a purge is always told', async () => {
  const other = await countedAccounts(store, 1);
  await add({ tenantId, kinds: ['group.*'] });
  await write(3);
  await write(3, other.tenantId, other.accounts);
  await ask(
    store,
    `with batch as (insert into entra_sync.batches (tenant_id) values (:tenantId) returning batch_id)
     insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id)
     select batch_id, :tenantId, 'test', 'account.purged', :account from batch`,
    { tenantId, account: accounts[0] },
  );
  await send();
  const kinds = receiver.received.flatMap(({ body }) =>
    JSON.parse(body).data.changes.map((one: { kind: string }) => one.kind),
  );
  expect(kinds).toEqual(['account.purged']);
  expect((await standing()).behind_since).toBeNull();
  await write(1);
  await send();
  expect(receiver.received).toHaveLength(1);
});

test('values: none tells ids alone; all tells values and actor, but none of a private field', async () => {
  await ask(
    store,
    `insert into entra_sync.field_rules (tenant_id, field, owner, editable_by, manual_editable_by, value_type, private)
     values (:tenantId, 'pronouns', 'user', '{user}', '{user}', 'text', true), (:tenantId, 'jobTitle', 'user', '{user}', '{user}', 'text', false)`,
    { tenantId },
  );
  await add({ told: 'none' });
  await add({ told: 'all', url: `${receiver.url}?all` });
  await ask(store, `select directory.edit_account(:id, '{"pronouns": "she", "jobTitle": "Boss"}', 'Ann', 'user')`, {
    id: accounts[0],
  });
  await send();
  const told = receiver.received.map(({ body }) => JSON.parse(body).data.changes[0]);
  const [ids, all] = told.toSorted((one, two) => Object.keys(one).length - Object.keys(two).length);
  expect(Object.keys(ids)).not.toContain('fields');
  expect(all).toMatchObject({
    actor: 'Ann',
    fields: ['profile.jobTitle', 'profile.pronouns'],
    after: { profile: { jobTitle: 'Boss', pronouns: { private: true } } },
  });
  expect(receiver.received.map(({ body }) => body).join()).not.toContain('"she"');
});

test('a feed that has lost its changes is told as a reset, and goes on at its end', async () => {
  await add();
  await write(3);
  await number(store);
  await forgetPosition();
  await send();
  await write(1);
  await send();
  expect(receiver.taken.map(({ type, changes }) => [type, changes.length])).toEqual([
    ['feed.reset', 0],
    ['directory.changes', 1],
  ]);
  expect(idsOf(receiver.taken)).toEqual((await feed()).slice(3));
});

const forgetPosition = () =>
  ask(
    store,
    `update entra_sync.webhooks
        set position = regexp_replace(position, '^[0-9a-f]{8}', '00000000'), next_at = now()`,
  );

test.each<[string, Doing[]]>([
  ['while the receiver of a reset answers', ['taken']],
  ['while a reset is tried again, which the receiver knows by its id', [{ status: 500 }, 'taken']],
])('rule 52: what changes %s is sent', async (_when, doings) => {
  await add();
  await write(3);
  await number(store);
  await forgetPosition();
  receiver.behave(async ({ type }) => {
    if (type !== 'feed.reset') return 'taken';
    // It has read the views by now.
    await write(1);
    return doings.shift() ?? 'taken';
  });
  const tries = doings.length;
  await send();
  await makeDue();
  await send();
  expect(receiver.taken[0]?.type).toBe('feed.reset');
  expect(new Set(receiver.received.slice(0, tries).map(({ id }) => id)).size).toBe(1);
  expect(idsOf(receiver.taken)).toEqual((await feed()).slice(3));
});

test('a lot that the feed has lost before it was taken is told as a reset under an id of its own', async () => {
  await add();
  await write(3);
  await number(store);
  receiver.behave(() => ({ status: 500 }));
  await send();
  await forgetPosition();
  await makeDue();
  receiver.behave(() => 'taken');
  await send();
  await write(1);
  await send();
  expect(receiver.taken.map(({ type, changes }) => [type, changes.length])).toEqual([
    ['feed.reset', 0],
    ['directory.changes', 1],
  ]);
  expect(receiver.taken[0]?.id).not.toBe(receiver.received[0]?.id);
});

test('replay sends again from a time on; a time before all that is kept changes nothing', async () => {
  const { id } = await add();
  await write(2);
  await number(store);
  const [now] = await ask<{ at: string }>(store, 'select clock_timestamp()::text as at');
  await write(2);
  await send();
  // The same sender, which has seen that nothing is left.
  const sender = open();
  sender.look();
  await sender.idle();
  await replayWebhook(store.database, id, now?.at ?? '');
  sender.look();
  await sender.idle();
  expect(idsOf(receiver.taken)).toEqual([...(await feed()), ...(await feed()).slice(2)]);
  await ask(store, 'update entra_sync.feed set pruned_number = (select min(number) from entra_sync.batches)');
  expect(await replayWebhook(store.database, id, '2001-01-01T00:00Z')).toEqual({ tooOld: expect.any(Date) });
  await send();
  expect(idsOf(receiver.taken)).toHaveLength(6);
});

test('a rotated secret signs beside the new one for a day', async () => {
  const { id, secret } = await add();
  const next = await rotateSecret(store.database, id);
  await write(1);
  await send();
  const [message] = receiver.received;
  for (const one of [secret, next]) checkSignature(shownSecret(one), message ?? expect.unreachable());
  await ask(store, 'update entra_sync.webhooks set old_secret_until = now()');
  await write(1);
  await send();
  const later = receiver.received[1] ?? expect.unreachable();
  checkSignature(shownSecret(next), later);
  expect(() => checkSignature(shownSecret(secret), later)).toThrow();
});

test('rule 52: a worker that died amid a lot is followed by another, with the same lot', async () => {
  await add();
  await write(3);
  const dead = (await claimWebhook(store.database)) ?? expect.unreachable();
  const lot = await nextLot(store.database, dead);
  if (!lot || 'nothingAt' in lot) return expect.unreachable('there is no lot');
  expect(await claimWebhook(store.database)).toBeUndefined();
  await write(2);
  await ask(store, 'update entra_sync.webhooks set claimed_until = now()');
  await send();
  expect(receiver.taken[0]?.id).toBe(`msg_${lot.id}`);
  expect(idsOf(receiver.taken)).toEqual(await feed());
  // What the dead one would still write counts for nothing.
  expect(await nextLot(store.database, dead)).toBeUndefined();
});

type Step =
  | { readonly step: 'write'; readonly count: number; readonly open: boolean }
  | { readonly step: 'number' }
  | {
      readonly step: 'send';
      readonly workers: number;
      readonly answers: readonly number[];
      readonly stopAt: number | null;
    };

const doings: readonly Doing[] = [
  'taken',
  'taken',
  'taken',
  { status: 500 },
  { status: 302 },
  'cut',
  'cut amid the answer',
];

const history = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        step: fc.constant('write' as const),
        count: fc.integer({ min: 1, max: 60 }),
        open: fc.boolean(),
      }),
    },
    { weight: 1, arbitrary: fc.record({ step: fc.constant('number' as const) }) },
    {
      weight: 4,
      arbitrary: fc.record({
        step: fc.constant('send' as const),
        workers: fc.integer({ min: 1, max: 3 }),
        answers: fc.array(fc.nat(doings.length - 1), { minLength: 1, maxLength: 6 }),
        stopAt: fc.option(fc.nat(3)),
      }),
    },
  ),
  { minLength: 4, maxLength: 12 },
);

test('rule 52: whatever receivers answer and workers do, each change comes at least once, and first in the order of the feed', async () => {
  await fc.assert(
    fc.asyncProperty(history, async (steps: readonly Step[]) => {
      await ask(store, 'delete from entra_sync.webhooks');
      const before = new Set(await feed());
      receiver.received.length = 0;
      receiver.taken.length = 0;
      const { secret } = await add();
      const late = await store.connect();
      let isOpen = false;
      for (const step of steps) {
        if (step.step === 'number') await number(store);
        else if (step.step === 'write') {
          // A transaction that is open meanwhile commits later, perhaps with a lower number.
          if (step.open && !isOpen) {
            await late.query('begin');
            await late.query('insert into entra_sync.batches (tenant_id) values ($1)', [tenantId]);
            await late.query(
              `insert into entra_sync.changes (batch_id, tenant_id, actor, kind)
               select max(batch_id), $1, 'late', 'tenant.connected' from entra_sync.batches where tenant_id = $1`,
              [tenantId],
            );
            isOpen = true;
          } else if (isOpen) {
            await late.query('commit');
            isOpen = false;
          }
          await write(step.count);
        } else {
          const stop = new AbortController();
          let answered = 0;
          receiver.behave(() => {
            answered += 1;
            if (step.stopAt !== null && answered > step.stopAt) stop.abort();
            return doings[step.answers[answered % step.answers.length] ?? 0] ?? 'taken';
          });
          await makeDue();
          const senders = Array.from({ length: step.workers }, () => open(stop.signal));
          for (const sender of senders) sender.look();
          await Promise.all(senders.map((sender) => sender.idle()));
        }
      }
      if (isOpen) await late.query('commit');
      await late.end();
      receiver.behave(() => 'taken');
      await makeDue();
      await ask(store, 'update entra_sync.webhooks set claimed_until = null');
      await send();
      const all = (await feed()).filter((id) => !before.has(id));
      const first = [...new Set(idsOf(receiver.taken))];
      expect(new Set(first)).toEqual(new Set(all));
      for (const message of receiver.received) checkSignature(shownSecret(secret), message);
      const bodies = new Map<string, string>();
      for (const { id, body } of receiver.received) expect(bodies.set(id, bodies.get(id) ?? body).get(id)).toBe(body);
      expect((await standing()).failures).toBe(0);
      // A transaction that committed late may come after changes that have a higher number: each reader of the feed sees it so.
      const rowsNow = await readFeed(store, null, 1_000_000);
      const isLate = new Set(rowsNow.filter(({ kind }) => kind === 'tenant.connected').map((row) => row.change_id));
      expect(first.filter((id) => !isLate.has(id))).toEqual(all.filter((id) => !isLate.has(id)));
    }),
    { numRuns: runsOf(6, 100), ...drawn },
  );
});
