// The side that decides about held removals of a tenant: `removals.decide` of the settings.
import type { Decider } from '../../settings/schema.ts';
import type { Database, Transaction } from '../database/pool.ts';
import { storedSettings } from './versions.ts';

/** A side that may decide: the tenant's administrator, or the vendor's people and the command line. */
export type Side = Exclude<Decider, 'either'>;

/** Returns the setting of a tenant, else that of the installation. */
export async function deciderOf(on: Database | Transaction, tenantId: string): Promise<Decider> {
  const layers = await storedSettings(on, tenantId);
  return layers.reduce<Decider>((found, { document }) => document.removals?.decide ?? found, 'either');
}

/** Returns whether a side may decide where the setting says this. */
export const mayDecide = (decider: Decider, side: Side): boolean => decider === 'either' || decider === side;
