// Few connections, two workers that may open 22 each, and fifty new tenants: the workers wait for connections of their own,
// what fails all the same counts against no tenant, and all tenants are synced (rule 21).
import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { openGraphAccess } from '../../../src/app.ts';
import { readEnvironment } from '../../../src/environment.ts';
import { workerConnections } from '../../../src/rules/connections.ts';
import { loadDefaults } from '../../../src/settings/settings.ts';
import { createTenant, startSimulator } from '../../../src/simulator/index.ts';
import { type Database, openDatabase, rows, sqlState } from '../../../src/store/database/pool.ts';
import { openEmbedded } from '../../../src/store/embedded/embedded.ts';
import { openQueue } from '../../../src/store/queue/queue.ts';
import { migrate } from '../../../src/store/schema/migrate.ts';
import { openRests } from '../../../src/worker/rests.ts';
import { runWorker } from '../../../src/worker/worker.ts';
import { temporaryDirectory } from '../../support/cli.ts';
import { register } from '../../support/fleet.ts';
import { bufferLog, expectTruth, fastPolicy, takeEverybody, trust } from '../../support/system.ts';

const concurrency = 4;
// One second of the test for a minute of the workers.
const faster = 60;

/** A server of twelve connections, three of which are kept for superusers. */
async function openSmallServer(limit: string): Promise<{ url: string; admin: Database }> {
  const home = await temporaryDirectory((remove) => onTestFinished(remove));
  const server = await openEmbedded({ home, settings: ['max_connections=12'] });
  const admin = openDatabase(server.url, { maxConnections: 1 });
  onTestFinished(async () => {
    await admin.destroy();
    await server.close();
    await rm(home, { recursive: true, force: true });
  });
  await migrate(server.url);
  await admin.raw(`
    create role worker login password 'worker' ${limit};
    grant usage on schema directory, entra_sync, entra_sync_jobs to worker;
    grant select, insert, update, delete on all tables in schema entra_sync, entra_sync_jobs to worker;
    grant select on all tables in schema directory to worker;
    grant usage on all sequences in schema entra_sync, entra_sync_jobs to worker;
    grant execute on all functions in schema directory, entra_sync, entra_sync_jobs to worker`);
  const url = Object.assign(new URL(server.url), { username: 'worker', password: 'worker' });
  return { url: url.href, admin };
}

/** Asks again while the workers have all connections: the pool makes itself a new one each minute. */
async function granted<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    if (sqlState(error) !== '53300') throw error;
    await delay(50);
    return granted(ask);
  }
}

test.each([
  ['twelve connections', ''],
  ['eight connections for the role', 'connection limit 8'],
])('rule 21: fifty new tenants on %s are all synced, and no failure counts against any', async (_, limit) => {
  const tenants = Array.from({ length: 50 }, (_, n) =>
    createTenant({
      seed: n + 1,
      users: 3,
      name: `Tenant ${n + 1}`,
      tenantId: `00000000-0000-4000-8000-${`${n}`.padStart(12, '0')}`,
    }),
  );
  const simulator = await startSimulator({ tenants });
  onTestFinished(() => simulator.close());
  trust(simulator.certificate);
  const { url, admin } = await openSmallServer(limit);
  await takeEverybody(admin, 'quick');
  await register(admin, tenants);
  const { log, text } = bufferLog('warn');
  const stop = new AbortController();
  const workers = [1, 2].map(async () => {
    const { perTenant, beside } = workerConnections;
    const database = openDatabase(url, { maxConnections: concurrency * perTenant + beside });
    const graph = openGraphAccess(readEnvironment(simulator.environment()), { policy: fastPolicy, keepTokens: true });
    const worker = await runWorker(
      {
        ...{ database, log, defaults: loadDefaults(), openReader: graph.openReader },
        credentialFingerprint: graph.credentialFingerprint,
        openQueue: (onError) => openQueue(url, onError),
      },
      {
        ...{ concurrency, actor: 'worker', signal: stop.signal },
        rests: openRests(Math.random, () => performance.now() * faster),
      },
    );
    await worker.ended;
    await database.destroy();
  });

  const states = () =>
    rows<{ failures: number; done: boolean; soon: boolean; cycles: number }>(
      admin,
      `select failures, last_success_at is not null as done,
              coalesce(next_cycle_at < clock_timestamp() + interval '121 s', true) as soon,
              (select count(*)::int from entra_sync.cycles c where c.tenant_id = t.tenant_id) as cycles
         from entra_sync.tenants t`,
    );
  for (;;) {
    const now = await granted(states);
    // No tenant that failed waits for its interval.
    expect(now.filter(({ failures, done, soon }) => failures > 0 || (!done && !soon))).toEqual([]);
    if (now.every(({ done }) => done)) break;
    // The clock of the database, as fast as that of the workers.
    await granted(async () =>
      admin.raw(
        `update entra_sync.tenants set next_cycle_at = next_cycle_at - interval '${faster} s'
          where last_success_at is null and next_cycle_at > clock_timestamp()`,
      ),
    );
    await delay(1_000);
  }
  stop.abort();
  await Promise.all(workers);
  for (const tenant of tenants) await expectTruth(tenant, admin);
  expect(await rows(admin, 'select status, count(*)::int from entra_sync.tenants group by 1')).toEqual([
    { status: 'active', count: 50 },
  ]);
  // Both kinds of cycle, and a few that failed.
  for (const { cycles } of await states()) expect(cycles).toBeLessThan(12);
  expect(text()).toMatch(
    /"reason":"the (database server has no connection left|role has reached its connection limit)/,
  );
  expect(text()).not.toContain('defect');
});
