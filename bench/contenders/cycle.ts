// entra-sync itself, wired as in the command line and the worker: whole cycles into a real Postgres, with all features.
import { once } from 'node:events';
import { pino } from 'pino';
import { openGraphAccess } from '../../src/app.ts';
import { runCycle } from '../../src/engine/cycle.ts';
import { readEnvironment } from '../../src/environment.ts';
import { loadDefaults } from '../../src/settings/settings.ts';
import { openDatabase, rows } from '../../src/store/database/pool.ts';
import { giveAssignments, keepAssigned } from '../assignments.ts';
import { planningMix } from '../pages.ts';
import type { Order } from '../server.ts';
import { begin, type Found, finish, order, readJob, since } from './common.ts';

const { databaseUrl, tenantIds, wishes } = readJob();
const database = openDatabase(databaseUrl);
// As in the worker: the first cycle of a tenant signs in, later ones reuse its token.
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

type Round = 'nothing' | 'one' | 'mix' | 'memberships';

const roundsOf: Readonly<Record<Round, Order>> = {
  nothing: {},
  one: { one: true },
  mix: { advance: planningMix },
  memberships: { memberships: 1_000 },
};

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

/** Runs later rounds in a warm process, like a worker's: no change, one changed user, the planning mix, and memberships. */
async function later(): Promise<Found> {
  const latencyMs = Number(wishes.latencyMs ?? 0);
  const series: Record<Round, number[]> = { nothing: [], one: [], mix: [], memberships: [] };
  const asked: Record<string, number> = {};
  await order({ restart: true });
  const initialSeconds = await cycle(first);
  if (wishes.assignments === true) {
    await giveAssignments(database, first);
    await keepAssigned(database, first);
  }
  for (let time = 0; time < Number(wishes.repeat ?? 5); time += 1) {
    for (const [what, changes] of Object.entries(roundsOf) as [Round, Order][]) {
      if (what === 'mix' && time >= 3) continue;
      await order(changes);
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

/** Returns the number of rows written to the tables behind the views, as Postgres counts them. */
async function written(): Promise<number> {
  // Postgres may report a connection's counts only at its end.
  await database.destroy();
  database.initialize();
  const [sum] = await rows<{ written: string }>(
    database,
    `select sum(n_tup_ins + n_tup_upd + n_tup_del) as written from pg_stat_all_tables
      where schemaname = 'entra_sync' and relname in ('accounts', 'groups', 'member_groups', 'group_closure', 'changes')`,
  );
  return Number(sum?.written ?? 0);
}

/** Runs a cycle of every tenant, `atOnce` at the same time. Starts when the parent sends a message. */
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
