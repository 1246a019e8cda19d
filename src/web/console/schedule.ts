// The orders of a viewer to the worker of a tenant: sync now, pause, resume, try again; and that a mass change is right.
import { acknowledge } from '../../store/commit/notice.ts';
import { isTenant } from '../../store/console/tenants.ts';
import { makeDue, setPaused } from '../../store/cycle/next-cycle.ts';
import type { Database } from '../../store/database/pool.ts';
import { requestCycle } from '../../store/queue/requests.ts';
import { type Action, action, type Done } from '../page.ts';
import { tenantPage } from './tenant.ts';

type Act = 'sync' | 'pause' | 'resume' | 'retry' | 'acknowledge';

const refused = { problems: [{ message: 'The tenant is disconnected: reconnect it, then ask again.' }] };

const toTenant = (tenantId: string, done: string): Done => ({ to: `/console/t/${tenantId}?done=${done}` });
const toAsked = (tenantId: string) => toTenant(tenantId, 'asked');

function act(
  name: Act,
  audit: string,
  run: (database: Database, tenantId: string, actor: string) => Promise<Done | undefined>,
): Action {
  return action({
    route: `POST /console/t/:tenant/${name}`,
    form: {},
    audit,
    act: async (database, { params, viewer }) => {
      const tenantId = params.tenant ?? '';
      return (await isTenant(database, tenantId)) ? run(database, tenantId, viewer.actor) : undefined;
    },
    again: tenantPage,
  });
}

const ifAny = (changed: number, tenantId: string) => (changed === 0 ? refused : toAsked(tenantId));

/** The acts on a tenant as a whole. */
export const scheduleActs: readonly Action[] = [
  act('sync', 'tenant.sync_requested', async (database, tenantId, actor) => {
    const answer = await requestCycle(database, tenantId, actor);
    if (answer === 'unknown') return undefined;
    return answer === 'requested' ? toAsked(tenantId) : refused;
  }),
  act('pause', 'tenant.paused', async (database, tenantId) => {
    await setPaused(database, [tenantId], true);
    return toTenant(tenantId, 'paused');
  }),
  act('resume', 'tenant.resumed', async (database, tenantId) => {
    await setPaused(database, [tenantId], false);
    return toTenant(tenantId, 'resumed');
  }),
  act('retry', 'tenant.retried', async (database, tenantId) => ifAny(await makeDue(database, [tenantId]), tenantId)),
  act('acknowledge', 'tenant.acknowledged', async (database, tenantId) => {
    await acknowledge(database, tenantId);
    return toTenant(tenantId, 'acknowledged');
  }),
];
