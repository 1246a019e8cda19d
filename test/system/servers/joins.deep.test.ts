// The ten joins that a developer writes first, on each older release of PostgreSQL (natural-joins.test.ts has them on the newest).
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { grantRole } from '../../../src/store/schema/grants.ts';
import { answersOf } from '../../support/natural-joins.ts';
import { binariesOf, majors } from '../../support/programs.ts';
import { readingWorld } from '../../support/reading-world.ts';
import { makeDatabase, openOwned, startServer } from '../../support/servers.ts';
import { ask } from '../../support/stage.ts';

const tenant = randomUUID();

test.for(majors.slice(0, -1))(
  'rule 30: PostgreSQL %i: each of ten joins takes less than 3s, before ANALYZE and after it',
  async (major, { skip, onTestFinished }) => {
    const server = await startServer(await binariesOf(major, skip), onTestFinished);
    await makeDatabase(server);
    const store = openOwned(server, onTestFinished);
    for (const sql of readingWorld) await ask(store, sql, { tenant, people: 1_000, groups: 60, each: 8 });
    for (const [role, tenantBound] of [['open', false] as const, ['bound', true] as const]) {
      await server.ask(`create role ${role} login`);
      await grantRole(store.database, { role, tenantBound, onlyTenant: undefined, actor: 'test' });
    }
    for (const when of ['before ANALYZE', 'after ANALYZE']) {
      if (when === 'after ANALYZE') await store.database.raw('analyze');
      for (const role of ['open', 'bound']) {
        const reader = new Client({ connectionString: server.url('directory_copy', role) });
        await reader.connect();
        await reader.query("set statement_timeout = '3s'; set plan_cache_mode = force_generic_plan");
        if (role === 'bound') await reader.query(`set directory.tenant = '${tenant}'`);
        const found = await answersOf(reader).finally(() => reader.end());
        expect([when, role, Object.keys(found).length, found['in no group']]).toEqual([when, role, 10, 50]);
      }
    }
  },
);
