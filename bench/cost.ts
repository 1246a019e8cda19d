// The cost of a feature in a cycle: the same cycle with it and without it, in turns on one server. Without the kept effective
// memberships the functions that keep them do nothing.
import { loadDefaults } from '../src/settings/settings.ts';
import { type Database, openDatabase } from '../src/store/database/pool.ts';
import { applySettings } from '../src/store/settings/versions.ts';
import type { Bench } from './case.ts';
import type { Took } from './contenders/common.ts';
import { type Graph, openGraph, run } from './ground.ts';
import { inSeconds, type Mark, percent, type Section } from './report.ts';

type Variant = {
  readonly name: string;
  prepare?(database: Database, tenantId: string): Promise<unknown>;
  readonly wishes?: Readonly<Record<string, boolean>>;
};

// Every user fits them, so that as much is written as without.
const conditions = [
  ...['department', 'jobTitle', 'officeLocation', 'mail'].map((property) => ({ property, notIn: ['nothing', 'none'] })),
  { property: 'mail', matches: '*@*' },
  { property: 'userPrincipalName', matches: '*@*.*' },
  { property: 'userPrincipalName', exists: true },
  { property: 'department', notIn: ['Intern', 'Temp', 'Robot'] },
  { property: 'jobTitle', notIn: ['Robot', 'Kiosk', 'Room'] },
  { property: 'displayName', exists: true },
];

const plain: Variant = { name: 'as it comes' };
const scoped: Variant = {
  name: 'ten conditions of the scope',
  prepare: (database, tenantId) =>
    applySettings(database, loadDefaults(), { tenantId, document: { scope: { where: conditions } }, actor: 'bench' }),
};
const unkept: Variant = {
  name: 'without kept effective memberships',
  prepare: (database) =>
    database.raw(`
      create or replace function entra_sync.keep_effective(tenant uuid, accounts integer[]) returns void
      language plpgsql as 'begin end';
      create or replace function entra_sync.keep_nested_members() returns trigger
      language plpgsql as 'begin return null; end'`),
};
const assigning: Variant = { name: '200 assignments', wishes: { assignments: true } };

async function inTurns(
  { postgres, times, note }: Bench,
  graph: Graph,
  variants: readonly Variant[],
  what: string,
): Promise<Took[][]> {
  const { tenantIds } = graph;
  const runs: Took[][] = variants.map(() => []);
  for (let time = 1; time <= times; time += 1) {
    for (const [place, { name, prepare, wishes }] of variants.entries()) {
      const took = await postgres.withDatabase(tenantIds, async (databaseUrl) => {
        const database = openDatabase(databaseUrl);
        await prepare?.(database, tenantIds[0] ?? '');
        await database.destroy();
        return run('cycle', graph, { databaseUrl, tenantIds, wishes: { what, repeat: 3, ...wishes } });
      });
      runs[place]?.push(took);
      note(`${what}, ${name}, ${time} of ${times}: ${inSeconds(took.seconds)}`);
    }
  }
  return runs;
}

// Whatever else the machine does only adds time, and by more than these features cost: the fastest run counts.
const fastest = (runs: readonly number[] = []) => Math.min(...runs);

/** The part that the first costs beyond the second. */
const above = (these?: readonly number[], those?: readonly number[]) => fastest(these) / fastest(those) - 1;

export async function cost(bench: Bench): Promise<Section> {
  const graph = await openGraph({ size: bench.size, tenants: 1, repeats: 1 });
  const [initial, later] = await (async () => [
    await inTurns(bench, graph, [plain, scoped, unkept], 'initial'),
    await inTurns(bench, graph, [plain, assigning, unkept], 'later'),
  ])().finally(graph.close);
  const first = (initial ?? []).map((runs) => runs.map((one) => one.seconds));
  const roundsOf = (what: string) => (later ?? []).map((runs) => runs.flatMap((one) => one[what] as number[]));
  const [mix, memberships] = [roundsOf('mix'), roundsOf('memberships')];
  const mark = (name: string, most: number, found: number): Mark => ({
    mark: name,
    wanted: `at most ${percent(most)}`,
    found: percent(found),
    reached: found <= most,
  });
  const row = (name: string, took: readonly number[] = []) => [name, inSeconds(fastest(took))];
  return {
    title: `Cost of features: ${bench.size.users} users`,
    head: ['', 'time, of the fastest run'],
    rows: [
      row('initial cycle, as it comes', first[0]),
      row('initial cycle, ten conditions of the scope', first[1]),
      row('initial cycle, without kept effective memberships', first[2]),
      row('1 % created, 1 % deleted, 5 % changed, as it comes', mix[0]),
      row('the same with 200 assignments', mix[1]),
      row('the same without kept effective memberships', mix[2]),
      row('1,000 changed memberships, as it comes', memberships[0]),
      row('the same with 200 assignments', memberships[1]),
      row('the same without kept effective memberships', memberships[2]),
    ],
    marks: [
      mark('ten conditions, of an initial cycle', 0.05, above(first[1], first[0])),
      mark('kept effective memberships, of an initial cycle', 0.15, above(first[0], first[2])),
      mark('kept effective memberships, of a later round', 0.1, above(mix[0], mix[2])),
      mark('200 assignments, of a round of 1,000 changed memberships', 0.1, above(memberships[1], memberships[0])),
    ],
  };
}
