// What 200 assignments give to the accounts of a tenant with nested groups: all of them, one of them, and the part of the change rows.
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { rows as answersOf, openDatabase } from '../src/store/database/pool.ts';
import { readingWorld } from '../test/support/reading-world.ts';
import { assignmentCount, giveAssignments } from './assignments.ts';
import type { Bench } from './case.ts';
import { inMilliseconds, inSeconds, type Mark, median, type Section } from './report.ts';

export async function assigning({ postgres, isLarge, times: repeat, note }: Bench): Promise<Section> {
  const people = isLarge ? 100_000 : 10_000;
  const groups = isLarge ? 1_000 : 100;
  const wanted = isLarge ? 3 : 0.5;
  const rows: string[][] = [];
  const marks: Mark[] = [];
  await postgres.withDatabase([], async (url) => {
    const tenant = randomUUID();
    const database = openDatabase(url);
    for (const sql of readingWorld) await answersOf(database, sql, { tenant, people, groups, each: 5 });
    await giveAssignments(database, tenant);
    await database.destroy();
    const client = new Client({ connectionString: url });
    await client.connect();
    note('the tenant is filled');
    const all = 'array(select account_no from entra_sync.accounts where tenant_id = $1 order by 1)';
    const keep = (accounts: string) => `select entra_sync.keep_assigned($1, ${accounts}, false, 0, null, 'bench')`;
    const took = async (sql: string, values: unknown[] = [tenant]) => {
      const started = performance.now();
      await client.query(sql, values);
      return (performance.now() - started) / 1000;
    };
    const first: number[] = [];
    const again: number[] = [];
    const told: number[] = [];
    for (let time = 0; time < repeat; time += 1) {
      await client.query('begin');
      first.push(await took(keep(all)));
      again.push(await took(keep(all)));
      told.push(
        await took(
          `create temp table told on commit drop as select * from entra_sync.changes where kind = 'assigned.changed' and tenant_id = $1`,
        ),
      );
      await client.query('delete from entra_sync.changes where batch_id = 0');
      told[time] =
        await took(`insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id, before, after)
        select batch_id, tenant_id, actor, kind, account_id, before, after from told where tenant_id = $1`);
      await client.query('rollback');
    }
    await client.query(keep(all), [tenant]);
    await client.query('analyze entra_sync.assigned');
    const { rows: counted } = await client.query<{ n: number }>('select count(*)::int as n from entra_sync.assigned');
    const numbers = (
      await client.query<{ no: number }>(
        'select account_no as no from entra_sync.accounts order by account_no limit 200',
      )
    ).rows;
    const one: number[] = [];
    // Without the commit, which waits for the disk.
    await client.query('begin');
    for (const { no } of numbers) {
      await client.query('delete from entra_sync.assigned where account_no = $1', [no]);
      one.push(await took(keep('array[$2::int]'), [tenant, no]));
    }
    await client.query('rollback');
    await client.end();
    const whole = median(first) - median(told);
    rows.push(
      ['all accounts, from nothing, with a change row each', inSeconds(median(first))],
      ['of that, writing the change rows', inSeconds(median(told))],
      ['all accounts again, nothing to change', inSeconds(median(again))],
      ['one account, from nothing', `${(median(one) * 1000).toFixed(1)} ms`],
    );
    marks.push(
      {
        mark: `${assignmentCount} assignments, ${people} accounts, ${counted[0]?.n} rows`,
        wanted: `within ${inSeconds(wanted)}`,
        found: inSeconds(whole),
        reached: whole <= wanted,
      },
      {
        mark: 'one account',
        wanted: 'within 2 ms',
        found: inMilliseconds(median(one)),
        reached: median(one) <= 0.002,
      },
    );
    return {};
  });
  return {
    title: `Assigning: ${people} accounts, ${groups} nested groups, ${assignmentCount} assignments`,
    head: ['', 'time'],
    rows,
    marks,
  };
}
