// The joins of docs/from-your-orm.md are those of the natural joins, each with the answer of the other.
import { randomUUID } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { asked, joins } from '../support/natural-joins.ts';
import { readPages } from '../support/pages.ts';
import { readingWorld } from '../support/reading-world.ts';
import { ask, openStore } from '../support/stage.ts';

test('docs/from-your-orm.md has the ten natural joins, in their order', async () => {
  const page = readPages().find(({ path }) => path === 'docs/from-your-orm.md') ?? expect.unreachable();
  const shown = page.blocks
    .filter(({ language }) => language === 'sql')
    .map(({ text }) => text.trim().replace(/;$/, ''));
  expect(shown).toHaveLength(joins.length);
  const store = await openStore();
  onTestFinished(() => store.close());
  const tenant = randomUUID();
  for (const sql of readingWorld) await ask(store, sql, { tenant, people: 100, groups: 12, each: 3 });
  const client = await store.connect();
  for (const [place, { name, sql }] of joins.entries()) {
    const values = sql.includes('$1') ? ['Department 3'] : [];
    const theirs = (await client.query(asked(sql), values)).rows;
    const ours = (await client.query(shown[place] ?? '', values)).rows;
    // A question that counts its rows has one.
    const counted = theirs.length === 1 ? Number(theirs[0].count) : theirs.length;
    expect([name, ours.length]).toEqual([name, counted]);
    expect(ours.length, name).toBeGreaterThan(0);
  }
});
