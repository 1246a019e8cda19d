// The rooms of the house and what each may import, types included: `npm run check` refuses everything else. A room is a
// folder with all that lies below it; the longest name that fits is a file's room.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

// Errors, logging and where the package lies: what every room but the rules may use.
const ground = [
  'src/rules',
  'src/errors.ts',
  'src/logger.ts',
  'src/package-files.ts',
  'src/environment.ts',
  'src/proxy.ts',
  'src/tracing.ts',
];

// Bottom to top, in the order of the work: a room of the store imports those before it and never one after it.
const storeRooms = [
  'src/store/database',
  'src/store/embedded',
  'src/store/feed',
  'src/store/settings',
  'src/store/tenants',
  'src/store/queue',
  'src/store/schema',
  'src/store/cycle',
  'src/store/stage',
  'src/store/commit',
  'src/store/accounts',
  'src/store/photos',
  'src/store/webhooks',
  'src/store/preview',
  'src/store/console',
  'src/store/web',
  'src/store',
];
const store = storeRooms.map((room, place): [string, string[]] => [
  room,
  [...ground, 'src/settings', ...storeRooms.slice(0, place)],
]);

// The truth of a tenant knows neither Graph nor Entra ID, which show it. The simulator judges the rest, so it imports nothing of it.
const answers = ['src/simulator/answers.ts', 'src/simulator/options.ts'];
const tenant = 'src/simulator/tenant';
const entra = 'src/simulator/entra';
const simulator: [string, string[]][] = [
  ['src/simulator/answers.ts', []],
  ['src/simulator/options.ts', [tenant, entra, 'src/simulator/graph']],
  [tenant, []],
  [entra, [...answers, tenant]],
  ['src/simulator/graph', [...answers, tenant, entra]],
  ['src/simulator', [...answers, tenant, entra, 'src/simulator/graph']],
];

const settings = [...ground, 'src/settings'];
const shows = [
  'src/cli/verbs/demo.ts',
  'src/cli/verbs/demo-banner.ts',
  'src/cli/verbs/demo-edits.ts',
  'src/cli/verbs/demo-ownership.ts',
  'src/cli/verbs/demo-web.ts',
  'src/cli/verbs/load-simulator.ts',
  'src/cli/verbs/simulate.ts',
  'src/cli/verbs/simulate-edits.ts',
];
const engine = [...settings, 'src/credentials.ts', 'src/graph', ...storeRooms, 'src/engine'];
// The parts of the web know what every page is made of, and nothing of each other; only the server knows the parts.
const webFiles = [
  'act-time',
  'html',
  'brand',
  'color',
  'language',
  'style',
  'chart',
  'table',
  'typed',
  'zone',
  'access',
  'page',
  'query',
  'contract-page',
  'picture',
  'preview',
  'web-language',
  'frame',
  'part',
  'links',
  'news',
  'news-question',
  'download',
].map((name) => `src/web/${name}.ts`);
webFiles.push('src/web/languages');
const webParts = ['src/web/connect', 'src/web/console'];
// It imports nothing, so that pages without the store render templates too.
const template = 'src/words/template.ts';
const web = [...settings, 'src/graph', ...storeRooms, 'src/words', template, ...webFiles];
// The portal is the proof that the contract is enough: nothing of the store, of settings or of Graph.
const portal = [...ground, template, ...webFiles];
const cli = [
  ...engine,
  'src/app.ts',
  'src/words',
  template,
  ...webFiles,
  ...webParts,
  'src/web/portal',
  'src/web',
  'src/webhooks',
  'src/worker',
  'src/cli',
];
const tests = [
  ...cli,
  'src/simulator',
  ...answers,
  tenant,
  entra,
  'src/simulator/graph',
  ...shows,
  'test/support',
  'scripts',
  'site',
  'directory.d.ts',
];

