// `verify` of a simulated tenant.
import { pino } from 'pino';
import { openGraphAccess } from '../../src/app.ts';
import { runVerify, type VerifyResult } from '../../src/engine/verify.ts';
import { readEnvironment } from '../../src/environment.ts';
import { loadDefaults } from '../../src/settings/settings.ts';
import { fastPolicy, trust, type World } from './system.ts';

/** Returns the result of `verify`; `sample` as with --sample. */
export async function verify({ tenant, simulator, database }: World, sample?: number): Promise<VerifyResult> {
  trust(simulator.certificate);
  const graph = openGraphAccess(readEnvironment(simulator.environment(tenant.tenantId)), { policy: fastPolicy });
  return runVerify(
    { database, defaults: loadDefaults(), log: pino({ level: 'silent' }), openReader: graph.openReader },
    { tenantId: tenant.tenantId, sample, signal: new AbortController().signal },
  );
}
