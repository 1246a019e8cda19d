// The console over two synced tenants of 130 users, one of them with a name that a page has to escape.
import { loadDefaults } from '../../src/settings/settings.ts';
import { createTenant, startSimulator, type Tenant } from '../../src/simulator/index.ts';
import { rows } from '../../src/store/database/pool.ts';
import { addTenant } from '../../src/store/tenants/tenants.ts';
import { borrowDatabase } from './borrowed.ts';
import { setSettings } from './settings.ts';
import { cycleOf, takeEverybody } from './system.ts';
import { ops, serveOn } from './web.ts';

/** A name that breaks a page which does not escape it. */
export const nasty = `<b>Ann</b> "&' ${'שלום '.repeat(3)}${'Z\u0351\u036b'.repeat(20)}`;

export type ConsoleWorld = Awaited<ReturnType<typeof openConsole>>;

/** Opens the console with the browser of an operator, who has given a reason for each tenant. */
export async function openConsole() {
  const tenants = [1, 2].map((seed) => createTenant({ seed, users: 130, groups: 6 }));
  const simulator = await startSimulator({ tenants });
  const { database, giveBack } = await borrowDatabase();
  await takeEverybody(database, 'delta');
  await setSettings(database, {
    removals: { max: 500, percent: 20, floor: 20 },
    sourceOfTruth: 'hybrid',
    fields: { mobilePhone: { owner: 'user', max: 20 } },
  });
  for (const { tenantId, name } of tenants) await addTenant(database, { tenantId, name, ref: null }, loadDefaults());
  const [first] = tenants;
  first?.updateUser(first.users()[0]?.id ?? '', { displayName: nasty });
  const cycle = (tenant: Tenant | undefined) => cycleOf(simulator, tenant?.tenantId ?? '', database);
  for (const one of tenants) await cycle(one);
  const web = await serveOn(database);
  const operator = await web.browser(ops('act'));
  for (const one of tenants) await operator.post(at(one, '/reason'), { reason: 'a test', to: '/console' });
  const ask = <Row>(sql: string, values: Record<string, unknown> = {}) => rows<Row>(database, sql, values);
  return {
    ...{ tenants, database, web, operator, cycle, ask },
    idsOf: async (view: string, tenant: Tenant | undefined): Promise<string[]> =>
      (
        await ask<{ id: string }>(`select ${view}_id as id from directory.${view}s where tenant_id = :of order by 1`, {
          of: tenant?.tenantId,
        })
      ).map(({ id }) => id),
    async close(): Promise<void> {
      await web.close();
      await giveBack();
      await simulator.close();
    },
  };
}

/** The path of a tenant's page. */
export const at = (tenant: Tenant | undefined, path = ''): string => `/console/t/${tenant?.tenantId}${path}`;

/** The addresses in a page that have this part. */
export const linksOf = (html: string, part: string): string[] =>
  [...html.matchAll(/href="([^"]+)"/g)].map((one) => one[1] ?? '').filter((href) => href.includes(part));
