// Three workers, one of them killed, ten webhooks and very many changes: each change at least once, in order, none skipped.
import { expect, test } from 'vitest';
import { openDatabase, rows } from '../../../src/store/database/pool.ts';
import { addWebhook } from '../../../src/store/webhooks/webhooks.ts';
import { isSweep } from '../../support/deep.ts';
import { openFleet, until } from '../../support/fleet.ts';
import { startReceiver } from '../../support/receiver.ts';

const batches = isSweep ? 200 : 60;
const changesEach = 500;

test(`rule 52: ten webhooks get ${batches * changesEach} changes from three workers, of which one is killed`, async ({
  onTestFinished,
}) => {
  const fleet = await openFleet({ count: 1, users: 0 });
  const { database } = fleet;
  // The changes are written below; no cycle adds any.
  await rows(database, 'update entra_sync.tenants set paused = true');
  const receivers = await Promise.all(Array.from({ length: 10 }, () => startReceiver()));
  onTestFinished(async () => void (await Promise.all(receivers.map((one) => one.close()))));
  for (const { url } of receivers)
    await addWebhook(database, {
      ...{ tenantId: null, url, kinds: [], told: 'names', insecureLocal: true, form: 'changes', actor: 'test' },
    });
  for (let batch = 0; batch < batches; batch += 1)
    await rows(
      database,
      `with batch as (insert into entra_sync.batches (tenant_id) values (:tenantId) returning batch_id)
       insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id)
       select batch_id, :tenantId, 'test', 'account.updated', gen_random_uuid()
         from batch, generate_series(1, :changesEach)`,
      { tenantId: fleet.tenants[0]?.tenantId, changesEach },
    );
  const workers = [fleet.worker(), fleet.worker(), fleet.worker()];
  const taken = () => receivers.map((one) => one.taken.reduce((sum, { changes }) => sum + changes.length, 0));
  await until(
    'a third is sent',
    () => taken().reduce((sum, one) => sum + one, 0) > (batches * changesEach * 10) / 3,
    900,
  );
  workers[0]?.child.kill('SIGKILL');
  await until('all is sent', () => taken().every((one) => one >= batches * changesEach), 500);
  const reading = openDatabase(fleet.url);
  onTestFinished(() => reading.destroy());
  const feed = await rows<{ id: string }>(
    reading,
    `select c.change_id as id from entra_sync.batches b join entra_sync.changes c using (batch_id)
      order by b.number, c.change_id`,
  );
  const order = feed.map(({ id }) => id);
  expect(order).toHaveLength(batches * changesEach);
  for (const { taken: messages } of receivers) {
    const first = [...new Set(messages.flatMap(({ changes }) => changes))];
    expect(first).toEqual(order);
  }
});
