// entra-sync itself, wired as the command line and the worker wire it: whole cycles into a real Postgres, everything on.
import { once } from 'node:events';
import { pino } from 'pino';
import { openGraphAccess } from '../../src/app.ts';
import { runCycle } from '../../src/engine/cycle.ts';
import { readEnvironment } from '../../src/environment.ts';
import { loadDefaults } from '../../src/settings/settings.ts';
import { openDatabase, rows } from '../../src/store/database/pool.ts';
import { planningMix } from '../pages.ts';
import { begin, type Found, finish, order, readJob, since } from './common.ts';

const { databaseUrl, tenantIds, wishes } = readJob();
const database = openDatabase(databaseUrl);
// As in the worker: the first cycle of a tenant signs in, the next ones go on with its token.
const graph = openGraphAccess(readEnvironment(process.env), { keepTokens: true });
const parts = {
  database,
  defaults: loadDefaults(),
  log: pino({ level: 'silent' }),
  openReader: graph.openReader,
};

async function cycle(tenantId: string): Promise<number> {
  const started = performance.now();
  const result = await runCycle(parts, {
    tenantId,
    resync: wishes.resync === true,
    dryRun: false,
    actor: 'bench',
    signal: new AbortController().signal,
  });
  if (result.outcome !== 'committed')
    throw new Error(`the cycle is ${result.outcome}`, { cause: result.failures[0]?.error });
  return since(started);
}

const [first = ''] = tenantIds;
await order({ latencyMs: 0 });
switch (wishes.what) {
  case 'initial':
    await finish(await initial());
    break;
  case 'later':
    await finish(await later());
    break;
  case 'tenants':
    await finish(await tenants());
}

async function initial(): Promise<Found> {
  if (typeof wishes.latencyMs === 'number') await order({ latencyMs: wishes.latencyMs });
  begin();
  const seconds = await cycle(first);
  const asked = await order({ latencyMs: 0 });
  return { seconds, asked, written: await written() };
}

/** Later rounds in a process that is warm, as the worker's is: nothing changed, one person, and the planning mix. */
async function later(): Promise<Found> {
  const latencyMs = Number(wishes.latencyMs ?? 0);
  const series: Record<'nothing' | 'one' | 'mix', number[]> = { nothing: [], one: [], mix: [] };
  const asked: Record<string, number> = {};
  const initialSeconds = await cycle(first);
  for (let time = 0; time < Number(wishes.repeat ?? 5); time += 1) {
    for (const what of ['nothing', 'one', 'mix'] as const) {
      if (what === 'mix' && time >= 3) continue;
      await order(what === 'one' ? { one: true } : what === 'mix' ? { advance: planningMix } : {});
      await order({ latencyMs });
      series[what].push(await cycle(first));
      const { users, groups, other, signIn } = await order({ latencyMs: 0 });
      Object.assign(asked, {
        [`${what}Users`]: users,
        [`${what}Groups`]: groups,
        [`${what}Other`]: other,
        [`${what}SignIn`]: signIn,
      });
    }
  }
  const before = await written();
  await cycle(first);
  return { seconds: initialSeconds, ...series, asked, writtenByNothing: (await written()) - before };
}

/** Rows written to what people see, by Postgres' own count. */
async function written(): Promise<number> {
  // A connection tells its counts at its end at the latest.
  await database.destroy();
  database.initialize();
  const [sum] = await rows<{ written: string }>(
    database,
    `select sum(n_tup_ins + n_tup_upd + n_tup_del) as written from pg_stat_all_tables
      where schemaname = 'entra_sync' and relname in ('accounts', 'groups', 'member_groups', 'group_closure', 'changes')`,
  );
  return Number(sum?.written ?? 0);
}

/** Cycles of many tenants, so many at once, until all have had one. Starts when the parent says so. */
async function tenants(): Promise<Found> {
  const waiting = [...tenantIds];
  process.send?.('ready');
  await once(process, 'message');
  const started = performance.now();
  const line = async () => {
    for (let tenant = waiting.pop(); tenant !== undefined; tenant = waiting.pop()) await cycle(tenant);
  };
  await Promise.all(Array.from({ length: Number(wishes.atOnce ?? 4) }, line));
  return { seconds: since(started), tenants: tenantIds.length };
}
