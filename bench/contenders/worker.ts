// The worker as `entra-sync worker` runs it, queue and planner included. Tells the parent that it is ready, and of each cycle;
// ends with the parent's channel.
import { pino } from 'pino';
import { openGraphAccess } from '../../src/app.ts';
import { readEnvironment } from '../../src/environment.ts';
import { loadDefaults } from '../../src/settings/settings.ts';
import { openDatabase } from '../../src/store/database/pool.ts';
import { openQueue } from '../../src/store/queue/queue.ts';
import { runWorker } from '../../src/worker/worker.ts';
import { readJob } from './common.ts';

const { databaseUrl, wishes } = readJob();
const concurrency = Number(wishes.atOnce);
const database = openDatabase(databaseUrl, { maxConnections: concurrency * 3 + 7 });
const graph = openGraphAccess(readEnvironment(process.env), { keepTokens: true });
const end = new AbortController();
process.on('disconnect', () => end.abort());

const worker = await runWorker(
  {
    database,
    defaults: loadDefaults(),
    log: pino({ level: 'silent' }),
    openReader: graph.openReader,
    credentialFingerprint: graph.credentialFingerprint,
    openQueue: (onError) => openQueue(databaseUrl, onError),
  },
  {
    concurrency,
    actor: 'bench',
    signal: end.signal,
    onCycle: ({ outcome }) => process.send?.(outcome),
  },
);
process.send?.('ready');
await worker.ended;
await database.destroy();
process.exit();
