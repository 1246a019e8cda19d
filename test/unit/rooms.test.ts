// The rooms of the house: scripts/rooms.ts refuses what runs up, or past a room's door.
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readImports, refusedImports } from '../../scripts/rooms.ts';
import { packageFile } from '../../src/package-files.ts';

test('no file of the tree imports what its room may not', () => {
  const imports = readImports(packageFile());
  expect(imports.length).toBeGreaterThan(1_000);
  expect(refusedImports(imports)).toEqual([]);
});

test('the diagram of CONTRIBUTING shows every room of src, and which may import which', () => {
  const text = readFileSync(packageFile('CONTRIBUTING.md'), 'utf8');
  const diagram = /```mermaid\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
  const labels = new Map([...diagram.matchAll(/(\w+)\[([^\]]+)\]/g)].map(([, id = '', label = '']) => [id, label]));
  const reached = new Map<string, Set<string>>();
  const reachedFrom = (room: string) => reached.get(room) ?? reached.set(room, new Set()).get(room) ?? new Set();
  for (const line of diagram.split('\n').filter((one) => one.includes('-->'))) {
    const groups = line.split('-->').map((group) =>
      group
        .split('&')
        .map((one) => one.trim().replace(/\[.*/, ''))
        .map((id) => labels.get(id) ?? id),
    );
    for (const [at, group] of groups.slice(1).entries())
      for (const from of groups[at] ?? []) for (const to of group) reachedFrom(from).add(to);
  }
  const rooms = ['src', 'src/store', 'src/simulator'].flatMap((folder) =>
    readdirSync(packageFile(folder), { withFileTypes: true })
      .filter((one) => one.isDirectory())
      .map((one) => `${folder}/${one.name}`.slice('src/'.length)),
  );
  // An arrow at a folder is one at each of its rooms.
  for (const room of rooms) {
    const [folder = ''] = room.split('/');
    if (folder === room) continue;
    reachedFrom(folder).add(room);
    for (const one of reachedFrom(folder)) if (!one.startsWith(folder)) reachedFrom(room).add(one);
  }
  for (const middle of rooms)
    for (const from of rooms)
      if (reachedFrom(from).has(middle)) for (const to of reachedFrom(middle)) reachedFrom(from).add(to);
  const pairs = rooms.flatMap((from) => rooms.filter((to) => to !== from).map((to) => [from, to] as const));
  const allowed = ([from, to]: readonly [string, string]) =>
    refusedImports([{ file: `src/${from}/one.ts`, target: `src/${to}/other.ts` }]).length === 0;
  const drawn = pairs.filter(([from, to]) => reachedFrom(from).has(to));
  expect(drawn.map(String)).toEqual(pairs.filter(allowed).map(String));
});

test.each([
  ['the stage never imports the commit', 'src/store/stage/rounds.ts', 'src/store/commit/bindings.ts'],
  ['the commit never imports the accounts', 'src/store/commit/users.ts', 'src/store/accounts/edit.ts'],
  ['the store never imports the engine', 'src/store/database/pool.ts', 'src/engine/cycle.ts'],
  ['the engine runs rounds as a whole', 'src/engine/users.ts', 'src/store/commit/users.ts'],
  ['the rules import nothing', 'src/rules/merge.ts', 'pg'],
  ['the engine knows no driver', 'src/engine/cycle.ts', 'knex'],
  ['Graph knows no store', 'src/graph/reader.ts', 'src/store/database/pool.ts'],
  ['rule 44: the portal knows no store', 'src/web/portal/me.ts', 'src/store/web/contract.ts'],
  ['rule 44: the portal knows no settings', 'src/web/portal/me.ts', 'src/settings/settings.ts'],
  ['rule 44: the portal knows no pages of the console', 'src/web/portal/me.ts', 'src/web/console/frame.ts'],
  ['the simulator judges the rest', 'src/simulator/graph/delta.ts', 'src/rules/merge.ts'],
  ["a tenant's truth knows no Graph", 'src/simulator/tenant/truth.ts', 'src/simulator/graph/delta.ts'],
  ['only demo and simulate know the simulator', 'src/cli/verbs/sync.ts', 'src/simulator/index.ts'],
  ['a new folder has to be placed', 'src/attic/old.ts', 'src/errors.ts'],
])('%s', (_rule, file, target) => {
  expect(refusedImports([{ file, target }])).toHaveLength(1);
});

test.each([
  ['src/store/commit/users.ts', 'src/store/stage/rounds.ts'],
  ['src/cli/verbs/demo.ts', 'src/simulator/index.ts'],
  ['src/graph/sign-in.ts', '@azure/identity'],
  ['test/system/rules/held.test.ts', 'src/store/commit/users.ts'],
])('%s may import %s', (file, target) => {
  expect(refusedImports([{ file, target }])).toEqual([]);
});
