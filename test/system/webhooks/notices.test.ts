// Notices of troubles: once when one begins, daily while it lasts, once when it ends, in each form, and in the change feed.
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLog } from '../../../src/logger.ts';
import { daysLeft, type Notice, noticeText } from '../../../src/rules/notices.ts';
import type { NoticeForm } from '../../../src/rules/webhooks.ts';
import { lookForTroubles } from '../../../src/store/webhooks/troubles.ts';
import { addWebhook, type ListedWebhook, listAttempts, listWebhooks } from '../../../src/store/webhooks/webhooks.ts';
import { sendMail } from '../../../src/webhooks/mail.ts';
import { noticeBody, noticeMail } from '../../../src/webhooks/notice.ts';
import { shownSecret } from '../../../src/webhooks/signature.ts';
import { webhooksInNeed } from '../../../src/words/webhooks.ts';
import { openWebhookSender, type SenderOptions } from '../../../src/worker/webhook-sender.ts';
import { expectOneLine, runCli } from '../../support/cli.ts';
import { checkSignature, type Receiver, startReceiver } from '../../support/receiver.ts';
import { ask, leasedTenant, openStore, type Store } from '../../support/stage.ts';

let store: Store;
let receiver: Receiver;
let tenant: string;

beforeEach(async () => {
  [store, receiver] = await Promise.all([openStore(), startReceiver()]);
  const lease = await leasedTenant(store);
  await lease.release();
  tenant = lease.tenantId;
  await ask(store, "update entra_sync.tenants set name = 'Contoso', status = 'active' where tenant_id = :tenant", {
    tenant,
  });
});

afterEach(async () => {
  await receiver.close();
  await store.close();
});

const add = (form: NoticeForm = 'json', url = receiver.url, tenantId: string | null = null) =>
  addWebhook(store.database, {
    ...{ tenantId, url, kinds: [], told: 'names', insecureLocal: true, form, actor: 'test' },
  });

async function look(days: number | null = null): Promise<number> {
  await ask(store, "update entra_sync.trouble_watch set looked_at = '-infinity'");
  return lookForTroubles(store.database, days);
}

async function send(options: Pick<SenderOptions, 'mail' | 'publicUrl'> = {}): Promise<void> {
  await ask(store, 'update entra_sync.webhooks set next_at = now()');
  const sender = openWebhookSender({
    ...{ database: store.database, log: createLog('silent'), signal: new AbortController().signal, ...options },
    onError: (error) => {
      throw error;
    },
  });
  sender.look();
  await sender.idle();
}

const fail = (failures: number) =>
  ask(
    store,
    "update entra_sync.tenants set failures = :failures, last_error_code = 'consent_missing' where tenant_id = :tenant",
    {
      ...{ failures, tenant },
    },
  );
const typesOf = () => receiver.received.map(({ type }) => type);
const told = () =>
  ask<{ kind: string; before: object | null; after: object | null }>(
    store,
    "select kind, before, after from directory.changes where kind like 'tenant.%' order by change_id",
  );

test('rule 54: a failing tenant is told once when it begins, a day later, and when it is read again; the feed tells begin and end', async () => {
  const { secret } = await add();
  await fail(1);
  expect(await look()).toBe(0);
  await fail(2);
  expect([await look(), await look()]).toEqual([1, 0]);
  await send({ publicUrl: 'https://sync.example.com' });
  await send();
  expect(typesOf()).toEqual(['trouble.begins']);
  const [message] = receiver.received;
  checkSignature(shownSecret(secret), message ?? expect.unreachable());
  expect(JSON.parse(message?.body ?? '').data).toMatchObject({
    ...{ kind: 'failing', tenant_id: tenant, tenant_name: 'Contoso', detail: { code: 'consent_missing' } },
    sentence: 'The cycles of Contoso fail (consent_missing).',
    cure: 'entra-sync doctor "Contoso"',
    url: `https://sync.example.com/console/t/${tenant}`,
  });
  await ask(store, "update entra_sync.told_troubles set told_at = now() - interval '25 hours'");
  await send();
  await send();
  expect(typesOf()).toEqual(['trouble.begins', 'trouble.lasts']);
  await fail(0);
  expect(await look()).toBe(1);
  await send();
  await send();
  expect(typesOf()).toEqual(['trouble.begins', 'trouble.lasts', 'trouble.ended']);
  expect(JSON.parse(receiver.received[2]?.body ?? '').data).toMatchObject({
    sentence: 'Contoso is read again.',
    cure: null,
  });
  const code = { code: 'consent_missing' };
  expect(await told()).toEqual([
    { kind: 'tenant.failing', before: null, after: code },
    { kind: 'tenant.recovered', before: code, after: null },
  ]);
  expect((await listWebhooks(store.database))[0]).toMatchObject({ failures: 0, behind_since: null });
});

