// How soon people and memberships can be read by an application: the first cycle of a tenant, watched from beside it.
import { setTimeout as wait } from 'node:timers/promises';
import { pino } from 'pino';
import { openGraphAccess } from '../../src/app.ts';
import { runCycle } from '../../src/engine/cycle.ts';
import { readEnvironment } from '../../src/environment.ts';
import { loadDefaults } from '../../src/settings/settings.ts';
import { openDatabase, rows } from '../../src/store/database/pool.ts';
import { applySettings } from '../../src/store/settings/versions.ts';
import { begin, finish, order, readJob, since } from './common.ts';

const { databaseUrl, tenantIds, wishes } = readJob();
const [tenantId = ''] = tenantIds;
const database = openDatabase(databaseUrl);
const watcher = openDatabase(databaseUrl, { maxConnections: 1 });
const defaults = loadDefaults();
const firstLoad = wishes.firstLoad === 'quick' ? 'quick' : 'delta';
await applySettings(database, defaults, { tenantId: null, document: { firstLoad }, actor: 'bench' });
await order({ listings: true, latencyMs: Number(wishes.latencyMs) });

const started = begin();
const cycle = runCycle(
  {
    database,
    defaults,
    log: pino({ level: 'silent' }),
    openReader: openGraphAccess(readEnvironment(process.env)).openReader,
  },
  { tenantId, resync: false, dryRun: false, actor: 'bench', signal: new AbortController().signal },
);
const people = await visible('select from directory.accounts limit 1');
const memberships = await visible('select from directory.memberships limit 1');
const { outcome } = await cycle;
if (outcome !== 'committed') throw new Error(`the cycle is ${outcome}`);
const seconds = since(started);
await order({ latencyMs: 0 });
await finish({ seconds, people, memberships });

async function visible(question: string): Promise<number> {
  while ((await rows(watcher, question)).length === 0) await wait(25);
  return since(started);
}
