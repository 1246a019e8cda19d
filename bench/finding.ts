// Reads of one page of an application among very many accounts: a search, a page of accounts with their groups, one account's
// groups, one group's accounts.
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { keepNewWords } from '../src/store/accounts/words.ts';
import { rows as answersOf, openDatabase } from '../src/store/database/pool.ts';
import { readingWorld } from '../test/support/reading-world.ts';
import type { Bench } from './case.ts';
import { inMilliseconds, type Mark, median, type Section } from './report.ts';

type Question = { readonly name: string; readonly sql: string; readonly value: string; readonly markMs: number };

const find = (value: string, name: string): Question => ({
  name: `find ${value}: ${name}`,
  sql: 'select * from directory.find($1, $2)',
  value,
  markMs: 50,
});

// Forms of docs/contract.md, "Joins".
const handed = (account: string, group: string): readonly Question[] => [
  {
    name: 'fifty accounts by id, with their groups, by a lateral',
    sql: `select a.account_id, a.display_name, m.groups from (
            select * from directory.accounts where tenant_id = $1 and account_id > $2 order by account_id limit 50) a
            left join lateral (
              select array_agg(e.group_id) as groups from directory.effective_memberships e where e.account_id = a.account_id) m on true`,
    value: account,
    markMs: 50,
  },
  {
    name: 'fifty accounts by id, with their groups, by accounts_after',
    sql: `select a.account_id, a.display_name, m.groups from directory.accounts_after($1, $2) a
            left join lateral (
              select array_agg(e.group_id) as groups from directory.effective_memberships e where e.account_id = a.account_id) m on true`,
    value: account,
    markMs: 50,
  },
  {
    name: 'the accounts of one group, the first 200, by accounts_of_group',
    sql: 'select a.* from directory.accounts_of_group($2) a where a.tenant_id = $1',
    value: group,
    markMs: 5,
  },
  {
    name: 'the accounts of one group, the first 200, by a lateral',
    sql: `select a.* from directory.effective_memberships m
            cross join lateral (select * from directory.accounts x where x.account_id = m.account_id limit 1) a
           where m.tenant_id = $1 and m.group_id = $2 limit 200`,
    value: group,
    markMs: 5,
  },
  {
    name: 'the accounts of one group, the first 200, by an array',
    sql: `select * from directory.accounts where tenant_id = $1 and account_id = any (array(
            select account_id from directory.effective_memberships where group_id = $2 limit 200))`,
    value: group,
    markMs: 5,
  },
];

const questions = (account: string, group: string): readonly Question[] => [
  find('ann', 'a name that many have'),
  find('a', 'a letter'),
  find('ann holgar', 'two words'),
  find('a b', 'two letters'),
  find('arhol', 'a part of words'),
  find('holgarberg', 'a slip of the pen'),
  find('xqwvz', 'nothing'),
  {
    name: 'fifty accounts of a department by name, with their groups',
    sql: `select a.account_id, a.display_name, array_agg(g.display_name) from (
            select * from directory.accounts where tenant_id = $1 and profile ->> 'department' = $2 order by display_name, account_id limit 50) a
            left join directory.effective_memberships m using (tenant_id, account_id) left join directory.groups g using (tenant_id, group_id)
           group by 1, 2`,
    value: 'Department 3',
    markMs: Number.NaN,
  },
  {
    name: 'fifty accounts by id, with their groups',
    sql: `select a.account_id, a.display_name, array_agg(g.display_name) from (
            select * from directory.accounts where tenant_id = $1 and account_id > $2 order by account_id limit 50) a
            left join directory.effective_memberships m using (tenant_id, account_id) left join directory.groups g using (tenant_id, group_id)
           group by 1, 2`,
    value: account,
    markMs: 50,
  },
  {
    name: 'the groups of one account',
    sql: 'select * from directory.effective_memberships join directory.groups using (tenant_id, group_id) where tenant_id = $1 and account_id = $2',
    value: account,
    markMs: 5,
  },
  {
    name: 'the accounts of one group, the first 200',
    sql: 'select * from directory.effective_memberships join directory.accounts using (tenant_id, account_id) where tenant_id = $1 and group_id = $2 limit 200',
    value: group,
    markMs: 5,
  },
];

/** The median time of a question in milliseconds, after one that warms the caches. A named one is planned once a session. */
async function ask(
  client: Client,
  { sql, value }: Question,
  tenant: string,
  repeat: number,
  name?: string,
): Promise<number> {
  const took: number[] = [];
  for (let run = 0; run <= repeat; run += 1) {
    const started = performance.now();
    await client.query({ text: sql, values: [tenant, value], ...(name && { name }) });
    if (run > 0) took.push(performance.now() - started);
  }
  return median(took);
}

export async function finding({ postgres, isLarge, times: repeat, note }: Bench): Promise<Section> {
  const people = isLarge ? 300_000 : 30_000;
  const groups = people / 100;
  const rows: string[][] = [];
  const marks: Mark[] = [];
  await postgres.withDatabase([], async (url) => {
    const tenant = randomUUID();
    const database = openDatabase(url);
    for (const sql of readingWorld) await answersOf(database, sql, { tenant, people, groups, each: 4 });
    await keepNewWords(database, tenant);
    await database.raw('analyze');
    const [some] = await answersOf<{ account: string; group: string }>(
      database,
      `select (array_agg(account_id))[1] as account, (array_agg(group_id))[1] as "group" from (
         select account_id, group_id from directory.effective_memberships where tenant_id = :tenant limit 1000) x`,
      { tenant },
    );
    await database.destroy();
    note(`${people} accounts are there`);
    const client = new Client({ connectionString: url });
    await client.connect();
    const { account, group } = some ?? { account: '', group: '' };
    const planned = new Client({ connectionString: url });
    await planned.connect();
    await planned.query('set plan_cache_mode = force_generic_plan');
    for (const [place, question] of [...questions(account, group), ...handed(account, group)].entries()) {
      const ms = await ask(client, question, tenant, repeat);
      const once = await ask(planned, question, tenant, repeat, `question ${place}`);
      const { name, markMs } = question;
      rows.push([name, inMilliseconds(ms / 1000), inMilliseconds(once / 1000)]);
      if (Number.isNaN(markMs)) continue;
      const mark = (name: string, found: number) =>
        marks.push({
          mark: name,
          wanted: `below ${markMs} ms`,
          found: inMilliseconds(found / 1000),
          reached: found < markMs,
        });
      mark(name, ms);
      mark(`${name}, planned once`, once);
    }
    await client.end();
    await planned.end();
    return {};
  });
  return {
    title: `Finding: ${people} accounts, ${people * 4} memberships`,
    head: ['', 'time', 'planned once'],
    rows,
    marks,
  };
}