test('a notice of a tenant that is purged goes with it, also while it is sent', async () => {
  const purge = () => ask(store, 'delete from entra_sync.tenants where tenant_id = :tenant', { tenant });
  await add();
  await fail(2);
  await look();
  receiver.behave(async () => {
    await purge();
    return { status: 500 };
  });
  await send();
  expect(receiver.received).toHaveLength(1);
  const kept = await ask(store, 'select lot_id, lot_notice, failures, state from entra_sync.webhooks');
  expect(kept).toEqual([{ lot_id: null, lot_notice: null, failures: 0, state: 'active' }]);
  await send();
  expect(receiver.received).toHaveLength(1);
});

test('rule 54: a notice that is not taken is sent again; one that was over before it was taken says the beginning, then the end', async () => {
  const { id } = await add();
  await fail(3);
  await look();
  receiver.behave(() => ({ status: 500 }));
  await send();
  await fail(0);
  await look();
  receiver.behave(() => 'taken');
  await send();
  await send();
  expect(receiver.taken.map(({ type }) => type)).toEqual(['trouble.begins', 'trouble.ended']);
  expect(receiver.taken[0]?.id).toBe(receiver.received[0]?.id);
  expect(await listAttempts(store.database, id, 10)).toHaveLength(3);
});

test('an address of one tenant hears of no other, nor of the certificate; a paused or disconnected tenant is no trouble', async () => {
  const other = await leasedTenant(store);
  await other.release();
  await add('json', receiver.url, other.tenantId);
  await fail(3);
  // The tenant that fails, the certificate, and what the feed of both tenants says of it.
  expect(await look(7)).toBe(4);
  await send();
  expect(receiver.received).toEqual([]);
  await ask(store, 'update entra_sync.tenants set paused = true where tenant_id = :tenant', { tenant });
  expect(await look(7)).toBe(1);
  expect(await look(1)).toBe(6);
});

test('a trouble of a tenant that another transaction holds is told by the next look, and delays no other', async () => {
  const other = await leasedTenant(store);
  await other.release();
  await ask(store, "update entra_sync.tenants set failures = 2, last_error_code = 'defect'");
  const holder = await store.connect();
  await holder.query('begin');
  await holder.query('select from entra_sync.tenants where tenant_id = $1 for no key update', [tenant]);
  expect(await look()).toBe(1);
  expect(
    (await ask<{ id: string }>(store, 'select tenant_id as id from entra_sync.troubles')).map(({ id }) => id),
  ).toEqual([other.tenantId]);
  await holder.query('commit');
  expect([await look(), await look()]).toEqual([1, 0]);
});

test('held removals, a mass change and a waiting consent are troubles, each told once in the feed where there is a tenant', async () => {
  await ask(
    store,
    `with list as (
       insert into entra_sync.removal_lists (tenant_id, stream, why) values (:tenant, 'users', 'a test') returning list_id
     ), account as (
       insert into entra_sync.accounts (tenant_id, state) values (:tenant, 'managed') returning account_id
     )
     insert into entra_sync.held_removals (list_id, tenant_id, object_id, account_id, reason)
     select list_id, :tenant, account_id, account_id, 'not_seen' from list, account`,
    { tenant },
  );
  await ask(
    store,
    "update entra_sync.tenants set notice = '12 of 20 profiles changed.', notice_at = now() where tenant_id = :tenant",
    { tenant },
  );
  expect(await look()).toBe(2);
  await add();
  await send();
  const sentences = receiver.received.map(({ body }) => JSON.parse(body).data.sentence).toSorted();
  expect(sentences).toEqual([
    expect.stringMatching(/^1 removal of Contoso waits for a decision \(list \d+\)\.$/),
    'Very many profiles of Contoso changed at once: 12 of 20 profiles changed.',
  ]);
  expect((await told()).map(({ kind }) => kind).toSorted()).toEqual(['tenant.noticed', 'tenant.removals_held']);
  await ask(store, 'delete from entra_sync.tenants where tenant_id = :tenant', { tenant });
  expect(await ask(store, 'select from entra_sync.troubles')).toEqual([]);
});

