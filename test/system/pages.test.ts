// The commands and queries of README.md and docs/ are run as they stand there, page by page, against a simulated tenant.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { loadDefaults } from '../../src/settings/settings.ts';
import { addTenant } from '../../src/store/tenants/tenants.ts';
import { runCli, temporaryDirectory } from '../support/cli.ts';
import { rowsOf } from '../support/deep.ts';
import { type Block, readPages } from '../support/pages.ts';
import { setSettings } from '../support/settings.ts';
import { openWorld, type World } from '../support/system.ts';

// Blocks with a mark run elsewhere, or need a real tenant: test/unit/pages.test.ts holds the marks to their files.
const isRun = ({ language, info }: Block) =>
  ((language === 'sh' || language === 'sql') && info === '') || (language === 'yaml' && info.startsWith('file='));
const pages = readPages()
  .map((page) => ({ ...page, blocks: page.blocks.filter(isRun) }))
  .filter(({ blocks }) => blocks.length > 0);

// Its reader has no tenant yet: the first command registers one.
const firstPage = 'docs/getting-started.md';

// The deep run has every page.
const shown = rowsOf(pages, (_, n) => n % 2 === 0);

test.concurrent.for(shown)('$path does what it shows', async ({ path, blocks }, { onTestFinished }) => {
  const world = await openWorld({ registered: false, groups: 3, onEnd: onTestFinished });
  const { tenant, database } = world;
  if (path !== firstPage) {
    await addTenant(database, { tenantId: tenant.tenantId, name: 'Contoso', ref: 'customer-17' }, loadDefaults());
    await world.cycle();
  }
  const folder = await temporaryDirectory(onTestFinished);
  const environment = { ...world.simulator.environment(), DATABASE_URL: world.url };
  const client = new pg.Client({ connectionString: world.url });
  await client.connect();
  onTestFinished(() => client.end());
  // A file that the page shows, by its name.
  const files = new Map<string, string>();

  let position: unknown;
  for (const block of blocks) {
    const at = `${path}:${block.line}`;
    if (block.language === 'yaml') {
      const name = block.info.slice('file='.length);
      files.set(name, join(folder, name));
      await writeFile(join(folder, name), block.text);
    } else if (block.language === 'sh') {
      if (block.text.includes('removals list')) await holdRemovals(world);
      for (const line of block.text.trim().split('\n')) {
        const args = argumentsOf(line).map((word) => files.get(word) ?? word);
        const { code, stdout, stderr } = await runCli(args, environment);
        expect([code, stdout.length > 0], `${at}: ${line}\n${stdout}${stderr}`).toEqual([0, true]);
      }
    } else {
      const isFollowing = block.text.includes('$1');
      const answered = await client.query(block.text, isFollowing ? [position] : undefined);
      const results: pg.QueryResult[] = Array.isArray(answered) ? answered : [answered];
      position = results.flatMap(({ rows }) => rows).find((row) => row.feed_position)?.feed_position ?? position;
      // A feed that has just been read to its end is empty; every other query shows rows.
      const shown = results.filter(({ command }) => command === 'SELECT' && !isFollowing);
      for (const { rows } of shown) expect(rows.length, at).toBeGreaterThan(0);
    }
  }
});

/** Most users and groups of the tenant are deleted: one list is held for each. */
async function holdRemovals({ tenant, database, cycle }: World): Promise<void> {
  await setSettings(database, { removals: { max: 500, percent: 20, floor: 20 } });
  for (const { id } of tenant.users().slice(4)) tenant.deleteUser(id);
  for (const { id } of tenant.groups().slice(1)) tenant.deleteGroup(id);
  expect((await cycle()).lists).toHaveLength(2);
}

/** Returns the words after `entra-sync` in a shell line. Refuses lines with more shell syntax than words and comments. */
function argumentsOf(line: string): string[] {
  const [program, ...words] = line.replace(/\s+#.*$/, '').split(/\s+/);
  expect([program, words.filter((word) => !/^[\w./:@=+-]+$/.test(word))], line).toEqual(['entra-sync', []]);
  return words;
}
