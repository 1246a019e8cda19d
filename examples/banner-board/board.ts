// A product on the contract of entra-sync, whole: it keeps who has which banner, follows the change feed, survives restarts, and
// lets a person edit the own telephone number. It uses schema `directory` and tables of its own, and nothing else.
import { createServer } from 'node:http';
import { Client, type ClientBase, Pool } from 'pg';
import type { Functions, RefusalDetail } from '../../directory.d.ts';

type FeedRow = Functions['read_changes']['returns'][number];

const slot = 'banner';
const readAtOnce = 500;

const tables = `
do $$ begin
  if to_regnamespace('banner_board') is null then create schema banner_board; end if;
end $$;
create table if not exists banner_board.people (
  account_id uuid primary key, tenant_id uuid not null, name text, banner text);
-- One row: up to where the feed is applied. It moves in the transaction that applies it.
create table if not exists banner_board.position (
  only_row boolean primary key default true check (only_row), position text not null);`;

// Live accounts that have a banner now, as the views say.
const present = `
  select a.account_id, a.tenant_id, a.display_name as name, x.item as banner
    from directory.assigned x join directory.accounts a on a.account_id = x.account_id
   where x.slot = $1 and x.rank = 1`;

/** Reads everything, and begins to follow from there. The position is read first: what happens meanwhile comes again. */
async function readAll(client: ClientBase): Promise<void> {
  await client.query('begin isolation level repeatable read');
  await client.query('delete from banner_board.people');
  await client.query(`insert into banner_board.people ${present}`, [slot]);
  await client.query(
    `insert into banner_board.position (position) select directory.feed_position()
     on conflict (only_row) do update set position = excluded.position`,
  );
  await client.query('commit');
}

/** Applies the next changes. Returns whether there may be more. */
async function follow(client: ClientBase): Promise<boolean> {
  await client.query('begin');
  const { rows: at } = await client.query<{ position: string }>(
    'select position from banner_board.position for update',
  );
  const { rows } = await client.query<FeedRow>('select * from directory.read_changes($1, $2)', [
    at[0]?.position,
    readAtOnce,
  ]);
  const last = rows.at(-1);
  if (last) {
    // A change says who is concerned. The view says what holds now, so that a change that comes twice does no harm.
    const ids = [...new Set(rows.flatMap((row) => row.account_id ?? []))];
    await client.query('delete from banner_board.people where account_id = any($1)', [ids]);
    await client.query(`insert into banner_board.people ${present} and a.account_id = any($2)`, [slot, ids]);
    await client.query('update banner_board.position set position = $1', [last.position]);
  }
  await client.query('commit');
  return rows.length === readAtOnce;
}

/** Follows until nothing is left. A position that is too old, or of another database, begins anew (ES006). */
async function catchUp(client: ClientBase): Promise<void> {
  const { rows } = await client.query('select from banner_board.position');
  if (rows.length === 0) await readAll(client);
  try {
    while (await follow(client));
  } catch (error) {
    await client.query('rollback');
    if ((error as { code?: string }).code !== 'ES006') throw error;
    await readAll(client);
  }
}

type Answer = { status: number; body: unknown };

/** A person's new telephone number. `seen`: updated_at of the account that the person looked at. */
async function savePhone(pool: Pool, given: { account?: string; phone?: string; seen?: string }): Promise<Answer> {
  try {
    const { rows } = await pool.query<{ profile: unknown }>(
      'select directory.edit_as($1::uuid, $1::uuid, $2::jsonb, $3::timestamptz) as profile',
      [given.account, JSON.stringify({ mobilePhone: given.phone }), given.seen ?? null],
    );
    return { status: 200, body: rows[0]?.profile };
  } catch (error) {
    const { code, message, column, detail } = error as Record<string, string | undefined>;
    // The contract's errors tell the field, and on a conflict both values.
    if (!code?.startsWith('ES')) throw error;
    const facts = detail === undefined ? undefined : (JSON.parse(detail) as RefusalDetail);
    return {
      status: code === 'ES009' ? 409 : code === 'ES004' ? 404 : 422,
      body: { code, message, field: column, facts },
    };
  }
}

async function bodyOf(request: AsyncIterable<Buffer>): Promise<Record<string, string>> {
  let text = '';
  for await (const chunk of request) if (text.length < 10_000) text += chunk;
  return JSON.parse(text);
}

const url = process.env.DATABASE_URL;
const pool = new Pool({ connectionString: url, max: 3 });
const follower = new Client({ connectionString: url });
await follower.connect();
await follower.query(tables);
await catchUp(follower);

// Notifications save waiting; looking every few seconds is enough without them.
let waiting = () => {};
follower.on('notification', () => waiting());
await follower.query('listen directory_changes');

const server = createServer(async (request, response) => {
  const answer = async (): Promise<Answer> => {
    if (request.method === 'POST' && request.url === '/phone') return savePhone(pool, await bodyOf(request));
    const { rows } = await pool.query('select * from banner_board.people order by name, account_id');
    return { status: 200, body: rows };
  };
  const { status, body } = await answer().catch((): Answer => ({ status: 500, body: { message: 'not now' } }));
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
});
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`http://127.0.0.1:${typeof address === 'object' ? address?.port : address}\n`);
});

let stopped = false;
process.on('SIGTERM', () => {
  stopped = true;
  waiting();
});
while (!stopped) {
  const woken = new Promise<void>((resolve) => {
    waiting = resolve;
  });
  await catchUp(follower);
  await Promise.race([woken, new Promise((resolve) => setTimeout(resolve, 3_000).unref())]);
}
server.close();
await follower.end();
await pool.end();
