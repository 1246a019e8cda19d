// Statements of the tests' own on the server under test, all on one connection a process.
import { Client } from 'pg';

/** A strategy of CREATE DATABASE. */
export type Clone = 'wal_log' | 'file_copy';

let open: { readonly url: string; readonly client: Promise<Client> } | undefined;
let last: Promise<unknown> = Promise.resolve();

/** Runs a statement on the database of `url`, after those before it. The connection stays, and keeps no process from ending between statements. */
export async function run(url: string, statement: string): Promise<void> {
  if (open?.url !== url) open = { url, client: connect(url) };
  const { client } = open;
  const done = last.then(async () => (await client).query(statement));
  last = done.catch(() => {});
  // Vitest's own process has nothing else to stay for while it makes the template on a server of DATABASE_URL.
  const stay = setInterval(() => {}, 60_000);
  await done.finally(() => clearInterval(stay));
}

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  // A server that is stopped cuts it; whoever asks for more is told by that statement.
  client.on('error', () => {});
  await client.connect();
  // pg has it, its types have not.
  (client as Client & { unref(): void }).unref();
  return client;
}

/** Ends the connection, if there is one. */
export async function disconnect(): Promise<void> {
  const ending = open;
  open = undefined;
  await (await ending?.client)?.end();
}
