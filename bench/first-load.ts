// How soon a new tenant's people and memberships are visible at production latency: the quick first load against delta alone,
// and against a peer that only reads.
import type { Case } from './case.ts';
import type { Took } from './contenders/common.ts';
import { type Contender, openGraph, preparePeer, run } from './ground.ts';
import { inSeconds, median, times } from './report.ts';

const production = 200;

export const firstLoad: Case = async (bench) => {
  const graph = await openGraph({ size: bench.size, tenants: 1, repeats: 1 });
  const peer = await preparePeer();
  const { tenantIds } = graph;
  const took: Record<'quick' | 'delta' | 'backstage', Took[]> = { quick: [], delta: [], backstage: [] };
  const one = (contender: Contender, wishes: Record<string, string | number>) =>
    bench.postgres.withDatabase(tenantIds, (databaseUrl) =>
      run(contender, graph, { databaseUrl, tenantIds, wishes: { ...wishes, latencyMs: production } }),
    );
  try {
    for (let time = 1; time <= bench.times; time += 1) {
      took.quick.push(await one('visible', { firstLoad: 'quick' }));
      took.delta.push(await one('visible', { firstLoad: 'delta' }));
      if (peer) took.backstage.push(await one('backstage', {}));
      bench.note(`${time} of ${bench.times}`);
    }
  } finally {
    graph.close();
  }
  const all = (runs: readonly Took[]) => runs.map((took) => Number(took.memberships ?? took.seconds));
  const people = (runs: readonly Took[]) => runs.map((took) => Number(took.people ?? took.seconds));
  const against = (others: readonly Took[]) =>
    median(all(took.quick).map((seconds, turn) => (all(others)[turn] ?? Number.NaN) / seconds));
  const [sooner, soonerThanPeer] = [against(took.delta), against(took.backstage)];
  const row = (name: string, runs: readonly Took[]) => [
    name,
    inSeconds(median(people(runs))),
    inSeconds(median(all(runs))),
    inSeconds(median(runs.map(({ seconds }) => seconds))),
  ];
  return {
    title: `First load at ${production} ms a request: when it can be read`,
    head: ['', 'people', 'and memberships', 'the cycle'],
    rows: [
      row('quick first load, then delta', took.quick),
      row('delta alone', took.delta),
      ...(peer ? [row('(c) Backstage, read only', took.backstage)] : []),
    ],
    marks: [
      {
        mark: 'quick first load: people and memberships visible',
        wanted: 'at least 8 x sooner than by delta alone',
        found: times(sooner),
        reached: sooner >= 8,
      },
      ...(peer
        ? [
            {
              mark: 'quick first load against (c), which writes nothing',
              wanted: 'sooner',
              found: times(soonerThanPeer),
              reached: soonerThanPeer > 1,
            },
          ]
        : []),
    ],
  };
};
