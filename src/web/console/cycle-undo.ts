// Taking back the removals of a cycle.
import { readCycle } from '../../store/tenants/status.ts';
import { longActMs } from '../act-time.ts';
import { action } from '../page.ts';
import { cyclePage } from './cycle.ts';
import { pressed } from './form-parts.ts';
import { takeBack } from './undone.ts';

export const undoCycle = action({
  route: 'POST /console/t/:tenant/cycles/:cycle/undo',
  form: pressed,
  audit: 'removals.undone',
  statementMs: longActMs,
  act: async (database, view) => {
    const { tenant: tenantId = '', cycle = '' } = view.params;
    if (!/^\d{1,18}$/.test(cycle) || (await readCycle(database, cycle))?.tenant_id !== tenantId) return undefined;
    return takeBack(database, view, { of: { cycle }, to: `/console/t/${tenantId}/cycles/${cycle}` });
  },
  again: cyclePage,
});
