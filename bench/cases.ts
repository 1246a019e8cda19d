// The cases of the bench. Contenders that are compared take turns, so that a busy minute hits all of them alike.

import { makeDue } from '../src/store/cycle/next-cycle.ts';
import { openDatabase } from '../src/store/database/pool.ts';
import { assigning } from './assigning.ts';
import type { Bench, Case } from './case.ts';
import { consolePages } from './console-pages.ts';
import { type Job, since, type Took } from './contenders/common.ts';
import { cost } from './cost.ts';
import { type Size, sizeOf } from './directory.ts';
import { finding } from './finding.ts';
import { firstLoad } from './first-load.ts';
import { type Contender, type Graph, openGraph, preparePeer, run, runTogether, startWorkers } from './ground.ts';
import { reading } from './reading.ts';
import { inMegabytes, inMilliseconds, inSeconds, type Mark, median, percent, type Section, times } from './report.ts';

type Run = Took & { walBytes: number };

const megabytes200 = 200e6;
const production = 200;

/** Runs contenders in turn on one server and returns the runs of each. */
async function inTurn(
  { postgres, times, note }: Pick<Bench, 'postgres' | 'times' | 'note'>,
  graph: Graph,
  contenders: readonly (readonly [Contender, Readonly<Record<string, string | number | boolean>>])[],
): Promise<Run[][]> {
  const runs: Run[][] = contenders.map(() => []);
  for (let time = 1; time <= times; time += 1) {
    for (const [place, [contender, wishes]] of contenders.entries()) {
      const took = await postgres.withDatabase(graph.tenantIds, (databaseUrl) =>
        run(contender, graph, { databaseUrl, tenantIds: graph.tenantIds, wishes }),
      );
      runs[place]?.push(took);
      note(`${contender} ${time} of ${times}: ${inSeconds(took.seconds)}`);
    }
  }
  return runs;
}

const seconds = (runs: readonly Run[] = []) => median(runs.map((one) => one.seconds));
const peak = (runs: readonly Run[] = []) => median(runs.map((one) => one.peakBytes));
const wal = (runs: readonly Run[] = []) => median(runs.map((one) => one.walBytes));

/** The median over the turns. */
const ratio = (runs: readonly Run[] = [], to: readonly Run[] = []) =>
  median(runs.map((one, turn) => one.seconds / (to[turn]?.seconds ?? Number.NaN)));

async function initial(bench: Bench): Promise<Section> {
  const graph = await openGraph({ size: bench.size, tenants: 1, repeats: 1 });
  const peer = await preparePeer();
  const names = ['entra-sync', '(a) floor', '(b) PageIterator and knex', ...(peer ? ['(c) Backstage, read only'] : [])];
  const [cycle, floor, loop, backstage] = await inTurn(bench, graph, [
    ['cycle', { what: 'initial' }],
    ['floor', {}],
    ['page-iterator', {}],
    ...(peer ? ([['backstage', {}]] as const) : []),
  ]).finally(graph.close);
  const all = [cycle, floor, loop, ...(peer ? [backstage] : [])];
  const toFloor = ratio(cycle, floor);
  const toLoop = ratio(loop, cycle);
  const toPeer = ratio(cycle, backstage);
  const marks: Mark[] = [
    { mark: 'initial against the floor (a)', wanted: 'at most 2 x', found: times(toFloor), reached: toFloor <= 2 },
    { mark: 'faster than (b)', wanted: 'at least 2 x', found: times(toLoop), reached: toLoop >= 2 },
    ...(peer
      ? [
          {
            mark: 'against (c), which writes nothing',
            wanted: 'at most 1 x',
            found: times(toPeer),
            reached: toPeer <= 1,
          },
        ]
      : []),
    {
      mark: 'peak memory of an initial cycle',
      wanted: 'below 200 MB',
      found: inMegabytes(peak(cycle)),
      reached: peak(cycle) < megabytes200,
    },
  ];
  const rows = names.map((name, place) => [
    name,
    inSeconds(seconds(all[place])),
    times(ratio(all[place], floor)),
    inSeconds(median((all[place] ?? []).map((one) => one.cpuSeconds))),
    inMegabytes(peak(all[place])),
    inMegabytes(wal(all[place])),
  ]);
  const { users, groups } = bench.size;
  return {
    title: `Initial: ${group(users)} users, ${group(groups)} groups, ${group(graph.memberships)} memberships, no latency`,
    head: ['', 'time', 'to the floor', 'CPU of the process', 'peak memory', 'WAL'],
    rows,
    marks,
  };
}

const group = (number: number) => number.toLocaleString('en');

type Later = Run & { nothing: number[]; one: number[]; mix: number[]; asked: Record<string, number> };