test('mail goes out by a real server, with the sentence, the command and the link; without a server the log says so', async () => {
  const mails: string[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData: (stream, _session, done) => {
      let text = '';
      stream.on('data', (chunk) => {
        text += chunk;
      });
      stream.on('end', () => {
        mails.push(text);
        done();
      });
    },
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const url = `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
  try {
    // A part of an address that is no part of a URL.
    const { id } = await add('mail', 'mailto:ops#1@example.com');
    await fail(2);
    await look();
    await send();
    expect((await listAttempts(store.database, id, 1))[0]?.problem).toBe('no mail server: the worker has no SMTP_URL');
    await send({ mail: { url, from: 'sync@example.com' }, publicUrl: 'https://sync.example.com' });
    const text = mails.join().replaceAll('=\r\n', '');
    expect(text).toMatch(/^Subject: entra-sync: The cycles of Contoso fail/m);
    expect(text).toMatch(/^To: ops#1@example\.com/m);
    expect(text).toMatch(/^Auto-Submitted: auto-generated/im);
    expect(text).toContain('Command: entra-sync doctor "Contoso"');
    expect(text.replaceAll('=3D', '=')).toContain(`https://sync.example.com/console/t/${tenant}`);
    expect((await listAttempts(store.database, id, 1))[0]).toMatchObject({ status: 200, problem: null });
  } finally {
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
});

test.each([
  ['says nothing', () => {}],
  ['never ends its greeting', (socket: Socket) => void socket.write('220-x\r\n'.repeat(1_000))],
])(
  'a mail server that %s holds no worker',
  async (_what, greet) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      greet(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const mail = { to: 'ops@example.com', subject: 's', text: 't', messageId: 'm' };
    const from = 'sync@example.com';
    expect(await sendMail({ url, from }, mail, new AbortController().signal, 200)).toMatchObject({
      status: null,
      problem: 'the mail server took longer than 0.2 s',
    });
    await expect(sendMail({ url, from }, mail, AbortSignal.timeout(50))).rejects.toThrow(/timeout/);
    // Both connections are closed.
    await new Promise((resolve) => server.close(resolve));
  },
  5_000,
);

const notice: Notice = {
  ...{ trouble_id: '1', phase: 'begins', kind: 'failing', key: '', tenant_id: 'id', tenant_name: 'A <b> & "C"' },
  ...{ since: '2026-11-28T09:30:00Z', detail: { code: 'consent_missing' } },
};

describe('forms', () => {
  const sent = { webhookId: 'w', at: new Date(0), notice, publicUrl: 'https://x.example' };

  test('Slack: markup of names is none', () => {
    expect(JSON.parse(noticeBody('slack', sent))).toEqual({
      text: 'The cycles of A &lt;b&gt; &amp; "C" fail (consent_missing).\n`entra-sync doctor \'A &lt;b&gt; &amp; "C"\'`\n<https://x.example/console/t/id|Open the console>',
    });
  });

  test('Teams: an adaptive card with a button', () => {
    const { type, attachments } = JSON.parse(noticeBody('teams', sent));
    expect([type, attachments[0].contentType]).toEqual(['message', 'application/vnd.microsoft.card.adaptive']);
    expect(attachments[0].content).toMatchObject({
      ...{
        type: 'AdaptiveCard',
        body: [
          // A TextBlock would be Markdown, in which a name can be a link.
          { type: 'RichTextBlock', inlines: [{ type: 'TextRun', text: expect.stringContaining('A <b> & "C"') }] },
          { type: 'RichTextBlock', inlines: [{ type: 'TextRun', fontType: 'Monospace' }] },
        ],
      },
      actions: [{ type: 'Action.OpenUrl', url: 'https://x.example/console/t/id' }],
    });
  });

  test('a mail has one line as its subject, and without an address of the console no link', () => {
    const mail = noticeMail({ notice: { ...notice, tenant_name: 'A\r\nBcc: x@y.example' }, publicUrl: undefined });
    expect(mail.subject).not.toMatch(/[\r\n]/);
    expect(mail.text).not.toContain('https://');
  });

  test.each([
    [
      { kind: 'waiting', key: 'customer-7', tenant_name: null },
      /^Customer customer-7 has consented for the tenant id, and waits/,
      /tenant approve id --ref "customer-7"/,
    ],
    // The command is copied into a shell.
    [{ tenant_name: "$(id)'s" }, /^The cycles of \$\(id\)'s fail/, /^entra-sync doctor '\$\(id\)'\\''s'$/],
    [{ kind: 'credential_expires', key: '1', tenant_id: null }, /ends within a day\.$/, /doctor/],
    [
      { kind: 'removals_held', key: '7', detail: { count: 1200 }, phase: 'lasts' },
      /^1,200 removals of .* \(list 7\), since 2026-11-28 09:30 UTC\.$/,
      /removals list/,
    ],
  ] as const)('%j', (change, sentence, cure) => {
    const text = noticeText({ ...notice, ...change } as Notice);
    expect(text.sentence).toMatch(sentence);
    expect(text.cure).toMatch(cure);
  });

  test('a status names an address that needs a person without its path, which a chat takes for the password', () => {
    const stopped = { state: 'paused', paused_because: 'gone', form: 'slack', webhook_id: 'w' } as ListedWebhook;
    const says = (url: string) => webhooksInNeed([{ ...stopped, url }])[0]?.says;
    expect(says('https://hooks.slack.com/services/T0/B0/secret?x=y')).toBe(
      'The address of notices https://hooks.slack.com/… is paused: it answered 410, gone',
    );
    expect(says('mailto:ops@example.com')).toContain(' mailto:ops@example.com is');
  });

  test('a certificate is told 30, 7 and 1 days before its end', () => {
    const now = new Date('2026-11-28T00:00Z');
    const at = (days: number) => daysLeft(new Date(now.getTime() + days * 86_400_000), now);
    expect([40, 30, 8, 7, 2, 1, -1].map(at)).toEqual([undefined, 30, 30, 7, 7, 1, 1]);
  });
});

describe('notify', () => {
  const cli = (...words: string[]) => runCli(['notify', ...words], { DATABASE_URL: store.url });

  test('adds, tests, lists and removes an address; refuses what is none', async () => {
    for (const [words, line] of [
      [['add', 'mailto:a@x.example,b@x.example'], /not one address of mail/],
      [['add', 'mailto:a@x.example?bcc=b@x.example'], /not one address of mail/],
      [['add', 'mailto:a@x.example', '--form', 'slack'], /--form cannot be "slack"/],
      [['add', 'http://x.example/'], /https/],
    ] as const)
      expectOneLine(await cli(...words), 2, line);
    const added = await cli('add', receiver.url, '--insecure-local', '--form', 'slack');
    expect([added.code, added.stdout]).toEqual([0, expect.not.stringContaining('Secret')]);
    expect((await cli('test', receiver.url)).stdout).toMatch(/took the message: 200/);
    expect(JSON.parse(receiver.received[0]?.body ?? '{}').text).toBe('This is a test of notices.');
    expect((await cli('list')).stdout).toMatch(/slack +up to date/);
    expect((await runCli(['webhook', 'list'], { DATABASE_URL: store.url })).stdout).toMatch(/There is no webhook/);
    expect((await cli('remove', receiver.url)).code).toBe(0);
    expect((await cli('list')).stdout).toMatch(/No address is told of troubles -> entra-sync notify add/);
  });
});
