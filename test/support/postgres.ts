// Databases for tests: each test (or file) gets its own, cloned from the migrated template in a few milliseconds.
import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { inject } from 'vitest';

export type FreshDatabase = {
  url: string;
  /** Removes the database, cutting connections that are still open. */
  drop(): Promise<void>;
};

/**
 * A new database with a random name: migrated (the default), or empty with `migrated: false`.
 * Works in the projects `database` and `system` only, whose global setup provides the server.
 */
export async function freshDatabase(options: { migrated?: boolean } = {}): Promise<FreshDatabase> {
  const server = inject('postgresUrl');
  const name = `test_${randomBytes(8).toString('hex')}`;
  await run(server, `create database ${name}${options.migrated === false ? '' : ` template ${templateName()}`}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => run(server, `drop database if exists ${name} with (force)`) };
}

function templateName(): string {
  const template = inject('postgresTemplate');
  if ('problem' in template) throw new Error(`The migrations failed in the global setup: ${template.problem}`);
  return template.name;
}

async function run(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
