// The natural joins of the views, beside the same joins of plain tables, beside the views before effective memberships were kept as
// rows, and of one tenant among many small ones: as it is noted as large, and as it was when no tenant was.
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Client } from 'pg';
import { packageFile } from '../src/package-files.ts';
import { rows as answersOf, openDatabase } from '../src/store/database/pool.ts';
import { noteLargeTenants } from '../src/store/stage/statistics.ts';
import { asked, joins } from '../test/support/natural-joins.ts';
import { readingWorld, smallTenants } from '../test/support/reading-world.ts';
import type { Bench } from './case.ts';
import { inMilliseconds, type Mark, type Section, times } from './report.ts';

// Plain tables with the keys that an application would give them.
const plain = `
create schema plain;
create table plain.accounts as select * from directory.accounts;
alter table plain.accounts add primary key (account_id);
create table plain.groups as select * from directory.groups;
alter table plain.groups add primary key (group_id);
create table plain.memberships as select * from directory.memberships;
create index on plain.memberships (account_id);
create index on plain.memberships (group_id);
create table plain.effective_memberships as select * from directory.effective_memberships;
alter table plain.effective_memberships add primary key (account_id, group_id);
create index on plain.effective_memberships (group_id)`;

// A bad plan takes minutes: it is ended here and told as what it is.
const limitMs = 20_000;

const small = 1_000;

/** The views of migration 0021, in a schema of their own. */
async function olderViews(): Promise<string> {
  const sql = await readFile(packageFile('migrations', '0021-packed-memberships.sql'), 'utf8');
  const views = [...sql.matchAll(/create or replace view directory\.(?:effective_)?memberships[\s\S]*?;/g)].map(
    ([view]) => view.replace('view directory.', 'view older.'),
  );
  const narrowed = 'tenant_id = coalesce((select entra_sync.narrowed_to()), tenant_id)';
  return `create schema older; ${views.join('\n')}
    create view older.accounts with (security_barrier) as
    select tenant_id, account_id, coalesce(profile ->> 'displayName', source ->> 'displayName') as display_name, profile
      from entra_sync.accounts where removed_at is null and ${narrowed};
    create view older.groups with (security_barrier) as
    select tenant_id, group_id, display_name from entra_sync.groups where removed_at is null and ${narrowed}`;
}

/** The best time of each question in milliseconds; undefined beyond the limit. */
async function askAll(client: Client, schema: string, repeat: number): Promise<(number | undefined)[]> {
  const took: (number | undefined)[] = [];
  for (const { sql } of joins) {
    const values = sql.includes('$1') ? ['Department 3'] : [];
    let best: number | undefined;
    for (let run = 0; run < repeat; run += 1) {
      const started = performance.now();
      const answered = await client.query(asked(sql, schema), values).then(
        () => true,
        () => false,
      );
      if (!answered) break;
      best = Math.min(best ?? Number.POSITIVE_INFINITY, performance.now() - started);
    }
    took.push(best);
  }
  return took;
}

const shown = (ms: number | undefined) => (ms === undefined ? `over ${limitMs / 1000} s` : inMilliseconds(ms / 1000));

export async function reading({ postgres, isLarge, times: repeat, note }: Bench): Promise<Section> {
  const people = isLarge ? 20_000 : 1_000;
  const groups = isLarge ? 1_000 : 60;
  const markMs = isLarge ? 1_000 : 200;
  const rows: string[][] = [];
  const marks: Mark[] = [];
  await postgres.withDatabase([], async (url) => {
    const tenant = randomUUID();
    const database = openDatabase(url);
    for (const sql of readingWorld) await answersOf(database, sql, { tenant, people, groups, each: 11 });
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query(`set statement_timeout = ${limitMs}; set jit = off`);
    const before = await askAll(client, 'directory', repeat);
    await client.query(plain);
    await client.query(await olderViews());
    await client.query('analyze');
    const after = await askAll(client, 'directory', repeat);
    await client.query('set plan_cache_mode = force_generic_plan');
    await client.query(`set directory.tenant = '${tenant}'`);
    const bound = await askAll(client, 'directory', repeat);
    await client.query('reset plan_cache_mode; reset directory.tenant');
    const tables = await askAll(client, 'plain', repeat);
    note('the views are asked; those before follow');
    const older = await askAll(client, 'older', 1);
    const others = Array.from({ length: small }, () => randomUUID());
    for (const sql of smallTenants) await answersOf(database, sql, { others });
    await client.query('analyze');
    await client.query(`set directory.tenant = '${tenant}'`);
    await client.query('delete from entra_sync.large_tenants');
    const byGroups = await askAll(client, 'directory', repeat);
    await noteLargeTenants(database);
    const beside = await askAll(client, 'directory', repeat);
    await client.query(`set directory.tenant = '${others[0]}'`);
    const ofSmall = await askAll(client, 'directory', repeat);
    await client.end();
    await database.destroy();
    for (const [place, { name }] of joins.entries())
      rows.push([
        name,
        ...[before, after, bound, tables, older, byGroups, beside, ofSmall].map((took) => shown(took[place])),
      ]);
    const all = [before, after, bound, beside, ofSmall].flat();
    const slowest = Math.max(...all.map((ms) => ms ?? Number.POSITIVE_INFINITY));
    const ratio = Math.max(...after.map((ms, place) => (ms ?? Number.POSITIVE_INFINITY) / (tables[place] ?? 0)));
    marks.push(
      {
        mark: `the slowest of ten joins, ${people} accounts`,
        wanted: `below ${markMs} ms`,
        found: shown(Number.isFinite(slowest) ? slowest : undefined),
        reached: slowest < markMs,
      },
      {
        mark: `the same joins of plain tables, ${people} accounts`,
        wanted: 'at most 2 x',
        found: times(ratio),
        reached: ratio <= 2,
      },
    );
    return {};
  });
  return {
    title: `Reading: ${people} accounts, ${groups} groups, ten joins of the views`,
    head: [
      '',
      'before ANALYZE',
      'after',
      'one tenant, generic plan',
      'plain tables',
      'views before',
      `beside ${small} tenants, by groups`,
      'as noted',
      'a small one',
    ],
    rows,
    marks,
  };
}
