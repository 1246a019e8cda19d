// The rooms of the house: scripts/rooms.ts refuses what runs up, or past a room's door.
import { expect, test } from 'vitest';
import { readImports, refusedImports } from '../../scripts/rooms.ts';
import { packageFile } from '../../src/package-files.ts';

test('no file of the tree imports what its room may not', () => {
  const imports = readImports(packageFile());
  expect(imports.length).toBeGreaterThan(1_000);
  expect(refusedImports(imports)).toEqual([]);
});

test.each([
  ['the stage never imports the commit', 'src/store/stage/rounds.ts', 'src/store/commit/bindings.ts'],
  ['the commit never imports the accounts', 'src/store/commit/users.ts', 'src/store/accounts/edit.ts'],
  ['the store never imports the engine', 'src/store/database/pool.ts', 'src/engine/cycle.ts'],
  ['the engine runs rounds as a whole', 'src/engine/users.ts', 'src/store/commit/users.ts'],
  ['the rules import nothing', 'src/rules/merge.ts', 'pg'],
  ['the engine knows no driver', 'src/engine/cycle.ts', 'knex'],
  ['Graph knows no store', 'src/graph/reader.ts', 'src/store/database/pool.ts'],
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
