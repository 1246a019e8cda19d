// The short lines of the worker's log: first cycles that are done, and the summary of an interval.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { noCounts } from '../../src/rules/counts.ts';
import { loadDefaults } from '../../src/settings/settings.ts';
import { openSummary } from '../../src/worker/summary.ts';
import type { CycleReport } from '../../src/worker/tenant-job.ts';
import { setSettings } from '../support/settings.ts';
import { openStore } from '../support/stage.ts';
import { bufferLog } from '../support/system.ts';

test('a first cycle tells how many tenants are done, by name; each interval has one summary', async ({
  onTestFinished,
}) => {
  const store = await openStore();
  onTestFinished(() => store.close());
  const [first, second] = [randomUUID(), randomUUID()];
  const tenant = (id: string, name: string, more: object = {}) =>
    store.database
      .withSchema('entra_sync')
      .table('tenants')
      .insert({ tenant_id: id, name, ...more });
  await tenant(first, 'Contoso', { last_success_at: new Date() });
  await tenant(second, 'Fabrikam', { failures: 2 });
  await tenant(randomUUID(), 'Gone', { status: 'disconnected', last_success_at: new Date() });
  await tenant(randomUUID(), 'Paused', { paused: true });
  await setSettings(store.database, { interval: '1h' });
  const { log, text } = bufferLog();
  let minutes = 0;
  const { database } = store;
  const summary = openSummary({ database, log, defaults: loadDefaults() }, () => minutes * 60_000);
  const lines = () =>
    text()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));

  const stream = { ...noCounts, created: 3, held: 5 } as never;
  const report = (more: Partial<CycleReport>): CycleReport => ({
    tenantId: first,
    kind: 'incremental',
    outcome: 'committed',
    seconds: 1,
    streams: { users: stream, groups: noCounts as never },
    code: null,
    ...more,
  });
  summary.count(report({ kind: 'initial', firstLoad: { streams: { users: stream } } as never }));
  summary.count(report({ tenantId: second, kind: null, outcome: 'failed', streams: null, code: 'consent_missing' }));
  summary.count(report({ outcome: 'held' }));
  await summary.look();
  await summary.look();
  expect(lines()).toMatchObject([{ msg: 'first cycle done', tenantId: first, tenant: 'Contoso', done: 1, of: 2 }]);
  minutes = 61;
  await summary.look();
  await summary.look();
  expect(lines().slice(1)).toMatchObject([
    {
      msg: 'summary',
      ...{ minutes: 61, cycles: 3, failed: 1, held: 1, changes: 9 },
      tenants: { all: 2, synced: 1, failing: 1, held: 0 },
    },
  ]);
  minutes = 122;
  await summary.look();
  expect(lines().slice(2)).toMatchObject([{ msg: 'summary', cycles: 0, changes: 0 }]);
});
