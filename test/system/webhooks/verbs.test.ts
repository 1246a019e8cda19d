// `webhook` as a person uses it, and a worker process that sends.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { expectOneLine, runCli } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { openFleet, until } from '../../support/fleet.ts';
import { checkSignature, type Receiver, startReceiver } from '../../support/receiver.ts';
import { openStore, type Store } from '../../support/stage.ts';

let store: Store;
let receiver: Receiver;

beforeAll(async () => {
  [store, receiver] = await Promise.all([openStore(), startReceiver()]);
});

afterAll(async () => {
  await receiver.close();
  await store.close();
});

const cli = (...words: string[]) => runCli(words, { DATABASE_URL: store.url });
const answerOf = async (...words: string[]) => {
  const { code, stdout, stderr } = await cli(...words, '--json');
  return { code, answer: JSON.parse(stdout), stderr };
};

describe.concurrent('refusals are one line, and add nothing', () => {
  test.each<[string[], number, RegExp]>([
    [['add', 'http://app.example.com/'], 2, /does not begin with https:\/\/ -> .*--insecure-local/],
    [['add', 'https://192.168.0.1/'], 2, /whole internet reaches/],
    [['add', 'https://app.example.com/', '--values', 'some'], 2, /--values is "some" -> give none, names or all/],
    [['add', 'https://app.example.com/', '--kinds', 'accounts.*'], 2, /no kind of change is called "accounts.\*"/],
    [['add', 'https://app.example.com/', '--tenant', 'Nobody'], 2, /Nobody/],
    [['test', '00000000'], 2, /no webhook is called "00000000" -> entra-sync webhook list/],
    [['replay', '00000000'], 2, /--from/],
    [['log', '00000000', '--limit', '0'], 2, /limit/],
  ])('webhook %j', async (words, code, line) => {
    expectOneLine(await cli('webhook', ...words), code, line);
    expect(await rows(store.database, 'select from entra_sync.webhooks')).toEqual([]);
  });
});

test('a webhook is added, tested, listed, paused, resumed, rotated and taken away, and each act is in the audit', async () => {
  const { code, stdout, stderr } = await cli(
    'webhook',
    'add',
    receiver.url,
    '--insecure-local',
    '--kinds',
    'account.*',
  );
  expect(code, stderr).toBe(0);
  const [, id = ''] = /Webhook ([0-9a-f-]{36}) is added for all tenants/.exec(stdout) ?? [];
  const [, secret = ''] = /Secret: +(whsec_\S+)/.exec(stdout) ?? [];
  const short = id.slice(0, 8);
  const tested = await cli('webhook', 'test', short);
  expect([tested.code, tested.stdout]).toEqual([0, expect.stringMatching(/took the message: 200 \(\d+ ms\)/)]);
  checkSignature(secret, receiver.received[0] ?? expect.unreachable());
  receiver.behave(() => ({ status: 500, text: 'out of \u001b[31morder' }));
  const failed = await cli('webhook', 'test', receiver.url);
  expect([failed.code, failed.stdout]).toEqual([
    5,
    expect.stringMatching(/did not take the message: 500[\s\S]*out of +\[31morder/),
  ]);
  expect((await cli('webhook', 'list')).stdout).toMatch(
    new RegExp(`${id} +all +${receiver.url} +account\\.\\* +names +up to date`),
  );
  expect((await cli('webhook', 'log', short)).stdout).toMatch(/Nothing was sent/);
  expect((await answerOf('webhook', 'pause', short)).answer.changed).toBe(true);
  expect((await cli('webhook', 'pause', short)).stdout).toMatch(/paused already: 0 changes/);
  expect((await cli('webhook', 'list')).stdout).toMatch(/paused by hand[\s\S]*-> entra-sync webhook test/);
  expect((await answerOf('webhook', 'resume', short)).answer.changed).toBe(true);
  expect((await answerOf('webhook', 'rotate', short)).answer.secret).toMatch(/^whsec_/);
  expect((await answerOf('webhook', 'replay', short, '--from', '1h')).answer.webhook_id).toBe(id);
  expect((await answerOf('webhook', 'remove', short)).answer.removed).toBe(true);
  expect((await cli('webhook', 'list')).stdout).toMatch(/There is no webhook -> entra-sync webhook add URL/);
  const acts = await rows<{ act: string; detail: { webhook_id: string } }>(
    store.database,
    "select act, detail from directory.audit where act like 'webhook.%' order by at",
  );
  expect(acts.map(({ act }) => act.slice(8))).toEqual(['added', 'paused', 'resumed', 'rotated', 'replayed', 'removed']);
  expect(acts.every(({ detail }) => detail.webhook_id === id)).toBe(true);
  // Nothing that was shown once is anywhere else in words.
  expect(JSON.stringify(acts)).not.toContain(secret);
});

test.runIf(isDeep)(
  'a worker sends the changes of its cycles, tells a webhook in need, and ends at once amid an answer',
  async () => {
    const fleet = await openFleet({ count: 1, users: 4 });
    const own = await startReceiver();
    const inFleet = (...words: string[]) => runCli(words, { DATABASE_URL: fleet.url });
    try {
      expect((await inFleet('webhook', 'add', own.url, '--insecure-local', '--kinds', 'account.created')).code).toBe(0);
      const worker = fleet.worker();
      await until('the accounts', () => own.taken.flatMap(({ changes }) => changes).length >= 4);
      own.behave(() => ({ status: 410 }));
      await inFleet('webhook', 'replay', own.url, '--from', '1h');
      await until('the pause', async () => (await inFleet('status')).stdout.includes('paused: it answered 410, gone'));
      own.behave(() => 'silent');
      const before = own.received.length;
      await inFleet('webhook', 'resume', own.url);
      await until('the next message', () => own.received.length > before);
      worker.child.kill('SIGTERM');
      const ended = await worker.ended;
      expect(ended.code, ended.stderr).toBe(0);
      expect(ended.stderr).toMatch(/"because":"gone".*"a webhook is paused"/);
      expect(ended.stderr).not.toMatch(/127\.0\.0\.1:\d+\/hook/);
    } finally {
      await own.close();
    }
  },
);
