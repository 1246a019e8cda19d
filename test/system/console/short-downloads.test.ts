// Held removals, cycles, assignments, invitations and webhooks as CSV: each row once, nothing of another tenant, no secret address.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { heldOf, type ListedHeld } from '../../../src/store/commit/removal-lists.ts';
import { inTransaction } from '../../../src/store/database/pool.ts';
import { addWebhook } from '../../../src/store/webhooks/webhooks.ts';
import { ask, sync, tombstone } from '../../support/stage.ts';
import { type OwnWeb, openWeb, ops, type WebBrowser } from '../../support/web.ts';
import { assignInScene, openScene, type Scene } from '../../support/writers.ts';

let web: OwnWeb;
let scene: Scene;
let operator: WebBrowser;
let base: string;

beforeAll(async () => {
  web = await openWeb();
  scene = await openScene(web.store);
  base = `/console/t/${scene.tenantId}`;
  operator = await web.browser(ops('read'));
});

afterAll(() => web?.close());

const linesOf = async (path: string) => {
  const { status, text } = await operator.get(path);
  expect(status, path).toBe(200);
  return text.trimEnd().split('\r\n');
};

test('held removals of all open lists come lot by lot, each once, and in one file', async () => {
  const more = { removals: { max: 0, percent: 0, floor: 0 } };
  await sync(web.store, scene.lease, 'incremental', [[tombstone(5), tombstone(6)]], more);
  const held: ListedHeld[] = [];
  await inTransaction(web.store.database, async (read) => {
    for (let lot = await heldOf(read, scene.tenantId, undefined, 1); lot.length > 0; ) {
      held.push(...lot);
      lot = await heldOf(read, scene.tenantId, lot.at(-1), 1);
    }
  });
  const accounts = [4, 5, 6].map((n) => scene.accounts[n]);
  expect(new Set(held.map((one) => one.account_id))).toEqual(new Set(accounts));
  expect(held).toHaveLength(3);
  const lines = await linesOf(`${base}/removals.csv`);
  expect(lines).toHaveLength(4);
  for (const id of accounts) expect(lines.filter((line) => line.includes(`${id}`))).toHaveLength(1);
});

test('cycles and assignments of a tenant, invitations and webhooks of all', async () => {
  await assignInScene(scene);
  const url = 'https://hooks.example.com/services/secret-of-the-chat';
  const form = { kinds: [], told: 'names', insecureLocal: false, form: 'changes' } as const;
  await addWebhook(web.store.database, { tenantId: null, url, ...form, actor: 'Ann' });
  await ask(
    web.store,
    `insert into entra_sync.cycles (tenant_id, kind, actor, fence, started_at, finished_at, outcome, settings_version)
     values (:tenant, 'incremental', 'worker', 1, now() - interval '1 hour', now(), 'committed', 1)`,
    { tenant: scene.tenantId },
  );
  expect((await linesOf(`${base}/cycles.csv`))[1]).toMatch(/^\d+,incremental,.*,committed,/);
  const assignments = await linesOf(`${base}/assignments.csv`);
  expect(
    assignments
      .slice(1)
      .map((line) => line.split(',').slice(1, 4).join(' '))
      .sort(),
  ).toEqual(['banner clerks field', 'banner corp everyone', 'banner team group']);
  const webhooks = (await linesOf('/console/webhooks.csv')).join('\n');
  expect(webhooks).toContain('hooks.example.com');
  expect(webhooks).not.toContain('secret-of-the-chat');
  expect(await linesOf('/console/invitations.csv')).toHaveLength(1);
  for (const list of ['removals', 'cycles', 'assignments'])
    expect((await operator.get(`/console/t/${randomUUID()}/${list}.csv`)).status, list).toBe(404);
  for (const list of ['removals', 'assignments'])
    expect((await operator.get(`${base}/${list}`)).text).toContain(`${base}/${list}.csv`);
});
