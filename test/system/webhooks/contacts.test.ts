// Contacts of a tenant: told by mail of lost consent and held removals, and of nothing else. Given with the invitation, changed
// by verb and page.
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLog } from '../../../src/logger.ts';
import { loadDefaults } from '../../../src/settings/settings.ts';
import { connectTenant } from '../../../src/store/tenants/consent.ts';
import { contactsOf, setContacts } from '../../../src/store/tenants/contacts.ts';
import { createInvitation } from '../../../src/store/tenants/invitations.ts';
import { lookForTroubles } from '../../../src/store/webhooks/troubles.ts';
import { addWebhook } from '../../../src/store/webhooks/webhooks.ts';
import { openWebhookSender } from '../../../src/worker/webhook-sender.ts';
import { expectOneLine, runCli } from '../../support/cli.ts';
import { setSettings } from '../../support/settings.ts';
import { ask, leasedTenant, openStore, type Store } from '../../support/stage.ts';

let store: Store;
let tenant: string;
let server: SMTPServer;
let mails: string[] = [];

beforeEach(async () => {
  store = await openStore();
  const lease = await leasedTenant(store);
  await lease.release();
  tenant = lease.tenantId;
  await ask(store, "update entra_sync.tenants set name = 'Contoso', status = 'active' where tenant_id = :tenant", {
    tenant,
  });
  mails = [];
  server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData: (stream, _session, done) => {
      let text = '';
      stream.on('data', (chunk) => {
        text += chunk;
      });
      stream.on('end', () => {
        mails.push(text.replaceAll('=\r\n', '').replaceAll('=3D', '='));
        done();
      });
    },
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
});

afterEach(async () => {
  await new Promise<void>((resolve) => server.close(() => resolve()));
  await store.close();
});

const set = (addresses: string[]) => setContacts(store.database, { tenantId: tenant, addresses, actor: 'test' });

async function look(days: number | null = null, daysOf?: () => number | null): Promise<void> {
  await ask(store, "update entra_sync.trouble_watch set looked_at = '-infinity'");
  await lookForTroubles(store.database, days, daysOf);
}

/** Sends what is due, and returns the mails of it. */
async function sent(): Promise<string[]> {
  mails = [];
  await ask(store, 'update entra_sync.webhooks set next_at = now()');
  const url = `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
  const sender = openWebhookSender({
    ...{ database: store.database, log: createLog('silent'), signal: new AbortController().signal },
    ...{ mail: { url, from: 'sync@example.com' }, publicUrl: 'https://sync.example.com' },
    onError: (error) => {
      throw error;
    },
  });
  sender.look();
  await sender.idle();
  return mails;
}

const fail = (failures: number, code = 'consent_missing', message = '') =>
  ask(
    store,
    `update entra_sync.tenants set failures = :failures, last_error_code = :code, last_error_message = :message
      where tenant_id = :tenant`,
    {
      failures,
      code,
      message,
      tenant,
    },
  );

const hold = () =>
  ask(
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

test('rule 58: a contact is told of lost consent when it begins, a day later and when it is over, with the page and no command', async () => {
  await set(['it@contoso.example']);
  await fail(2);
  await look();
  const [mail = '', ...more] = await sent();
  expect(more).toEqual([]);
  expect(mail).toMatch(/^To: it@contoso\.example/m);
  expect(mail).toMatch(/^Subject: entra-sync: The consent of Contoso is missing/m);
  expect(mail).toContain(`https://sync.example.com/console/t/${tenant}`);
  expect(mail).not.toMatch(/Command|doctor/);
  expect(await sent()).toEqual([]);
  await ask(store, "update entra_sync.told_troubles set told_at = now() - interval '25 hours'");
  expect(await sent()).toEqual([expect.stringContaining('UTC.')]);
  await fail(0);
  await look();
  expect(await sent()).toEqual([expect.stringContaining('Contoso is read again.')]);
  expect(await sent()).toEqual([]);
});

test('rule 58: the application deleted in the tenant is lost consent too, another refused sign-in is not', async () => {
  await set(['it@contoso.example']);
  await fail(2, 'sign_in_failed', 'the sign-in failed (AADSTS90002)');
  await look();
  expect(await sent()).toEqual([]);
  await fail(3, 'sign_in_failed', 'the sign-in failed (AADSTS700016)');
  expect(await sent()).toEqual([expect.stringContaining('The consent of Contoso is missing')]);
});

test('rule 58: a contact is told of held removals, not of other failures, mass changes, certificates or other tenants', async () => {
  const other = await leasedTenant(store);
  await other.release();
  await set(['it@contoso.example']);
  await fail(2, 'graph_unavailable');
  await ask(store, "update entra_sync.tenants set notice = 'x', notice_at = now()");
  await ask(
    store,
    "update entra_sync.tenants set failures = 3, last_error_code = 'consent_missing' where tenant_id = :other",
    { other: other.tenantId },
  );
  await look(7);
  expect(await sent()).toEqual([]);
  await hold();
  await look(7);
  expect(await sent()).toEqual([
    expect.stringMatching(/1 removal of Contoso waits for a decision[\s\S]*\/console\/t\/[^/]+\/removals/),
  ]);
});

test.each(['tenant', 'installation'] as const)(
  'rule 58: notify.customer: false of the %s sends no contact a mail',
  async (of) => {
    await set(['it@contoso.example']);
    const own = of === 'tenant' ? tenant : null;
    await setSettings(store.database, { notify: { customer: false } }, own);
    await fail(2);
    await hold();
    await look();
    expect(await sent()).toEqual([]);
    await setSettings(store.database, { notify: { customer: true } }, own);
    expect(await sent()).toHaveLength(2);
  },
);