/** Each room and what it may import beside itself. */
const rooms = new Map<string, readonly string[]>([
  ['src/rules', []],
  ['src/errors.ts', ['src/rules']],
  ['src/logger.ts', []],
  ['src/package-files.ts', []],
  ['src/environment.ts', ['src/rules', 'src/errors.ts']],
  ['src/proxy.ts', ['src/rules', 'src/environment.ts', 'src/errors.ts']],
  ['src/tracing.ts', ['src/errors.ts', 'src/package-files.ts']],
  ['src/settings', ground],
  ['src/graph', [...ground]],
  ['src/credentials.ts', [...settings, 'src/graph']],
  ...store,
  // What terminal and pages say in the same words.
  ['src/words', [...settings, ...storeRooms]],
  // What is sent to others, and where it may go.
  ['src/webhooks', ground],
  [template, []],
  ['src/engine', engine],
  ['src/worker', [...engine, 'src/webhooks']],
  ...[...webFiles, ...webParts].map((room): [string, string[]] => [room, web]),
  ['src/web/portal', portal],
  ['src/web', [...web, ...webParts, 'src/web/portal']],
  ['src/app.ts', engine],
  ['src/cli', [...cli, ...shows]],
  ...shows.map((file): [string, string[]] => [file, [...cli, ...shows, 'src/simulator']]),
  ...simulator,
  ['test/support', tests],
  ['test/system/simulator', [...tests, 'bench']],
  ['test', [...tests, 'bench']],
  ['bench', [...tests, 'bench']],
  // Products of others: the contract alone.
  ['examples', ['directory.d.ts']],
  ['scripts', tests],
  ['site', []],
  ['migrations', []],
  ['directory.d.ts', []],
]);

/** The rooms that may use a package or a file; a package that is not named here may be used by all but the rules. */
const reserved = new Map<string, readonly string[]>([
  ['knex', ['src/store']],
  ['pg', ['src/store', 'examples']],
  ['pg-boss', ['src/store/queue']],
  ['@azure', ['src/graph']],
  ['@microsoft', ['src/graph', 'src/app.ts']],
  // The parts of a commit: what is above the store runs a round as a whole.
  ['src/store/commit/apply.ts', ['src/store']],
  ['src/store/commit/users.ts', ['src/store']],
  ['src/store/commit/groups.ts', ['src/store']],
]);

/** An import as it is written: the file, and the file or package that it names. */
export type Import = { readonly file: string; readonly target: string };

const isBelow = (file: string, room: string) => file === room || file.startsWith(`${room}/`);
const byLength = [...rooms.keys()].sort((one, other) => other.length - one.length);
const roomOf = (file: string) => byLength.find((room) => isBelow(file, room));

/** One line for each import that its room may not make. */
export function refusedImports(imports: readonly Import[]): string[] {
  return imports.flatMap(({ file, target }) => {
    const room = roomOf(file);
    if (room === undefined) return [`${file} lies in no room: add its folder to scripts/rooms.ts`];
    const users = [...reserved].find(([name]) => isBelow(target, name))?.[1];
    if (file.startsWith('src/') && users?.every((one) => !isBelow(file, one)))
      return [`${file} imports ${target}: only ${users.join(' and ')} may`];
    if (!target.endsWith('.ts')) {
      return room === 'src/rules' ? [`${file} imports ${target}: the rules are pure, they import nothing`] : [];
    }
    const other = roomOf(target);
    if (other === room || (other !== undefined && rooms.get(room)?.includes(other))) return [];
    return [`${file} imports ${target}: ${room} may not import ${other ?? 'it'}`];
  });
}

/** All imports of the tree below `root`; Node's own modules are left out. */
export function readImports(root: string): Import[] {
  return globSync(['src/**/*.ts', 'test/**/*.ts', 'bench/*.ts', 'bench/contenders/*.ts', 'scripts/*.ts'], {
    cwd: root,
  }).flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8');
    const names = [
      ...text.matchAll(/^(?:import|export)[^'";]*? from '([^']+)'|\bimport\('([^']+)'\)|^import '([^']+)'/gm),
    ];
    return names
      .map(([, from, dynamic, bare]) => from ?? dynamic ?? bare ?? '')
      .filter((name) => !name.startsWith('node:'))
      .map((name) => ({ file, target: name.startsWith('.') ? normalize(join(dirname(file), name)) : name }));
  });
}

if (import.meta.main) {
  const refused = refusedImports(readImports(process.cwd()));
  for (const line of refused) process.stderr.write(`${line}\n`);
  process.exitCode = refused.length > 0 ? 1 : 0;
}
