// Webhooks on pages: how they stand, what was sent, and the acts, which are those of the command line.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testSender } from '../../../src/cli/test-message.ts';
import { addWebhook, listWebhooks } from '../../../src/store/webhooks/webhooks.ts';
import { consolePages } from '../../../src/web/console/pages.ts';
import { startReceiver } from '../../support/receiver.ts';
import { ask } from '../../support/stage.ts';
import { type OwnWeb, openWeb, ops, serveOn, type WebBrowser } from '../../support/web.ts';

const page = '/console/webhooks';
const secretPath = 'T0B0-as-good-as-a-password';

let web: OwnWeb;
let operator: WebBrowser;
let id = '';
let chat = '';

beforeAll(async () => {
  web = await openWeb();
  operator = await web.browser(ops('act'));
});

afterAll(() => web?.close());

const add = (form: 'changes' | 'slack', url: string) =>
  addWebhook(web.store.database, {
    ...{ tenantId: null, url, kinds: ['account.*'], told: 'names', insecureLocal: false, form, actor: '<b>Ann</b>' },
  });
const standing = async () => (await listWebhooks(web.store.database)).find((one) => one.webhook_id === id);

test('an empty page says what comes first; each webhook stands there by its host, without what is secret in its address', async () => {
  expect((await operator.get(page)).text).toContain('entra-sync webhook add URL');
  ({ id } = await add('changes', 'https://app.example.com/hook'));
  ({ id: chat } = await add('slack', `https://hooks.example.com/${secretPath}`));
  await ask(
    web.store,
    `insert into entra_sync.webhook_attempts (webhook_id, message_id, changes, status, problem, answer, ms)
     values (:id, 'msg_1', 7, 503, null, '<script>no</script>', 12)`,
    { id },
  );
  await ask(web.store, 'update entra_sync.webhooks set failures = 3, failing_since = now() where webhook_id = :id', {
    id,
  });
  const { text } = await operator.get(page);
  for (const word of ['app.example.com', 'hooks.example.com', 'failing since', 'status 503', 'all tenants'])
    expect(text).toContain(word);
  const one = await operator.get(`${page}/${id}`);
  for (const word of ['&lt;script&gt;no', '&lt;b&gt;Ann', 'msg_1', 'account.*', 'Try now'])
    expect(one.text).toContain(word);
  expect(text + one.text + (await operator.get(`${page}/${chat}`)).text).not.toContain(secretPath);
});

test('it is paused, resumed and sent again, each in the audit; a time that is wrong or too old is told at its field', async () => {
  const act = (name: string, form: Record<string, string> = {}, of = id) =>
    operator.post(`${page}/${of}/${name}`, form);
  expect((await act('resume')).status).toBe(303);
  expect(await standing()).toMatchObject({ state: 'active', failures: 0 });
  expect((await act('pause')).status).toBe(303);
  expect((await act('pause')).status).toBe(303);
  expect(await standing()).toMatchObject({ state: 'paused', paused_because: 'by_hand' });
  expect((await act('replay', { from: '2026-11-28T09:30' })).status).toBe(303);
  for (const from of ['2026-02-28T99:00', '2026-02-31T09:30']) {
    const wrong = await act('replay', { from });
    expect([wrong.status, wrong.text.includes('href="#from"')], from).toEqual([422, true]);
  }
  for (const [name, of] of [
    ['replay', chat],
    ['pause', randomUUID()],
    ['pause', 'none'],
  ] as const)
    expect((await act(name, { from: '2026-11-28T09:30' }, of)).status, `${name} ${of}`).toBe(404);
  const acts = await ask<{ act: string }>(
    web.store,
    "select act from entra_sync.audit where act like 'webhook.%' and detail ->> 'outcome' = 'done' order by audit_id",
  );
  expect(acts.map((one) => one.act)).toEqual([
    'webhook.resumed',
    'webhook.paused',
    'webhook.paused',
    'webhook.replayed',
  ]);
});

test('a test message is sent from the page, which shows the answer; it moves no position, and a process that sends none has no button', async () => {
  const receiver = await startReceiver();
  const sending = await serveOn(web.store.database, consolePages, { sendTest: testSender({}) });
  try {
    const [person, local] = [await sending.browser(ops('act')), { insecureLocal: true, url: receiver.url }];
    const made = await addWebhook(web.store.database, {
      ...{ tenantId: null, kinds: [], told: 'names', form: 'changes', actor: 'Ann', ...local },
    });
    const path = `${page}/${made.id}`;
    expect((await person.get(path)).text).toContain('Send a test message');
    const taken = await person.post(`${path}/test`);
    expect([taken.status, /The address took the message: status 200, \d+ ms/.test(taken.text)]).toEqual([200, true]);
    expect(receiver.received.map(({ type }) => type)).toEqual(['webhook.test']);
    receiver.behave(() => ({ status: 500, text: '<b>no</b>' }));
    const refused = await person.post(`${path}/test`);
    for (const word of ['did not take the message: status 500', '&lt;b&gt;no&lt;/b&gt;'])
      expect(refused.text).toContain(word);
    expect((await listWebhooks(web.store.database)).find((one) => one.webhook_id === made.id)).toMatchObject({
      ...{ failures: 0, taken_at: null, last_status: null },
    });
    const audit =
      "select detail - 'webhook_id' as detail from entra_sync.audit where act = 'webhook.tested' order by audit_id";
    expect(await ask(web.store, audit)).toEqual([
      { detail: { status: 200, taken: true, outcome: 'done' } },
      { detail: { status: 500, taken: false, outcome: 'done' } },
    ]);
    const reader = await sending.browser(ops('read'));
    expect((await reader.post(`${path}/test`)).status).toBe(404);
    expect((await operator.get(path)).text).not.toContain('Send a test message');
    expect((await operator.post(`${path}/test`)).status).toBe(404);
  } finally {
    await sending.close();
    await receiver.close();
  }
});

test('those who look act on none; an administrator of a tenant does not see them', async () => {
  const reader = await web.browser(ops('read'));
  const { status, text } = await reader.get(`${page}/${id}`);
  expect([status, text.includes(`action="${page}`)]).toEqual([200, false]);
  expect((await reader.post(`${page}/${id}/resume`)).status).toBe(404);
  const admin = await web.browser({ tenantId: randomUUID(), objectId: randomUUID(), directoryRole: 'admin' });
  expect((await admin.get(page)).status).not.toBe(200);
});
