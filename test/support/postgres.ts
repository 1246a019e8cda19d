// Databases for tests: each test (or file) gets its own, cloned from the migrated template in a few milliseconds.
import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { run } from './postgres-admin.ts';

export type FreshDatabase = {
  url: string;
  drop(): Promise<void>;
};

/**
 * Makes a database with a random name: migrated (the default), or empty with `migrated: false`.
 * Works only in projects whose global setup provides the server.
 */
export async function freshDatabase(options: { migrated?: boolean } = {}): Promise<FreshDatabase> {
  const server = inject('postgresUrl');
  const name = `test_${randomBytes(8).toString('hex')}`;
  const template = options.migrated === false ? 'template1' : templateName();
  await run(server, `create database ${name} template ${template} strategy ${inject('postgresClone')}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    async drop() {
      await run(server, `drop database if exists ${name} with (force)`);
    },
  };
}

function templateName(): string {
  const template = inject('postgresTemplate');
  if ('problem' in template) throw new Error(`The migrations failed in the global setup: ${template.problem}`);
  return template.name;
}