describe('contacts', () => {
  test('come with the invitation to a tenant that has none, and go with the tenant', async () => {
    const consent = async (addresses: string[], tenantId = tenant) => {
      const invitation = await createInvitation(store.database, {
        ...{ ref: 'customer-1', name: null, tenantId, expiresInMs: 60_000, contacts: addresses, actor: 'test' },
      });
      const { invitation_id: invitationId } = invitation;
      const by = { adminId: tenant, administrator: true, actor: 'test' };
      await connectTenant(store.database, { invitationId, tenantId, ...by }, loadDefaults());
      return contactsOf(store.database, tenantId);
    };
    expect(await consent(['it@contoso.example', 'a@contoso.example'])).toEqual([
      'a@contoso.example',
      'it@contoso.example',
    ]);
    expect(await consent(['other@contoso.example'])).toEqual(['a@contoso.example', 'it@contoso.example']);
    await ask(store, 'delete from entra_sync.tenants where tenant_id = :tenant', { tenant });
    expect(await ask(store, 'select from entra_sync.webhooks')).toEqual([]);
  });

  test('one that stays keeps its state; notices to others go on beside it', async () => {
    await set(['it@contoso.example', 'gone@contoso.example']);
    await ask(store, "update entra_sync.webhooks set failures = 3 where url like '%it@%'");
    await set(['IT@contoso.example', 'new@contoso.example']);
    expect(await ask(store, 'select url, failures, created_by from entra_sync.webhooks order by url')).toEqual([
      { url: 'mailto:it@contoso.example', failures: 3, created_by: 'test' },
      { url: 'mailto:new@contoso.example', failures: 0, created_by: 'test' },
    ]);
  });

  test('tenant contacts shows, adds and takes away; a wrong address changes nothing', async () => {
    const cli = (...words: string[]) =>
      runCli(['tenant', 'contacts', 'Contoso', ...words], { DATABASE_URL: store.url });
    expect((await cli()).stdout).toMatch(/has no contacts -> .*--add/);
    expect((await cli('--add', 'it@contoso.example', 'b@contoso.example')).stdout).toMatch(
      /tells b@contoso\.example, it@contoso\.example/,
    );
    const named = await runCli(['notify', 'log', 'IT@contoso.example'], { DATABASE_URL: store.url });
    expect(named.code).toBe(0);
    await setSettings(store.database, { notify: { customer: false } }, tenant);
    expect((await cli()).stdout).toMatch(/notify\.customer is false/);
    const listed = await runCli(['notify', 'list'], { DATABASE_URL: store.url, COLUMNS: '200' });
    expect(listed.stdout).toMatch(/contoso\.example +contact +not told: notify\.customer is false$/im);
    expect(listed.stdout).toMatch(/^Contacts are told with notify: \{ customer: true \}/m);
    expectOneLine(await cli('--add', 'a@x.example?bcc=b@x.example'), 2, /cannot be a contact/);
    expectOneLine(await cli('--remove', 'c@contoso.example'), 2, /is no contact of Contoso/);
    expect(JSON.parse((await cli('--remove', 'IT@contoso.example', '--json')).stdout)).toEqual({
      tenant_id: tenant,
      contacts: ['b@contoso.example'],
    });
    const audit = await ask(
      store,
      "select detail from directory.audit where act = 'contacts.changed' order by audit_id",
    );
    expect(audit).toEqual([{ detail: { contacts: 2 } }, { detail: { contacts: 1 } }]);
  });
});

describe('a certificate that ends', () => {
  const told = () =>
    ask<{ tenant_id: string; after: object }>(
      store,
      `select tenant_id, after from directory.changes where kind = 'tenant.credential_expires' order by change_id`,
    );

  test('of the installation is a row of the feed for each tenant that uses it, 30, 7 and 1 days before', async () => {
    const own = await leasedTenant(store);
    await own.release();
    const credential = { clientId: tenant, certificate: { file: '/nowhere.pem' } };
    await setSettings(store.database, { credential }, own.tenantId);
    const days = async (left: number, ofOwn: number | null) => {
      await look(left, () => ofOwn);
      await look(left, () => ofOwn);
    };
    await days(30, null);
    await days(7, null);
    await days(1, 7);
    expect(await told()).toEqual([
      { tenant_id: tenant, after: { days: 30, own: false } },
      { tenant_id: tenant, after: { days: 7, own: false } },
      ...[
        { tenant_id: tenant, after: { days: 1, own: false } },
        { tenant_id: own.tenantId, after: { days: 7, own: true } },
      ].sort((a, b) => (a.tenant_id < b.tenant_id ? -1 : 1)),
    ]);
  });

  test('is told to an address of all tenants once for the installation, and its end only when it is a new one', async () => {
    await addWebhook(store.database, {
      ...{ tenantId: null, url: 'mailto:ops@example.com', kinds: [], told: 'names', insecureLocal: false },
      ...{ form: 'mail', actor: 'test' },
    });
    const subjects = async () => (await sent()).map((mail) => /^Subject: entra-sync: (.*)\r$/m.exec(mail)?.[1]);
    await look(30);
    expect(await subjects()).toEqual(['The certificate of the application ends within 30 days']);
    await look(7);
    expect(await subjects()).toEqual(['The certificate of the application ends within 7 days']);
    await look(null);
    expect(await subjects()).toEqual([
      'The certificate of the application is a new one',
      'The certificate of the application is a new one',
    ]);
  });
});
