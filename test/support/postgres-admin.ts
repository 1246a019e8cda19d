// The tests' administrative statements on the server, all on one connection per process.
import { Client } from 'pg';

/** A strategy of CREATE DATABASE. */
export type Clone = 'wal_log' | 'file_copy';

let open: { readonly url: string; readonly client: Promise<Client> } | undefined;
let last: Promise<unknown> = Promise.resolve();

/**
 * Runs a statement on the database of `url`, after the earlier ones. The connection stays open, but only a running
 * statement keeps the process alive.
 */
export async function run(url: string, statement: string): Promise<void> {
  if (open?.url !== url) open = { url, client: connect(url) };
  const { client } = open;
  const done = last.then(async () => (await client).query(statement));
  last = done.catch(() => {});
  // Without a timer Vitest's own process may end while it makes the template on a server of DATABASE_URL.
  const stay = setInterval(() => {}, 60_000);
  await done.finally(() => clearInterval(stay));
}

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  // A stopped server cuts the connection; the next statement reports it.
  client.on('error', () => {});
  await client.connect();
  // pg has it, its types do not.
  (client as Client & { unref(): void }).unref();
  return client;
}

export async function disconnect(): Promise<void> {
  const ending = open;
  open = undefined;
  await (await ending?.client)?.end();
}