async function laterRuns(bench: Bench, latencyMs: number): Promise<Later> {
  const graph = await openGraph({ size: bench.size, tenants: 1, repeats: 1 });
  const runs = await inTurn({ ...bench, times: 1 }, graph, [
    ['cycle', { what: 'later', latencyMs, repeat: 7 }],
  ]).finally(graph.close);
  return runs[0]?.[0] as Later;
}

async function later(bench: Bench): Promise<Section> {
  const took = await laterRuns(bench, 0);
  const { nothing, one, mix, asked } = took;
  const requests = Number(asked.nothingUsers) + Number(asked.nothingGroups);
  const other = Number(asked.nothingOther);
  const written = Number(took.writtenByNothing);
  const mixPart = median(mix) / took.seconds;
  const rows = [
    ['initial', inSeconds(took.seconds), ''],
    ['nothing changed', inMilliseconds(median(nothing)), `${requests + other} Graph requests, ${written} rows written`],
    ['one user changed', inMilliseconds(median(one)), ''],
    ['1 % created, 1 % deleted, 5 % changed', inSeconds(median(mix)), `${percent(mixPart)} of the initial`],
  ];
  const marks: Mark[] = [
    {
      mark: 'nothing changed: Graph requests',
      wanted: '2',
      found: String(requests + other),
      reached: requests + other === 2,
    },
    {
      mark: 'nothing changed: rows written of accounts, groups, memberships, changes',
      wanted: '0',
      found: String(written),
      reached: written === 0,
    },
    {
      mark: 'nothing changed: above the waits',
      wanted: 'below 100 ms',
      found: inMilliseconds(median(nothing)),
      reached: median(nothing) < 0.1,
    },
    {
      mark: `the 7 % mix at ${group(bench.size.users)} users, of the initial`,
      wanted: 'below 15 %',
      found: percent(mixPart),
      reached: mixPart < 0.15,
    },
  ];
  return { title: 'Later cycles, no latency', head: ['', 'time', ''], rows, marks };
}

async function latency(bench: Bench): Promise<Section> {
  const { nothing, mix, asked } = await laterRuns(bench, production);
  const waits = (what: string) =>
    (Math.max(Number(asked[`${what}Users`]), Number(asked[`${what}Groups`])) * production) / 1000;
  const signIn = (what: string) => (Number(asked[`${what}SignIn`]) * production) / 1000;
  const row = (name: string, what: string, took: number[]) => [
    name,
    inSeconds(median(took)),
    inSeconds(waits(what)),
    inSeconds(signIn(what)),
    inMilliseconds(median(took) - waits(what) - signIn(what)),
  ];
  const above = median(mix) / (waits('mix') + signIn('mix')) - 1;
  return {
    title: `Later cycles at ${production} ms per request`,
    head: ['', 'time', 'waits of the longest stream', 'of the sign-in', 'above'],
    rows: [row('nothing changed', 'nothing', nothing), row('1 % created, 1 % deleted, 5 % changed', 'mix', mix)],
    marks: [
      {
        mark: `a later round at ${production} ms, above the longest stream's own waits`,
        wanted: 'within 5 %',
        found: percent(above),
        reached: above <= 0.05,
      },
    ],
  };
}

async function growth(bench: Bench): Promise<Section> {
  const sizes = bench.isLarge ? [10_000, 30_000, 100_000, 300_000] : [10_000, 30_000];
  const runs: { users: number; took: Run }[] = [];
  for (const users of sizes) {
    const graph = await openGraph({ size: sizeOf(users), tenants: 1, repeats: 1 });
    const [took] = await inTurn({ ...bench, times: users > 50_000 ? 1 : bench.times }, graph, [
      ['cycle', { what: 'initial' }],
    ]).finally(graph.close);
    runs.push({
      users,
      took: { ...(took?.[0] as Run), seconds: seconds(took), peakBytes: peak(took), walBytes: wal(took) },
    });
  }
  const [first] = runs as [(typeof runs)[number]];
  const last = runs.at(-1) ?? first;
  const linear = last.took.seconds / first.took.seconds / (last.users / first.users);
  const peaks = runs.map(({ took }) => took.peakBytes);
  const spread = Math.max(...peaks) / Math.min(...peaks) - 1;
  const span = `${group(first.users)} to ${group(last.users)} users`;
  return {
    title: 'Growth of the initial cycle, ten memberships per user',
    head: ['users', 'time', 'per user', 'peak memory', 'WAL'],
    rows: runs.map(({ users, took }) => [
      group(users),
      inSeconds(took.seconds),
      `${((took.seconds / users) * 1e6).toFixed(0)} us`,
      inMegabytes(took.peakBytes),
      inMegabytes(took.walBytes),
    ]),
    marks: [
      { mark: `growth, ${span}`, wanted: 'at most 1.15 x linear', found: times(linear), reached: linear <= 1.15 },
      { mark: `memory, ${span}`, wanted: 'within 20 %', found: percent(spread), reached: spread <= 0.2 },
      {
        mark: `peak memory at ${group(last.users)} users`,
        wanted: 'below 200 MB',
        found: inMegabytes(Math.max(...peaks)),
        reached: Math.max(...peaks) < megabytes200,
      },
    ],
  };
}

async function repeated(bench: Bench): Promise<Section> {
  const tenfold = 10;
  const once = await openGraph({ size: bench.size, tenants: 1, repeats: 1 });
  const [single] = await inTurn({ ...bench, times: 1 }, once, [['cycle', { what: 'initial' }]]).finally(once.close);
  const graph = await openGraph({ size: bench.size, tenants: 1, repeats: tenfold });
  const [ten] = await inTurn({ ...bench, times: 1 }, graph, [['cycle', { what: 'initial' }]]).finally(graph.close);
  const written = (run: readonly Run[] = []) => Number(run[0]?.written);
  return {
    title: `Groups emitted ${tenfold} times`,
    head: ['', 'time', 'rows written', 'WAL'],
    rows: [
      ['once', inSeconds(seconds(single)), group(written(single)), inMegabytes(wal(single))],
      ['tenfold', inSeconds(seconds(ten)), group(written(ten)), inMegabytes(wal(ten))],
    ],
    marks: [
      {
        mark: 'tenfold groups: rows written',
        wanted: `those of once: ${group(written(single))}`,
        found: group(written(ten)),
        reached: written(ten) === written(single),
      },
    ],
  };
}

async function tenants(bench: Bench): Promise<Section> {
  const count = bench.isLarge ? 1_000 : 200;
  const size: Size = { users: 200, groups: 10, memberships: 2_000 };
  const graph = await openGraph({ size, tenants: count, repeats: 1 });
  const half = count / 2;
  const [all, ...halves] = [graph.tenantIds, graph.tenantIds.slice(0, half), graph.tenantIds.slice(half)];
  try {
    const found = await bench.postgres.withDatabase(graph.tenantIds, async (databaseUrl) => {
      const wishes = { what: 'tenants', atOnce: 4 };
      const together = (...parts: (readonly string[])[]) =>
        runTogether(
          'cycle',
          graph,
          parts.map((tenantIds) => ({ databaseUrl, tenantIds, wishes })),
        );
      const slowest = (took: readonly Took[]) => Math.max(...took.map((one) => one.seconds));
      const [first] = await together(all);
      const [one] = await together(all);
      const two = slowest(await together(...halves));
      bench.note('cycles are done, workers follow');
      const job = { databaseUrl, tenantIds: all, wishes };
      const [alone, pair] = [await byWorkers(graph, [job]), await byWorkers(graph, [job, job])];
      return { first: first as Took, one: one as Took, two, alone, pair };
    });
    const { first, one, two, alone, pair } = found;
    const rate = (took: number) => `${(count / took).toFixed(1)} per second`;
    const row = (name: string, took: number, memory = '') => [name, inSeconds(took), rate(took), memory];
    return {
      title: `${group(count)} tenants of 200 users, four at once in each process, counted from when all processes are ready`,
      head: ['', 'time', 'cycles', 'peak memory'],
      rows: [
        row('initial, one process', first.seconds, inMegabytes(first.peakBytes)),
        row('nothing changed, one process, each tenant signs in', one.seconds, inMegabytes(one.peakBytes)),
        row('nothing changed, two processes, each tenant signs in', two),
        row('all due at once, one worker with its queue and its tokens', alone),
        row('all due at once, two workers', pair),
      ],
      marks: [
        {
          mark: 'many tenants: cycles of one worker',
          wanted: 'at least 20 per second',
          found: rate(alone),
          reached: count / alone >= 20,
        },
        {
          mark: 'two processes against one',
          wanted: 'faster',
          found: times(one.seconds / two),
          reached: two < one.seconds,
        },
        { mark: 'two workers against one', wanted: 'faster', found: times(alone / pair), reached: pair < alone },
      ],
    };
  } finally {
    graph.close();
  }
}

/** Returns the seconds for a cycle of every tenant, all due at once, when the workers already have tokens. */
async function byWorkers(graph: Graph, jobs: readonly Job[]): Promise<number> {
  const workers = await startWorkers(graph, jobs);
  const database = openDatabase(jobs[0]?.databaseUrl ?? '');
  let seconds = 0;
  for (let time = 0; time < 2; time += 1) {
    const done = workers.cycles(graph.tenantIds.length);
    const started = performance.now();
    await makeDue(database, null);
    await done;
    seconds = since(started);
  }
  await database.destroy();
  await workers.end();
  return seconds;
}

export const cases: Readonly<Record<string, Case>> = {
  initial,
  later,
  latency,
  'first-load': firstLoad,
  growth,
  repeated,
  tenants,
  reading,
  finding,
  assigning,
  cost,
  pages: consolePages,
};
